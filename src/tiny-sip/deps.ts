import { randomBytes } from 'node:crypto';

/**
 * What the stack needs from outside. Whoever uses it hands these in; nothing here reads a clock, a random
 * source or a log of its own, so a test can run the whole stack on a clock of its own.
 */

/** A running timer. Cancelling twice, or after it ran, does nothing. */
export interface Timer {
  /** Keeps it from running. */
  cancel(): void;
}

/** Time as the stack sees it. Delays are milliseconds; `after` may run late, never early. */
export interface Clock {
  /** Monotonic milliseconds. Every deadline is reckoned by it. */
  now(): number;
  /** Milliseconds since 1970, or undefined while the wall clock cannot be trusted. */
  wall(): number | undefined;
  /** Runs `run` once, `ms` milliseconds from now. */
  after(ms: number, run: () => void): Timer;
}

/**
 * A source of randomness good enough for tags, branches and nonces (RFC 3261 §19.3: at least 32 random bits).
 */
export interface Random {
  /** That many random bytes. */
  bytes(count: number): Uint8Array;
  /** In [0, 1). */
  float(): number;
}

/** What a log line tells besides its text, by name. */
export type Fields = Readonly<Record<string, unknown>>;

/** Where the stack tells what it notices. */
export interface Log {
  /** For whoever looks for a fault: single messages and flows. */
  debug(text: string, fields?: Fields): void;
  /** What is worth knowing and as it should be. */
  info(text: string, fields?: Fields): void;
  /** Something is wrong outside, and was dealt with. */
  warn(text: string, fields?: Fields): void;
  /** Something was lost. */
  error(text: string, fields?: Fields): void;
}

/** Everything that a stack is made with. */
export interface NodeDeps {
  /** `performance.now`, `Date.now` and `setTimeout`. */
  readonly clock: Clock;
  /** `randomBytes` of node:crypto. */
  readonly random: Random;
  /** Silent; put one of your own in its place to see what happens. */
  readonly log: Log;
}

/**
 * What the machine takes for the present time, right or wrong, ms since 1970. Only for telling what OpenSSL compared
 * the dates of a certificate with; everything else asks the clock that was handed in.
 */
export function machineTime(): number {
  return Date.now();
}

/** The longest delay that setTimeout takes, ms; longer ones are cut into pieces. */
const LONGEST = 2 ** 31 - 1;

/** The machine's own clock and randomness, and a log that keeps silent: for programs that bring none of their own. */
export function createNodeDeps(): NodeDeps {
  const silent = (): void => undefined;
  return {
    clock: {
      now: () => performance.now(),
      wall: () => Date.now(),
      after(ms, run) {
        let left = Math.max(0, ms);
        let handle: NodeJS.Timeout;
        const arm = (): void => {
          const piece = Math.min(left, LONGEST);
          left -= piece;
          handle = setTimeout(left > 0 ? arm : run, piece);
        };
        arm();
        return { cancel: () => clearTimeout(handle) };
      },
    },
    random: {
      bytes: (count) => randomBytes(count),
      float: () => randomBytes(4).readUInt32LE() / 2 ** 32,
    },
    log: { debug: silent, info: silent, warn: silent, error: silent },
  };
}
