import * as fc from 'fast-check';
import * as assert from 'uvu/assert';
import { isCoded } from '../../src/base/errors.ts';
import { evaluate, type Seen, type Truth, type View } from '../../src/device/evaluate.ts';
import { type Expression, parseExpression, signalsIn } from '../../src/device/expression.ts';
import type { Value } from '../../src/device/reading.ts';
import { suite } from '../support/harness.ts';

const test = suite('device/expression');

const SIGNALS = {
  temperature: {},
  limit: {},
  door: { values: ['open', 'shut'] },
  on: { values: [true, false] },
  mode: {},
  'door-2': {},
};

/** Evaluates text with these values; a signal that is not given is unknown. */
function run(text: string, values: Record<string, Value>): boolean | 'unknown' {
  return said(evaluate(parseExpression(text, SIGNALS), viewOf(values)));
}

function viewOf(values: Record<string, Value>): View {
  return {
    signal: (name): Seen =>
      Object.hasOwn(values, name)
        ? { known: true, value: values[name], cause: undefined }
        : { known: false, value: undefined, cause: { code: 'DEV_STALE', text: `${name} silent` } },
    hysteresis: () => 0,
    memory: undefined,
  };
}

function said(truth: Truth): boolean | 'unknown' {
  return typeof truth === 'boolean' ? truth : 'unknown';
}

function refused(text: string): string {
  try {
    parseExpression(text, SIGNALS);
  } catch (error) {
    if (isCoded(error) && error.code === 'DEV_RULE_SYNTAX') return error.message;
    throw error;
  }
  throw new Error(`read without complaint: ${text}`);
}

test('compares numbers in six ways', () => {
  for (const [text, expected] of [
    ['temperature > -10', true],
    ['temperature >-10', true],
    ['temperature >= -9.5', true],
    ['temperature < -9.5', false],
    ['temperature <= -9.5', true],
    ['temperature == -9.5', true],
    ['temperature != -9.5', false],
    ['temperature < 1e3', true],
    ['-10 < temperature', true],
    ['-9.5 < temperature', false],
    ['-9.5 <= temperature', true],
    ['temperature > limit', true],
  ] as const)
    assert.is(run(text, { temperature: -9.5, limit: -20 }), expected, text);
});

test('compares words bare and quoted', () => {
  assert.is(run('door == open', { door: 'open' }), true);
  assert.is(run('door == "open"', { door: 'open' }), true);
  assert.is(run("door != 'open'", { door: 'shut' }), true);
  assert.is(run('open == door', { door: 'open' }), true);
  assert.is(run("mode == 'not and or'", { mode: 'not and or' }), true);
  assert.is(run('door-2 == ajar', { 'door-2': 'ajar' }), true);
  assert.is(run('mode == 1.2.3', { mode: '1.2.3' }), true);
});

test('a bare word that is the name of the signal itself, or one of its values, is text', () => {
  const signals = { on: { values: ['on', 'off'] }, off: {} };
  const truth = (text: string, on: Value): boolean | 'unknown' =>
    said(evaluate(parseExpression(text, signals), viewOf({ on, off: 'x' })));
  assert.is(truth('on == on', 'on'), true);
  assert.is(truth('on == off', 'off'), true);
  assert.is(truth('on == off', 'x'), false);
});

test('values of unlike types are equal when they read alike', () => {
  assert.is(run('mode == 1', { mode: '1' }), true);
  assert.is(run('on == true', { on: true }), true);
  assert.is(run('mode == true', { mode: 'true' }), true);
  assert.is(run('mode == 1', { mode: '01' }), false);
});

test('a signal alone is true when it is true or a number other than 0', () => {
  assert.is(run('on', { on: true }), true);
  assert.is(run('not on', { on: true }), false);
  assert.is(run('temperature', { temperature: 0 }), false);
  assert.is(run('temperature', { temperature: -1 }), true);
  assert.is(run('mode', { mode: 'text' }), 'unknown');
});

test('and binds tighter than or, not tighter than and, parentheses tightest', () => {
  const values = { temperature: 5, on: true, door: 'open' };
  assert.is(run('on or on and not on', values), true);
  assert.is(run('(on or on) and not on', values), false);
  assert.is(run('not on or on', values), true);
  assert.is(run('not (on or on)', values), false);
  assert.is(run('not not on', values), true);
});

test('three-valued: an unknown side decides nothing that the other side decides', () => {
  const values = { on: true };
  assert.is(run('temperature > 1', values), 'unknown');
  assert.is(run('not temperature > 1', values), 'unknown');
  assert.is(run('temperature > 1 or on', values), true);
  assert.is(run('on or temperature > 1', values), true);
  assert.is(run('temperature > 1 and not on', values), false);
  assert.is(run('temperature > 1 and on', values), 'unknown');
  assert.is(run('temperature > 1 or not on', values), 'unknown');
  assert.is(run('temperature > limit', { temperature: 1 }), 'unknown');
});

test('the cause is that of the first signal that leaves it open', () => {
  const truth = evaluate(
    parseExpression('on and temperature > 1 and mode == x', SIGNALS),
    viewOf({ on: true }),
  );
  assert.equal(truth, { code: 'DEV_STALE', text: 'temperature silent' });
});

test('text does not compare by order: unknown, and it says why', () => {
  const truth = evaluate(parseExpression('temperature > 1', SIGNALS), viewOf({ temperature: 'n/a' }));
  assert.equal(truth, {
    code: 'DEV_NO_MATCH',
    text: 'temperature is "n/a", which cannot be compared with 1',
  });
  assert.is(run('temperature > limit', { temperature: 1, limit: 'x' }), 'unknown');
  assert.is(run('temperature > warm', { temperature: 1 }), 'unknown');
});

test('errors name the column and what was meant', () => {
  for (const [text, message] of [
    ['temprature > 1', 'column 1: no signal "temprature"; did you mean "temperature"'],
    ['on and tempreature', 'column 8: no signal "tempreature"; did you mean "temperature"'],
    [
      'quite_else',
      'column 1: no signal "quite_else"; the device has temperature, limit, door, on, mode, door-2',
    ],
    ['door == opne', 'column 9: "opne" is no value of door; did you mean "open"'],
    ['door == sideways', 'column 9: "sideways" is no value of door; it has open, shut'],
    ['temperature = 1', 'column 13: write == to compare'],
    ['on && on', 'column 4: write "and"'],
    ['on || on', 'column 4: write "or"'],
    ['!on', 'column 1: write "not", or != to compare'],
    ['mode <> x', 'column 6: write !='],
    ['on AND on', 'column 4: expected "and", "or" or the end before "AND" (write "and")'],
    ['1 < temperature < 3', 'column 17: a comparison has two sides; join two comparisons by "and"'],
    ['1 < 2', 'column 1: neither side is a signal'],
    ['(on', 'column 4: expected ")" before the end'],
    ['on)', 'column 3: expected "and", "or" or the end before ")"'],
    ['', 'column 1: expected a signal or a value before the end'],
    ['on or', 'column 6: expected a signal or a value before the end'],
    ['on and or on', 'column 8: expected a signal or a value before "or"'],
    ['mode == "x', 'column 9: " is never closed'],
    ['temperature > 5 °C', 'column 17: unexpected "°"'],
    ['5', 'column 1: "5" alone says nothing; compare a signal with it'],
    [
      'process.exit(1)',
      'column 1: no signal "process.exit"; the device has temperature, limit, door, on, mode, door-2',
    ],
    [
      'constructor == 1',
      'column 1: no signal "constructor"; the device has temperature, limit, door, on, mode, door-2',
    ],
  ] as const)
    assert.is(refused(text), message, text);
});

test('tells which signals it speaks of', () => {
  const used = (text: string): string[] => signalsIn(parseExpression(text, SIGNALS));
  assert.equal(used('on and not (temperature > limit or door == open) or on'), [
    'on',
    'temperature',
    'limit',
    'door',
  ]);
});

test('depth is bounded', () => {
  assert.match(refused('('.repeat(10_000)), 'nested more than 50 deep');
  assert.match(refused('not '.repeat(10_000)), 'nested more than 50 deep');
  assert.is(run(`${'('.repeat(50)}on${')'.repeat(50)}`, { on: true }), true);
});

test('any text is read or refused with a column inside it', () => {
  const word = fc.constantFrom(
    'on',
    'door',
    'and',
    'or',
    'not',
    '(',
    ')',
    '==',
    '<',
    '"',
    "'",
    '1',
    '-',
    ' ',
    'é',
    '=',
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(word).map((words) => words.join(' ')),
      ),
      (text) => {
        try {
          parseExpression(text, SIGNALS);
        } catch (error) {
          if (!isCoded(error) || error.code !== 'DEV_RULE_SYNTAX') throw error;
          const column = Number(error.fields.column);
          assert.ok(column >= 1 && column <= text.length + 1, `${column} in ${JSON.stringify(text)}`);
        }
      },
    ),
    { numRuns: 2_000 },
  );
});

/** What the rules of Kleene give, written in another way than the evaluator: 0 false, 1 unknown, 2 true. */
function reference(expression: Expression, values: Record<string, Value>): number {
  switch (expression.kind) {
    case 'truth':
      return Object.hasOwn(values, expression.name) ? (values[expression.name] ? 2 : 0) : 1;
    case 'not':
      return 2 - reference(expression.inner, values);
    case 'and':
      return Math.min(...expression.parts.map((part) => reference(part, values)));
    case 'or':
      return Math.max(...expression.parts.map((part) => reference(part, values)));
    case 'compare':
      throw new Error('not made here');
  }
}

test('random expressions agree with the tables of Kleene', () => {
  const text = fc.letrec<{ any: string }>((tie) => ({
    any: fc.oneof(
      { depthSize: 'small' },
      fc.constantFrom('a', 'b', 'c'),
      tie('any').map((inner) => `not ${inner}`),
      fc.tuple(tie('any'), fc.constantFrom('and', 'or'), tie('any')).map(([l, o, r]) => `(${l} ${o} ${r})`),
      fc.tuple(tie('any'), fc.constantFrom('and', 'or'), tie('any')).map(([l, o, r]) => `${l} ${o} ${r}`),
    ),
  })).any;
  const truth = fc.constantFrom(true, false, undefined);
  fc.assert(
    fc.property(text, fc.tuple(truth, truth, truth), (source, given) => {
      const values: Record<string, Value> = {};
      ['a', 'b', 'c'].forEach((name, index) => {
        const value = given[index];
        if (value !== undefined) values[name] = value;
      });
      const expression = parseExpression(source, { a: {}, b: {}, c: {} });
      const expected = reference(expression, values);
      assert.is(said(evaluate(expression, viewOf(values))), expected === 1 ? 'unknown' : expected === 2);
    }),
    { numRuns: 1_000 },
  );
});
