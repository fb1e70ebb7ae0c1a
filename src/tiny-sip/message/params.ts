import { SipSyntaxError } from '../errors.ts';
import { allOf, passClass, skipSpace, TOKEN, trimEnd, VALUE } from './chars.ts';
import { quote, refuseBreaks, unquote } from './text.ts';

/** What may be given as parameters to a writer: '' and `true` give a bare name, undefined leaves it out. */
export type ParamsInit =
  | ReadonlyMap<string, string>
  | Readonly<Record<string, string | number | true | undefined>>;

/** Passes over the quoted-string that begins at `from`; answers the place after it. */
export function passQuoted(text: string, from: number, end: number, what: string): number {
  for (let i = from + 1; i < end; i += 1) {
    const code = text.charCodeAt(i);
    if (code === 34) return i + 1;
    // quoted-pair: anything may follow, even NUL; line breaks cannot be here.
    if (code === 92) i += 1;
    else if ((code < 32 && code !== 9) || code === 127)
      throw new SipSyntaxError(what, 'a control character in a quoted string');
  }
  throw new SipSyntaxError(what, 'a quoted string does not end');
}

/**
 * Passes over `*( SEMI generic-param )` (RFC 3261 §25.1), checking it. Answers where it stopped: at `end`, or at
 * the comma before the next value of a list.
 */
export function passParams(text: string, from: number, end: number, what: string): number {
  let i = from;
  for (;;) {
    while (i < end && (text.charCodeAt(i) === 32 || text.charCodeAt(i) === 9)) i += 1;
    if (i >= end) return end;
    const code = text.charCodeAt(i);
    if (code === 44) return i;
    if (code !== 59) throw new SipSyntaxError(what, `unexpected "${text.charAt(i)}"`);
    i = skipSpace(text, i + 1, end);
    const name = i;
    i = passClass(text, i, end, TOKEN);
    if (i === name) throw new SipSyntaxError(what, 'a parameter has no name');
    i = skipSpace(text, i, end);
    if (i >= end) return end;
    if (text.charCodeAt(i) !== 61) continue;
    i = skipSpace(text, i + 1, end);
    const value = i;
    if (i < end && text.charCodeAt(i) === 34) i = passQuoted(text, i, end, what);
    else i = passClass(text, i, end, VALUE);
    if (i === value) throw new SipSyntaxError(what, `the parameter ${text.slice(name, value)} is empty`);
  }
}

/**
 * The value of one parameter in a range that `passParams` has passed, as on the wire; '' when it has none, undefined
 * when it is not there. `name` is lower case.
 */
export function paramIn(text: string, from: number, end: number, name: string): string | undefined {
  let i = from;
  while (i < end) {
    i = skipSpace(text, i, end);
    if (text.charCodeAt(i) !== 59) return undefined;
    const start = skipSpace(text, i + 1, end);
    i = passClass(text, start, end, TOKEN);
    const found = i - start === name.length && sameToken(text, start, name);
    i = skipSpace(text, i, end);
    if (i >= end || text.charCodeAt(i) !== 61) {
      if (found) return '';
      continue;
    }
    const value = skipSpace(text, i + 1, end);
    i = passValue(text, value, end);
    if (found) return text.slice(value, i);
  }
  return undefined;
}

/** All parameters of a range that `passParams` has passed: names in lower case, values as on the wire. */
export function readParams(text: string, from: number, end: number): ReadonlyMap<string, string> {
  const params = new Map<string, string>();
  let i = from;
  while (i < end) {
    i = skipSpace(text, i, end);
    if (text.charCodeAt(i) !== 59) break;
    const start = skipSpace(text, i + 1, end);
    i = passClass(text, start, end, TOKEN);
    const name = text.slice(start, i).toLowerCase();
    i = skipSpace(text, i, end);
    let value = '';
    if (i < end && text.charCodeAt(i) === 61) {
      const at = skipSpace(text, i + 1, end);
      i = passValue(text, at, end);
      value = text.slice(at, i);
    }
    // The first of a name counts, as in paramIn.
    if (!params.has(name)) params.set(name, value);
  }
  return params;
}

/** `;name=value…`. Values that are no token, host or quoted string are quoted. Throws on names that are no token. */
export function formatParams(params: ParamsInit | undefined): string {
  if (params === undefined) return '';
  let text = '';
  const entries: Iterable<readonly [string, string | number | true | undefined]> =
    params instanceof Map ? params : Object.entries(params);
  for (const [name, value] of entries) {
    if (value === undefined) continue;
    if (!allOf(TOKEN, name)) throw new SipSyntaxError('parameter', `"${name}" is no token`);
    text += value === true || value === '' ? `;${name}` : `;${name}=${formatValue(String(value))}`;
  }
  return text;
}

function formatValue(value: string): string {
  if (allOf(VALUE, value)) return value;
  refuseBreaks('parameter', value);
  return isQuoted(value) ? value : quote(value);
}

function isQuoted(value: string): boolean {
  if (value.charCodeAt(0) !== 34) return false;
  try {
    return passQuoted(value, 0, value.length, 'parameter') === value.length;
  } catch {
    return false;
  }
}

/** A value followed by parameters: Event, Subscription-State, Retry-After, Content-Type, Content-Disposition, … */
export interface ParamValue {
  /** What stands before the first `;`, trimmed, as on the wire. */
  readonly value: string;
  /** Names in lower case, values as on the wire, '' for a bare name. */
  readonly params: ReadonlyMap<string, string>;
  /** One parameter, unquoted. */
  param(name: string): string | undefined;
}

/** Reads `value *( ;param )`. Throws SipSyntaxError; `what` names the header in it. */
export function parseParamValue(text: string, what: string): ParamValue {
  let cut = text.indexOf(';');
  if (cut < 0) cut = text.length;
  const value = text.slice(skipSpace(text, 0, cut), trimEnd(text, 0, cut));
  if (passParams(text, cut, text.length, what) !== text.length)
    throw new SipSyntaxError(what, 'one value is expected');
  const params = readParams(text, cut, text.length);
  return {
    value,
    params,
    param(name) {
      const found = params.get(name);
      return found === undefined ? undefined : unquote(found);
    },
  };
}

/** The elements of a comma list; commas in quotes, `<>` and comments do not count. Empty elements are left out. */
export function splitList(text: string): string[] {
  if (!text.includes(',')) return text === '' ? [] : [text];
  const parts: string[] = [];
  let from = 0;
  let depth = 0;
  const push = (end: number): void => {
    const start = skipSpace(text, from, end);
    const stop = trimEnd(text, start, end);
    if (stop > start) parts.push(text.slice(start, stop));
  };
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    if (code === 34) i = endOfQuoted(text, i);
    else if (code === 60 || code === 40) depth += 1;
    else if (code === 62 || code === 41) depth = Math.max(0, depth - 1);
    else if (code === 44 && depth === 0) {
      push(i);
      from = i + 1;
    }
  }
  push(text.length);
  return parts;
}

/** Where a quoted-string ends (its closing quote), or the end of the text when it does not. */
function endOfQuoted(text: string, from: number): number {
  for (let i = from + 1; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    if (code === 92) i += 1;
    else if (code === 34) return i;
  }
  return text.length;
}

function passValue(text: string, from: number, end: number): number {
  if (text.charCodeAt(from) === 34) return Math.min(end, endOfQuoted(text, from) + 1);
  return passClass(text, from, end, VALUE);
}

function sameToken(text: string, from: number, lower: string): boolean {
  for (let i = 0; i < lower.length; i += 1) {
    if ((text.charCodeAt(from + i) | 32) !== lower.charCodeAt(i)) return false;
  }
  return true;
}
