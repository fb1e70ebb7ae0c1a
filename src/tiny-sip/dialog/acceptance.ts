import type { Clock, Timer } from '../deps.ts';
import type { SipResponse } from '../message/message.ts';
import type { Incoming, Stack } from './user-agent.ts';

/** A 2xx to an INVITE on its way: sent until the ACK comes (RFC 3261 §13.3.1.4 as RFC 6026 §8.1 has it). */
export interface Acceptance {
  /** CSeq number of the INVITE, which its ACK repeats. */
  readonly seq: number;
  /** Sends it no more: the ACK is here, or nobody waits for it. */
  stop(): void;
}

/** Sends the response at once, then after T1, doubling up to T2. `lost`: no ACK came within 64 × T1. */
export function createAcceptance(
  deps: { readonly clock: Clock; readonly stack: Stack },
  incoming: Incoming,
  response: SipResponse,
  lost: () => void,
): Acceptance {
  const { clock, stack } = deps;
  const { t1, t2 } = stack.timers;
  let interval = t1;
  let again: Timer | undefined;

  const end = stack.after(64 * t1, () => {
    again?.cancel();
    lost();
  });
  const arm = (): void => {
    again = clock.after(interval, () => {
      // Whatever the transport: there may be datagrams on the way behind a proxy.
      incoming.respondWith(response);
      interval = Math.min(2 * interval, t2);
      arm();
    });
  };
  incoming.respondWith(response);
  arm();

  return {
    seq: incoming.request.cseq?.number ?? 0,
    stop() {
      again?.cancel();
      end.cancel();
    },
  };
}
