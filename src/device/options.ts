import type { Value } from './reading.ts';

/**
 * Which values a signal may have: a list of them, or a table from what the source says to what it means
 * (`{ "1": "open", "0": "shut" }`).
 */
export type ValueRules = readonly Value[] | Readonly<Record<string, Value>>;

/** The rules of one signal. All times are milliseconds. */
export interface SignalOptions {
  /** Id of the source that feeds it: while that source is down the signal is unknown. */
  readonly source: string;
  /** What kind of value it has. Without it the text of a number becomes a number, `true` and `false` booleans. */
  readonly type?: 'number' | 'boolean' | 'text' | undefined;
  readonly values?: ValueRules | undefined;
  /** SenML unit (RFC 8428 §12.1), such as `Cel`. */
  readonly unit?: string | undefined;
  /** Decimals in notes; without it the value as it is, less the noise of binary fractions. */
  readonly decimals?: number | undefined;
  /** A numeric value outside `min`…`max` is a fault of the sensor: the signal is then unknown, "out of range". */
  readonly min?: number | undefined;
  readonly max?: number | undefined;
  /** A numeric value counts as changed when it differs from the last one that counted by at least this much. */
  readonly deadband?: number | undefined;
  /** How far a numeric value must come back over a rule's threshold before the rule lets go. */
  readonly hysteresis?: number | undefined;
  /** Changes come no closer together than this; the last value always comes. */
  readonly minInterval?: number | undefined;
  /** After this long without a valid reading the signal is unknown. Default: three times the interval observed. */
  readonly stale?: number | 'never' | undefined;
  /** Whether a value that the source only remembered counts as fresh. Default `distrust`. */
  readonly retained?: 'trust' | 'distrust' | undefined;
  /** Whether the source can write it. */
  readonly writable?: boolean | undefined;
}

/** One row of a state table. The first row that is true or unknown decides. */
export interface StateRow {
  /** A condition over the device's signals (see `expression.ts`); a row without one is always true. */
  readonly when?: string | undefined;
  /** Overrules the meaning of `basic`: `closed` makes the device unreachable. */
  readonly basic?: 'open' | 'closed' | undefined;
  /** RPID activity (RFC 4480 §3.2); only a device with its own AOR shows it. */
  readonly activity?: string | undefined;
  /** Template: `{signal}` is replaced by its value. */
  readonly note?: string | undefined;
}

/** One device. */
export interface DeviceOptions {
  readonly id: string;
  readonly name?: string | undefined;
  readonly signals: Readonly<Record<string, SignalOptions>>;
  /** Without rows the device is reachable while all its signals are known, and its note lists them. */
  readonly states?: readonly StateRow[] | undefined;
}
