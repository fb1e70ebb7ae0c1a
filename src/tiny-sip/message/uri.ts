import { SipSyntaxError } from '../errors.ts';
import { type CharClass, HEADER, PARAM, USER } from './chars.ts';
import { checkContext, checkTel } from './tel.ts';
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
  /** Names in lower case, values with escapes kept; those of one name joined by `%2C`, an escaped comma. */
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

/**
 * Takes a URI apart: sip and sips by RFC 3261 §19.1, tel by RFC 3966 (a local number may lack its phone-context), pres
 * and im by RFC 3859 and 3860. A scheme that is not known gives `opaque`. Throws SipSyntaxError.
 */
export function parseUri(text: string): SipUri {
  const end = text.length;
  const rest = passScheme(text, 0, end, 'uri');
  const scheme = text.slice(0, rest - 1).toLowerCase();
  if (HIERARCHIC.has(scheme)) {
    const cuts = cut(text, rest, end, 'uri');
    if (scheme === 'pres' || scheme === 'im') checkMailbox(cuts);
    return take(text, scheme, cuts);
  }
  if (scheme === 'tel') {
    passChars(text, rest, end, 'uri');
    const semi = text.indexOf(';', rest);
    const stop = semi < 0 ? end : semi;
    checkTel(text, rest, stop);
    return {
      scheme,
      user: text.slice(rest, stop),
      host: '',
      params: pairs(text, stop + 1, end, ';'),
      headers: NONE,
    };
  }
  passChars(text, rest, end, 'uri');
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
  if (scheme === 'tel') checkContext(parseUri(text));
  else if (scheme === 'pres' || scheme === 'im') parseUri(text);
  else checkUri(text, 0, text.length, 'uri');
  return text;
}

/**
 * What of a SIP or SIPS URI may stand in a Request-URI: all but its headers and the method (RFC 3261 §19.1.1 table 1).
 * Throws SipSyntaxError.
 */
export function requestUriOf(uri: string): string {
  if (!uri.includes('?') && !/;method=/i.test(uri)) return uri;
  const rest = passScheme(uri, 0, uri.length, 'uri');
  const { paramsAt, paramsEnd, headersAt } = cut(uri, rest, uri.length, 'uri');
  const whole = headersAt < uri.length ? uri.slice(0, headersAt - 1) : uri;
  if (paramsAt >= paramsEnd) return whole;
  const params = uri.slice(paramsAt, paramsEnd).split(';');
  const kept = params.filter((one) => !/^method=/i.test(one));
  return [uri.slice(0, paramsAt - 1), ...kept].join(';');
}

/** `to = mailbox` (RFC 3859 §A.3, RFC 3860 §A.3): a user and a domain, and none of what is SIP's. */
function checkMailbox({ userEnd, passwordEnd, port, paramsAt, paramsEnd }: Cuts): void {
  if (userEnd < 0) throw new SipSyntaxError('uri', 'a mailbox without a user');
  if (passwordEnd >= 0 || port >= 0 || paramsAt < paramsEnd)
    throw new SipSyntaxError('uri', 'a mailbox with a password, a port or parameters');
}

/** Escapes what may not stand in the user part of a URI. */
export function escapeUser(user: string): string {
  return escapeWith(user, USER);
}

/** Escapes what may not stand in the name or the value of a URI parameter. */
export function escapeParam(text: string): string {
  return escapeWith(text, PARAM);
}

/** Escapes what may not stand in the name or the value of a header of a URI. */
export function escapeHeader(text: string): string {
  return escapeWith(text, HEADER);
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
    // RFC 5118 §4.10: where `:::` was borne, it is not passed on.
    host: text.slice(hostAt, hostEnd).toLowerCase().replace(':::', '::'),
    ...(port < 0 ? {} : { port }),
    params: pairs(text, paramsAt, paramsEnd, ';'),
    headers: headersAt < text.length ? pairs(text, headersAt, text.length, '&') : NONE,
  };
}

const NONE: ReadonlyMap<string, string> = new Map();

function pairs(text: string, from: number, end: number, separator: string): ReadonlyMap<string, string> {
  if (from >= end) return NONE;
  const found = new Map<string, string>();
  for (const pair of text.slice(from, end).split(separator)) {
    const equals = pair.indexOf('=');
    const name = (equals < 0 ? pair : pair.slice(0, equals)).toLowerCase();
    if (name === '') continue;
    const value = equals < 0 ? '' : pair.slice(equals + 1);
    const before = found.get(name);
    if (before === undefined) found.set(name, value);
    // Several headers of one name are one list (RFC 3261 §7.3.1); a parameter may come once only, and the first counts.
    else if (separator === '&') found.set(name, `${before}%2C${value}`);
  }
  return found;
}

/**
 * `%HH` of characters outside the reserved set undone, other escapes in upper case: `%61lice` is `alice`, while `%3b`
 * stays an escape, since a bare `;` means something else (RFC 3261 §19.1.4, RFC 2396 §2.2).
 */
export function normal(text: string): string {
  if (!text.includes('%')) return text;
  return text.replace(/%([0-9A-Fa-f]{2})/g, (whole, hex: string) => {
    const char = String.fromCharCode(Number.parseInt(hex, 16));
    return /[A-Za-z0-9\-_.!~*'()]/.test(char) ? char : whole.toUpperCase();
  });
}
