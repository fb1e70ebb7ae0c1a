import { createSocket } from 'node:dgram';
import * as assert from 'uvu/assert';
import {
  formatBindingRequest,
  formatBindingSuccess,
  formatUnknownAttributes,
  parseStun,
} from '../../../src/tiny-sip/transport/stun.ts';
import { createUdpTransport } from '../../../src/tiny-sip/transport/udp.ts';
import { createFakeClock } from '../../support/fake-clock.ts';
import { suite } from '../../support/harness.ts';
import { createRecorder, eventually, message, silent } from './recorder.ts';

const test = suite('udp');
const running: { stop(): Promise<void> }[] = [];
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
  const leave = flow.keepAlive({ interval: 25_000, pong: 10_000 });
  await clock.advance(76_600);
  await eventually(() => peer.counts().keepAlives === 3, 'three keep-alives');
  leave();
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

test('S29: while there is no way to a peer its flow is not ready: a wildcard never gets into Via or Contact', async () => {
  let way = false;
  const { transport } = create(
    '0.0.0.0',
    {},
    {
      datagrams: (options: Parameters<typeof createSocket>[0]) => {
        const socket = createSocket(options);
        const connect = socket.connect.bind(socket);
        // A broadcast address is refused by the system at once, as an unreachable one is.
        socket.connect = ((port: number, host: string) =>
          connect(port, way ? host : '255.255.255.255')) as typeof socket.connect;
        return socket;
      },
    },
  );
  await transport.start(createRecorder());
  const flow = transport.connect({ host: '127.0.0.1', port: 5060 });
  await flow.ready().then(
    () => assert.unreachable(),
    (error) => assert.is(error.code, 'SIP_FLOW_REFUSED'),
  );
  assert.is(flow.state, 'open');
  way = true;
  await flow.ready();
  assert.is(flow.local.host, '127.0.0.1');
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

/** What a NAT and a STUN server are here: sockets that the test holds. `drop` loses everything from now on. */
async function stunServer(host = '127.0.0.1') {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  const state = { asked: 0, drop: false, mapped: { host: '198.51.100.7', port: 40_000 }, refuse: false };
  socket.on('message', (bytes, from) => {
    const message = parseStun(bytes);
    if (message?.kind !== 'request') return;
    state.asked += 1;
    if (state.drop) return;
    const answer = state.refuse
      ? formatUnknownAttributes(message.transaction, [0x30])
      : formatBindingSuccess(message.transaction, state.mapped);
    socket.send(answer, from.port, from.address);
  });
  await new Promise<void>((resolve) => socket.bind(0, host, resolve));
  running.push({ stop: () => new Promise<void>((resolve) => socket.close(() => resolve())) });
  return { at: { host, port: socket.address().port }, state };
}

const STUN = { interval: 29_000, pong: 10_000, stun: true } as const;

for (const host of ['127.0.0.1', '::1'])
  test(`RFC 5626 §8: a STUN binding request on the SIP port is answered with the address it came from, ${host}`, async () => {
    const { transport } = create(host);
    await transport.start(createRecorder());
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
    running.push({ stop: () => new Promise<void>((resolve) => socket.close(() => resolve())) });
    const answers: Buffer[] = [];
    socket.on('message', (bytes) => answers.push(bytes));
    await new Promise<void>((resolve) => socket.bind(0, host, resolve));
    const ask = (bytes: Buffer): void => socket.send(bytes, transport.local.port, host);
    ask(formatBindingRequest(Buffer.alloc(12, 7)));
    await eventually(() => answers.length === 1);
    const answer = parseStun(answers[0] ?? Buffer.alloc(0));
    assert.is(answer?.kind, 'success');
    assert.equal(answer?.transaction, Buffer.alloc(12, 7));
    assert.equal(answer?.mapped, { host, port: socket.address().port });
    // RFC 5389 §7.3.1: an attribute that must be understood.
    ask(Buffer.from('000100042112a4420707070707070707070707070030' + '0000', 'hex'));
    await eventually(() => answers.length === 2);
    assert.is(parseStun(answers[1] ?? Buffer.alloc(0))?.code, 420);
    // Answers that nobody asked for, and what is no STUN, get no answer: two servers would talk for ever.
    ask(formatBindingSuccess(Buffer.alloc(12, 7), { host: '192.0.2.1', port: 1 }));
    ask(Buffer.alloc(40));
    ask(formatBindingRequest(Buffer.alloc(12, 8)));
    await eventually(() => answers.length === 3);
    assert.equal(parseStun(answers[2] ?? Buffer.alloc(0))?.transaction, Buffer.alloc(12, 8));
    assert.is(transport.counts().foreign, 2);
  });

// device                 NAT                      server
//   |-- binding request ----|------------------------>|   every 24 to 29 s
//   |<-- mapped address ----|-------------------------|
//   |-- binding request --->X                             the NAT forgets
//   |   (9 s of repetition, then the flow is closed)
test('S30: a NAT that drops without a word is found by STUN in less than 40 s', async () => {
  const { clock, transport } = create();
  const seen = createRecorder();
  await transport.start(seen);
  const { at, state } = await stunServer();
  const flow = transport.connect(at);
  flow.keepAlive(STUN);
  const minute = async (seconds: number, holds: () => boolean): Promise<number> => {
    for (let n = 1; n <= seconds; n += 1) {
      await clock.advance(1_000);
      for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
      if (holds()) return n;
    }
    return seconds;
  };
  for (let ping = 1; ping <= 3; ping += 1) {
    const took = await minute(40, () => state.asked === ping && transport.counts().asked === 0);
    assert.ok(took >= 24 && took <= 31, `${took} s`);
  }
  assert.is(flow.state, 'open');
  state.drop = true;
  const took = await minute(60, () => flow.state === 'closed');
  assert.ok(took < 40, `${took} s`);
  assert.ok(state.asked >= 3 + 4, 'it was tried more than once');
  assert.is((seen.closes[0]?.cause as { code?: string } | undefined)?.code, 'SIP_FLOW_SILENT');
  assert.is.not(transport.connect(at), flow, 'the next one is new');
  assert.is(clock.pending(), 0);
});

for (const [what, change, code] of [
  ['changed its mapping', { mapped: { host: '198.51.100.7', port: 40_001 } }, 'SIP_FLOW_MOVED'],
  ['moved to another address', { mapped: { host: '198.51.100.8', port: 40_000 } }, 'SIP_FLOW_MOVED'],
  ['refuses', { refuse: true }, 'SIP_FLOW_REFUSED'],
] as const)
  test(`RFC 5626 §4.4.2: a peer or NAT that ${what}: the flow has failed`, async () => {
    const { clock, transport } = create();
    const seen = createRecorder();
    await transport.start(seen);
    const { at, state } = await stunServer();
    const flow = transport.connect(at);
    flow.keepAlive(STUN);
    const next = async (asked: number): Promise<void> => {
      await clock.advance(31_000);
      await eventually(() => state.asked >= asked && transport.counts().asked === 0, `answer ${asked}`);
    };
    await next(1);
    await next(2);
    assert.is(flow.state, 'open');
    Object.assign(state, change);
    await next(3);
    assert.is(flow.state, 'closed');
    assert.is((seen.closes[0]?.cause as { code?: string } | undefined)?.code, code);
    assert.is(clock.pending(), 0);
  });

test('a flow that is closed, or no longer kept open, asks no more', async () => {
  const { clock, transport } = create();
  await transport.start(createRecorder());
  const { at, state } = await stunServer();
  state.drop = true;
  const flow = transport.connect(at);
  const leave = flow.keepAlive(STUN);
  await clock.advance(31_000);
  assert.is(transport.counts().asked, 1);
  leave();
  assert.is(transport.counts().asked, 0);
  assert.is(clock.pending(), 0);
  flow.keepAlive(STUN);
  await clock.advance(31_000);
  flow.close();
  assert.is(clock.pending(), 0);
});

test('one transport for both families, each by a socket and with an address of its own', async () => {
  const { transport: both } = create('0.0.0.0', { host: ['0.0.0.0', '::'] });
  const seen = createRecorder((got) => void got.flow.send(message('back')));
  await both.start(seen);
  for (const host of ['127.0.0.1', '::1']) {
    const { transport } = create(host);
    const heard = createRecorder();
    await transport.start(heard);
    const flow = both.connect(transport.local);
    await flow.ready();
    assert.is(flow.local.host, host);
    await flow.send(message(host));
    await heard.until(() => heard.messages.length === 1);
    assert.is(heard.messages[0]?.flow.remote.port, flow.local.port);
    await heard.messages[0]?.flow.send(message('answer'));
    await seen.until(() => seen.messages.some((got) => got.flow === flow));
    assert.ok(both.reaches?.(host));
  }
});

test('a family that this machine does not speak is left out, another error is one', async () => {
  const failing = (code: string) => ({
    datagrams: (options: Parameters<typeof createSocket>[0]) => {
      const socket = createSocket(options);
      if (typeof options === 'object' && options.type === 'udp6')
        socket.bind = (() => {
          queueMicrotask(() => socket.emit('error', Object.assign(new Error(code), { code })));
          return socket;
        }) as never;
      return socket;
    },
  });
  const { transport } = create('0.0.0.0', { host: ['127.0.0.1', '::1'] }, failing('EAFNOSUPPORT'));
  await transport.start(createRecorder());
  assert.not.ok(transport.reaches?.('::1'));
  assert.ok(transport.reaches?.('127.0.0.1'));
  await transport
    .connect({ host: '::1', port: 9 })
    .send(message('1'))
    .then(
      () => assert.unreachable(),
      (error) => assert.is(error.code, 'SIP_FLOW_REFUSED'),
    );
  for (const [host, code] of [
    [['127.0.0.1', '::1'], 'EACCES'],
    [['::1'], 'EAFNOSUPPORT'],
  ] as const) {
    const { transport: refused } = create('', { host }, failing(code));
    await refused.start(createRecorder()).then(
      () => assert.unreachable(),
      (error) => assert.is(error.code, 'SIP_CANNOT_LISTEN'),
    );
  }
});

test('S29: a flow whose own address is gone is closed once there is another way, and stays while there is none', async () => {
  const { transport } = create('0.0.0.0');
  const seen = createRecorder();
  await transport.start(seen);
  const flow = transport.connect({ host: '127.0.0.1', port: 9 });
  const quiet = transport.connect({ host: '127.0.0.1', port: 10 });
  await flow.ready();
  await quiet.ready();
  flow.onClose(() => undefined);
  const gone = new Set(['127.0.0.1']);
  await transport.checkLocal?.(new Set(), async () => '192.0.2.9');
  assert.is(flow.state, 'open', 'nothing is gone');
  await transport.checkLocal?.(gone, async () => undefined);
  assert.is(flow.state, 'open', 'the link is down');
  await transport.checkLocal?.(gone, async () => '127.0.0.1');
  assert.is(flow.state, 'open', 'it came back');
  await transport.checkLocal?.(gone, async () => '192.0.2.9');
  assert.is(flow.state, 'closed');
  assert.is((seen.closes[0]?.cause as { code?: string } | undefined)?.code, 'SIP_FLOW_MOVED');
  assert.is(quiet.state, 'open', 'nobody relies on it');
});

test('S29: a flow that is kept open is closed when its way leaves by another address', async () => {
  const { transport } = create('0.0.0.0');
  await transport.start(createRecorder());
  const flow = transport.connect({ host: '127.0.0.1', port: 9 });
  await flow.ready();
  flow.keepAlive({ interval: 25_000 });
  await transport.checkLocal?.(new Set(), async () => '127.0.0.1');
  assert.is(flow.state, 'open');
  await transport.checkLocal?.(new Set(), async () => '192.0.2.9');
  assert.is(flow.state, 'closed');
});

test('S29: an address that is gone is told to nobody, not even before the flow is found to have moved', async () => {
  let present: string[] | undefined = ['127.0.0.1'];
  let looked = 0;
  const { transport, clock } = create(
    '0.0.0.0',
    {},
    {
      addresses: () => present,
      datagrams: (options: Parameters<typeof createSocket>[0]) => {
        looked += 1;
        return createSocket(options);
      },
    },
  );
  await transport.start(createRecorder());
  const flow = transport.connect({ host: '127.0.0.1', port: 9 });
  looked = 0;
  await flow.ready();
  await clock.advance(5_000);
  await flow.ready();
  assert.is(looked, 1, 'what is known is not looked up for every message');
  present = ['192.0.2.9'];
  await clock.advance(300);
  await flow.ready();
  assert.is(looked, 2);
  present = undefined;
  await clock.advance(300);
  await flow.ready();
  assert.is(looked, 2, 'nobody can tell');
  await clock.advance(10_000);
  await flow.ready();
  assert.is(looked, 3);
});

//  PUBLISH at 0 s by 192.0.2.5; the address changes at 1 s; PUBLISH at 2 s; the addresses are looked at from 5 s on
test('S29: a change of address that a request finds first is not hidden from who relies on the flow', async () => {
  let way = '192.0.2.5';
  const { transport, clock } = create(
    '0.0.0.0',
    {},
    {
      addresses: () => [way],
      datagrams: (options: Parameters<typeof createSocket>[0]) => {
        const socket = createSocket(options);
        // Stands for the system's choice of a way.
        socket.connect = (() => {
          socket.address = () => ({ address: way, family: 'IPv4', port: 1 });
          queueMicrotask(() => socket.emit('connect'));
        }) as typeof socket.connect;
        return socket;
      },
    },
  );
  const seen = createRecorder();
  await transport.start(seen);
  const at = { host: '203.0.113.1', port: 5060 };
  const relied = transport.connect(at);
  await relied.ready();
  const leave = relied.keepAlive({ interval: 1e9 });
  await clock.advance(1_000);
  way = '192.0.2.6';
  await clock.advance(1_000);
  await relied.ready().then(
    () => assert.unreachable('it goes on as if nothing were'),
    (error) => assert.is(error.code, 'SIP_FLOW_MOVED'),
  );
  assert.is((seen.closes[0]?.cause as { code?: string } | undefined)?.code, 'SIP_FLOW_MOVED');
  leave();
  const next = transport.connect(at);
  assert.is.not(next, relied);
  await next.ready();
  assert.is(next.local.host, '192.0.2.6');
  // Nobody relies on this one: it is only a way to send.
  way = '192.0.2.7';
  await clock.advance(1_000);
  await next.ready();
  assert.is(next.local.host, '192.0.2.7');
  assert.is(next.state, 'open');
  assert.is(clock.pending(), 0);
});
