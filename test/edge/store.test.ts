import type { BindingRecord, SubscriptionRecord } from 'tiny-sip';
import * as assert from 'uvu/assert';
import type { Clock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { loadDeadline, storeDeadline } from '../../src/edge/deadline.ts';
import type { DocumentRecord } from '../../src/edge/documents.ts';
import { createPace } from '../../src/edge/pace.ts';
import { createStore, JOURNAL_NAME, type Store } from '../../src/edge/store.ts';
import { createFakeClock, type FakeClock } from '../support/fake-clock.ts';
import { createFakeFiles, type FakeFiles } from '../support/fake-files.ts';
import { suite } from '../support/harness.ts';

const test = suite('edge store');

const path = `/run/edge/${JOURNAL_NAME}`;

const binding = (user: string, expiresAt: number): BindingRecord => ({
  aor: `sip:${user}@test.local`,
  key: `sip:${user}@192.0.2.1:5070`,
  contact: `sip:${user}@192.0.2.1:5070`,
  params: [],
  path: [],
  callId: 'c1',
  cseq: 4,
  expiresAt,
  byFlow: true,
  protocol: 'udp',
  local: { host: '127.0.0.1', port: 5060 },
  remote: { host: '192.0.2.1', port: 5070 },
});

const document = (id: number, tag: string, body: string, expiresAt: number): DocumentRecord => ({
  id,
  order: id,
  resource: 'sip:gw@test.local',
  tag,
  body,
  expiresAt,
});

const subscription = (id: string, expiresAt: number): SubscriptionRecord => ({
  id,
  resource: 'sip:gw@test.local',
  watcher: 'sip:alice@test.local',
  accept: ['application/pidf+xml'],
  eventParams: {},
  origin: 'r d1 ',
  state: 'active',
  expiresAt,
  dialog: {
    callId: 'd1',
    localTag: 'l',
    remoteTag: 'r',
    localUri: 'sip:gw@test.local',
    remoteUri: 'sip:alice@test.local',
    remoteTarget: 'sip:alice@192.0.2.9',
    routeSet: [],
    localSeq: 100,
    remoteSeq: 2,
  },
  from: { protocol: 'udp', host: '192.0.2.9', port: 5060 },
});

/** A store over tables like those of the edge: what is saved is in them too. */
function open(clock: Clock, files: FakeFiles, more: { bytesPerDay?: number; maxBytes?: number } = {}): Store {
  const bindings = new Map<string, BindingRecord>();
  const documents = new Map<number, DocumentRecord>();
  const store = createStore(
    { clock, files, log: silentLog },
    {
      directory: '/run/edge',
      durable: false,
      bytesPerDay: more.bytesPerDay,
      ...(more.maxBytes !== undefined && { maxBytes: more.maxBytes }),
      bindings: () => bindings.values(),
      documents: () => documents.values(),
    },
  );
  return {
    ...store,
    get failure() {
      return store.failure;
    },
    saveBinding(record) {
      bindings.set(record.aor + record.key, record);
      store.saveBinding(record);
    },
    dropBinding(aor, key) {
      bindings.delete(aor + key);
      store.dropBinding(aor, key);
    },
    saveDocument(record, what) {
      documents.set(record.id, record);
      store.saveDocument(record, what);
    },
    dropDocument(id) {
      documents.delete(id);
      store.dropDocument(id);
    },
  };
}

/** The clock of the next process: monotonic time starts anew, wall time went on by `away`. */
function nextClock(before: FakeClock, away: number): FakeClock {
  const wall = before.wall();
  const clock = createFakeClock();
  clock.setWall(wall === undefined ? undefined : wall + away);
  return clock;
}

test('what was kept comes back after a kill, with deadlines on the new clock', async () => {
  const files = createFakeFiles();
  const clock = createFakeClock();
  await clock.advance(5_000);
  const store = open(clock, files);
  await store.load();
  store.saveBinding(binding('alice', clock.now() + 60_000));
  store.saveDocument(document(1, 'tag1', '<presence/>', clock.now() + 120_000), 'document');
  store.saveDocument(document(1, 'tag2', '<presence/>', clock.now() + 130_000), 'tag');
  store.saveSubscription(subscription('s1', clock.now() + 600_000));
  await clock.settle();

  const later = nextClock(clock, 10_000);
  const kept = await open(later, files).load();
  assert.equal(kept.bindings, [binding('alice', 50_000)]);
  assert.equal(kept.documents, [document(1, 'tag2', '<presence/>', 120_000)]);
  assert.equal(kept.subscriptions, [subscription('s1', 590_000)]);
});

test('what was dropped does not come back', async () => {
  const files = createFakeFiles();
  const clock = createFakeClock();
  const store = open(clock, files);
  await store.load();
  const alice = binding('alice', 60_000);
  store.saveBinding(alice);
  store.dropBinding(alice.aor, alice.key);
  store.saveDocument(document(1, 't', 'x', 60_000), 'document');
  store.dropDocument(1);
  store.saveSubscription(subscription('s1', 60_000));
  store.dropSubscription('s1');
  await clock.settle();
  assert.equal(await open(clock, files).load(), { bindings: [], documents: [], subscriptions: [] });
});

test('a refresh does not write the document again', async () => {
  const files = createFakeFiles();
  const clock = createFakeClock();
  const store = open(clock, files);
  await store.load();
  const body = 'x'.repeat(5_000);
  store.saveDocument(document(1, 'tag0', body, 60_000), 'document');
  await clock.settle();
  const before = store.counts().bytes ?? 0;
  for (let n = 1; n <= 10; n += 1) store.saveDocument(document(1, `tag${n}`, body, 60_000 + n), 'tag');
  await clock.settle();
  const written = (store.counts().bytes ?? 0) - before;
  assert.ok(written > 0 && written < 1_500, `${written} bytes`);
  assert.is((await open(clock, files).load()).documents[0]?.tag, 'tag10');
});

test('a refresh of a document that was never written down writes the document', async () => {
  const files = createFakeFiles();
  const clock = createFakeClock();
  const store = open(clock, files);
  await store.load();
  store.saveDocument(document(7, 'tag', 'body', 60_000), 'tag');
  await clock.settle();
  assert.is((await open(clock, files).load()).documents[0]?.body, 'body');
});

test('a last record cut at any byte costs that record only', async () => {
  const files = createFakeFiles();
  const clock = createFakeClock();
  const store = open(clock, files);
  await store.load();
  store.saveBinding(binding('alice', 60_000));
  await clock.settle();
  const first = files.content.get(path)?.length ?? 0;
  store.saveDocument(document(1, 't', '<presence entity="sip:ü@test.local"/>', 60_000), 'document');
  await clock.settle();
  const whole = files.content.get(path) ?? Buffer.alloc(0);
  assert.ok(whole.length > first);
  for (let length = first; length < whole.length - 1; length += 1) {
    files.content.set(path, whole.subarray(0, length));
    const kept = await open(clock, files).load();
    assert.is(kept.bindings.length, 1, `cut at ${length}`);
    assert.is(kept.documents.length, 0, `cut at ${length}`);
  }
});

test('lines of garbage and of a later version are left out', async () => {
  const files = createFakeFiles({
    [path]: 'null\n42\n"x"\n{"k":"future","a":1}\n{"k":"bind"}\n[]\n{"k":"tag","id":9}\n',
  });
  const clock = createFakeClock();
  const kept = await open(clock, files).load();
  assert.is(kept.documents.length + kept.subscriptions.length + kept.bindings.length, 0);
});

test('the journal stays within about twice what it has to hold', async () => {
  const files = createFakeFiles();
  const clock = createFakeClock();
  const store = open(clock, files, { maxBytes: 4_096 });
  await store.load();
  for (let n = 0; n < 500; n += 1) {
    const record = document(1, `t${n}`, 'y'.repeat(300), 60_000);
    store.saveDocument(record, 'document');
    if (n % 5 === 0) await clock.settle();
  }
  await clock.settle();
  const size = files.content.get(path)?.length ?? 0;
  assert.ok(size > 0 && size <= 4_096 + 5 * 400, `${size} bytes`);
  assert.is((await open(clock, files).load()).documents[0]?.tag, 't499');
});

test('a full disk is told and mended when there is room again', async () => {
  const files = createFakeFiles();
  const clock = createFakeClock();
  const store = open(clock, files);
  await store.load();
  files.failAt(0);
  const alice = binding('alice', 60_000);
  store.saveBinding(alice);
  await clock.settle();
  assert.match(store.failure?.message ?? '', /ENOSPC/);
  const bob = binding('bob', 60_000);
  store.saveBinding(bob);
  await clock.settle();
  assert.is(store.failure, undefined);
  assert.equal((await open(clock, files).load()).bindings, [alice, bob]);
});

test('G35: within a daily bound documents wait, the last state is written, and nothing else is held up', async () => {
  const files = createFakeFiles();
  const clock = createFakeClock();
  const bytesPerDay = 24 * 2_000;
  const store = open(clock, files, { bytesPerDay });
  await store.load();
  const body = 'z'.repeat(1_000);
  const put = (n: number): void => {
    const record = document(1, `t${n}`, body, clock.now() + 600_000);
    store.saveDocument(record, 'document');
  };
  // A change every ten seconds for six hours would be more than two megabytes.
  for (let n = 0; n < 6 * 360; n += 1) {
    put(n);
    await clock.advance(10_000);
  }
  const bytes = store.counts().bytes ?? 0;
  assert.ok(bytes > 8_000 && bytes < 6 * 2_000 + 4_000, `${bytes} bytes`);
  store.saveBinding(binding('alice', clock.now() + 60_000));
  await clock.settle();
  const soon = await open(clock, files).load();
  assert.is(soon.bindings.length, 1);
  await store.close();
  assert.is((await open(clock, files).load()).documents[0]?.tag, 't2159');
});

test('pace: no bound means no wait; a bound is kept on average', async () => {
  const clock = createFakeClock();
  assert.is(createPace(clock, undefined).wait(), 0);
  const pace = createPace(clock, 86_400);
  assert.is(pace.wait(), 0);
  pace.spend(3_600 + 100);
  assert.ok(Math.abs(pace.wait() - 100_000) < 1);
  await clock.advance(100_000);
  assert.ok(pace.wait() < 1);
});

test('G27: a deadline survives a wall clock that is missing, steps back or jumps ahead', () => {
  const clock = createFakeClock();
  const stored = storeDeadline(clock, clock.now() + 60_000);
  const wall = clock.wall() ?? 0;

  const after = createFakeClock();
  after.setWall(wall + 20_000);
  assert.is(loadDeadline(after, stored), 40_000);
  after.setWall(wall - 3_600_000);
  assert.is(loadDeadline(after, stored), 60_000);
  after.setWall(undefined);
  assert.is(loadDeadline(after, stored), 60_000);
  after.setWall(wall + 86_400_000);
  assert.ok(loadDeadline(after, stored) < after.now());

  clock.setWall(undefined);
  const blind = storeDeadline(clock, clock.now() + 60_000);
  assert.not.ok('wall' in blind);
  after.setWall(wall);
  assert.is(loadDeadline(after, blind), 60_000);
});
