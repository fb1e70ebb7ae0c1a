import { createResponse, type Incoming } from 'tiny-sip';
import * as assert from 'uvu/assert';
import { suite } from '../../support/harness.ts';
import { createRig, text } from '../rig.ts';

const test = suite('tiny-sip INVITE server transactions', { timeout: 60_000 });

const uas = { host: '10.0.0.1', port: 5060 };
const to = 'sip:bob@10.0.0.1';

async function scene(protocol: 'udp' | 'memory' = 'udp') {
  const rig = createRig({ protocol });
  const stack = await rig.stack('10.0.0.1');
  const peer = await rig.peer('10.0.0.9');
  const seen: Incoming[] = [];
  const acks: string[] = [];
  stack.on('INVITE', (incoming) => void seen.push(incoming));
  stack.on('ACK', ({ request, responded, respond, respondWith }) => {
    acks.push(request.toTag ?? '');
    assert.is(responded, true);
    // Nothing of this goes anywhere.
    respond(200);
    respondWith(createResponse(request, 200));
  });
  const tag = (): string => seen[0]?.toTag ?? '';
  return {
    ...rig,
    stack,
    peer,
    seen,
    acks,
    invite: () => peer.send(uas, text('INVITE', to)),
    /** `other`: with a branch of its own, as the ACK of a 2xx has. */
    ack: (other = false) =>
      peer.send(uas, text('ACK', to, { ...(other && { branch: 'z9hG4bKack' }), to: `<${to}>;tag=${tag()}` })),
    statuses: () => peer.responses().map((one) => one.status),
  };
}

// UAC            UAS
//  |---INVITE---->|  proceeding, to the TU
//  |<----100------|  after 200 ms
//  |---INVITE---->|
//  |<----100------|  the last provisional again
//  |<----180------|
//  |---INVITE---->|
//  |<----180------|
//  |      …       |  rings for 190 s: the transaction stays
//  |<----486------|  completed
//  |-----ACK----->|  confirmed
//  |---INVITE---->|  nothing
//  |-----ACK----->|  nothing
//  |              |  timer I, 5 s
test('proceeding, completed, confirmed: every retransmission gets what it should', async () => {
  const { clock, stack, invite, ack, acks, seen, statuses } = await scene();
  invite();
  await clock.advance(190);
  assert.equal(statuses(), []);
  await clock.advance(20);
  assert.equal(statuses(), [100]);
  invite();
  await clock.settle();
  seen[0]?.respond(180);
  await clock.settle();
  invite();
  await clock.settle();
  assert.equal(statuses(), [100, 100, 180, 180]);
  await clock.advance(190_000);
  assert.is(stack.counts()['transactions.server'], 1);
  seen[0]?.respond(486);
  await clock.settle();
  ack();
  await clock.settle();
  invite();
  ack();
  await clock.advance(4_400);
  assert.equal(statuses(), [100, 100, 180, 180, 486]);
  assert.is(stack.counts()['transactions.server'], 1);
  await clock.advance(1_200);
  assert.is(stack.counts()['transactions.server'], 0);
  assert.is(seen.length, 1);
  assert.equal(acks, [], 'the ACK of a failure is the transaction’s');
  assert.is(clock.pending(), 0);
});

test('a quick answer is not preceded by 100', async () => {
  const { clock, stack, invite, seen, statuses } = await scene();
  invite();
  await clock.settle();
  seen[0]?.respond(180);
  await clock.advance(1_000);
  assert.equal(statuses(), [180]);
  await stack.stop();
  assert.is(clock.pending(), 0);
});

// UAC            UAS
//  |---INVITE---->|
//  |<----486------|  t = 0, 0.5, 1.5, 3.5, 7.5, 11.5 … timer G up to T2; each INVITE gets one besides
//  |     …        |  timer H, 32 s
test('completed: timers G and H on datagrams', async () => {
  const { clock, stack, peer, invite, seen } = await scene();
  const times: number[] = [];
  invite();
  await clock.settle();
  const start = clock.now();
  seen[0]?.respond(486);
  await clock.settle();
  let before = 0;
  for (let i = 0; i < 70; i += 1) {
    const now = peer.responses(486).length;
    if (now > before) times.push(clock.now() - start);
    before = now;
    await clock.advance(500);
  }
  assert.equal(times.slice(0, 6), [0, 500, 1500, 3500, 7500, 11_500]);
  assert.is(before, 11);
  assert.is(stack.counts()['transactions.server'], 0);
  assert.is(stack.counts().unacknowledged, 1);
  assert.is(clock.pending(), 0);
});

test('on a stream: no timer G, timer I is zero, H and L are not', async () => {
  const refused = await scene('memory');
  refused.invite();
  await refused.clock.settle();
  refused.seen[0]?.respond(486);
  await refused.clock.advance(20_000);
  assert.equal(refused.statuses(), [486]);
  assert.is(refused.stack.counts()['transactions.server'], 1);
  refused.ack();
  await refused.clock.settle();
  assert.is(refused.stack.counts()['transactions.server'], 0);
  assert.is(refused.clock.pending(), 0);

  const taken = await scene('memory');
  taken.invite();
  await taken.clock.settle();
  taken.seen[0]?.respond(200);
  await taken.clock.advance(31_000);
  assert.is(taken.stack.counts()['transactions.server'], 1);
  await taken.clock.advance(2_000);
  assert.is(taken.stack.counts()['transactions.server'], 0);
  assert.is(taken.clock.pending(), 0);
});

// UAC            UAS
//  |---INVITE---->|
//  |<----200------|  accepted
//  |---INVITE---->|  absorbed
//  |<----200------|  the TU again
//  |-----ACK----->|  to the TU, each one
//  |-----ACK----->|
//  |              |  timer L, 32 s
test('RFC 6026 §7.1: accepted absorbs the INVITE, lets 2xx of the TU out and ACKs in, until timer L', async () => {
  const { clock, stack, invite, ack, acks, seen, statuses } = await scene();
  invite();
  await clock.settle();
  seen[0]?.respond(200);
  await clock.settle();
  invite();
  await clock.advance(2_000);
  assert.equal(statuses(), [200], 'the transaction repeats nothing by itself');
  seen[0]?.respond(200);
  seen[0]?.respond(486);
  seen[0]?.respond(180);
  await clock.settle();
  assert.equal(statuses(), [200, 200]);
  ack(true);
  ack(true);
  // Some send it with the branch of the INVITE.
  ack();
  await clock.settle();
  assert.is(acks.length, 3);
  assert.ok(acks.every((one) => one === seen[0]?.toTag));
  await clock.advance(31_000);
  assert.is(stack.counts()['transactions.server'], 0);
  seen[0]?.respond(200);
  await clock.settle();
  assert.equal(statuses(), [200, 200], 'after timer L nothing goes out');
  assert.is(seen.length, 1);
  assert.is(clock.pending(), 0);
});

test('a TU that says nothing for minutes is answered for: 408', async () => {
  const { clock, stack, invite, ack, statuses } = await scene();
  invite();
  await clock.advance(199_000);
  assert.equal(statuses(), [100]);
  await clock.advance(2_000);
  assert.is(statuses()[1], 408);
  ack();
  await clock.advance(6_000);
  assert.is(stack.counts()['transactions.server'], 0);
  assert.is(stack.counts().unanswered, 1);
  assert.is(clock.pending(), 0);
});

test('a TU that rings again and again is not', async () => {
  const { clock, stack, invite, seen, statuses } = await scene();
  invite();
  for (let minute = 0; minute < 10; minute += 1) {
    await clock.advance(60_000);
    seen[0]?.respond(180);
  }
  await clock.settle();
  assert.is(statuses().filter((one) => one === 180).length, 10);
  assert.is(statuses().includes(408), false);
  await stack.stop();
  assert.is(clock.pending(), 0);
});

test('RFC 6026 §8.8: a response that the transport does not take ends nothing', async () => {
  const { clock, stack, network, invite, seen } = await scene('memory');
  invite();
  await clock.settle();
  network.cut({ host: '10.0.0.9', port: 5060 });
  await clock.settle();
  seen[0]?.respond(180);
  await clock.settle();
  assert.is(stack.counts().unsent, 1);
  assert.is(stack.counts()['transactions.server'], 1);
  seen[0]?.respond(200);
  await clock.settle();
  assert.is(stack.counts()['transactions.server'], 1);
  await stack.stop();
});

// UAC            UAS
//  |---INVITE---->|
//  |---CANCEL---->|
//  |<--200 (C)----|  the To tag of both is the same
//  |<--487 (I)----|
test('RFC 3261 §9.2: a CANCEL tells the handler, and its answer carries the tag of the INVITE’s', async () => {
  const { clock, stack, peer, invite, seen } = await scene();
  let cancelled = 0;
  invite();
  await clock.settle();
  seen[0]?.onCancel(() => {
    cancelled += 1;
  });
  peer.send(uas, text('CANCEL', to));
  peer.send(uas, text('CANCEL', to));
  await clock.settle();
  assert.is(cancelled, 1);
  assert.equal(
    peer.responses().map((one) => [one.status, one.cseq?.method, one.toTag]),
    [
      [200, 'CANCEL', seen[0]?.toTag],
      [487, 'INVITE', seen[0]?.toTag],
      [200, 'CANCEL', seen[0]?.toTag],
    ],
  );
  await stack.stop();
});

test('a CANCEL after the answer is answered 200, and changes nothing', async () => {
  const { clock, stack, peer, invite, seen, statuses } = await scene();
  let cancelled = 0;
  invite();
  await clock.settle();
  seen[0]?.onCancel(() => {
    cancelled += 1;
  });
  seen[0]?.respond(200);
  await clock.settle();
  peer.send(uas, text('CANCEL', to));
  await clock.settle();
  assert.equal(statuses(), [200, 200]);
  assert.is(cancelled, 0);
  await stack.stop();
});

test('RFC 3261 §8.2.2.2: an INVITE by two paths gets 482 on the second, and its ACK disturbs nothing', async () => {
  const { clock, stack, peer, invite, seen } = await scene();
  invite();
  await clock.settle();
  peer.send(uas, text('INVITE', to, { branch: 'z9hG4bKother' }));
  await clock.settle();
  const [merged] = peer.responses(482);
  assert.ok(merged);
  peer.send(uas, text('ACK', to, { branch: 'z9hG4bKother', to: merged.get('To') ?? '' }));
  await clock.settle();
  assert.is(seen.length, 1);
  assert.is(seen[0]?.responded, false);
  await stack.stop();
});

test('100rel in Require gets 420; PRACK and UPDATE out of a dialog 405, all with their headers', async () => {
  const { clock, stack, peer, seen } = await scene();
  peer.send(uas, text('INVITE', to, { headers: ['Require: 100rel'] }));
  peer.send(uas, text('PRACK', to, { branch: 'z9hG4bKp', callId: 'p', to: `<${to}>;tag=x` }));
  peer.send(uas, text('UPDATE', to, { branch: 'z9hG4bKu', callId: 'u', to: `<${to}>;tag=x` }));
  await clock.settle();
  assert.is(seen.length, 0);
  assert.equal(peer.responses(420)[0]?.all('Unsupported'), ['100rel']);
  const refused = peer.responses(405);
  assert.is(refused.length, 2);
  for (const one of refused) assert.equal(one.all('Allow'), ['INVITE', 'ACK', 'CANCEL', 'BYE', 'OPTIONS']);
  await stack.stop();
});

test('a full table refuses INVITEs with 503, and their ACKs are strays', async () => {
  const rig = createRig();
  const stack = await rig.stack('10.0.0.1', { limits: { serverTransactions: 0 } });
  const peer = await rig.peer('10.0.0.9');
  stack.on('INVITE', () => assert.unreachable('reached the handler'));
  peer.send(uas, text('INVITE', to));
  await rig.clock.settle();
  const [refused] = peer.responses(503);
  assert.ok(refused?.has('Retry-After'));
  peer.send(uas, text('ACK', to, { to: refused?.get('To') ?? '' }));
  await rig.clock.settle();
  assert.is(stack.counts()['in.stray'], 1);
  assert.is(rig.clock.pending(), 0);
});
