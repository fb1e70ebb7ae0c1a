import type { Limits } from './limits.ts';
import type { SipMessage, SipRequest } from './message.ts';

export type ParseResult = ParsedMessage | ParseFailure;

export interface ParsedMessage {
  readonly ok: true;
  readonly message: SipMessage;
  /** Bytes of the input that belong to the message (leading CRLFs included; what follows it is not). */
  readonly length: number;
}

export interface ParseFailure {
  readonly ok: false;
  /** The status that answers a request with this fault. */
  readonly status: number;
  readonly reason: string;
  readonly code: FailureCode;
  /** A request of which enough could be read to try an answer. Its typed values may still throw. */
  readonly partial?: SipRequest;
  /** True when a stream cannot be cut after this message: close it once the answer is written. */
  readonly framingLost: boolean;
  readonly length: number;
}

export type FailureCode =
  | 'EMPTY'
  | 'START_LINE'
  | 'VERSION'
  | 'HEADER_LINE'
  | 'LINE_END'
  | 'TRUNCATED'
  | 'CONTENT_LENGTH'
  | 'HEAD_TOO_LONG'
  | 'TOO_MANY_HEADERS'
  | 'URI_TOO_LONG'
  | 'BODY_TOO_LONG';

/** Reads one datagram, or one frame of a stream. Never throws. */
export function parseMessage(_bytes: Buffer, _limits?: Partial<Limits>): ParseResult {
  throw new Error('not built yet');
}
