import type { Clock } from '../base/clock.ts';

/**
 * A deadline as it is written down. Monotonic time means nothing to the next process, and wall time may be wrong or
 * jump, so both are kept: what was left, and when that was.
 */
export interface StoredDeadline {
  /** Milliseconds that were left. */
  readonly left: number;
  /** Wall time of writing, in milliseconds since 1970, where it could be trusted. */
  readonly wall?: number;
}

export function storeDeadline(clock: Clock, at: number): StoredDeadline {
  const wall = clock.wall();
  return { left: Math.round(at - clock.now()), ...(wall !== undefined && { wall: Math.round(wall) }) };
}

/**
 * The deadline on this process's clock. When the wall clock cannot tell how long the process was away, nothing is
 * deducted: state that lives a little too long does less harm than state that is lost.
 */
export function loadDeadline(clock: Clock, stored: StoredDeadline): number {
  const wall = clock.wall();
  const away = wall === undefined || stored.wall === undefined ? 0 : Math.max(0, wall - stored.wall);
  return clock.now() + stored.left - away;
}
