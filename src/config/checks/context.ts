import type { CodedError } from '../../base/errors.ts';
import type { Path } from '../document.ts';
import type { ParsedConfig } from '../schema/config.ts';

/** Where a finding points. */
export interface Spot {
  /** Default `value`. */
  readonly at?: 'key' | 'value';
  /** One character of the value, from 0. */
  readonly offset?: number | undefined;
  readonly meant?: string | undefined;
}

/** What a cross check works on. */
export interface CheckContext {
  /** What of the file passed the schema; entries that did not are left out. */
  readonly config: ParsedConfig;
  /** All names in the file, those of broken entries too, so that one mistake is not reported twice. */
  readonly names: {
    readonly accounts: ReadonlySet<string>;
    readonly sources: ReadonlySet<string>;
    readonly devices: ReadonlySet<string>;
  };
  error(error: CodedError, path: Path, spot?: Spot): void;
  warning(error: CodedError, path: Path, spot?: Spot): void;
}

/** One cross check: reports what it finds. */
export type Check = (context: CheckContext) => void;
