import { type InviteSession, parseSdp, type SessionHooks, type SipRequest } from 'tiny-sip';
import * as assert from 'uvu/assert';
import { suite } from '../../support/harness.ts';
import { createRig, text } from '../rig.ts';
import { audioLines, bodyOf, callee, chat, messageLines, sdp } from './calls.ts';

const test = suite('tiny-sip callees', { timeout: 60_000 });

const us = { host: '10.0.0.1', port: 5060 };
const bob = 'sip:bob@10.0.0.1';

interface Say {
  readonly method: string;
  readonly cseq: number;
  readonly body?: string;
  readonly headers?: readonly string[];
  readonly contact?: string;
  /** The To tag is ours. */
  readonly inside?: boolean;
  readonly branch?: string;
  readonly callId?: string;
}

async function scene(options: Parameters<typeof callee>[2] = {}, protocol: 'udp' | 'memory' = 'udp') {
  const rig = createRig({ protocol });
  const stack = await rig.stack('10.0.0.1');
  const peer = await rig.peer('10.0.0.9');
  const back = callee(rig, stack, options);
  const tag = (): string => peer.responses().find((one) => one.toTag !== undefined)?.toTag ?? '';
  const say = async (what: Say): Promise<void> => {
    const { method, cseq, body = '' } = what;
    peer.send(
      us,
      text(method, bob, {
        branch: what.branch ?? `z9hG4bK${method}${cseq}`,
        callId: what.callId ?? 'call-1',
        cseq,
        to: what.inside === false ? `<${bob}>` : `<${bob}>;tag=${tag()}`,
        headers: [
          `Contact: ${what.contact ?? '<sip:alice@10.0.0.9>'}`,
          ...(body === '' ? [] : ['Content-Type: application/sdp']),
          ...(what.headers ?? []),
        ],
        body,
      }),
    );
    await rig.clock.settle();
  };
  return {
    rig,
    clock: rig.clock,
    stack,
    peer,
    back,
    say,
    invite: (body = sdp('10.0.0.9'), more: Partial<Say> = {}) =>
      say({ method: 'INVITE', cseq: 1, body, inside: false, ...more }),
    statuses: () => peer.responses().map((one) => one.status),
  };
}

type Scene = Awaited<ReturnType<typeof scene>>;

async function established(hooks: SessionHooks = {}): Promise<Scene & { session: InviteSession }> {
  const all = await scene();
  await all.invite();
  const session = all.back.accept(hooks, chat('10.0.0.1'));
  await all.clock.settle();
  await all.say({ method: 'ACK', cseq: 1 });
  assert.equal(all.back.states, ['accepted', 'established']);
  all.peer.received.length = 0;
  // What is asked inside still carries our tag.
  const tag = all.back.invitations[0]?.incoming.toTag ?? '';
  const say = (what: Say): Promise<void> => {
    all.peer.send(
      us,
      text(what.method, bob, {
        branch: what.branch ?? `z9hG4bK${what.method}${what.cseq}`,
        cseq: what.cseq,
        to: `<${bob}>;tag=${tag}`,
        headers: [
          `Contact: ${what.contact ?? '<sip:alice@10.0.0.9>'}`,
          ...((what.body ?? '') === '' ? [] : ['Content-Type: application/sdp']),
          ...(what.headers ?? []),
        ],
        body: what.body ?? '',
      }),
    );
    return all.clock.settle();
  };
  return { ...all, say, session };
}

async function empty({ rig, stack }: Pick<Scene, 'rig' | 'stack'>): Promise<void> {
  await rig.clock.advance(70_000);
  const counts = stack.counts();
  for (const name of ['transactions.client', 'transactions.server', 'dialogs'])
    assert.is(counts[name], 0, name);
  assert.is(counts.sessions ?? 0, 0);
  assert.is(counts.invitations ?? 0, 0);
  assert.is(rig.clock.pending(), 0);
  assert.equal(
    rig.log.lines.filter((line) => line.level === 'error'),
    [],
  );
}

const shape = (request: SipRequest): string => `${request.method} ${request.cseq?.number}`;

/** Monotonic times at which the answers of a status came, ms after `start`. */
async function arrivals(all: Scene, status: number, ms: number): Promise<number[]> {
  const start = all.clock.now();
  const times: number[] = [];
  let seen = all.peer.responses(status).length;
  for (let t = 0; t < ms; t += 100) {
    await all.clock.advance(100);
    const now = all.peer.responses(status).length;
    for (; seen < now; seen += 1) times.push(all.clock.now() - start);
  }
  return times;
}

// UAC            UAS
//  |---INVITE---->|   offer, Record-Route
//  |<----180------|   Contact, Record-Route, tag
//  |<----200------|   answer
//  |-----ACK----->|
//  |<----BYE------|   by the route set
test('S16, S23: ringing, accepting, and hanging up through a record-routing proxy', async () => {
  const all = await scene();
  const { rig, clock, stack, peer, back, invite } = all;
  const proxy = await rig.peer('10.0.0.8');
  const routes = ['<sip:10.0.0.8;lr;x=1>', '<sip:p2.example.com;lr>'];
  await invite(undefined, { headers: [`Record-Route: ${routes[0]}`, `Record-Route: ${routes[1]}`] });
  assert.is(stack.counts().invitations, 1);
  const [invitation] = back.invitations;
  assert.is(invitation?.from?.uri, 'sip:alice@example.com');
  assert.is(invitation?.offer?.media[0]?.port, 2855);
  invitation?.ring();
  await clock.settle();
  const [ringing] = peer.responses(180);
  assert.equal(ringing?.all('Record-Route'), routes);
  assert.is(ringing?.get('Contact'), '<sip:bob@10.0.0.1:5060>');
  const session = back.accept({}, chat('10.0.0.1'));
  await clock.settle();
  const [ok] = peer.responses(200);
  assert.is(ok?.toTag, ringing?.toTag);
  assert.equal(ok?.all('Record-Route'), routes);
  assert.is(ok?.get('Contact'), '<sip:bob@10.0.0.1:5060>');
  assert.ok(ok?.all('Allow').includes('BYE'));
  assert.is(ok?.contentType?.essence, 'application/sdp');
  assert.is(parseSdp(ok?.body ?? '').media[0]?.port, 7394);
  assert.is(stack.counts().sessions, 1);
  assert.is(stack.counts().invitations, 0);
  assert.is(back.server.sessions.size, 1);
  await all.say({ method: 'ACK', cseq: 1 });
  assert.equal(back.states, ['accepted', 'established']);
  const gone = session.bye();
  await clock.settle();
  const bye = proxy.last('BYE');
  assert.is(bye.uri, 'sip:alice@10.0.0.9');
  assert.equal(bye.all('Route'), routes);
  assert.is(bye.get('From'), `<${bob}>;tag=${ok?.toTag}`);
  assert.is(bye.get('To'), '<sip:alice@example.com>;tag=alice');
  assert.is(bye.get('CSeq'), '1 BYE');
  proxy.answer(bye, 200);
  await gone;
  assert.is(back.server.sessions.size, 0);
  await empty(all);
});

for (const protocol of ['udp', 'memory'] as const) {
  // UAC            UAS
  //  |---INVITE---->|
  //  |<----200------|   0, 0.5, 1.5, 3.5, 7.5, 11.5 … also on streams
  //  |     …        |   no ACK for 32 s
  //  |<----BYE------|
  test(`RFC 3261 §13.3.1.4: a 2xx without its ACK is repeated, and after 32 s there is BYE, ${protocol}`, async () => {
    const all = await scene({}, protocol);
    const { clock, peer, back, invite } = all;
    await invite();
    back.accept({}, chat('10.0.0.1'));
    await clock.settle();
    const times = await arrivals(all, 200, 31_900);
    assert.equal(times, [500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]);
    assert.is(new Set(peer.responses(200).map((one) => one.text())).size, 1);
    assert.is(peer.requests('BYE').length, 0);
    await clock.advance(500);
    assert.equal(peer.requests().map(shape), ['BYE 1']);
    assert.equal(back.states, ['accepted', 'ended unacknowledged']);
    peer.answer(peer.last('BYE'), 481);
    await empty(all);
  });
}

// UAC            UAS
//  |---INVITE---->|
//  |   X----200---|
//  |---INVITE---->|   absorbed
//  |<----200------|   after 0.5 s
//  |-----ACK--X   |
//  |<----200------|   after 1.5 s
//  |-----ACK----->|   quiet now
//  |-----ACK----->|   nothing
test('a lost 200 and a lost ACK: repeated until an ACK comes, the INVITE is absorbed', async () => {
  const all = await scene();
  const { clock, back, invite, statuses } = all;
  await invite();
  back.accept({}, chat('10.0.0.1'));
  await clock.settle();
  await invite();
  assert.equal(statuses(), [200]);
  assert.is(back.invitations.length, 1);
  await clock.advance(1_600);
  assert.equal(statuses(), [200, 200, 200]);
  // An ACK of another INVITE counts for nothing.
  await all.say({ method: 'ACK', cseq: 7 });
  assert.equal(back.states, ['accepted']);
  await all.say({ method: 'ACK', cseq: 1 });
  await all.say({ method: 'ACK', cseq: 1, branch: 'z9hG4bKagain' });
  await clock.advance(10_000);
  assert.equal(statuses(), [200, 200, 200]);
  assert.equal(back.states, ['accepted', 'established']);
  await all.say({ method: 'BYE', cseq: 2 });
  assert.equal(back.states.at(-1), 'ended bye peer');
  await empty(all);
});

// UAC            UAS
//  |---INVITE---->|   no offer
//  |<----200------|   our offer
//  |-----ACK----->|   answer
test('an INVITE without an offer: ours is in the 2xx, the answer in the ACK', async () => {
  const all = await scene();
  const { clock, back, invite } = all;
  await invite('');
  assert.is(back.invitations[0]?.offer, undefined);
  const session = back.accept({}, chat('10.0.0.1'));
  await clock.settle();
  assert.is(session.parameters, undefined);
  await all.say({ method: 'ACK', cseq: 1, body: sdp('10.0.0.9', 3) });
  assert.equal(back.states, ['accepted', 'established']);
  assert.is(session.parameters?.remote.origin.version, '3');
  await all.say({ method: 'BYE', cseq: 2 });
  await empty(all);
});

test('an ACK that ought to bring an answer and brings none, or a wrong one: BYE', async () => {
  for (const body of ['', 'v=1\r\n', sdp('10.0.0.9', 1, []), sdp('10.0.0.9', 1, audioLines)]) {
    const all = await scene();
    const { clock, peer, back, invite } = all;
    await invite('');
    back.accept({}, chat('10.0.0.1'));
    await clock.settle();
    await all.say({ method: 'ACK', cseq: 1, body });
    assert.equal(back.states, ['accepted', 'ended unacceptable'], JSON.stringify(body));
    peer.answer(peer.last('BYE'), 200);
    await empty(all);
  }
});

test('an offer of several media: what is not answered gets port 0, in its place', async () => {
  const all = await scene();
  const { clock, peer, back, invite } = all;
  await invite(
    sdp('10.0.0.9', 1, [
      ...audioLines,
      ...messageLines('10.0.0.9'),
      'm=message 0 TCP/MSRP *',
      'm=video 5000/2 RTP/AVP 31 32',
    ]).replace('t=0 0', 't=3034423619 3042462419'),
  );
  const ours = chat('10.0.0.1').media[0];
  back.accept({}, { ...chat('10.0.0.1'), media: [undefined, ours, ours] } as never);
  await clock.settle();
  const answer = peer.responses(200)[0]?.text() ?? '';
  assert.equal(
    parseSdp(answer).media.map((one) => [one.media, one.port, one.formats.join(' ')]),
    [
      ['audio', 0, '0'],
      ['message', 7394, '*'],
      ['message', 0, '*'],
      ['video', 0, '31'],
    ],
  );
  assert.match(answer, /\r\nt=3034423619 3042462419\r\n/, 'RFC 3264 §6: the time of the offer');
  await all.say({ method: 'ACK', cseq: 1 });
  await all.say({ method: 'BYE', cseq: 2 });
  await empty(all);
});

test('what cannot become a session is refused, and nobody is asked', async () => {
  const table: readonly (readonly [what: string, say: Partial<Say>, status: number, header?: RegExp])[] = [
    ['audio only', { body: sdp('h', 1, audioLines) }, 488, /304/],
    ['a message session with port 0', { body: sdp('h', 1, ['m=message 0 TCP/MSRP *']) }, 488],
    ['no media', { body: sdp('h', 1, []) }, 488],
    ['no description', { body: 'v=0\r\nhello' }, 400],
    ['another type', { headers: ['Content-Type: text/plain'], body: '' }, 415],
    ['encoded', { headers: ['Content-Encoding: deflate'] }, 415],
    ['a description for rendering', { headers: ['Content-Disposition: render'] }, 415],
    ['no usable Contact', { contact: '<tel:+1>' }, 400],
    ['100rel', { headers: ['Require: 100rel'] }, 420],
  ];
  for (const [what, say, status, header] of table) {
    const all = await scene();
    if (what === 'another type')
      all.peer.send(
        us,
        text('INVITE', bob, { headers: ['Contact: <sip:a@h>', 'Content-Type: text/plain'], body: 'hello' }),
      );
    else await all.invite(say.body ?? sdp('10.0.0.9'), say);
    await all.clock.settle();
    assert.equal(all.statuses(), [status], what);
    assert.is(all.back.invitations.length, 0, what);
    if (status === 415) assert.is(all.peer.responses(415)[0]?.get('Accept'), 'application/sdp');
    if (header !== undefined) assert.match(all.peer.responses()[0]?.get('Warning') ?? '', header);
    await all.say({ method: 'ACK', cseq: 1, branch: 'z9hG4bKINVITE1' });
    await empty(all);
  }
});

test('a body that need not be handled is passed over', async () => {
  const all = await scene();
  all.peer.send(
    us,
    text('INVITE', bob, {
      headers: [
        'Contact: <sip:a@10.0.0.9>',
        'Content-Type: image/png',
        'Content-Disposition: icon;handling=optional',
      ],
      body: 'x',
    }),
  );
  await all.clock.settle();
  assert.is(all.back.invitations[0]?.offer, undefined);
  assert.is(all.back.invitations.length, 1);
  all.back.invitations[0]?.reject(486);
  await all.clock.settle();
  await all.say({ method: 'ACK', cseq: 1, branch: 'z9hG4bKtest' });
  await empty(all);
});

test('an INVITE in a dialog that is not here gets 481', async () => {
  const all = await scene();
  all.peer.send(us, text('INVITE', bob, { to: `<${bob}>;tag=gone`, headers: ['Contact: <sip:a@h>'] }));
  await all.clock.settle();
  assert.equal(all.statuses(), [481]);
  assert.is(all.back.invitations.length, 0);
});

test('media that the user can take are the user’s choice', async () => {
  const all = await scene({ accepts: (media) => media.media === 'audio' });
  await all.invite(sdp('h', 1, audioLines));
  assert.is(all.back.invitations.length, 1);
  all.back.invitations[0]?.reject(603, { reason: 'No' });
  await all.clock.settle();
  assert.is(all.peer.responses(603)[0]?.reason, 'No');
});

test('more than the limit: 503 with Retry-After', async () => {
  const all = await scene({ limit: 1 });
  await all.invite();
  await all.invite(sdp('10.0.0.9'), { callId: 'call-2', branch: 'z9hG4bKtwo' });
  assert.equal(all.statuses(), [503]);
  assert.ok(all.peer.responses(503)[0]?.has('Retry-After'));
  assert.is(all.back.invitations.length, 1);
  await all.back.server.stop();
  assert.is(all.stack.counts().invitations ?? 0, 0);
});

// UAC            UAS
//  |---INVITE---->|
//  |<----180------|
//  |---CANCEL---->|
//  |<----200------|
//  |<----487------|
test('CANCEL while it rings: told, and too late to accept', async () => {
  const all = await scene();
  const { clock, back, invite, statuses } = all;
  await invite();
  const [invitation] = back.invitations;
  const ends: unknown[] = [];
  invitation?.onEnd((cause) => ends.push(cause));
  invitation?.ring();
  await clock.settle();
  await all.say({ method: 'CANCEL', cseq: 1, branch: 'z9hG4bKINVITE1', inside: false });
  assert.equal(statuses(), [180, 200, 487]);
  assert.equal(ends, [{ kind: 'cancelled', by: 'peer' }]);
  assert.is(invitation?.over, true);
  assert.is(invitation?.accept(chat('10.0.0.1')), undefined);
  invitation?.ring();
  invitation?.reject(486);
  const late: unknown[] = [];
  invitation?.onEnd((cause) => late.push(cause));
  assert.equal(late, ends, 'whoever asks later learns it, too');
  await clock.settle();
  assert.equal(statuses(), [180, 200, 487]);
  await all.say({ method: 'ACK', cseq: 1, branch: 'z9hG4bKINVITE1' });
  await empty(all);
});

test('RFC 3261 §13.3.1: 487 when Expires is over, 480 when our own patience is; rings every minute until then', async () => {
  const said = await scene();
  await said.invite(undefined, { headers: ['Expires: 150'] });
  const ends: string[] = [];
  said.back.invitations[0]?.onEnd((cause) => ends.push(cause.kind));
  said.back.invitations[0]?.ring();
  await said.clock.advance(149_000);
  assert.equal(said.statuses(), [180, 180, 180]);
  await said.clock.advance(1_600);
  assert.is(said.statuses()[3], 487);
  assert.equal(ends, ['expired']);
  await said.say({ method: 'ACK', cseq: 1, branch: 'z9hG4bKINVITE1' });
  await empty(said);

  const unsaid = await scene({ patience: 30 });
  await unsaid.invite();
  await unsaid.clock.advance(30_400);
  assert.equal(unsaid.statuses(), [100, 480]);
  await unsaid.say({ method: 'ACK', cseq: 1, branch: 'z9hG4bKINVITE1' });
  await empty(unsaid);
});

test('an INVITE that is to wait for years is refused when our own patience is over', async () => {
  const all = await scene({ patience: 90 });
  await all.invite(undefined, { headers: ['Expires: 4294967295'] });
  all.back.invitations[0]?.ring();
  await all.clock.advance(90_400);
  assert.equal(all.statuses(), [180, 180, 480]);
  await all.say({ method: 'ACK', cseq: 1, branch: 'z9hG4bKINVITE1' });
  await empty(all);
});

// The grammar has no quoted tags, but they pass; one with an escaped NUL could be said in no request of ours, so that
// the BYE after a missing ACK threw out of the stack.
test('an INVITE of which no dialog can be made gets 400, and nobody hears of it', async () => {
  for (const init of [
    { from: '<sip:alice@10.0.0.9>;tag="\\\0"' },
    { headers: ['Record-Route: "\\\0" <sip:proxy.example;lr>'] },
    { headers: ['Record-Route: <sip:proxy.example;lr>;x="\\\0"'] },
  ]) {
    const all = await scene();
    const headers = ['Contact: <sip:alice@10.0.0.9>', ...(init.headers ?? [])];
    all.peer.send(us, text('INVITE', bob, { ...init, headers }));
    await all.clock.settle();
    assert.equal(all.statuses(), [400]);
    assert.is(all.back.invitations.length, 0);
    const to = `<${bob}>;tag=${all.peer.responses(400)[0]?.toTag}`;
    all.peer.send(us, text('ACK', bob, { ...(init.from && { from: init.from }), to }));
    await empty(all);
  }
});

// alice                bob
//  |--INVITE------------>|  Contact: <sip:alice@h;method=INVITE?Route=…>
//  |<-------200, BYE-----|  to sip:alice@h
test('headers and method of a Contact stay out of the Request-URI (RFC 3261 §19.1.1)', async () => {
  const all = await scene();
  await all.invite(undefined, {
    contact: '<sip:a?b@10.0.0.9;method=INVITE;x=1;lr?Route=%3Csip:evil.example%3E&Subject=x>',
  });
  const session = all.back.accept({}, chat('10.0.0.1'));
  await all.clock.settle();
  await all.say({ method: 'ACK', cseq: 1 });
  void session.bye();
  await all.clock.settle();
  assert.is(all.peer.last('BYE').uri, 'sip:a?b@10.0.0.9;x=1;lr');
  all.peer.answer(all.peer.last('BYE'), 200);
  await empty(all);
});

test('rejecting, with a redirection, too; nothing below 300 is a rejection', async () => {
  const all = await scene();
  await all.invite();
  const [invitation] = all.back.invitations;
  invitation?.reject(200);
  assert.is(invitation?.over, false);
  invitation?.reject(302, { headers: { Contact: '<sip:bob@h>' } });
  await all.clock.settle();
  assert.equal(all.statuses(), [302]);
  assert.is(all.peer.responses(302)[0]?.get('Contact'), '<sip:bob@h>');
  await all.say({ method: 'ACK', cseq: 1, branch: 'z9hG4bKINVITE1' });
  await empty(all);
});

test('an answer that cannot be written throws, and the invitation stands', async () => {
  const all = await scene();
  await all.invite();
  const [invitation] = all.back.invitations;
  assert.throws(() => invitation?.accept({ ...chat('10.0.0.1'), name: 'a\nb' }));
  assert.equal(all.statuses(), []);
  assert.ok(invitation?.accept(chat('10.0.0.1')));
  await all.clock.settle();
  assert.equal(all.statuses(), [200]);
  await all.say({ method: 'ACK', cseq: 1 });
  await all.say({ method: 'BYE', cseq: 2 });
  await empty(all);
});

test('a user that throws, now or later: 500, and nothing of the invitation is left', async () => {
  for (const onInvite of [
    () => {
      throw new Error('oops');
    },
    async () => {
      await Promise.resolve();
      throw new Error('oops');
    },
  ]) {
    const all = await scene({ onInvite });
    await all.invite();
    assert.equal(all.statuses(), [500]);
    assert.is(all.stack.counts().invitations, 0);
    assert.is(all.rig.log.lines.filter((line) => line.level === 'error').length, 1);
    await all.say({ method: 'ACK', cseq: 1, branch: 'z9hG4bKINVITE1' });
    await all.clock.advance(40_000);
    assert.is(all.clock.pending(), 0);
  }
});

// UAC            UAS
//  |---INVITE---->|
//  |<----200------|
//  |              |   bye(): not before the ACK (RFC 3261 §15)
//  |-----ACK----->|
//  |<----BYE------|
test('hanging up before the ACK waits for it, or for its time to be over', async () => {
  for (const how of ['ack', 'never', 'peer'] as const) {
    const all = await scene();
    const { clock, peer, back, invite } = all;
    await invite();
    const session = back.accept({}, chat('10.0.0.1'));
    await clock.settle();
    const gone = session.bye();
    session.bye();
    await clock.advance(1_000);
    assert.is(peer.requests('BYE').length, 0);
    assert.is(session.state.kind, 'ending');
    if (how === 'ack') await all.say({ method: 'ACK', cseq: 1 });
    if (how === 'never') await clock.advance(31_300);
    if (how === 'peer') await all.say({ method: 'BYE', cseq: 2 });
    await clock.settle();
    if (how === 'peer') assert.is(peer.requests('BYE').length, 0);
    else {
      assert.is(peer.requests('BYE').length, 1);
      peer.answer(peer.last('BYE'), 200);
    }
    await clock.settle();
    await gone;
    assert.is(back.states.at(-1), how === 'peer' ? 'ended bye peer' : 'ended bye us');
    await empty(all);
  }
});

// UAC            UAS
//  |--INVITE 2--->|   the user thinks
//  |--INVITE 3--->|
//  |<----500 (3)--|   Retry-After 0 to 10
//  |<----200 (2)--|
//  |--INVITE 4--->|   before the ACK of 2
//  |<----500 (4)--|
//  |-----ACK 2--->|
test('RFC 3261 §14.2: an INVITE before the last one is done gets 500 with Retry-After', async () => {
  let answer: (() => void) | undefined;
  const all = await established({
    onOffer: () =>
      new Promise((resolve) => {
        answer = () => resolve(chat('10.0.0.1', 2));
      }),
  });
  const { clock, peer, session } = all;
  await all.say({ method: 'INVITE', cseq: 2, body: sdp('10.0.0.9', 2) });
  await all.say({ method: 'INVITE', cseq: 3, body: sdp('10.0.0.9', 3) });
  answer?.();
  await clock.settle();
  await all.say({ method: 'INVITE', cseq: 4, body: sdp('10.0.0.9', 4) });
  assert.equal(
    peer.responses().map((one) => [one.status, one.cseq?.number]),
    [
      [500, 3],
      [200, 2],
      [500, 4],
    ],
  );
  for (const one of peer.responses(500)) {
    const seconds = Number(one.get('Retry-After'));
    assert.ok(seconds >= 0 && seconds <= 10, `${seconds}`);
  }
  await all.say({ method: 'ACK', cseq: 2 });
  assert.is(session.parameters?.remote.origin.version, '2');
  await all.say({ method: 'BYE', cseq: 5 });
  await empty(all);
});

test('a new offer: answered by the user, refused by the user, kept by default, repeated', async () => {
  const answered = await established({ onOffer: () => chat('10.0.0.1', 2) });
  await answered.say({
    method: 'INVITE',
    cseq: 2,
    body: sdp('10.0.0.9', 2),
    contact: '<sip:alice@10.0.0.7>',
  });
  assert.is(parseSdp(answered.peer.responses(200)[0]?.text() ?? '').origin.version, '2');
  await answered.say({ method: 'ACK', cseq: 2 });
  const seven = await answered.rig.peer('10.0.0.7');
  answered.session.bye();
  await answered.clock.settle();
  assert.is(shape(seven.last('BYE')), 'BYE 1', 'to the new Contact');
  seven.answer(seven.last('BYE'), 200);
  await empty(answered);

  for (const onOffer of [() => undefined, () => Promise.resolve(undefined)]) {
    const refused = await established({ onOffer });
    const before = refused.session.parameters;
    await refused.say({
      method: 'INVITE',
      cseq: 2,
      body: sdp('10.0.0.9', 2),
      contact: '<sip:alice@10.0.0.7>',
    });
    assert.is(refused.peer.responses(488).length, 1);
    await refused.say({ method: 'ACK', cseq: 2, branch: 'z9hG4bKINVITE2' });
    assert.is(refused.session.parameters, before);
    refused.session.bye();
    await refused.clock.settle();
    assert.is(shape(refused.peer.last('BYE')), 'BYE 1', 'to the old Contact');
    refused.peer.answer(refused.peer.last('BYE'), 200);
    await empty(refused);
  }

  const kept = await established();
  await kept.say({
    method: 'INVITE',
    cseq: 2,
    body: sdp('10.0.0.9', 2, [...messageLines('10.0.0.9', 'two'), ...audioLines]),
  });
  assert.equal(
    kept.session.parameters?.local.media.map((one) => one.port),
    [7394, 0],
  );
  await kept.say({ method: 'ACK', cseq: 2 });
  await kept.say({ method: 'INVITE', cseq: 3, body: sdp('10.0.0.9', 3) });
  assert.is(kept.peer.responses(488).length, 1, 'RFC 3264 §8: m= lines never get fewer');
  await kept.say({ method: 'ACK', cseq: 3, branch: 'z9hG4bKINVITE3' });
  await kept.say({ method: 'BYE', cseq: 4 });
  await empty(kept);

  let asked = 0;
  const same = await established({
    onOffer: () => {
      asked += 1;
      return undefined;
    },
  });
  const local = bodyOf(same.session.parameters?.local);
  await same.say({ method: 'INVITE', cseq: 2, body: sdp('10.0.0.9', 1) });
  assert.is(same.peer.responses(200)[0]?.text(), local, 'RFC 3264 §8: the same offer, the same answer');
  assert.is(asked, 0);
  await same.say({ method: 'ACK', cseq: 2 });
  await same.say({ method: 'BYE', cseq: 3 });
  await empty(same);
});

test('a re-INVITE without an offer gets what is agreed as our offer; its ACK decides', async () => {
  const all = await established();
  const { session, peer } = all;
  await all.say({ method: 'INVITE', cseq: 2 });
  assert.is(peer.responses(200)[0]?.text(), bodyOf(session.parameters?.local));
  await all.say({ method: 'ACK', cseq: 2, body: sdp('10.0.0.9', 8) });
  assert.is(session.parameters?.remote.origin.version, '8');
  await all.say({ method: 'INVITE', cseq: 3 });
  await all.say({ method: 'ACK', cseq: 3 });
  assert.is(all.back.states.at(-1), 'ended unacceptable');
  peer.answer(peer.last('BYE'), 200);
  await empty(all);
});

test('a re-INVITE that is malformed, cancelled or met by an error leaves the session as it is', async () => {
  let fail = false;
  let answer: (() => void) | undefined;
  const all = await established({
    onOffer: () =>
      fail
        ? Promise.reject(new Error('oops'))
        : new Promise((resolve) => {
            answer = () => resolve(chat('10.0.0.1', 2));
          }),
  });
  const { clock, peer, session, rig } = all;
  const before = session.parameters;
  await all.say({ method: 'INVITE', cseq: 2, body: 'v=0\r\n' });
  await all.say({ method: 'INVITE', cseq: 3, body: sdp('10.0.0.9', 2) });
  await all.say({ method: 'CANCEL', cseq: 3, branch: 'z9hG4bKINVITE3' });
  answer?.();
  await clock.settle();
  fail = true;
  await all.say({ method: 'INVITE', cseq: 4, body: sdp('10.0.0.9', 3) });
  assert.equal(
    peer.responses().map((one) => [one.status, one.cseq?.method]),
    [
      [400, 'INVITE'],
      [200, 'CANCEL'],
      [487, 'INVITE'],
      [500, 'INVITE'],
    ],
  );
  for (const cseq of [2, 3, 4]) await all.say({ method: 'ACK', cseq, branch: `z9hG4bKINVITE${cseq}` });
  assert.is(session.parameters, before);
  assert.is(session.state.kind, 'established');
  assert.is(rig.log.lines.filter((line) => line.level === 'error').length, 1);
  rig.log.lines.length = 0;
  await all.say({ method: 'BYE', cseq: 5 });
  await empty(all);
});

test('RFC 3261 §15.1.2: BYE while a re-INVITE waits for the user: that gets 487', async () => {
  for (const by of ['peer', 'us'] as const) {
    const all = await established({ onOffer: () => new Promise(() => undefined) });
    const { clock, peer, session } = all;
    await all.say({ method: 'INVITE', cseq: 2, body: sdp('10.0.0.9', 2) });
    if (by === 'peer') await all.say({ method: 'BYE', cseq: 3 });
    else {
      session.bye();
      await clock.settle();
      peer.answer(peer.last('BYE'), 200);
    }
    await clock.settle();
    assert.is(peer.responses(487).length, 1);
    await all.say({ method: 'ACK', cseq: 2, branch: 'z9hG4bKINVITE2' });
    assert.is(all.back.states.at(-1), `ended bye ${by}`);
    await empty(all);
  }
});

// UAC            UAS
//  |<--INVITE-----|
//  |-----491----->|
//  |  0 to 2 s    |   theirs is the Call-ID
//  |<--INVITE-----|
test('RFC 3261 §14.1: after 491 the other side than the owner of the Call-ID waits 0 to 2 s', async () => {
  const all = await established();
  const { clock, peer, session } = all;
  for (let i = 0; i < 4; i += 1) {
    session.reoffer(chat('10.0.0.1', i + 2));
    await clock.settle();
    const before = peer.requests('INVITE').length;
    peer.answer(peer.last('INVITE'), 491, {}, undefined, 'alice');
    await clock.settle();
    const at = clock.now();
    while (peer.requests('INVITE').length === before && clock.now() - at < 3_000) await clock.advance(10);
    assert.ok(clock.now() - at <= 2_000, `${clock.now() - at} ms`);
    peer.answer(
      peer.last('INVITE'),
      200,
      { Contact: '<sip:alice@10.0.0.9>', 'Content-Type': 'application/sdp' },
      sdp('10.0.0.9', i + 2),
      'alice',
    );
    await clock.settle();
    assert.is(session.parameters?.remote.origin.version, String(i + 2));
  }
  await all.say({ method: 'BYE', cseq: 2 });
  await empty(all);
});

test('stop refuses what waits, and says BYE to the rest', async () => {
  const all = await established();
  const { clock, peer, back } = all;
  peer.send(
    us,
    text('INVITE', bob, {
      branch: 'z9hG4bKsecond',
      callId: 'call-2',
      headers: ['Contact: <sip:a@10.0.0.9>', 'Content-Type: application/sdp'],
      body: sdp('10.0.0.9'),
    }),
  );
  await clock.settle();
  let stopped = false;
  back.server.stop().then(() => {
    stopped = true;
  });
  await clock.settle();
  assert.is(peer.responses(480).length, 1);
  assert.is(stopped, false);
  peer.answer(peer.last('BYE'), 200);
  await clock.settle();
  assert.is(stopped, true);
  peer.send(
    us,
    text('INVITE', bob, { branch: 'z9hG4bKthird', callId: 'call-3', headers: ['Contact: <sip:a@h>'] }),
  );
  await clock.settle();
  assert.is(peer.responses(480).length, 2);
  await clock.advance(40_000);
  assert.is(clock.pending(), 0);
});
