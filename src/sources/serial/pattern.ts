import { createContext, Script } from 'node:vm';
import type { Clock } from '../../base/clock.ts';
import { asError, type CodedError } from '../../base/errors.ts';
import { formatSpan } from '../../device/template.ts';
import { sourceErrors } from '../errors.ts';

/** A regular expression that cannot hold the process up. */
export interface Pattern {
  /** The value in a line: the group named `value`, else the first group, else the whole match. */
  find(line: string): string | undefined;
  /** When it took too long it rests until then, in monotonic milliseconds. */
  readonly restsUntil: number | undefined;
}

/** How long one search may take, in milliseconds. */
const LIMIT = 100;
/** How long a pattern rests that took longer, in milliseconds. */
const REST = 60_000;
/** Below so many steps in the worst case a search is quick whatever the line says. */
const HARMLESS = 1_000_000;

/**
 * Reads a pattern. JavaScript's regular expressions backtrack: `(a+)+b` takes years on forty letters, however short the
 * line is kept. Patterns that could (repeats within repeats, back-references, several repeats on a long line) are
 * therefore searched under a time limit, which costs about 0.15 ms; the plain ones most people write are not.
 *
 * @param slow called when a search took too long
 * @throws CodedError SRC_BAD_PATTERN
 */
export function createPattern(clock: Clock, source: string, slow: (error: CodedError) => void): Pattern {
  let expression: RegExp;
  try {
    expression = new RegExp(source);
  } catch (error) {
    throw sourceErrors.BAD_PATTERN({ pattern: source, problem: reasonOf(asError(error)) });
  }
  const risk = riskOf(source);
  let restsUntil: number | undefined;
  let guarded: ((line: string) => RegExpExecArray | null) | undefined;

  const search = (line: string): RegExpExecArray | null => {
    // A pattern with n repeats side by side tries at most length^(n+1) ways.
    if (!risk.nested && line.length ** (risk.repeats + 1) <= HARMLESS) return expression.exec(line);
    if (restsUntil !== undefined && clock.now() < restsUntil) return null;
    guarded ??= guard(expression);
    try {
      return guarded(line);
    } catch {
      restsUntil = clock.now() + REST;
      slow(sourceErrors.PATTERN_SLOW({ pattern: source, limit: formatSpan(LIMIT), pause: formatSpan(REST) }));
      return null;
    }
  };

  return {
    find(line) {
      const match = search(line);
      if (!match) return undefined;
      if (match.groups && 'value' in match.groups) return match.groups.value;
      return match.length > 1 ? match[1] : match[0];
    },
    get restsUntil() {
      return restsUntil;
    },
  };
}

/** Runs a search where V8 can be told to give up, even in the middle of backtracking. */
function guard(expression: RegExp): (line: string) => RegExpExecArray | null {
  let line = '';
  let match: RegExpExecArray | null = null;
  const context = createContext({
    run: () => {
      match = expression.exec(line);
    },
  });
  const script = new Script('run()');
  return (text) => {
    line = text;
    match = null;
    script.runInContext(context, { timeout: LIMIT });
    return match;
  };
}

/** How a pattern can go wrong: how many unbounded repeats it has, and whether any repeats what can vary itself. */
export function riskOf(source: string): { repeats: number; nested: boolean } {
  let repeats = 0;
  let nested = false;
  /** For each open group, whether something in it varies. */
  const groups: boolean[] = [];
  /** Whether the item before a quantifier is a group in which something varies. */
  let varied = false;
  for (let at = 0; at < source.length; at += 1) {
    const char = source[at] ?? '';
    const quantifier = /^(?:[*+?]|\{(\d+)(?:,(\d*))?\})/.exec(source.slice(at));
    if (char === '\\') {
      // A back-reference varies with what it refers to.
      if (/^\\(?:[1-9]|k<)/.test(source.slice(at))) nested = true;
      at += 1;
      varied = false;
    } else if (char === '[') {
      const end = /^\[(?:\\.|[^\]\\])*\]/.exec(source.slice(at));
      at += (end?.[0].length ?? 1) - 1;
      varied = false;
    } else if (char === '(') {
      groups.push(false);
      varied = false;
      // The sign of a special group is no quantifier.
      const sign = /^\(\?(?:[:=!]|<[=!]|<\w+>)/.exec(source.slice(at));
      if (sign) at += sign[0].length - 1;
    } else if (char === ')') {
      varied = groups.pop() ?? false;
      const last = groups.length - 1;
      if (varied && last >= 0) groups[last] = true;
    } else if (char === '|') {
      if (groups.length > 0) groups[groups.length - 1] = true;
    } else if (quantifier) {
      const [whole, range, upper] = quantifier;
      const fixed = range !== undefined && upper === undefined;
      // `?` and `{0,1}` try two ways, the others many.
      const once = whole === '?' || upper === '1' || range === '0' || range === '1';
      if (!once && varied) nested = true;
      if (!once && !fixed) repeats += 1;
      if (groups.length > 0 && !fixed) groups[groups.length - 1] = true;
      at += whole.length - 1;
      varied = false;
    } else varied = false;
  }
  return { repeats, nested };
}

/** V8 repeats the whole expression in its message; what is wrong stands at its end. */
function reasonOf(error: Error): string {
  return error.message.split(': ').at(-1) ?? error.message;
}
