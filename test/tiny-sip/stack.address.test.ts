/** What a stack shows as its own address, by family, and what it does when that changes. */
import { createSocket } from 'node:dgram';
import {
  contactUri,
  createRequest,
  createStack,
  createTcpTransport,
  createUdpTransport,
  type Flow,
  parseVia,
  type SipRequest,
  type Stack,
  type StackDeps,
  type Transport,
} from 'tiny-sip';
import * as assert from 'uvu/assert';
import { createFakeClock } from '../support/fake-clock.ts';
import { createFakeRandom } from '../support/fake-random.ts';
import { suite } from '../support/harness.ts';
import { createQuietLog, text, wire } from './rig.ts';
import { eventually } from './transport/recorder.ts';

const test = suite('own addresses');
const log = createQuietLog();
const running: Stack[] = [];
test.afterEach(async () => {
  for (const stack of running.splice(0)) await stack.stop();
});

let seed = 800;
const clock = createFakeClock();
const udp = (host: string | readonly string[]): Transport =>
  createUdpTransport({ clock, log }, { host, port: 0 });
const tcp = (options: { host: string; port: number } | { listen: false }): Transport =>
  createTcpTransport({ clock, log, random: createFakeRandom(seed++) }, options);

async function stackOn(transports: readonly Transport[], deps: Partial<StackDeps> = {}): Promise<Stack> {
  const stack = createStack({ clock, log, random: createFakeRandom(seed++), ...deps }, { transports });
  await stack.start();
  running.push(stack);
  return stack;
}

const target = (transport: Transport, host = transport.local.host) => ({
  protocol: transport.protocol,
  host,
  port: transport.local.port,
  name: host,
});

for (const [host, shown] of [
  ['127.0.0.1', '127.0.0.1'],
  ['::1', '[::1]'],
] as const)
  test(`IPv4 and IPv6: a stack bound to both shows ${shown} in Via and Contact, and is answered there`, async () => {
    const client = await stackOn([udp(['0.0.0.0', '::']), tcp({ listen: false })]);
    for (const at of [udp(host), tcp({ host, port: 0 })]) {
      const server = await stackOn([at]);
      const heard: SipRequest[] = [];
      server.on('MESSAGE', (incoming) => {
        heard.push(incoming.request);
        incoming.respond(200);
      });
      const flow = client.flow(target(at));
      await flow.ready();
      const outcome = await client.send(
        createRequest({ method: 'MESSAGE', uri: 'sip:x@example.com', body: 'x' }),
        {
          flow,
        },
      );
      assert.is(outcome.kind === 'response' && outcome.response.status, 200);
      const via = heard[0]?.topVia;
      assert.is(via?.host, host);
      assert.match(heard[0]?.get('Via') ?? '', ` ${shown}:${flow.local.port}`);
      assert.match(contactUri(flow, 'me'), `sip:me@${shown}:${flow.local.port}`);
      if (at.protocol === 'udp') {
        // RFC 3581 §4: filled in by the server, IPv6 without brackets (RFC 3261 §25.1).
        const back = outcome.kind === 'response' ? outcome.response.topVia : undefined;
        assert.is(back?.param('received'), host);
        assert.is(back?.rport, flow.local.port);
      }
    }
  });

test('S33: a response that no datagram holds becomes a 500, not silence', async () => {
  const at = udp('127.0.0.1');
  const server = await stackOn([at]);
  let size = 70_000;
  server.on('MESSAGE', (incoming) =>
    incoming.respond(200, { body: 'x'.repeat(size), contentType: 'text/plain' }),
  );
  const client = await stackOn([udp('127.0.0.1')]);
  const ask = async (): Promise<number | undefined> => {
    const request = createRequest({ method: 'MESSAGE', uri: 'sip:example.com', body: 'x' });
    const outcome = await client.send(request, { target: target(at) });
    return outcome.kind === 'response' ? outcome.response.status : undefined;
  };
  assert.is(await ask(), 500);
  size = 60_000;
  assert.is(await ask(), 200);
});

test('two transports of one protocol: the one that reaches the family is taken', async () => {
  const four = udp('127.0.0.1');
  const six = udp('::1');
  const client = await stackOn([four, six]);
  for (const host of ['127.0.0.1', '::1']) {
    const at = udp(host);
    await stackOn([at]);
    const outcome = await client.send(createRequest({ method: 'OPTIONS', uri: 'sip:example.com' }), {
      target: target(at),
    });
    assert.is(outcome.kind === 'response' && outcome.response.status, 200, host);
  }
});

test('RFC 3581: an IPv6 address in another spelling in Via is the same; a different one is told', async () => {
  const at = udp('::1');
  await stackOn([at]);
  const raw = udp('::1');
  const answers: string[] = [];
  await raw.start({
    message: (_flow, bytes) => void answers.push(bytes.toString()),
    closed: () => undefined,
    broken: () => undefined,
  });
  try {
    const flow: Flow = raw.connect(at.local);
    const ask = async (host: string, rport: string): Promise<ReturnType<typeof parseVia>> => {
      const before = answers.length;
      const via = `Via: SIP/2.0/UDP ${host}:${raw.local.port};branch=z9hG4bK${before}${rport}`;
      await flow.send(wire(text('OPTIONS', 'sip:x@[::1]', { via, callId: `c${before}` })));
      await eventually(() => answers.length > before);
      return parseVia(/^Via: *(.*)$/im.exec(answers.at(-1) ?? '')?.[1] ?? '');
    };
    assert.is((await ask('[0:0:0:0:0:0:0:1]', '')).received, undefined);
    assert.is((await ask('[::0001]', '')).received, undefined);
    assert.is((await ask('[2001:db8::1]', '')).received, '::1');
    const asked = await ask('[0:0::0:1]', ';rport');
    assert.is(asked.received, '::1');
    assert.is(asked.rport, raw.local.port);
  } finally {
    await raw.stop();
  }
});

// S29: the address of this machine changes
//
//  192.0.2.5 ── link down ── (no way) ── link up with 192.0.2.9
//    the flow stays while there is no way, and is closed as soon as there is another
test('S29: a link that goes down and comes back with another address: flows are closed, the next shows the new one', async () => {
  let present = ['127.0.0.1', '::1'];
  let way: string | undefined = '127.0.0.1';
  const asked: string[] = [];
  const stack = await stackOn([udp('0.0.0.0'), tcp({ listen: false })], {
    addresses: () => present,
    towards: async ({ host }) => {
      asked.push(host);
      return way;
    },
  });
  const server = tcp({ host: '127.0.0.1', port: 0 });
  await stackOn([server]);
  const closed: [Flow, unknown][] = [];
  stack.onFlowClosed((flow, cause) => closed.push([flow, (cause as { code?: string } | undefined)?.code]));
  const stream = stack.flow(target(server));
  const datagram = stack.flow({ protocol: 'udp', host: '127.0.0.1', port: 9, name: 'x' });
  await stream.ready();
  await datagram.ready();
  datagram.onClose(() => undefined);
  let told = 0;
  stack.onAddress(() => {
    told += 1;
    assert.equal(
      closed.length,
      stream.state === 'closed' ? 2 : 0,
      'what is of no use is closed before anybody opens anew',
    );
  });
  await clock.advance(20_000);
  assert.equal(asked, [], 'nothing changed, nothing is asked');
  assert.is(told, 0);
  present = ['::1'];
  way = undefined;
  await clock.advance(20_000);
  assert.is(stream.state, 'open', 'five seconds without a link are no reason to give up a connection');
  present = ['127.0.0.1', '::1'];
  way = '127.0.0.1';
  await clock.advance(20_000);
  assert.is(stream.state, 'open', 'it came back as it was');
  assert.is(told, 1);
  present = ['::1', '192.0.2.9'];
  way = '192.0.2.9';
  await clock.advance(7_000);
  await eventually(() => closed.length === 2, 'both closed');
  assert.equal(new Set(closed.map(([, code]) => code)), new Set(['SIP_FLOW_MOVED']));
  assert.is(stream.state, 'closed');
  assert.is(datagram.state, 'closed');
  assert.is(told, 2);
});

test('a machine that does not tell its addresses, and a look that fails, close nothing', async () => {
  for (const deps of [
    { addresses: () => undefined },
    { addresses: () => [], towards: () => Promise.reject(new Error('no')) },
  ]) {
    const stack = await stackOn([udp('0.0.0.0')], deps);
    const flow = stack.flow({ protocol: 'udp', host: '127.0.0.1', port: 9, name: 'x' });
    await flow.ready();
    flow.keepAlive({ interval: 1e9 });
    await clock.advance(20_000);
    assert.is(flow.state, 'open');
    await stack.stop();
    await clock.advance(20_000);
  }
});

test('S29: a request that finds its flow moved goes by a new one, with the new address, and blames no server', async () => {
  let way = '127.0.0.1';
  const mine = createUdpTransport(
    {
      clock,
      log,
      addresses: () => [way],
      datagrams(options) {
        const socket = createSocket(options);
        // Stands for the system's choice of a way.
        socket.connect = (() => {
          socket.address = () => ({ address: way, family: 'IPv4', port: 1 });
          queueMicrotask(() => socket.emit('connect'));
        }) as typeof socket.connect;
        return socket;
      },
    },
    { host: '0.0.0.0', port: 0 },
  );
  const reports: string[] = [];
  const at = udp('127.0.0.1');
  const server = await stackOn([at]);
  const hosts: (string | undefined)[] = [];
  server.on('MESSAGE', ({ request, respond }) => {
    hosts.push(request.topVia?.host);
    respond(200);
  });
  const locator = {
    locate: async () => [target(at)],
    report: (_target: unknown, { kind }: { kind: string }) => void reports.push(kind),
    counts: () => ({}),
  };
  const client = await stackOn([mine], { locator });
  const send = async () => {
    const outcome = await client.send(createRequest({ method: 'MESSAGE', uri: 'sip:a@b.example' }));
    return outcome.kind === 'response' ? outcome.response.status : outcome.kind;
  };
  assert.is(await send(), 200);
  const relied = client.flow(target(at));
  relied.keepAlive({ interval: 1e9 });
  way = '127.0.0.9';
  await clock.advance(500);
  assert.is(await send(), 200);
  assert.is(relied.state, 'closed');
  assert.equal(hosts, ['127.0.0.1', '127.0.0.9']);
  assert.equal(reports, ['worked', 'worked']);
});
