import * as assert from 'uvu/assert';
import {
  agreeRates,
  beatOf,
  countNotify,
  formatRates,
  hasRates,
  readRates,
  startHistory,
  withRates,
} from '../../../src/tiny-sip/event/rate.ts';
import { suite } from '../../support/harness.ts';

const test = suite('tiny-sip notification rates');

const params = (text: string): ReadonlyMap<string, string> =>
  new Map(
    text
      .split(';')
      .filter(Boolean)
      .map((one) => {
        const [name = '', value = ''] = one.split('=');
        return [name, value];
      }),
  );

test('RFC 6446 §9.2: one or two digits and up to ten decimals, never zero; anything else is no rate', () => {
  const max = (value: string): number | undefined => readRates(params(`max-rate=${value}`)).max;
  assert.is(max('1'), 1);
  assert.is(max('99.9999999999'), 99.9999999999);
  assert.is(max('0.0000000001'), 1e-10);
  assert.is(max('05.50'), 5.5);
  for (const wrong of ['0', '0.0', '00', '100', '1.', '.5', '1.12345678901', '-1', '1e1', 'x', '', '1 '])
    assert.is(max(wrong), undefined, wrong);
  assert.equal(readRates(params('id=7;max-rate=0.2;min-rate=0.01;adaptive-min-rate=0.05')), {
    max: 0.2,
    min: 0.01,
    adaptive: 0.05,
  });
});

test('what is written can be read again, as a decimal without exponent', () => {
  assert.is(formatRates({}), '');
  assert.is(formatRates({ max: 0.05 }), ';max-rate=0.05');
  assert.is(
    formatRates({ max: 1, min: 1e-10, adaptive: 0.3333333333333 }),
    ';max-rate=1;min-rate=0.0000000001;adaptive-min-rate=0.3333333333',
  );
  assert.is(formatRates({ max: 1e9, min: 1e-30 }), ';max-rate=99.9999999999;min-rate=0.0000000001');
  for (const rate of [0.1, 10, 0.2, 99.5, 1 / 3600, 30])
    assert.ok(Math.abs((readRates(params(formatRates({ max: rate }))).max ?? 0) - rate) < 1e-9, String(rate));
});

test('RFC 6446 §5.3, §8: wishes are adjusted to what this side allows and to each other', () => {
  const policy = { interval: 5_000, beat: 5_000, left: 600 };
  assert.equal(agreeRates({}, policy), {});
  assert.equal(agreeRates({ max: 1 }, policy), { max: 0.2 }, 'not faster than the local interval');
  assert.equal(agreeRates({ max: 0.05 }, policy), { max: 0.05 });
  assert.equal(agreeRates({ max: 0.0001 }, policy), { max: 1 / 600 }, 'one before the end');
  assert.equal(agreeRates({ max: 0.05, min: 0.1 }, policy), { max: 0.05, min: 0.05 }, 'min not over max');
  assert.equal(agreeRates({ max: 0.05, adaptive: 0.1 }, policy), { max: 0.05, adaptive: 0.05 });
  assert.equal(
    agreeRates({ min: 0.05, adaptive: 0.05 }, policy),
    { adaptive: 0.05 },
    'min is not considered',
  );
  assert.equal(agreeRates({ min: 0.01, adaptive: 0.05 }, policy), { min: 0.01, adaptive: 0.05 });
  assert.equal(agreeRates({ min: 50 }, policy), { min: 0.2 });
  assert.equal(agreeRates({ max: 50, min: 50 }, { interval: 0, beat: 1_000, left: 600 }), {
    max: 50,
    min: 1,
  });
});

test('rates of a SUBSCRIBE are replaced as a whole, other parameters stay', () => {
  const before = params('id=7;max-rate=0.2;min-rate=0.01');
  const after = withRates(before, params('min-rate=0.02;id=8'));
  assert.equal(
    [...after],
    [
      ['id', '7'],
      ['min-rate', '0.02'],
    ],
  );
  assert.is(hasRates(before), true);
  assert.is(hasRates(params('id=7')), false);
});

test('RFC 6446 §7.4: a quiet subscription beats at its adaptive rate', () => {
  const rates = { adaptive: 0.1 };
  const history = startHistory(0);
  let at = 0;
  const waits: number[] = [];
  for (let n = 0; n < 40; n += 1) {
    countNotify(history, rates.adaptive, at);
    const wait = beatOf(rates, history, at) ?? 0;
    waits.push(wait);
    at += wait;
  }
  // On average one in ten seconds.
  const average = at / 40 / 1000;
  assert.ok(average > 8.5 && average < 11.5, `${average} s`);
  assert.ok(
    waits.every((wait) => wait > 5_000 && wait < 20_000),
    waits.join(' '),
  );
});

test('RFC 6446 §7.4: after a burst it is silent for longer, and at most for as long as min-rate says', () => {
  const burst = (min?: number): number => {
    const rates = { adaptive: 0.1, ...(min !== undefined && { min }) };
    const history = startHistory(0);
    for (let at = 0; at <= 20_000; at += 500) countNotify(history, rates.adaptive, at);
    return beatOf(rates, history, 20_000) ?? 0;
  };
  assert.ok(burst() > 40_000, `${burst()} ms`);
  assert.is(burst(0.05), 20_000);
});

test('RFC 6446 §7.4: never sooner than max-rate allows; without minimum rates never at all', () => {
  const history = startHistory(0);
  // Long silence: nothing counted any more.
  assert.is(beatOf({ adaptive: 0.1, max: 0.15 }, history, 1_000_000), 1000 / 0.15);
  assert.is(beatOf({ max: 0.1 }, startHistory(0), 0), undefined);
  assert.is(beatOf({ min: 0.1 }, startHistory(0), 0), 10_000);
});
