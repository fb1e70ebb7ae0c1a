import { type FailureCode, type Head, readHead } from './head.ts';
import { defaultLimits, type Limits } from './limits.ts';
import type { SipMessage, SipRequest } from './message.ts';
import type { Message } from './stored.ts';

export type { FailureCode } from './head.ts';

/** What became of the bytes; `ok` tells which. */
export type ParseResult = ParsedMessage | ParseFailure;

/** A message was read. */
export interface ParsedMessage {
  /** Tells it from a failure. */
  readonly ok: true;
  /**
   * Its values are read when they are asked for; `checkRequest` and `checkResponse` read those that count.
   */
  readonly message: SipMessage;
  /** Bytes of the input that belong to the message (leading CRLFs included; what follows it is not). */
  readonly length: number;
}

/** The bytes are no message. */
export interface ParseFailure {
  /** Tells it from a message. */
  readonly ok: false;
  /** The status that answers a request with this fault. */
  readonly status: number;
  /** Reason phrase that goes with `status`. */
  readonly reason: string;
  /** What is wrong. */
  readonly code: FailureCode;
  /** A request of which enough could be read to try an answer. Its typed values may still throw. */
  readonly partial?: SipRequest;
  /** True when a stream cannot be cut after this message: close it once the answer is written. */
  readonly framingLost: boolean;
  /** Bytes of the input that were meant as the message. */
  readonly length: number;
}

const FAULTS: Readonly<Record<FailureCode, readonly [status: number, reason: string, framingLost: boolean]>> =
  {
    EMPTY: [400, 'Empty message', true],
    START_LINE: [400, 'Malformed start line', false],
    VERSION: [505, 'Version Not Supported', false],
    HEADER_LINE: [400, 'Malformed header line', false],
    LINE_END: [400, 'Line end is not CRLF', true],
    TRUNCATED: [400, 'Message cut short', true],
    CONTENT_LENGTH: [400, 'Bad Content-Length', true],
    HEAD_TOO_LONG: [513, 'Message Too Large', true],
    TOO_MANY_HEADERS: [513, 'Too many headers', true],
    URI_TOO_LONG: [414, 'Request-URI Too Long', false],
    BODY_TOO_LONG: [413, 'Request Entity Too Large', true],
  };

/** Whether a stream that shows this fault cannot be cut any further. */
export function framingLost(code: FailureCode): boolean {
  return FAULTS[code][2];
}

/** Limits with the defaults filled in. */
export function withDefaults(limits: Partial<Limits> | undefined): Limits {
  return limits === undefined ? defaultLimits : { ...defaultLimits, ...limits };
}

/**
 * Reads one datagram, or one frame of a stream. Never throws. Without Content-Length the body is the rest
 * (RFC 3261 §18.3); bytes after the body are left, since a datagram may carry some (§18.3).
 */
export function parseMessage(bytes: Buffer, limits?: Partial<Limits>): ParseResult {
  const bounds = withDefaults(limits);
  // RFC 3261 §7.5: CRLFs before the start line are ignored.
  let from = 0;
  while (bytes[from] === 13 && bytes[from + 1] === 10) from += 2;
  if (from >= bytes.length) return failure('EMPTY', undefined, bytes.length);
  const whole = from === 0 ? bytes : bytes.subarray(from);
  const head = readHead(whole.toString('latin1', 0, Math.min(whole.length, bounds.headBytes)), whole, bounds);
  if (head.bodyAt < 0) return failure(head.fault ?? 'TRUNCATED', head.message, bytes.length);
  const rest = whole.length - head.bodyAt;
  return finish(head, whole, from, head.declared < 0 ? rest : head.declared, rest, bounds);
}

/**
 * What came of a head and the bytes after it: `size` bytes of body are due and `rest` are there. `before` bytes were
 * passed over before the start line.
 */
export function finish(
  head: Head,
  bytes: Buffer,
  before: number,
  size: number,
  rest: number,
  limits: Limits,
): ParseResult {
  const { message, bodyAt } = head;
  const length = before + bodyAt + Math.min(size, rest);
  if (head.fault !== undefined) return failure(head.fault, message, length);
  if (size > limits.body) return failure('BODY_TOO_LONG', message, length);
  if (size > rest) return failure('TRUNCATED', message, length);
  if (message === undefined) return failure('START_LINE', undefined, length);
  message.holdBody(bytes, bodyAt, bodyAt + size);
  return { ok: true, message: message.face(), length };
}

export function failure(code: FailureCode, message: Message | undefined, length: number): ParseFailure {
  const [status, reason, lost] = FAULTS[code];
  const face = message?.face();
  const partial = face?.kind === 'request' ? { partial: face } : {};
  return { ok: false, status, reason, code, framingLost: lost, length, ...partial };
}
