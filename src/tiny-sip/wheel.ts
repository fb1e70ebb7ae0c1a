import type { Clock, Timer } from './deps.ts';

export interface Wheel {
  /** Runs `run` once, not before `ms` milliseconds and at most one tick after. */
  after(ms: number, run: () => void): Timer;
  /** Timers that wait. */
  readonly size: number;
}

export function createWheel(_clock: Clock, _options?: { readonly tick?: number }): Wheel {
  throw new Error('not built yet');
}
