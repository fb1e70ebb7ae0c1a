import { SipSyntaxError } from '../errors.ts';
import { skipSpace, trimEnd, VALUE, WORDS } from './chars.ts';
import { formatParams, type ParamsInit, paramIn, passParams, passQuoted, readParams } from './params.ts';
import { endsLine, passBlanks, passBytes, passPlainParams, passPlainQuoted, passPlainUri } from './pass.ts';
import { ADDRESS, compiled, LISTED, matchAt } from './patterns.ts';
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
  /** The parameter `tag`, as From and To have it. */
  readonly tag: string | undefined;
}

/** A value that was checked whole; what is rarely asked for is taken apart when asked. */
class ReadAddress implements NameAddr {
  declare readonly uri: string;
  declare readonly tag: string | undefined;
  /** The text it stands in, and the places of what was not taken out. */
  declare private readonly text: string;
  declare private readonly displayAt: number;
  declare private readonly displayEnd: number;
  declare private readonly paramsAt: number;
  declare private readonly end: number;

  constructor(
    uri: string,
    tag: string | undefined,
    text: string,
    displayAt: number,
    displayEnd: number,
    paramsAt: number,
    end: number,
  ) {
    this.uri = uri;
    this.tag = tag;
    this.text = text;
    this.displayAt = displayAt;
    this.displayEnd = displayEnd;
    this.paramsAt = paramsAt;
    this.end = end;
  }

  get display(): string | undefined {
    const { text, displayAt, displayEnd } = this;
    if (displayAt === displayEnd) return undefined;
    return fromWire(unquote(text.slice(displayAt, trimEnd(text, displayAt, displayEnd))));
  }

  get params(): ReadonlyMap<string, string> {
    return readParams(this.text, this.paramsAt, this.end);
  }

  param(name: string): string | undefined {
    const value = paramIn(this.text, this.paramsAt, this.end, name);
    return value === undefined ? undefined : unquote(value);
  }
}

/** One of a list: it was checked, and what is rarely asked for is read when it is. */
class ListedAddress implements NameAddr {
  declare readonly uri: string;
  declare private readonly text: string;
  declare private readonly from: number;
  declare private readonly end: number;
  declare private kept: NameAddr | undefined;

  constructor(uri: string, text: string, from: number, end: number) {
    this.uri = uri;
    this.text = text;
    this.from = from;
    this.end = end;
    this.kept = undefined;
  }

  private get whole(): NameAddr {
    this.kept ??= read(this.text, this.from, this.end, 'address').address;
    return this.kept;
  }

  get display(): string | undefined {
    return this.whole.display;
  }

  get params(): ReadonlyMap<string, string> {
    return this.whole.params;
  }

  param(name: string): string | undefined {
    return this.whole.param(name);
  }

  get tag(): string | undefined {
    return this.whole.tag;
  }
}

/** Passes over a display name and the blanks after it. */
function passPlainDisplay(bytes: Uint8Array, from: number): number {
  if (bytes[from] === 60) return from;
  if (bytes[from] === 34) {
    const end = passPlainQuoted(bytes, from);
    return end < 0 ? -1 : passBlanks(bytes, end);
  }
  return passBytes(bytes, from, WORDS);
}

/** Reads the value of From or To that begins at `at` in a head, if it has the usual shape. */
export function quickAddress(bytes: Uint8Array, text: string, at: number): NameAddr | undefined {
  if (!compiled) return addressByPattern(text, at);
  const start = passBlanks(bytes, at);
  const open = passPlainDisplay(bytes, start);
  if (open < 0 || bytes[open] !== 60) return undefined;
  const close = passPlainUri(bytes, open + 1);
  if (close < 0 || bytes[close] !== 62) return undefined;
  const params = close + 1;
  let i = params;
  let tag: string | undefined;
  // `;tag=`, which comes first nearly always.
  if (
    bytes[i] === 59 &&
    bytes[i + 1] === 116 &&
    bytes[i + 2] === 97 &&
    bytes[i + 3] === 103 &&
    bytes[i + 4] === 61
  ) {
    const value = i + 5;
    i = passBytes(bytes, value, VALUE);
    if (i === value) return undefined;
    tag = text.slice(value, i);
  }
  const rest = i;
  i = passPlainParams(bytes, rest);
  if (i < 0 || !endsLine(bytes, i)) return undefined;
  if (tag === undefined && i > rest) tag = paramIn(text, rest, i, 'tag');
  return new ReadAddress(text.slice(open + 1, close), tag, text, start, open, params, i);
}

/** Reads the list that begins at `at` in a head, if all its values have the usual shape. */
export function quickAddresses(bytes: Uint8Array, text: string, at: number): NameAddr[] | undefined {
  if (!compiled) return addressesByPattern(text, at);
  const found: NameAddr[] = [];
  for (let i = at; ; i += 1) {
    const start = passBlanks(bytes, i);
    const open = passPlainDisplay(bytes, start);
    if (open < 0 || bytes[open] !== 60) return undefined;
    const close = passPlainUri(bytes, open + 1);
    if (close < 0 || bytes[close] !== 62) return undefined;
    i = passPlainParams(bytes, close + 1);
    if (i < 0) return undefined;
    found.push(new ListedAddress(text.slice(open + 1, close), text, start, i));
    if (bytes[i] !== 44) return endsLine(bytes, i) ? found : undefined;
  }
}

/** `quickAddress` by a pattern. */
export function addressByPattern(text: string, at: number): NameAddr | undefined {
  const found = matchAt(ADDRESS, text, at);
  if (found === null) return undefined;
  const end = ADDRESS.lastIndex;
  const uri = found[2] as string;
  const params = end - (found[3] as string).length;
  // The brackets stand between.
  const open = params - 2 - uri.length;
  return new ReadAddress(uri, found[4], text, open - (found[1] as string).length, open, params, end);
}

/** `quickAddresses` by a pattern. */
export function addressesByPattern(text: string, at: number): NameAddr[] | undefined {
  const all: NameAddr[] = [];
  for (let from = at; ; ) {
    const found = matchAt(LISTED, text, from);
    if (found === null) return undefined;
    const end = LISTED.lastIndex;
    all.push(new ListedAddress(found[2] as string, text, from, end));
    if (text.charCodeAt(end) !== 44) return all;
    from = end + 1;
  }
}

/** Reads one value. Throws SipSyntaxError; `what` names the header in it. */
export function parseNameAddr(text: string, what = 'address'): NameAddr {
  return readAddress(text, what);
}

/** Reads a comma list. Throws SipSyntaxError. */
export function parseNameAddrs(text: string, what = 'address'): readonly NameAddr[] {
  const found: NameAddr[] = [];
  readAddresses(text, what, found);
  return found;
}

/** Reads the only value of a text. */
export function readAddress(text: string, what: string): NameAddr {
  const { address, stop } = read(text, 0, text.length, what);
  if (stop !== text.length) throw new SipSyntaxError(what, 'one value is expected');
  return address;
}

/** Reads all values of a text into `found`. */
export function readAddresses(text: string, what: string, found: NameAddr[]): void {
  for (let i = 0; ; i += 1) {
    const { address, stop } = read(text, i, text.length, what);
    found.push(address);
    if (stop >= text.length) return;
    i = stop;
  }
}

/** An address, and where the next one of a list may begin: at a comma, or at the end. */
interface Found {
  readonly address: NameAddr;
  readonly stop: number;
}

function read(text: string, from: number, end: number, what: string): Found {
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
  const tag = paramIn(text, close + 1, stop, 'tag');
  const address = new ReadAddress(text.slice(open + 1, close), tag, text, start, displayEnd, close + 1, stop);
  return { address, stop };
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
function readBare(text: string, start: number, end: number, what: string): Found {
  let i = start;
  while (i < end) {
    const code = text.charCodeAt(i);
    if (code === 59 || code === 44 || code === 32 || code === 9) break;
    if (code === 63) throw new SipSyntaxError(what, 'a URI with a question mark needs <>');
    i += 1;
  }
  checkUri(text, start, i, what);
  const stop = passParams(text, i, end, what);
  const tag = paramIn(text, i, stop, 'tag');
  return { address: new ReadAddress(text.slice(start, i), tag, text, start, start, i, stop), stop };
}

/** What a name-addr is made of when written. */
export interface NameAddrInit {
  /** Unicode; it is quoted when written. */
  readonly display?: string | undefined;
  /** Without angle brackets. */
  readonly uri: string;
  /** Header parameters, after the closing bracket. */
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
