import * as fc from 'fast-check';
import * as assert from 'uvu/assert';
import { createDeadlines, notWaiting, type Waiting } from '../../src/device/deadlines.ts';
import { createFakeClock } from '../support/fake-clock.ts';
import { suite } from '../support/harness.ts';

const test = suite('device/deadlines');

interface Thing extends Waiting {
  readonly id: number;
}

const thing = (id: number): Thing => ({ ...notWaiting(), id });

test('runs each when it is due, on one timer', async () => {
  const clock = createFakeClock();
  const ran: [number, number][] = [];
  const deadlines = createDeadlines<Thing>(clock, ({ id }, now) => ran.push([id, now]));
  const things = [30, 10, 20, 10].map((due, id) => {
    const one = thing(id);
    deadlines.set(one, due);
    return one;
  });
  assert.is(clock.pending(), 1);
  await clock.advance(100);
  assert.equal(
    ran.sort((a, b) => a[1] - b[1] || a[0] - b[0]),
    [
      [1, 10],
      [3, 10],
      [2, 20],
      [0, 30],
    ],
  );
  assert.is(clock.pending(), 0);
  assert.ok(things.every((one) => one.place === -1));
});

test('putting off costs no timer, and no early run', async () => {
  const clock = createFakeClock();
  const ran: number[] = [];
  const deadlines = createDeadlines<Thing>(clock, (_one, now) => ran.push(now));
  const one = thing(0);
  for (let at = 0; at < 50; at += 1) {
    deadlines.set(one, at + 10);
    await clock.advance(1);
  }
  assert.equal(ran, []);
  await clock.advance(100);
  assert.equal(ran, [59]);
});

test('taken out, it never runs; stop ends all', async () => {
  const clock = createFakeClock();
  const ran: number[] = [];
  const deadlines = createDeadlines<Thing>(clock, ({ id }) => ran.push(id));
  const [one, two, three] = [thing(1), thing(2), thing(3)] as const;
  deadlines.set(one, 10);
  deadlines.set(two, 20);
  deadlines.set(three, Number.POSITIVE_INFINITY);
  deadlines.set(one, undefined);
  await clock.advance(15);
  assert.equal(ran, []);
  deadlines.stop();
  assert.is(clock.pending(), 0);
  await clock.advance(100);
  assert.equal(ran, []);
});

test('one that sets itself again runs again', async () => {
  const clock = createFakeClock();
  const ran: number[] = [];
  const deadlines = createDeadlines<Thing>(clock, (one, now) => {
    ran.push(now);
    if (now < 30) deadlines.set(one, now + 10);
  });
  deadlines.set(thing(0), 10);
  await clock.advance(100);
  assert.equal(ran, [10, 20, 30]);
});

test('any order of setting, moving and taking out agrees with a plain table', async () => {
  const step = fc.record({ id: fc.nat(7), due: fc.option(fc.nat(60), { nil: undefined }), wait: fc.nat(5) });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const clock = createFakeClock();
      const ran: string[] = [];
      const expected: string[] = [];
      const plain = new Map<number, number>();
      const deadlines = createDeadlines<Thing>(clock, ({ id }, now) => ran.push(`${now} ${id}`));
      const things = Array.from({ length: 8 }, (_, id) => thing(id));
      const pass = async (ms: number): Promise<void> => {
        const end = clock.now() + ms;
        for (const [id, due] of [...plain]) {
          if (due > end) continue;
          expected.push(`${due} ${id}`);
          plain.delete(id);
        }
        await clock.advance(ms);
      };
      for (const { id, due, wait } of steps) {
        const one = things[id] as Thing;
        // Strictly later than now, as the devices have it.
        const at = due === undefined ? undefined : clock.now() + 1 + due;
        deadlines.set(one, at);
        if (at === undefined) plain.delete(id);
        else plain.set(id, at);
        await pass(wait);
      }
      await pass(100);
      assert.equal(ran.sort(), expected.sort());
      assert.is(clock.pending(), 0);
    }),
    { numRuns: 100 },
  );
});
