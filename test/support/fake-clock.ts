import type { Clock, Timer } from '../../src/base/clock.ts';

export interface FakeClock extends Clock {
  /** Lets `ms` pass: timers run in order, and what they set off has settled before the next one runs. */
  advance(ms: number): Promise<void>;
  /** Lets everything that waits for no time settle. */
  settle(): Promise<void>;
  /** Sets the wall clock without moving the monotonic one; undefined: not to be trusted. */
  setWall(ms: number | undefined): void;
  /** How many timers are running. */
  pending(): number;
}

/** A clock that only tests move. It starts at monotonic 0 and, on the wall, at 2026-06-01T12:00:00Z. */
export function createFakeClock(wall = Date.UTC(2026, 5, 1, 12)): FakeClock {
  let now = 0;
  let order = 0;
  let offset: number | undefined = wall;
  const timers = new Map<Timer, { at: number; order: number; run: () => void }>();

  const next = (): [Timer, { at: number; order: number; run: () => void }] | undefined => {
    let first: [Timer, { at: number; order: number; run: () => void }] | undefined;
    for (const entry of timers) {
      const found = entry[1];
      if (!first || found.at < first[1].at || (found.at === first[1].at && found.order < first[1].order))
        first = entry;
    }
    return first;
  };

  const settle = async (): Promise<void> => {
    // Each turn of the loop drains all microtasks; several turns let chains through setImmediate and streams finish.
    for (let turn = 0; turn < 4; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  };

  return {
    now: () => now,
    wall: () => (offset === undefined ? undefined : offset + now),
    after(ms, run) {
      const timer: Timer = { cancel: () => void timers.delete(timer) };
      timers.set(timer, { at: now + Math.max(0, ms), order: order++, run });
      return timer;
    },
    async advance(ms) {
      const end = now + ms;
      await settle();
      for (let entry = next(); entry && entry[1].at <= end; entry = next()) {
        const [timer, { at, run }] = entry;
        timers.delete(timer);
        now = Math.max(now, at);
        run();
        await settle();
      }
      now = end;
    },
    settle,
    setWall(ms) {
      offset = ms === undefined ? undefined : ms - now;
    },
    pending: () => timers.size,
  };
}
