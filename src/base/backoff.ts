import type { Clock } from './clock.ts';
import type { Random } from './random.ts';

export interface BackoffOptions {
  /** The first span in milliseconds. */
  floor?: number;
  /** The longest span in milliseconds. */
  cap?: number;
  /** How long a thing must work before its failures are forgotten, in milliseconds. */
  stable?: number;
}

/** How long to wait before the next try: spans double up to a cap, the wait is drawn from the whole span (full jitter). */
export interface Backoff {
  /** The next wait in milliseconds; each call doubles the span. */
  next(): number;
  /** The thing works now. */
  up(): void;
  /** The thing failed; failures before a stable time count as one and the same trouble. */
  down(): void;
  /** How many waits were handed out since the last reset. */
  readonly tries: number;
}

/**
 * A back-off with full jitter, reset only after the thing has worked for a stable minute: a broker that accepts and
 * throws out at once must not be asked again at once.
 */
export function createBackoff(deps: { clock: Clock; random: Random }, options: BackoffOptions = {}): Backoff {
  const { floor = 1_000, cap = 120_000, stable = 60_000 } = options;
  let tries = 0;
  let upSince: number | undefined;

  const settle = (): void => {
    if (upSince !== undefined && deps.clock.now() - upSince >= stable) tries = 0;
    upSince = undefined;
  };

  return {
    next() {
      settle();
      const span = Math.min(cap, floor * 2 ** Math.min(tries, 30));
      tries += 1;
      // A tenth of the span at least: nought would be no wait at all.
      return span * (0.1 + 0.9 * deps.random.float());
    },
    up() {
      upSince ??= deps.clock.now();
    },
    down: settle,
    get tries() {
      return tries;
    },
  };
}
