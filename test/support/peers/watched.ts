/** A growing list of what was observed, which a test can wait on. */
import { within } from './program.ts';

export interface Watched<T> {
  readonly seen: readonly T[];
  add(one: T): void;
  /** The first, of the past or the future, that satisfies; rejects after `ms` with what there was instead. */
  until(satisfies: (one: T) => boolean, ms?: number, what?: () => string): Promise<T>;
}

export function watched<T>(): Watched<T> {
  const seen: T[] = [];
  const listeners = new Set<(one: T) => void>();
  return {
    seen,
    add(one) {
      seen.push(one);
      for (const listener of [...listeners]) listener(one);
    },
    until(satisfies, ms = 5_000, what = () => `there was only ${JSON.stringify(seen.slice(-20))}`) {
      const past = seen.find(satisfies);
      if (past !== undefined) return Promise.resolve(past);
      let listener: ((one: T) => void) | undefined;
      const found = new Promise<T>((resolve) => {
        listener = (one) => {
          if (satisfies(one)) resolve(one);
        };
        listeners.add(listener);
      });
      return within(found, ms, what).finally(() => listener && listeners.delete(listener));
    },
  };
}
