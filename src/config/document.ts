import {
  type Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseAllDocuments,
  Scalar,
  type YAMLParseError,
} from 'yaml';
import { asError } from '../base/errors.ts';

/** Where something stands in the configuration: keys and list indexes from the root. */
export type Path = readonly (string | number)[];

/** A piece of one line. `line` and `column` start at 1. */
export interface Place {
  readonly line: number;
  readonly column: number;
  readonly length: number;
  /** The whole line, without its end. */
  readonly text: string;
}

/** What made the text no YAML. */
export interface SyntaxFault {
  readonly place: Place;
  readonly text: string;
  readonly expected: string;
}

/** One YAML text as plain data that still knows where everything stood. */
export interface ConfigDocument {
  /** Plain data; `undefined` when there are faults, `null` for an empty file. */
  readonly value: unknown;
  readonly faults: readonly SyntaxFault[];
  /** The last key of `path`, or of the nearest thing above it that exists. */
  keyPlace(path: Path): Place;
  /** The value at `path`; `offset` points at one character in it where the text is written on one line as it is. */
  valuePlace(path: Path, offset?: number): Place;
}

/** Aliases may repeat a block for each of many devices, but not explode ("billion laughs"). */
const MOST_ALIASES = 1000;

/** Reads one YAML 1.2 text. Never throws. */
export function parseConfigText(text: string): ConfigDocument {
  const lines = new LineCounter();
  const [first, ...more] = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false });
  const document = first && 'contents' in first ? first : undefined;
  const placeAt = (from: number, to: number): Place => placeIn(text, lines, from, to);

  const faults = oncePerLine((document?.errors ?? []).map((error) => describeFault(error, text, placeAt)));
  if (more[0]) {
    const at = text.indexOf('---', document?.range[1] ?? 0);
    faults.push({
      place: placeAt(Math.max(0, at), Math.max(0, at) + 3),
      text: 'a second document begins here',
      expected: 'one document in the file; remove the line "---"',
    });
  }

  let value: unknown;
  if (faults.length === 0) {
    try {
      value = document?.toJS({ maxAliasCount: MOST_ALIASES }) ?? null;
    } catch (error) {
      faults.push(describeAlias(asError(error), text, placeAt));
    }
  }

  return {
    value,
    faults,
    keyPlace: (path) => {
      const found = walk(document, path);
      const node = found.key ?? found.value;
      return node?.range ? placeAt(...extent(node)) : placeAt(0, 0);
    },
    valuePlace: (path, offset) => {
      const found = walk(document, path);
      const node = found.value;
      if (!node?.range) return found.key?.range ? placeAt(...extent(found.key)) : placeAt(0, 0);
      if (!isScalar(node)) return placeAt(...extent(found.key ?? node));
      const [from, to] = extent(node);
      if (offset === undefined) return placeAt(from, to);
      const start = from + (node.type === Scalar.QUOTE_DOUBLE || node.type === Scalar.QUOTE_SINGLE ? 1 : 0);
      // An escape or a folded line before the character moves it: then the whole value is shown.
      const straight = text.slice(start, start + offset) === String(node.value).slice(0, offset);
      return straight ? placeAt(start + offset, start + offset + 1) : placeAt(from, to);
    },
  };
}

interface Found {
  key?: Node;
  value?: Node;
}

/** Follows a path as far as it exists, through aliases. */
function walk(document: Document | undefined, path: Path): Found {
  let found: Found = document?.contents ? { value: document.contents as Node } : {};
  for (const step of path) {
    let node = found.value;
    if (document && isAlias(node)) node = node.resolve(document);
    if (isMap(node)) {
      const pair = node.items.find(
        (item: Pair) => isScalar(item.key) && String(item.key.value) === String(step),
      );
      if (!pair || !isNode(pair.key)) return found;
      found = { key: pair.key, ...(isNode(pair.value) && { value: pair.value }) };
    } else if (isSeq(node)) {
      const item = node.items[Number(step)];
      if (!isNode(item)) return found;
      found = { value: item };
    } else {
      return found;
    }
  }
  return found;
}

function extent(node: Node): [number, number] {
  const [from, to] = node.range ?? [0, 0];
  return [from, to];
}

function placeIn(text: string, lines: LineCounter, from: number, to: number): Place {
  const { line, col } = lines.linePos(Math.min(from, text.length));
  const begin = Math.min(from, text.length) - Math.max(0, col - 1);
  const newline = text.indexOf('\n', begin);
  const whole = text.slice(begin, newline < 0 ? text.length : newline).replace(/\r$/, '');
  const column = Math.max(1, col);
  // What goes on over several lines is marked to the end of its first one.
  const length = Math.max(1, Math.min(to - from, whole.length - column + 1));
  return { line: Math.max(1, line), column, length, text: whole };
}

/** The parser speaks of its grammar; people want to know which character to change. */
function describeFault(
  error: YAMLParseError,
  text: string,
  placeAt: (from: number, to: number) => Place,
): SyntaxFault {
  const place = placeAt(error.pos[0], error.pos[0] + 1);
  const plain = (what: string, expected: string): SyntaxFault => ({ place, text: what, expected });
  switch (error.code) {
    case 'DUPLICATE_KEY': {
      const name = /^[^\s:]+/.exec(text.slice(error.pos[0]))?.[0] ?? '';
      return {
        place: placeAt(error.pos[0], error.pos[0] + name.length),
        text: `"${name}" is here for the second time`,
        expected: 'each name once; merge the two blocks or rename one',
      };
    }
    case 'TAB_AS_INDENT':
      return plain('a tab is used for indentation', 'spaces only');
    case 'BAD_SCALAR_START':
      return plain(
        `a value cannot begin with ${place.text[place.column - 1] ?? 'this character'}`,
        'the value in quotes: "…"',
      );
    case 'BLOCK_AS_IMPLICIT_KEY':
      return plain('a second ": " stands on this line', 'the value in quotes when it contains ": "');
    case 'BAD_DQ_ESCAPE':
      return plain(
        `${text.slice(error.pos[0], error.pos[0] + 2)} means nothing inside double quotes`,
        "single quotes ('…') for patterns with backslashes, or each backslash doubled",
      );
    case 'BAD_ALIAS':
      return plain('a value that begins with * or & names an anchor', 'the value in quotes: "…"');
    case 'MULTILINE_IMPLICIT_KEY':
      return plain('this line has no ": "', 'key: value, or key: with indented lines under it');
    case 'MISSING_CHAR':
      if (/followed by map values/.test(error.message)) {
        return plain('this line has no ": "', 'key: value, or key: with indented lines under it');
      }
      if (/closing ['"]quote/.test(error.message)) return unclosedQuote(error, text, placeAt);
      break;
    case 'UNEXPECTED_TOKEN':
      // `note: {temperature} °C` reads as a map with something behind it.
      if (/at node end/.test(error.message) && /:\s*[{[]/.test(place.text)) {
        return plain(
          'text follows a closing bracket',
          'the whole value in quotes when it begins with { or [',
        );
      }
      break;
    default:
      break;
  }
  return plain(lowerFirst(error.message), 'YAML: "key: value" lines, indented by spaces under their parent');
}

/** One mistake confuses the parser more than once. */
function oncePerLine(faults: SyntaxFault[]): SyntaxFault[] {
  const seen = new Set<number>();
  return faults.filter(({ place }) => !seen.has(place.line) && seen.add(place.line));
}

/** An alias that leads nowhere, or that leads to too much. */
function describeAlias(
  error: Error,
  text: string,
  placeAt: (from: number, to: number) => Place,
): SyntaxFault {
  const name = /alias(?: \([^)]*\))?: (\S+)$/.exec(error.message)?.[1];
  if (name === undefined) {
    return {
      place: placeAt(0, 1),
      text: `too many aliases: ${error.message}`,
      expected: `${MOST_ALIASES} at most`,
    };
  }
  const at = Math.max(0, text.indexOf(`*${name}`));
  return {
    place: placeAt(at, at + name.length + 1),
    text: `there is no anchor &${name} above`,
    expected: 'the value in quotes when it is no alias: "*…"',
  };
}

/** The parser notices a missing quote at the end of the file; people look for where the text began. */
function unclosedQuote(
  error: YAMLParseError,
  text: string,
  placeAt: (from: number, to: number) => Place,
): SyntaxFault {
  const quote = error.message.includes('"quote') ? '"' : "'";
  const lines = text.split('\n');
  let at = 0;
  for (const line of lines) {
    const opens = new RegExp(`(?:^\\s*|[:,[{-]\\s*)${quote}`).exec(line);
    if (opens && !line.trimStart().startsWith('#') && line.split(quote).length % 2 === 0) {
      const from = at + opens.index + opens[0].length - 1;
      return {
        place: placeAt(from, from + 1),
        text: `the quote ${quote} is not closed`,
        expected: `${quote} at the end of the value`,
      };
    }
    at += line.length + 1;
  }
  return {
    place: placeAt(error.pos[0], error.pos[0] + 1),
    text: `a quote ${quote} is not closed`,
    expected: `${quote} at the end of the value`,
  };
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
