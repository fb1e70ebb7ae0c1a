import type { Random } from '../deps.ts';

/** A wait that gets longer, so that no failure is repeated in a tight loop. Plain data: there are thousands. */
export interface Delay {
  readonly floor: number;
  readonly cap: number;
  /** The next wait before jitter, ms. */
  base: number;
}

/** A server said no, or nothing: 30 s doubling to 30 min. */
export const patient = (): Delay => ({ floor: 30_000, cap: 1_800_000, base: 30_000 });

/** Somebody has to change something first: 15 min doubling to 4 h. */
export const hopeless = (): Delay => ({ floor: 900_000, cap: 14_400_000, base: 900_000 });

/** The network failed, which costs nobody anything: 1 s doubling to 120 s, used with full jitter. */
export const network = (): Delay => ({ floor: 1_000, cap: 120_000, base: 1_000 });

/** The longest wait that a server can impose by Retry-After, s. */
const longest = 86_400;

/** Takes the next wait in ms: at least `seconds` long, and up to a quarter more so that many do not come together. */
export function takeDelay(delay: Delay, random: Random, seconds = 0): number {
  const wait = Math.max(delay.base, Math.min(seconds, longest) * 1000) * (1 + random.float() / 4);
  delay.base = Math.min(delay.base * 2, delay.cap);
  return wait;
}

/** Takes the next wait in ms, anything between nothing and its full length. */
export function takeJittered(delay: Delay, random: Random): number {
  const wait = random.float() * delay.base;
  delay.base = Math.min(delay.base * 2, delay.cap);
  return wait;
}

/** The network is back: soon, but not all that waited for it in the same moment. In ms. */
export function hurried(random: Random): number {
  return random.float() * 2_000;
}

/** It works again: the next failure waits as briefly as the first. */
export function resetDelay(delay: Delay): void {
  delay.base = delay.floor;
}

/** No state is refreshed more often, however short the server makes it, ms. */
const soonest = 5_000;

/**
 * When to refresh soft state that lasts `seconds`, in ms from now: after two fifths, or ten minutes before its end
 * where that is later, less up to a tenth at random. With 120 s this leaves time for a refresh that is lost (32 s),
 * the wait after it (up to 38 s) and another.
 */
export function refreshIn(seconds: number, random: Random): number {
  const lead = Math.min(seconds * 0.6, 600);
  return Math.max(soonest, (seconds - lead) * (1 - random.float() / 10) * 1000);
}
