import { type CharClass, USER } from './chars.ts';
import { type Cuts, checkUri, cut, HIERARCHIC, passChars, passScheme } from './uri-grammar.ts';

/** A URI taken apart. Escapes are kept as they are everywhere. */
export interface SipUri {
  /** Lower case: sip, sips, tel, pres, im, or another. */
  readonly scheme: string;
  /** Escapes kept as they are. For `tel` the number. */
  readonly user?: string;
  /** Escapes kept as they are. RFC 3261 §19.1.1 advises against it. */
  readonly password?: string;
  /** Lower case, IPv6 without brackets. '' for `tel` and for schemes that are not known. */
  readonly host: string;
  /** Absent: the default of the transport. */
  readonly port?: number;
  /** Names in lower case, values with escapes kept, '' for a bare name. */
  readonly params: ReadonlyMap<string, string>;
  /** Names in lower case, values with escapes kept. */
  readonly headers: ReadonlyMap<string, string>;
  /** What follows the scheme of a URI of another kind. */
  readonly opaque?: string;
}

/** What a URI is made of when written. */
export interface UriInit {
  /** `sip` unless given. */
  readonly scheme?: string | undefined;
  /** Escaped already: `%40` for `@`. For `tel` the number. */
  readonly user?: string | undefined;
  /** Escaped already. */
  readonly password?: string | undefined;
  /** IPv6 without brackets. */
  readonly host?: string | undefined;
  /** Left out unless given. */
  readonly port?: number | undefined;
  /** Values escaped already, '' for a bare name. */
  readonly params?: ReadonlyMap<string, string> | undefined;
  /** Values escaped already. */
  readonly headers?: ReadonlyMap<string, string> | undefined;
  /** In place of all the rest: what follows the scheme. */
  readonly opaque?: string | undefined;
}

/** Throws SipSyntaxError. A scheme that is not known gives `opaque`. */
export function parseUri(text: string): SipUri {
  const end = text.length;
  const rest = passScheme(text, 0, end, 'uri');
  const scheme = text.slice(0, rest - 1).toLowerCase();
  if (HIERARCHIC.has(scheme)) return take(text, scheme, cut(text, rest, end, 'uri'));
  passChars(text, rest, end, 'uri');
  if (scheme === 'tel') {
    const semi = text.indexOf(';', rest);
    const stop = semi < 0 ? end : semi;
    return {
      scheme,
      user: text.slice(rest, stop),
      host: '',
      params: pairs(text, stop + 1, end, ';'),
      headers: NONE,
    };
  }
  return { scheme, host: '', params: NONE, headers: NONE, opaque: text.slice(rest) };
}

/** Writes a URI. Throws SipSyntaxError when what comes out is none: characters that must be escaped are not. */
export function formatUri(uri: UriInit): string {
  const scheme = uri.scheme ?? 'sip';
  let text = `${scheme}:`;
  if (uri.opaque !== undefined) text += uri.opaque;
  else if (scheme === 'tel') text += uri.user ?? '';
  else {
    const host = uri.host ?? '';
    if (uri.user !== undefined)
      text += uri.password === undefined ? `${uri.user}@` : `${uri.user}:${uri.password}@`;
    text += host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
    if (uri.port !== undefined) text += `:${uri.port}`;
  }
  for (const [name, value] of uri.params ?? []) text += value === '' ? `;${name}` : `;${name}=${value}`;
  let separator = '?';
  for (const [name, value] of uri.headers ?? []) {
    text += `${separator}${name}=${value}`;
    separator = '&';
  }
  checkUri(text, 0, text.length, 'uri');
  return text;
}

/** Escapes what may not stand in the user part of a URI. */
export function escapeUser(user: string): string {
  return escapeWith(user, USER);
}

/** Text with its `%HH` undone, as wire text. */
export function unescapeUri(text: string): string {
  return text.includes('%')
    ? text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
    : text;
}

function escapeWith(text: string, allowed: CharClass): string {
  let out = '';
  for (const byte of Buffer.from(text, 'utf8')) {
    const keep = byte !== 37 && allowed[byte] === 1;
    out += keep ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return out;
}

function take(text: string, scheme: string, cuts: Cuts): SipUri {
  const { rest, userEnd, passwordEnd, hostAt, hostEnd, port, paramsAt, paramsEnd, headersAt } = cuts;
  return {
    scheme,
    ...(userEnd < 0 ? {} : { user: text.slice(rest, userEnd) }),
    ...(passwordEnd < 0 ? {} : { password: text.slice(userEnd + 1, passwordEnd) }),
    host: text.slice(hostAt, hostEnd).toLowerCase(),
    ...(port < 0 ? {} : { port }),
    params: pairs(text, paramsAt, paramsEnd, ';'),
    headers: pairs(text, headersAt, text.length, '&'),
  };
}

const NONE: ReadonlyMap<string, string> = new Map();

function pairs(text: string, from: number, end: number, separator: string): ReadonlyMap<string, string> {
  if (from >= end) return NONE;
  const found = new Map<string, string>();
  for (const pair of text.slice(from, end).split(separator)) {
    const equals = pair.indexOf('=');
    const name = (equals < 0 ? pair : pair.slice(0, equals)).toLowerCase();
    if (name !== '' && !found.has(name)) found.set(name, equals < 0 ? '' : pair.slice(equals + 1));
  }
  return found;
}

/** Parameters that never match when only one side has them (RFC 3261 §19.1.4). */
const WEIGHTY: readonly string[] = ['transport', 'user', 'ttl', 'method', 'maddr'];

/** RFC 3261 §19.1.4. URIs that cannot be parsed, and those of other schemes, are equal when their text is. */
export function equalUri(a: SipUri | string, b: SipUri | string): boolean {
  const left = read(a);
  const right = read(b);
  if (left === undefined || right === undefined) return a === b;
  if (left.scheme !== right.scheme) return false;
  if (left.opaque !== undefined || right.opaque !== undefined) return left.opaque === right.opaque;
  if (left.scheme === 'tel') return telKey(left) === telKey(right) && sameParams(left, right);
  return (
    // Case matters in the user part only; an absent part matches nothing but an absent part.
    sameText(left.user, right.user) &&
    sameText(left.password, right.password) &&
    normalHost(left.host) === normalHost(right.host) &&
    left.port === right.port &&
    sameParams(left, right) &&
    sameHeaders(left, right)
  );
}

/**
 * One key for all ways of writing an AOR (RFC 3261 §10.3 step 5): scheme, user with needless escapes undone, host in
 * lower case, port if given; no parameters, no headers, no password. sips and sip differ.
 */
export function aorOf(uri: SipUri | string): string {
  const parsed = typeof uri === 'string' ? parseUri(uri) : uri;
  if (parsed.opaque !== undefined) return `${parsed.scheme}:${parsed.opaque}`;
  if (parsed.scheme === 'tel') return `tel:${telKey(parsed)}`;
  const user = parsed.user === undefined ? '' : `${normal(parsed.user)}@`;
  const host = normalHost(parsed.host);
  const shown = host.includes(':') ? `[${host}]` : host;
  return `${parsed.scheme}:${user}${shown}${parsed.port === undefined ? '' : `:${parsed.port}`}`;
}

function read(uri: SipUri | string): SipUri | undefined {
  if (typeof uri !== 'string') return uri;
  try {
    return parseUri(uri);
  } catch {
    return undefined;
  }
}

function sameParams(a: SipUri, b: SipUri): boolean {
  const left = decoded(a.params);
  const right = decoded(b.params);
  for (const name of WEIGHTY) {
    if (left.has(name) !== right.has(name)) return false;
  }
  for (const [name, value] of left) {
    const other = right.get(name);
    if (other !== undefined && other !== value) return false;
  }
  return true;
}

function sameHeaders(a: SipUri, b: SipUri): boolean {
  const left = decoded(a.headers);
  const right = decoded(b.headers);
  if (left.size !== right.size) return false;
  for (const [name, value] of left) {
    if (right.get(name) !== value) return false;
  }
  return true;
}

/** Names and values with escapes normalised, in lower case. */
function decoded(map: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  if (map.size === 0) return map;
  return new Map([...map].map(([name, value]) => [normal(name).toLowerCase(), normal(value).toLowerCase()]));
}

function sameText(a: string | undefined, b: string | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a === b || normal(a) === normal(b);
}

/** A trailing dot says that the name is whole; it is the same name. */
function normalHost(host: string): string {
  const lower = host.toLowerCase();
  return lower.endsWith('.') ? lower.slice(0, -1) : lower;
}

/** RFC 3966 §4: visual separators do not count, nor does the case of hexadecimal digits. */
function telKey(uri: SipUri): string {
  return (uri.user ?? '').replace(/[-.()]/g, '').toLowerCase();
}

/**
 * `%HH` of characters outside the reserved set undone, other escapes in upper case: `%61lice` is `alice`, while `%3b`
 * stays an escape, since a bare `;` means something else (RFC 3261 §19.1.4, RFC 2396 §2.2).
 */
function normal(text: string): string {
  if (!text.includes('%')) return text;
  return text.replace(/%([0-9A-Fa-f]{2})/g, (whole, hex: string) => {
    const char = String.fromCharCode(Number.parseInt(hex, 16));
    return /[A-Za-z0-9\-_.!~*'()]/.test(char) ? char : whole.toUpperCase();
  });
}
