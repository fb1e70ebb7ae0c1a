import type { Clock, Timer } from '../base/clock.ts';

/**
 * When the heap is collected after a start, in milliseconds. Several times, since V8 drops compiled code only when it
 * has lain idle over a collection (`--bytecode-old-age=1`), and what starting compiled is never run again.
 */
const COLLECT_AT = [2_000, 3_000, 5_000, 10_000, 20_000];

/** And then this often: some 10 ms of work that keep a megabyte of garbage from staying resident. */
const COLLECT_EVERY = 60_000;

/**
 * Gives back what starting left behind, 2 MiB of it, and keeps it so. V8 by itself would not look before the heap has
 * grown again. Needs `--expose-gc`, which the flags of the launcher carry; without it nothing happens.
 *
 * @returns what ends it
 */
export function keepTidy(clock: Clock): () => void {
  const collect = globalThis.gc;
  if (!collect) return () => {};
  let timer: Timer | undefined;
  const started = clock.now();
  let turn = 0;
  const next = (): void => {
    const at = COLLECT_AT[turn] ?? clock.now() - started + COLLECT_EVERY;
    turn += 1;
    timer = clock.after(at - (clock.now() - started), () => {
      collect();
      next();
    });
  };
  next();
  return () => timer?.cancel();
}
