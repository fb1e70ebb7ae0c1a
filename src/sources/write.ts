import type { Clock } from '../base/clock.ts';
import type { CodedError } from '../base/errors.ts';
import { sourceErrors } from './errors.ts';

/** What one write is about, for its errors. */
export interface WriteTarget {
  readonly device: string;
  readonly signal: string;
}

/** Fills a write template: `{value}` is the value, everything else goes out as it stands. */
export function fillWrite(template: string, value: string): string {
  return template.replaceAll('{value}', () => value);
}

/**
 * A promise bounded by a time limit and by whoever may give it up. The work itself may go on: what has left for the
 * world cannot be called back.
 * @param late makes the error for when the limit, in milliseconds, has passed
 */
export function bounded<T>(
  work: Promise<T>,
  clock: Clock,
  limit: number,
  late: () => CodedError,
  abort?: AbortSignal,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const given = (): void => settle(() => reject(abort?.reason));
    const timer = clock.after(limit, () => settle(() => reject(late())));
    const settle = (then: () => void): void => {
      timer.cancel();
      abort?.removeEventListener('abort', given);
      then();
    };
    abort?.addEventListener('abort', given, { once: true });
    if (abort?.aborted) given();
    work.then(
      (value) => settle(() => resolve(value)),
      (error: unknown) => settle(() => reject(error)),
    );
  });
}

/** The binding of a signal that can be written, or an error that says that it cannot. */
export function writableBinding<Binding extends WriteTarget & { readonly write?: unknown }>(
  bindings: ReadonlyMap<string, Binding>,
  target: WriteTarget,
): Binding & { readonly write: NonNullable<Binding['write']> } {
  const found = bindings.get(bindingKey(target));
  if (found?.write === undefined || found.write === null) throw sourceErrors.NOT_WRITABLE({ ...target });
  return found as Binding & { readonly write: NonNullable<Binding['write']> };
}

/** Neither a device id nor the name of a signal has a NUL. */
export function bindingKey({ device, signal }: WriteTarget): string {
  return `${device}\0${signal}`;
}
