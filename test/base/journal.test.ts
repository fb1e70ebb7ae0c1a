import * as assert from 'uvu/assert';
import { createJournal, type Journal } from '../../src/base/journal.ts';
import { silentLog } from '../../src/base/log.ts';
import { createFakeFiles, type FakeFiles } from '../support/fake-files.ts';
import { suite } from '../support/harness.ts';

const test = suite('journal');

type Entry = { key: string; value: number };

/** A journal over a map, as a part would keep it. */
function open(
  files: FakeFiles,
  maxBytes = 200,
): { state: Map<string, number>; journal: Journal<Entry>; put(key: string, value: number): void } {
  const state = new Map<string, number>();
  const journal = createJournal<Entry>(
    { files, log: silentLog },
    {
      path: '/run/j',
      sync: true,
      maxBytes,
      snapshot: () => [...state].map(([key, value]) => ({ key, value })),
    },
  );
  return {
    state,
    journal,
    put(key, value) {
      state.set(key, value);
      journal.append({ key, value });
    },
  };
}

async function reopen(files: FakeFiles): Promise<Map<string, number>> {
  const next = open(files);
  for (const { key, value } of await next.journal.load()) next.state.set(key, value);
  return next.state;
}

test('what was appended is there after a restart, the newest last', async () => {
  const files = createFakeFiles();
  const first = open(files);
  assert.equal(await first.journal.load(), []);
  first.put('a', 1);
  first.put('b', 2);
  first.put('a', 3);
  await first.journal.flush();
  assert.equal(
    [...(await reopen(files))],
    [
      ['a', 3],
      ['b', 2],
    ],
  );
});

test('a last line cut short by a kill is left out and the next append mends the file', async () => {
  const files = createFakeFiles({ '/run/j': '{"key":"a","value":1}\n{"key":"b","val' });
  const next = open(files);
  for (const { key, value } of await next.journal.load()) next.state.set(key, value);
  assert.equal([...next.state], [['a', 1]]);
  assert.is(next.journal.counts().damaged, 1);
  next.put('c', 3);
  await next.journal.flush();
  assert.is(files.content.get('/run/j')?.toString(), '{"key":"a","value":1}\n{"key":"c","value":3}\n');
});

test('stays within about twice its content however often one entry changes', async () => {
  const files = createFakeFiles();
  const { journal, put } = open(files, 200);
  await journal.load();
  for (let round = 0; round < 500; round += 1) {
    put('a', round);
    if (round % 7 === 0) await journal.flush();
  }
  await journal.flush();
  assert.ok((files.content.get('/run/j')?.length ?? 0) <= 200);
  assert.equal([...(await reopen(files))], [['a', 499]]);
});

test('G35: nothing changed writes nothing', async () => {
  const files = createFakeFiles();
  const first = open(files);
  await first.journal.load();
  first.put('a', 1);
  await first.journal.flush();
  const second = open(files);
  await second.journal.load();
  const before = files.steps;
  await second.journal.flush();
  assert.is(files.steps, before);
  assert.is(second.journal.counts().bytes, 0);
});

test('G34: a full disk at any step loses nothing once there is room again', async () => {
  for (let at = 0; at < 40; at += 1) {
    const files = createFakeFiles();
    const { journal, put } = open(files, 60);
    await journal.load();
    put('a', 1);
    await journal.flush();
    files.failAt(at);
    for (const key of ['b', 'c', 'd', 'e']) {
      put(key, 1);
      await journal.flush().catch(() => {
        // The next append tries again.
      });
    }
    files.failAt(Number.POSITIVE_INFINITY);
    put('z', 9);
    await journal.flush();
    assert.equal(
      [...(await reopen(files))].map(([key]) => key).sort(),
      ['a', 'b', 'c', 'd', 'e', 'z'],
      `step ${at}`,
    );
  }
});

test('G34: the power gone at any step leaves what was flushed before', async () => {
  for (let at = 0; at < 40; at += 1) {
    const files = createFakeFiles();
    const { journal, put } = open(files, 60);
    await journal.load();
    put('a', 1);
    put('b', 1);
    await journal.flush();
    files.dieAt(at);
    put('c', 1);
    await journal.flush().catch(() => {
      // The power is gone.
    });
    const after = createFakeFiles(
      Object.fromEntries([...files.content].map(([path, bytes]) => [path, bytes.toString()])),
    );
    const state = await reopen(after);
    assert.ok(state.has('a') && state.has('b'), `step ${at}`);
  }
});
