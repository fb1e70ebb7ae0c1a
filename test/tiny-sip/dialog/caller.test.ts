import {
  createDigestClient,
  parseSdp,
  type SessionParameters,
  type SipRequest,
  SipSyntaxError,
} from 'tiny-sip';
import * as assert from 'uvu/assert';
import { createFakeRandom } from '../../support/fake-random.ts';
import { suite } from '../../support/harness.ts';
import { createRig, type Peer, type Rig, text } from '../rig.ts';
import { answer200, audioLines, type Caller, call, chat, messageLines, sdp, withSdp } from './calls.ts';

const test = suite('tiny-sip callers', { timeout: 60_000 });

const us = { host: '10.0.0.1', port: 5060 };

async function scene(options: Parameters<typeof call>[2] = {}) {
  const rig = createRig();
  const stack = await rig.stack('10.0.0.1');
  const peer = await rig.peer('10.0.0.2');
  const { session, states } = call(rig, stack, options);
  await rig.clock.settle();
  return { rig, clock: rig.clock, stack, peer, session, states };
}

type Scene = Awaited<ReturnType<typeof scene>>;

async function established(options: Parameters<typeof call>[2] = {}): Promise<Scene> {
  const all = await scene(options);
  answer200(all.peer);
  await all.clock.settle();
  assert.is(all.states.at(-1), 'established');
  return all;
}

/** A request of the peer's in the dialog of its last INVITE from us. */
function inside(
  peer: Peer,
  method: string,
  cseq: number,
  headers: readonly string[] = [],
  body = '',
  tag = 'peer',
): string {
  const invite = peer.requests('INVITE')[0];
  return text(method, 'sip:alice@10.0.0.1', {
    via: `Via: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bK${method}${cseq}${tag};rport`,
    from: `<sip:bob@10.0.0.2>;tag=${tag}`,
    to: `<sip:alice@10.0.0.1>;tag=${invite?.fromTag}`,
    callId: invite?.callId ?? '',
    cseq,
    headers: [
      'Contact: <sip:bob@10.0.0.2>',
      ...(body === '' ? [] : ['Content-Type: application/sdp']),
      ...headers,
    ],
    body,
  });
}

async function empty({ rig, stack }: { rig: Rig; stack: Scene['stack'] }): Promise<void> {
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

test('the INVITE: offer, Contact, Allow, Accept, and its own headers', async () => {
  const { peer, session, clock } = await scene({
    expires: 60,
    displayName: 'Alice "A" ß',
    headers: { Subject: 'pump' },
  });
  const invite = peer.last('INVITE');
  assert.is(invite.uri, 'sip:bob@10.0.0.2');
  assert.is(invite.from?.display, 'Alice "A" ß');
  assert.is(invite.get('Contact'), '<sip:alice@10.0.0.1:5060>');
  assert.equal(invite.all('Allow'), ['INVITE', 'ACK', 'CANCEL', 'BYE', 'OPTIONS']);
  assert.is(invite.get('Accept'), 'application/sdp');
  assert.is(invite.get('Subject'), 'pump');
  assert.is(invite.expires, 60);
  assert.is(invite.callId, session.callId);
  const offer = parseSdp(invite.body);
  assert.is(offer.origin.version, '1');
  assert.is(offer.media[0]?.port, 7394);
  session.bye();
  await clock.advance(33_000);
});

test('an offer that may not be written is refused before anything is sent', async () => {
  const rig = createRig();
  const stack = await rig.stack('10.0.0.1');
  assert.throws(
    () => call(rig, stack, { offer: { ...chat('10.0.0.1'), name: 'a\r\nb' } }),
    (error: unknown) => error instanceof SipSyntaxError,
  );
  assert.is(stack.counts().dialogs, 0);
  assert.is(rig.clock.pending(), 0);
});

// Alice   P1(10.0.0.3)  P2(10.0.0.4)   Bob
//  |--INVITE------------------------------>|
//  |<-200, Record-Route: P2, P1------------|
//  |--ACK---->|   Route: P1, P2; Request-URI is Bob's Contact
//  |--INVITE->|   re-INVITE by the same way
//  |--BYE---->|   to the Contact that the re-INVITE's 200 brought
test('S16, S23: requests in the dialog take the reversed route set, the Contact, and the dialog’s From and To', async () => {
  const { rig, clock, stack, peer, session, states } = await scene();
  const proxy = await rig.peer('10.0.0.3');
  answer200(peer, undefined, {
    'Record-Route': ['<sip:10.0.0.4;lr;x=2>', '<sip:10.0.0.3;lr>'],
    Contact: '<sip:bob@192.0.2.9:7000;line=1>',
  });
  await clock.settle();
  const routes = ['<sip:10.0.0.3;lr>', '<sip:10.0.0.4;lr;x=2>'];
  const check = (request: SipRequest, uri: string, cseq: string): void => {
    assert.is(request.uri, uri);
    assert.equal(request.all('Route'), routes);
    assert.is(request.get('CSeq'), cseq);
    assert.is(request.get('From'), peer.last('INVITE').get('From'));
    assert.is(request.get('To'), '<sip:bob@10.0.0.2>;tag=peer');
    assert.is(request.vias.length, 1);
    assert.is(request.maxForwards, 70);
  };
  check(proxy.last('ACK'), 'sip:bob@192.0.2.9:7000;line=1', '1 ACK');
  assert.is(peer.requests('ACK').length, 0);

  const again = session.reoffer();
  await clock.settle();
  check(proxy.last('INVITE'), 'sip:bob@192.0.2.9:7000;line=1', '2 INVITE');
  assert.is(proxy.last('INVITE').get('Contact'), '<sip:alice@10.0.0.1:5060>');
  // A Record-Route in it changes nothing (RFC 3261 §12.2).
  answer200(proxy, sdp('10.0.0.2', 2), {
    'Record-Route': '<sip:10.0.0.9;lr>',
    Contact: '<sip:bob@192.0.2.10>',
  });
  await clock.settle();
  assert.is((await again).kind, 'accepted');
  check(proxy.last('ACK'), 'sip:bob@192.0.2.10', '2 ACK');

  session.bye();
  await clock.settle();
  check(proxy.last('BYE'), 'sip:bob@192.0.2.10', '3 BYE');
  proxy.answer(proxy.last('BYE'), 200);
  await clock.settle();
  assert.is(states.at(-1), 'ended bye us');
  await empty({ rig, stack });
});

// UAC            UAS
//  |---INVITE---->|
//  |<----200------|
//  |-----ACK---X  |   lost
//  |<----200------|   as often as it comes
//  |-----ACK----->|   the same bytes
test('RFC 3261 §13.2.2.4: every copy of the 2xx is acknowledged again, for 32 s', async () => {
  const all = await established();
  const { peer, clock, session } = all;
  for (let i = 0; i < 3; i += 1) {
    answer200(peer);
    await clock.settle();
  }
  const acks = peer.requests('ACK');
  assert.is(acks.length, 4);
  assert.is(new Set(acks.map((ack) => ack.get('Via'))).size, 1, 'the same bytes each time');
  assert.is.not(acks[0]?.topVia?.branch, peer.last('INVITE').topVia?.branch);
  await clock.advance(33_000);
  answer200(peer);
  await clock.settle();
  assert.is(peer.requests('ACK').length, 4, 'too late: a stray');
  session.bye();
  await clock.settle();
  assert.is(shape(peer.last('BYE')), 'BYE 2');
  peer.answer(peer.last('BYE'), 200);
  await empty(all);
});

// UAC            fork     UAS a   UAS b
//  |---INVITE---->|--------->|      |
//  |              |-----------------|
//  |<---180 a---------------|       |
//  |<---180 b-----------------------|
//  |<---200 b-----------------------|   the session
//  |----ACK b---------------------->|
//  |<---200 a---------------|
//  |----ACK a-------------->|
//  |----BYE a-------------->|
test('a forked INVITE: the first 2xx is the session, others are acknowledged and ended', async () => {
  const all = await scene();
  const { rig, clock, peer, session, states } = all;
  const a = await rig.peer('10.0.0.5');
  const b = await rig.peer('10.0.0.6');
  const invite = peer.last('INVITE');
  peer.answer(invite, 180, { Contact: '<sip:a@10.0.0.5>' }, undefined, 'a');
  peer.answer(invite, 180, { Contact: '<sip:b@10.0.0.6>' }, undefined, 'b');
  await clock.settle();
  answer200(peer, sdp('10.0.0.6'), { Contact: '<sip:b@10.0.0.6>' }, 'b');
  await clock.settle();
  answer200(peer, sdp('10.0.0.5'), { Contact: '<sip:a@10.0.0.5>' }, 'a');
  await clock.settle();
  assert.equal(states, ['inviting', 'early 180', 'early 180', 'established']);
  assert.is(session.parameters?.remote.origin.address, '10.0.0.6');
  assert.equal(b.requests().map(shape), ['ACK 1']);
  assert.equal(a.requests().map(shape), ['ACK 1', 'BYE 2']);
  assert.is(a.last('BYE').toTag, 'a');
  answer200(peer, sdp('10.0.0.5'), { Contact: '<sip:a@10.0.0.5>' }, 'a');
  await clock.settle();
  assert.is(a.requests('ACK').length, 2, 'a copy of the other 2xx is acknowledged, too');
  assert.is(a.requests('BYE').length, 1);
  // The other one hangs up by itself at the same time.
  peer.send(us, inside(peer, 'BYE', 1, [], '', 'a'));
  await clock.settle();
  assert.is(peer.responses(200).length, 1);
  a.answer(a.last('BYE'), 481);
  assert.is(states.at(-1), 'established');
  session.bye();
  await clock.settle();
  b.answer(b.last('BYE'), 200);
  await empty(all);
});

test('a fork with more branches than are followed: 16 are ended, the rest is logged and left', async () => {
  const all = await established();
  const { rig, clock, peer, session } = all;
  for (let i = 0; i < 20; i += 1) answer200(peer, sdp('10.0.0.2'), {}, `t${i}`);
  await clock.settle();
  assert.is(peer.requests('BYE').length, 15);
  assert.is(rig.log.lines.filter((line) => line.level === 'warn').length, 5);
  for (const bye of peer.requests('BYE')) peer.answer(bye, 200);
  session.bye();
  await clock.settle();
  peer.answer(peer.last('BYE'), 200);
  await empty(all);
});

test('RFC 3261 §13.2.1: the description of a provisional response is the answer, and the 2xx may leave it out', async () => {
  const all = await scene();
  const { clock, peer, session } = all;
  peer.answer(peer.last(), 183, { Contact: '<sip:bob@10.0.0.2>', ...withSdp }, sdp('10.0.0.2', 5));
  await clock.settle();
  peer.answer(peer.last('INVITE'), 183, { Contact: '<sip:bob@10.0.0.2>', ...withSdp }, sdp('10.0.0.2', 6));
  await clock.settle();
  assert.is(session.parameters, undefined);
  peer.answer(peer.last('INVITE'), 200, { Contact: '<sip:bob@10.0.0.2>' });
  await clock.settle();
  assert.is(session.parameters?.remote.origin.version, '5');
  session.bye();
  await clock.settle();
  peer.answer(peer.last('BYE'), 200);
  await empty(all);
});

// UAC            UAS
//  |---INVITE---->|   no offer
//  |<----200------|   offer
//  |-----ACK----->|   answer
test('without an offer of ours: the peer’s is answered in the ACK', async () => {
  let offered: string | undefined;
  const rig = createRig();
  const stack = await rig.stack('10.0.0.1');
  const peer = await rig.peer('10.0.0.2');
  const { session, states } = call(rig, stack, {
    offer: undefined,
    onOffer: (offer) => {
      offered = offer.origin.address;
      return Promise.resolve({ ...chat('10.0.0.1'), media: [chat('10.0.0.1').media[0], undefined] });
    },
  });
  await rig.clock.settle();
  assert.is(peer.last('INVITE').body.length, 0);
  assert.is(peer.last('INVITE').has('Content-Type'), false);
  answer200(peer, sdp('10.0.0.2', 1, [...messageLines('10.0.0.2'), ...audioLines]));
  await rig.clock.settle();
  assert.is(offered, '10.0.0.2');
  const ack = peer.last('ACK');
  assert.is(ack.contentType?.essence, 'application/sdp');
  assert.equal(
    parseSdp(ack.body).media.map((one) => [one.media, one.port]),
    [
      ['message', 7394],
      ['audio', 0],
    ],
  );
  assert.is(states.at(-1), 'established');
  answer200(peer, sdp('10.0.0.2', 1, [...messageLines('10.0.0.2'), ...audioLines]));
  await rig.clock.settle();
  assert.equal(peer.requests('ACK')[1]?.body, ack.body);
  session.bye();
  await rig.clock.settle();
  peer.answer(peer.last('BYE'), 200);
  await empty({ rig, stack });
});

test('an offering 2xx that comes again while the user decides waits for the one ACK', async () => {
  let answer: (() => void) | undefined;
  const all = await scene({
    offer: undefined,
    onOffer: () =>
      new Promise((resolve) => {
        answer = () => resolve(chat('10.0.0.1'));
      }),
  });
  const { clock, peer, session, states } = all;
  for (let i = 0; i < 3; i += 1) answer200(peer);
  await clock.settle();
  assert.is(peer.requests('ACK').length, 0);
  answer?.();
  await clock.settle();
  assert.is(peer.requests('ACK').length, 1);
  assert.ok(peer.last('ACK').body.length > 0);
  assert.equal(states, ['inviting', 'established']);
  session.bye();
  await clock.settle();
  peer.answer(peer.last('BYE'), 200);
  await empty(all);
});

test('hung up while an offer of the 2xx is decided on: ACK all the same, and BYE', async () => {
  let answer: (() => void) | undefined;
  const all = await scene({
    offer: undefined,
    onOffer: () =>
      new Promise((resolve) => {
        answer = () => resolve(chat('10.0.0.1'));
      }),
  });
  const { clock, peer, session, states } = all;
  answer200(peer);
  await clock.settle();
  session.bye();
  await clock.settle();
  answer?.();
  await clock.settle();
  assert.equal(peer.requests().map(shape).sort(), ['ACK 1', 'BYE 2', 'INVITE 1']);
  assert.is(states.at(-1), 'ended bye us');
  peer.answer(peer.last('BYE'), 200);
  await empty(all);
});

test('RFC 3261 §13.2.2.4: an offer in the 2xx that is not wanted gets a refusing answer in the ACK, then BYE', async () => {
  for (const onOffer of [() => undefined, () => Promise.reject(new Error('broken')), undefined]) {
    const rig = createRig();
    const stack = await rig.stack('10.0.0.1');
    const peer = await rig.peer('10.0.0.2');
    const { states } = call(rig, stack, { offer: undefined, onOffer });
    await rig.clock.settle();
    answer200(peer, sdp('10.0.0.2', 1, audioLines));
    await rig.clock.settle();
    assert.equal(peer.requests().map(shape), ['INVITE 1', 'ACK 1', 'BYE 2']);
    assert.equal(
      parseSdp(peer.last('ACK').body).media.map((one) => one.port),
      [0],
    );
    assert.is(states.at(-1), 'ended unacceptable');
    peer.answer(peer.last('BYE'), 200);
    await rig.clock.advance(40_000);
    assert.is(stack.counts().dialogs, 0);
    assert.is(rig.clock.pending(), 0);
  }
});

test('what is no answer to our offer: ACK, then BYE', async () => {
  const table: Record<string, readonly [body: string | undefined, headers: Record<string, string>]> = {
    none: [undefined, {}],
    'more media': [sdp('h', 1, [...messageLines('h'), ...audioLines]), withSdp],
    'no media': [sdp('h', 1, []), withSdp],
    'other media': [sdp('h', 1, audioLines), withSdp],
    'other protocol': [sdp('h', 1, ['m=message 1 TCP/TLS/MSRP *']), withSdp],
    'no description': ['v=1\r\n', withSdp],
    'another type': ['<x/>', { 'Content-Type': 'application/xml' }],
    encoded: [sdp('h'), { ...withSdp, 'Content-Encoding': 'gzip' }],
    'type that cannot be read': [sdp('h'), { 'Content-Type': 'nonsense' }],
    'disposition that cannot be read': [sdp('h'), { ...withSdp, 'Content-Disposition': ';;' }],
  };
  for (const [what, [body, headers]] of Object.entries(table)) {
    const all = await scene();
    const { clock, peer, states } = all;
    peer.answer(peer.last('INVITE'), 200, { Contact: '<sip:bob@10.0.0.2>', ...headers }, body);
    await clock.settle();
    assert.equal(peer.requests().map(shape), ['INVITE 1', 'ACK 1', 'BYE 2'], what);
    assert.is(states.at(-1), 'ended unacceptable', what);
    peer.answer(peer.last('BYE'), 200);
    await empty(all);
  }
});

// alice                bob
//  |--INVITE------------>|
//  |<-------------200----|  its To tag is a quoted string with an escaped NUL, which no ACK of ours could repeat
test('a 2xx of which no dialog can be made ends the call', async () => {
  const { clock, peer, stack, states, rig } = await scene();
  await clock.settle();
  const invite = peer.last('INVITE');
  for (let copy = 0; copy < 2; copy += 1) {
    const lines = ['Via', 'From', 'Call-ID', 'CSeq'].map((name) => `${name}: ${invite.get(name)}`);
    const to = `To: ${invite.get('To')};tag="\\\0"`;
    peer.send(
      { host: '10.0.0.1', port: 5060 },
      ['SIP/2.0 200 OK', ...lines, to, 'Contact: <sip:bob@10.0.0.2>', 'Content-Length: 0', '', ''].join('\n'),
    );
    await clock.settle();
  }
  assert.equal(states, ['inviting', 'ended unacceptable']);
  assert.equal(peer.requests().map(shape), ['INVITE 1']);
  await empty({ rig, stack });
});

test('a refusal tells its status; a redirection its contacts, best first; silence and a dead way are told apart', async () => {
  const refused = await scene();
  refused.peer.answer(refused.peer.last(), 486, { 'Retry-After': '30 (later)' });
  await refused.clock.settle();
  const { state } = refused.session;
  assert.equal(state, {
    kind: 'ended',
    cause: { kind: 'refused', status: 486, reason: 'Busy Here', retryAfter: 30 },
  });
  assert.is((await refused.session.reoffer()).kind, 'ended');
  assert.is((await refused.session.send('INFO')).kind, 'failed');
  await refused.session.bye();
  await empty(refused);

  const moved = await scene();
  moved.peer.answer(moved.peer.last(), 302, {
    Contact: ['<sip:low@h>;q=0.1', '<sip:high@h>', '<sip:mid@h>;q=0.5'],
  });
  await moved.clock.settle();
  assert.equal(moved.session.state, {
    kind: 'ended',
    cause: { kind: 'redirected', status: 302, contacts: ['sip:high@h', 'sip:mid@h', 'sip:low@h'] },
  });
  await empty(moved);

  const silent = await scene();
  await silent.clock.advance(33_000);
  assert.equal(silent.states, ['inviting', 'ended timeout']);
  await empty(silent);

  const lost = await scene({ to: 'sip:bob@nowhere.example.com' });
  await lost.clock.settle();
  assert.equal(lost.states, ['inviting', 'ended failed']);
  await empty(lost);
});

// UAC            UAS
//  |---INVITE 1-->|
//  |<----407------|
//  |-----ACK 1--->|   by the transaction
//  |---INVITE 2-->|   with credentials
//  |<----200------|
//  |-----ACK 2--->|   with the same credentials
//  |-----BYE 3--->|   with credentials
test('a challenge: ACK, and the INVITE anew with credentials, which its ACK repeats', async () => {
  const credentials = createDigestClient(
    { random: createFakeRandom(5) },
    { username: 'alice', password: 'secret' },
  );
  const all = await scene({ credentials });
  const { clock, peer, session } = all;
  peer.answer(peer.last('INVITE'), 407, {
    'Proxy-Authenticate': 'Digest realm="example.com", nonce="n", qop="auth"',
  });
  await clock.settle();
  assert.equal(peer.requests().map(shape), ['INVITE 1', 'ACK 1', 'INVITE 2']);
  const invite = answer200(peer);
  assert.match(invite.get('Proxy-Authorization') ?? '', /username="alice"/);
  await clock.settle();
  const ack = peer.last('ACK');
  assert.is(shape(ack), 'ACK 2');
  assert.is(ack.get('Proxy-Authorization'), invite.get('Proxy-Authorization'));
  session.bye();
  await clock.settle();
  assert.is(shape(peer.last('BYE')), 'BYE 3');
  assert.match(peer.last('BYE').get('Proxy-Authorization') ?? '', /nc=00000002/);
  peer.answer(peer.last('BYE'), 200);
  await empty(all);
});

// UAC            UAS
//  |---INVITE---->|
//  |<----180------|
//  |---CANCEL---->|
//  |<----200------|
//  |<----487------|
//  |-----ACK----->|
test('given up while it rings: CANCEL', async () => {
  const all = await scene();
  const { clock, peer, session, states } = all;
  peer.answer(peer.last(), 180);
  await clock.settle();
  let gone = false;
  session.bye().then(() => {
    gone = true;
  });
  await clock.settle();
  assert.is(states.at(-1), 'ending');
  peer.answer(peer.last('CANCEL'), 200);
  await clock.settle();
  assert.is(gone, false);
  peer.answer(peer.last('INVITE'), 487);
  await clock.settle();
  assert.is(gone, true);
  assert.is(states.at(-1), 'ended cancelled us');
  await empty(all);
});

// UAC            UAS
//  |---INVITE---->|
//  |<----180------|
//  |---CANCEL-. ,-200
//  |           X  |
//  |<---------' `>|
//  |-----ACK----->|
//  |-----BYE----->|
test('a 200 that crosses the CANCEL is acknowledged and ended, with our offer or the peer’s', async () => {
  for (const offer of [chat('10.0.0.1'), undefined]) {
    const all = await scene({ offer });
    const { clock, peer, session, states } = all;
    peer.answer(peer.last(), 180);
    await clock.settle();
    const gone = session.bye();
    answer200(peer);
    await clock.settle();
    peer.answer(peer.last('CANCEL'), 200);
    await clock.settle();
    assert.equal(peer.requests().map(shape), ['INVITE 1', 'CANCEL 1', 'ACK 1', 'BYE 2']);
    peer.answer(peer.last('BYE'), 200);
    await clock.settle();
    await gone;
    assert.is(states.at(-1), 'ended cancelled us');
    await empty(all);
  }
});

test('nobody answers: CANCEL when the time is up, said or unsaid', async () => {
  for (const [expires, seconds] of [
    [20, 20],
    [undefined, 180],
  ] as const) {
    const all = await scene(expires === undefined ? {} : { expires });
    const { clock, peer, states } = all;
    peer.answer(peer.last(), 180);
    await clock.advance((seconds - 1) * 1000);
    assert.is(peer.requests('CANCEL').length, 0);
    await clock.advance(1_600);
    peer.answer(peer.last('CANCEL'), 200);
    peer.answer(peer.last('INVITE'), 487);
    await clock.settle();
    assert.is(states.at(-1), 'ended expired');
    await empty(all);
  }
});

test('refused in spite of the CANCEL, or silent after it: told as what it is', async () => {
  const refused = await scene();
  refused.peer.answer(refused.peer.last(), 180);
  await refused.clock.settle();
  refused.session.bye();
  await refused.clock.settle();
  refused.peer.answer(refused.peer.last('INVITE'), 486);
  await refused.clock.settle();
  assert.is(refused.states.at(-1), 'ended refused 486');
  await empty(refused);

  const silent = await scene();
  silent.peer.answer(silent.peer.last(), 180);
  await silent.clock.settle();
  silent.session.bye();
  await silent.clock.advance(33_000);
  assert.is(silent.states.at(-1), 'ended cancelled us');
  await empty(silent);
});

// UAC            UAS
//  |---INVITE 2-->|
//  |<----491------|
//  |-----ACK 2--->|
//  |  2.1 to 4 s  |   ours is the Call-ID
//  |---INVITE 3-->|
test('RFC 3261 §14.1: after 491 the owner of the Call-ID waits 2.1 to 4 s', async () => {
  const waits = new Set<number>();
  const all = await established();
  const { clock, peer, session } = all;
  for (let i = 0; i < 6; i += 1) {
    let outcome: string | undefined;
    session.reoffer(chat('10.0.0.1', i + 2)).then((one) => {
      outcome = one.kind;
    });
    await clock.settle();
    peer.answer(peer.last('INVITE'), 491);
    await clock.settle();
    const at = clock.now();
    const before = peer.requests('INVITE').length;
    while (peer.requests('INVITE').length === before && clock.now() - at < 5_000) await clock.advance(10);
    const waited = clock.now() - at;
    assert.ok(waited >= 2_100 && waited <= 4_000, `${waited} ms`);
    waits.add(waited);
    answer200(peer, sdp('10.0.0.2', i + 2));
    await clock.settle();
    assert.is(outcome, 'accepted');
  }
  assert.ok(waits.size > 1, 'chosen at random');
  session.bye();
  await clock.settle();
  peer.answer(peer.last('BYE'), 200);
  await empty(all);
});

test('491 without end: refused after some tries, and the session stands', async () => {
  const all = await established();
  const { clock, peer, session, states } = all;
  peer.onRequest = (request) => {
    if (request.method === 'INVITE') peer.answer(request, 491);
    if (request.method === 'BYE') peer.answer(request, 200);
  };
  const outcome = session.reoffer(chat('10.0.0.1', 2));
  await clock.advance(60_000);
  assert.equal(await outcome, { kind: 'refused', status: 491, reason: 'Request Pending' });
  assert.is(peer.requests('INVITE').length, 1 + 6);
  assert.is(states.at(-1), 'established');
  session.bye();
  await empty(all);
});

test('a new offer that is refused, or cannot be sent, changes nothing', async () => {
  for (const status of [488, 403, 503, 500]) {
    const all = await established();
    const { clock, peer, session, states } = all;
    const before = session.parameters;
    const outcome = session.reoffer(chat('10.0.0.1', 2));
    await clock.settle();
    peer.answer(peer.last('INVITE'), status);
    await clock.settle();
    assert.is((await outcome).kind, 'refused', `${status}`);
    assert.is(session.parameters, before);
    assert.is(states.at(-1), 'established');
    // The next one counts on from the version that was refused.
    session.reoffer(chat('10.0.0.1', 3));
    await clock.settle();
    assert.is(parseSdp(peer.last('INVITE').body).origin.version, '3');
    answer200(peer, sdp('10.0.0.2', 2));
    await clock.settle();
    session.bye();
    await clock.settle();
    peer.answer(peer.last('BYE'), 200);
    await empty(all);
  }
});

test('RFC 3261 §14.2: 500 with Retry-After is tried again when the time is over', async () => {
  const all = await established();
  const { clock, peer, session } = all;
  const outcome = session.reoffer(chat('10.0.0.1', 2));
  await clock.settle();
  peer.answer(peer.last('INVITE'), 500, { 'Retry-After': '7' });
  await clock.advance(6_900);
  assert.is(peer.requests('INVITE').length, 2);
  await clock.advance(200);
  assert.is(peer.requests('INVITE').length, 3);
  answer200(peer, sdp('10.0.0.2', 2));
  await clock.settle();
  assert.is((await outcome).kind, 'accepted');
  session.bye();
  await clock.settle();
  peer.answer(peer.last('BYE'), 200);
  await empty(all);
});

// UAC            UAS
//  |---INVITE 2-->|
//  |<--481, 408, or nothing
//  |-----BYE 3--->|
test('RFC 3261 §14.1: 481, 408 and silence to a re-INVITE end the session', async () => {
  for (const status of [481, 408, undefined]) {
    const all = await established();
    const { clock, peer, session, states } = all;
    const outcome = session.reoffer();
    await clock.settle();
    if (status === undefined) await clock.advance(33_000);
    else peer.answer(peer.last('INVITE'), status);
    await clock.settle();
    assert.is((await outcome).kind, 'refused');
    assert.is(states.at(-1), `ended lost ${status ?? 408}`);
    assert.is(shape(peer.last('BYE')), 'BYE 3');
    peer.answer(peer.last('BYE'), 481);
    await empty(all);
  }
});

test('S16: a re-INVITE whose answer cannot be used ends the session with BYE', async () => {
  const all = await established();
  const { clock, peer, session, states } = all;
  const outcome = session.reoffer(chat('10.0.0.1', 2));
  await clock.settle();
  answer200(peer, sdp('10.0.0.2', 2, []));
  await clock.settle();
  assert.is((await outcome).kind, 'ended');
  assert.is(states.at(-1), 'ended unacceptable');
  assert.equal(peer.requests().map(shape).slice(-3), ['INVITE 2', 'ACK 2', 'BYE 3']);
  peer.answer(peer.last('BYE'), 200);
  await empty(all);
});

// UAC            UAS
//  |---INVITE 2-->|
//  |<--INVITE 1---|   both at once
//  |-----491----->|
//  |<-----ACK-----|
test('RFC 3261 §14.2: the peer’s INVITE while ours is under way gets 491', async () => {
  const all = await established();
  const { clock, peer, session } = all;
  session.reoffer(chat('10.0.0.1', 2));
  await clock.settle();
  peer.send(us, inside(peer, 'INVITE', 1, [], sdp('10.0.0.2', 2)));
  await clock.settle();
  assert.is(peer.responses(491).length, 1);
  peer.send(us, inside(peer, 'ACK', 1).replace('z9hG4bKACK1peer', 'z9hG4bKINVITE1peer'));
  answer200(peer, sdp('10.0.0.2', 2));
  await clock.settle();
  // Afterwards it is welcome.
  peer.send(us, inside(peer, 'INVITE', 2, [], sdp('10.0.0.2', 3)));
  await clock.settle();
  assert.is(peer.responses(200).length, 1);
  peer.send(us, inside(peer, 'ACK', 2));
  await clock.settle();
  assert.is(session.parameters?.remote.origin.version, '3');
  peer.send(us, inside(peer, 'BYE', 3));
  await clock.settle();
  await empty(all);
});

test('one new offer at a time, and it waits for the peer’s', async () => {
  let answer: (() => void) | undefined;
  const all = await established({
    onOffer: () =>
      new Promise((resolve) => {
        answer = () => resolve(chat('10.0.0.1', 9));
      }),
  });
  const { clock, peer, session } = all;
  peer.send(us, inside(peer, 'INVITE', 1, [], sdp('10.0.0.2', 2)));
  await clock.settle();
  const first = session.reoffer(chat('10.0.0.1', 2));
  assert.is((await session.reoffer()).kind, 'busy');
  await clock.settle();
  assert.is(peer.requests('INVITE').length, 1, 'it waits');
  answer?.();
  await clock.settle();
  assert.is(peer.requests('INVITE').length, 1, 'and for the ACK, too');
  peer.send(us, inside(peer, 'ACK', 1));
  await clock.settle();
  assert.is(peer.requests('INVITE').length, 2);
  answer200(peer, sdp('10.0.0.2', 3));
  await clock.settle();
  assert.is((await first).kind, 'accepted');
  peer.send(us, inside(peer, 'BYE', 2));
  await empty(all);
});

test('the peer hangs up while our new offer is under way: ended, and the INVITE is given up', async () => {
  const all = await established();
  const { clock, peer, session, states } = all;
  const outcome = session.reoffer(chat('10.0.0.1', 2));
  await clock.settle();
  peer.answer(peer.last('INVITE'), 100);
  await clock.settle();
  peer.send(us, inside(peer, 'BYE', 1));
  await clock.settle();
  assert.is(peer.responses(200).length, 1);
  assert.is((await outcome).kind, 'ended');
  assert.is(states.at(-1), 'ended bye peer');
  assert.is(peer.requests('CANCEL').length, 1);
  peer.answer(peer.last('INVITE'), 487);
  await empty(all);
});

test('requests in the dialog that are not the session’s: 405, 481, 200, or the user’s', async () => {
  const seen: string[] = [];
  const all = await established({
    onRequest: (incoming) => {
      seen.push(incoming.request.method);
      incoming.respond(200);
    },
  });
  const { clock, peer } = all;
  const statuses = async (...requests: readonly string[]): Promise<number[]> => {
    const before = peer.responses().length;
    for (const one of requests) {
      peer.send(us, one);
      await clock.settle();
    }
    return peer
      .responses()
      .slice(before)
      .map((one) => one.status);
  };
  assert.equal(
    await statuses(
      inside(peer, 'PRACK', 1),
      inside(peer, 'UPDATE', 2),
      inside(peer, 'NOTIFY', 3, ['Event: x', 'Subscription-State: active']),
      inside(peer, 'OPTIONS', 4),
      inside(peer, 'INFO', 5),
    ),
    [405, 405, 481, 200, 200],
  );
  for (const one of peer.responses(405)) assert.ok(one.all('Allow').includes('BYE'));
  assert.equal(seen, ['INFO']);
  assert.equal(await statuses(inside(peer, 'INFO', 4)), [500], 'out of order');
  assert.equal(await statuses(inside(peer, 'INFO', 9, [], '', 'stranger')), [481], 'another dialog');
  assert.is(all.states.at(-1), 'established');
  assert.equal(await statuses(inside(peer, 'BYE', 9)), [200]);
  assert.equal(await statuses(inside(peer, 'INFO', 10)), [481], 'after the end');
  await empty(all);
});

test('in an early dialog: PRACK and UPDATE get 405, the rest 481', async () => {
  const all = await scene();
  const { clock, peer, session } = all;
  peer.answer(peer.last(), 180);
  await clock.settle();
  for (const [i, method] of ['PRACK', 'UPDATE', 'BYE'].entries()) peer.send(us, inside(peer, method, i + 1));
  await clock.settle();
  assert.equal(
    peer.responses().map((one) => one.status),
    [405, 405, 481],
  );
  session.bye();
  await clock.settle();
  peer.answer(peer.last('INVITE'), 487);
  await empty(all);
});

test('other requests share the CSeq of the dialog; a peer that does not know it ends the session', async () => {
  const all = await established();
  const { clock, peer, session, states } = all;
  const sent = session.send('INFO', { headers: { 'Info-Package': 'x' }, body: 'y' });
  await clock.settle();
  assert.is(shape(peer.last('INFO')), 'INFO 2');
  assert.is(peer.last('INFO').text(), 'y');
  peer.answer(peer.last('INFO'), 200);
  assert.is((await sent).kind, 'response');
  session.reoffer();
  await clock.settle();
  assert.is(shape(peer.last('INVITE')), 'INVITE 3');
  answer200(peer, sdp('10.0.0.2', 2));
  await clock.settle();
  session.send('MESSAGE');
  await clock.settle();
  peer.answer(peer.last('MESSAGE'), 481);
  await clock.settle();
  assert.is(states.at(-1), 'ended lost 481');
  assert.is(shape(peer.last('BYE')), 'BYE 5');
  peer.answer(peer.last('BYE'), 481);
  await empty(all);
});

test('what is agreed on cannot be changed from outside', async () => {
  const all = await established();
  const parameters = all.session.parameters as { -readonly [key in keyof SessionParameters]: unknown };
  assert.throws(() => {
    parameters.local = undefined;
  });
  assert.equal(JSON.parse(JSON.stringify(parameters)).remote.origin.id, '77');
  all.session.bye();
  await all.clock.settle();
  all.peer.answer(all.peer.last('BYE'), 200);
  await empty(all);
});

test('a BYE that nobody answers ends all the same', async () => {
  const all: Caller & Scene = await established();
  let gone = false;
  all.session.bye().then(() => {
    gone = true;
  });
  await all.clock.advance(31_000);
  assert.is(gone, false);
  assert.is(all.states.at(-1), 'ended bye us');
  await all.clock.advance(2_000);
  assert.is(gone, true);
  await empty(all);
});
