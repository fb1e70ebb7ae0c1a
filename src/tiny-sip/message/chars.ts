/**
 * Which characters may stand where, as one table of bits by char code. Headers are latin1 text, so every code is
 * below 256. The names are those of RFC 3261 §25.1.
 */

/** token: method, header name, parameter name, tag, branch. */
export const TOKEN = 1;
/** Any character of a URI (reserved, unreserved, `%`, and the brackets of IPv6). */
export const URI = 2;
/** user: unreserved, user-unreserved; `%` counts, its digits are checked apart. */
export const USER = 4;
/** host name: letters, digits, `-`, `.`; `_` besides, since machines carry it. */
export const HOST = 8;
/** word: Call-ID. */
export const WORD = 16;
/**
 * A parameter value without quotes. The grammar has token, host; on the wire there is base64 and more, so anything
 * visible passes that does not end the value.
 */
export const VALUE = 32;
/** uri-parameter, name or value. */
export const PARAM = 64;
/** header of a URI, name or value. */
export const HEADER = 128;
/** scheme after its first letter. */
export const SCHEME = 256;
/** IPv6 address, without the brackets. */
export const IPV6 = 512;
/** A hexadecimal digit. */
export const HEX = 1024;
/** Inside a quoted string, without `"` and `\`. */
export const QUOTED = 2048;
/** user without `%`. */
export const PLAIN_USER = 4096;
/** uri-parameter without `%`. */
export const PLAIN_PARAM = 8192;

const ALNUM = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
const HEX_DIGITS = '0123456789abcdefABCDEF';
const UNRESERVED = `${ALNUM}-_.!~*'()`;

const CHARACTERS = {
  token: `${ALNUM}-.!%*_+\`'~`,
  uri: `${UNRESERVED};/?:@&=+$,%[]`,
  user: `${UNRESERVED}%&=+$,;?/`,
  host: `${ALNUM}-._`,
  word: `${ALNUM}-.!%*_+\`'~()<>:\\"/[]?{}`,
  value: `${ALNUM}-.!%*_+\`'~[]:/=@?&$#^{}|()`,
  param: `${UNRESERVED}%[]/:&+$`,
  header: `${UNRESERVED}%[]/?:+$`,
  scheme: `${ALNUM}+-.`,
  ipv6: `${HEX_DIGITS}:.`,
} as const;

function build(): Uint16Array {
  const table = new Uint16Array(256);
  const mark = (bit: number, chars: string): void => {
    for (const char of chars) {
      const code = char.charCodeAt(0);
      table[code] = (table[code] ?? 0) | bit;
    }
  };
  mark(TOKEN, CHARACTERS.token);
  mark(URI, CHARACTERS.uri);
  mark(USER, CHARACTERS.user);
  mark(HOST, CHARACTERS.host);
  mark(WORD, CHARACTERS.word);
  mark(VALUE, CHARACTERS.value);
  mark(PARAM, CHARACTERS.param);
  mark(HEADER, CHARACTERS.header);
  mark(SCHEME, CHARACTERS.scheme);
  mark(IPV6, CHARACTERS.ipv6);
  mark(HEX, HEX_DIGITS);
  mark(PLAIN_USER, CHARACTERS.user.replace('%', ''));
  mark(PLAIN_PARAM, CHARACTERS.param.replace('%', ''));
  for (let code = 32; code < 256; code += 1) {
    if (code !== 34 && code !== 92 && code !== 127) mark(QUOTED, String.fromCharCode(code));
  }
  return table;
}

/** Bits by char code. */
export const CHARS: Uint16Array = build();

/** Whether the char code belongs to the class; codes above 255 belong to none. */
export function is(bit: number, code: number): boolean {
  return ((CHARS[code] as number) & bit) !== 0;
}

/** Whether all of a text is of one class and it is not empty. */
export function allOf(bit: number, text: string): boolean {
  for (let i = 0; i < text.length; i += 1) {
    if (!is(bit, text.charCodeAt(i))) return false;
  }
  return text.length > 0;
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
