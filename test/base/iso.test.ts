import fc from 'fast-check';
import * as assert from 'uvu/assert';
import { isoTime } from '../../src/base/iso.ts';
import { suite } from '../support/harness.ts';

const test = suite('ISO times');

test('writes every moment of the years 0 to 9999 as Date does', () => {
  const moment = fc.integer({
    min: Date.parse('0000-01-01T00:00:00Z'),
    max: Date.parse('9999-12-31T23:59:59.999Z'),
  });
  fc.assert(
    fc.property(moment, (ms) => assert.is(isoTime(ms), new Date(ms).toISOString())),
    { seed: 3339, numRuns: 2_000 },
  );
  for (const ms of [0, -1, 951_782_400_000, 253_402_300_799_999])
    assert.is(isoTime(ms), new Date(ms).toISOString());
});
