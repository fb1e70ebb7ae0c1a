import * as assert from 'uvu/assert';
import { fit, formatAge, pad, printable, table, widthOf } from '../../src/cli/table.ts';
import { suite } from '../support/harness.ts';

const test = suite('tables on a terminal');

test('columns are counted as a terminal counts them', () => {
  assert.equal(['abc', '°C', 'é', 'e\u0301', '冷凍庫', '⚠', '👍'].map(widthOf), [3, 2, 1, 1, 6, 2, 2]);
});

test('a text is cut to its columns, never inside a character', () => {
  assert.is(fit('freezer', 7), 'freezer');
  assert.is(fit('freezers', 7), 'freeze…');
  assert.is(fit('冷凍庫', 5), '冷凍…');
  assert.is(fit('冷凍庫', 4), '冷…');
  assert.is(pad('°C', 4), '°C  ');
});

test('rows are aligned and carry no blanks at their ends', () => {
  assert.equal(
    table([
      ['a', 'bb', 'c'],
      ['aaa', 'b', ''],
    ]),
    ['a    bb  c', 'aaa  b'],
  );
});

test('control characters from the network do not reach the terminal', () => {
  assert.is(printable('a\u001b[2Jb\r\nc\u0007'), 'a [2Jb c');
  assert.is(printable('a\u202egnp.exe'), 'a gnp.exe');
  assert.is(printable('\u009b31mred'), '31mred');
});

test('ages are short', () => {
  assert.equal([0, 59.9, 60, 3599, 3600, 86_400 * 3, -5, undefined, Number.NaN].map(formatAge), [
    '0s',
    '59s',
    '1m',
    '59m',
    '1h',
    '3d',
    '0s',
    '',
    '',
  ]);
});
