import { SipSyntaxError } from '../errors.ts';
import { passClass, skipSpace, TOKEN, trimEnd } from './chars.ts';
import { passQuoted } from './params.ts';
import { refuseBreaks, unquote } from './text.ts';

/** A challenge or credentials: scheme and parameters (RFC 3261 §25: WWW-Authenticate, Authorization, …). */
export interface Challenge {
  /** As on the wire; compare without case. */
  readonly scheme: string;
  /** Names in lower case, values unquoted, as wire text. */
  readonly params: ReadonlyMap<string, string>;
}

/** Reads one header line that holds one challenge or one set of credentials. Throws SipSyntaxError. */
export function parseChallenge(text: string): Challenge {
  const [first, ...more] = parseChallenges(text);
  if (first === undefined || more.length > 0) throw new SipSyntaxError('challenge', 'one is expected');
  return first;
}

/** Every challenge of a header line; some servers put several on one line, though §7.3.1 forbids it. */
export function parseChallenges(text: string): readonly Challenge[] {
  const found: Challenge[] = [];
  const end = trimEnd(text, 0, text.length);
  let i = skipSpace(text, 0, end);
  while (i < end) {
    const at = i;
    i = passClass(text, at, end, TOKEN);
    const scheme = text.slice(at, i);
    const space = i;
    i = skipSpace(text, i, end);
    if (scheme === '' || (i === space && i < end)) throw new SipSyntaxError('challenge', 'no scheme');
    const params = new Map<string, string>();
    i = passPairs(text, i, end, params);
    found.push({ scheme, params });
  }
  return found;
}

/** Authentication-Info: `name=value` pairs without a scheme, values unquoted. */
export function parseAuthInfo(text: string): ReadonlyMap<string, string> {
  const params = new Map<string, string>();
  const end = trimEnd(text, 0, text.length);
  const stop = passPairs(text, skipSpace(text, 0, end), end, params);
  if (stop !== end) throw new SipSyntaxError('Authentication-Info', `unexpected "${text.charAt(stop)}"`);
  return params;
}

/**
 * Passes over `name=value` pairs between commas and stops before what is no pair: the scheme of the next challenge.
 * Values without quotes may hold anything up to a comma or white space, since the wire has base64 and URIs there.
 */
function passPairs(text: string, from: number, end: number, params: Map<string, string>): number {
  let i = from;
  while (i < end) {
    const at = i;
    i = passClass(text, at, end, TOKEN);
    const name = text.slice(at, i).toLowerCase();
    i = skipSpace(text, i, end);
    if (name !== '' && text.charCodeAt(i) !== 61) return at;
    if (name === '') throw new SipSyntaxError('challenge', 'a parameter has no name');
    i = skipSpace(text, i + 1, end);
    const value = i;
    if (i < end && text.charCodeAt(i) === 34) i = passQuoted(text, i, end, 'challenge');
    else while (i < end && !' \t,"'.includes(text.charAt(i))) i += 1;
    // The first of a name counts.
    if (!params.has(name)) params.set(name, unquote(text.slice(value, i)));
    i = skipSpace(text, i, end);
    if (i >= end) return end;
    if (text.charCodeAt(i) !== 44) throw new SipSyntaxError('challenge', `unexpected "${text.charAt(i)}"`);
    // Empty elements between commas are passed over.
    while (i < end && (text.charCodeAt(i) === 44 || text.charCodeAt(i) === 32 || text.charCodeAt(i) === 9))
      i += 1;
  }
  return end;
}

/** What is a token in either kind; `qop` is a quoted list in a challenge and a token in credentials (RFC 7616 §3). */
const BARE: ReadonlySet<string> = new Set(['algorithm', 'nc', 'stale', 'userhash']);

/** Writes a challenge or credentials. Values are wire text or Unicode without quotes. Throws SipSyntaxError. */
export function formatChallenge(
  scheme: string,
  params: Readonly<Record<string, string | undefined>>,
  kind: 'challenge' | 'credentials',
): string {
  const pairs: string[] = [];
  for (const [name, value] of Object.entries(params)) {
    if (value === undefined) continue;
    refuseBreaks(name, value);
    const bare = BARE.has(name) || (name === 'qop' && kind === 'credentials');
    pairs.push(`${name}=${bare ? value : `"${value.replace(/["\\]/g, '\\$&')}"`}`);
  }
  return `${scheme} ${pairs.join(',')}`;
}
