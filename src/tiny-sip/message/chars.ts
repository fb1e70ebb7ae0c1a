/**
 * Which characters may stand where: a table by char code for each class, 1 where the character belongs to it. Headers
 * are latin1 text, so every code is below 256. The names are those of RFC 3261 §25.1.
 */

export type CharClass = Uint8Array;

const ALNUM = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
const HEX_DIGITS = '0123456789abcdefABCDEF';
const UNRESERVED = `${ALNUM}-_.!~*'()`;

function classOf(chars: string): CharClass {
  const table = new Uint8Array(256);
  for (const char of chars) table[char.charCodeAt(0)] = 1;
  return table;
}

const USER_CHARS = `${UNRESERVED}&=+$,;?/`;
const PARAM_CHARS = `${UNRESERVED}[]/:&+$`;
const TOKEN_CHARS = `${ALNUM}-.!%*_+\`'~`;

/** token: method, header name, parameter name, tag, branch. */
export const TOKEN: CharClass = classOf(TOKEN_CHARS);
/** token with SP: a display name without quotes. */
export const WORDS: CharClass = classOf(`${TOKEN_CHARS} `);
/** token without capitals: a media type as nearly everybody writes it. */
export const LOWER_TOKEN: CharClass = classOf(TOKEN_CHARS.replace(/[A-Z]/g, ''));
/** Any character of a URI (reserved, unreserved, `%`, and the brackets of IPv6). */
export const URI: CharClass = classOf(`${UNRESERVED};/?:@&=+$,%[]`);
/** user: unreserved, user-unreserved; `%` counts, its digits are checked apart. */
export const USER: CharClass = classOf(`${USER_CHARS}%`);
/** user without `%`. */
export const PLAIN_USER: CharClass = classOf(USER_CHARS);
/** password: fewer than user has, so that no `;` or `?` is in doubt; `%` counts, its digits are checked apart. */
export const PASSWORD: CharClass = classOf(`${UNRESERVED}&=+$,%`);
/** host name: letters, digits, `-`, `.`; `_` besides, since machines carry it. */
export const HOST: CharClass = classOf(`${ALNUM}-._`);
/** word: Call-ID. */
export const WORD: CharClass = classOf(`${TOKEN_CHARS}()<>:\\"/[]?{}`);
/**
 * A parameter value without quotes. The grammar has token, host; on the wire there is base64 and more, so anything
 * visible passes that does not end the value.
 */
export const VALUE: CharClass = classOf(`${TOKEN_CHARS}[]:/=@?&$#^{}|()`);
/** uri-parameter, name or value. */
export const PARAM: CharClass = classOf(`${PARAM_CHARS}%`);
/** uri-parameter without `%`. */
export const PLAIN_PARAM: CharClass = classOf(PARAM_CHARS);
/** header of a URI, name or value. */
export const HEADER: CharClass = classOf(`${UNRESERVED}%[]/?:+$`);
/** scheme after its first letter. */
export const SCHEME: CharClass = classOf(`${ALNUM}+-.`);
/** IPv6 address, without the brackets. */
export const IPV6: CharClass = classOf(`${HEX_DIGITS}:.`);
/** A hexadecimal digit. */
export const HEX: CharClass = classOf(HEX_DIGITS);
/** Inside a quoted string, without `"` and `\`. */
export const QUOTED: CharClass = Uint8Array.from({ length: 256 }, (_none, code) =>
  code >= 32 && code !== 34 && code !== 92 && code !== 127 ? 1 : 0,
);

/** Whether all of a text is of one class and it is not empty. */
export function allOf(table: CharClass, text: string): boolean {
  return text.length > 0 && passClass(text, 0, text.length, table) === text.length;
}

/** Passes over the characters of a class. */
export function passClass(text: string, from: number, end: number, table: CharClass): number {
  let i = from;
  while (i < end && table[text.charCodeAt(i)] === 1) i += 1;
  return i;
}

/** Passes over SP and HTAB. */
export function skipSpace(text: string, from: number, end: number): number {
  let i = from;
  while (i < end) {
    const code = text.charCodeAt(i);
    if (code !== 32 && code !== 9) break;
    i += 1;
  }
  return i;
}

/** Steps back over SP and HTAB. */
export function trimEnd(text: string, from: number, end: number): number {
  let i = end;
  while (i > from) {
    const code = text.charCodeAt(i - 1);
    if (code !== 32 && code !== 9) break;
    i -= 1;
  }
  return i;
}
