import type { CodedError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';

/** What is wrong with an account now, by what it is about. Each goes when that works again. */
export interface Troubles {
  note(about: string, error: CodedError): void;
  mended(about: string): void;
  /** Of several the one that was named as the first to tell. */
  readonly worst: CodedError | undefined;
}

/** @param first what is told before all else, such as a broken link */
export function createTroubles(
  deps: { readonly log: Log; readonly onChange: () => void },
  account: string,
  first: readonly string[],
): Troubles {
  const errors = new Map<string, CodedError>();
  return {
    note(about, error) {
      // The same trouble again is no news.
      if (errors.get(about)?.message !== error.message)
        deps.log.warn('account', { account, code: error.code, cause: error });
      errors.set(about, error);
      deps.onChange();
    },
    mended(about) {
      if (errors.delete(about)) deps.onChange();
    },
    get worst() {
      for (const about of first) {
        const error = errors.get(about);
        if (error) return error;
      }
      const [any] = errors.values();
      return any;
    },
  };
}
