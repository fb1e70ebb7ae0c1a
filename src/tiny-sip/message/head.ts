import { CHARS, TOKEN } from './chars.ts';
import { FOLDED, HeaderLines, PLACE_SHIFT, unfold } from './header-lines.ts';
import type { Limits } from './limits.ts';
import { CONTENT_LENGTH, identify } from './names.ts';
import { Message } from './stored.ts';
import { readNumber } from './values.ts';

/** Reading the head of a message: start line and the index of its headers, in one pass. */

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

export interface Head {
  /** What could be read, faults or not. Undefined when it is not even plain what it was meant to be. */
  readonly message: Message | undefined;
  readonly fault: FailureCode | undefined;
  /** Where the body begins: after the empty line. -1 when no empty line was reached. */
  readonly bodyAt: number;
  /** Content-Length; -1 without one. */
  readonly declared: number;
}

/** No header is looked for beyond this; it bounds what an index entry can hold. */
const MOST_HEAD = 4_194_304;
/** Stands for any Content-Length that is a number and too large to be true. */
const HUGE = 2_147_483_647;

/**
 * Reads the head in `text`, which begins with the start line. Never throws, and looks at each character a bounded
 * number of times. Framer and parser both stand on this function, so they cannot disagree.
 *
 * A line ends with CRLF. A CR or LF by itself is a fault that loses the framing: others may see lines, or the end of
 * the head, where we do not.
 */
export function readHead(text: string, from: number, limits: Limits): Head {
  const most = Math.min(limits.headBytes, MOST_HEAD) + from;
  const index: number[] = [];
  let fault: FailureCode | undefined;
  let line = text.indexOf('\n', from);
  if (line < 0) return cutShort(text, most, undefined);
  if (text.indexOf('\r', from) !== line - 1) return failed('LINE_END');
  const startEnd = line - 1;
  let lengthAt = -1;
  let lengths = 0;
  let open = false;
  let at = line + 1;
  for (;;) {
    const first = text.charCodeAt(at);
    line = text.indexOf('\n', at);
    if (line < 0) return cutShort(text, most, start(text, from, startEnd, index, limits));
    if (text.indexOf('\r', at) !== line - 1) return failed('LINE_END');
    if (line === at + 1) break;
    if (first === 32 || first === 9) {
      // A fold: the line belongs to the header before it; without one it belongs to nothing.
      if (open) {
        const entry = index.length - 2;
        index[entry] = (index[entry] as number) | FOLDED;
        index[entry + 1] = line - 1;
      } else fault ??= 'HEADER_LINE';
    } else {
      if (index.length >= limits.headers * 2) return failed('TOO_MANY_HEADERS');
      let i = at;
      while (((CHARS[text.charCodeAt(i)] as number) & TOKEN) !== 0) i += 1;
      const nameEnd = i;
      let code = text.charCodeAt(i);
      while (code === 32 || code === 9) code = text.charCodeAt(++i);
      open = code === 58 && nameEnd > at;
      if (open) {
        const id = identify(text, at, nameEnd);
        if (id === CONTENT_LENGTH) {
          lengthAt = index.length;
          lengths += 1;
        }
        index.push(((i + 1) << PLACE_SHIFT) | id, line - 1);
      } else fault ??= 'HEADER_LINE';
    }
    at = line + 1;
  }
  const bodyAt = line + 1;
  if (bodyAt > most) return failed('HEAD_TOO_LONG');
  const message = start(text, from, startEnd, index, limits);
  let declared = -1;
  if (lengths > 0) {
    declared = lengthIn(text, index, lengthAt);
    if (lengths > 1 && !sameLengths(text, index, declared)) declared = -2;
    if (declared < -1) return { message: plain(message), fault: 'CONTENT_LENGTH', bodyAt, declared: -1 };
  }
  if (typeof message === 'string')
    return { message: partOf(text, from, startEnd, index), fault: message, bodyAt, declared };
  return { message, fault, bodyAt, declared };
}

/** The number of a Content-Length line: -2 when it is none. */
function lengthIn(text: string, index: number[], entry: number): number {
  const place = index[entry] as number;
  const value = text.slice(place >> PLACE_SHIFT, index[entry + 1]);
  const clean = (place & FOLDED) === 0 ? value.trim() : unfold(value);
  const number = readNumber(clean, 0, clean.length, HUGE - 1);
  return number < 0 ? -2 : number;
}

/** Several Content-Length lines are borne as long as they say the same. */
function sameLengths(text: string, index: number[], declared: number): boolean {
  for (let entry = 0; entry < index.length; entry += 2) {
    const id = (index[entry] as number) & (FOLDED - 1);
    if (id === CONTENT_LENGTH && lengthIn(text, index, entry) !== declared) return false;
  }
  return true;
}

function failed(fault: FailureCode): Head {
  return { message: undefined, fault, bodyAt: -1, declared: -1 };
}

/** The text ended before the empty line came. */
function cutShort(text: string, most: number, message: Message | FailureCode | undefined): Head {
  const fault = text.length >= most ? 'HEAD_TOO_LONG' : 'TRUNCATED';
  return { message: plain(message), fault, bodyAt: -1, declared: -1 };
}

function plain(message: Message | FailureCode | undefined): Message | undefined {
  return typeof message === 'string' ? undefined : message;
}

/** The message with its start line, or what is wrong with that. */
function start(
  text: string,
  from: number,
  end: number,
  index: number[],
  limits: Limits,
): Message | FailureCode {
  if (from === end) return 'EMPTY';
  if (isVersion(text, from) && text.charCodeAt(from + 7) === 32) return statusLine(text, from, end, index);
  // Request-Line = Method SP Request-URI SP SIP-Version CRLF, with exactly one space each (RFC 3261 §7.1).
  let i = from;
  while (((CHARS[text.charCodeAt(i)] as number) & TOKEN) !== 0) i += 1;
  if (i === from || text.charCodeAt(i) !== 32) return 'START_LINE';
  const uri = i + 1;
  const space = text.indexOf(' ', uri);
  if (space <= uri || space > end) return 'START_LINE';
  if (space - uri > limits.uri) return 'URI_TOO_LONG';
  if (end - space !== 8 || !isVersion(text, space + 1))
    return /^SIP\/\d+\.\d+$/i.test(text.slice(space + 1, end)) ? 'VERSION' : 'START_LINE';
  return new Message(methodIn(text, from, i), 0, text.slice(uri, space), new HeaderLines(text, index));
}

/** Status-Line = SIP-Version SP 3DIGIT SP Reason-Phrase CRLF; the phrase may be empty (RFC 4475 §3.1.1.13). */
function statusLine(text: string, from: number, end: number, index: number[]): Message | FailureCode {
  const status = readNumber(text, from + 8, from + 11, 999);
  if (status < 100 || status > 699 || end < from + 11) return 'START_LINE';
  // Some leave out the space before an empty phrase.
  if (end > from + 11 && text.charCodeAt(from + 11) !== 32) return 'START_LINE';
  return new Message(
    '',
    status,
    text.slice(from + 12, Math.max(end, from + 12)),
    new HeaderLines(text, index),
  );
}

/** A request whose start line is broken, as far as it can be read: enough to answer it. */
function partOf(text: string, from: number, end: number, index: number[]): Message | undefined {
  if ((text.charCodeAt(from) | 32) === 115 && /^SIP\//i.test(text.slice(from, from + 4))) return undefined;
  let i = from;
  while (i < end && ((CHARS[text.charCodeAt(i)] as number) & TOKEN) !== 0) i += 1;
  return i === from ? undefined : new Message(text.slice(from, i), 0, '', new HeaderLines(text, index));
}

/** `SIP/2.0` at that place, in any case (RFC 3261 §7.1). */
function isVersion(text: string, at: number): boolean {
  return (
    (text.charCodeAt(at) | 32) === 115 &&
    (text.charCodeAt(at + 1) | 32) === 105 &&
    (text.charCodeAt(at + 2) | 32) === 112 &&
    text.charCodeAt(at + 3) === 47 &&
    text.charCodeAt(at + 4) === 50 &&
    text.charCodeAt(at + 5) === 46 &&
    text.charCodeAt(at + 6) === 48
  );
}

/** The method; the usual ones as constants, which compare fast and keep no message alive. */
function methodIn(text: string, from: number, end: number): string {
  for (const method of METHODS) {
    if (method.length === end - from && text.startsWith(method, from)) return method;
  }
  return text.slice(from, end);
}

const METHODS: readonly string[] = [
  'MESSAGE',
  'PUBLISH',
  'NOTIFY',
  'SUBSCRIBE',
  'REGISTER',
  'OPTIONS',
  'INVITE',
  'ACK',
  'BYE',
  'CANCEL',
];
