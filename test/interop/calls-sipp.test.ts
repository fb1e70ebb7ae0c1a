/** Sessions of tiny-sip with SIPp as the other side, calling and called. */
import {
  createDigestClient,
  createInviteServer,
  createInviteSession,
  createStack,
  createTcpTransport,
  createUdpTransport,
  type EventDeps,
  type InviteSession,
  type InviteSessionOptions,
  isMessageMedia,
  type OfferedMedia,
  type SessionState,
  type SipRequest,
  writeMessageMedia,
} from 'tiny-sip';
import * as assert from 'uvu/assert';
import { createSystemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { createSystemRandom } from '../../src/base/random.ts';
import { suite } from '../support/harness.ts';
import { within } from '../support/peers/program.ts';
import { SIPP, startSipp } from '../support/peers/sipp.ts';
import { type Watched, watched } from '../support/peers/watched.ts';
import { scenario, send } from './sipp-scenario.ts';

const test = suite('calls and sipp', { timeout: 60_000 });

const CHAT: OfferedMedia = {
  address: '127.0.0.1',
  media: [
    writeMessageMedia({
      secure: false,
      path: ['msrp://127.0.0.1:7394/ours;tcp'],
      acceptTypes: ['text/plain', 'message/cpim'],
      setup: 'actpass',
    }),
  ],
};

const SDP = (version: number, media: readonly string[] = MESSAGE): string =>
  ['v=0', `o=- 42 ${version} IN IP4 [local_ip]`, 's=-', 'c=IN IP4 [local_ip]', 't=0 0', ...media, ''].join(
    '\n',
  );
const MESSAGE = [
  'm=message 2855 TCP/MSRP *',
  'a=accept-types:text/plain',
  'a=path:msrp://[local_ip]:2855/sipp;tcp',
] as const;
const AUDIO = ['m=audio 4000 RTP/AVP 0', 'a=rtpmap:0 PCMU/8000'] as const;

/** A request of SIPp's in its call. */
function ask(
  method: string,
  cseq: number,
  more: readonly string[] = [],
  body = '',
  branch = '[branch]',
): string {
  return send(
    [
      `${method} sip:[service]@[remote_ip]:[remote_port] SIP/2.0`,
      `Via: SIP/2.0/[transport] [local_ip]:[local_port];rport;branch=${branch}`,
      'Max-Forwards: 70',
      'From: <sip:sipp@[local_ip]:[local_port]>;tag=[call_number]',
      'To: <sip:[service]@[remote_ip]:[remote_port]>[peer_tag_param]',
      'Call-ID: [call_id]',
      `CSeq: ${cseq} ${method}`,
      'Contact: <sip:sipp@[local_ip]:[local_port];transport=[transport]>',
      ...(body === '' ? [] : ['Content-Type: application/sdp']),
      ...more,
    ],
    body,
  );
}

/** An answer of SIPp's to what it received last. */
function say(status: string, more: readonly string[] = [], body = '', cseq = '[last_CSeq:]'): string {
  return send(
    [
      `SIP/2.0 ${status}`,
      '[last_Via:]',
      '[last_From:]',
      '[last_To:];tag=sipp[call_number]',
      '[last_Call-ID:]',
      cseq,
      'Contact: <sip:sipp@[local_ip]:[local_port];transport=[transport]>',
      ...(body === '' ? [] : ['Content-Type: application/sdp']),
      ...more,
    ],
    body,
  );
}
/** The same within the dialog, where To has its tag. */
const sayInside = (...args: Parameters<typeof say>): string =>
  say(...args).replace('[last_To:];tag=sipp[call_number]', '[last_To:]');

const take = (response: number, more = ''): string => `<recv response="${response}" ${more}/>`;
const maybe = (response: number): string => take(response, 'optional="true"');
const awaiting = (request: string): string => `<recv request="${request}"/>`;
const pause = (ms: number): string => `<pause milliseconds="${ms}"/>`;

interface Scene {
  readonly deps: EventDeps;
  readonly remote: string;
  readonly port: number;
  /** Everything that was sent, in words. */
  readonly sent: Watched<string>;
}

async function scene(protocol: 'udp' | 'tcp', body: (scene: Scene) => Promise<void>): Promise<void> {
  const deps = { clock: createSystemClock(), random: createSystemRandom(), log: silentLog };
  const address = { host: '127.0.0.1', port: 0 };
  const transport =
    protocol === 'udp' ? createUdpTransport(deps, address) : createTcpTransport(deps, address);
  const stack = createStack(deps, { transports: [transport] });
  await stack.start();
  const sent = watched<string>();
  stack.onTrace((direction, _flow, message) => {
    if (direction !== 'out') return;
    const what = message.kind === 'request' ? message.method : `${message.status} ${message.cseq?.method}`;
    sent.add(what);
  });
  try {
    await body({
      deps: { ...deps, stack },
      remote: `127.0.0.1:${transport.local.port}`,
      port: transport.local.port,
      sent,
    });
  } finally {
    await stack.stop();
  }
}

const count = (sent: Watched<string>, what: string): number => sent.seen.filter((one) => one === what).length;

/** A server that takes every message session, and tells how the sessions went. */
function answering(deps: EventDeps, more: { ring?: boolean; accept?: boolean } = {}) {
  const states = watched<SessionState>();
  const ends = watched<string>();
  const server = createInviteServer(deps, {
    onInvite(invitation) {
      invitation.onEnd((cause) => ends.add(cause.kind));
      if (more.ring !== false) invitation.ring();
      if (more.accept === false) return;
      const media = invitation.offer?.media.map((one) => (isMessageMedia(one) ? CHAT.media[0] : undefined));
      invitation.accept(
        { ...CHAT, media: media ?? CHAT.media },
        { onState: (state) => states.add(state), onOffer: () => CHAT },
      );
    },
  });
  deps.stack.on('INVITE', server.handle);
  return { server, states, ends };
}

for (const protocol of ['udp', 'tcp'] as const) {
  // sipp --INVITE-- 180, 200 --ACK-- re-INVITE -- 200 --ACK-- BYE -- 200
  test.needs([SIPP], `100 calls with a re-INVITE each, ${protocol}`, () =>
    scene(protocol, async ({ deps, remote }) => {
      const { server, states } = answering(deps);
      const sipp = await startSipp({
        scenario: scenario(
          ask('INVITE', 1, [], SDP(1, [...MESSAGE, ...AUDIO])),
          maybe(100),
          maybe(180),
          take(200, 'rtd="true"'),
          ask('ACK', 1),
          ask('INVITE', 2, [], SDP(2, [...MESSAGE, ...AUDIO])),
          maybe(100),
          take(200),
          ask('ACK', 2),
          ask('BYE', 3),
          take(200),
        ),
        remote,
        protocol,
        calls: 100,
        rate: 100,
      });
      await sipp.done;
      await states.until(() => states.seen.filter((one) => one.kind === 'ended').length === 100);
      assert.is(server.sessions.size, 0);
      assert.ok(
        states.seen.every(
          (one) => one.kind !== 'ended' || (one.cause.kind === 'bye' && one.cause.by === 'peer'),
        ),
      );
      const remoteVersions = states.seen.flatMap((one) =>
        one.kind === 'established' ? [one.parameters.remote.origin.version] : [],
      );
      assert.is(remoteVersions.filter((one) => one === '2').length >= 100, true);
      assert.is(deps.stack.counts().sessions ?? 0, 0);
      assert.is(deps.stack.counts().dialogs, 0);
    }),
  );

  // sipp as the called one; it makes a re-INVITE of its own and hangs up.
  test.needs([SIPP], `calls sipp: new offers both ways, and its BYE, ${protocol}`, () =>
    scene(protocol, async ({ deps }) => {
      const sipp = await startSipp({
        protocol,
        scenario: scenario(
          FROM_INVITE,
          say('180 Ringing'),
          say('200 OK', [], SDP(1)),
          awaiting('ACK'),
          awaiting('INVITE'),
          sayInside('200 OK', [], SDP(2)),
          awaiting('ACK'),
          inside('INVITE', 1, SDP(3)),
          maybe(100),
          take(200),
          inside('ACK', 1),
          inside('BYE', 2),
          take(200),
        ),
        limit: 15_000,
      });
      const { session, states } = calls(deps, sipp.port, protocol, { onOffer: () => CHAT });
      await states.until((one) => one.kind === 'established');
      assert.is((await within(session.reoffer(), 5_000, 'the new offer')).kind, 'accepted');
      const end = await states.until((one) => one.kind === 'ended', 10_000);
      assert.equal(end, { kind: 'ended', cause: { kind: 'bye', by: 'peer' } });
      await sipp.done;
      assert.is(session.parameters?.remote.origin.version, '3');
    }),
  );
}

/** SIPp is called, and notes what it needs for requests of its own. */
const FROM_INVITE = `<recv request="INVITE"><action>
    <ereg regexp="&lt;(sip:[^&gt;]*)&gt;" search_in="hdr" header="Contact:" assign_to="all,contact"/>
    <ereg regexp="&lt;.*" search_in="hdr" header="From:" assign_to="from"/>
    <ereg regexp="&lt;.*" search_in="hdr" header="To:" assign_to="to"/>
  </action></recv>
  <Reference variables="all"/>`;

/** A request of the called SIPp's, within the dialog. */
function inside(method: string, cseq: number, body = ''): string {
  return send(
    [
      `${method} [$contact] SIP/2.0`,
      `Via: SIP/2.0/[transport] [local_ip]:[local_port];rport;branch=[branch]`,
      'Max-Forwards: 70',
      'From:[$to];tag=sipp[call_number]',
      'To:[$from]',
      'Call-ID: [call_id]',
      `CSeq: ${cseq} ${method}`,
      'Contact: <sip:sipp@[local_ip]:[local_port];transport=[transport]>',
      ...(body === '' ? [] : ['Content-Type: application/sdp']),
    ],
    body,
  );
}

function calls(
  deps: EventDeps,
  port: number,
  protocol: 'udp' | 'tcp',
  more: Partial<InviteSessionOptions> = {},
): { session: InviteSession; states: Watched<SessionState> } {
  const states = watched<SessionState>();
  const session = createInviteSession(deps, {
    to: `sip:sipp@127.0.0.1:${port}`,
    from: 'sip:gateway7@127.0.0.1',
    offer: CHAT,
    way: { target: { protocol, host: '127.0.0.1', port, name: '127.0.0.1' } },
    onState: (state) => states.add(state),
    ...more,
  });
  return { session, states };
}

test.needs([SIPP], 'a caller that cancels while it rings gets 487', () =>
  scene('udp', async ({ deps, remote }) => {
    const { ends } = answering(deps, { accept: false });
    const sipp = await startSipp({
      scenario: scenario(
        ask('INVITE', 1, [], SDP(1), 'z9hG4bK-[call_id]'),
        maybe(100),
        take(180),
        // SIPp would put the tag of the 180 into To, where a CANCEL has the To of its INVITE.
        ask('CANCEL', 1, [], '', 'z9hG4bK-[call_id]').replace('[peer_tag_param]', ''),
        take(200),
        take(487),
        ask('ACK', 1, [], '', 'z9hG4bK-[call_id]'),
      ),
      remote,
      calls: 10,
    });
    await sipp.done;
    await ends.until(() => ends.seen.length === 10);
    assert.ok(ends.seen.every((one) => one === 'cancelled'));
  }),
);

test.needs([SIPP], 'a caller whose ACK comes late hears the 200 again, and is in the session', () =>
  scene('udp', async ({ deps, remote, sent }) => {
    const { states } = answering(deps, { ring: false });
    const sipp = await startSipp({
      scenario: scenario(
        ask('INVITE', 1, [], SDP(1)),
        maybe(100),
        take(200),
        pause(1_200),
        ask('ACK', 1),
        pause(200),
        ask('BYE', 2),
        take(200),
      ),
      remote,
    });
    await sipp.done;
    assert.ok(count(sent, '200 INVITE') >= 1);
    assert.equal(
      states.seen.map((one) => one.kind),
      ['accepted', 'established', 'ended'],
    );
    assert.ok(
      sipp.output().some((line) => /200 <-+\s+1\s+[1-9]/.test(line)),
      sipp.output().slice(-40).join('\n'),
    );
  }),
);

test.needs([SIPP], '100rel in Require gets 420, PRACK and UPDATE in the dialog 405, audio alone 488', () =>
  scene('udp', async ({ deps, remote }) => {
    answering(deps, { ring: false });
    const sipp = await startSipp({
      scenario: scenario(
        ask('INVITE', 1, ['Require: 100rel'], SDP(1), 'z9hG4bK-1-[call_id]'),
        '<recv response="420"><action><ereg regexp="100rel" search_in="hdr" header="Unsupported:" check_it="true" assign_to="u"/></action></recv><Reference variables="u"/>',
        ask('ACK', 1, [], '', 'z9hG4bK-1-[call_id]'),
        ask('INVITE', 2, [], SDP(1, AUDIO), 'z9hG4bK-2-[call_id]').replace('[peer_tag_param]', ''),
        take(488),
        ask('ACK', 2, [], '', 'z9hG4bK-2-[call_id]'),
        ask('INVITE', 3, [], SDP(1)).replace('[peer_tag_param]', ''),
        maybe(100),
        take(200),
        ask('ACK', 3),
        ask('PRACK', 4, ['RAck: 1 3 INVITE']),
        '<recv response="405"><action><ereg regexp="INVITE.*BYE" search_in="hdr" header="Allow:" check_it="true" assign_to="a"/></action></recv><Reference variables="a"/>',
        ask('UPDATE', 5, [], SDP(2)),
        take(405),
        ask('BYE', 6),
        take(200),
      ),
      remote,
    });
    await sipp.done;
  }),
);

test.needs([SIPP], 'a called side that loses our ACKs and repeats its 200 gets each one acknowledged', () =>
  scene('udp', async ({ deps }) => {
    const sipp = await startSipp({
      // SIPp throws every fifth ACK away, sends its 200 again after 100 ms, and says BYE once an ACK got through.
      scenario: scenario(
        FROM_INVITE,
        say('200 OK', [], SDP(1)).replace('<send>', '<send retrans="100">'),
        '<recv request="ACK" lost="20"/>',
        inside('BYE', 1),
        take(200),
      ),
      calls: 1_000,
      limit: 50_000,
    });
    let copies = 0;
    deps.stack.onTrace((direction, _flow, message) => {
      if (direction === 'in' && message.kind === 'response' && message.cseq?.method === 'INVITE') copies += 1;
    });
    const wanted = 60;
    for (let i = 0; i < wanted; i += 1) {
      const { states } = calls(deps, sipp.port, 'udp');
      const end = await states.until((one) => one.kind === 'ended', 30_000);
      assert.equal(end, { kind: 'ended', cause: { kind: 'bye', by: 'peer' } });
    }
    await sipp.stop();
    assert.ok(copies > wanted, `${copies} answers to ${wanted} calls`);
  }),
);

test.needs([SIPP], 'given up while sipp rings: CANCEL, 487, ACK', () =>
  scene('udp', async ({ deps }) => {
    const sipp = await startSipp({
      scenario: scenario(
        awaiting('INVITE'),
        say('180 Ringing'),
        awaiting('CANCEL'),
        say('200 OK'),
        say('487 Request Terminated', [], '', 'CSeq: 1 INVITE'),
        awaiting('ACK'),
      ),
      limit: 15_000,
    });
    const { session, states } = calls(deps, sipp.port, 'udp');
    await states.until((one) => one.kind === 'early');
    await within(session.bye(), 5_000, 'the end');
    assert.equal(session.state, { kind: 'ended', cause: { kind: 'cancelled', by: 'us' } });
    await sipp.done;
  }),
);

test.needs(
  [SIPP],
  'a challenge of sipp’s, which checks the answer; its offer in the 200, ours in the ACK',
  () =>
    scene('udp', async ({ deps }) => {
      const sipp = await startSipp({
        scenario: scenario(
          awaiting('INVITE'),
          say('407 Proxy Authentication Required', [
            'Proxy-Authenticate: Digest realm="test.local", nonce="47364c23432d2e131a5fb210812c", qop="auth"',
          ]),
          awaiting('ACK'),
          `<recv request="INVITE"><action>
           <verifyauth assign_to="authed" username="gateway7" password="pump"/>
           <strcmp assign_to="right" variable="authed" value="1"/>
         </action></recv><Reference variables="right"/>`,
          say('200 OK', [], SDP(1)),
          `<recv request="ACK"><action>
           <ereg regexp="m=message 7394" search_in="body" check_it="true" assign_to="answered"/>
           <ereg regexp="gateway7" search_in="hdr" header="Proxy-Authorization:" check_it="true" assign_to="signed"/>
         </action></recv><Reference variables="answered,signed"/>`,
          awaiting('BYE'),
          sayInside('200 OK'),
        ),
        limit: 15_000,
      });
      const requests: SipRequest[] = [];
      deps.stack.onTrace((direction, _flow, message) => {
        if (direction === 'out' && message.kind === 'request') requests.push(message);
      });
      const { session, states } = calls(deps, sipp.port, 'udp', {
        offer: undefined,
        onOffer: () => CHAT,
        credentials: createDigestClient(deps, { username: 'gateway7', password: 'pump' }),
      });
      await states.until((one) => one.kind === 'established');
      await within(session.bye(), 5_000, 'the BYE');
      await sipp.done;
      assert.equal(
        requests.map((one) => `${one.method} ${one.cseq?.number}`),
        ['INVITE 1', 'ACK 1', 'INVITE 2', 'ACK 2', 'BYE 3'],
      );
    }),
);
