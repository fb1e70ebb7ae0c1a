import { sourceErrors } from '../errors.ts';

/** Where something is in a JSON value: names and indexes from the root on. */
export type Path = readonly (string | number)[];

/** A path longer than this is a mistake. */
const LONGEST = 32;

/**
 * Reads a path: `temp`, `status.temperatures[2].value`, `["odd name"].x`; a leading `$` or `$.` stands for the root.
 * @throws CodedError SRC_BAD_PATH with the column (from 1)
 */
export function parsePath(text: string): Path {
  const steps: (string | number)[] = [];
  const fail = (at: number, problem: string): never => {
    throw sourceErrors.BAD_PATH({ path: text, column: at + 1, problem });
  };
  let at = text.startsWith('$') ? 1 : 0;
  let first = at === 0;
  while (at < text.length) {
    if (text[at] === '[') {
      const step = /^\[(?:(\d{1,9})|"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)')\]/.exec(text.slice(at));
      if (!step) return fail(at, 'expected [NUMBER] or ["name"]');
      const [whole, index, double, single] = step;
      steps.push(index === undefined ? (double ?? single ?? '').replace(/\\(.)/g, '$1') : Number(index));
      at += whole.length;
    } else {
      if (text[at] === '.') {
        if (first) fail(at, 'expected a name before the dot');
        at += 1;
      } else if (!first) fail(at, 'expected a dot or [');
      const name = /^[^.[\]]+/.exec(text.slice(at))?.[0];
      if (name === undefined) return fail(at, 'expected a name');
      steps.push(name);
      at += name.length;
    }
    first = false;
    if (steps.length > LONGEST) fail(at, `more than ${LONGEST} steps`);
  }
  if (text === '') fail(0, 'expected a name');
  return steps;
}

/** What is at a path; undefined where there is nothing. Looks at own members only. */
export function readPath(root: unknown, path: Path): unknown {
  let value = root;
  for (const step of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined;
    value = (value as Record<string | number, unknown>)[step];
  }
  return value;
}
