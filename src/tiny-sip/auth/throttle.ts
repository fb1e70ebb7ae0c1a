import type { Clock } from '../deps.ts';

export interface ThrottleOptions {
  /** Failures within the window before a key is blocked. */
  readonly limit: number;
  /** ms. */
  readonly window: number;
  /** Keys remembered; beyond it the oldest is forgotten. */
  readonly capacity: number;
}

export interface Throttle {
  blocked(key: string): boolean;
  failed(key: string): void;
  succeeded(key: string): void;
  readonly size: number;
}

/** Counts failures per key, so that guessing passwords is slow. */
export function createThrottle(clock: Clock, options: ThrottleOptions): Throttle {
  const failures = new Map<string, { count: number; readonly since: number }>();
  const live = (key: string): { count: number } | undefined => {
    const found = failures.get(key);
    if (found !== undefined && clock.now() - found.since > options.window) {
      failures.delete(key);
      return undefined;
    }
    return found;
  };
  return {
    blocked: (key) => (live(key)?.count ?? 0) >= options.limit,
    failed(key) {
      const found = live(key);
      if (found !== undefined) {
        found.count += 1;
        return;
      }
      failures.set(key, { count: 1, since: clock.now() });
      for (const oldest of failures.keys()) {
        if (failures.size <= options.capacity) break;
        failures.delete(oldest);
      }
    },
    succeeded: (key) => void failures.delete(key),
    get size() {
      return failures.size;
    },
  };
}
