/** Inside a namespace: a SIP server that takes every registration, publication and subscription, and tells of each. */
import {
  createNotifier,
  createStack,
  createTcpTransport,
  createUdpTransport,
  type SipRequest,
} from 'tiny-sip';
import { createSystemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { createSystemRandom } from '../../src/base/random.ts';

const clock = createSystemClock();
const random = createSystemRandom();
const log = silentLog;
const at = { host: '::', port: 5060 };
const stack = createStack(
  { clock, random, log },
  { transports: [createUdpTransport({ clock, log }, at), createTcpTransport({ clock, log, random }, at)] },
);

const tell = (request: SipRequest, from: string, protocol: string): void => {
  const via = request.topVia;
  const contact = request.contacts === '*' ? '*' : request.contacts[0]?.uri;
  console.log(`${request.method} by ${protocol} from ${from} via ${via?.host} contact ${contact}`);
};

stack.on('REGISTER', ({ request, flow, respond }) => {
  tell(request, flow.remote.host, flow.protocol);
  const contact = request.lines('Contact');
  respond(200, { headers: { Contact: contact, Expires: '600', 'Flow-Timer': '12' } });
});
let tags = 0;
stack.on('PUBLISH', ({ request, flow, respond }) => {
  tell(request, flow.remote.host, flow.protocol);
  respond(200, { headers: { 'SIP-ETag': `t${++tags}`, Expires: '120' } });
});
const notifier = createNotifier(
  { stack, clock, random, log },
  {
    event: 'presence',
    types: ['text/plain'],
    authorise({ request, flow }) {
      tell(request, flow.remote.host, flow.protocol);
      return { ok: true, resource: 'plant', watcher: request.from?.uri ?? '' };
    },
    body: () => ({ contentType: 'text/plain', content: 'running' }),
  },
);
stack.on('SUBSCRIBE', notifier.handle);
stack.on('*', ({ respond }) => respond(200));
await stack.start();
console.log('server is up');
setTimeout(() => process.exit(0), 240_000);
