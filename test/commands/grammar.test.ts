import * as fc from 'fast-check';
import * as assert from 'uvu/assert';
import { parseCommand } from '../../src/commands/grammar.ts';
import { suite } from '../support/harness.ts';

const test = suite('command grammar');

const words = (text: string): readonly string[] | string => {
  const parsed = parseCommand(text);
  return parsed.ok ? [parsed.command.verb, ...parsed.command.words] : parsed.kind;
};

test('verbs go in any case, white space around does not matter', () => {
  assert.equal(words('status'), ['status']);
  assert.equal(words('  STATUS \r\n'), ['status']);
  assert.equal(words('Get  freezer\ttemperature'), ['get', 'freezer', 'temperature']);
});

test('quotation marks keep words together, the curly ones of phones too', () => {
  assert.equal(words('set "Freezer 2" "set point" -18.5'), ['set', 'Freezer 2', 'set point', '-18.5']);
  assert.equal(words('get \u201cFreezer 2\u201d'), ['get', 'Freezer 2']);
  assert.equal(words('get \u201eFreezer 2\u201c'), ['get', 'Freezer 2']);
  assert.equal(words("set 'a b' on"), ['set', 'a b', 'on']);
  assert.equal(words('set sign "say \\"hi\\""'), ['set', 'sign', 'say "hi"']);
  assert.equal(words("get Bob's lamp"), ['get', "Bob's", 'lamp']);
  assert.equal(words('set sign ""'), ['set', 'sign', '']);
});

test('what is meant as a command but is none says why', () => {
  for (const [text, why] of [
    ['get', /get DEVICE/],
    ['set lamp', /set \[DEVICE\] SIGNAL VALUE/],
    ['status all', /status/],
    ['set lamp "on', /never closed/],
    ['set lamp on\nset siren on', /one line/],
    ['set lamp on\rset siren on', /one line/],
    ['set lamp \u0007on', /control/],
    [`set lamp ${'x'.repeat(2000)}`, /too long/],
  ] as const) {
    const parsed = parseCommand(text);
    assert.ok(!parsed.ok && parsed.kind === 'malformed', text);
    if (!parsed.ok && parsed.kind === 'malformed') assert.match(parsed.why, why);
  }
});

test('talk is no command; a mistyped verb is guessed', () => {
  assert.equal(parseCommand('hello there'), { ok: false, kind: 'talk', word: 'hello' });
  assert.equal(parseCommand('stauts'), { ok: false, kind: 'talk', word: 'stauts', meant: 'status' });
  assert.equal(words(''), 'talk');
  assert.equal(words('> set lamp on'), 'talk');
  assert.equal(words('[Offline message - Fri Nov 20] set lamp on'), 'talk');
  assert.equal(words('setlamp on'), 'talk');
});

test('any text is answered without a throw, and quickly', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 3000 }), (text) => {
      parseCommand(text);
      parseCommand(`set ${text}`);
    }),
    { numRuns: 500 },
  );
});

test('words put in quotation marks come out as they went in', () => {
  const word = fc.string({ minLength: 1, maxLength: 20 }).filter((text) => !/[\r\n]/.test(text));
  fc.assert(
    fc.property(fc.array(word, { minLength: 2, maxLength: 6 }), (list) => {
      const quoted = list.map((one) => `"${one.replace(/(["\\])/g, '\\$1')}"`);
      assert.equal(words(`set ${quoted.join(' ')}`), ['set', ...list.map((one) => one.normalize('NFC'))]);
    }),
    { numRuns: 300 },
  );
});
