import * as fc from 'fast-check';
import * as assert from 'uvu/assert';
import { paginate } from '../../src/commands/page.ts';
import { suite } from '../support/harness.ts';

const test = suite('pages');

test('what fits stays one page without a number', () => {
  assert.equal(paginate('freezer: -18', { bytes: 12 }), ['freezer: -18']);
  assert.equal(paginate('', { bytes: 100 }), ['']);
});

test('pages break at line ends and are numbered', () => {
  const text = ['alpha: 1', 'beta: 2', 'gamma: 3', 'delta: 4'].join('\n');
  assert.equal(paginate(text, { bytes: 28 }), ['(1/2) alpha: 1\nbeta: 2', '(2/2) gamma: 3\ndelta: 4']);
});

test('a long line breaks at a space, a long word between characters', () => {
  const words = paginate('one two three four five six seven eight', { bytes: 30 });
  assert.ok(words.every((page) => Buffer.byteLength(page) <= 30));
  assert.match(words[0] ?? '', /^\(1\/\d\) one two three four$/);
  for (const page of paginate('°'.repeat(200), { bytes: 40, pages: 20 })) {
    assert.ok(Buffer.byteLength(page) <= 40);
    assert.not.match(page, /\ufffd/);
  }
});

test('there are no more pages than allowed, and the last says what is missing', () => {
  const text = Array.from({ length: 500 }, (_, n) => `line ${n}`).join('\n');
  const pages = paginate(text, { bytes: 100, pages: 3 });
  assert.is(pages.length, 3);
  assert.match(pages[2] ?? '', /… \d+ more lines$/);
  assert.ok(pages.every((page) => Buffer.byteLength(page) <= 100));
});

test('no page is too long and no character is lost, whatever the text', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'grapheme', maxLength: 600 }),
      fc.integer({ min: 40, max: 200 }),
      (text, bytes) => {
        const pages = paginate(text, { bytes, pages: 99 });
        for (const page of pages) assert.ok(Buffer.byteLength(page) <= bytes);
        const joined = pages
          .map((page) => (pages.length > 1 ? page.replace(/^\(\d+\/\d+\) /, '') : page))
          .join('');
        assert.is(joined.replace(/\s/g, ''), text.replace(/\s/g, ''));
      },
    ),
    { numRuns: 300 },
  );
});
