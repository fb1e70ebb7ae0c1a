import { SipSyntaxError } from '../errors.ts';
import { allOf, LOWER_TOKEN, TOKEN, WORD } from './chars.ts';
import { type ParamValue, paramIn, parseParamValue, readParams } from './params.ts';
import { endsLine, numberIn, passBlanks, passBytes, passDigits, passPlainParams } from './pass.ts';
import { CALL_ID_VALUE, CSEQ_VALUE, compiled, EVENT_VALUE, matchAt, NUMBER, TYPE_VALUE } from './patterns.ts';
import { unquote } from './text.ts';

/** Readers of the small values: numbers, CSeq, Call-ID, Event, Content-Type. All throw SipSyntaxError. */

/** A CSeq value (RFC 3261 §20.16). */
export interface CSeq {
  /** Below 2**31 (RFC 3261 §8.1.1.5). */
  readonly number: number;
  /** As on the wire; case matters. */
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

/** A Content-Type value (RFC 3261 §20.15). */
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
export function readExpires(text: string): number {
  const value = readNumber(text, 0, text.length, MAX_SECONDS);
  if (value < 0) return MALFORMED_EXPIRY;
  return Math.min(value, MAX_SECONDS);
}

/** The `expires` parameter of a Contact, by the same rules. */
export function parseExpires(text: string): number {
  return readExpires(text);
}

/** Content-Length; what cannot be is answered as the largest. */
export function readLength(text: string): number {
  const value = readNumber(text, 0, text.length, MAX_LENGTH);
  if (value < 0) throw new SipSyntaxError('Content-Length', 'it is no number');
  return value;
}

/** Max-Forwards: 0 to 255 (RFC 3261 §20.22). */
export function readHops(text: string): number {
  const value = readNumber(text, 0, text.length, 255);
  if (value < 0 || value > 255) throw new SipSyntaxError('Max-Forwards', 'it is not 0 to 255');
  return value;
}

/** The number that begins at `at` in a head, when it has at most nine digits and its line to itself; else -1. */
export function quickNumber(bytes: Uint8Array, text: string, at: number): number {
  if (!compiled) return numberByPattern(text, at);
  const from = passBlanks(bytes, at);
  const end = passDigits(bytes, from);
  return end > 0 && endsLine(bytes, end) ? numberIn(bytes, from, end) : -1;
}

export function numberByPattern(text: string, at: number): number {
  const found = matchAt(NUMBER, text, at);
  return found === null ? -1 : Number(found[1]);
}

/** RFC 3261 §8.1.1.5: below 2**31. */
const MAX_CSEQ = 2_147_483_647;

/** The CSeq that begins at `at` in a head, if it has the usual shape. */
export function quickCSeq(bytes: Uint8Array, text: string, at: number): CSeq | undefined {
  if (!compiled) return cseqByPattern(text, at);
  const from = passBlanks(bytes, at);
  const end = passDigits(bytes, from);
  if (end < 0 || bytes[end] !== 32) return undefined;
  const method = passBlanks(bytes, end);
  const stop = passBytes(bytes, method, TOKEN);
  if (stop === method || !endsLine(bytes, stop)) return undefined;
  return { number: numberIn(bytes, from, end), method: text.slice(method, stop) };
}

export function cseqByPattern(text: string, at: number): CSeq | undefined {
  const found = matchAt(CSEQ_VALUE, text, at);
  return found === null ? undefined : { number: Number(found[1]), method: found[2] as string };
}

export function readCSeq(text: string): CSeq {
  const [, digits = '', method = ''] = /^(\d+)[ \t]+(\S+)$/.exec(text) ?? [];
  const number = readNumber(digits, 0, digits.length, MAX_CSEQ);
  if (number < 0) throw new SipSyntaxError('CSeq', 'no number and method');
  if (number > MAX_CSEQ) throw new SipSyntaxError('CSeq', 'the number is too large');
  if (!allOf(TOKEN, method)) throw new SipSyntaxError('CSeq', 'the method is no token');
  return { number, method };
}

export function quickCallId(bytes: Uint8Array, text: string, at: number): string | undefined {
  if (!compiled) return callIdByPattern(text, at);
  const from = passBlanks(bytes, at);
  let i = passBytes(bytes, from, WORD);
  if (i === from) return undefined;
  if (bytes[i] === 64) {
    const second = i + 1;
    i = passBytes(bytes, second, WORD);
    if (i === second) return undefined;
  }
  return endsLine(bytes, i) ? text.slice(from, i) : undefined;
}

export function callIdByPattern(text: string, at: number): string | undefined {
  return matchAt(CALL_ID_VALUE, text, at)?.[1];
}

/** `word [ "@" word ]`. */
export function readCallId(text: string): string {
  const [first = '', second, ...more] = text.split('@', 3);
  if (!allOf(WORD, first) || (second !== undefined && !allOf(WORD, second)) || more.length > 0)
    throw new SipSyntaxError('Call-ID', 'it is no word');
  return text;
}

/** Event without parameters, as most are; undefined when it has some. */
export function quickEvent(bytes: Uint8Array, text: string, at: number): EventValue | undefined {
  if (!compiled) return eventByPattern(text, at);
  const from = passBlanks(bytes, at);
  const end = passBytes(bytes, from, TOKEN);
  return end > from && endsLine(bytes, end) ? new ReadEvent(text.slice(from, end)) : undefined;
}

export function eventByPattern(text: string, at: number): EventValue | undefined {
  const found = matchAt(EVENT_VALUE, text, at);
  return found === null ? undefined : new ReadEvent(found[1] as string);
}

export function readEvent(text: string): EventValue {
  const value = parseParamValue(text, 'Event');
  if (!allOf(TOKEN, value.value)) throw new SipSyntaxError('Event', 'the package is no token');
  return { package: value.value, params: value.params, param: value.param };
}

const NO_PARAMS: ReadonlyMap<string, string> = new Map();

class ReadEvent implements EventValue {
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

class ReadType implements ContentType {
  declare readonly essence: string;
  declare private readonly rest: string;

  constructor(essence: string, rest: string) {
    this.essence = essence;
    this.rest = rest;
  }

  get type(): string {
    return this.essence.slice(0, this.essence.indexOf('/'));
  }

  get subtype(): string {
    return this.essence.slice(this.essence.indexOf('/') + 1);
  }

  get params(): ReadonlyMap<string, string> {
    return readParams(this.rest, 0, this.rest.length);
  }

  param(name: string): string | undefined {
    const value = paramIn(this.rest, 0, this.rest.length, name);
    return value === undefined ? undefined : unquote(value);
  }
}

/** The media type that begins at `at` in a head, if it has the usual shape: lower case, no blanks. */
export function quickType(bytes: Uint8Array, text: string, at: number): ContentType | undefined {
  if (!compiled) return typeByPattern(text, at);
  const from = passBlanks(bytes, at);
  const slash = passBytes(bytes, from, LOWER_TOKEN);
  if (slash === from || bytes[slash] !== 47) return undefined;
  const end = passBytes(bytes, slash + 1, LOWER_TOKEN);
  if (end === slash + 1) return undefined;
  const stop = passPlainParams(bytes, end);
  return stop > 0 && endsLine(bytes, stop)
    ? new ReadType(text.slice(from, end), text.slice(end, stop))
    : undefined;
}

export function typeByPattern(text: string, at: number): ContentType | undefined {
  const found = matchAt(TYPE_VALUE, text, at);
  return found === null ? undefined : new ReadType(found[1] as string, found[2] as string);
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
