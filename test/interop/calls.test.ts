/** Sessions of tiny-sip through Kamailio, which stays on the way by Record-Route, and with a phone that only talks. */
import {
  createDigestClient,
  createInviteServer,
  createInviteSession,
  createRegistration,
  createStack,
  createTcpTransport,
  createUdpTransport,
  type EventDeps,
  type Invitation,
  type InviteSession,
  type OfferedMedia,
  type SessionState,
  type SipRequest,
  type Target,
  writeMessageMedia,
} from 'tiny-sip';
import * as assert from 'uvu/assert';
import { createSystemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { createSystemRandom } from '../../src/base/random.ts';
import { suite } from '../support/harness.ts';
import { BARESIP, startBaresip } from '../support/peers/baresip.ts';
import { KAMAILIO, type Kamailio, startKamailio } from '../support/peers/kamailio.ts';
import { within } from '../support/peers/program.ts';
import { type Watched, watched } from '../support/peers/watched.ts';

const test = suite('calls through kamailio, and baresip', { timeout: 40_000 });

const chat = (name: string): OfferedMedia => ({
  address: '127.0.0.1',
  media: [
    writeMessageMedia({
      secure: false,
      path: [`msrp://127.0.0.1:7394/${name};tcp`],
      acceptTypes: ['text/plain'],
      setup: 'actpass',
    }),
  ],
});

interface Side {
  readonly deps: EventDeps;
  readonly port: number;
  readonly requests: SipRequest[];
}

async function side(protocol: 'udp' | 'tcp'): Promise<Side> {
  const deps = { clock: createSystemClock(), random: createSystemRandom(), log: silentLog };
  const address = { host: '127.0.0.1', port: 0 };
  const transport =
    protocol === 'udp' ? createUdpTransport(deps, address) : createTcpTransport(deps, address);
  const stack = createStack(deps, { transports: [transport] });
  await stack.start();
  const requests: SipRequest[] = [];
  stack.onTrace((direction, _flow, message) => {
    if (direction === 'out' && message.kind === 'request') requests.push(message);
  });
  return { deps: { ...deps, stack }, port: transport.local.port, requests };
}

interface Scene {
  readonly kamailio: Kamailio;
  readonly target: Target;
  readonly caller: Side;
  readonly callee: Side;
  readonly invitations: Watched<Invitation>;
}

/** Bob is registered as gateway7; Alice only calls. */
async function scene(protocol: 'udp' | 'tcp', body: (scene: Scene) => Promise<void>): Promise<void> {
  const kamailio = await startKamailio();
  const caller = await side(protocol);
  const callee = await side(protocol);
  const target: Target = { protocol, host: '127.0.0.1', port: kamailio.port, name: kamailio.domain };
  const invitations = watched<Invitation>();
  const server = createInviteServer(callee.deps, { onInvite: (one) => invitations.add(one) });
  callee.deps.stack.on('INVITE', server.handle);
  const registered = watched<string>();
  const registration = createRegistration(callee.deps, {
    aor: `sip:gateway7@${kamailio.domain}`,
    way: () => ({ target }),
    credentials: createDigestClient(callee.deps, { username: 'gateway7', password: 'pump' }),
    onState: (state) => registered.add(state.kind),
  });
  try {
    registration.start();
    await registered.until((kind) => kind === 'registered');
    await body({ kamailio, target, caller, callee, invitations });
  } finally {
    registration.stop();
    await caller.deps.stack.stop();
    await callee.deps.stack.stop();
    await kamailio.stop();
  }
}

function dial({ caller, kamailio, target }: Scene): {
  session: InviteSession;
  states: Watched<SessionState>;
} {
  const states = watched<SessionState>();
  const session = createInviteSession(caller.deps, {
    to: `sip:gateway7@${kamailio.domain}`,
    from: `sip:alice@${kamailio.domain}`,
    offer: chat('alice'),
    way: { target },
    credentials: createDigestClient(caller.deps, { username: 'alice', password: 'wonder' }),
    onState: (state) => states.add(state),
  });
  return { session, states };
}

/** Every request in the dialog has Kamailio as its Route, and the other side’s Contact as Request-URI. */
function keptRoute(requests: readonly SipRequest[], kamailio: Kamailio, contact: RegExp): void {
  const inside = requests.filter((one) => one.toTag !== undefined && one.routes.length > 0);
  assert.ok(inside.some((one) => one.method === 'INVITE') && inside.length >= 1);
  for (const one of inside) {
    assert.match(
      one.get('Route') ?? '',
      new RegExp(`^<sip:127\\.0\\.0\\.1:${kamailio.port};.*lr`),
      one.method,
    );
    assert.match(one.uri, contact, one.method);
  }
}

for (const protocol of ['udp', 'tcp'] as const)
  test.needs(
    [KAMAILIO],
    `S16: a challenged call, new offers both ways and BYE stay on the recorded route, ${protocol}`,
    () =>
      scene(protocol, async (all) => {
        const { kamailio, caller, callee, invitations } = all;
        const { session, states } = dial(all);
        const invitation = await invitations.until(() => true);
        assert.match(invitation.incoming.request.get('P-Asserted-Identity') ?? '', /alice@/);
        invitation.ring();
        await states.until((one) => one.kind === 'early' && one.status === 180);
        const far = watched<SessionState>();
        const back = invitation.accept(chat('gateway7'), { onState: (state) => far.add(state) });
        assert.ok(back);
        await states.until((one) => one.kind === 'established');
        await far.until((one) => one.kind === 'established');
        assert.is((await within(session.reoffer(chat('alice2')), 5_000, 'her offer')).kind, 'accepted');
        await far.until((one) => one.kind === 'established' && one.parameters.remote.origin.version === '2');
        const reply = await within(back.reoffer(chat('gateway7b')), 5_000, 'his offer');
        assert.is(reply.kind, 'accepted');
        await within(back.bye(), 5_000, 'the BYE');
        assert.equal(await states.until((one) => one.kind === 'ended'), {
          kind: 'ended',
          cause: { kind: 'bye', by: 'peer' },
        });
        // On TCP a Contact names the connection that its owner opened to Kamailio.
        const at = (port: number): RegExp =>
          protocol === 'udp' ? new RegExp(`@127\\.0\\.0\\.1:${port}$`) : /@127\.0\.0\.1:\d+;transport=tcp$/;
        keptRoute(caller.requests, kamailio, at(callee.port));
        keptRoute(callee.requests, kamailio, at(caller.port));
        const passed = kamailio.traced.seen.map((one) => one.text.split(' ')[0]);
        assert.is(passed.filter((one) => one === 'BYE').length >= 1, true);
        // INVITE, its repetition with credentials, and a new offer by each side.
        assert.is(passed.filter((one) => one === 'INVITE').length >= 4, true);
        assert.is(caller.deps.stack.counts().sessions ?? 0, 0);
        assert.is(callee.deps.stack.counts().sessions ?? 0, 0);
      }),
  );

test.needs([KAMAILIO], 'cancelled and rejected through kamailio', () =>
  scene('udp', async (all) => {
    const first = dial(all);
    const ringing = await all.invitations.until(() => true);
    const ends = watched<string>();
    ringing.onEnd((cause) => ends.add(cause.kind));
    ringing.ring();
    await first.states.until((one) => one.kind === 'early' && one.status === 180);
    await within(first.session.bye(), 5_000, 'the end');
    assert.equal(first.session.state, { kind: 'ended', cause: { kind: 'cancelled', by: 'us' } });
    await ends.until((one) => one === 'cancelled');

    const second = dial(all);
    const other = await all.invitations.until((one) => one !== ringing);
    other.reject(486);
    const end = await second.states.until((one) => one.kind === 'ended');
    assert.equal(end, { kind: 'ended', cause: { kind: 'refused', status: 486, reason: 'Busy Here' } });
  }),
);

test.needs([BARESIP], 'baresip, which offers audio alone, is told 488', async () => {
  const callee = await side('udp');
  const invitations: Invitation[] = [];
  const server = createInviteServer(callee.deps, { onInvite: (one) => void invitations.push(one) });
  const answers = watched<string>();
  callee.deps.stack.on('INVITE', server.handle);
  callee.deps.stack.on('REGISTER', (incoming) =>
    incoming.respond(200, { headers: { Contact: incoming.request.lines('Contact'), Expires: '600' } }),
  );
  callee.deps.stack.onTrace((direction, _flow, message) => {
    if (direction === 'out' && message.kind === 'response' && message.cseq?.method === 'INVITE')
      answers.add(`${message.status} ${message.get('Warning')}`);
  });
  const phone = await startBaresip({
    user: 'alice',
    password: 'wonder',
    domain: 'test.local',
    port: callee.port,
    buddies: { gateway: 'sip:gateway7@test.local' },
  });
  try {
    await phone.program.line(/200 OK .*\[1 binding\]/);
    await phone.dial('sip:gateway7@test.local');
    await answers.until((one) => /^488 304 .*Media type not available/.test(one));
    await phone.program.line(/488/);
    assert.is(invitations.length, 0);
  } finally {
    await phone.stop();
    await callee.deps.stack.stop();
  }
});
