import { passClass, skipSpace, TOKEN } from './chars.ts';
import { HeaderLines, HOT_BITS, HOT_MASK } from './header-lines.ts';
import type { Limits } from './limits.ts';
import {
  CALL_ID,
  CONTACT,
  CONTENT_LENGTH,
  CONTENT_TYPE,
  CSEQ,
  EVENT,
  EXPIRES,
  FROM,
  HOT,
  HOT_NAMES,
  identify,
  MAX_FORWARDS,
  RECORD_ROUTE,
  REQUIRE,
  ROUTE,
  TO,
  VIA,
} from './names.ts';
import { isWord, passBytes, passPlainUri, word } from './pass.ts';
import { compiled, matchAt, REQUEST_LINE } from './patterns.ts';
import { Message } from './stored.ts';
import { quickNumber, readNumber } from './values.ts';

/** Reading the head of a message: start line, line ends, and the places of the headers that are always asked for. */

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

/**
 * What a head says. A class and no literal: those that V8 once saw live long it later makes among the old objects, where
 * they keep the message that they hold until all of the memory is searched.
 */
export class Head {
  /** What could be read, faults or not. Undefined when it is not even plain what it was meant to be. */
  readonly message: Message | undefined;
  readonly fault: FailureCode | undefined;
  /** Where the body begins: after the empty line. -1 when no empty line was reached. */
  readonly bodyAt: number;
  /** Content-Length; -1 without one. */
  readonly declared: number;

  constructor(
    message: Message | undefined,
    fault: FailureCode | undefined,
    bodyAt: number,
    declared: number,
  ) {
    this.message = message;
    this.fault = fault;
    this.bodyAt = bodyAt;
    this.declared = declared;
  }
}

/** No header is looked for beyond this; it bounds what an index entry can hold. */
const MOST_HEAD = 4_194_304;
/** Stands for any Content-Length that is a number and too large to be true. */
const HUGE = 2_147_483_647;

/**
 * Reads the head in `text`, which is the latin1 view of `bytes` and begins with the start line. Never throws, and looks at each character a bounded
 * number of times. Framer and parser both stand on this function, so they cannot disagree.
 *
 * A line ends with CRLF. An LF without a CR is a fault that loses the framing: others may see a line, or the end of
 * the head, where we do not.
 */
export function readHead(text: string, bytes: Uint8Array, limits: Limits): Head {
  const most = Math.min(limits.headBytes, MOST_HEAD);
  // A place for each hot name. A literal, since V8 copies one faster than it fills an array.
  const firsts = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
  let again = 0;
  let more: number[] | undefined;
  let count = 0;
  let line = text.indexOf('\n');
  if (line < 0) return cutShort(text, most, undefined);
  if (text.indexOf('\r') !== line - 1) return failed('LINE_END');
  const start = line + 1;
  let at = start;
  let fault: FailureCode | undefined;
  for (;;) {
    line = text.indexOf('\n', at);
    if (line < 0) {
      if (count > limits.headers) return failed('TOO_MANY_HEADERS');
      return cutShort(
        text,
        most,
        startLine(text, start - 2, new HeaderLines(text, bytes, start, firsts, again, more), limits),
      );
    }
    if (bytes[line - 1] !== 13) return failed('LINE_END');
    if (line === at + 1) break;
    count += 1;
    const place = hotPlace(text, bytes, at, line);
    if (place !== 0) {
      const id = place & HOT_MASK;
      if (firsts[id] === 0) firsts[id] = place >> HOT_BITS;
      else {
        again |= 1 << id;
        if (more === undefined) more = [place];
        else more.push(place);
      }
    } else if (at === start && (bytes[at] === 32 || bytes[at] === 9)) {
      // The start line is not folded (RFC 3261 §7.1).
      fault = 'HEADER_LINE';
    }
    at = line + 1;
  }
  if (count > limits.headers) return failed('TOO_MANY_HEADERS');
  const bodyAt = line + 1;
  if (bodyAt > most) return failed('HEAD_TOO_LONG');
  const lines = new HeaderLines(text, bytes, start, firsts, again, more);
  const message = startLine(text, start - 2, lines, limits);
  let declared = -1;
  const lengthAt = firsts[CONTENT_LENGTH] as number;
  if (lengthAt !== 0) {
    declared = (again & (1 << CONTENT_LENGTH)) === 0 ? quickNumber(bytes, text, lengthAt) : -1;
    if (declared < 0) declared = carefulLength(lines);
    if (declared < 0) return new Head(plain(message), 'CONTENT_LENGTH', bodyAt, -1);
  }
  if (typeof message === 'string') return new Head(partOf(text, start - 2, lines), message, bodyAt, declared);
  return new Head(message, fault, bodyAt, declared);
}

/** Several Content-Length lines are borne as long as they say the same number; -1 when they do not. */
function carefulLength(lines: HeaderLines): number {
  let declared = -1;
  for (const value of lines.known(CONTENT_LENGTH)) {
    const number = readNumber(value, 0, value.length, HUGE - 1);
    if (number < 0 || (declared >= 0 && number !== declared)) return -1;
    declared = number;
  }
  return declared;
}

/**
 * When the line at `at` is one of a hot header: where its value begins, shifted, with the number of its name; else 0.
 * The usual spellings are looked for first; any other begins with the same letters.
 */
function hotPlace(text: string, bytes: Uint8Array, at: number, end: number): number {
  let id = BY_LETTER[bytes[at] as number] as number;
  if (id === COLD) return 0;
  if (id === EVENT) {
    if (bytes[at + 1] === 120) id = EXPIRES; // x
  } else if (id === CALL_ID) {
    if (bytes[at + 2] === 101)
      id = CSEQ; // e
    else if (bytes[at + 2] !== 108) {
      // Not l: Contact, or the eighth letter of what begins with Content.
      const letter = bytes[at + 8];
      id = letter === 76 ? CONTENT_LENGTH : letter === 84 ? CONTENT_TYPE : CONTACT; // L, T
    }
  } else if (id === REQUIRE) {
    const letter = (bytes[at + 2] as number) | 32;
    if (letter === 117)
      id = ROUTE; // u
    else if (letter === 99)
      id = RECORD_ROUTE; // c
    else if (letter !== 113) return 0; // q
  }
  if (id !== OTHER && hasName(text, bytes, at, id))
    return ((at + (NAME_ENDS[id] as number)) << HOT_BITS) | id;
  return otherSpelling(text, at, end);
}

/** Whether the line at `at` begins with that name and its colon. */
function hasName(text: string, bytes: Uint8Array, at: number, id: number): boolean {
  return compiled
    ? isWord(bytes, at, HOT_BYTES[id] as Uint8Array)
    : text.startsWith(HOT_NAMES[id] as string, at);
}

/** Stands for a line whose first letter no hot name has, and for one whose name is spelt unusually if it is one. */
const COLD = 255;
const OTHER = 0;

/** By first letter the hot name that it leaves possible; EVENT, CALL_ID and REQUIRE stand for all with E, C and R. */
const BY_LETTER: Uint8Array = (() => {
  const table = new Uint8Array(256).fill(COLD);
  for (const letter of 'cefiIlLmoOrtv') table[letter.charCodeAt(0)] = OTHER;
  for (const [letter, id] of [
    ['V', VIA],
    ['F', FROM],
    ['T', TO],
    ['M', MAX_FORWARDS],
    ['E', EVENT],
    ['C', CALL_ID],
    ['R', REQUIRE],
  ] as const)
    table[letter.charCodeAt(0)] = id;
  return table;
})();

/** Lengths of the hot names by number, with their colon. */
const NAME_ENDS: Uint8Array = Uint8Array.from(HOT_NAMES, (name) => name.length);
const HOT_BYTES: readonly Uint8Array[] = HOT_NAMES.map(word);

/** The same for names in another case, in compact form, or with blanks before the colon. */
function otherSpelling(text: string, at: number, end: number): number {
  const name = passClass(text, at, end, TOKEN);
  const colon = skipSpace(text, name, end);
  if (text.charCodeAt(colon) !== 58 || name === at) return 0;
  const id = identify(text, at, name);
  return id === 0 || id >= HOT ? 0 : ((colon + 1) << HOT_BITS) | id;
}

function failed(fault: FailureCode): Head {
  return new Head(undefined, fault, -1, -1);
}

/** The text ended before the empty line came. */
function cutShort(text: string, most: number, message: Message | FailureCode | undefined): Head {
  const fault = text.length >= most ? 'HEAD_TOO_LONG' : 'TRUNCATED';
  return new Head(plain(message), fault, -1, -1);
}

function plain(message: Message | FailureCode | undefined): Message | undefined {
  return typeof message === 'string' ? undefined : message;
}

const VERSION = word(' SIP/2.0');

/** The message with its start line, which ends at `end`; or what is wrong with that. */
function startLine(text: string, end: number, lines: HeaderLines, limits: Limits): Message | FailureCode {
  if (end === 0) return 'EMPTY';
  const { bytes } = lines;
  if (bytes[3] !== 47) {
    // The usual shape: a token, a plain URI, SIP/2.0.
    if (!compiled) {
      const found = matchAt(REQUEST_LINE, text, 0);
      const uri = found?.[2] ?? '';
      if (found !== null && uri.length <= limits.uri)
        return new Message(found[1] as string, 0, uri, lines, true);
    }
    const method = passBytes(bytes, 0, TOKEN);
    const uri = bytes[method] === 32 && method > 0 ? passPlainUri(bytes, method + 1) : -1;
    if (uri > 0 && uri === end - 8 && isWord(bytes, uri, VERSION) && uri - method - 1 <= limits.uri)
      return new Message(text.slice(0, method), 0, text.slice(method + 1, uri), lines, true);
  }
  if (isVersion(text, 0) && (text.charCodeAt(7) === 32 || end === 7)) return statusLine(text, end, lines);
  // Request-Line = Method SP Request-URI SP SIP-Version CRLF, with exactly one space each (RFC 3261 §7.1).
  const method = passClass(text, 0, end, TOKEN);
  if (method === 0 || text.charCodeAt(method) !== 32) return 'START_LINE';
  const space = text.indexOf(' ', method + 1);
  if (space <= method + 1 || space > end) return 'START_LINE';
  if (space - method - 1 > limits.uri) return 'URI_TOO_LONG';
  if (end - space !== 8 || !isVersion(text, space + 1))
    return /^SIP\/\d+\.\d+$/i.test(text.slice(space + 1, end)) ? 'VERSION' : 'START_LINE';
  return new Message(text.slice(0, method), 0, text.slice(method + 1, space), lines, false);
}

/** Status-Line = SIP-Version SP 3DIGIT SP Reason-Phrase CRLF; the phrase may be empty (RFC 4475 §3.1.1.13). */
function statusLine(text: string, end: number, lines: HeaderLines): Message | FailureCode {
  const status = readNumber(text, 8, 11, 999);
  if (status < 100 || status > 699 || end < 11) return 'START_LINE';
  // Some leave out the space before an empty phrase.
  if (end > 11 && text.charCodeAt(11) !== 32) return 'START_LINE';
  return new Message('', status, text.slice(12, Math.max(end, 12)), lines, true);
}

/** A request whose start line is broken, as far as it can be read: enough to answer it. */
function partOf(text: string, end: number, lines: HeaderLines): Message | undefined {
  if (/^SIP\//i.test(text.slice(0, 4))) return undefined;
  const i = passClass(text, 0, end, TOKEN);
  return i === 0 ? undefined : new Message(text.slice(0, i), 0, '', lines, false);
}

/** `SIP/2.0` at that place, in any case (RFC 3261 §7.1). */
function isVersion(text: string, at: number): boolean {
  return text.startsWith('SIP/2.0', at) || text.slice(at, at + 7).toUpperCase() === 'SIP/2.0';
}
