import { deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import * as assert from 'uvu/assert';
import { isCoded } from '../../src/base/errors.ts';
import { decode } from '../../src/im/encoding.ts';
import { suite } from '../support/harness.ts';

const test = suite('content encodings');
const text = Buffer.from('set lamp on');

function code(run: () => unknown): string {
  try {
    run();
    return 'none';
  } catch (error) {
    return isCoded(error) ? error.code : String(error);
  }
}

test('S37: deflate (as zlib and raw), gzip and identity are undone', () => {
  for (const [bytes, names] of [
    [text, []],
    [text, ['identity']],
    [deflateSync(text), ['deflate']],
    [deflateRawSync(text), ['Deflate']],
    [gzipSync(text), ['gzip']],
    [gzipSync(deflateSync(text)), ['deflate', 'x-gzip']],
  ] as const)
    assert.is(decode(bytes, names, 1_000)?.toString(), 'set lamp on');
});

test('an unknown coding is told apart from a broken body', () => {
  assert.is(decode(text, ['br'], 1_000), undefined);
  assert.is(
    code(() => decode(text, ['gzip'], 1_000)),
    'IM_ENCODING',
  );
  assert.is(
    code(() => decode(Buffer.alloc(0), ['deflate'], 1_000)),
    'IM_ENCODING',
  );
  assert.is(
    code(() => decode(gzipSync(text).subarray(0, 12), ['gzip'], 1_000)),
    'IM_ENCODING',
  );
});

test('a bomb does not go off', () => {
  const bomb = gzipSync(Buffer.alloc(20_000_000));
  assert.is(
    code(() => decode(bomb, ['gzip'], 4_096)),
    'IM_TOO_LONG',
  );
  assert.is(
    code(() => decode(deflateSync(Buffer.alloc(10_000)), ['deflate'], 4_096)),
    'IM_TOO_LONG',
  );
  assert.is(
    code(() => decode(Buffer.alloc(10), [], 9)),
    'IM_TOO_LONG',
  );
});
