import * as assert from 'uvu/assert';
import { createWheel } from '../../src/tiny-sip/wheel.ts';
import { createFakeClock } from '../support/fake-clock.ts';
import { createFakeRandom } from '../support/fake-random.ts';
import { suite } from '../support/harness.ts';

const test = suite('wheel');

test('never early, and late by a tick at most', async () => {
  const clock = createFakeClock();
  const wheel = createWheel(clock, { tick: 500 });
  const random = createFakeRandom(7);
  const late: number[] = [];
  await clock.advance(123);
  for (let i = 0; i < 200; i += 1) {
    const due = clock.now() + 1_000 + Math.floor(random.float() * 600_000);
    wheel.after(due - clock.now(), () => late.push(clock.now() - due));
  }
  await clock.advance(700_000);
  assert.is(late.length, 200);
  assert.ok(Math.min(...late) >= 0, `early by ${-Math.min(...late)}`);
  assert.ok(Math.max(...late) <= 500, `late by ${Math.max(...late)}`);
});

test('no timer runs when none waits, and one when thousands do', async () => {
  const clock = createFakeClock();
  const wheel = createWheel(clock);
  assert.is(clock.pending(), 0);
  const timers = Array.from({ length: 5_000 }, (_, i) => wheel.after(1_000 + i, () => undefined));
  await clock.settle();
  assert.is(clock.pending(), 1);
  assert.is(wheel.size, 5_000);
  for (const timer of timers) timer.cancel();
  assert.is(wheel.size, 0);
  assert.is(clock.pending(), 0);
  wheel.after(2_000, () => undefined);
  await clock.advance(3_000);
  assert.is(clock.pending(), 0);
});

test('timers that are cancelled in the turn that started them leave the clock alone', async () => {
  const clock = createFakeClock();
  let set = 0;
  const wheel = createWheel({
    ...clock,
    after(ms, run) {
      set += 1;
      return clock.after(ms, run);
    },
  });
  for (let i = 0; i < 1_000; i += 1) {
    wheel.after(3_500, () => undefined).cancel();
    if (i % 10 === 0) await Promise.resolve();
  }
  await clock.settle();
  assert.is(set, 0);
  assert.is(clock.pending(), 0);
  const ran: string[] = [];
  wheel.after(3_500, () => ran.push('gone')).cancel();
  wheel.after(3_500, () => ran.push('kept'));
  await clock.advance(4_000);
  assert.equal(ran, ['kept']);
});

test('a far timer does not wake the machine twice a second', async () => {
  const clock = createFakeClock();
  const wheel = createWheel(clock);
  let ran = 0;
  let woken = 0;
  const counting = {
    ...clock,
    after: (ms: number, run: () => void) =>
      clock.after(ms, () => {
        woken += 1;
        run();
      }),
  };
  const quiet = createWheel(counting);
  quiet.after(3_600_000, () => (ran += 1));
  wheel.after(60_000, () => (ran += 1));
  await clock.advance(3_601_000);
  assert.is(ran, 2);
  assert.ok(woken < 20, `${woken} wakings for one timer of an hour`);
});

test('cancelled timers do not run, also when cancelled by one of the same tick', async () => {
  const clock = createFakeClock();
  const wheel = createWheel(clock);
  const ran: string[] = [];
  const b = { timer: wheel.after(1_000, () => ran.push('never')) };
  wheel.after(1_000, () => ran.push('after'));
  const first = wheel.after(1_000, () => {
    ran.push('first');
    b.timer.cancel();
    b.timer.cancel();
  });
  await clock.advance(2_000);
  first.cancel();
  // Whether `first` came before or after `b` in the tick: what was cancelled in time did not run after it.
  assert.ok(ran.includes('first') && ran.includes('after'));
  assert.not(ran.indexOf('never') > ran.indexOf('first'));
  assert.is(wheel.size, 0);
});

test('a timer that starts another, and one that throws, disturb nobody', async () => {
  const clock = createFakeClock();
  const wheel = createWheel(clock);
  const ran: string[] = [];
  wheel.after(1_000, () => {
    ran.push('a');
    wheel.after(1_000, () => ran.push('later'));
  });
  wheel.after(1_400, () => {
    throw new Error('mine');
  });
  wheel.after(1_400, () => ran.push('c'));
  let thrown = 0;
  for (let i = 0; i < 10; i += 1) {
    try {
      await clock.advance(500);
    } catch {
      thrown += 1;
    }
  }
  assert.is(thrown, 1);
  assert.equal([...ran].sort(), ['a', 'c', 'later']);
});

test('a shorter timer set later runs first', async () => {
  const clock = createFakeClock();
  const wheel = createWheel(clock);
  const ran: number[] = [];
  wheel.after(60_000, () => ran.push(60));
  wheel.after(1_000, () => ran.push(1));
  await clock.advance(1_500);
  assert.equal(ran, [1]);
  await clock.advance(60_000);
  assert.equal(ran, [1, 60]);
});

test('after a machine slept for hours everything due runs once, in order', async () => {
  let now = 0;
  let pending: (() => void) | undefined;
  const wheel = createWheel({
    now: () => now,
    wall: () => undefined,
    after: (_ms, run) => {
      pending = run;
      return { cancel: () => (pending = undefined) };
    },
  });
  const ran: number[] = [];
  for (const due of [5_000, 1_000, 900_000, 3_000_000, 90_000_000]) wheel.after(due, () => ran.push(due));
  await Promise.resolve();
  now = 10_000_000;
  pending?.();
  assert.equal(ran, [1_000, 5_000, 900_000, 3_000_000]);
  assert.is(wheel.size, 1);
});

test('against a plain list: a thousand random starts and cancels', async () => {
  const clock = createFakeClock();
  const wheel = createWheel(clock);
  const random = createFakeRandom(3);
  const expected = new Set<number>();
  const ran = new Set<number>();
  const timers = new Map<number, { cancel(): void }>();
  for (let i = 0; i < 1_000; i += 1) {
    timers.set(
      i,
      wheel.after(1_000 + Math.floor(random.float() * 2_000_000), () => ran.add(i)),
    );
    expected.add(i);
    const victim = Math.floor(random.float() * 3_000);
    if (timers.has(victim) && !ran.has(victim)) {
      timers.get(victim)?.cancel();
      expected.delete(victim);
    }
    if (i % 50 === 0) await clock.advance(Math.floor(random.float() * 5_000));
  }
  await clock.advance(2_100_000);
  assert.equal(
    [...ran].sort((a, b) => a - b),
    [...expected].sort((a, b) => a - b),
  );
  assert.is(wheel.size, 0);
});
