import type { Random } from '../deps.ts';

/** Waits that get longer, so that no failure is repeated in a tight loop. */
export interface Delay {
  /** The next wait in ms, at least `seconds` long. */
  next(seconds?: number): number;
  reset(): void;
}

export interface DelayOptions {
  /** ms. */
  readonly floor: number;
  /** ms. */
  readonly cap: number;
}

/** A server said no, or nothing: 30 s doubling to 30 min. */
export const answered: DelayOptions = { floor: 30_000, cap: 1_800_000 };

/** Somebody has to change something first: 15 min doubling to 4 h. */
export const hopeless: DelayOptions = { floor: 900_000, cap: 14_400_000 };

/** At least the floor, doubling, and up to a quarter more at random so that many do not come together. */
export function createDelay(random: Random, options: DelayOptions): Delay {
  let base = options.floor;
  return {
    next(seconds = 0) {
      const wait = Math.max(base, Math.min(seconds, 86_400) * 1000) * (1 + random.float() / 4);
      base = Math.min(base * 2, options.cap);
      return wait;
    },
    reset() {
      base = options.floor;
    },
  };
}

/** The network failed, which costs nobody anything: full jitter under 1, 2, 4 … 120 s. */
export function createNetworkDelay(random: Random): Delay {
  let top = 1_000;
  return {
    next() {
      const wait = random.float() * top;
      top = Math.min(top * 2, 120_000);
      return wait;
    },
    reset() {
      top = 1_000;
    },
  };
}

/**
 * When to refresh soft state that lasts `seconds`, in ms from now: after two fifths, or ten minutes before its end
 * where that is later, less up to a tenth at random. With 120 s this leaves time for a refresh that is lost (32 s),
 * the wait after it (up to 38 s) and another.
 */
export function refreshIn(seconds: number, random: Random): number {
  const lead = Math.min(seconds * 0.6, 600);
  return (seconds - lead) * (1 - random.float() / 10) * 1000;
}
