import { SipSyntaxError } from '../errors.ts';
import { allOf, CHARS, TOKEN, WORD } from './chars.ts';
import { type ParamValue, parseParamValue } from './params.ts';

/** Readers of the small values: numbers, CSeq, Call-ID, Event, Content-Type. All throw SipSyntaxError. */

export interface CSeq {
  readonly number: number;
  readonly method: string;
}

/** Event, and other values that are a word with parameters. */
export interface EventValue {
  /** Package with its templates: `presence`, `presence.winfo`. */
  readonly package: string;
  /** Names in lower case, values as on the wire (a quoted string keeps its quotes), '' for a bare name. */
  readonly params: ReadonlyMap<string, string>;
  /** One parameter, unquoted; name in lower case. */
  param(name: string): string | undefined;
}

export interface ContentType {
  /** Lower case. */
  readonly type: string;
  /** Lower case. */
  readonly subtype: string;
  /** `type/subtype`. */
  readonly essence: string;
  /** Names in lower case, values as on the wire (a quoted string keeps its quotes). */
  readonly params: ReadonlyMap<string, string>;
  /** One parameter, unquoted; name in lower case. */
  param(name: string): string | undefined;
}

/** 2**32 - 1: the largest number of seconds (RFC 3261 §20.19). */
export const MAX_SECONDS = 4_294_967_295;
const MAX_LENGTH = 2_147_483_646;
/** RFC 3261 §20.10: what a malformed expiry stands for. */
const MALFORMED_EXPIRY = 3_600;

/** 1*DIGIT and nothing else, in `text[from, end)`; -1 when it is none. Numbers above `cap` are answered as `cap + 1`. */
export function readNumber(text: string, from: number, end: number, cap: number): number {
  if (from >= end) return -1;
  let value = 0;
  for (let i = from; i < end; i += 1) {
    const digit = text.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return -1;
    if (value <= cap) value = value * 10 + digit;
  }
  return value > cap ? cap + 1 : value;
}

/** Seconds; what is too large is the largest, and what is malformed 3600 (RFC 3261 §20.10, RFC 4475 §3.1.2.4). */
export function readExpires(text: string, from: number, end: number): number {
  const value = readNumber(text, from, end, MAX_SECONDS);
  if (value < 0) return MALFORMED_EXPIRY;
  return Math.min(value, MAX_SECONDS);
}

/** The `expires` parameter of a Contact, by the same rules. */
export function parseExpires(text: string): number {
  return readExpires(text, 0, text.length);
}

/** Content-Length; what cannot be is answered as the largest. */
export function readLength(text: string, from: number, end: number): number {
  const value = readNumber(text, from, end, MAX_LENGTH);
  if (value < 0) throw new SipSyntaxError('Content-Length', 'it is no number');
  return value;
}

/** Max-Forwards: 0 to 255 (RFC 3261 §20.22). */
export function readHops(text: string, from: number, end: number): number {
  const value = readNumber(text, from, end, 255);
  if (value < 0 || value > 255) throw new SipSyntaxError('Max-Forwards', 'it is not 0 to 255');
  return value;
}

export function readCSeq(text: string, from: number, end: number): CSeq {
  let i = from;
  let number = 0;
  while (i < end) {
    const digit = text.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) break;
    // RFC 3261 §8.1.1.5: below 2**31. Leading zeros are allowed, so the count of digits says nothing.
    if (number < 2_147_483_648) number = number * 10 + digit;
    i += 1;
  }
  if (i === from) throw new SipSyntaxError('CSeq', 'no number');
  if (number >= 2_147_483_648) throw new SipSyntaxError('CSeq', 'the number is too large');
  const space = i;
  while (i < end && (text.charCodeAt(i) === 32 || text.charCodeAt(i) === 9)) i += 1;
  const method = i;
  while (i < end && ((CHARS[text.charCodeAt(i)] as number) & TOKEN) !== 0) i += 1;
  if (method === space || i === method || i !== end) throw new SipSyntaxError('CSeq', 'no method');
  return { number, method: text.slice(method, end) };
}

/** `word [ "@" word ]`. */
export function readCallId(text: string, from: number, end: number): string {
  let at = 0;
  for (let i = from; i < end; i += 1) {
    const code = text.charCodeAt(i);
    if (((CHARS[code] as number) & WORD) !== 0) continue;
    if (code !== 64 || at !== 0 || i === from || i === end - 1)
      throw new SipSyntaxError('Call-ID', `unexpected "${text.charAt(i)}"`);
    at = i;
  }
  if (from >= end) throw new SipSyntaxError('Call-ID', 'it is empty');
  return text.slice(from, end);
}

export function readEvent(text: string, from: number, end: number): EventValue {
  let i = from;
  while (i < end && ((CHARS[text.charCodeAt(i)] as number) & TOKEN) !== 0) i += 1;
  if (i === from) throw new SipSyntaxError('Event', 'no package');
  if (i === end) return new PlainEvent(text.slice(from, end));
  const value = parseParamValue(text.slice(from, end), 'Event');
  if (!allOf(TOKEN, value.value)) throw new SipSyntaxError('Event', 'the package is no token');
  return { package: value.value, params: value.params, param: value.param };
}

const NO_PARAMS: ReadonlyMap<string, string> = new Map();

/** An Event without parameters, as most are. */
class PlainEvent implements EventValue {
  declare readonly package: string;

  constructor(name: string) {
    this.package = name;
  }

  get params(): ReadonlyMap<string, string> {
    return NO_PARAMS;
  }

  param(): undefined {
    return undefined;
  }
}

/** Reads `type/subtype *( ;param )`. */
export function parseContentType(text: string): ContentType {
  const value: ParamValue = parseParamValue(text, 'Content-Type');
  const match = /^([^\s/]+)[ \t]*\/[ \t]*([^\s/]+)$/.exec(value.value);
  const type = match?.[1]?.toLowerCase();
  const subtype = match?.[2]?.toLowerCase();
  if (type === undefined || subtype === undefined || !allOf(TOKEN, type) || !allOf(TOKEN, subtype))
    throw new SipSyntaxError('Content-Type', 'no type/subtype');
  return { type, subtype, essence: `${type}/${subtype}`, params: value.params, param: value.param };
}
