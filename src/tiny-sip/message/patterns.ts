import {
  type CharClass,
  HOST,
  IPV6,
  LOWER_TOKEN,
  PLAIN_PARAM,
  PLAIN_USER,
  QUOTED,
  TOKEN,
  VALUE,
  WORD,
  WORDS,
} from './chars.ts';

/**
 * The usual shapes of values as patterns, for a Node that compiles nothing. There a loop in JavaScript costs some
 * 35 ns for each character it looks at, and the engine of regular expressions, which is interpreted as well, a tenth
 * of that: one call of it checks a value and takes it apart. Where loops are compiled those of `pass.ts` are quicker.
 * Both let the same through, and leave the same to the careful readers; a property test holds them to it.
 *
 * Each pattern stands where `lastIndex` says (`y`), and none can look at a character more than a few times: what
 * follows a loop is never of its class.
 */

/**
 * Whether loops are compiled. `--lite-mode` and `--jitless` take the compiler away, and WebAssembly with it, which is
 * how a program can tell. With WebAssembly hidden by other means the patterns are used, and only cost a little.
 */
export const compiled: boolean = 'WebAssembly' in globalThis;

/** A class of characters as a pattern writes it. */
function classOf(table: CharClass): string {
  let text = '';
  for (let code = 0; code < 256; ) {
    if (table[code] !== 1) {
      code += 1;
      continue;
    }
    const from = code;
    while (code < 256 && table[code] === 1) code += 1;
    text += `${codePoint(from)}-${codePoint(code - 1)}`;
  }
  return `[${text}]`;
}

function codePoint(code: number): string {
  return `\\x${code.toString(16).padStart(2, '0')}`;
}

const token = classOf(TOKEN);
const value = classOf(VALUE);
const quoted = `"${classOf(QUOTED)}*"`;
const host = classOf(HOST);
const blanks = '[ \\t]*';
/** The end of a line that the next one does not carry on. */
const endOfLine = '\\r\\n(?![ \\t])';
const paramValue = `(?:${quoted}|${value}+)`;
const params = `(?:;${blanks}${token}+(?:=${paramValue})?)*`;
/** Four digits, or five below 60000. */
const port = '(?:[0-5]\\d{4}|\\d{1,4})';
const uri =
  `sips?:(?:${classOf(PLAIN_USER)}+@)?${host}+(?::${port})?` +
  `(?:;${classOf(PLAIN_PARAM)}+(?:=${classOf(PLAIN_PARAM)}*)?)*`;
const display = `(?:${quoted}${blanks}|${classOf(WORDS)}*)`;

/** Method, Request-URI. */
export const REQUEST_LINE: RegExp = new RegExp(`(${token}+) (${uri}) SIP/2\\.0\\r\\n`, 'y');

/** One to nine digits. */
export const NUMBER: RegExp = new RegExp(`${blanks}(\\d{1,9})${endOfLine}`, 'y');
/** Number, method. */
export const CSEQ_VALUE: RegExp = new RegExp(`${blanks}(\\d{1,9}) ${blanks}(${token}+)${endOfLine}`, 'y');
export const CALL_ID_VALUE: RegExp = new RegExp(
  `${blanks}(${classOf(WORD)}+(?:@${classOf(WORD)}+)?)${endOfLine}`,
  'y',
);
/** The package of an Event without parameters. */
export const EVENT_VALUE: RegExp = new RegExp(`${blanks}(${token}+)${endOfLine}`, 'y');
/** Essence, parameters. */
export const TYPE_VALUE: RegExp = new RegExp(
  `${blanks}(${classOf(LOWER_TOKEN)}+/${classOf(LOWER_TOKEN)}+)(${params})${endOfLine}`,
  'y',
);

/**
 * Display name with what is behind it, URI, parameters, tag. A parameter that begins like a tag and is none is left to
 * the careful reader.
 */
export const ADDRESS: RegExp = new RegExp(
  `${blanks}(${display})<(${uri})>((?:;tag=(${value}+)${params}|(?:;${blanks}(?![tT])${token}+(?:=${paramValue})?)*))` +
    `(?=${endOfLine})`,
  'y',
);
/** Display name with what is behind it, URI, parameters; ends before the comma or the end of the line. */
export const LISTED: RegExp = new RegExp(`${blanks}(${display})<(${uri})>(${params})(?=,|${endOfLine})`, 'y');

/** Transport, host, IPv6 host, port, parameters, branch. A parameter like `branch` in another spelling is left. */
export const VIA_VALUE: RegExp = new RegExp(
  `${blanks}SIP/2\\.0/(${token}+) (?:(${host}+)|\\[(${classOf(IPV6)}+)\\])(?::(${port}))?` +
    `((?:;(?![bB])${token}+(?:=${paramValue})?)*(?:;branch=(${paramValue})(?:;${token}+(?:=${paramValue})?)*)?)` +
    `(?=,|${endOfLine})`,
  'y',
);

/** What a pattern finds at a place. */
export function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(text);
}
