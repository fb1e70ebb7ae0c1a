import * as fc from 'fast-check';
import * as assert from 'uvu/assert';
import { createLines } from '../../../src/sources/serial/lines.ts';
import { createPattern, riskOf } from '../../../src/sources/serial/pattern.ts';
import { createFakeClock } from '../../support/fake-clock.ts';
import { suite } from '../../support/harness.ts';

const test = suite('sources/serial/lines');

function cut(chunks: (string | Uint8Array)[], max = 1_024): { lines: string[]; overlong: number } {
  const lines: string[] = [];
  const cutter = createLines(max, (line) => lines.push(line));
  for (const chunk of chunks) cutter.push(Buffer.from(chunk as string));
  return { lines, overlong: cutter.overlong };
}

test('CR, LF and CRLF end a line, wherever the bytes are cut; empty lines are none', () => {
  assert.equal(cut(['x\na\rb\nc\r\nd\r', '\ne\n\n\r\nf']).lines, ['a', 'b', 'c', 'd', 'e']);
  assert.equal(cut(['x\n', 'a', 'b', 'c\r\n']).lines, ['abc']);
});

test('G10: the first partial line after opening is dropped', () => {
  assert.equal(cut(['OR=open\r\nDOOR=shut\r\n']).lines, ['DOOR=shut']);
  assert.equal(cut(['never ended']).lines, []);
});

test('text is UTF-8, also when a letter is cut in two', () => {
  const bytes = Buffer.from('\n21 °C 🚪\n');
  assert.equal(cut([...bytes].map((byte) => Buffer.from([byte]))).lines, ['21 °C 🚪']);
});

test('a line of 64 KB and binary noise harm nothing', () => {
  const noise = Buffer.from(Array.from({ length: 65_536 }, (_, at) => (at * 7919) % 256)).map((byte) =>
    byte === 10 || byte === 13 ? 0 : byte,
  );
  const { lines, overlong } = cut(['\n', 'x'.repeat(65_536), '\nDOOR=open\n', noise, '\nDOOR=shut\n']);
  assert.equal(lines, ['DOOR=open', 'DOOR=shut']);
  assert.is(overlong, 2);
});

test('a line of exactly the limit passes, one byte more does not', () => {
  const { lines, overlong } = cut([`\n${'a'.repeat(16)}\n${'b'.repeat(17)}\nc\n`], 16);
  assert.equal(lines, ['a'.repeat(16), 'c']);
  assert.is(overlong, 1);
});

test('any bytes cut anywhere give the lines that splitting the whole gives', () => {
  const bytes = fc.array(fc.constantFrom(10, 13, 65, 66, 0, 200), { maxLength: 80 });
  fc.assert(
    fc.property(bytes, fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }), (all, cuts) => {
      const whole = Buffer.from(all);
      const chunks: Buffer[] = [];
      for (let at = 0, turn = 0; at < whole.length; turn += 1) {
        const step = cuts[turn % cuts.length] as number;
        chunks.push(whole.subarray(at, at + step));
        at += step;
      }
      const expected = whole
        .toString('latin1')
        .split(/[\r\n]/)
        .slice(1, -1)
        .filter((line) => line !== '' && line.length <= 12)
        .map((line) => Buffer.from(line, 'latin1').toString('utf8'));
      assert.equal(cut(chunks, 12).lines, expected);
    }),
    { numRuns: 1_000 },
  );
});

const find = (pattern: string, line: string): string | undefined =>
  createPattern(createFakeClock(), pattern, () => {}).find(line);

test('the value is the group named value, else the first group, else the match', () => {
  assert.is(find('^DOOR=(open|shut)$', 'DOOR=open'), 'open');
  assert.is(find('(x)(?<value>y)', 'xy'), 'y');
  assert.is(find('o+n', 'ooon'), 'ooon');
  assert.is(find('^DOOR=(open|shut)$', 'DOOR=ajar'), undefined);
  assert.is(find('a(b)?', 'a'), undefined, 'a group that took no part has no value');
});

test('a pattern that cannot be read is refused with the reason', () => {
  assert.throws(
    () => find('^(a', 'x'),
    (error: { code: string; message: string }) =>
      error.code === 'SRC_BAD_PATTERN' && error.message === 'match ^(a: Unterminated group',
  );
});

test('which patterns can go wrong is told by their shape', () => {
  const shapes: [string, number, boolean][] = [
    ['^DOOR=(open|shut)$', 0, false],
    ['T=(-?\\d+\\.\\d+) H=(\\d+)', 3, false],
    ['[*+]\\*\\+', 0, false],
    ['a{3}b{2,5}', 1, false],
    ['(?:ab?)?', 0, false],
    ['(a+)+', 2, true],
    ['(a|a)*', 1, true],
    ['(a?){30}', 0, true],
    ['(ab){30}', 0, false],
    ['((a+)b)*', 2, true],
    ['(a+)\\1', 1, true],
    ['(?<v>a+)\\k<v>', 1, true],
    ['(?=a)(?<!b)c+?', 1, false],
  ];
  for (const [pattern, repeats, nested] of shapes)
    assert.equal(riskOf(pattern), { repeats, nested }, pattern);
});

test('a pattern that backtracks for ever is given up, rests, and is tried again', async () => {
  const clock = createFakeClock();
  const slow: Error[] = [];
  const pattern = createPattern(clock, '^(a+)+$', (error) => slow.push(error));
  assert.is(pattern.find('aaaa'), 'aaaa');
  const before = performance.now();
  assert.is(pattern.find(`${'a'.repeat(60)}b`), undefined);
  assert.is(slow.length, 1);
  assert.match((slow[0] as Error).message, 'took more than 100 ms on one line and rests for 1 min');
  for (let turn = 0; turn < 1_000; turn += 1) pattern.find(`${'a'.repeat(60)}b`);
  assert.is(slow.length, 1);
  assert.is(pattern.find('aaaa'), undefined);
  await clock.advance(60_000);
  assert.is(pattern.find('aaaa'), 'aaaa');
  assert.ok(performance.now() - before < 2_000);
});

test('repeats side by side on a long line are bounded too', () => {
  const slow: Error[] = [];
  const pattern = createPattern(createFakeClock(), '.*,.*,.*,.*,.*=(x)', (error) => slow.push(error));
  const before = performance.now();
  assert.is(pattern.find(','.repeat(1_000)), undefined);
  assert.ok(performance.now() - before < 1_000);
  assert.is(slow.length, 1);
});
