import { SipSyntaxError } from '../errors.ts';
import { allOf, skipSpace, TOKEN, trimEnd } from './chars.ts';
import { idOf, isWords, LONG, MAX_FORWARDS, severalOf } from './names.ts';
import { refuseBreaks, toWire } from './text.ts';

/** Set in an index entry when the value is folded over lines. */
export const FOLDED = 128;
/** Bits of an index entry below the place of the value: the fold and the number of the name. */
export const PLACE_SHIFT = 8;
const ID_MASK = 127;

/** An array gives several values: of a list of words joined on one line, of any other header a line each. */
export type HeaderValue = string | number | readonly string[];

/**
 * The header lines of one message, in one of two forms. What was read is the text of the head and an index: for every
 * line a pair of numbers, the place of its value with the number of its name, and the value's end; nothing is taken
 * out before it is asked for. The first change turns that into lists, and a message that was made has these at once.
 */
export class HeaderLines {
  declare private head: string;
  declare private index: number[] | undefined;
  /** With `names` and `values` what the lines are, once `toLists` was called. */
  declare ids: number[];
  declare names: string[];
  declare values: string[];

  constructor(head: string, index: number[] | undefined) {
    this.head = head;
    this.index = index;
    this.ids = index === undefined ? [] : NO_IDS;
    this.names = index === undefined ? [] : NO_TEXTS;
    this.values = index === undefined ? [] : NO_TEXTS;
  }

  copy(): HeaderLines {
    const twin = new HeaderLines(this.head, this.index);
    if (this.index !== undefined) return twin;
    twin.ids = this.ids.slice();
    twin.names = this.names.slice();
    twin.values = this.values.slice();
    return twin;
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
    const { index } = this;
    if (index === undefined) return this.ids.indexOf(id, from);
    for (let i = from * 2; i < index.length; i += 2) {
      if (((index[i] as number) & ID_MASK) === id) return i >> 1;
    }
    return -1;
  }

  /** The name of a line: of a known header its long name, else as it was spelt. */
  nameAt(at: number): string {
    const { index, head } = this;
    if (index === undefined) return this.names[at] as string;
    const id = (index[at * 2] as number) & ID_MASK;
    if (id !== 0) return LONG[id] as string;
    const colon = ((index[at * 2] as number) >> PLACE_SHIFT) - 1;
    const start = head.lastIndexOf('\n', colon) + 1;
    return head.slice(start, trimEnd(head, start, colon));
  }

  /** The value of a line, unfolded and trimmed. */
  lineAt(at: number): string {
    const { index, head } = this;
    if (index === undefined) return this.values[at] as string;
    const entry = index[at * 2] as number;
    const end = index[at * 2 + 1] as number;
    if ((entry & FOLDED) !== 0) return unfold(head.slice(entry >> PLACE_SHIFT, end));
    const start = skipSpace(head, entry >> PLACE_SHIFT, end);
    return head.slice(start, trimEnd(head, start, end));
  }

  lines(id: number, name: string): string[] {
    const found: string[] = [];
    for (let at = this.find(id, name, 0); at >= 0; at = this.find(id, name, at + 1))
      found.push(this.lineAt(at));
    return found;
  }

  /** Lets a reader read the first line of a known header where it stands, without taking it out of the head. */
  read<T>(id: number, reader: (text: string, from: number, end: number) => T): T | undefined {
    const at = this.findId(id, 0);
    if (at < 0) return undefined;
    const { index, head } = this;
    if (index !== undefined) {
      const entry = index[at * 2] as number;
      if ((entry & FOLDED) === 0) {
        const last = index[at * 2 + 1] as number;
        const start = skipSpace(head, entry >> PLACE_SHIFT, last);
        return reader(head, start, trimEnd(head, start, last));
      }
    }
    const line = this.lineAt(at);
    return reader(line, 0, line.length);
  }

  /** The number of a header that is there twice though it may come once only; 0 when there is none. */
  repeated(): number {
    const { index, ids } = this;
    let seen = 0;
    const length = index === undefined ? ids.length : index.length;
    for (let i = 0; i < length; i += index === undefined ? 1 : 2) {
      const id = index === undefined ? (ids[i] as number) : (index[i] as number) & ID_MASK;
      if (id === 0 || id > MAX_FORWARDS) continue;
      if ((seen & (1 << id) & ~severalOf) !== 0) return id;
      seen |= 1 << id;
    }
    return 0;
  }

  /** Turns the index into lists. */
  toLists(): void {
    const { index } = this;
    if (index === undefined) return;
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
  }

  /** Appends a value that is known to be clean: it came out of a message. */
  push(id: number, value: string): void {
    this.ids.push(id);
    this.names.push(LONG[id] as string);
    this.values.push(value);
  }

  set(id: number, name: string, value: HeaderValue): void {
    const texts = toLines(name, value);
    const first = this.find(id, name, 0);
    this.drop(id, name);
    this.insert(first < 0 ? this.ids.length : first, id, name, texts);
  }

  add(id: number, name: string, value: HeaderValue): void {
    const texts = toLines(name, value);
    this.toLists();
    let last = -1;
    for (let at = this.find(id, name, 0); at >= 0; at = this.find(id, name, at + 1)) last = at;
    this.insert(last < 0 ? this.ids.length : last + 1, id, name, texts);
  }

  prepend(id: number, name: string, value: HeaderValue): void {
    const texts = toLines(name, value);
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
    const lines = isWords(id) && texts.length > 1 ? [texts.join(', ')] : texts;
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
  return parts.join(' ');
}

function toLines(name: string, value: HeaderValue): string[] {
  if (!allOf(TOKEN, name)) throw new SipSyntaxError('header name', `"${name}" is no token`);
  return typeof value === 'object' ? value.map((one) => toLine(name, one)) : [toLine(name, String(value))];
}

function toLine(name: string, value: string): string {
  refuseBreaks(name, value);
  const start = skipSpace(value, 0, value.length);
  return toWire(value.slice(start, trimEnd(value, start, value.length)));
}

/** Sets several headers at once; those that are undefined are left out. */
export function setAll(lines: HeaderLines, headers: Readonly<Record<string, HeaderValue | undefined>>): void {
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) lines.set(idOf(name), name, value);
  }
}
