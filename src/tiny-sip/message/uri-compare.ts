import { parseNameAddr } from './name-addr.ts';
import { telKey } from './tel.ts';
import { normal, parseUri, type SipUri, unescapeUri } from './uri.ts';

/** Parameters that never match when only one side has them (RFC 3261 §19.1.4). */
const WEIGHTY: readonly string[] = ['transport', 'user', 'ttl', 'method', 'maddr'];

/** Headers whose value is an address, and matches as one (RFC 3261 §20.10, §20.20, §20.30, §20.31, §20.34, §20.39). */
const ADDRESSES: ReadonlySet<string> = new Set([
  ...['contact', 'from', 'record-route', 'refer-to', 'referred-by', 'reply-to', 'route', 'to'],
  ...['f', 'm', 'r', 'b', 't'],
]);

/** Headers whose case matters (RFC 3261 §20.8, §20.16), and the body. */
const EXACT: ReadonlySet<string> = new Set(['body', 'call-id', 'i', 'cseq']);

/**
 * RFC 3261 §19.1.4, with IPv6 addresses compared as addresses (RFC 5954 §4.2); tel by RFC 3966 §4; pres and im as SIP
 * URIs without their parameters. URIs that cannot be parsed, and those of other schemes, are equal when their text is.
 */
export function equalUri(a: SipUri | string, b: SipUri | string): boolean {
  const left = read(a);
  const right = read(b);
  if (left === undefined || right === undefined) return a === b;
  if (left.scheme !== right.scheme) return false;
  if (left.opaque !== undefined || right.opaque !== undefined) return left.opaque === right.opaque;
  if (left.scheme === 'tel') return telKey(left) === telKey(right);
  return (
    // Case matters in the user part only; an absent part matches nothing but an absent part.
    sameText(left.user, right.user) &&
    sameText(left.password, right.password) &&
    sameHost(left.host, right.host) &&
    left.port === right.port &&
    sameParams(left, right) &&
    sameHeaders(left, right)
  );
}

/**
 * One key for all ways of writing an AOR (RFC 3261 §10.3 step 5): scheme, user with needless escapes undone, host in
 * lower case, port if given; no parameters, no headers, no password. sips and sip differ. Of a tel URI all counts,
 * since a local number without its context is another one in each network.
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
    if (other !== undefined && other.toLowerCase() !== value.toLowerCase()) return false;
  }
  return true;
}

function sameHeaders(a: SipUri, b: SipUri): boolean {
  const left = decoded(a.headers);
  const right = decoded(b.headers);
  if (left.size !== right.size) return false;
  for (const [name, value] of left) {
    const other = right.get(name);
    if (other === undefined || !sameHeader(name, value, other)) return false;
  }
  return true;
}

/** By the rules of its definition (RFC 3261 §20); where that says nothing, case does not matter (§7.3.1). */
function sameHeader(name: string, a: string, b: string): boolean {
  if (a === b) return true;
  if (EXACT.has(name)) return false;
  if (a.toLowerCase() === b.toLowerCase() && !ADDRESSES.has(name)) return true;
  return ADDRESSES.has(name) && sameAddress(unescapeUri(a), unescapeUri(b));
}

/** §20.20: the URIs match, and the parameters that both have do; a tag must be on both. */
function sameAddress(a: string, b: string): boolean {
  try {
    const left = parseNameAddr(a);
    const right = parseNameAddr(b);
    if (left.tag !== right.tag || !equalUri(left.uri, right.uri)) return false;
    for (const [name, value] of left.params) {
      const other = right.params.get(name);
      if (other !== undefined && other.toLowerCase() !== value.toLowerCase()) return false;
    }
    return true;
  } catch {
    return false;
  }
}

/** Names in lower case, values with escapes normalised. */
function decoded(map: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  if (map.size === 0) return map;
  return new Map([...map].map(([name, value]) => [normal(name).toLowerCase(), normal(value)]));
}

function sameText(a: string | undefined, b: string | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a === b || normal(a) === normal(b);
}

function sameHost(a: string, b: string): boolean {
  return a === b || normalHost(a) === normalHost(b);
}

/** A trailing dot says that the name is whole; it is the same name. An IPv6 address in its shortest form. */
function normalHost(host: string): string {
  const lower = host.toLowerCase();
  if (lower.includes(':')) return shortest(lower);
  return lower.endsWith('.') ? lower.slice(0, -1) : lower;
}

/** RFC 5952, except that an IPv4 address at the end is written as the rest. */
function shortest(address: string): string {
  try {
    return new URL(`sip://[${address}]`).hostname.slice(1, -1);
  } catch {
    return address;
  }
}
