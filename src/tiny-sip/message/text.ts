import { SipSyntaxError } from '../errors.ts';

/**
 * Inside the stack a header is *wire text*: a string with one char per byte. People's text is UTF-8 on the wire,
 * and becomes Unicode only where it is shown.
 */

/** Wire text to Unicode. What is not UTF-8 stays as it is, that is, reads as latin1. */
export function fromWire(wire: string): string {
  if (isAscii(wire)) return wire;
  const bytes = Buffer.from(wire, 'latin1');
  return isUtf8(bytes) ? bytes.toString('utf8') : wire;
}

/**
 * Unicode or wire text to wire text. Text whose chars already are the bytes of UTF-8 stays as it is, so that a value
 * read from one message can be put into another; anything else is encoded.
 */
export function toWire(text: string): string {
  if (isAscii(text)) return text;
  if (isBytes(text) && isUtf8(Buffer.from(text, 'latin1'))) return text;
  return Buffer.from(text, 'utf8').toString('latin1');
}

/** quoted-string of a text (RFC 3261 §25.1). Throws on CR and LF, which cannot be escaped, and on NUL. */
export function quote(text: string): string {
  refuseBreaks('quoted string', text);
  return `"${toWire(text).replace(/["\\]/g, '\\$&')}"`;
}

/** The text of a quoted-string, as wire text; any other value is answered as it is. */
export function unquote(value: string): string {
  if (value.length < 2 || value.charCodeAt(0) !== 34 || value.charCodeAt(value.length - 1) !== 34)
    return value;
  const inner = value.slice(1, -1);
  // quoted-pair: the backslash stands for the next character, whichever it is.
  return inner.includes('\\') ? inner.replace(/\\([\s\S])/g, '$1') : inner;
}

/**
 * A copy that shares no memory with the message it was read from. Pieces of a message are views that keep its whole
 * head alive: detach what goes into a table that outlives it.
 */
export function detach(text: string): string {
  return isBytes(text)
    ? Buffer.from(text, 'latin1').toString('latin1')
    : Buffer.from(text, 'utf16le').toString('utf16le');
}

/**
 * The same for a text that was put together of several pieces: it is made one, and the pieces are let go. Cheaper than
 * `detach`, for tables that are searched for every message.
 */
export function joined(text: string): string {
  // Looking at one character makes V8 write the pieces into one string, and keep that.
  text.charCodeAt(0);
  return text;
}

/** Throws when a value would break out of its line (CR, LF) or stop short for others (NUL). */
export function refuseBreaks(what: string, value: string): void {
  // Three searches of native speed; a regular expression would look at every character by itself.
  if (value.includes('\r') || value.includes('\n') || value.includes('\0'))
    throw new SipSyntaxError(what, 'CR, LF and NUL may not be written');
}

/** Patterns, which are compiled even where loops are not. */
const NOT_ASCII = /[\x80-\uffff]/;
const NOT_BYTES = /[\u0100-\uffff]/;

function isAscii(text: string): boolean {
  return !NOT_ASCII.test(text);
}

function isBytes(text: string): boolean {
  return !NOT_BYTES.test(text);
}

function isUtf8(bytes: Buffer): boolean {
  return Buffer.from(bytes.toString('utf8'), 'utf8').equals(bytes);
}
