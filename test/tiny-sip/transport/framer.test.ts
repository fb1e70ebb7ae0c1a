import fc from 'fast-check';
import * as assert from 'uvu/assert';
import type { Limits } from '../../../src/tiny-sip/message/limits.ts';
import { type ParseResult, parseMessage } from '../../../src/tiny-sip/message/parse.ts';
import { createFramer } from '../../../src/tiny-sip/transport/framer.ts';
import { suite } from '../../support/harness.ts';
import { message } from './recorder.ts';

const test = suite('framer', { timeout: 30_000 });
const SEED = { seed: 20_261_104 };

interface Cut {
  frames: Buffer[];
  parsed: ParseResult[];
  crlfs: number;
  lost: string | undefined;
  partial: boolean;
}

function cut(chunks: readonly Buffer[], limits?: Partial<Limits>): Cut {
  const result: Cut = { frames: [], parsed: [], crlfs: 0, lost: undefined, partial: false };
  const framer = createFramer(
    {
      frame(bytes, parsed) {
        assert.is(result.lost, undefined, 'nothing comes after the framing is lost');
        result.frames.push(bytes);
        result.parsed.push(parsed);
      },
      crlf() {
        result.crlfs += 1;
      },
      lost(why) {
        result.lost = why;
      },
    },
    limits,
  );
  for (const chunk of chunks) framer.push(chunk);
  result.partial = framer.partial;
  return result;
}

/** The stream in pieces: after each byte, whole, and at the given places. */
function split(stream: Buffer, places: readonly number[]): Buffer[] {
  const at = [...new Set(places.map((place) => place % (stream.length + 1)))].sort((a, b) => a - b);
  const chunks: Buffer[] = [];
  let from = 0;
  for (const place of [...at, stream.length]) {
    chunks.push(Buffer.from(stream.subarray(from, place)));
    from = place;
  }
  return chunks;
}

function bytewise(stream: Buffer): Buffer[] {
  return Array.from(stream, (byte) => Buffer.from([byte]));
}

test('messages come out whole, however the stream is cut', () => {
  const one = message('1', 'hello');
  const two = message('2');
  const stream = Buffer.concat([one, two, Buffer.from('\r\n\r\n'), one]);
  for (const chunks of [
    [stream],
    bytewise(stream),
    split(stream, [5, one.length, one.length + 1, stream.length - 1]),
  ]) {
    const result = cut(chunks);
    assert.equal(result.frames.map(String), [one, two, one].map(String));
    assert.is(result.crlfs, 2);
    assert.is(result.lost, undefined);
    assert.not(result.partial);
    assert.ok(result.parsed.every((parsed) => parsed.ok));
  }
});

test('a body that looks like a message is a body', () => {
  const inner = message('inner').toString();
  const result = cut([message('outer', `${inner}\r\n\r\n${inner}`), message('next')]);
  assert.is(result.frames.length, 2);
});

test('an unfinished message is waited for', () => {
  const one = message('1', 'hello');
  assert.ok(cut([one.subarray(0, 10)]).partial);
  assert.ok(cut([one.subarray(0, one.length - 1)]).partial);
  assert.ok(cut([one, one.subarray(0, 1)]).partial);
  assert.is(cut([one.subarray(0, one.length - 1)]).frames.length, 0);
});

test('handed-out messages are not written over by later ones', () => {
  const first = message('first', 'aaaa');
  const second = message('second', 'bbbb');
  const result = cut(bytewise(Buffer.concat([first, second])));
  assert.is(String(result.frames[0]), String(first));
  assert.is(result.parsed[0]?.ok && result.parsed[0].message.text(), 'aaaa');
});

test('S42: without a length, or with a bad one, the framing is lost; what was read can be answered', () => {
  const head = (line: string): Buffer =>
    Buffer.from(message('1').toString().replace('Content-Length: 0\r\n', line));
  for (const line of [
    '',
    'Content-Length: -1\r\n',
    'Content-Length: five\r\n',
    'Content-Length: 1\r\nl: 2\r\n',
    'Content-Length: 99999999999999999999\r\n',
    'Content-Length: 2000000\r\n',
  ]) {
    for (const chunks of [
      [Buffer.concat([head(line), message('2')])],
      bytewise(Buffer.concat([head(line), message('2')])),
    ]) {
      const result = cut(chunks);
      assert.is(result.frames.length, 1, line);
      assert.type(result.lost, 'string', line);
      const parsed = result.parsed[0];
      assert.ok(parsed && !parsed.ok && parsed.framingLost, line);
      assert.is(parsed && !parsed.ok && parsed.partial?.callId, '1', line);
    }
  }
});

test('S42: a fault that leaves the length readable loses one message, not the stream', () => {
  const broken = [
    message('1', 'body').toString().replace('MESSAGE sip:b@c SIP/2.0', 'MESSAGE  sip:b@c SIP/2.0'),
    message('1', 'body').toString().replace('SIP/2.0\r\n', 'SIP/7.0\r\n'),
    message('1', 'body').toString().replace('Via:', ' folded:'),
    message('1', 'body')
      .toString()
      .replace('sip:b@c SIP', `sip:${'b'.repeat(5_000)}@c SIP`),
  ];
  for (const text of broken) {
    const result = cut(bytewise(Buffer.from(text + message('2').toString())));
    assert.is(result.frames.length, 2);
    assert.not(result.parsed[0]?.ok);
    assert.ok(result.parsed[1]?.ok);
    assert.is(result.lost, undefined);
  }
});

test('S42: a bare LF ends the matter at once, so that a peer is not waited for in vain', () => {
  const result = cut([Buffer.from('OPTIONS sip:a SIP/2.0\nVia')]);
  assert.type(result.lost, 'string');
  assert.type(cut([Buffer.from('\nOPTIONS')]).lost, 'string');
  assert.type(cut([message('1'), Buffer.from('\n')]).lost, 'string');
});

test('limits end the stream before memory is taken', () => {
  const small = { headBytes: 200, headers: 5, body: 50 };
  assert.type(cut([Buffer.alloc(300, 120)], small).lost, 'string');
  assert.type(cut(bytewise(Buffer.alloc(300, 120)), small).lost, 'string');
  assert.type(
    cut([message('1', 'x'.repeat(51))], { ...small, headBytes: 1_000, headers: 50 }).lost,
    'string',
  );
  assert.type(cut([message('1')], { ...small, headBytes: 1_000 }).lost, 'string');
  assert.is(cut([message('1', 'x'.repeat(50))], { headBytes: 1_000, body: 50 }).frames.length, 1);
});

test('a claim of a large body takes no memory before its bytes come', () => {
  const before = process.memoryUsage().arrayBuffers;
  const head = Buffer.from(message('1').toString().replace('Content-Length: 0', 'Content-Length: 1000000'));
  const framers = Array.from({ length: 200 }, () =>
    createFramer({ frame: () => undefined, crlf: () => undefined, lost: () => undefined }),
  );
  for (const framer of framers) framer.push(head);
  assert.ok(process.memoryUsage().arrayBuffers - before < 4_000_000);
  assert.ok(framers.every((framer) => framer.partial));
});

test('a megabyte byte by byte costs no more than linear time', () => {
  const cost = (size: number): number => {
    const chunks = bytewise(message('1', 'x'.repeat(size)));
    const start = performance.now();
    assert.is(cut(chunks).frames.length, 1);
    return performance.now() - start;
  };
  cost(20_000);
  const [small, large] = [cost(50_000), cost(800_000)];
  assert.ok(large < (small + 5) * 50, `${small.toFixed(1)} ms, then ${large.toFixed(1)} ms`);
});

test('S42: framer length = parser length, and the same messages for every split of any stream', () => {
  const piece = fc.oneof(
    { weight: 4, arbitrary: fc.string({ maxLength: 30 }).map((body) => message('1', body)) },
    { weight: 1, arbitrary: fc.constant(Buffer.from('\r\n')) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)) },
    {
      weight: 1,
      arbitrary: fc
        .constantFrom(
          'OPTIONS sip:a SIP/2.0\r\nl: 3\r\n\r\nabc',
          'X\r\n\r\n',
          'A b SIP/2.0\r\nl:0\r\n\r\n',
          'A b SIP/2.0\r\nl:\r\n 0\r\n\r\n',
          'SIP/2.0 200 OK\r\nl: 1\r\nl: 1\r\n\r\nx',
          'A b SIP/2.0\r\nl: 1\r\nl: 2\r\n\r\nx',
          'A b SIP/2.0\n\n',
          '\r',
        )
        .map((one) => Buffer.from(one)),
    },
  );
  const change = fc.record({ at: fc.nat(2_000), byte: fc.constantFrom(0, 10, 13, 32, 48, 57, 58, 76, 108) });
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 6 }),
      fc.array(change, { maxLength: 3 }),
      fc.array(fc.nat(2_000), { maxLength: 12 }),
      (pieces, changes, places) => {
        const stream = Buffer.concat(pieces);
        for (const { at, byte } of changes) if (stream.length > 0) stream[at % stream.length] = byte;
        const whole = cut([stream]);
        const parts = cut(split(stream, places));
        const each = cut(bytewise(stream));
        // Where the framing is lost the last "message" is whatever was there by then.
        const sound = (of: Cut): string[] =>
          (of.lost === undefined ? of.frames : of.frames.slice(0, -1)).map((bytes) =>
            bytes.toString('latin1'),
          );
        for (const other of [parts, each]) {
          assert.equal(sound(other), sound(whole));
          assert.is(other.lost === undefined, whole.lost === undefined);
          assert.is(other.crlfs, whole.crlfs);
          assert.is(other.partial, whole.partial);
        }
        for (const [i, frame] of sound(whole).entries()) {
          const bytes = Buffer.from(frame, 'latin1');
          const parsed = parseMessage(bytes);
          assert.is(parsed.length, bytes.length, 'framer length = parser length');
          assert.is(parsed.ok, whole.parsed[i]?.ok);
          const withMore = parseMessage(
            Buffer.concat([bytes, Buffer.from('OPTIONS sip:more SIP/2.0\r\n\r\n')]),
          );
          assert.is(withMore.length, bytes.length, 'whatever follows');
        }
      },
    ),
    { ...SEED, numRuns: 600 },
  );
});
