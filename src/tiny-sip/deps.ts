/**
 * What the stack needs from outside. Whoever uses it hands these in; nothing here reads a clock, a random
 * source or a log of its own, so a test can run the whole stack on a clock of its own.
 */

/** A running timer. Cancelling twice, or after it ran, does nothing. */
export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Monotonic milliseconds. Every deadline is reckoned by it. */
  now(): number;
  /** Milliseconds since 1970, or undefined while the wall clock cannot be trusted. */
  wall(): number | undefined;
  /** Runs `run` once, `ms` milliseconds from now. */
  after(ms: number, run: () => void): Timer;
}

export interface Random {
  bytes(count: number): Uint8Array;
  /** In [0, 1). */
  float(): number;
}

export type Fields = Readonly<Record<string, unknown>>;

export interface Log {
  debug(text: string, fields?: Fields): void;
  info(text: string, fields?: Fields): void;
  warn(text: string, fields?: Fields): void;
  error(text: string, fields?: Fields): void;
}
