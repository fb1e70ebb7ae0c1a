import { createStack, type SipRequest, type Target } from 'tiny-sip';
import * as assert from 'uvu/assert';
import { createAgent } from '../../src/agent/agent.ts';
import { createLog, silentLog } from '../../src/base/log.ts';
import { createFakeClock } from '../support/fake-clock.ts';
import { createFakeRandom } from '../support/fake-random.ts';
import { suite } from '../support/harness.ts';
import { AGENT, createWorld, GATEWAY, SERVER } from './world.ts';

const test = suite('accounts');

test('Contact has instance and reg-id, the instance stays over restarts; outbound and path are supported', async () => {
  const world = createWorld({ account: { publish: 'full' }, agent: { userAgent: 'presentity/0.1.0' } });
  await world.start();
  const [first] = world.server.done('REGISTER');
  const urn = /\+sip\.instance="<(urn:uuid:[^>]+)>"/.exec(first?.get('Contact') ?? '')?.[1];
  assert.match(urn ?? '', /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.match(first?.get('Contact') ?? '', /;reg-id=1/);
  assert.is(first?.get('User-Agent'), 'presentity/0.1.0');
  assert.not(world.server.done('PUBLISH')[0]?.has('User-Agent'));
  assert.ok(first?.all('Supported').includes('outbound') && first.all('Supported').includes('path'));
  await world.restart();
  const again = world.server.done('REGISTER').at(-1);
  assert.ok(again?.get('Contact')?.includes(urn ?? '?'));
});

test('no Route on REGISTER; on all else the outbound proxy, then Service-Route', async () => {
  const world = createWorld({
    account: { publish: 'full', outboundProxy: 'sip:edge1.example.com;transport=tcp' },
    script: { serviceRoute: '<sip:orig@core.example.com;lr>' },
  });
  await world.start();
  for (const request of world.server.requests) {
    const routes = request.all('Route');
    if (request.method === 'REGISTER') assert.equal(routes, []);
    else assert.equal(routes, ['<sip:edge1.example.com;transport=tcp;lr>', '<sip:orig@core.example.com;lr>']);
  }
  assert.ok(world.server.done('PUBLISH').length > 0);
});

test('after REGISTER an OPTIONS to the own AOR comes back on the flow', async () => {
  const world = createWorld({ account: { publish: 'full' } });
  await world.start();
  assert.ok(world.server.done('OPTIONS').some((request) => request.uri === GATEWAY));
  const [view] = world.agent.status();
  assert.is(view?.nat, undefined);
  assert.is(view?.state, 'ok');
});

test('when it does not come back the state names NAT', async () => {
  const world = createWorld({ account: { publish: 'full' }, script: { forwards: false } });
  await world.start();
  const [view] = world.agent.status();
  assert.match(view?.nat ?? '', /do not come back/);
  assert.is(view?.state, 'degraded');
  assert.is(view?.code, 'AGT_NAT');
  assert.is(view?.registration, 'registered');
});

for (const protocol of ['udp', 'tcp'] as const)
  test(`the flow is kept open every 25 s, and given up without a pong within 10 s, ${protocol}`, async () => {
    const kept: unknown[] = [];
    const world = createWorld({
      protocol,
      own: ['pump'],
      account: { publish: 'full' },
      onKeepAlive(options) {
        kept.push(options);
        return () => undefined;
      },
    });
    await world.start();
    assert.equal(kept, [{ interval: 25_000, pong: 10_000 }], 'once, though two AORs use it');
  });

//  gateway             NAT            server
//   |--OPTIONS------------|------------->|   every 25 s or so
//   |                     X<-------------|   the NAT forgets, without a word
//   |   10 s later the flow is given up
//   |--REGISTER------------------------->|
test('S30: a NAT that forgets the path is found in less than 40 s by UDP, too', async () => {
  let deaf = false;
  const world = createWorld({
    protocol: 'udp',
    account: { publish: 'full' },
    fate: ({ from }) => (deaf && from.host === SERVER.host ? [] : [0]),
  });
  await world.start();
  await world.clock.advance(300_000);
  assert.is(world.agent.status()[0]?.state, 'ok');
  deaf = true;
  const began = world.clock.now();
  while (world.agent.status()[0]?.state === 'ok' && world.clock.now() - began < 60_000)
    await world.clock.advance(1_000);
  assert.ok(world.clock.now() - began < 40_000, `after ${world.clock.now() - began} ms`);
  deaf = false;
  await world.clock.advance(60_000);
  assert.is(world.agent.status()[0]?.state, 'ok');
});

test('S17: a nonce that changes with every request costs no change, and no request more than two tries', async () => {
  const world = createWorld({ account: { publish: 'full' }, users: { gateway7: 'secret' }, nonceLife: 1 });
  await world.start();
  let stale = 0;
  for (let n = 1; n <= 60; n += 1) {
    await world.clock.advance(60_000);
    const before = world.server.requests.filter(({ method }) => method === 'PUBLISH').length;
    world.read('freezer', 'temp', n);
    await world.clock.advance(100);
    const tries = world.server.requests.filter(({ method }) => method === 'PUBLISH').length - before;
    assert.ok(tries <= 2, `${tries} tries`);
    stale += tries - 1;
    assert.is(world.sees('freezer')?.note, `${n} °C`);
  }
  assert.ok(stale > 30, 'the nonces did change');
});

test('S18: every refusal has a floor and doubles: no storm, whatever the answer', async () => {
  for (const status of [401, 403, 404, 405, 407, 408, 410, 480, 489, 500, 501, 503, 603]) {
    for (const method of ['REGISTER', 'PUBLISH']) {
      const world = createWorld({ account: { publish: 'full' } });
      world.server.script.answer = (request) => (request.method === method ? { status } : undefined);
      await world.start();
      await world.clock.advance(3_600_000);
      const count = world.server.requests.filter((request) => request.method === method).length;
      // 30 s doubling to an hour's worth; what another server might mend (RFC 3263) is tried sooner.
      assert.ok(count >= 1 && count <= 60, `${count} ${method} answered ${status} in an hour`);
      assert.is.not(world.agent.status()[0]?.state, 'ok', `${method} ${status}`);
      assert.ok(world.agent.status()[0]?.remedy);
    }
  }
});

test('S6: each answer to PUBLISH is followed by what mends it', async () => {
  const table: { status: number; headers?: Record<string, string>; within: number }[] = [
    { status: 408, within: 90_000 },
    { status: 412, within: 1_000 },
    { status: 423, headers: { 'Min-Expires': '600' }, within: 1_000 },
    { status: 480, within: 90_000 },
    { status: 500, within: 90_000 },
    { status: 503, headers: { 'Retry-After': '20' }, within: 120_000 },
    { status: 404, within: 90_000 },
    { status: 403, within: 3_700_000 },
    { status: 405, within: 3_700_000 },
    { status: 489, within: 3_700_000 },
    { status: 501, within: 3_700_000 },
  ];
  for (const { status, headers, within } of table) {
    const world = createWorld({ account: { publish: 'full' } });
    await world.start();
    let refused = 0;
    world.server.script.answer = (request) => {
      if (request.method !== 'PUBLISH' || refused > 0) return undefined;
      refused += 1;
      return { status, ...(headers && { headers }) };
    };
    world.read('freezer', 'temp', 12);
    await world.clock.advance(within);
    assert.is(refused, 1);
    assert.is(world.sees('freezer')?.note, '12 °C', `after ${status}`);
    assert.is(world.server.seen(GATEWAY).size, 2, `after ${status}`);
    if (status === 423) assert.is(world.server.done('PUBLISH').at(-1)?.expires, 600);
  }
});

test('S6: an error is a state with code and remedy, and goes when it is mended', async () => {
  const world = createWorld({ account: { publish: 'full' } });
  world.server.script.answer = (request) => (request.method === 'PUBLISH' ? { status: 480 } : undefined);
  await world.start();
  assert.is(world.agent.status()[0]?.code, 'AGT_NOT_PUBLISHED');
  assert.is(world.agent.health().state, 'degraded');
  world.server.script.answer = undefined;
  await world.clock.advance(120_000);
  assert.is(world.agent.status()[0]?.state, 'ok');
  assert.is(world.agent.health().state, 'ok');
});

test('S7: the flow is cut at every message in turn: nothing throws, nothing is lost', async () => {
  for (let cut = 1; cut <= 16; cut += 1) {
    const world = createWorld({ account: { publish: 'auto' }, users: { gateway7: 'secret' } });
    let seen = 0;
    world.server.stack.onTrace((direction) => {
      if (direction !== 'in') return;
      seen += 1;
      if (seen === cut) world.network.cut(SERVER);
    });
    await world.start();
    world.read('freezer', 'temp', cut);
    await world.clock.advance(180_000);
    assert.is(world.agent.status()[0]?.registration, 'registered', `cut at message ${cut}`);
    assert.is(world.sees('freezer')?.note, `${cut} °C`, `cut at message ${cut}`);
    assert.is(world.server.seen(GATEWAY).size, 2, `cut at message ${cut}`);
    const stopped = world.agent.stop(world.clock.now() + 3_000);
    await world.clock.advance(3_000);
    await stopped;
    assert.is(world.clock.pending() - timersOf(world.server.stack.counts()), 0, `cut at message ${cut}`);
  }
});

//  gateway                  server
//   X   the link is down     |   the gateway has no address; a reading comes
//   |   5 s, 5 min, 1 h      |   the server forgets
//   |   the address is back  |   noticed within 5 s
//   |--REGISTER------------->|
//   |--PUBLISH-------------->|   the reading
for (const [shown, down] of [
  ['5 s', 5_000],
  ['5 min', 300_000],
  ['1 h', 3_600_000],
] as const)
  test(`S29: a link that was down for ${shown}: registered and published within 10 s of its return`, async () => {
    for (let seed = 1; seed <= 6; seed += 1) {
      let up = true;
      const world = createWorld({
        protocol: 'udp',
        seed,
        account: { publish: 'full' },
        fate: () => (up ? [0] : []),
        addresses: () => (up ? [AGENT.host] : []),
      });
      await world.start();
      up = false;
      world.read('freezer', 'temp', 1);
      await world.clock.advance(down);
      // A registration lives for ten minutes here, a publication for two.
      if (down > 600_000) {
        assert.is(world.agent.status()[0]?.state, 'down');
        world.server.forget();
      }
      world.read('freezer', 'temp', 2);
      up = true;
      await world.clock.advance(10_000);
      assert.is(world.agent.status()[0]?.registration, 'registered', `seed ${seed}`);
      assert.is(world.sees('freezer')?.note, '2 °C', `seed ${seed}`);
    }
  });

test('S29: a server that answers nothing for long is found again, though the addresses stay as they are', async () => {
  for (const down of [5_000, 300_000, 3_600_000]) {
    const world = createWorld({ account: { publish: 'full' } });
    await world.start();
    world.server.script.answer = () => 'silence';
    world.network.cut(SERVER);
    await world.clock.advance(down);
    assert.is(world.agent.status()[0]?.state, 'down');
    world.read('freezer', 'temp', 1);
    world.server.script.answer = undefined;
    world.server.forget();
    // Nobody tells that it is back: a try waits 32 s for its answer, and the back-off ends at two minutes.
    await world.clock.advance(160_000);
    assert.is(world.sees('freezer')?.note, '1 °C', `${down} ms`);
  }
});

test('S31: of four servers one refuses, one is silent, one answers 503: the fourth is found', async () => {
  const targets = ['192.0.2.11', '192.0.2.12', '192.0.2.13', SERVER.host].map((host) => ({
    protocol: 'memory' as const,
    host,
    port: 5060,
    name: 'example.com',
  }));
  const world = createWorld({ targets, account: { publish: 'full' } });
  const make = async (host: string, answer?: number): Promise<SipRequest[]> => {
    const got: SipRequest[] = [];
    const stack = createStack(
      { clock: world.clock, random: createFakeRandom(5), log: silentLog },
      { transports: [world.network.transport({ host, port: 5060 })] },
    );
    await stack.start();
    stack.on('*', (incoming) => {
      got.push(incoming.request);
      if (answer !== undefined) incoming.respond(answer);
    });
    return got;
  };
  const silent = await make('192.0.2.12');
  const busy = await make('192.0.2.13', 503);
  await world.start();
  await world.clock.advance(60_000);
  assert.ok(silent.length >= 1 && busy.length === 1);
  assert.is(world.agent.status()[0]?.server, 'memory 192.0.2.1:5060');
  assert.is(world.server.seen(GATEWAY).size, 2);
});

test('no server at all is a state, not an end', async () => {
  const world = createWorld({ targets: [] });
  await world.start();
  await world.clock.advance(600_000);
  const [view] = world.agent.status();
  assert.is(view?.state, 'down');
  assert.is(view?.code, 'AGT_NO_SERVER');
  assert.is(world.agent.health().state, 'down');
});

test('G31: started without a network it is ready at once, and there when the network comes, with one line each', async () => {
  const targets: Target[] = [];
  const lines: string[] = [];
  const clock = createFakeClock();
  const log = createLog(
    { clock, write: ({ level, text }) => void (level !== 'debug' && lines.push(text)) },
    { level: 'info', quiet: 0 },
  );
  const world = createWorld({ targets, log, account: { publish: 'full' } });
  await world.start();
  world.read('freezer', 'temp', 3);
  await world.clock.advance(3_600_000);
  assert.is(world.agent.health().state, 'down');
  assert.equal(lines, ['server is gone']);
  targets.push({ protocol: 'memory', ...SERVER, name: 'example.com' });
  // The back-off ends at two minutes.
  await world.clock.advance(121_000);
  assert.equal(lines.slice(1), ['server is back', 'registered', 'publishing']);
  assert.is(world.agent.health().state, 'ok');
  assert.is(world.sees('freezer')?.note, '3 °C');
});

test('thousands of AORs: a server that comes back is not flooded', async () => {
  const own = Array.from({ length: 300 }, (_, n) => `d${n}`);
  const world = createWorld({ devices: [], own, account: { publish: 'full' } });
  let open = 0;
  let most = 0;
  world.server.stack.onTrace((direction, _flow, message) => {
    if (message.cseq?.method !== 'REGISTER') return;
    if (direction === 'in' && message.kind === 'request') open += 1;
    if (direction === 'out' && message.kind === 'response') open -= 1;
    most = Math.max(most, open);
  });
  await world.start();
  await world.clock.advance(2_000);
  assert.is(world.server.bindings.size, 301);
  assert.is(world.server.publications.size, 300);
  assert.ok(most <= 33, `${most} at a time`);
  const before = world.server.requests.length;
  world.read('d7', 'temp', 1);
  await world.clock.advance(100);
  assert.is(world.server.requests.length - before, 1, 'one change, one request');
});

test('options that make no agent are refused at once, with what to do', () => {
  const many = Array.from({ length: 129 }, (_, n) => `d${n}`);
  const code = (make: () => unknown): string => {
    try {
      make();
    } catch (error) {
      return (error as { code: string }).code;
    }
    return 'none';
  };
  assert.is(
    code(() => createWorld({ devices: many })),
    'AGT_TOO_MANY_DEVICES',
  );
  assert.is(
    code(() => createWorld({ devices: many.slice(1) })),
    'none',
  );
  assert.is(
    code(() => createWorld({ own: ['gateway7'] })),
    'AGT_DUPLICATE_AOR',
  );
  assert.is(
    code(() => createWorld({ account: { aor: 'gateway7' } })),
    'AGT_BAD_AOR',
  );
  assert.type(createAgent, 'function');
});

function timersOf(counts: Record<string, number>): number {
  // The server's transactions wait on one timer of their own.
  return (counts['transactions.server'] ?? 0) + (counts['transactions.client'] ?? 0) > 0 ? 1 : 0;
}
