import type { SignalOptions } from './options.ts';

/** How often a signal's readings come, as far as they have told. */
export interface Interval {
  /** Monotonic milliseconds of the last live reading; undefined before it, and after a gap that is not the sensor's. */
  last: number | undefined;
  /** The longest interval of late, slowly forgotten. */
  longest: number;
  /** How many intervals were seen, up to `LEARNT`. */
  count: number;
}

/** A signal without a limit of its own is stale after this many of its intervals. */
const FACTOR = 3;
/** Learnt limits stay within these, in milliseconds: a burst must not make a sensor flap, nor a gap make it immortal. */
const SHORTEST = 30_000;
const LONGEST = 86_400_000;
/** The limit until its interval is learnt. */
const UNLEARNT = 3_600_000;
/** From how many intervals on the limit is learnt. */
const LEARNT = 3;
/** Readings closer together than this are one report in several pieces. */
const BURST = 1_000;
/** What is left of an old longest interval after each new one. */
const MEMORY = 0.9;

export function newInterval(): Interval {
  return { last: undefined, longest: 0, count: 0 };
}

/** After how many milliseconds without a reading the signal is stale; infinite for `never`. */
export function staleLimit(options: Pick<SignalOptions, 'stale'>, interval: Interval): number {
  if (options.stale === 'never') return Number.POSITIVE_INFINITY;
  if (options.stale !== undefined) return options.stale;
  if (interval.count < LEARNT) return UNLEARNT;
  return Math.min(LONGEST, Math.max(SHORTEST, FACTOR * interval.longest));
}

/**
 * Learns from a live reading at `now`. `limit` is the limit up to now: one long silence at most doubles it, so a
 * sensor that was dead for a week is not given weeks from then on, and one that slowed down is understood soon.
 */
export function learnInterval(interval: Interval, now: number, limit: number): void {
  const { last } = interval;
  if (last !== undefined && now - last < BURST) return;
  interval.last = now;
  if (last === undefined) return;
  const span = Math.min(now - last, 2 * limit);
  interval.longest = Math.max(span, MEMORY * interval.longest);
  interval.count = Math.min(LEARNT, interval.count + 1);
}
