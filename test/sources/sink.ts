import type { Reading, SourceSink, SourceState } from '../../src/device/reading.ts';

/** A sink that remembers, and that a test can wait on. */
export interface TestSink extends SourceSink {
  readonly seen: Reading[];
  readonly states: SourceState[];
  /** `signal=value` of each reading. */
  values(): string[];
  last(): SourceState | undefined;
  /** Resolves when the condition holds; looked at after everything that arrives. */
  until(condition: () => boolean, what: string, ms?: number): Promise<void>;
}

export function createTestSink(): TestSink {
  const seen: Reading[] = [];
  const states: SourceState[] = [];
  const waiting = new Set<() => void>();
  const look = (): void => {
    for (const one of [...waiting]) one();
  };
  return {
    seen,
    states,
    reading(reading) {
      seen.push(reading);
      look();
    },
    readings(readings) {
      seen.push(...readings);
      look();
    },
    state(state) {
      states.push(state);
      look();
    },
    values: () => seen.map(({ signal, value }) => `${signal}=${value}`),
    last: () => states.at(-1),
    until(condition, what, ms = 5_000) {
      return new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => {
          waiting.delete(check);
          reject(
            new Error(
              `not within ${ms} ms: ${what}; states ${JSON.stringify(states)}, ${JSON.stringify(seen)}`,
            ),
          );
        }, ms);
        const check = (): void => {
          if (!condition()) return;
          clearTimeout(timer);
          waiting.delete(check);
          resolve();
        };
        waiting.add(check);
        check();
      });
    },
  };
}

/** Lets everything that waits for no time run until the condition holds. */
export async function turns(condition: () => boolean, what: string): Promise<void> {
  for (let turn = 0; turn < 2_000; turn += 1) {
    if (condition()) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
  throw new Error(`never: ${what}`);
}
