import * as assert from 'uvu/assert';
import { createMemoryNetwork } from '../../../src/tiny-sip/transport/memory.ts';
import { createFakeClock } from '../../support/fake-clock.ts';
import { suite } from '../../support/harness.ts';
import { createRecorder, message } from './recorder.ts';

const test = suite('memory');

const A = { host: 'a', port: 5060 };
const B = { host: 'b', port: 5060 };

function network(options = {}) {
  const clock = createFakeClock();
  const net = createMemoryNetwork({ clock }, options);
  return { clock, net, a: net.transport(A), b: net.transport(B) };
}

test('there and back over one pair of flows', async () => {
  const { clock, a, b } = network();
  const left = createRecorder();
  const right = createRecorder((got) => void got.flow.send(message('back')));
  await a.start(left);
  await b.start(right);
  const flow = a.connect(B);
  assert.is(flow, a.connect(B));
  assert.is(flow.reliable, true);
  assert.is(flow.opened, true);
  await flow.ready();
  const sending = flow.send(message('there'));
  assert.is(right.messages.length, 0, 'nothing arrives while the call is being made');
  await sending;
  await clock.settle();
  assert.is(right.messages.length, 1);
  assert.equal(right.messages[0]?.flow.remote, A);
  assert.is(right.messages[0]?.flow.opened, false);
  assert.is(left.messages[0]?.parsed.ok && left.messages[0].parsed.message.callId, 'back');
  assert.is(left.messages[0]?.flow, flow);
});

test('fate: lost, doubled, late and out of order', async () => {
  const { clock, a, b } = network({
    protocol: 'udp',
    fate: ({ number }: { number: number }) => [[], [0, 0], [100], [50]][number - 1] ?? [0],
  });
  const right = createRecorder();
  await a.start(createRecorder());
  await b.start(right);
  const flow = a.connect(B);
  assert.is(flow.reliable, false);
  assert.is(flow.protocol, 'udp');
  for (const id of ['lost', 'twice', 'late', 'less-late']) await flow.send(message(id));
  await clock.advance(200);
  assert.equal(
    right.messages.map((got) => got.parsed.ok && got.parsed.message.callId),
    ['twice', 'twice', 'less-late', 'late'],
  );
  assert.is(a.counts().lost, 1);
  const [first, second] = right.messages;
  first?.bytes.fill(0);
  assert.is(second?.bytes.toString(), message('twice').toString(), 'copies share no bytes');
});

test('nobody there: a reliable flow is refused, a datagram is lost', async () => {
  const reliable = network();
  const left = createRecorder();
  await reliable.a.start(left);
  const flow = reliable.a.connect(B);
  let cause: Error | undefined;
  flow.onClose((why) => {
    cause = why;
  });
  await flow.send(message('1')).then(
    () => assert.unreachable(),
    (error) => assert.is(error.code, 'SIP_FLOW_REFUSED'),
  );
  await reliable.clock.settle();
  assert.is(flow.state, 'closed');
  assert.is((cause as { code?: string } | undefined)?.code, 'SIP_FLOW_REFUSED');
  await flow.send(message('1')).then(
    () => assert.unreachable(),
    (error) => assert.is(error.code, 'SIP_FLOW_CLOSED'),
  );
  const lossy = network({ protocol: 'udp' });
  await lossy.a.start(createRecorder());
  await lossy.a.connect(B).send(message('1'));
});

test('closing is seen by both sides, once; late listeners are told', async () => {
  const { clock, net, a, b } = network();
  const left = createRecorder();
  const right = createRecorder();
  await a.start(left);
  await b.start(right);
  const flow = a.connect(B);
  await flow.send(message('1'));
  await clock.settle();
  let calls = 0;
  const leave = flow.onClose(() => (calls += 100));
  leave();
  flow.onClose(() => (calls += 1));
  net.cut(A);
  flow.close();
  await clock.settle();
  assert.is(left.closes.length, 1);
  assert.is(right.closes.length, 1);
  assert.is(calls, 1);
  flow.onClose(() => (calls += 1));
  await clock.settle();
  assert.is(calls, 2);
  assert.is(a.counts().flows, 0);
  assert.is.not(a.connect(B), flow);
});

test('an address can be had once; after stop it is free, and flows of a stopped transport are closed', async () => {
  const { net, a } = network();
  await a.start(createRecorder());
  const twin = net.transport(A);
  await twin.start(createRecorder()).then(
    () => assert.unreachable(),
    (error) => assert.is(error.code, 'SIP_CANNOT_LISTEN'),
  );
  await a.stop();
  await twin.start(createRecorder());
  assert.is(a.connect(B).state, 'closed');
});

test('S41: who listens for the close and leaves is forgotten; ten thousand of them cost no search', async () => {
  const { a, b } = network();
  await a.start(createRecorder());
  await b.start(createRecorder());
  const flow = a.connect(B);
  let told = 0;
  const leaves = Array.from({ length: 10_000 }, () => flow.onClose(() => (told += 1)));
  for (const leave of leaves.slice(1).reverse()) leave();
  let leaveOther: (() => void) | undefined;
  flow.onClose(() => leaveOther?.());
  leaveOther = flow.onClose(() => (told += 100));
  flow.close();
  assert.is(told, 1, 'one that leaves while the others are told is not told');
});
