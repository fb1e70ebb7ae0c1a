import { createRequest, type Outcome, type SipResponse } from 'tiny-sip';
import * as assert from 'uvu/assert';
import { suite } from '../../support/harness.ts';
import { createRig, type Peer, type Rig } from '../rig.ts';

const test = suite('tiny-sip client transactions', { timeout: 60_000 });

const server = { protocol: 'udp', host: '10.0.0.2', port: 5060, name: '10.0.0.2' } as const;

const message = () =>
  createRequest({ method: 'MESSAGE', uri: 'sip:bob@10.0.0.2', headers: { From: '<sip:a@x.com>' } });

/** Monotonic times at which the peer gets requests. */
function arrivals(rig: Rig, peer: Peer): number[] {
  const times: number[] = [];
  peer.onRequest = () => void times.push(rig.clock.now());
  return times;
}

// UAC            UAS
//  |--MESSAGE---->|   t = 0, 0.5, 1.5, 3.5, 7.5, 11.5 … every 4 s
//  |     …        |   Timer F at 32 s: timeout
test('retransmits with timer E doubling to T2, and gives up with timer F', async () => {
  const rig = createRig();
  const stack = await rig.stack('10.0.0.1');
  const peer = await rig.peer('10.0.0.2');
  const times = arrivals(rig, peer);
  let outcome: Outcome | undefined;
  stack.send(message(), { target: server }).then((one) => {
    outcome = one;
  });
  await rig.clock.advance(31_900);
  assert.is(outcome, undefined);
  await rig.clock.advance(700);
  assert.is(outcome?.kind, 'timeout');
  assert.equal(times, [0, 500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]);
  assert.is(stack.counts()['transactions.client'], 0);
  assert.is(rig.clock.pending(), 0);
});

// UAC            UAS
//  |--MESSAGE---->|   0
//  |<----100------|   0.2 s: proceeding, E goes on and is then T2
//  |--MESSAGE---->|   0.5 s
//  |--MESSAGE---->|   4.5 s, 8.5 s …
test('a provisional response slows timer E down to T2', async () => {
  const rig = createRig();
  const stack = await rig.stack('10.0.0.1');
  const peer = await rig.peer('10.0.0.2');
  const times = arrivals(rig, peer);
  const provisional: number[] = [];
  const sent = stack.send(message(), {
    target: server,
    onProvisional: (response) => void provisional.push(response.status),
  });
  await rig.clock.advance(200);
  peer.answer(peer.last(), 100);
  await rig.clock.advance(9_000);
  assert.equal(times, [0, 500, 4500, 8500]);
  assert.equal(provisional, [100]);
  peer.answer(peer.last(), 200);
  const outcome = await sent;
  assert.is(outcome.kind, 'response');
});

// UAC            UAS
//  |--MESSAGE---->|
//  |<----200------|   to the TU
//  |<----200------|   swallowed: completed until timer K (5 s)
//  |<----200------|   after K: stray, dropped
test('retransmitted and late responses are swallowed and counted', async () => {
  const rig = createRig();
  const stack = await rig.stack('10.0.0.1');
  const peer = await rig.peer('10.0.0.2');
  const sent = stack.send(message(), { target: server });
  await rig.clock.settle();
  const request = peer.last();
  peer.answer(request, 200);
  const outcome = await sent;
  assert.is(outcome.kind === 'response' && outcome.response.status, 200);
  assert.is(stack.counts()['transactions.client'], 1, 'completed');
  peer.answer(request, 200);
  await rig.clock.settle();
  assert.is(stack.counts()['in.strayResponses'], 0);
  await rig.clock.advance(5_600);
  assert.is(stack.counts()['transactions.client'], 0, 'terminated');
  peer.answer(request, 200);
  await rig.clock.settle();
  assert.is(stack.counts()['in.strayResponses'], 1);
  assert.is(rig.clock.pending(), 0);
});

test('a response of another branch or method finds no transaction', async () => {
  const rig = createRig();
  const stack = await rig.stack('10.0.0.1');
  const peer = await rig.peer('10.0.0.2');
  let outcome: Outcome | undefined;
  stack.send(message(), { target: server }).then((one) => {
    outcome = one;
  });
  await rig.clock.settle();
  const forged = peer.last().copy();
  forged.removeFirst('Via');
  forged.prepend('Via', 'SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKother');
  const other = peer.last().copy();
  other.set('CSeq', '1 OPTIONS');
  for (const request of [forged, other]) {
    const { createResponse } = await import('tiny-sip');
    peer.send({ host: '10.0.0.1', port: 5060 }, createResponse(request, 200, { toTag: 'x' }));
  }
  await rig.clock.settle();
  assert.is(outcome, undefined);
  assert.is(stack.counts()['in.strayResponses'], 2);
  await stack.stop();
});

// UAC   (stream)  UAS
//  |--MESSAGE---->|   once, no timer E
//  |<----200------|   no timer K: gone at once
test('on a stream nothing is retransmitted and the transaction ends with its response', async () => {
  const rig = createRig({ protocol: 'memory' });
  const stack = await rig.stack('10.0.0.1');
  const peer = await rig.peer('10.0.0.2');
  const sent = stack.send(message(), { target: { ...server, protocol: 'memory' } });
  await rig.clock.advance(20_000);
  assert.is(peer.requests().length, 1);
  peer.answer(peer.last(), 200);
  assert.is((await sent).kind, 'response');
  assert.is(stack.counts()['transactions.client'], 0);
  assert.is(rig.clock.pending(), 0);
});

test('a connection that closes fails what waits on it, at once', async () => {
  const rig = createRig({ protocol: 'memory' });
  const stack = await rig.stack('10.0.0.1');
  const peer = await rig.peer('10.0.0.2');
  const sent = stack.send(message(), { target: { ...server, protocol: 'memory' } });
  await rig.clock.settle();
  peer.flow.close();
  const outcome = await sent;
  assert.is(outcome.kind, 'failed');
  assert.is(stack.counts()['transactions.client'], 0);
  assert.is(rig.clock.pending(), 0);
});

test('nobody at the other end of a stream: failed, not silence', async () => {
  const rig = createRig({ protocol: 'memory' });
  const stack = await rig.stack('10.0.0.1');
  const outcome = await stack.send(message(), { target: { ...server, protocol: 'memory' } });
  assert.is(outcome.kind, 'failed');
  assert.is(rig.clock.pending(), 0);
});

test('a full table fails new requests and keeps the old ones', async () => {
  const rig = createRig();
  const stack = await rig.stack('10.0.0.1', { limits: { clientTransactions: 2 } });
  const peer = await rig.peer('10.0.0.2');
  const first = stack.send(message(), { target: server });
  stack.send(message(), { target: server });
  await rig.clock.settle();
  const third = await stack.send(message(), { target: server });
  assert.is(third.kind === 'failed' && (third.error as { code?: string }).code, 'SIP_TABLE_FULL');
  const [request] = peer.requests();
  assert.ok(request);
  peer.answer(request, 200);
  assert.is((await first).kind, 'response');
  await stack.stop();
});

test('stop fails what is under way, and whatever comes after', async () => {
  const rig = createRig();
  const stack = await rig.stack('10.0.0.1');
  await rig.peer('10.0.0.2');
  const sent = stack.send(message(), { target: server });
  await rig.clock.settle();
  await stack.stop();
  assert.is((await sent).kind, 'failed');
  assert.is((await stack.send(message(), { target: server })).kind, 'failed');
  assert.is(rig.clock.pending(), 0);
});

test('an abort signal ends the transaction', async () => {
  const rig = createRig();
  const stack = await rig.stack('10.0.0.1');
  await rig.peer('10.0.0.2');
  const abort = new AbortController();
  const sent = stack.send(message(), { target: server, signal: abort.signal });
  await rig.clock.settle();
  abort.abort('enough');
  const outcome = await sent;
  assert.is(outcome.kind, 'failed');
  assert.is(stack.counts()['transactions.client'], 0);
  assert.is(rig.clock.pending(), 0);
  const never = await stack.send(message(), { target: server, signal: abort.signal });
  assert.is(never.kind, 'failed');
});

test('a value with a line break is refused before anything is sent', async () => {
  const rig = createRig();
  const stack = await rig.stack('10.0.0.1');
  const peer = await rig.peer('10.0.0.2');
  const bad = () =>
    createRequest({ method: 'MESSAGE', uri: 'sip:b@10.0.0.2', headers: { Subject: 'a\r\nX: b' } });
  assert.throws(bad);
  const request = message();
  const outcome = await stack.send(request, { target: { ...server, protocol: 'tls' } });
  assert.is(outcome.kind === 'failed' && (outcome.error as { code?: string }).code, 'SIP_NO_TRANSPORT');
  assert.is(peer.received.length, 0);
});

test('what a request lacks is completed: Via with rport, From tag, Call-ID, CSeq, Max-Forwards', async () => {
  const rig = createRig();
  const stack = await rig.stack('10.0.0.1', { userAgent: 'test/1' });
  const peer = await rig.peer('10.0.0.2');
  stack.send(createRequest({ method: 'OPTIONS', uri: 'sip:bob@10.0.0.2' }), { target: server });
  await rig.clock.settle();
  const request = peer.last();
  assert.match(request.get('Via') ?? '', /^SIP\/2\.0\/UDP 10\.0\.0\.1:5060;branch=z9hG4bK[\w-]{10,};rport$/);
  assert.ok(request.fromTag);
  assert.is(request.to?.uri, 'sip:bob@10.0.0.2');
  assert.is(request.maxForwards, 70);
  assert.is(request.cseq?.number, 1);
  assert.ok(request.callId);
  assert.is(request.get('User-Agent'), 'test/1');
  await stack.stop();
});

// 20,000 requests, answered, lost or refused by turns: no table keeps anything.
test('S41: many transactions leave every table and timer empty', async () => {
  const rig = createRig();
  const stack = await rig.stack('10.0.0.1', { limits: { clientTransactions: 100_000 } });
  const other = await rig.stack('10.0.0.2', { limits: { serverTransactions: 100_000 } });
  other.on('MESSAGE', (incoming) => incoming.respond(200));
  const kinds = { response: 0, timeout: 0, failed: 0 };
  const responses: SipResponse[] = [];
  for (let batch = 0; batch < 20; batch += 1) {
    const all = Array.from({ length: 1_000 }, () => stack.send(message(), { target: server }));
    for (const outcome of await Promise.all(all)) {
      kinds[outcome.kind] += 1;
      if (outcome.kind === 'response') responses.push(outcome.response);
    }
  }
  assert.equal(kinds, { response: 20_000, timeout: 0, failed: 0 });
  assert.ok(responses.every((response) => response.status === 200));
  await rig.clock.advance(33_000);
  assert.is(stack.counts()['transactions.client'], 0);
  assert.is(other.counts()['transactions.server'], 0);
  assert.is(rig.clock.pending(), 0);
});
