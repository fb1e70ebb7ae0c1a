import { SipSyntaxError } from '../errors.ts';
import { allOf, passClass, skipSpace, TOKEN, trimEnd } from './chars.ts';
import { HOT, identify, idOf, isWords, LONG, MAX_FORWARDS, severalOf, VIA } from './names.ts';
import { refuseBreaks, toWire } from './text.ts';

/** Set in an index entry when the value is folded over lines. */
const FOLDED = 128;
/** Bits of an index entry below the place of the value: the fold and the number of the name. */
const PLACE_SHIFT = 8;
const ID_MASK = 127;

/** Bits of a hot place below the place of the value: those of the name's number. */
export const HOT_BITS = 4;
export const HOT_MASK = 15;

/** An array gives several values: of a list of words joined on one line, of any other header a line each. */
export type HeaderValue = string | number | readonly string[];

/**
 * The header lines of one message. What was read stays text, with the places of the first line of each hot header;
 * only when somebody asks for another header is every line looked at, and an index made: for each line a pair of
 * numbers, the place of its value with the number of its name, and the value's end. The first change turns that into
 * lists, and a message that was made has these at once.
 */
export class HeaderLines {
  /** The head of a message that was read; '' once it is lists. */
  declare head: string;
  /** The same as bytes. */
  declare bytes: Uint8Array;
  /** Where the first header line begins. */
  declare private readonly start: number;
  /** By number of a hot name, where the value of its first line begins; 0 when there is none. */
  declare private firsts: readonly number[];
  /** A bit by number of each hot name that is on several lines. */
  declare private readonly again: number;
  /** The places of their further lines with their numbers, in the order of the lines. */
  declare private readonly more: readonly number[] | undefined;
  /** What stands in place of the first Via line of what was read, when something was written into it. */
  declare private via: string | undefined;
  declare private index: number[] | undefined;
  /** With `names` and `values` what the lines are, once `toLists` was called. */
  declare ids: number[];
  declare names: string[];
  declare values: string[];

  constructor(
    head: string,
    bytes: Uint8Array,
    start: number,
    firsts: readonly number[],
    again: number,
    more: readonly number[] | undefined,
  ) {
    this.head = head;
    this.bytes = bytes;
    this.start = start;
    this.firsts = firsts;
    this.again = again;
    this.more = more;
    this.via = undefined;
    this.index = undefined;
    this.ids = NO_IDS;
    this.names = NO_TEXTS;
    this.values = NO_TEXTS;
    if (head === '') this.startLists();
  }

  copy(): HeaderLines {
    const twin = new HeaderLines(this.head, this.bytes, this.start, this.firsts, this.again, this.more);
    twin.index = this.index;
    twin.via = this.via;
    if (this.head !== '') return twin;
    twin.ids = this.ids.slice();
    twin.names = this.names.slice();
    twin.values = this.values.slice();
    return twin;
  }

  /** Where in `head` the first value of a hot header begins; 0 when it has to be looked for by other ways. */
  place(id: number): number {
    return id === VIA && this.via !== undefined ? 0 : (this.firsts[id] as number);
  }

  /** Puts another value, known to be clean, in place of the first Via line. */
  rewriteVia(value: string): void {
    if (this.head === '') this.values[this.ids.indexOf(VIA)] = value;
    else this.via = value;
  }

  /** The same, but 0 as well when the header has several lines. */
  onlyPlace(id: number): number {
    return (this.again & (1 << id)) === 0 ? this.place(id) : 0;
  }

  /** The first value of a hot header, unfolded and trimmed. */
  first(id: number): string | undefined {
    if (this.head === '') {
      const at = this.ids.indexOf(id);
      return at < 0 ? undefined : this.values[at];
    }
    if (id === VIA && this.via !== undefined) return this.via;
    const at = this.firsts[id] as number;
    return at === 0 ? undefined : valueAt(this.head, at);
  }

  /**
   * The first value of a hot header of what was read, with the one blank before it, if it is written the usual way: on
   * one line, between one blank and the line's end. Else ''.
   */
  plainValue(id: number): string {
    return this.head === '' ? '' : plainAt(this.head, this.firsts[id] as number);
  }

  /** All Via lines with their ends, as they are to be copied; '' when one of them is not written the usual way. */
  plainVias(): string {
    const { head, via } = this;
    if (head === '') return '';
    const first = via === undefined ? plainAt(head, this.firsts[VIA] as number) : ` ${via}`;
    if (first === '') return '';
    let lines = `Via:${first}\r\n`;
    if (this.more === undefined || (this.again & (1 << VIA)) === 0) return lines;
    for (let i = 0; i < this.more.length; i += 1) {
      const place = this.more[i] as number;
      if ((place & HOT_MASK) !== VIA) continue;
      const next = plainAt(head, place >> HOT_BITS);
      if (next === '') return '';
      lines += `Via:${next}\r\n`;
    }
    return lines;
  }

  /** The place of the next line of that name from the place `from` on, or -1. */
  find(id: number, name: string, from: number): number {
    if (id !== 0) return this.findId(id, from);
    const lower = name.toLowerCase();
    for (let at = this.findId(0, from); at >= 0; at = this.findId(0, at + 1)) {
      if (this.nameAt(at).toLowerCase() === lower) return at;
    }
    return -1;
  }

  /** The place of the next line of a known header (with 0: of one that is not known). */
  findId(id: number, from: number): number {
    if (this.head === '') return this.ids.indexOf(id, from);
    const index = this.indexed();
    for (let i = from * 2; i < index.length; i += 2) {
      if (((index[i] as number) & ID_MASK) === id) return i >> 1;
    }
    return -1;
  }

  /** The name of a line: of a known header its long name, else as it was spelt. */
  nameAt(at: number): string {
    if (this.head === '') return this.names[at] as string;
    const { head } = this;
    const entry = this.indexed()[at * 2] as number;
    if ((entry & ID_MASK) !== 0) return LONG[entry & ID_MASK] as string;
    const colon = (entry >> PLACE_SHIFT) - 1;
    const start = head.lastIndexOf('\n', colon) + 1;
    return head.slice(start, trimEnd(head, start, colon));
  }

  /** The value of a line, unfolded and trimmed. */
  lineAt(at: number): string {
    if (this.head === '') return this.values[at] as string;
    const { head } = this;
    const index = this.indexed();
    const entry = index[at * 2] as number;
    const end = index[at * 2 + 1] as number;
    if (this.via !== undefined && entry >> PLACE_SHIFT === this.firsts[VIA]) return this.via;
    if ((entry & FOLDED) !== 0) return unfold(head.slice(entry >> PLACE_SHIFT, end));
    const start = skipSpace(head, entry >> PLACE_SHIFT, end);
    return plain(head.slice(start, trimEnd(head, start, end)));
  }

  /** All values of a known header, line by line. */
  known(id: number): string[] {
    return this.lines(id, '');
  }

  lines(id: number, name: string): string[] {
    if (id !== 0 && id < HOT && this.head !== '') return this.hot(id);
    const found: string[] = [];
    for (let at = this.find(id, name, 0); at >= 0; at = this.find(id, name, at + 1))
      found.push(this.lineAt(at));
    return found;
  }

  /** All values of a hot header of what was read. */
  private hot(id: number): string[] {
    const first = this.first(id);
    if (first === undefined) return [];
    const found = [first];
    if (this.more === undefined || (this.again & (1 << id)) === 0) return found;
    for (const place of this.more) {
      if ((place & HOT_MASK) === id) found.push(valueAt(this.head, place >> HOT_BITS));
    }
    return found;
  }

  /** The number of a header that is there twice though it may come once only; 0 when there is none. */
  repeated(): number {
    if (this.head !== '') {
      const twice = this.again & ~severalOf;
      return twice === 0 ? 0 : 31 - Math.clz32(twice);
    }
    let seen = 0;
    for (const id of this.ids) {
      if (id === 0 || id > MAX_FORWARDS) continue;
      if ((seen & (1 << id) & ~severalOf) !== 0) return id;
      seen |= 1 << id;
    }
    return 0;
  }

  /**
   * The places of all lines. A line that is no header is left out: RFC 3261 §8.2.2 ignores malformed headers that are
   * not needed, and those that are needed will be missed.
   */
  private indexed(): number[] {
    if (this.index !== undefined) return this.index;
    const { head } = this;
    const index: number[] = [];
    let open = false;
    for (let at = this.start; ; ) {
      const line = head.indexOf('\n', at);
      const first = head.charCodeAt(at);
      if (line < 0 || line === at + 1) break;
      if (first === 32 || first === 9) {
        if (open) {
          index[index.length - 2] = (index[index.length - 2] as number) | FOLDED;
          index[index.length - 1] = line - 1;
        }
      } else {
        const name = passClass(head, at, line, TOKEN);
        const colon = skipSpace(head, name, line);
        open = name > at && head.charCodeAt(colon) === 58;
        if (open) index.push(((colon + 1) << PLACE_SHIFT) | identify(head, at, name), line - 1);
      }
      at = line + 1;
    }
    this.index = index;
    return index;
  }

  /** Turns what was read into lists. */
  toLists(): void {
    if (this.head === '') return;
    const index = this.indexed();
    const ids: number[] = [];
    const names: string[] = [];
    const values: string[] = [];
    for (let at = 0; at < index.length >> 1; at += 1) {
      ids.push((index[at * 2] as number) & ID_MASK);
      names.push(this.nameAt(at));
      values.push(this.lineAt(at));
    }
    this.ids = ids;
    this.names = names;
    this.values = values;
    this.index = undefined;
    this.head = '';
    this.bytes = NO_BYTES;
    this.firsts = NO_FIRSTS;
    this.via = undefined;
  }

  private startLists(): void {
    this.ids = [];
    this.names = [];
    this.values = [];
  }

  /** Appends a value that is known to be clean: it came out of a message. */
  push(id: number, value: string): void {
    this.ids.push(id);
    this.names.push(LONG[id] as string);
    this.values.push(value);
  }

  set(id: number, name: string, value: HeaderValue): void {
    const texts = toLines(id, name, value);
    this.toLists();
    const first = this.find(id, name, 0);
    if (first >= 0) this.drop(id, name);
    this.insert(first < 0 ? this.ids.length : first, id, name, texts);
  }

  add(id: number, name: string, value: HeaderValue): void {
    const texts = toLines(id, name, value);
    this.toLists();
    let last = -1;
    for (let at = this.find(id, name, 0); at >= 0; at = this.find(id, name, at + 1)) last = at;
    this.insert(last < 0 ? this.ids.length : last + 1, id, name, texts);
  }

  prepend(id: number, name: string, value: HeaderValue): void {
    const texts = toLines(id, name, value);
    this.toLists();
    this.insert(Math.max(0, this.find(id, name, 0)), id, name, texts);
  }

  drop(id: number, name: string): void {
    this.toLists();
    for (let at = this.find(id, name, 0); at >= 0; at = this.find(id, name, at)) this.cut(at);
  }

  /** Puts another value, known to be clean, in the place of one; undefined removes the line. */
  replace(at: number, value: string | undefined): void {
    this.toLists();
    if (value === undefined) this.cut(at);
    else this.values[at] = value;
  }

  private insert(at: number, id: number, name: string, texts: readonly string[]): void {
    const spelt = id === 0 ? name : (LONG[id] as string);
    const lines = texts.length > 1 && isWords(id) ? [texts.join(', ')] : texts;
    if (at === this.ids.length) {
      for (const line of lines) {
        this.ids.push(id);
        this.names.push(spelt);
        this.values.push(line);
      }
      return;
    }
    for (const [i, line] of lines.entries()) {
      this.ids.splice(at + i, 0, id);
      this.names.splice(at + i, 0, spelt);
      this.values.splice(at + i, 0, line);
    }
  }

  private cut(at: number): void {
    this.ids.splice(at, 1);
    this.names.splice(at, 1);
    this.values.splice(at, 1);
  }
}

/** The value at a place with the blank before it, if that is one and nothing else is about it; else ''. */
function plainAt(head: string, at: number): string {
  if (at === 0 || head.charCodeAt(at) !== 32 || head.charCodeAt(at + 1) <= 32) return '';
  const end = head.indexOf('\r', at);
  const next = head.charCodeAt(end + 2);
  // Neither a CR by itself, nor a blank at the end, nor a fold.
  if (head.charCodeAt(end + 1) !== 10 || head.charCodeAt(end - 1) <= 32 || next === 32 || next === 9)
    return '';
  return head.slice(at, end);
}

/** The value that begins at a place of a head, over all lines that it is folded on. */
function valueAt(head: string, at: number): string {
  let line = head.indexOf('\n', at);
  let folded = false;
  for (let next = head.charCodeAt(line + 1); next === 32 || next === 9; next = head.charCodeAt(line + 1)) {
    line = head.indexOf('\n', line + 1);
    folded = true;
  }
  if (folded) return unfold(head.slice(at, line - 1));
  const start = skipSpace(head, at, line - 1);
  return plain(head.slice(start, trimEnd(head, start, line - 1)));
}

/** Header lines to be filled. */
export function emptyLines(): HeaderLines {
  return new HeaderLines('', NO_BYTES, 0, NO_FIRSTS, 0, undefined);
}

/** No first lines yet: a place for each hot name. */
export const NO_FIRSTS: readonly number[] = Array.from({ length: HOT }, () => 0);
const NO_BYTES = new Uint8Array(0);
const NO_IDS: number[] = [];
const NO_TEXTS: string[] = [];

/** RFC 3261 §7.3.1: a fold and the white space around it are one space. */
export function unfold(text: string): string {
  // Line by line, since a pattern that begins with white space would look at long runs of it again and again.
  const parts: string[] = [];
  for (let at = 0; at < text.length; ) {
    const found = text.indexOf('\r\n', at);
    const end = found < 0 ? text.length : found;
    const start = skipSpace(text, at, end);
    const stop = trimEnd(text, start, end);
    if (stop > start) parts.push(text.slice(start, stop));
    at = end + 2;
  }
  return plain(parts.join(' '));
}

/** A CR by itself in a value that nobody reads would be a line end for some: it is shown, and passed on, as a blank. */
function plain(value: string): string {
  return value.includes('\r') ? value.replaceAll('\r', ' ').trim() : value;
}

/** What most values are: visible ASCII that neither begins nor ends with a blank. One test, and nothing is to be done. */
const CLEAN = /^[!-~](?:[ -~]*[!-~])?$/;

/** Whether a value can go on a line as it is. */
export function isClean(value: string): boolean {
  return CLEAN.test(value);
}

function toLines(id: number, name: string, value: HeaderValue): string[] {
  if (id === 0 && !allOf(TOKEN, name)) throw new SipSyntaxError('header name', `"${name}" is no token`);
  return typeof value === 'object' ? value.map((one) => toLine(name, one)) : [toLine(name, String(value))];
}

function toLine(name: string, value: string): string {
  if (CLEAN.test(value)) return value;
  refuseBreaks(name, value);
  const start = skipSpace(value, 0, value.length);
  return toWire(value.slice(start, trimEnd(value, start, value.length)));
}

/** Sets several headers at once; those that are undefined are left out. */
export function setAll(lines: HeaderLines, headers: Readonly<Record<string, HeaderValue | undefined>>): void {
  for (const name in headers) {
    const value = headers[name];
    if (value !== undefined && Object.hasOwn(headers, name)) lines.set(idOf(name), name, value);
  }
}
