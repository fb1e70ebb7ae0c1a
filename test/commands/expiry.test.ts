import * as assert from 'uvu/assert';
import { validity } from '../../src/commands/expiry.ts';
import { suite } from '../support/harness.ts';

const test = suite('expired messages');
const date = Date.UTC(2026, 5, 1, 12);

test('Expires counts from Date, or from the receipt without one', () => {
  assert.is(validity({ waited: 0 }, date).kind, 'valid');
  assert.is(validity({ date, waited: 0 }, date + 1e9).kind, 'valid');
  assert.is(validity({ expires: 60, date, waited: 0 }, date + 60_000).kind, 'valid');
  assert.equal(validity({ expires: 60, date, waited: 0 }, date + 61_000), { kind: 'expired', late: 1_000 });
  assert.is(validity({ expires: 60, waited: 59_000 }, date).kind, 'valid');
  assert.is(validity({ expires: 60, waited: 61_000 }, undefined).kind, 'expired');
  assert.is(validity({ expires: 0, waited: 0 }, undefined).kind, 'valid');
});

test('G27: without a clock it is not guessed', () => {
  assert.is(validity({ expires: 60, date, waited: 0 }, undefined).kind, 'undecidable');
  assert.is(validity({ expires: 60, date: 'unreadable', waited: 0 }, date).kind, 'undecidable');
  assert.is(validity({ date, waited: 0 }, undefined).kind, 'valid');
});
