import { SipSyntaxError } from '../errors.ts';
import {
  type CharClass,
  HEADER,
  HEX,
  HOST,
  IPV6,
  PARAM,
  PASSWORD,
  passClass,
  SCHEME,
  URI,
  USER,
} from './chars.ts';

/** The schemes whose rest is `[user[:password]@]host[:port][;params][?headers]`. */
export const HIERARCHIC: ReadonlySet<string> = new Set(['sip', 'sips', 'pres', 'im']);

/** Where the parts of a URI begin and end in its text. */
export interface Cuts {
  /** After the colon of the scheme. */
  readonly rest: number;
  /** -1 without a user. */
  userEnd: number;
  passwordEnd: number;
  hostAt: number;
  hostEnd: number;
  /** -1 without a port. */
  port: number;
  paramsAt: number;
  paramsEnd: number;
  headersAt: number;
}

/**
 * Checks the URI in `text[from, end)` against its grammar, without taking it apart; throws SipSyntaxError.
 * sip, sips, pres and im are checked part by part, others as absoluteURI.
 */
export function checkUri(text: string, from: number, end: number, what: string): void {
  const rest = passScheme(text, from, end, what);
  if (isHierarchic(text, from, rest - 1)) cut(text, rest, end, what);
  else passChars(text, rest, end, what);
}

/**
 * Checks a Request-URI: as `checkUri`, and a SIP or SIPS URI has no headers there (RFC 3261 §19.1.1, table 1;
 * RFC 4475 §3.1.2.11).
 */
export function checkRequestUri(text: string): void {
  const end = text.length;
  const rest = passScheme(text, 0, end, 'Request-URI');
  if (!isHierarchic(text, 0, rest - 1)) passChars(text, rest, end, 'Request-URI');
  else if (cut(text, rest, end, 'Request-URI').headersAt < end && (text.charCodeAt(0) | 32) === 115)
    throw new SipSyntaxError('Request-URI', 'it has headers');
}

/** Passes over `scheme ":"`; answers the place after the colon. */
export function passScheme(text: string, from: number, end: number, what: string): number {
  const first = text.charCodeAt(from) | 32;
  let i = from;
  if (first >= 97 && first <= 122) i = passClass(text, from, end, SCHEME);
  if (i === from || i >= end || text.charCodeAt(i) !== 58) throw new SipSyntaxError(what, 'no URI scheme');
  return i + 1;
}

/** Whether `text[from, end)` is one of the schemes with user and host. */
function isHierarchic(text: string, from: number, end: number): boolean {
  // `sip` and `sips` first, since nearly every URI is one.
  if ((text.charCodeAt(from) | 32) === 115 && (text.charCodeAt(from + 1) | 32) === 105) {
    if ((text.charCodeAt(from + 2) | 32) === 112) {
      if (end - from === 3) return true;
      if (end - from === 4 && (text.charCodeAt(from + 3) | 32) === 115) return true;
    }
  }
  return HIERARCHIC.has(text.slice(from, end).toLowerCase());
}

/** Checks the characters of a URI that is not taken apart; `from` is the place after its scheme's colon. */
export function passChars(text: string, from: number, end: number, what: string): void {
  if (from >= end) throw new SipSyntaxError(what, 'a URI is empty');
  let i = passEscaped(text, from, end, URI, what);
  // RFC 3966 §3 has `#` in local numbers, where a fragment has no place.
  while (i < end && text.charCodeAt(i) === 35 && isTel(text, from))
    i = passEscaped(text, i + 1, end, URI, what);
  if (i !== end) throw new SipSyntaxError(what, 'a character that no URI has');
}

/** Whether the scheme whose colon is before `rest` is tel. */
function isTel(text: string, rest: number): boolean {
  return (
    rest >= 4 &&
    text.slice(rest - 4, rest).toLowerCase() === 'tel:' &&
    SCHEME[text.charCodeAt(rest - 5)] !== 1
  );
}

/** Passes over characters of a class, seeing to it that `%` is followed by two hexadecimal digits. */
function passEscaped(text: string, from: number, end: number, allowed: CharClass, what: string): number {
  let i = from;
  while (i < end) {
    const code = text.charCodeAt(i);
    if (allowed[code] !== 1) break;
    if (code === 37 && !isEscape(text, i, end)) throw new SipSyntaxError(what, '% without two hex digits');
    i += 1;
  }
  return i;
}

function isEscape(text: string, at: number, end: number): boolean {
  return at + 2 < end && HEX[text.charCodeAt(at + 1)] === 1 && HEX[text.charCodeAt(at + 2)] === 1;
}

/** `[userinfo "@"] hostport uri-parameters [headers]` (RFC 3261 §25.1). */
export function cut(text: string, rest: number, end: number, what: string): Cuts {
  const cuts: Cuts = {
    rest,
    userEnd: -1,
    passwordEnd: -1,
    hostAt: rest,
    hostEnd: rest,
    port: -1,
    paramsAt: end,
    paramsEnd: end,
    headersAt: end,
  };
  // The user part may hold `;`, `?` and `/`, so only the `@` tells; where none comes, all of it is the host.
  let i = passEscaped(text, rest, end, USER, what);
  if (i < end) {
    const colon = i;
    if (text.charCodeAt(i) === 58) i = passEscaped(text, i + 1, end, PASSWORD, what);
    if (i < end && text.charCodeAt(i) === 64) {
      if (colon === rest) throw new SipSyntaxError(what, 'a URI with an empty user');
      cuts.userEnd = colon;
      if (colon < i) cuts.passwordEnd = i;
      cuts.hostAt = i + 1;
    }
  }
  i = passHost(text, cuts, end, what);
  if (i < end && text.charCodeAt(i) === 58) {
    const digits = i + 1;
    i = digits;
    let port = 0;
    while (i < end) {
      const digit = text.charCodeAt(i) - 48;
      if (digit < 0 || digit > 9 || port > 65_535) break;
      port = port * 10 + digit;
      i += 1;
    }
    if (i === digits || port > 65_535) throw new SipSyntaxError(what, 'a URI with a port that is none');
    cuts.port = port;
  }
  if (i < end && text.charCodeAt(i) === 59) {
    cuts.paramsAt = i + 1;
    i = passUriParams(text, i, end, what);
    cuts.paramsEnd = i;
  }
  if (i < end && text.charCodeAt(i) === 63) {
    cuts.headersAt = i + 1;
    i = passHeaders(text, i + 1, end, what);
  }
  if (i !== end) throw new SipSyntaxError(what, `unexpected "${text.charAt(i)}" in a URI`);
  return cuts;
}

/** Passes over the host and sets its place; answers the place after it. */
function passHost(text: string, cuts: Cuts, end: number, what: string): number {
  let i = cuts.hostAt;
  const from = i;
  if (i < end && text.charCodeAt(i) === 91) {
    i = passClass(text, from + 1, end, IPV6);
    if (i >= end || text.charCodeAt(i) !== 93 || !isIpv6(text, from + 1, i))
      throw new SipSyntaxError(what, 'a URI with an IPv6 address that is none');
    cuts.hostAt = from + 1;
    cuts.hostEnd = i;
    return i + 1;
  }
  i = passClass(text, from, end, HOST);
  if (i === from) throw new SipSyntaxError(what, 'a URI without a host');
  cuts.hostEnd = i;
  return i;
}

function passUriParams(text: string, from: number, end: number, what: string): number {
  let i = from;
  while (i < end && text.charCodeAt(i) === 59) {
    const name = i + 1;
    i = passEscaped(text, name, end, PARAM, what);
    if (i === name) throw new SipSyntaxError(what, 'a URI parameter has no name');
    if (i < end && text.charCodeAt(i) === 61) i = passEscaped(text, i + 1, end, PARAM, what);
  }
  return i;
}

function passHeaders(text: string, from: number, end: number, what: string): number {
  let i = from;
  for (;;) {
    const name = i;
    i = passEscaped(text, name, end, HEADER, what);
    if (i === name || i >= end || text.charCodeAt(i) !== 61)
      throw new SipSyntaxError(what, 'a URI header without a name or a value');
    i = passEscaped(text, i + 1, end, HEADER, what);
    if (i >= end || text.charCodeAt(i) !== 38) return i;
    i += 1;
  }
}

/**
 * IPv6address: at most eight groups of one to four digits, one `::` at most, perhaps an IPv4 address at the end.
 * Before that, `:::` is borne for `::`, which the grammar of RFC 3261 allows by mistake (RFC 5118 §4.10).
 */
export function isIpv6(text: string, from: number, end: number): boolean {
  let groups = 0;
  let gap = false;
  let i = from;
  if (end - from < 2) return false;
  if (text.charCodeAt(i) === 58) {
    if (text.charCodeAt(i + 1) !== 58) return false;
    gap = true;
    i += 2;
  }
  while (i < end) {
    const group = i;
    i = passClass(text, i, end, HEX);
    if (i === group) return false;
    if (i < end && text.charCodeAt(i) === 46) {
      if (!isIpv4(text, group, end)) return false;
      groups += 2;
      i = end;
      break;
    }
    if (i - group > 4) return false;
    groups += 1;
    if (i === end) break;
    if (text.charCodeAt(i) !== 58) return false;
    i += 1;
    if (i < end && text.charCodeAt(i) === 58) {
      if (gap) return false;
      gap = true;
      i += 1;
      if (text.charCodeAt(i) === 58 && isIpv4(text, i + 1, end)) i += 1;
    } else if (i === end) return false;
  }
  return gap ? groups < 8 : groups === 8;
}

/** IPv4address, each part at most 255. */
export function isIpv4(text: string, from: number, end: number): boolean {
  let parts = 0;
  let i = from;
  for (;;) {
    const part = i;
    let value = 0;
    while (i < end) {
      const digit = text.charCodeAt(i) - 48;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
      i += 1;
    }
    if (i === part || i - part > 3 || value > 255) return false;
    parts += 1;
    if (i === end) return parts === 4;
    if (parts === 4 || text.charCodeAt(i) !== 46) return false;
    i += 1;
  }
}
