import { SipSyntaxError } from '../errors.ts';
import { skipSpace, trimEnd } from './chars.ts';
import { formatParams, type ParamsInit, paramIn, passParams, passQuoted, readParams } from './params.ts';
import { fromWire, quote, refuseBreaks, unquote } from './text.ts';
import { checkUri } from './uri-grammar.ts';

/** name-addr or addr-spec with its header parameters: From, To, Contact, Route, P-Asserted-Identity, … */
export interface NameAddr {
  /** Decoded: without quotes and escapes, as Unicode. */
  readonly display: string | undefined;
  /** As on the wire, without the angle brackets. */
  readonly uri: string;
  /** Names in lower case, values as on the wire (a quoted string keeps its quotes), '' for a bare name. */
  readonly params: ReadonlyMap<string, string>;
  /** One parameter, unquoted; name in lower case. '' when it has no value, undefined when absent. */
  param(name: string): string | undefined;
  readonly tag: string | undefined;
}

/** A value that was checked whole and is taken apart when asked. */
class ReadAddress implements NameAddr {
  declare readonly uri: string;
  /** Where in the text the next value of a list may begin: its comma, or the end. */
  declare readonly stop: number;
  declare private readonly text: string;
  declare private readonly displayAt: number;
  declare private readonly displayEnd: number;
  declare private readonly paramsAt: number;

  constructor(
    text: string,
    displayAt: number,
    displayEnd: number,
    uri: string,
    paramsAt: number,
    stop: number,
  ) {
    this.uri = uri;
    this.stop = stop;
    this.text = text;
    this.displayAt = displayAt;
    this.displayEnd = displayEnd;
    this.paramsAt = paramsAt;
  }

  get display(): string | undefined {
    if (this.displayEnd === this.displayAt) return undefined;
    return fromWire(unquote(this.text.slice(this.displayAt, this.displayEnd)));
  }

  get params(): ReadonlyMap<string, string> {
    return readParams(this.text, this.paramsAt, this.stop);
  }

  param(name: string): string | undefined {
    const value = paramIn(this.text, this.paramsAt, this.stop, name);
    return value === undefined ? undefined : unquote(value);
  }

  get tag(): string | undefined {
    return paramIn(this.text, this.paramsAt, this.stop, 'tag');
  }
}

/** Reads one value. Throws SipSyntaxError; `what` names the header in it. */
export function parseNameAddr(text: string, what = 'address'): NameAddr {
  return readOne(text, 0, text.length, what);
}

/** Reads a comma list. Throws SipSyntaxError. */
export function parseNameAddrs(text: string, what = 'address'): readonly NameAddr[] {
  const found: NameAddr[] = [];
  readList(text, 0, text.length, what, found);
  return found;
}

/** Reads the only value of `text[from, end)`. */
export function readOne(text: string, from: number, end: number, what: string): NameAddr {
  const address = read(text, from, end, what);
  if (address.stop !== end) throw new SipSyntaxError(what, 'one value is expected');
  return address;
}

/** Reads all values of `text[from, end)` into `found`. */
export function readList(text: string, from: number, end: number, what: string, found: NameAddr[]): void {
  let i = from;
  for (;;) {
    const address = read(text, i, end, what);
    found.push(address);
    if (address.stop >= end) return;
    i = address.stop + 1;
  }
}

function read(text: string, from: number, end: number, what: string): ReadAddress {
  const start = skipSpace(text, from, end);
  let displayEnd = start;
  let open = start;
  const first = text.charCodeAt(start);
  if (first === 34) {
    displayEnd = passQuoted(text, start, end, what);
    open = skipSpace(text, displayEnd, end);
    if (open >= end || text.charCodeAt(open) !== 60)
      throw new SipSyntaxError(what, 'a display name without <');
  } else if (first !== 60) {
    open = findOpen(text, start, end);
    if (open < 0) return readBare(text, start, end, what);
    displayEnd = trimEnd(text, start, open);
  }
  const close = text.indexOf('>', open + 1);
  if (close < 0 || close >= end) throw new SipSyntaxError(what, 'no > after <');
  checkUri(text, open + 1, close, what);
  const stop = passParams(text, close + 1, end, what);
  return new ReadAddress(text, start, displayEnd, text.slice(open + 1, close), close + 1, stop);
}

/**
 * The `<` after a display name of bare words, or -1 when what begins here is no display name. Words need not be
 * tokens: what ends the search would make another reading possible, the rest does no harm.
 */
function findOpen(text: string, from: number, end: number): number {
  for (let i = from; i < end; i += 1) {
    const code = text.charCodeAt(i);
    if (code === 60) return i;
    if (code === 44 || code === 59 || code === 34 || code === 62 || (code < 32 && code !== 9)) return -1;
  }
  return -1;
}

/** addr-spec without brackets: what follows a `;` belongs to the header (RFC 3261 §20.10). */
function readBare(text: string, start: number, end: number, what: string): ReadAddress {
  let i = start;
  while (i < end) {
    const code = text.charCodeAt(i);
    if (code === 59 || code === 44 || code === 32 || code === 9) break;
    if (code === 63) throw new SipSyntaxError(what, 'a URI with a question mark needs <>');
    i += 1;
  }
  checkUri(text, start, i, what);
  const stop = passParams(text, i, end, what);
  return new ReadAddress(text, start, start, text.slice(start, i), i, stop);
}

export interface NameAddrInit {
  /** Unicode; it is quoted when written. */
  readonly display?: string | undefined;
  readonly uri: string;
  readonly params?: ParamsInit | undefined;
}

/**
 * Writes a name-addr, always with angle brackets. Parameter values are written as they are when they are tokens,
 * hosts or quoted strings, and quoted otherwise; `true` and '' give a bare name. Throws SipSyntaxError.
 */
export function formatNameAddr(value: NameAddrInit): string {
  refuseBreaks('uri', value.uri);
  if (/[<>\s"]/.test(value.uri)) throw new SipSyntaxError('uri', 'a character that no URI has');
  const display = value.display === undefined || value.display === '' ? '' : `${quote(value.display)} `;
  return `${display}<${value.uri}>${formatParams(value.params)}`;
}
