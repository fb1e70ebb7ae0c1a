import { parseArgs } from 'node:util';
import { nearest } from '../base/nearest.ts';
import { cliErrors } from './errors.ts';
import { COMMON, type Flag, type Flags, type Verb } from './verb.ts';

export interface Parsed {
  readonly values: Readonly<Record<string, string | boolean | readonly string[] | undefined>>;
  readonly words: readonly string[];
}

/**
 * Reads the words after a verb by what the verb declares.
 * @throws CodedError with exit 64, and the nearest name for a flag that is not known
 */
export function parseFlags(
  verb: Pick<Verb, 'name' | 'flags' | 'words' | 'usage'>,
  args: readonly string[],
): Parsed {
  const spec: Flags = { ...verb.flags, ...COMMON };
  const { tokens } = parseArgs({
    args: [...args],
    options: Object.fromEntries(
      Object.entries(spec).map(([name, { short, value }]) => [
        name,
        {
          type: value === undefined ? ('boolean' as const) : ('string' as const),
          ...(short !== undefined && { short }),
        },
      ]),
    ),
    // Not strict, since its own messages know no nearest name.
    strict: false,
    allowPositionals: true,
    tokens: true,
  });

  const given = new Map<string, string[]>();
  const words: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'positional') words.push(token.value);
    if (token.kind !== 'option') continue;
    const flag = Object.hasOwn(spec, token.name) ? spec[token.name] : undefined;
    if (!flag) throw unknownFlag(verb.name, token.rawName, spec);
    const value = checkValue(verb.name, token.rawName, flag, token.value, token.inlineValue ?? false);
    const before = given.get(token.name);
    // Saying --json twice does no harm; a second value would silently win.
    if (before && flag.value !== undefined && !flag.many) throw cliErrors.TWICE({ flag: `--${token.name}` });
    given.set(token.name, [...(before ?? []), value]);
  }

  const help = given.has('help');
  const [least, most] = verb.words;
  if (!help && words.length > most) throw cliErrors.TOO_MANY({ word: words[most] ?? '', verb: verb.name });
  if (!help && words.length < least) {
    const what = verb.usage.split(' ')[words.length] ?? 'a word';
    throw cliErrors.TOO_FEW({ what, usage: `presentity ${verb.name} ${verb.usage}` });
  }
  return {
    values: Object.fromEntries(
      Object.entries(spec).map(([name, flag]) => {
        const all = given.get(name);
        if (flag.many) return [name, all ?? []];
        return [name, flag.value === undefined ? all !== undefined : all?.[0]];
      }),
    ),
    words,
  };
}

function checkValue(
  verb: string,
  raw: string,
  flag: Flag,
  value: string | undefined,
  inline: boolean,
): string {
  if (flag.value === undefined) {
    if (inline) throw cliErrors.NO_VALUE({ flag: raw, verb });
    return '';
  }
  // `--server --json`: the next flag is no value. With `=` anything is one.
  if (value === undefined || (!inline && /^--./.test(value))) {
    throw cliErrors.NEEDS_VALUE({ flag: raw, value: flag.value, verb });
  }
  return value;
}

function unknownFlag(verb: string, raw: string, spec: Flags): Error {
  const meant = raw.startsWith('--') ? nearest(raw.slice(2), Object.keys(spec)) : undefined;
  return cliErrors.UNKNOWN_FLAG({
    flag: raw,
    guess: meant === undefined ? '' : `; did you mean --${meant}?`,
    verb,
  });
}

/** A whole number from 1, such as of `--count` and `--seconds`. */
export function parseCount(flag: string, value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const number = /^\d{1,9}$/.test(value) ? Number(value) : 0;
  if (number < 1) throw cliErrors.BAD_FLAG({ flag, value, why: '', expected: 'a whole number from 1' });
  return number;
}
