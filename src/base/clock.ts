/** A running timer. Cancelling it twice, or after it ran, does nothing. */
export interface Timer {
  cancel(): void;
}

/** The only source of time. Deadlines use `now`, time stamps use `wall`; nothing else asks the system. */
export interface Clock {
  /** Monotonic time in milliseconds, with a fraction; its origin means nothing. */
  now(): number;
  /** Milliseconds since 1970, or undefined while the wall clock cannot be trusted. */
  wall(): number | undefined;
  /** Runs `run` once after `ms` milliseconds. The timer keeps the process alive until it ran or is cancelled. */
  after(ms: number, run: () => void): Timer;
}

/**
 * A gateway without a battery-backed clock starts in 1970 or at the time of its last shutdown. Whatever lies
 * before this software existed is certainly wrong.
 */
export const EARLIEST_TRUSTED_WALL = Date.UTC(2026, 0, 1);

/** The longest delay that setTimeout takes; longer ones are cut into pieces. */
const LONGEST = 2 ** 31 - 1;

/** The clock of the machine. */
export function createSystemClock(): Clock {
  return {
    // Not performance.now(): the first look at that global loads histograms, observers and event targets.
    now: () => {
      const [seconds, nanoseconds] = process.hrtime();
      return seconds * 1000 + nanoseconds / 1e6;
    },
    wall: () => {
      const wall = Date.now();
      return wall >= EARLIEST_TRUSTED_WALL ? wall : undefined;
    },
    after: (ms, run) => {
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
  };
}
