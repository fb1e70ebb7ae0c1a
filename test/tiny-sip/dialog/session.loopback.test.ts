import {
  createInviteServer,
  createInviteSession,
  createStack,
  createTcpTransport,
  createUdpTransport,
  type SessionState,
  type Stack,
} from 'tiny-sip';
import * as assert from 'uvu/assert';
import { createSystemClock } from '../../../src/base/clock.ts';
import { createFakeRandom } from '../../support/fake-random.ts';
import { suite } from '../../support/harness.ts';
import { watched } from '../../support/peers/watched.ts';
import { createQuietLog } from '../rig.ts';
import { chat } from './calls.ts';

const test = suite('tiny-sip sessions on loopback sockets');

const clock = createSystemClock();
const log = createQuietLog();
let seed = 900;

async function stackOn(
  protocol: 'udp' | 'tcp',
  host: string,
): Promise<{ stack: Stack; port: number; random: ReturnType<typeof createFakeRandom> }> {
  const random = createFakeRandom(seed++);
  const transport =
    protocol === 'udp'
      ? createUdpTransport({ clock, log }, { host, port: 0 })
      : createTcpTransport({ clock, log, random }, { host, port: 0 });
  const stack = createStack({ clock, log, random }, { transports: [transport] });
  await stack.start();
  return { stack, port: transport.local.port, random };
}

for (const [protocol, host] of [
  ['udp', '127.0.0.1'],
  ['tcp', '127.0.0.1'],
  ['udp', '::1'],
  ['tcp', '::1'],
] as const)
  test(`a call, new offers both ways, BYE, and a cancelled one: ${protocol} on ${host}`, async () => {
    const a = await stackOn(protocol, host);
    const b = await stackOn(protocol, host);
    const far = watched<SessionState>();
    const cancelled = watched<string>();
    const server = createInviteServer(
      { stack: b.stack, clock, random: b.random, log },
      {
        onInvite(invitation) {
          invitation.ring();
          invitation.onEnd((cause) => cancelled.add(cause.kind));
          if (invitation.incoming.request.get('Subject') !== 'never')
            invitation.accept(chat(host), {
              onState: (state) => far.add(state),
              onOffer: () => chat(host, 2),
            });
        },
      },
    );
    b.stack.on('INVITE', server.handle);
    const dial = (subject: string, states = watched<SessionState>()) => ({
      states,
      session: createInviteSession(
        { stack: a.stack, clock, random: a.random, log },
        {
          to: `sip:bob@${host.includes(':') ? `[${host}]` : host}:${b.port};transport=${protocol}`,
          from: 'sip:alice@example.com',
          offer: chat(host),
          headers: { Subject: subject },
          onState: (state) => states.add(state),
        },
      ),
    });
    const { session, states } = dial('status');
    await states.until((one) => one.kind === 'established');
    await far.until((one) => one.kind === 'established');
    assert.is((await session.reoffer(chat(host, 3))).kind, 'accepted');
    await far.until((one) => one.kind === 'established' && one.parameters.remote.origin.version === '2');
    const [back] = server.sessions;
    assert.is((await back?.reoffer())?.kind, 'accepted');
    assert.is(
      session.parameters?.remote.media[0]?.attributes?.at(-1)?.value,
      chat(host, 2).media[0]?.attributes?.at(-1)?.value,
    );
    await session.bye();
    await far.until((one) => one.kind === 'ended');

    const other = dial('never');
    await other.states.until((one) => one.kind === 'early' && one.status === 180);
    await other.session.bye();
    await cancelled.until((one) => one === 'cancelled');
    assert.equal(other.session.state, { kind: 'ended', cause: { kind: 'cancelled', by: 'us' } });
    assert.is(a.stack.counts().sessions ?? 0, 0);
    assert.is(server.sessions.size, 0);
    await a.stack.stop();
    await b.stack.stop();
  });
