import * as fc from 'fast-check';
import * as assert from 'uvu/assert';
import { formatDuration, parseDuration, parseSize } from '../../src/config/units.ts';
import { suite } from '../support/harness.ts';

const test = suite('units');

test('durations with a unit are milliseconds', () => {
  assert.equal(
    ['500ms', '30s', '5m', '1h', '2d', '1h30m', '2.5s', '0s'].map(parseDuration),
    [500, 30_000, 300_000, 3_600_000, 172_800_000, 5_400_000, 2500, 0],
  );
});

test('a number without a unit, and what merely looks like a duration, is refused', () => {
  for (const text of [
    '5',
    '',
    's',
    '5 m',
    '-5s',
    '5min',
    '1e3s',
    '5s ',
    '٥s',
    '31d',
    '999999999999d',
    '5S',
    'PT5M',
  ]) {
    assert.is(parseDuration(text), undefined, text);
  }
});

test('what is written is read again', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 30 * 86_400_000 }), (milliseconds) => {
      assert.is(parseDuration(formatDuration(milliseconds)), milliseconds);
    }),
  );
});

test('sizes are bytes', () => {
  assert.equal(
    ['512B', '64kB', '1MB', '64KiB', '1.5MiB'].map(parseSize),
    [512, 64_000, 1_000_000, 65_536, 1_572_864],
  );
  for (const text of ['64', '64k', '-1B', '0.3B', '64 kB', '']) assert.is(parseSize(text), undefined, text);
});
