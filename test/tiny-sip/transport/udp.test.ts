import { createSocket } from 'node:dgram';
import * as assert from 'uvu/assert';
import type { Transport } from '../../../src/tiny-sip/transport/transport.ts';
import { createUdpTransport } from '../../../src/tiny-sip/transport/udp.ts';
import { createFakeClock } from '../../support/fake-clock.ts';
import { suite } from '../../support/harness.ts';
import { createRecorder, eventually, message, silent } from './recorder.ts';

const test = suite('udp');
const running: Transport[] = [];
test.afterEach(async () => {
  for (const transport of running.splice(0)) await transport.stop();
});

function create(host = '127.0.0.1', options = {}, deps = {}) {
  const clock = createFakeClock();
  const transport = createUdpTransport({ clock, log: silent, ...deps }, { host, port: 0, ...options });
  running.push(transport);
  return { clock, transport };
}

test('there and back; the flow shows the remote address', async () => {
  const { transport: a } = create();
  const { transport: b } = create();
  const left = createRecorder();
  const right = createRecorder((got) => void got.flow.send(message('back')));
  await a.start(left);
  await b.start(right);
  const flow = a.connect(b.local);
  assert.is(flow.state, 'open');
  assert.is(flow.reliable, false);
  await flow.send(message('there'));
  await left.until(() => left.messages.length === 1);
  assert.equal(right.messages[0]?.flow.remote, a.local);
  assert.is(left.messages[0]?.flow, flow);
  assert.is(a.counts().messages, 1);
  assert.is(b.counts().received, message('there').length);
});

test('S33: 65,507 bytes, the largest datagram of IPv4, go and come', async () => {
  const { transport: a } = create();
  const { transport: b } = create();
  const right = createRecorder();
  await a.start(createRecorder());
  await b.start(right);
  const empty = message('1').length + 4;
  const bytes = message('1', 'x'.repeat(65_507 - empty));
  assert.is(bytes.length, 65_507);
  await a.connect(b.local).send(bytes);
  await right.until(() => right.messages.length === 1);
  assert.ok(right.messages[0]?.parsed.ok);
  assert.is(right.messages[0]?.bytes.length, 65_507);
});

test('too large, no route, no such port, no address: send rejects, nothing throws, the flow lives', async () => {
  const { transport: a } = create();
  const { transport: b } = create();
  const right = createRecorder();
  await a.start(createRecorder());
  await b.start(right);
  const flow = a.connect(b.local);
  const refused = (sending: Promise<void>) =>
    sending.then(
      () => assert.unreachable(),
      (error) => assert.is(error.code, 'SIP_FLOW_REFUSED'),
    );
  await refused(flow.send(Buffer.alloc(65_536)));
  await refused(a.connect({ host: 'a.name.example', port: 5060 }).send(message('1')));
  await refused(a.connect({ host: '127.0.0.1', port: 0 }).send(message('1')));
  await refused(a.connect({ host: '127.0.0.1', port: 99_999 }).send(message('1')));
  await refused(a.connect({ host: '::1', port: 5060 }).send(message('1')));
  assert.is(a.counts().failed, 5);
  assert.is(flow.state, 'open');
  await flow.send(message('2'));
  await right.until(() => right.messages.length === 1);
});

test('keep-alive datagrams, STUN and other binary traffic are no messages; garbage is a message that fails', async () => {
  const { transport } = create();
  const seen = createRecorder();
  await transport.start(seen);
  const socket = createSocket('udp4');
  for (const bytes of ['\r\n\r\n', '\r\n', '', '\0\0\0\0', ' '])
    socket.send(bytes, transport.local.port, '127.0.0.1');
  socket.send(
    Buffer.from('000100002112a442000000000000000000000000', 'hex'),
    transport.local.port,
    '127.0.0.1',
  );
  socket.send(Buffer.from('0300ffff', 'hex'), transport.local.port, '127.0.0.1');
  socket.send('garbage', transport.local.port, '127.0.0.1');
  await seen.until(() => seen.messages.length === 1);
  socket.close();
  assert.is(seen.messages[0]?.parsed.ok, false);
  assert.is(transport.counts().keepAlives, 5);
  assert.is(transport.counts().stun, 1);
  assert.is(transport.counts().foreign, 1);
});

test('S30: a keep-alive datagram every 25 s, until it is ended or the flow closes', async () => {
  const { clock, transport } = create();
  await transport.start(createRecorder());
  const { transport: peer } = create();
  await peer.start(createRecorder());
  const flow = transport.connect(peer.local);
  flow.keepAlive({ interval: 25_000, pong: 10_000 });
  await clock.advance(76_600);
  await eventually(() => peer.counts().keepAlives === 3, 'three keep-alives');
  flow.keepAlive(undefined);
  assert.is(clock.pending(), 0);
  flow.keepAlive({ interval: 25_000, pong: 10_000 });
  flow.close();
  assert.is(clock.pending(), 0);
});

test('IPv6, and IPv4 on a socket for both', async () => {
  const { transport: both } = create('::');
  const seen = createRecorder((got) => void got.flow.send(message('back')));
  await both.start(seen);
  for (const host of ['127.0.0.1', '::1']) {
    const { transport } = create(host);
    const back = createRecorder();
    await transport.start(back);
    await transport.connect({ host, port: both.local.port }).send(message(host));
    await back.until(() => back.messages.length === 1);
    assert.is(seen.messages.at(-1)?.flow.remote.host, host);
  }
});

test('a socket for all addresses tells the one that a peer will see', async () => {
  const { transport } = create('0.0.0.0');
  await transport.start(createRecorder());
  const flow = transport.connect({ host: '127.0.0.1', port: 5060 });
  await flow.ready();
  assert.equal(flow.local, { host: '127.0.0.1', port: transport.local.port });
});

test('a port that is taken is an error with a code', async () => {
  const { transport } = create();
  await transport.start(createRecorder());
  const second = createUdpTransport({ clock: createFakeClock(), log: silent }, transport.local);
  await second.start(createRecorder()).then(
    () => assert.unreachable(),
    (error) => {
      assert.is(error.code, 'SIP_CANNOT_LISTEN');
      assert.match(error.message, 'EADDRINUSE');
    },
  );
});

test('the table of flows is bounded: quiet ones go, held ones and those in use stay', async () => {
  const { transport } = create('127.0.0.1', { maxFlows: 10 });
  const seen = createRecorder();
  await transport.start(seen);
  const kept = transport.connect({ host: '127.0.0.1', port: 9 });
  kept.onClose(() => undefined);
  for (let port = 1_000; port < 1_100; port += 1) transport.connect({ host: '127.0.0.1', port });
  assert.is(transport.counts().flows, 10);
  assert.is(transport.connect({ host: '127.0.0.1', port: 9 }), kept);
  assert.is(kept.state, 'open');
  assert.is(seen.closes.length, 0, 'forgetting closes nothing');
});

test('after stop: sends reject, flows are closed, listeners were told', async () => {
  const { transport } = create();
  await transport.start(createRecorder());
  const flow = transport.connect({ host: '127.0.0.1', port: 9 });
  let told = 0;
  flow.onClose(() => (told += 1));
  await transport.stop();
  assert.is(flow.state, 'closed');
  assert.is(told, 1);
  await transport
    .connect({ host: '127.0.0.1', port: 9 })
    .send(message('1'))
    .then(
      () => assert.unreachable(),
      (error) => assert.is(error.code, 'SIP_FLOW_REFUSED'),
    );
});

test('S7: a socket whose every write fails, by event or by throwing, breaks nothing', async () => {
  for (const way of ['callback', 'throw']) {
    const { transport } = create(
      '127.0.0.1',
      {},
      {
        datagrams: (options: Parameters<typeof createSocket>[0]) => {
          const socket = createSocket(options);
          socket.send = ((_bytes: unknown, _port: unknown, _host: unknown, done: (error: Error) => void) => {
            if (way === 'throw') throw new Error('no');
            queueMicrotask(() => done(new Error('no')));
          }) as never;
          return socket;
        },
      },
    );
    await transport.start(createRecorder());
    await transport
      .connect({ host: '127.0.0.1', port: 9 })
      .send(message('1'))
      .then(
        () => assert.unreachable(),
        (error) => assert.is(error.code, 'SIP_FLOW_REFUSED'),
      );
  }
});
