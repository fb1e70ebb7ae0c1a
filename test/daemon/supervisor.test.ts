import * as assert from 'uvu/assert';
import { silentLog } from '../../src/base/log.ts';
import { createSupervisor, type NamedPart } from '../../src/daemon/supervisor.ts';
import { createFakeClock } from '../support/fake-clock.ts';
import { suite } from '../support/harness.ts';

const test = suite('supervisor');

function part(name: string, book: string[], how: { start?: Error; stop?: 'never' | Error } = {}): NamedPart {
  return {
    name,
    part: {
      async start() {
        book.push(`start ${name}`);
        if (how.start) throw how.start;
      },
      stop() {
        book.push(`stop ${name}`);
        if (how.stop === 'never') return new Promise(() => {});
        return how.stop ? Promise.reject(how.stop) : Promise.resolve();
      },
      health: () => ({ state: 'ok' }),
    },
  };
}

test('starts in order and stops in the opposite one', async () => {
  const book: string[] = [];
  const supervisor = createSupervisor({ clock: createFakeClock(), log: silentLog }, [
    part('a', book),
    part('b', book),
  ]);
  await supervisor.start(new AbortController().signal);
  await supervisor.stop(3_000);
  await supervisor.stop(3_000);
  assert.equal(book, ['start a', 'start b', 'stop b', 'stop a']);
});

test('a part that cannot start stops those before it, and itself', async () => {
  const book: string[] = [];
  const supervisor = createSupervisor({ clock: createFakeClock(), log: silentLog }, [
    part('a', book),
    part('b', book, { start: new Error('port taken') }),
    part('c', book),
  ]);
  const error = await supervisor.start(new AbortController().signal).catch((thrown: Error) => thrown);
  assert.is((error as Error).message, 'port taken');
  assert.equal(book, ['start a', 'start b', 'stop b', 'stop a']);
});

test('G43: one that never stops and one that fails do not keep the others from stopping', async () => {
  const book: string[] = [];
  const clock = createFakeClock();
  const supervisor = createSupervisor({ clock, log: silentLog }, [
    part('a', book),
    part('b', book, { stop: 'never' }),
    part('c', book, { stop: new Error('broken') }),
  ]);
  await supervisor.start(new AbortController().signal);
  let stopped = false;
  const stopping = supervisor.stop(clock.now() + 3_000).then(() => {
    stopped = true;
  });
  await clock.advance(2_999);
  assert.not.ok(stopped);
  await clock.advance(1);
  await stopping;
  assert.equal(book.slice(3), ['stop c', 'stop b', 'stop a']);
  assert.is(clock.pending(), 0);
});

test('SIGTERM during the start: what has not begun is not started', async () => {
  const book: string[] = [];
  const abort = new AbortController();
  const slow = part('b', book);
  const supervisor = createSupervisor({ clock: createFakeClock(), log: silentLog }, [
    part('a', book),
    { name: 'b', part: { ...slow.part, start: async () => abort.abort() } },
    part('c', book),
  ]);
  await supervisor.start(abort.signal);
  await supervisor.stop(3_000);
  assert.equal(book, ['start a', 'stop b', 'stop a']);
});
