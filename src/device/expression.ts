/**
 * The language of a state row's `when`, read by hand and never evaluated as code:
 *
 *     or      = and *("or" and)
 *     and     = not *("and" not)
 *     not     = "not" not / test
 *     test    = "(" or ")" / operand [("==" / "!=" / "<" / "<=" / ">" / ">=") operand]
 *     operand = signal / number / "true" / "false" / 'text' / "text" / bare-word
 *
 * The left side of a comparison, or its right side, must be a signal. A bare word is a signal where one has that
 * name, else text; on the other side of a signal that may have that very value, or bears that very name, it is text.
 */
import type { CodedError } from '../base/errors.ts';
import { nearest } from '../base/nearest.ts';
import { deviceErrors } from './errors.ts';
import type { SignalOptions } from './options.ts';
import type { Value } from './reading.ts';
import { allowed } from './values.ts';

export type Operator = '==' | '!=' | '<' | '<=' | '>' | '>=';

export type Operand =
  | { readonly kind: 'signal'; readonly name: string }
  | { readonly kind: 'literal'; readonly value: Value };

export interface Comparison {
  readonly kind: 'compare';
  readonly operator: Operator;
  /** Always a signal: a comparison written the other way round is turned. */
  readonly left: { readonly kind: 'signal'; readonly name: string };
  readonly right: Operand;
}

export type Expression =
  | Comparison
  /** The signal alone: its value is true, or a number other than 0. */
  | { readonly kind: 'truth'; readonly name: string }
  | { readonly kind: 'not'; readonly inner: Expression }
  | { readonly kind: 'and' | 'or'; readonly parts: readonly Expression[] };

type Signals = Readonly<Record<string, Pick<SignalOptions, 'values'>>>;

type Token =
  | { kind: 'operator'; text: Operator; column: number }
  | { kind: 'word' | 'text' | 'number'; text: string; column: number }
  | { kind: '(' | ')' | 'end'; text: string; column: number };

/** Parentheses and negations deeper than this are a mistake, or an attack on the stack. */
const DEEPEST = 50;

const SPACE = /\s/;
const WORD_START = /[\p{L}_]/u;
const WORD = /[\p{L}\p{N}_.-]/u;
// Asked first: the tables of Unicode are loaded by the first look into them, and most rules never need one.
const ASCII = /^[ -~]?$/;
const ASCII_WORD_START = /[A-Za-z_]/;
const ASCII_WORD = /[A-Za-z0-9_.-]/;

const startsWord = (char: string): boolean => (ASCII.test(char) ? ASCII_WORD_START : WORD_START).test(char);
const inWord = (char: string): boolean => (ASCII.test(char) ? ASCII_WORD : WORD).test(char);
const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?/;

/** What people write who think in another language. */
const HINTS: Readonly<Record<string, string>> = {
  '=': 'write == to compare',
  '&': 'write "and"',
  '|': 'write "or"',
  '!': 'write "not", or != to compare',
  '<>': 'write !=',
};

/**
 * Reads a condition over the signals of one device.
 * @throws CodedError DEV_RULE_SYNTAX with the column (from 1) and, for a name that nobody has, the nearest one
 */
export function parseExpression(text: string, signals: Signals): Expression {
  const tokens = scan(text);
  let next = 0;
  let depth = 0;

  const peek = (): Token => tokens[next] ?? { kind: 'end', text: '', column: text.length + 1 };
  const take = (): Token => {
    const token = peek();
    next += 1;
    return token;
  };
  const takeWord = (word: string): boolean => {
    const token = peek();
    if (token.kind !== 'word' || token.text !== word) return false;
    next += 1;
    return true;
  };
  const enter = (): void => {
    depth += 1;
    if (depth > DEEPEST) throw wrong(peek().column, `nested more than ${DEEPEST} deep`);
  };

  const joined = (word: 'and' | 'or', part: () => Expression): Expression => {
    const first = part();
    const parts = [first];
    while (takeWord(word)) parts.push(part());
    return parts.length === 1 ? first : { kind: word, parts };
  };
  const or = (): Expression => joined('or', and);
  const and = (): Expression => joined('and', not);
  const not = (): Expression => {
    if (!takeWord('not')) return test();
    enter();
    const inner = not();
    depth -= 1;
    return { kind: 'not', inner };
  };

  const test = (): Expression => {
    const start = take();
    if (start.kind === '(') {
      enter();
      const inner = or();
      depth -= 1;
      const end = take();
      if (end.kind !== ')') throw wrong(end.column, `expected ")" before ${say(end)}`);
      return inner;
    }
    mustBeOperand(start);
    if (peek().kind !== 'operator') return alone(start);
    const operator = take() as Token & { kind: 'operator' };
    const end = take();
    mustBeOperand(end);
    const comparison = compare(start, operator, end);
    const after = peek();
    if (after.kind === 'operator')
      throw wrong(after.column, 'a comparison has two sides; join two comparisons by "and"');
    return comparison;
  };

  const alone = (token: Token): Expression => {
    if (token.kind !== 'word')
      throw wrong(token.column, `${say(token)} alone says nothing; compare a signal with it`);
    if (!Object.hasOwn(signals, token.text)) throw unknownName(token);
    return { kind: 'truth', name: token.text };
  };

  const compare = (left: Token, operator: Token & { kind: 'operator' }, right: Token): Expression => {
    if (isSignal(left)) {
      return {
        kind: 'compare',
        operator: operator.text,
        left: { kind: 'signal', name: left.text },
        right: operand(right, left.text),
      };
    }
    if (isSignal(right)) {
      return {
        kind: 'compare',
        operator: TURNED[operator.text],
        left: { kind: 'signal', name: right.text },
        right: operand(left, right.text),
      };
    }
    throw left.kind === 'word' ? unknownName(left) : wrong(left.column, 'neither side is a signal');
  };

  /** The other side of a comparison with the signal `other`. */
  const operand = (token: Token, other: string): Operand => {
    if (token.kind === 'number') return { kind: 'literal', value: Number(token.text) };
    if (token.kind === 'text') return { kind: 'literal', value: token.text };
    if (token.text === 'true' || token.text === 'false')
      return { kind: 'literal', value: token.text === 'true' };
    const values = signals[other]?.values;
    const words = values === undefined ? undefined : allowed(values);
    if (token.text === other || words?.includes(token.text)) return { kind: 'literal', value: token.text };
    if (isSignal(token)) return { kind: 'signal', name: token.text };
    if (words !== undefined) {
      const near = nearest(token.text, words);
      throw wrong(
        token.column,
        `"${token.text}" is no value of ${other}; ${near ? `did you mean "${near}"` : `it has ${words.join(', ')}`}`,
      );
    }
    return { kind: 'literal', value: token.text };
  };

  const isSignal = (token: Token): boolean => token.kind === 'word' && Object.hasOwn(signals, token.text);

  const unknownName = (token: Token): CodedError => {
    const names = Object.keys(signals);
    const near = nearest(token.text, names);
    const help = near ? `did you mean "${near}"` : `the device has ${names.join(', ') || 'none'}`;
    return wrong(token.column, `no signal "${token.text}"; ${help}`);
  };

  const whole = or();
  const rest = peek();
  if (rest.kind !== 'end') throw wrong(rest.column, `expected "and", "or" or the end before ${say(rest)}`);
  return whole;
}

/** The signals that an expression speaks of, each once. */
export function signalsIn(expression: Expression): string[] {
  return [...new Set(walk(expression))];
}

function* walk(expression: Expression): Iterable<string> {
  switch (expression.kind) {
    case 'truth':
      yield expression.name;
      return;
    case 'not':
      yield* walk(expression.inner);
      return;
    case 'and':
    case 'or':
      for (const part of expression.parts) yield* walk(part);
      return;
    case 'compare':
      yield expression.left.name;
      if (expression.right.kind === 'signal') yield expression.right.name;
  }
}

const TURNED: Readonly<Record<Operator, Operator>> = {
  '==': '==',
  '!=': '!=',
  '<': '>',
  '<=': '>=',
  '>': '<',
  '>=': '<=',
};

const KEYWORDS = new Set(['and', 'or', 'not']);

function mustBeOperand(token: Token): void {
  if (token.kind === 'word' && KEYWORDS.has(token.text.toLowerCase()))
    throw wrong(token.column, `expected a signal or a value before "${token.text}"`);
  if (token.kind === 'word' || token.kind === 'text' || token.kind === 'number') return;
  throw wrong(token.column, `expected a signal or a value before ${say(token)}`);
}

function say(token: Token): string {
  if (token.kind === 'word' && KEYWORDS.has(token.text.toLowerCase()) && !KEYWORDS.has(token.text))
    return `"${token.text}" (write "${token.text.toLowerCase()}")`;
  return token.kind === 'end' ? 'the end' : `"${token.text}"`;
}

function scan(text: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (at < text.length) {
    const column = at + 1;
    const char = text[at] ?? '';
    if (SPACE.test(char)) {
      at += 1;
    } else if (char === '(' || char === ')') {
      tokens.push({ kind: char, text: char, column });
      at += 1;
    } else if (char === '"' || char === "'") {
      const end = text.indexOf(char, at + 1);
      if (end < 0) throw wrong(column, `${char} is never closed`);
      tokens.push({ kind: 'text', text: text.slice(at + 1, end), column });
      at = end + 1;
    } else if (/[=!<>&|]/.test(char)) {
      const operator = /^(?:==|!=|<=|>=|<>|[<>=!&|])/.exec(text.slice(at, at + 2))?.[0] ?? char;
      const hint = HINTS[operator];
      if (hint) throw wrong(column, hint);
      tokens.push({ kind: 'operator', text: operator as Operator, column });
      at += operator.length;
    } else {
      const number = NUMBER.exec(text.slice(at))?.[0];
      if (number && !inWord(text[at + number.length] ?? '')) {
        tokens.push({ kind: 'number', text: number, column });
        at += number.length;
        continue;
      }
      // A word may begin with a digit only where it stands for text, such as a serial number.
      if (!startsWord(char) && !number) throw wrong(column, `unexpected "${char}"`);
      let end = at + 1;
      while (end < text.length && inWord(text[end] ?? '')) end += 1;
      tokens.push({ kind: 'word', text: text.slice(at, end), column });
      at = end;
    }
  }
  return tokens;
}

function wrong(column: number, problem: string): CodedError {
  return deviceErrors.RULE_SYNTAX({ column, problem });
}
