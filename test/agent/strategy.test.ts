import * as assert from 'uvu/assert';
import { suite } from '../support/harness.ts';
import { createWorld, GATEWAY, type World, type WorldOptions } from './world.ts';

const test = suite('publication strategy');
const three = ['freezer', 'lamp', 'pump'];

async function begin(options: WorldOptions): Promise<World> {
  const world = createWorld({ devices: three, ...options });
  await world.start();
  await world.clock.advance(2_000);
  return world;
}

/** Whether a watcher saw every device after each PUBLISH from the first on that showed them all. */
function alwaysAll(world: World): void {
  const views = world.server.views.get(GATEWAY) ?? [];
  const labels = views.map((ids) => new Set(ids.map((id) => id.replace(/\.c$/, ''))));
  const first = labels.findIndex((set) => set.size === three.length);
  assert.ok(first >= 0, 'all devices were seen at some time');
  assert.is(first, 0, 'the first PUBLISH shows all of them');
  for (const [n, set] of labels.entries()) assert.is(set.size, three.length, `after PUBLISH ${n + 1}`);
}

const strategyOf = (world: World): string | undefined => world.agent.status()[0]?.publish.strategy;

test('a server that composes ends in segments, and no device is ever missing', async () => {
  const world = await begin({ script: { composing: 'all' } });
  assert.is(strategyOf(world), 'segments');
  assert.is(world.server.publications.get(GATEWAY)?.size, 3);
  alwaysAll(world);
  const before = world.server.done('PUBLISH').length;
  world.read('lamp', 'temp', 9);
  await world.clock.advance(100);
  const [change, ...more] = world.server.done('PUBLISH').slice(before);
  assert.is(more.length, 0);
  assert.is((change?.text().match(/<tuple/g) ?? []).length, 1);
  assert.is(world.sees('lamp')?.note, '9 °C');
  assert.is(world.server.seen(GATEWAY).size, 3);
});

test('a server that drops the older document on a clash of ids ends in segments too, and none is ever missing', async () => {
  const world = await begin({ script: { composing: 'clash' } });
  assert.is(strategyOf(world), 'segments');
  alwaysAll(world);
  assert.equal([...world.server.seen(GATEWAY).keys()].sort(), three.map((id) => world.id(id)).sort());
});

test('a server that shows only the newest document ends in full, and none is ever missing', async () => {
  const world = await begin({ script: { composing: 'newest' } });
  assert.is(strategyOf(world), 'full');
  alwaysAll(world);
  assert.is(world.server.publications.get(GATEWAY)?.size, 1);
  world.read('lamp', 'temp', 9);
  await world.clock.advance(100);
  assert.is(world.server.seen(GATEWAY).size, 3);
});

for (const readBack of ['forbidden', 'empty', 'silent'] as const)
  test(`where reading back is ${readBack}, whole documents are published, and none is ever missing`, async () => {
    const world = createWorld({ devices: three, script: { readBack } });
    await world.start();
    await world.clock.advance(150_000);
    alwaysAll(world);
    assert.is(strategyOf(world), 'full');
    assert.is(world.server.publications.get(GATEWAY)?.size, 1);
    world.read('lamp', 'temp', 9);
    await world.clock.advance(100);
    assert.is(world.sees('lamp')?.note, '9 °C');
    assert.ok(
      world.server.done('PUBLISH').every((request) => !/id="[^"]*\.c"/.test(request.text())),
      'nobody saw a cover',
    );
  });

test('a server that lists pidf-diff and applies it ends in diff after the first one read back', async () => {
  const world = await begin({ script: { lists: true, diffs: 'applied' } });
  assert.is(strategyOf(world), 'undecided');
  world.read('lamp', 'temp', 9);
  await world.clock.advance(100);
  assert.is(strategyOf(world), 'diff');
  assert.is(world.sees('lamp')?.note, '9 °C');
  assert.is(world.server.seen(GATEWAY).size, 3);
  alwaysAll(world);
  const diff = world.server.done('PUBLISH').at(-1);
  assert.is(diff?.contentType?.essence, 'application/pidf-diff+xml');
  assert.match(diff?.text() ?? '', /pidf-diff/);
});

test('the first diff is tried by whoever has one: a device of its own that never changes holds up nobody', async () => {
  const world = await begin({ own: ['beacon'], script: { lists: true, diffs: 'applied' } });
  for (const value of [9, 8, 7]) {
    world.read('lamp', 'temp', value);
    await world.clock.advance(100);
  }
  assert.is(strategyOf(world), 'diff');
});

test('a server that lists pidf-diff and ruins the document is found out by the first one', async () => {
  const world = await begin({ script: { lists: true, diffs: 'ruined' } });
  world.read('lamp', 'temp', 9);
  await world.clock.advance(500);
  assert.is(strategyOf(world), 'full');
  assert.is(world.server.seen(GATEWAY).size, 3);
  assert.is(world.sees('lamp')?.note, '9 °C');
  const before = world.server.done('PUBLISH').length;
  world.read('lamp', 'temp', 10);
  await world.clock.advance(500);
  const later = world.server.done('PUBLISH').slice(before);
  assert.equal(
    later.map((request) => request.contentType?.essence),
    ['application/pidf+xml'],
  );
});

test('a server that answers 200 to diffs without listing them gets none', async () => {
  const world = await begin({ script: { lists: false, diffs: 'ruined' } });
  for (const n of [1, 2, 3]) {
    world.read('lamp', 'temp', n);
    await world.clock.advance(100);
  }
  assert.ok(
    world.server
      .done('PUBLISH')
      .every((request) => request.contentType?.essence !== 'application/pidf-diff+xml'),
  );
  assert.is(strategyOf(world), 'segments');
});

test('S3: what an earlier run published of a device that was taken out since is taken back', async () => {
  const before = await begin({ script: { composing: 'all' } });
  const tag = [...(before.server.publications.get(GATEWAY) ?? [])].find(([, { text }]) =>
    text.includes(before.id('pump')),
  )?.[0];
  assert.ok(tag);
  const world = await begin({ devices: ['freezer', 'lamp'], files: before.files });
  const removals = (): (string | undefined)[] =>
    world.server
      .done('PUBLISH')
      .filter((request) => request.expires === 0)
      .map((request) => request.get('SIP-If-Match'));
  assert.ok(removals().includes(tag), 'by its tag');
  await world.restart();
  await world.clock.advance(2_000);
  assert.is(removals().filter((one) => one === tag).length, 1, 'and then it is forgotten');
});

test('S6: 415 to a diff that was listed leads back to whole documents', async () => {
  const world = await begin({ script: { lists: true, diffs: 'refused' } });
  world.read('lamp', 'temp', 9);
  await world.clock.advance(500);
  assert.is(strategyOf(world), 'full');
  assert.is(world.sees('lamp')?.note, '9 °C');
  assert.is(world.server.seen(GATEWAY).size, 3);
});

test('what was learnt is kept over a kill, used at once, and checked', async () => {
  const world = await begin({ script: { composing: 'all' } });
  assert.is(strategyOf(world), 'segments');
  const before = world.server.done('PUBLISH').length;
  await world.restart();
  await world.clock.advance(1_000);
  assert.is(strategyOf(world), 'segments');
  const anew = world.server.done('PUBLISH').slice(before);
  assert.is(anew.length, 3, 'one conditional PUBLISH for each segment, no cover');
  assert.ok(anew.every((request) => request.get('SIP-If-Match') !== undefined));
  alwaysAll(world);
});

test('a kill between two ways leaves nothing behind', async () => {
  for (let cut = 1; cut <= 12; cut += 1) {
    const world = createWorld({ devices: three, script: { composing: 'clash' } });
    let publishes = 0;
    world.server.script.answer = (request) => {
      if (request.method !== 'PUBLISH') return undefined;
      publishes += 1;
      return publishes > cut ? 'silence' : undefined;
    };
    await world.start();
    world.server.script.answer = undefined;
    await world.restart();
    await world.clock.advance(70_000);
    assert.equal(
      [...world.server.seen(GATEWAY).keys()].sort(),
      three.map((id) => world.id(id)).sort(),
      `killed after PUBLISH ${cut}`,
    );
    world.read('lamp', 'temp', cut);
    await world.clock.advance(40_000);
    assert.is(world.sees('lamp')?.note, `${cut} °C`, `killed after PUBLISH ${cut}`);
  }
});

test('a server that lost everything gets everything again, in the way it was found to take it', async () => {
  const world = await begin({ script: { composing: 'all' } });
  world.server.forget();
  world.server.bindings.clear();
  await world.clock.advance(130_000);
  assert.is(strategyOf(world), 'segments');
  assert.is(world.server.seen(GATEWAY).size, 3);
});

test('a flow that breaks: registered and published anew, what was learnt is checked again', async () => {
  const world = await begin({ script: { composing: 'all' } });
  world.server.script.composing = 'newest';
  world.network.cut({ host: '192.0.2.7', port: 5060 });
  await world.clock.advance(20_000);
  assert.is(world.agent.status()[0]?.registration, 'registered');
  assert.is(strategyOf(world), 'full', 'it does not compose any more');
  assert.is(world.server.seen(GATEWAY).size, 3);
});

test('the configured strategy is used without asking', async () => {
  for (const publish of ['full', 'segments', 'diff'] as const) {
    const world = await begin({
      account: { publish },
      script: { lists: false, diffs: 'applied', readBack: 'forbidden' },
    });
    assert.is(strategyOf(world), publish);
    world.read('lamp', 'temp', 9);
    await world.clock.advance(100);
    assert.is(world.server.done('SUBSCRIBE').length, 0);
    assert.is(world.server.publications.get(GATEWAY)?.size, publish === 'segments' ? 3 : 1);
    assert.is(world.sees('lamp')?.note, '9 °C');
    assert.is(world.server.seen(GATEWAY).size, 3);
  }
});

test('S6: 413 to a whole document: smaller ones', async () => {
  const world = createWorld({ devices: three, account: { detail: 'full', readBack: true } });
  world.server.script.answer = (request) =>
    request.method === 'PUBLISH' && request.body.length > 500 ? { status: 413 } : undefined;
  await world.start();
  await world.clock.advance(5_000);
  assert.equal([...world.server.seen(GATEWAY).keys()].sort(), three.map((id) => world.id(id)).sort());
});

test('a device alone needs no segments and no cover', async () => {
  const world = createWorld({ devices: ['freezer'] });
  await world.start();
  await world.clock.advance(1_000);
  assert.is(strategyOf(world), 'full');
  assert.is(world.server.done('PUBLISH').length, 1);
});

test('segments that the server lost while the flow was down are published anew, and segments stay', async () => {
  const world = await begin({ script: { composing: 'clash' } });
  const all = world.server.publications.get(GATEWAY);
  const [lost] = all?.keys() ?? [];
  if (lost !== undefined) all?.delete(lost);
  world.network.cut({ host: '192.0.2.7', port: 5060 });
  await world.clock.advance(20_000);
  assert.is(strategyOf(world), 'segments');
  assert.is(world.server.seen(GATEWAY).size, 3);
});

test('a server that was found not to compose is asked again after an hour, at a reconnect', async () => {
  const world = await begin({ script: { composing: 'newest' } });
  world.server.script.composing = 'all';
  for (const [after, wanted] of [
    [60_000, 'full'],
    [3_700_000, 'segments'],
  ] as const) {
    await world.clock.advance(after);
    world.network.cut({ host: '192.0.2.7', port: 5060 });
    await world.clock.advance(20_000);
    assert.is(strategyOf(world), wanted);
    assert.is(world.server.seen(GATEWAY).size, 3);
  }
});

test('400 to a diff: the same publication goes on with a whole document; two in a row end the diffs', async () => {
  const world = await begin({ script: { lists: true, diffs: 'applied' } });
  world.read('lamp', 'temp', 1);
  await world.clock.advance(500);
  assert.is(strategyOf(world), 'diff');
  world.server.script.answer = (request) =>
    request.method === 'PUBLISH' && /<pidf-diff/.test(request.text()) ? { status: 400 } : undefined;
  for (const [value, wanted] of [
    [2, 'diff'],
    [3, 'full'],
  ] as const) {
    world.read('lamp', 'temp', value);
    await world.clock.advance(1_000);
    assert.is(world.sees('lamp')?.note, `${value} °C`);
    assert.is(strategyOf(world), wanted);
    assert.is(world.server.publications.get(GATEWAY)?.size, 1, 'the same publication');
  }
});

test('S6: a server that knows partial documents only gets pidf-full', async () => {
  const world = createWorld({ devices: three, script: { lists: true, diffs: 'applied' } });
  world.server.script.answer = (request) =>
    request.method === 'PUBLISH' && request.contentType?.essence === 'application/pidf+xml'
      ? { status: 415, headers: { Accept: 'application/pidf-diff+xml' } }
      : undefined;
  await world.start();
  await world.clock.advance(1_000);
  assert.is(world.server.seen(GATEWAY).size, 3);
  world.read('lamp', 'temp', 9);
  await world.clock.advance(1_000);
  assert.is(world.sees('lamp')?.note, '9 °C');
  assert.is(strategyOf(world), 'diff');
});

test('S6: a server that takes no presence at all is named, and asked again after half an hour', async () => {
  const world = createWorld({ devices: three });
  world.server.script.answer = (request) =>
    request.method === 'PUBLISH' ? { status: 415, headers: { Accept: 'application/sdp' } } : undefined;
  await world.start();
  await world.clock.advance(60_000);
  const [view] = world.agent.status();
  assert.is(view?.code, 'AGT_TYPE_REFUSED');
  assert.is(view?.state, 'degraded');
  const tries = world.server.done('PUBLISH').length;
  assert.ok(tries <= 3, `${tries} tries in a minute`);
  world.server.script.answer = undefined;
  await world.clock.advance(1_800_000);
  assert.is(world.server.seen(GATEWAY).size, 3);
  assert.is(world.agent.status()[0]?.state, 'ok');
});

test('a lean device among full ones tells its state and note only', async () => {
  const world = await begin({
    account: {
      detail: 'full',
      publish: 'full',
      devices: [{ id: 'freezer' }, { id: 'lamp', detail: 'lean' }],
    },
  });
  world.read('freezer', 'temp', 1);
  world.read('lamp', 'temp', 2);
  await world.clock.advance(1_000);
  assert.equal(world.sees('freezer')?.values, [{ n: 'temp', u: 'Cel', v: 1 }]);
  assert.ok(world.sees('freezer')?.timestamp);
  assert.is(world.sees('lamp')?.note, '2 °C');
  assert.is(world.sees('lamp')?.values, undefined);
});
