import type { SipRequest, SipResponse } from './message.ts';

export interface Refusal {
  readonly status: number;
  readonly reason: string;
}

/**
 * Strict read of what every request must carry (RFC 3261 §8.1.1): Via with branch, From with tag, To, Call-ID,
 * CSeq that fits the method, Max-Forwards, and whatever of Contact, Expires, Event, Content-Type is there.
 * A UAS does this before anything else.
 */
export function checkRequest(_request: SipRequest): Refusal | undefined {
  throw new Error('not built yet');
}

/** The same for a response; what fails it is dropped. Answers why. */
export function checkResponse(_response: SipResponse): string | undefined {
  throw new Error('not built yet');
}
