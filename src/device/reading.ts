/** A plain value as a source reads it and as a rule compares it. */
export type Value = number | boolean | string;

/**
 * One value from a source, with its time.
 *
 * `age` is `unknown` for a value that the source only remembered (an MQTT retained message): it may be a second or a
 * year old, so it makes nothing reachable unless `time` says how old it is, or the signal trusts retained values.
 */
export interface Reading {
  readonly device: string;
  readonly signal: string;
  /** As the source has it: text where the source knows no types; the signal's rules make a typed value of it. */
  readonly value: Value;
  /** Monotonic milliseconds (`clock.now()`) of its arrival. */
  readonly at: number;
  readonly age: 'fresh' | 'unknown';
  /** Milliseconds since 1970 by the clock of whoever measured it, where the payload carries a time. */
  readonly time?: number | undefined;
}

/** What a source says about itself; a source that is not `up` makes the signals that it feeds unknown. */
export interface SourceState {
  readonly source: string;
  readonly state: 'starting' | 'up' | 'down';
  /** The code of the error that brought it down, such as `SRC_PORT_GONE`. */
  readonly code?: string | undefined;
  /** A short phrase fit for a note: "port /dev/ttyUSB0 is gone". */
  readonly cause?: string | undefined;
}

/** Where sources put what they read. Nothing comes back: each call returns at once and never throws. */
export interface SourceSink {
  reading(reading: Reading): void;
  /** Readings of one message: rules run once after the last, so that no state between them is ever seen. */
  readings(readings: readonly Reading[]): void;
  state(state: SourceState): void;
}

/** Writes values to signals. */
export interface Actuator {
  /**
   * Resolves when the value has left (serial: taken by the system; MQTT: acknowledged, or with QoS 0 handed to the
   * socket), which says nothing about whether the device obeyed.
   * @throws CodedError when the signal cannot be written, the source is down, or the time limit has passed.
   */
  write(
    target: { readonly device: string; readonly signal: string },
    value: Value,
    abort: AbortSignal,
  ): Promise<void>;
}
