import type { HeaderInit, SipRequest, SipResponse } from './message.ts';

export interface RequestInit {
  readonly method: string;
  readonly uri: string;
  readonly headers?: HeaderInit | undefined;
  readonly body?: Buffer | string | undefined;
}

export interface ResponseInit {
  readonly reason?: string | undefined;
  readonly headers?: HeaderInit | undefined;
  readonly body?: Buffer | string | undefined;
  /** Added to To when the request had none there. */
  readonly toTag?: string | undefined;
}

export function createRequest(_init: RequestInit): SipRequest {
  throw new Error('not built yet');
}

/** Copies Via, From, To, Call-ID, CSeq (RFC 3261 §8.2.6.2), and Timestamp into a 100. */
export function createResponse(_request: SipRequest, _status: number, _init?: ResponseInit): SipResponse {
  throw new Error('not built yet');
}
