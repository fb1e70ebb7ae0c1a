import type { Log } from '../deps.ts';
import type { SipRequest } from '../message/message.ts';
import type { SendOptions, Stack } from './user-agent.ts';

/** The ACK of one 2xx, sent again for each copy of it (RFC 3261 §13.2.2.4). */
export interface Acknowledgement {
  /** The 2xx came again. */
  again(): void;
}

/** Sends the ACK. A failure is logged; the 2xx comes again, and with it the next try. */
export function acknowledge(
  deps: { readonly stack: Stack; readonly log: Log },
  ack: SipRequest,
  by: () => Pick<SendOptions, 'flow' | 'target'>,
): Acknowledgement {
  const { stack, log } = deps;
  let resend: (() => Promise<void>) | undefined;
  let busy = false;

  const attempt = async (): Promise<void> => {
    if (busy) return;
    busy = true;
    try {
      if (resend === undefined) resend = await stack.acknowledge(ack, by());
      else await resend();
    } catch (error) {
      // By another flow next time.
      resend = undefined;
      log.debug('an ACK could not be sent', { callId: ack.callId, error: String(error) });
    } finally {
      busy = false;
    }
  };
  void attempt();
  return { again: () => void attempt() };
}
