import { type CharClass, HOST, PLAIN_PARAM, PLAIN_USER, QUOTED, TOKEN, VALUE } from './chars.ts';

/**
 * Passing over the usual shapes of values, on bytes. What gets through is right by the grammar; what does not (-1) may
 * be right all the same (escapes, folds, blanks, IPv6, other schemes), and then the careful readers beside the types
 * have the say. Both give the same values, and a property test holds them to it.
 *
 * Bytes and not the text, because a compiled loop over bytes costs half of one over the characters of a string, and
 * less than a call of a regular expression. Every place is inside a head, whose last bytes are CRLF CRLF: a loop over
 * any class of characters ends there at the latest.
 */

/** A word to compare with, as bytes. */
export function word(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}

/** Whether the word stands at that place. */
export function isWord(bytes: Uint8Array, at: number, expected: Uint8Array): boolean {
  const { length } = expected;
  let i = 0;
  while (i < length && bytes[at + i] === expected[i]) i += 1;
  return i === length;
}

/** Passes over characters of a class. */
export function passBytes(bytes: Uint8Array, from: number, table: CharClass): number {
  let i = from;
  while (table[bytes[i] as number] === 1) i += 1;
  return i;
}

export function passBlanks(bytes: Uint8Array, from: number): number {
  let i = from;
  while (bytes[i] === 32 || bytes[i] === 9) i += 1;
  return i;
}

/** Whether the line ends here and the next one is no fold of it. */
export function endsLine(bytes: Uint8Array, at: number): boolean {
  return bytes[at] === 13 && bytes[at + 1] === 10 && bytes[at + 2] !== 32 && bytes[at + 2] !== 9;
}

/** A quoted string without escapes; the place after it. */
export function passPlainQuoted(bytes: Uint8Array, from: number): number {
  const end = passBytes(bytes, from + 1, QUOTED);
  return bytes[end] === 34 ? end + 1 : -1;
}

/** `*( ";" token [ "=" value ] )`, blanks after the semicolon only. */
export function passPlainParams(bytes: Uint8Array, from: number): number {
  let i = from;
  while (bytes[i] === 59) {
    const name = passBlanks(bytes, i + 1);
    i = passBytes(bytes, name, TOKEN);
    if (i === name) return -1;
    if (bytes[i] === 61) {
      i = passPlainValue(bytes, i + 1);
      if (i < 0) return -1;
    }
  }
  return i;
}

/** The value of a parameter. */
export function passPlainValue(bytes: Uint8Array, from: number): number {
  if (bytes[from] === 34) return passPlainQuoted(bytes, from);
  const i = passBytes(bytes, from, VALUE);
  return i === from ? -1 : i;
}

/** A sip or sips URI with a name or an IPv4 address, without escapes, password and headers. */
export function passPlainUri(bytes: Uint8Array, from: number): number {
  if (bytes[from] !== 115 || bytes[from + 1] !== 105 || bytes[from + 2] !== 112) return -1;
  let i = bytes[from + 3] === 115 ? from + 4 : from + 3;
  if (bytes[i] !== 58) return -1;
  let host = i + 1;
  i = passBytes(bytes, host, PLAIN_USER);
  if (bytes[i] === 64) {
    if (i === host) return -1;
    host = i + 1;
  }
  i = passBytes(bytes, host, HOST);
  if (i === host) return -1;
  if (bytes[i] === 58) {
    i = passPlainPort(bytes, i + 1);
    if (i < 0) return -1;
  }
  while (bytes[i] === 59) {
    const name = i + 1;
    i = passBytes(bytes, name, PLAIN_PARAM);
    if (i === name) return -1;
    if (bytes[i] === 61) i = passBytes(bytes, i + 1, PLAIN_PARAM);
  }
  return i;
}

/** One to four digits, or five below 60000. */
export function passPlainPort(bytes: Uint8Array, from: number): number {
  let i = from;
  while ((bytes[i] as number) >= 48 && (bytes[i] as number) <= 57) i += 1;
  const digits = i - from;
  return digits === 0 || digits > 5 || (digits === 5 && (bytes[from] as number) > 53) ? -1 : i;
}

/** The number that digits make: at most nine of them. */
export function numberIn(bytes: Uint8Array, from: number, end: number): number {
  let value = 0;
  for (let i = from; i < end; i += 1) value = value * 10 + (bytes[i] as number) - 48;
  return value;
}

/** One to nine digits. */
export function passDigits(bytes: Uint8Array, from: number): number {
  let i = from;
  while ((bytes[i] as number) >= 48 && (bytes[i] as number) <= 57) i += 1;
  return i === from || i - from > 9 ? -1 : i;
}
