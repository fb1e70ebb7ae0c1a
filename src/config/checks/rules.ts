import { asError, isCoded } from '../../base/errors.ts';
import { parseExpression } from '../../device/expression.ts';
import { parseTemplate } from '../../device/template.ts';
import { riskOf } from '../../sources/serial/pattern.ts';
import { configErrors } from '../errors.ts';
import type { ParsedConfig } from '../schema/config.ts';
import type { Check, CheckContext } from './context.ts';

type Device = ParsedConfig['devices'][string];

/** Conditions and notes can be read, rows can be reached, and the rules of a signal agree with one another. */
export const checkRules: Check = (context) => {
  for (const [id, device] of Object.entries(context.config.devices)) {
    checkRows(context, id, device);
    for (const [signalId, signal] of Object.entries(device.signals)) {
      checkSignal(context, ['devices', id, 'signals', signalId], signal);
    }
  }
};

function checkRows(context: CheckContext, id: string, device: Device): void {
  const names = Object.keys(device.signals);
  let decided: number | undefined;
  for (const [index, row] of (device.states ?? []).entries()) {
    const path = ['devices', id, 'states', index];
    if (decided !== undefined) {
      context.warning(
        configErrors.NEVER_REACHED({
          why: `states[${decided}] has no condition and always decides`,
          expected: 'move the row without when to the end',
        }),
        path,
      );
    }
    if (row.when === undefined) decided ??= index;
    else {
      try {
        parseExpression(row.when, device.signals);
      } catch (error) {
        const { cause, ...spot } = explain(error);
        context.error(
          configErrors.BAD_WHEN({
            cause,
            expected: `comparisons of ${names.join(', ')} joined by and, or, not`,
          }),
          [...path, 'when'],
          spot,
        );
      }
    }
    if (row.note !== undefined) {
      try {
        parseTemplate(row.note, names);
      } catch (error) {
        const { cause, ...spot } = explain(error);
        context.error(
          configErrors.BAD_NOTE({
            cause,
            expected: 'text with the names of signals in braces, such as "{temperature} °C"',
          }),
          [...path, 'note'],
          spot,
        );
      }
    }
    if (row.note === undefined && row.activity === undefined && row.basic === undefined) {
      context.warning(
        configErrors.RISKY({ what: 'this row says nothing', expected: 'a note, an activity or basic' }),
        path,
      );
    }
    if (row.activity !== undefined && device.aor === undefined) {
      context.warning(
        configErrors.MISPLACED_KEY({
          key: 'activity',
          why: 'only a device with an aor of its own shows one',
          expected: 'give the device an aor, or say it in the note',
        }),
        [...path, 'activity'],
        { at: 'key' },
      );
    }
  }
}

/** The rule language tells the column, counted from 1, and at the end of its text the name that was meant. */
function explain(error: unknown): { cause: string; offset: number | undefined; meant: string | undefined } {
  if (!isCoded(error)) return { cause: asError(error).message, offset: undefined, meant: undefined };
  const { problem, column } = error.fields;
  const text = typeof problem === 'string' ? problem : error.message;
  const guess = /; did you mean "([^"]+)"$/.exec(text);
  return {
    cause: guess ? text.slice(0, guess.index) : text,
    offset: typeof column === 'number' ? column - 1 : undefined,
    meant: guess?.[1],
  };
}

const NUMERIC = ['deadband', 'hysteresis', 'min', 'max', 'decimals'] as const;

function checkSignal(
  context: CheckContext,
  path: (string | number)[],
  signal: Device['signals'][string],
): void {
  if (signal.min !== undefined && signal.max !== undefined && signal.min > signal.max) {
    context.error(
      configErrors.CONFLICT({
        what: `min ${signal.min} is above max ${signal.max}`,
        expected: 'the smaller one as min',
      }),
      [...path, 'min'],
    );
  }
  const texts = signal.type === 'text' || signal.type === 'boolean';
  const words = signal.values && Object.values(signal.values).every((value) => typeof value !== 'number');
  for (const key of NUMERIC) {
    if (signal[key] === undefined || !(texts || words)) continue;
    context.warning(
      configErrors.MISPLACED_KEY({
        key,
        why: texts ? `the signal is of type ${signal.type}` : 'none of its values is a number',
        expected: 'remove it, or let the signal be a number',
      }),
      [...path, key],
      { at: 'key' },
    );
  }
  if (signal.type !== undefined && Array.isArray(signal.values)) {
    for (const [index, value] of (signal.values as readonly unknown[]).entries()) {
      if (typeof value === (signal.type === 'text' ? 'string' : signal.type)) continue;
      context.error(
        configErrors.CONFLICT({
          what: `a value of a signal of type ${signal.type} cannot be ${JSON.stringify(value)}`,
          expected: `values of type ${signal.type}`,
        }),
        [...path, 'values', index],
      );
    }
  }
  // `ON` and `OFF` are texts in YAML 1.2, and `on: …` a key: what is written is what is compared.
  if (signal.match !== undefined) checkMatch(context, path, signal.match);
}

/** A pattern that never starts at the beginning of a line also finds its text inside another report. */
function checkMatch(context: CheckContext, path: (string | number)[], match: string): void {
  const groups = new RegExp(`${match}|`).exec('')?.length ?? 1;
  if (groups > 2 && !/\(\?<value>/.test(match)) {
    context.warning(
      configErrors.RISKY({
        what: `the pattern has ${groups - 1} groups; the first one is the value`,
        expected: 'name the group that holds the value: (?<value>…), and write the others as (?:…)',
      }),
      [...path, 'match'],
    );
  }
  // (a+)+ and its like take exponential time on a line that nearly matches: the source then searches under a time limit.
  if (riskOf(match).nested) {
    context.warning(
      configErrors.RISKY({
        what: 'a repetition inside a repetition can take very long on a line that nearly matches',
        expected: 'one repetition only, such as [0-9.]+ instead of ([0-9]+\\.?)+',
      }),
      [...path, 'match'],
    );
  }
}
