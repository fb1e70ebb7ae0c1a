import type { Clock } from '../base/clock.ts';
import { asError } from '../base/errors.ts';
import type { Actuator, Reading, Value } from '../device/reading.ts';

/** How a write ended. */
export type Written =
  /** It left, and this value came back. `matches`: it is the one that was written. */
  | { readonly kind: 'confirmed'; readonly value: Value; readonly matches: boolean }
  /** It left, and no reading of that signal came within the time. */
  | { readonly kind: 'silent' }
  | { readonly kind: 'failed'; readonly error: Error }
  /** The actuator neither did it nor refused it in time: it may yet happen. */
  | { readonly kind: 'unknown'; readonly cause: 'time' | 'abort' };

export interface WriteTask {
  readonly actuator: Actuator;
  readonly device: string;
  readonly signal: string;
  readonly value: Value;
  /** Calls for every valid reading; answers how to leave. */
  readonly onReading: (listener: (reading: Reading) => void) => () => void;
  /** Milliseconds that the actuator may take. */
  readonly writeLimit: number;
  /** Milliseconds to wait for the value to come back, after it left. */
  readonly readBack: number;
  readonly abort: AbortSignal;
}

/**
 * Writes a value and waits for the next reading of that signal. One that shows the written value ends the wait; one
 * that shows another may have been on its way before the write, so the last of them counts when the time is over.
 * Never rejects.
 */
export function writeAndReadBack(clock: Clock, task: WriteTask): Promise<Written> {
  const { actuator, device, signal, value, onReading, writeLimit, readBack, abort } = task;
  return new Promise((resolve) => {
    const writing = new AbortController();
    let left = false;
    let last: Value | undefined;

    const finish = (result: Written): void => {
      timer.cancel();
      leave();
      abort.removeEventListener('abort', stop);
      resolve(result);
    };
    const stop = (): void => {
      writing.abort();
      finish({ kind: 'unknown', cause: 'abort' });
    };
    const confirmed = (): void => {
      if (last === undefined) finish({ kind: 'silent' });
      else finish({ kind: 'confirmed', value: last, matches: last === value });
    };

    let timer = clock.after(writeLimit, () => {
      writing.abort();
      finish({ kind: 'unknown', cause: 'time' });
    });
    // Listening starts before the write: the device may answer before the actuator says that the value has left.
    const leave = onReading((reading) => {
      if (reading.device !== device || reading.signal !== signal) return;
      last = reading.value;
      if (left && last === value) confirmed();
    });
    if (abort.aborted) return stop();
    abort.addEventListener('abort', stop);

    // A synchronous throw of the actuator is a rejection too.
    Promise.resolve()
      .then(() => actuator.write({ device, signal }, value, writing.signal))
      .then(
        () => {
          left = true;
          timer.cancel();
          if (last === value) return confirmed();
          timer = clock.after(readBack, confirmed);
        },
        (error: unknown) => finish({ kind: 'failed', error: asError(error) }),
      );
  });
}
