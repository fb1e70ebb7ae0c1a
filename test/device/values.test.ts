import * as assert from 'uvu/assert';
import {
  formatMeasure,
  formatSpan,
  formatValue,
  parseTemplate,
  renderTemplate,
} from '../../src/device/template.ts';
import { parseValue, readValue, wireText } from '../../src/device/values.ts';
import { suite } from '../support/harness.ts';

const test = suite('device/values');

test('without rules text that is a number or a truth becomes one', () => {
  for (const [raw, value] of [
    ['4.5', 4.5],
    [' -4 ', -4],
    ['+1e3', 1000],
    ['.5', 0.5],
    ['true', true],
    ['false', false],
    ['open', 'open'],
    ['0x10', '0x10'],
    ['1 2', '1 2'],
    ['Infinity', 'Infinity'],
    ['1e999', '1e999'],
    [7, 7],
    [false, false],
  ] as const)
    assert.equal(readValue(raw, {}), { ok: true, value }, String(raw));
  assert.equal(readValue('', {}), { ok: false, problem: 'is empty' });
  assert.equal(readValue(Number.NaN, {}), { ok: false, problem: 'is NaN' });
});

test('type says what it must be', () => {
  assert.equal(readValue('007', { type: 'text' }), { ok: true, value: '007' });
  assert.equal(readValue(1, { type: 'text' }), { ok: true, value: '1' });
  assert.equal(readValue('n/a', { type: 'number' }), { ok: false, problem: 'is "n/a", not a number' });
  assert.equal(readValue(true, { type: 'number' }), { ok: false, problem: 'is "true", not a number' });
  assert.equal(readValue('', { type: 'number' }), { ok: false, problem: 'is "", not a number' });
  assert.equal(readValue('ON', { type: 'boolean' }), { ok: true, value: true });
  assert.equal(readValue(0, { type: 'boolean' }), { ok: true, value: false });
  assert.equal(readValue('2', { type: 'boolean' }), { ok: false, problem: 'is "2", neither true nor false' });
});

test('a rule for numbers makes it a number', () => {
  for (const rules of [{ min: 0 }, { max: 1 }, { deadband: 0 }, { hysteresis: 0 }])
    assert.is(readValue('warm', rules).ok, false);
});

test('a list of values picks, whatever type the source has', () => {
  assert.equal(readValue('true', { values: [true, false] }), { ok: true, value: true });
  assert.equal(readValue(true, { values: [true, false] }), { ok: true, value: true });
  assert.equal(readValue('1.0', { values: [0, 1] }), { ok: true, value: 1 });
  assert.equal(readValue(1, { values: ['1', '2'] }), { ok: true, value: '1' });
  assert.equal(readValue('ajar', { values: ['open', 'shut'] }), {
    ok: false,
    problem: 'is "ajar", none of open, shut',
  });
});

test('a table translates, and back', () => {
  const values = { ON: true, OFF: false, '2': 'auto' };
  assert.equal(readValue('ON', { values }), { ok: true, value: true });
  assert.equal(readValue(2, { values }), { ok: true, value: 'auto' });
  assert.is(readValue('on', { values }).ok, false);
  assert.is(readValue('toString', { values }).ok, false);
  assert.is(readValue('__proto__', { values }).ok, false);
  assert.is(wireText(true, values), 'ON');
  assert.is(wireText('auto', values), '2');
  assert.is(wireText(5, values), '5');
  assert.is(wireText(true, [true, false]), 'true');
});

test('what a person types is read kindly, and in range', () => {
  const values = { ON: true, OFF: false };
  for (const text of ['ON', 'on', 'On ', 'true', 'yes', '1'])
    assert.equal(parseValue(text, { values }), { ok: true, value: true }, text);
  assert.equal(parseValue('off', { values: [true, false] }), { ok: true, value: false });
  assert.equal(parseValue('maybe', { values }), { ok: false, problem: '"maybe" is none of true, false' });
  assert.equal(parseValue('21.5', { min: 5, max: 25 }), { ok: true, value: 21.5 });
  assert.equal(parseValue('99', { min: 5, max: 25 }), { ok: false, problem: '99 is not in 5 to 25' });
  assert.equal(parseValue('99', { min: 5 }), { ok: true, value: 99 });
});

test('text from outside is fit for a note: no control characters, no half surrogates, not endless', () => {
  const read = (raw: string): unknown => (readValue(raw, { type: 'text' }) as { value: unknown }).value;
  assert.is(read('a\r\nb\u0000c\u009bd'), 'a b c d');
  assert.is(read('x\ud800y'), 'x\ufffdy');
  assert.is(read('🚪'), '🚪');
  assert.is(read('\ufffe'), '\ufffd');
  assert.is((read('x'.repeat(100_000)) as string).length, 256);
});

test('numbers read as people write them', () => {
  assert.is(formatValue(0.1 + 0.2, undefined), '0.3');
  assert.is(formatValue(1_234_567_890, undefined), '1234567890');
  assert.is(formatValue(-18.456, 1), '-18.5');
  assert.is(formatValue(-0.04, 1), '0.0');
  assert.is(formatValue(21, 2), '21.00');
  assert.is(formatValue(true, 1), 'true');
  assert.is(formatMeasure(21.5, undefined, 'Cel'), '21.5 °C');
  assert.is(formatMeasure(40, 0, '%RH'), '40 % RH');
  assert.is(formatMeasure(3, undefined, 'lx'), '3 lx');
  assert.is(formatMeasure('open', undefined, 'lx'), 'open');
  assert.equal(
    [500, 45_000, 90_000, 300_000, 3_600_000, 5_400_000, 10_800_000, 259_200_000].map(formatSpan),
    ['500 ms', '45 s', '90 s', '5 min', '1 h', '90 min', '3 h', '3 d'],
  );
});

test('templates: holes, decimals, braces, errors with column and nearest name', () => {
  const fill = (text: string): string =>
    renderTemplate(parseTemplate(text, ['temperature', 'door']), (name, decimals) =>
      name === 'door' ? 'open' : formatValue(21.456, decimals),
    );
  assert.is(fill('{temperature:1} °C, door {door}'), '21.5 °C, door open');
  assert.is(fill('{ temperature } {{x}}'), '21.456 {x}');
  assert.is(fill(''), '');
  for (const [text, message] of [
    ['{temprature} °C', 'column 2: no signal "temprature"; did you mean "temperature"'],
    ['x {zzz}', 'column 4: no signal "zzz"; the device has temperature, door'],
    ['{door', 'column 1: { is never closed'],
    ['a}', 'column 2: } without {'],
    ['{}', 'column 1: "{}" names no signal'],
    ['{door:x}', 'column 1: "{door:x}" names no signal'],
  ] as const)
    assert.throws(
      () => parseTemplate(text, ['temperature', 'door']),
      (error: Error) => error.message === message,
      text,
    );
});
