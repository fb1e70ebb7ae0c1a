import { connect, createServer, type Server, type Socket } from 'node:net';
import * as assert from 'uvu/assert';
import { createTcpTransport, type Net } from '../../../src/tiny-sip/transport/tcp.ts';
import type { Address, Transport } from '../../../src/tiny-sip/transport/transport.ts';
import { createFakeClock } from '../../support/fake-clock.ts';
import { createFakeRandom } from '../../support/fake-random.ts';
import { suite } from '../../support/harness.ts';
import { createRecorder, eventually, message, silent } from './recorder.ts';

const test = suite('tcp');
const running: { stop(): Promise<void> | void }[] = [];
test.afterEach(async () => {
  for (const one of running.splice(0).reverse()) await one.stop();
});

function create(options = {}, host = '127.0.0.1') {
  const clock = createFakeClock();
  const transport = createTcpTransport(
    { clock, log: silent, random: createFakeRandom() },
    { host, port: 0, ...options },
  );
  running.push(transport);
  return { clock, transport };
}

/** A bare client of the transport: what it hears, and the socket to speak with. */
async function dial(
  transport: Transport,
): Promise<{ socket: Socket; heard: () => string; closed: () => boolean }> {
  const socket = connect({ host: '127.0.0.1', port: transport.local.port });
  running.push({ stop: () => void socket.destroy() });
  let text = '';
  let closed = false;
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1');
  });
  socket.on('close', () => {
    closed = true;
  });
  socket.on('error', () => undefined);
  await new Promise((resolve) => socket.once('connect', resolve));
  return { socket, heard: () => text, closed: () => closed };
}

/** A bare server for the transport to connect to. */
async function listen(
  onSocket: (socket: Socket) => void,
): Promise<{ at: Address; server: Server; sockets: Socket[] }> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    onSocket(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  running.push({
    stop: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  });
  const address = server.address();
  return {
    at: { host: '127.0.0.1', port: typeof address === 'object' ? (address?.port ?? 0) : 0 },
    server,
    sockets,
  };
}

const rejects = (promise: Promise<unknown>, code: string): Promise<void> =>
  promise.then(
    () => assert.unreachable(`no ${code}`),
    (error) => assert.is(error.code, code),
  );

test('there and back over one connection, which is used again from both sides', async () => {
  const { transport: a } = create();
  const { transport: b } = create();
  const left = createRecorder();
  const right = createRecorder();
  await a.start(left);
  await b.start(right);
  const flow = a.connect(b.local);
  assert.is(flow.state, 'connecting');
  assert.is(a.connect(b.local), flow);
  const sending = flow.send(message('early'));
  await flow.ready();
  await sending;
  assert.is(flow.state, 'open');
  assert.is(flow.opened, true);
  await right.until(() => right.messages.length === 1);
  const back = right.messages[0]?.flow;
  assert.equal(back?.remote, flow.local);
  assert.is(back?.opened, false);
  assert.is(b.connect(flow.local), back, 'the connection is used the other way round');
  await back?.send(message('back'));
  await left.until(() => left.messages.length === 1);
  assert.is(left.messages[0]?.flow, flow);
});

test('refused: ready, send and listeners learn it, nothing throws', async () => {
  const { transport } = create({ listen: false });
  const seen = createRecorder();
  await transport.start(seen);
  const { at, server } = await listen(() => undefined);
  await new Promise((resolve) => server.close(resolve));
  const flow = transport.connect(at);
  const ready = rejects(flow.ready(), 'SIP_FLOW_REFUSED');
  const sent = rejects(flow.send(message('1')), 'SIP_FLOW_REFUSED');
  await Promise.all([ready, sent]);
  await seen.until(() => seen.closes.length === 1);
  assert.match(seen.closes[0]?.cause?.message ?? '', 'ECONNREFUSED');
  assert.is(transport.counts().flows, 0);
  await rejects(flow.send(message('2')), 'SIP_FLOW_CLOSED');
  assert.is.not(transport.connect(at), flow);
});

test('a connection that is never made is given up', async () => {
  const { transport, clock } = create({ listen: false, connectTimeout: 5_000 });
  const seen = createRecorder();
  await transport.start(seen);
  // Nobody answers in this network (RFC 5737), or the machine says at once that there is no way: both must end.
  const flow = transport.connect({ host: '192.0.2.1', port: 5060 });
  const refused = rejects(flow.ready(), 'SIP_FLOW_REFUSED');
  await clock.advance(6_000);
  await refused;
  assert.is(flow.state, 'closed');
});

test('messages in pieces and several at once', async () => {
  const { transport } = create();
  const seen = createRecorder();
  await transport.start(seen);
  const { socket } = await dial(transport);
  const stream = Buffer.concat([message('1', 'one'), message('2'), message('3', 'three')]);
  socket.setNoDelay(true);
  for (let at = 0; at < stream.length; at += 37) {
    socket.write(stream.subarray(at, at + 37));
    await new Promise((resolve) => setImmediate(resolve));
  }
  await seen.until(() => seen.messages.length === 3);
  assert.equal(
    seen.messages.map((got) => got.parsed.ok && got.parsed.message.callId),
    ['1', '2', '3'],
  );
});

test('S42: when the framing is lost the answer still goes out, then the connection closes', async () => {
  const { transport } = create();
  const seen = createRecorder((got) => {
    if (!got.parsed.ok) void got.flow.send(Buffer.from('SIP/2.0 400 Bad\r\nContent-Length: 0\r\n\r\n'));
  });
  await transport.start(seen);
  const { socket, heard, closed } = await dial(transport);
  socket.write(message('1').toString().replace('Content-Length: 0', 'Content-Length: -5'));
  await eventually(closed, 'the close');
  assert.match(heard(), /^SIP\/2.0 400/);
  assert.is(seen.breaks.length, 1);
  assert.is((seen.closes[0]?.cause as { code?: string } | undefined)?.code, 'SIP_FRAMING_LOST');
  const next = await dial(transport);
  next.socket.write(message('2'));
  await seen.until(() => seen.messages.length === 2);
  assert.ok(seen.messages[1]?.parsed.ok, 'a new connection works');
});

test('RFC 5626 §4.4.1: a double CRLF is answered with a single one, a single one with nothing', async () => {
  const { transport } = create();
  await transport.start(createRecorder());
  const { socket, heard } = await dial(transport);
  socket.setNoDelay(true);
  socket.write('\r\n\r\n');
  await eventually(() => heard() === '\r\n', 'a pong');
  socket.write('\r\n');
  socket.write('\r\n');
  await eventually(() => heard() === '\r\n\r\n', 'another');
  socket.write('\r\n');
  await new Promise((resolve) => setImmediate(resolve));
  assert.is(heard(), '\r\n\r\n');
});

test('S30: pings at 80 to 100 % of the interval; a peer that answers stays', async () => {
  const { transport, clock } = create({ listen: false });
  await transport.start(createRecorder());
  let pings = '';
  const { at } = await listen((socket) =>
    socket.on('data', (chunk) => {
      pings += chunk.toString();
      socket.write('\r\n');
    }),
  );
  const flow = transport.connect(at);
  await flow.ready();
  flow.keepAlive({ interval: 30_000, pong: 10_000 });
  await clock.advance(23_000);
  assert.is(pings, '');
  for (let ping = 1; ping <= 3; ping += 1) {
    for (let second = 0; second < 31 && pings.length < ping * 4; second += 1) {
      await clock.advance(1_000);
      await eventually(() => true);
    }
    await eventually(() => pings.length === ping * 4, `ping ${ping}`);
  }
  await clock.advance(5_000);
  assert.is(flow.state, 'open');
});

test('S30: a peer that does not answer within 10 s is dead, in less than 40 s', async () => {
  const { transport, clock } = create({ listen: false });
  const seen = createRecorder();
  await transport.start(seen);
  const { at } = await listen(() => undefined);
  const flow = transport.connect(at);
  await flow.ready();
  flow.keepAlive({ interval: 25_000, pong: 10_000 });
  await clock.advance(36_000);
  assert.is(flow.state, 'closed');
  assert.is((seen.closes[0]?.cause as { code?: string } | undefined)?.code, 'SIP_FLOW_SILENT');
  assert.is(clock.pending(), 0);
});

test('without a pong limit a silent peer is pinged on and never judged', async () => {
  const { transport, clock } = create({ listen: false });
  await transport.start(createRecorder());
  let pings = '';
  const { at } = await listen((socket) =>
    socket.on('data', (chunk) => {
      pings += chunk.toString();
    }),
  );
  const flow = transport.connect(at);
  await flow.ready();
  flow.keepAlive({ interval: 30_000 });
  await clock.advance(121_000);
  await eventually(() => pings.length >= 16, 'four pings');
  assert.is(flow.state, 'open');
});

test('idle connections are closed; those on which something moves are not', async () => {
  const { transport, clock } = create({ idle: 60_000 });
  const seen = createRecorder();
  await transport.start(seen);
  const quiet = await dial(transport);
  const busy = await dial(transport);
  await eventually(() => transport.counts().flows === 2);
  for (let n = 0; n < 4; n += 1) {
    await clock.advance(20_000);
    busy.socket.write(message(String(n)));
    await seen.until(() => seen.messages.length === n + 1);
  }
  await eventually(quiet.closed, 'the quiet one closed');
  assert.not(busy.closed());
  assert.is((seen.closes[0]?.cause as { code?: string } | undefined)?.code, 'SIP_FLOW_IDLE');
});

test('a message that trickles in for ever is not waited for', async () => {
  const { transport, clock } = create({ messageTimeout: 32_000 });
  const seen = createRecorder();
  await transport.start(seen);
  const { socket, closed } = await dial(transport);
  const flow = (): number => transport.counts().flows ?? 0;
  await eventually(() => flow() === 1);
  for (let n = 0; n < 7 && flow() === 1; n += 1) {
    socket.write('X');
    await eventually(() => (transport.counts().timers ?? 0) >= 2, 'the byte');
    await clock.advance(5_000);
  }
  await eventually(closed, 'the close');
  assert.is((seen.closes[0]?.cause as { code?: string } | undefined)?.code, 'SIP_FRAMING_LOST');
});

test('S42: what the unfinished messages of all connections take is bounded: the largest goes, the others go on', async () => {
  const { transport } = create({ unfinishedBytes: 1_000_000 });
  const seen = createRecorder();
  await transport.start(seen);
  const honest = await dial(transport);
  const whole = message('honest', 'x'.repeat(2_000));
  honest.socket.write(whole.subarray(0, 1_500));
  const greedy = await Promise.all([0, 1, 2, 3].map(() => dial(transport)));
  const head = message('greedy', 'x'.repeat(900_000)).subarray(0, 600_000);
  for (const { socket } of greedy) socket.write(head);
  await eventually(() => greedy.filter(({ closed }) => closed()).length >= 3, 'the close of all but one');
  assert.ok((transport.counts().unfinished ?? 0) <= 1_000_000);
  assert.is(honest.closed(), false);
  honest.socket.write(whole.subarray(1_500));
  await eventually(() => seen.messages.length === 1, 'the message of the other');
  for (const { socket } of greedy) socket.destroy();
  await eventually(() => transport.counts().unfinished === 0, 'nothing held at rest');
});

test('a slow reader: the queue is bounded and says so, what fits arrives', async () => {
  const { transport } = create({ listen: false, queueBytes: 100_000 });
  await transport.start(createRecorder());
  const { at, sockets } = await listen((socket) => socket.pause());
  const flow = transport.connect(at);
  await flow.ready();
  const big = message('big', 'x'.repeat(60_000));
  const results = await (async () => {
    const settled: Promise<string>[] = [];
    for (let n = 0; n < 200; n += 1)
      settled.push(
        flow.send(big).then(
          () => 'sent',
          (error) => error.code,
        ),
      );
    await eventually(() => sockets.length === 1);
    // Those that were refused know it at once; the others wait for the reader.
    const refused = (
      await Promise.all(
        settled.map((one) =>
          Promise.race([one, new Promise<string>((resolve) => setImmediate(() => resolve('waits')))]),
        ),
      )
    ).filter((one) => one === 'SIP_QUEUE_FULL');
    return { settled, refused };
  })();
  assert.ok(results.refused.length > 100, `${results.refused.length} refused`);
  assert.is(flow.state, 'open');
  sockets[0]?.resume();
  const all = await Promise.all(results.settled);
  assert.ok(all.filter((one) => one === 'sent').length >= 1);
  assert.is(all.filter((one) => one === 'sent' || one === 'SIP_QUEUE_FULL').length, 200);
  await flow.send(message('after'));
});

test('connections are bounded in both directions', async () => {
  const { transport } = create({ maxConnections: 3 });
  const seen = createRecorder();
  await transport.start(seen);
  const dialled = [await dial(transport), await dial(transport), await dial(transport)];
  await eventually(() => transport.counts().flows === 3);
  const fourth = await dial(transport);
  await eventually(fourth.closed, 'the fourth closed');
  assert.is(transport.counts().refused, 1);
  const { at } = await listen(() => undefined);
  const flow = transport.connect(at);
  await rejects(flow.ready(), 'SIP_TOO_MANY_FLOWS');
  dialled[0]?.socket.destroy();
  await eventually(() => transport.counts().flows === 2);
  await transport.connect(at).ready();
});

test('a peer that closes, and one that resets: listeners are told once', async () => {
  const { transport } = create({ listen: false });
  const seen = createRecorder();
  await transport.start(seen);
  const { at, sockets } = await listen(() => undefined);
  for (const how of ['end', 'reset'] as const) {
    const flow = transport.connect(at);
    let told = 0;
    flow.onClose(() => (told += 1));
    await flow.ready();
    await eventually(() => sockets.length === (how === 'end' ? 1 : 2));
    if (how === 'end') sockets[0]?.end();
    else sockets[1]?.resetAndDestroy();
    await eventually(() => flow.state === 'closed', how);
    assert.is(told, 1);
  }
  assert.is(seen.closes.length, 2);
  assert.is(transport.counts().flows, 0);
});

test('S7: closing inside each callback harms nothing', async () => {
  const { transport } = create();
  const seen = createRecorder((got) => got.flow.close());
  await transport.start(seen);
  const { socket, closed } = await dial(transport);
  socket.write(Buffer.concat([message('1'), message('2'), message('3')]));
  await eventually(closed, 'the close');
  assert.is(seen.messages.length, 1, 'after it was closed a flow gives nothing');
  assert.is(seen.closes.length, 1);
});

test('S7: the n-th write of a connection fails: that send rejects, the flow closes, nothing throws', async () => {
  for (const fatal of [1, 2, 3]) {
    let writes = 0;
    const net: Net = {
      createServer,
      connect: (options) => {
        const socket = connect(options);
        const write = socket.write.bind(socket);
        socket.write = ((bytes: Buffer, done?: (error?: Error | null) => void) => {
          writes += 1;
          if (writes !== fatal) return write(bytes, done);
          done?.(new Error('broken'));
          socket.destroy(new Error('broken'));
          return false;
        }) as Socket['write'];
        return socket;
      },
    };
    const clock = createFakeClock();
    const deps = { clock, log: silent, random: createFakeRandom(), net };
    const transport = createTcpTransport(deps, { listen: false });
    running.push(transport);
    const seen = createRecorder();
    await transport.start(seen);
    const { at } = await listen((socket) => socket.resume());
    const flow = transport.connect(at);
    await flow.ready();
    for (let n = 1; n < fatal; n += 1) await flow.send(message(String(n)));
    await rejects(flow.send(message('fatal')), 'SIP_FLOW_CLOSED');
    await seen.until(() => seen.closes.length === 1);
    assert.is(flow.state, 'closed');
    assert.is(transport.counts().flows, 0);
    assert.is(clock.pending(), 0);
  }
});

test('S24: a watcher behind its own connection is reached over it for as long as it is kept alive', async () => {
  const { transport, clock } = create({ idle: 60_000 });
  const seen = createRecorder();
  await transport.start(seen);
  const { socket, heard } = await dial(transport);
  socket.write(message('subscribe'));
  await seen.until(() => seen.messages.length === 1);
  const flow = seen.messages[0]?.flow;
  flow?.keepAlive({ interval: 30_000 });
  socket.on('data', (chunk) => {
    if (chunk.toString().startsWith('\r\n')) socket.write('\r\n');
  });
  for (let n = 0; n < 20; n += 1) {
    await clock.advance(30_000);
    await eventually(() => true);
  }
  assert.is(flow?.state, 'open', 'ten minutes later');
  assert.is(transport.connect(flow?.remote ?? { host: '', port: 0 }), flow, 'and used, not opened anew');
  await flow?.send(message('notify'));
  await eventually(() => heard().includes('Call-ID: notify'), 'the notification');
});

test('closing lets go out what was sent before', async () => {
  const { transport } = create({ listen: false });
  await transport.start(createRecorder());
  let text = '';
  let ended = false;
  const { at } = await listen((socket) => {
    socket.on('data', (chunk) => (text += chunk.toString()));
    socket.on('end', () => (ended = true));
  });
  const flow = transport.connect(at);
  await flow.ready();
  const sent = flow.send(message('last', 'y'.repeat(50_000)));
  flow.close();
  await sent;
  await eventually(() => ended, 'the end');
  assert.is(text.length, message('last', 'y'.repeat(50_000)).length);
});

test('stop closes everything and leaves no timer; a peer that does not close is cut off', async () => {
  const { transport, clock } = create();
  await transport.start(createRecorder());
  const { socket } = await dial(transport);
  socket.allowHalfOpen = true;
  await eventually(() => transport.counts().flows === 1);
  const stopping = transport.stop();
  await clock.advance(3_000);
  await stopping;
  assert.is(transport.counts().flows, 0);
  assert.is(clock.pending(), 0);
});

test('a port that is taken is an error with a code', async () => {
  const { at } = await listen(() => undefined);
  const { transport } = create({ port: at.port });
  await rejects(transport.start(createRecorder()), 'SIP_CANNOT_LISTEN');
});

test('both families on one socket; IPv4 is shown as IPv4', async () => {
  const { transport } = create({}, '::');
  const seen = createRecorder();
  await transport.start(seen);
  const { socket } = await dial(transport);
  socket.write(message('1'));
  await seen.until(() => seen.messages.length === 1);
  assert.is(seen.messages[0]?.flow.remote.host, '127.0.0.1');
});

test('S42: idle connections of one source are bounded: the quietest gives way, those that somebody relies on stay', async () => {
  const { transport, clock } = create({ maxPerSource: 4, idle: 3_600_000, mute: 3_600_000 });
  const seen = createRecorder();
  await transport.start(seen);
  const kept = await dial(transport);
  kept.socket.write(message('kept'));
  await seen.until(() => seen.messages.length === 1);
  seen.messages[0]?.flow.onClose(() => undefined);
  const second = await dial(transport);
  await eventually(() => transport.counts().flows === 2);
  await clock.advance(1_000);
  const third = await dial(transport);
  const fourth = await dial(transport);
  await eventually(() => transport.counts().flows === 4);
  const tooSoon = await dial(transport);
  await eventually(tooSoon.closed, 'nothing is quiet for long enough to give way');
  assert.is(transport.counts().refused, 1);
  await clock.advance(40_000);
  const sixth = await dial(transport);
  await eventually(second.closed, 'the quietest');
  assert.is(transport.counts().displaced, 1);
  assert.not(kept.closed() || third.closed() || fourth.closed() || sixth.closed());
  const { at } = await listen(() => undefined);
  await transport.connect(at).ready();
  assert.is(transport.counts().flows, 5, 'what this side opens does not count');
  sixth.socket.write(message('sixth'));
  await seen.until(() => seen.messages.length === 2);
});

test('a connection that was accepted and says nothing whole is not kept for as long as one that speaks', async () => {
  const { transport, clock } = create({ mute: 30_000, idle: 600_000 });
  const seen = createRecorder();
  await transport.start(seen);
  const mute = await dial(transport);
  const pinging = await dial(transport);
  const speaking = await dial(transport);
  await eventually(() => transport.counts().flows === 3);
  pinging.socket.write('\r\n\r\n');
  await eventually(() => pinging.heard() === '\r\n', 'the pong');
  speaking.socket.write(message('1'));
  await seen.until(() => seen.messages.length === 1);
  await clock.advance(32_000);
  await eventually(mute.closed, 'the mute one');
  await clock.advance(300_000);
  assert.not(pinging.closed() || speaking.closed());
  assert.is(transport.counts().flows, 2);
});

test('a reader that takes nothing at all is cut off, and whoever waits for it learns it', async () => {
  const { transport, clock } = create({ listen: false, writeTimeout: 20_000, queueBytes: 1e9 });
  const seen = createRecorder();
  await transport.start(seen);
  const { at } = await listen((socket) => socket.pause());
  const flow = transport.connect(at);
  await flow.ready();
  // More than two socket buffers hold.
  const sent = Array.from({ length: 300 }, (_, n) => flow.send(message(String(n), 'x'.repeat(60_000))));
  const outcomes = Promise.allSettled(sent);
  await eventually(() => (transport.counts().queued ?? 0) > 1_000_000);
  let quiet = -1;
  await eventually(() => {
    const before = quiet;
    quiet = transport.counts().sent ?? 0;
    return before === quiet;
  });
  await clock.advance(25_000);
  assert.is(flow.state, 'closed');
  assert.is((seen.closes[0]?.cause as { code?: string } | undefined)?.code, 'SIP_FLOW_STALLED');
  assert.ok((await outcomes).some((one) => one.status === 'rejected'));
  assert.is(transport.counts().queued, 0);
  assert.is(clock.pending(), 0);
});

test('what waits for all slow readers together is bounded', async () => {
  const { transport } = create({ listen: false, queuedBytes: 3_000_000, queueBytes: 1e9 });
  await transport.start(createRecorder());
  const flows = [];
  for (let n = 0; n < 3; n += 1) {
    const { at } = await listen((socket) => socket.pause());
    const flow = transport.connect(at);
    await flow.ready();
    flows.push(flow);
  }
  const big = message('big', 'x'.repeat(60_000));
  const outcomes = new Map<string, number>();
  const waiting: Promise<unknown>[] = [];
  for (let n = 0; n < 600; n += 1)
    for (const flow of flows)
      waiting.push(
        flow.send(big).catch((error) => outcomes.set(error.code, (outcomes.get(error.code) ?? 0) + 1)),
      );
  assert.ok((transport.counts().queued ?? 0) <= 3_000_000);
  await eventually(() => (outcomes.get('SIP_QUEUE_FULL') ?? 0) > 100);
  for (const flow of flows) flow.close(new Error('enough'));
  await Promise.all(waiting);
  assert.is(transport.counts().queued, 0);
});

test('S29: a connection whose own address is gone is closed once there is another way', async () => {
  const { transport } = create({ listen: false });
  const seen = createRecorder();
  await transport.start(seen);
  const { at } = await listen(() => undefined);
  const flow = transport.connect(at);
  await flow.ready();
  const gone = new Set(['127.0.0.1']);
  await transport.checkLocal?.(new Set(), async () => '192.0.2.9');
  await transport.checkLocal?.(gone, async () => undefined);
  await transport.checkLocal?.(gone, async () => '127.0.0.1');
  assert.is(flow.state, 'open');
  await transport.checkLocal?.(gone, async () => '192.0.2.9');
  assert.is(flow.state, 'closed');
  assert.is((seen.closes[0]?.cause as { code?: string } | undefined)?.code, 'SIP_FLOW_MOVED');
});

test('IPv6: there and back, one connection for every spelling of the address', async () => {
  const { transport: server } = create({}, '::1');
  const seen = createRecorder();
  await server.start(seen);
  const { transport } = create({ listen: false });
  await transport.start(createRecorder());
  const flow = transport.connect({ host: '0:0:0:0:0:0:0:1', port: server.local.port });
  await flow.send(message('1'));
  await seen.until(() => seen.messages.length === 1);
  assert.is(flow.local.host, '::1');
  assert.is(transport.connect(server.local), flow);
});
