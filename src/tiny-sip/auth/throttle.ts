import { createHash } from 'node:crypto';
import type { Clock } from '../deps.ts';
import { detach } from '../message/text.ts';

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

/** Keys come from strangers: longer ones are remembered by their hash. */
const longest = 128;

/** Counts failures per key, so that guessing passwords is slow. */
export function createThrottle(clock: Clock, options: ThrottleOptions): Throttle {
  const failures = new Map<string, { count: number; readonly since: number }>();
  const short = (key: string): string =>
    key.length <= longest ? key : createHash('sha256').update(key).digest('base64');
  const live = (key: string): { count: number } | undefined => {
    const found = failures.get(key);
    if (found !== undefined && clock.now() - found.since > options.window) {
      failures.delete(key);
      return undefined;
    }
    return found;
  };
  return {
    blocked: (key) => failures.size > 0 && (live(short(key))?.count ?? 0) >= options.limit,
    failed(key) {
      const kept = short(key);
      const found = live(kept);
      if (found !== undefined) {
        found.count += 1;
        return;
      }
      failures.set(detach(kept), { count: 1, since: clock.now() });
      for (const oldest of failures.keys()) {
        if (failures.size <= options.capacity) break;
        failures.delete(oldest);
      }
    },
    succeeded(key) {
      if (failures.size > 0) failures.delete(short(key));
    },
    get size() {
      return failures.size;
    },
  };
}
