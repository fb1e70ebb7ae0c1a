import { createRequest, type Outcome, type SipResponse } from 'tiny-sip';
import * as assert from 'uvu/assert';
import { suite } from '../../support/harness.ts';
import { createRig, type Peer, type Rig } from '../rig.ts';

const test = suite('tiny-sip INVITE client transactions', { timeout: 60_000 });

const target = { protocol: 'udp', host: '10.0.0.2', port: 5060, name: '10.0.0.2' } as const;
const routes = ['<sip:p1.example.com;lr>', '<sip:p2.example.com;lr>'];

const invite = () =>
  createRequest({
    method: 'INVITE',
    uri: 'sip:bob@10.0.0.2',
    headers: { From: '<sip:a@x.com>', Route: routes, Contact: '<sip:a@10.0.0.1>' },
    body: 'x',
  });

interface Call {
  readonly rig: Rig;
  readonly peer: Peer;
  readonly counts: () => Record<string, number>;
  /** Monotonic times at which the peer got INVITEs. */
  readonly times: number[];
  readonly provisional: number[];
  /** Each 2xx that was passed up: its To tag. */
  readonly accepted: string[];
  readonly abort: AbortController;
  outcome(): Outcome | undefined;
  stop(): Promise<void>;
}

async function calling(protocol: 'udp' | 'memory' = 'udp'): Promise<Call> {
  const rig = createRig({ protocol });
  const stack = await rig.stack('10.0.0.1');
  const peer = await rig.peer('10.0.0.2');
  const times: number[] = [];
  peer.onRequest = (request) => {
    if (request.method === 'INVITE') times.push(rig.clock.now());
  };
  const provisional: number[] = [];
  const accepted: string[] = [];
  const abort = new AbortController();
  let outcome: Outcome | undefined;
  stack
    .send(invite(), {
      target: { ...target, protocol },
      signal: abort.signal,
      onProvisional: (response: SipResponse) => void provisional.push(response.status),
      onAccepted: (response) => void accepted.push(response.toTag ?? ''),
    })
    .then((one) => {
      outcome = one;
    });
  await rig.clock.settle();
  return {
    rig,
    peer,
    counts: () => stack.counts(),
    times,
    provisional,
    accepted,
    abort,
    outcome: () => outcome,
    stop: () => stack.stop(),
  };
}

function status(outcome: Outcome | undefined): number | string | undefined {
  return outcome?.kind === 'response' ? outcome.response.status : outcome?.kind;
}

// UAC            UAS
//  |---INVITE---->|   t = 0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5 s: timer A doubles without end
//  |     …        |   timer B at 32 s: timeout, and no ACK
test('calling: timer A doubles, seven INVITEs leave, timer B ends it', async () => {
  const { rig, peer, times, outcome, counts } = await calling();
  await rig.clock.advance(31_900);
  assert.is(outcome(), undefined);
  await rig.clock.advance(700);
  assert.is(outcome()?.kind, 'timeout');
  assert.equal(times, [0, 500, 1500, 3500, 7500, 15_500, 31_500]);
  assert.is(peer.requests('ACK').length, 0);
  assert.is(counts()['transactions.client'], 0);
  assert.is(rig.clock.pending(), 0);
});

// UAC            UAS
//  |---INVITE---->|
//  |<----180------|   proceeding: A and B are stopped
//  |<----183------|   to the TU
//  |     …        |   minutes go by
//  |<----486------|
//  |-----ACK----->|   completed
test('proceeding: no retransmission and no time-out; 300-699 is acknowledged and told', async () => {
  const { rig, peer, times, provisional, outcome, counts } = await calling();
  peer.answer(peer.last(), 180);
  await rig.clock.settle();
  peer.answer(peer.last(), 183);
  await rig.clock.advance(170_000);
  assert.equal(times, [0]);
  assert.equal(provisional, [180, 183]);
  assert.is(outcome(), undefined);
  peer.answer(peer.last(), 486);
  await rig.clock.settle();
  assert.is(status(outcome()), 486);
  assert.is(peer.requests('ACK').length, 1);
  await rig.clock.advance(33_000);
  assert.is(counts()['transactions.client'], 0);
  assert.is(rig.clock.pending(), 0);
});

// UAC            UAS
//  |---INVITE---->|
//  |<----404------|   calling straight to completed
//  |-----ACK----->|   same branch, one Via, the same Route, To of the response, no body
//  |<----404------|   again: ACK again, the TU hears nothing
//  |-----ACK----->|
//  |              |   timer D, 32 s
//  |<----404------|   stray: nothing
test('RFC 3261 §17.1.1.3: the ACK of a failure, once for each copy until timer D', async () => {
  const { rig, peer, outcome, counts } = await calling();
  const sent = peer.last('INVITE');
  peer.answer(sent, 404, { 'X-Which': 'first' });
  await rig.clock.settle();
  const ack = peer.last('ACK');
  assert.is(ack.uri, sent.uri);
  assert.equal(ack.lines('Via'), [sent.get('Via')]);
  assert.equal(ack.all('Route'), routes);
  assert.is(ack.get('From'), sent.get('From'));
  assert.is(ack.get('To'), '<sip:bob@10.0.0.2>;tag=peer');
  assert.is(ack.callId, sent.callId);
  assert.is(ack.get('CSeq'), '1 ACK');
  assert.is(ack.maxForwards, 70);
  assert.is(ack.body.length, 0);
  assert.is(ack.has('Contact'), false);
  for (let i = 0; i < 3; i += 1) peer.answer(sent, 404, { 'X-Which': 'again' });
  await rig.clock.settle();
  assert.is(peer.requests('ACK').length, 4);
  const told = outcome();
  assert.is(told?.kind === 'response' && told.response.get('X-Which'), 'first');
  await rig.clock.advance(31_000);
  assert.is(counts()['transactions.client'], 1, 'timer D is 32 s at least');
  await rig.clock.advance(2_000);
  assert.is(counts()['transactions.client'], 0);
  peer.answer(sent, 404);
  await rig.clock.settle();
  assert.is(peer.requests('ACK').length, 4);
  assert.is(counts()['in.strayResponses'], 1);
  assert.is(rig.clock.pending(), 0);
});

// UAC            UAS
//  |---INVITE---->|
//  |<--200 tag=a--|   calling straight to accepted; the TU acknowledges, the transaction never does
//  |<--200 tag=a--|   passed up again
//  |<--200 tag=b--|   another branch of a fork: passed up
//  |<----486------|   no arrow
//  |              |   timer M, 64 × T1
test('RFC 6026 §7.2: accepted passes every 2xx up until timer M', async () => {
  const { rig, peer, times, accepted, outcome, counts } = await calling();
  const sent = peer.last('INVITE');
  for (const tag of ['a', 'a', 'b', 'a']) peer.answer(sent, 200, {}, undefined, tag);
  await rig.clock.settle();
  peer.answer(sent, 486);
  await rig.clock.settle();
  assert.equal(accepted, ['a', 'a', 'b', 'a']);
  assert.is(status(outcome()), 200);
  assert.is(peer.requests('ACK').length, 0);
  await rig.clock.advance(31_900);
  assert.is(counts()['transactions.client'], 1);
  await rig.clock.advance(700);
  assert.is(counts()['transactions.client'], 0);
  peer.answer(sent, 200, {}, undefined, 'c');
  await rig.clock.settle();
  assert.is(accepted.length, 4);
  assert.equal(times, [0]);
  assert.is(rig.clock.pending(), 0);
});

test('proceeding to accepted by a 2xx', async () => {
  const { rig, peer, accepted, outcome, stop } = await calling();
  peer.answer(peer.last(), 180);
  await rig.clock.settle();
  peer.answer(peer.last(), 200, {}, undefined, 'a');
  await rig.clock.settle();
  assert.is(status(outcome()), 200);
  assert.equal(accepted, ['a']);
  await stop();
  assert.is(rig.clock.pending(), 0);
});

test('on a stream: no timer A, timer D is zero, M is not', async () => {
  const refused = await calling('memory');
  await refused.rig.clock.advance(20_000);
  assert.equal(refused.times, [0]);
  refused.peer.answer(refused.peer.last(), 500);
  await refused.rig.clock.settle();
  assert.is(refused.peer.requests('ACK').length, 1, 'the ACK leaves on streams, too');
  assert.is(refused.counts()['transactions.client'], 0);
  assert.is(refused.rig.clock.pending(), 0);

  const taken = await calling('memory');
  taken.peer.answer(taken.peer.last(), 200);
  await taken.rig.clock.advance(31_000);
  assert.is(taken.counts()['transactions.client'], 1);
  await taken.rig.clock.advance(2_000);
  assert.is(taken.counts()['transactions.client'], 0);
});

test('a connection that breaks: failed while calling and proceeding, nothing after', async () => {
  for (const when of ['calling', 'proceeding', 'accepted'] as const) {
    const { rig, peer, outcome, counts } = await calling('memory');
    if (when === 'proceeding') peer.answer(peer.last(), 180);
    if (when === 'accepted') peer.answer(peer.last(), 200);
    await rig.clock.settle();
    peer.flow.close();
    await rig.clock.settle();
    assert.is(status(outcome()), when === 'accepted' ? 200 : 'failed', when);
    await rig.clock.advance(33_000);
    assert.is(counts()['transactions.client'], 0, when);
    assert.is(rig.clock.pending(), 0, when);
  }
});

// UAC            UAS
//  |---INVITE---->|
//  |              |   cancelled: nothing yet, CANCEL could overtake it
//  |<----100------|
//  |---CANCEL---->|   same branch, Route, CSeq number, no Require
//  |<--200 (C)----|
//  |<--487 (I)----|
//  |-----ACK----->|
test('RFC 3261 §9.1: CANCEL waits for a provisional response', async () => {
  const { rig, peer, abort, outcome, counts } = await calling();
  const sent = peer.last('INVITE');
  abort.abort('changed our mind');
  await rig.clock.advance(400);
  assert.is(peer.requests('CANCEL').length, 0);
  peer.answer(sent, 100);
  await rig.clock.settle();
  const cancel = peer.last('CANCEL');
  assert.is(cancel.uri, sent.uri);
  assert.equal(cancel.lines('Via'), [sent.get('Via')]);
  assert.equal(cancel.all('Route'), routes);
  assert.is(cancel.get('To'), sent.get('To'));
  assert.is(cancel.get('From'), sent.get('From'));
  assert.is(cancel.get('CSeq'), '1 CANCEL');
  assert.is(cancel.body.length, 0);
  peer.answer(cancel, 200);
  await rig.clock.settle();
  assert.is(outcome(), undefined, 'the answer to the INVITE counts');
  peer.answer(sent, 487);
  await rig.clock.settle();
  assert.is(status(outcome()), 487);
  assert.is(peer.requests('ACK').length, 1);
  await rig.clock.advance(40_000);
  assert.is(counts()['transactions.client'], 0);
  assert.is(rig.clock.pending(), 0);
});

test('CANCEL at once after a provisional response, once; a 200 in spite of it is told', async () => {
  const { rig, peer, abort, outcome, accepted, counts } = await calling();
  const sent = peer.last('INVITE');
  peer.answer(sent, 180);
  await rig.clock.settle();
  abort.abort();
  await rig.clock.settle();
  assert.is(peer.requests('CANCEL').length, 1);
  peer.answer(sent, 183);
  peer.answer(peer.last('CANCEL'), 481);
  peer.answer(sent, 200);
  await rig.clock.settle();
  assert.is(peer.requests('CANCEL').length, 1);
  assert.is(status(outcome()), 200);
  assert.equal(accepted, ['peer']);
  await rig.clock.advance(40_000);
  assert.is(counts()['transactions.client'], 0);
  assert.is(rig.clock.pending(), 0);
});

// UAC            UAS
//  |---INVITE---->|
//  |<----180------|
//  |---CANCEL---->|   retransmitted as any non-INVITE request
//  |     …        |   64 × T1 without a final response: 487, made here
test('a peer that is silent after CANCEL: 487 after 64 × T1, and nothing is left', async () => {
  const { rig, peer, abort, outcome, counts } = await calling();
  peer.answer(peer.last(), 180);
  await rig.clock.settle();
  abort.abort();
  await rig.clock.advance(31_900);
  assert.is(outcome(), undefined);
  assert.ok(peer.requests('CANCEL').length > 5);
  await rig.clock.advance(1_000);
  assert.is(status(outcome()), 487);
  await rig.clock.advance(1_000);
  assert.is(counts()['transactions.client'], 0);
  assert.is(rig.clock.pending(), 0);
});

test('cancelled and never answered at all: timer B', async () => {
  const { rig, peer, abort, outcome, counts } = await calling();
  abort.abort();
  await rig.clock.advance(33_000);
  assert.is(outcome()?.kind, 'timeout');
  assert.is(peer.requests('CANCEL').length, 0);
  assert.is(counts()['transactions.client'], 0);
  assert.is(rig.clock.pending(), 0);
});

test('stop ends INVITEs in every state, and no timer stays', async () => {
  for (const answer of [undefined, 180, 200, 404]) {
    const { rig, peer, counts, stop } = await calling();
    if (answer !== undefined) peer.answer(peer.last(), answer);
    await rig.clock.settle();
    await stop();
    assert.is(counts()['transactions.client'], 0);
    assert.is(rig.clock.pending(), 0, `after ${answer}`);
  }
});

test('a To that may not be written again: the failure is told all the same, without an ACK', async () => {
  const { rig, peer, outcome, counts } = await calling();
  const sent = peer.last('INVITE');
  peer.send(
    { host: '10.0.0.1', port: 5060 },
    [
      'SIP/2.0 404 Not Found',
      `Via: ${sent.get('Via')}`,
      `From: ${sent.get('From')}`,
      'To: "a\\\0b" <sip:bob@10.0.0.2>;tag=t',
      `Call-ID: ${sent.callId}`,
      'CSeq: 1 INVITE',
      'Content-Length: 0',
      '',
      '',
    ].join('\n'),
  );
  await rig.clock.settle();
  assert.is(status(outcome()), 404);
  assert.is(peer.requests('ACK').length, 0);
  await rig.clock.advance(33_000);
  assert.is(counts()['transactions.client'], 0);
  assert.is(rig.clock.pending(), 0);
});
