import * as assert from 'uvu/assert';
import { suite } from '../support/harness.ts';
import { createWorld, GATEWAY, SERVER } from './world.ts';

const test = suite('publication by the agent', { timeout: 60_000 });

test('S5: PUBLISH waits for the 200 to REGISTER', async () => {
  const world = createWorld({ account: { publish: 'full' }, users: { gateway7: 'secret' } });
  await world.start();
  const methods = world.server.requests.map(({ method }) => method);
  const registered = methods.lastIndexOf('REGISTER');
  assert.equal(methods.slice(0, 2), ['REGISTER', 'REGISTER'], 'challenged, then answered');
  assert.ok(methods.indexOf('PUBLISH') > registered);
  assert.is(world.server.done('REGISTER').length, 1);
  assert.is(world.sees('freezer')?.id, world.id('freezer'));
});

test('S1: S2: 20 changes in 10 ms are at most one PUBLISH at a time, and the last state wins', async () => {
  const world = createWorld({ account: { publish: 'full' } });
  let open = 0;
  let most = 0;
  world.server.script.answer = (request) => {
    if (request.method === 'PUBLISH') {
      open += 1;
      most = Math.max(most, open);
    }
    return undefined;
  };
  world.server.stack.onTrace((direction, _flow, message) => {
    if (direction === 'out' && message.kind === 'response' && message.cseq?.method === 'PUBLISH') open -= 1;
  });
  await world.start();
  const before = world.server.done('PUBLISH').length;
  for (let n = 1; n <= 20; n += 1) {
    world.read('freezer', 'temp', n);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await world.clock.advance(1_000);
  assert.is(most, 1);
  assert.is(world.sees('freezer')?.note, '20 °C');
  assert.ok(world.server.done('PUBLISH').length - before <= 20);
  const matches = world.server.done('PUBLISH').map((request) => request.get('SIP-If-Match'));
  assert.is(new Set(matches.slice(1)).size, matches.length - 1, 'no tag was used twice');
});

test('S1: a 412 leads to exactly one initial publication, a second one backs off', async () => {
  const world = createWorld({ account: { publish: 'full' } });
  await world.start();
  const before = world.server.done('PUBLISH').length;
  world.server.forget();
  world.read('freezer', 'temp', 5);
  await world.clock.advance(1_000);
  const anew = world.server.done('PUBLISH').slice(before);
  assert.equal(
    anew.map((request) => request.get('SIP-If-Match') !== undefined),
    [true, false],
  );
  assert.is(world.sees('freezer')?.note, '5 °C');

  world.server.script.answer = (request) => (request.method === 'PUBLISH' ? { status: 412 } : undefined);
  const start = world.server.done('PUBLISH').length;
  world.read('freezer', 'temp', 6);
  await world.clock.advance(10_000);
  assert.ok(world.server.done('PUBLISH').length - start <= 2, 'no storm');
});

test('S3: S4: tags and expiries survive a kill; the first PUBLISH of the new process is conditional', async () => {
  const world = createWorld({ account: { publish: 'full' } });
  await world.start();
  world.read('freezer', 'temp', -18);
  await world.clock.advance(1_000);
  const before = world.server.done('PUBLISH').length;
  await world.restart();
  const first = world.server.done('PUBLISH')[before];
  assert.ok(first?.get('SIP-If-Match'), 'conditional');
  assert.ok((first?.body.length ?? 0) > 0, 'whole: what the server had is not known');
  assert.is(world.server.publications.get(GATEWAY)?.size, 1, 'never two live publications');
  assert.is(world.sees('freezer')?.note, '-18 °C');
});

test('S3: a kill before the 200 came leaves no ghost', async () => {
  const world = createWorld({ account: { publish: 'full' } });
  world.server.script.mute = (request) => request.method === 'PUBLISH';
  await world.start();
  assert.is(world.server.publications.get(GATEWAY)?.size, 1);
  world.server.script.mute = undefined;
  await world.restart();
  world.read('freezer', 'temp', 4);
  await world.clock.advance(1_000);
  // The lost one lives on until it expires, under the same ids: whoever watches sees each device once, as it is.
  assert.equal([...world.server.seen(GATEWAY).keys()].sort(), [world.id('freezer'), world.id('lamp')].sort());
  assert.is(world.sees('freezer')?.note, '4 °C');
});

test('a power cut empties the run-time directory: an initial publication with the same ids', async () => {
  const world = createWorld({ account: { publish: 'full' } });
  await world.start();
  const ids = [...world.server.seen(GATEWAY).keys()];
  for (const path of [...world.files.content.keys()])
    if (path.startsWith('/run')) world.files.content.delete(path);
  await world.restart();
  assert.equal([...world.server.seen(GATEWAY).keys()], ids);
  assert.is(world.server.done('PUBLISH').at(-1)?.get('SIP-If-Match'), undefined);
});

test('S8: G43: a stop removes publications and registration, and nothing comes after it', async () => {
  const world = createWorld({ account: { publish: 'segments' }, own: ['pump'] });
  await world.start();
  await world.clock.advance(2_000);
  const stopped = world.agent.stop(world.clock.now() + 3_000);
  world.read('freezer', 'temp', 99);
  await world.clock.advance(200);
  await stopped;
  const after = world.server.requests.length;
  world.read('freezer', 'temp', 98);
  await world.clock.advance(200_000);
  assert.is(world.server.requests.length, after);
  for (const [aor, all] of world.server.publications) assert.is(all.size, 0, aor);
  assert.is(world.server.bindings.size, 0);
  assert.is(world.clock.pending(), 0, 'no timer is left');
});

test('G43: a server that does not answer holds a stop up for 3 s at most, and gets a de-REGISTER all the same', async () => {
  const world = createWorld({ account: { publish: 'full' } });
  await world.start();
  world.server.script.answer = () => 'silence';
  let done = false;
  void world.agent.stop(world.clock.now() + 3_000).then(() => {
    done = true;
  });
  await world.clock.advance(2_900);
  assert.ok(world.server.done('REGISTER').some((request) => request.expires === 0));
  await world.clock.advance(200);
  assert.ok(done);
});

test('S9: a refresh has no body and less than 500 bytes, with digest less than 600', async () => {
  for (const users of [undefined, { gateway7: 'secret' }]) {
    const world = createWorld({
      protocol: 'udp',
      account: { publish: 'full' },
      algorithms: ['MD5'],
      ...(users && { users }),
    });
    await world.start();
    const before = world.events.length;
    await world.clock.advance(119_000);
    const refreshes = world.events
      .slice(before)
      .filter((event) => event.type === 'publish' && event.kind === 'refresh');
    assert.ok(refreshes.length > 0);
    for (const event of refreshes)
      assert.ok(event.type === 'publish' && event.bytes < (users ? 600 : 500) && event.status === 200);
    assert.is(world.sees('freezer')?.id, world.id('freezer'));
  }
});

test('G21: before the first reading a device is unknown, never open', async () => {
  const world = createWorld({ account: { publish: 'full' } });
  await world.start();
  assert.is(world.sees('freezer')?.basic, undefined);
  world.read('freezer', 'temp', 3);
  world.read('freezer', 'on', true);
  await world.clock.advance(100);
  assert.is(world.sees('freezer')?.basic, 'open');
});

test('S43: a source that is lost makes its devices unknown at once, with the cause in the note', async () => {
  const world = createWorld({ account: { publish: 'full' } });
  await world.start();
  world.read('freezer', 'temp', 3);
  world.read('freezer', 'on', true);
  await world.clock.advance(100);
  world.devices.state({
    source: 'plant',
    state: 'down',
    code: 'SRC_PORT_GONE',
    cause: 'port /dev/ttyUSB0 is gone',
  });
  await world.clock.advance(100);
  assert.is(world.sees('freezer')?.basic, undefined);
  assert.match(world.sees('freezer')?.note ?? '', /ttyUSB0 is gone/);
});

test('a device with an AOR of its own registers and publishes by itself over the same flow', async () => {
  const world = createWorld({ devices: ['freezer'], own: ['pump'], account: { publish: 'full' } });
  await world.start();
  world.read('pump', 'temp', 7);
  world.read('pump', 'on', true);
  await world.clock.advance(100);
  const pump = 'sip:pump@example.com';
  assert.is(world.sees('pump', pump)?.note, '7 °C');
  assert.is(world.sees('pump'), undefined);
  const bindings = [...world.server.bindings.values()];
  assert.is(bindings.length, 2);
  assert.is(bindings[0]?.flow, bindings[1]?.flow);
  assert.not.equal(bindings[0]?.contact, bindings[1]?.contact);
  const register = world.server.done('REGISTER').find((request) => request.to?.uri === pump);
  assert.match(register?.get('Contact') ?? '', /\+sip\.instance="<urn:uuid:[0-9a-f-]{36}>";reg-id=1/);
});

test('what a registrar refuses for one device does not keep the others from being published', async () => {
  const world = createWorld({ devices: ['freezer'], own: ['pump', 'valve'], account: { publish: 'full' } });
  world.server.script.answer = (request) =>
    request.method === 'REGISTER' && request.to?.uri === 'sip:pump@example.com' ? { status: 403 } : undefined;
  await world.start();
  assert.is(world.server.publications.get('sip:pump@example.com'), undefined);
  assert.is(world.server.publications.get('sip:valve@example.com')?.size, 1);
  assert.is(world.agent.status()[0]?.code, 'AGT_NOT_REGISTERED');
});

test('changes while the server is away cost no memory, and the last one is said when it is back', async () => {
  const world = createWorld({ devices: ['freezer', 'lamp'], account: { publish: 'segments' } });
  await world.start();
  world.server.script.answer = () => 'silence';
  world.network.cut(SERVER);
  await world.clock.advance(5_000);
  const used = (): number => {
    globalThis.gc?.();
    return process.memoryUsage().heapUsed;
  };
  const read = (from: number, to: number): void => {
    for (let value = from; value < to; value += 1) world.read('freezer', 'temp', value % 90);
  };
  read(0, 1_000);
  const before = used();
  read(1_000, 60_001);
  assert.ok(used() - before < 2_000_000, String(used() - before));
  world.server.script.answer = undefined;
  await world.clock.advance(160_000);
  assert.is(world.sees('freezer')?.note, `${60_000 % 90} °C`);
});
