import type { HeaderInit } from '../message/message.ts';
import { formatSdp, type SessionDescription } from '../message/sdp.ts';
import type { Flow } from '../transport/transport.ts';
import type { Dialog } from './dialog.ts';
import { type AnsweredMedia, keepAgreed, type Negotiation } from './offer-answer.ts';
import { SDP } from './session-body.ts';
import type { SessionEnd, SessionHooks, SessionState } from './session-options.ts';

/** What the parts of a session share: its dialog, its exchange, and the state that they all change. */
export interface SessionCore {
  readonly dialog: Dialog;
  readonly negotiation: Negotiation;
  readonly hooks: SessionHooks;
  readonly state: SessionState;
  enter(state: SessionState): void;
  /** What is agreed holds: established, unless it is being ended. */
  establish(): void;
  /** Ends it with BYE. */
  leave(cause: SessionEnd): Promise<void>;
  /** Value of our Contact. */
  contact(flow: Flow): string;
  /** Value of our Allow. */
  allow(): string;
}

/** A description as it goes into a message; nothing without one. */
export function described(description: SessionDescription | undefined): {
  readonly headers: Record<string, HeaderInit[string]>;
  readonly body?: Buffer;
} {
  return description === undefined
    ? { headers: {} }
    : { headers: { 'Content-Type': SDP }, body: formatSdp(description) };
}

/** What the user answers to an offer; undefined: refused. The same offer again asks nobody. */
export async function decide(
  { negotiation, hooks }: SessionCore,
  offer: SessionDescription,
): Promise<AnsweredMedia | undefined> {
  if (negotiation.unchanged || hooks.onOffer === undefined) return keepAgreed(negotiation.agreed, offer);
  return hooks.onOffer(offer);
}
