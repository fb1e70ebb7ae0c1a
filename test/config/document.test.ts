import * as assert from 'uvu/assert';
import { parseConfigText } from '../../src/config/document.ts';
import { formatProblem } from '../../src/config/problem.ts';
import { suite } from '../support/harness.ts';

const test = suite('places in the file');

test('a value in a block, a list and a flow has its line and column', () => {
  const document = parseConfigText('a:\n  b:\n    - x: 1\n    - { y: "two" }\n');
  const { line, column, length } = document.valuePlace(['a', 'b', 1, 'y']);
  assert.equal([line, column, length], [4, 12, 5]);
  assert.equal(document.keyPlace(['a', 'b', 0, 'x']).column, 7);
});

test('what is not there is shown at the nearest thing above it', () => {
  const document = parseConfigText('a:\n  b: { c: 1 }\n');
  assert.equal(document.keyPlace(['a', 'b', 'nowhere', 'deep']).column, 3);
  assert.equal(document.valuePlace([]).line, 1);
  assert.equal(parseConfigText('').keyPlace(['a']).line, 1);
});

test('a character inside a plain or quoted text is found, an escaped one shows the whole text', () => {
  const document = parseConfigText('a: one two\nb: "one two"\nc: "\\u006fne two"\nd: >\n  one\n  two\n');
  assert.is(document.valuePlace(['a'], 4).column, 8);
  assert.is(document.valuePlace(['b'], 4).column, 9);
  assert.is(document.valuePlace(['c'], 4).column, 4);
  assert.is(document.valuePlace(['d'], 4).line, 4);
});

test('a path goes through an alias to its anchor', () => {
  const document = parseConfigText('one: &x { t: { u: 1 } }\ntwo: *x\n');
  assert.is(document.valuePlace(['two', 't', 'u']).line, 1);
  assert.equal(document.value, { one: { t: { u: 1 } }, two: { t: { u: 1 } } });
});

test('a small file of aliases that would be gigabytes is refused', () => {
  const rows = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]'];
  for (let level = 1; level < 12; level++) {
    rows.push(`a${level}: &a${level} [${Array.from({ length: 10 }, () => `*a${level - 1}`).join(', ')}]`);
  }
  const document = parseConfigText(rows.join('\n'));
  assert.is(document.value, undefined);
  assert.match(document.faults[0]?.text ?? '', /too many aliases/);
});

test('keys that mean something to JavaScript are plain keys', () => {
  const document = parseConfigText('__proto__: { polluted: true }\nconstructor: 1\n');
  assert.is(({} as Record<string, unknown>).polluted, undefined);
  assert.ok(Object.hasOwn(document.value as object, '__proto__'));
});

test('the caret stands under its character after tabs, and in a line cut on both sides', () => {
  const place = { line: 3, column: 3, length: 2, text: '\t\tab' };
  const base = { level: 'error', code: 'X', text: 't', remedy: '', file: 'f', path: [] } as const;
  assert.match(formatProblem({ ...base, place }), / {6}\| \t\t\^~$/);
  const long = `${'x'.repeat(300)}here${'y'.repeat(300)}`;
  const rows = formatProblem({ ...base, place: { line: 3, column: 301, length: 4, text: long } }).split('\n');
  const caret = rows[2]?.indexOf('^') ?? 0;
  assert.is(rows[1]?.slice(caret, caret + 4), 'here');
  assert.ok((rows[1]?.length ?? 999) < 120);
});

test('anything is read without throwing', () => {
  for (const text of [
    '{',
    '[',
    '"',
    "'",
    '&',
    '*',
    '!',
    '%',
    '@',
    '`',
    '|',
    '>',
    '?',
    '- - -',
    ': :',
    '\u0000',
    '\ufeff',
    '--- ---',
    '!!js/function x',
    '{a: b, a: c}',
    '&a [*a]',
  ]) {
    const document = parseConfigText(text);
    document.keyPlace(['a', 0, 'b']);
    document.valuePlace(['a', 0, 'b'], 3);
  }
});
