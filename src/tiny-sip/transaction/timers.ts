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

/** Timers B, F, H, J, L and M all last 64 × T1 (RFC 3261 table 4, RFC 6026 §8.11). */
export const lifetime = (timers: TimerValues): number => 64 * timers.t1;

/** Timer D on datagrams: at least 32 s, since the other side's T1 is not known (RFC 6026 §8.4). */
export const timerD = (timers: TimerValues): number => Math.max(32_000, lifetime(timers));

/** How long until a client's timer E is reset to T2 for the first time (RFC 4320 §4.1): 3.5 s by default. */
export function untilTrying(timers: TimerValues): number {
  let elapsed = 0;
  for (let interval = timers.t1; interval < timers.t2; interval *= 2) elapsed += interval;
  return elapsed;
}

/** RFC 3261 §17.2.1: an INVITE unanswered for so long gets 100 from the transaction itself. */
export const inviteTrying = 200;

/**
 * An INVITE about which its user has said nothing for so long is over: proxies between have given up by then (timer C
 * of RFC 3261 §16.6 is a little over three minutes, and begins anew with every provisional response).
 */
export const inviteSilence = 200_000;

/** What the transactions wait with: exact below a second, coarse from a second on. */
export interface Timing {
  readonly values: TimerValues;
  /** Exact; for timers A, E and G. */
  exact(ms: number, run: () => void): { cancel(): void };
  /** Late by a tick at most, never early; for B, D, F, H, I, J, K, L and M. */
  coarse(ms: number, run: () => void): { cancel(): void };
}
