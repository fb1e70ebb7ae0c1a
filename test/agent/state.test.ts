import * as assert from 'uvu/assert';
import { type AgentState, createAgentState } from '../../src/agent/state.ts';
import { silentLog } from '../../src/base/log.ts';
import { createFakeClock, type FakeClock } from '../support/fake-clock.ts';
import { createFakeFiles, type FakeFiles } from '../support/fake-files.ts';
import { suite } from '../support/harness.ts';

const test = suite('state of the agent');

async function open(files: FakeFiles, clock: FakeClock): Promise<AgentState> {
  const state = createAgentState({ files, log: silentLog, clock }, { directory: '/run' });
  await state.open();
  return state;
}

test('S4: tags come back with what they have left, on a monotonic clock that began anew', async () => {
  const files = createFakeFiles();
  const before = createFakeClock();
  const first = await open(files, before);
  first.setTag('a *', { tag: 't1', expiresAt: before.now() + 120_000 });
  first.setTag('a x', { tag: 't2', expiresAt: before.now() + 120_000 });
  first.setTag('a x', undefined);
  first.setLearnt('tcp 192.0.2.1:5060', 'segments');
  await first.close();
  const after = createFakeClock((before.wall() ?? 0) + 50_000);
  const second = await open(files, after);
  assert.equal(second.tag('a *'), { tag: 't1', expiresAt: 70_000 });
  assert.is(second.tag('a x'), undefined);
  assert.equal(second.tags('a '), ['a *']);
  assert.is(second.learnt('tcp 192.0.2.1:5060'), 'segments');
  assert.is(second.learnt('tcp 192.0.2.2:5060'), undefined);
});

test('a tag that ended long ago is not tried, one of unknown age is', async () => {
  const files = createFakeFiles();
  const clock = createFakeClock();
  const state = await open(files, clock);
  state.setTag('old', { tag: 't', expiresAt: 120_000 });
  clock.setWall(undefined);
  state.setTag('undated', { tag: 'u', expiresAt: 120_000 });
  await state.close();
  const later = await open(files, createFakeClock(Date.UTC(2026, 5, 1, 13)));
  assert.is(later.tag('old'), undefined);
  assert.is(later.tag('undated')?.tag, 'u');
  const clockless = createFakeClock();
  clockless.setWall(undefined);
  assert.is((await open(files, clockless)).tag('old')?.tag, 't');
});

test('G27: a wall clock that jumps back while the process is dead does no harm', async () => {
  const files = createFakeFiles();
  const clock = createFakeClock(Date.UTC(2076, 0, 1));
  const state = await open(files, clock);
  state.setTag('k', { tag: 't', expiresAt: 120_000 });
  await state.close();
  const back = await open(files, createFakeClock(Date.UTC(2026, 5, 1)));
  // It seems to live for decades; the server knows better, and a 412 costs nothing.
  assert.is(back.tag('k')?.tag, 't');
});

test('a file that is damaged in any way is no reason not to start', async () => {
  for (const text of [
    '',
    '\n\n',
    'null\n1\n"x"\n[]\n',
    '{"p":1}\n{"s":{}}\n{"q":"x"}\n',
    '{"p":"a","t":"b"',
  ]) {
    const state = await open(createFakeFiles({ '/run/agent.journal': text }), createFakeClock());
    assert.equal(state.tags(''), []);
    state.setTag('a', { tag: 'b', expiresAt: 1 });
    await state.close();
  }
});

test('it is written when something changed, and only then', async () => {
  const files = createFakeFiles();
  const state = await open(files, createFakeClock());
  state.setLearnt('s', 'diff');
  await state.close();
  const { steps } = files;
  const again = await open(files, createFakeClock());
  again.setLearnt('s', 'diff');
  again.setTag('none', undefined);
  const { steps: read } = files;
  await again.close();
  assert.ok(files.steps - read <= 1, 'closed only');
  assert.ok(read > steps);
});
