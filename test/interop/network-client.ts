/** Inside a namespace: a client that registers, publishes and subscribes by the way it is told, and tells of its flow. */
import {
  createPublication,
  createRegistration,
  createStack,
  createSubscription,
  createTcpTransport,
  createUdpTransport,
} from 'tiny-sip';
import { createSystemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { createSystemRandom } from '../../src/base/random.ts';

const [, , protocol, host = ''] = process.argv;
if (protocol !== 'udp' && protocol !== 'tcp') throw new Error('by which protocol?');
const clock = createSystemClock();
const random = createSystemRandom();
const log = silentLog;
const stack = createStack(
  { clock, random, log },
  {
    transports: [
      createUdpTransport({ clock, log, random }, { host: ['0.0.0.0', '::'], port: 0 }),
      createTcpTransport({ clock, log, random }, { listen: false }),
    ],
  },
);
await stack.start();
const target = { protocol, host, port: 5060, name: 'plant.example' } as const;
const registration = createRegistration(
  { stack, clock, random, log },
  {
    aor: `sip:${protocol}@plant.example`,
    way: () => ({ target }),
    instance: 'urn:uuid:00000000-0000-1000-8000-000000000009',
    onState(state) {
      if (state.kind !== 'registered') return;
      console.log(`registered by ${state.flow.local.host}`);
      publication.wake();
    },
  },
);
const publication = createPublication(
  { stack, clock, random, log },
  {
    aor: `sip:${protocol}@plant.example`,
    way: () => (registration.state.kind === 'registered' ? { flow: registration.state.flow } : undefined),
    body: () => ({ contentType: 'text/plain', content: String(clock.now()), token: undefined }),
  },
);
// What the device says changes every other second.
setInterval(() => publication.changed(), 2_000);
const subscription = createSubscription(
  { stack, clock, random, log },
  { resource: 'sip:plant@plant.example', from: `sip:${protocol}@plant.example`, way: () => ({ target }) },
);
stack.onFlowClosed((_flow, cause) => {
  console.log(`closed ${(cause as { code?: string } | undefined)?.code}`);
});
registration.start();
subscription.start();
setTimeout(() => process.exit(0), 240_000);
