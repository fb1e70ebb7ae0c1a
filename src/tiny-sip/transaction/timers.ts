/** The timer values of RFC 3261 §17.1.1.1 and table 4, in milliseconds. */
export interface TimerValues {
  /** Round-trip estimate. */
  readonly t1: number;
  /** Longest retransmission interval of a non-INVITE request and of an INVITE response. */
  readonly t2: number;
  /** How long a datagram may wander in the network. */
  readonly t4: number;
}

/** The defaults of RFC 3261 table 4. */
export const timerDefaults: TimerValues = { t1: 500, t2: 4000, t4: 5000 };

/** RFC 3261 §17.1.2.2: timers B, F, H and J all last 64 × T1. */
export const lifetime = (timers: TimerValues): number => 64 * timers.t1;
