import type { Clock, Timer } from '../base/clock.ts';

/**
 * When the heap is collected after a start, in milliseconds. Several times, since V8 drops compiled code only when it
 * has lain idle over a collection (`--bytecode-old-age=1`), and what starting compiled is never run again.
 */
const COLLECT_AT = [2_000, 3_000, 5_000, 20_000];

/**
 * Gives back what starting left behind, 2 MiB of it. V8 by itself would not look before the heap has grown again, and a
 * daemon's does not. Needs `--expose-gc`, which the flags of the launcher carry; without it nothing happens.
 *
 * @returns what ends it
 */
export function collectAfterStart(clock: Clock): () => void {
  const collect = globalThis.gc;
  if (!collect) return () => {};
  const timers: Timer[] = COLLECT_AT.map((ms) => clock.after(ms, () => collect()));
  return () => {
    for (const timer of timers) timer.cancel();
  };
}
