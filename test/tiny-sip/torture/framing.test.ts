/** Streams of mutated messages, cut anywhere: the framer finds what the parser finds. */
import * as assert from 'uvu/assert';
import { parseMessage } from '../../../src/tiny-sip/message/parse.ts';
import { createFramer } from '../../../src/tiny-sip/transport/framer.ts';
import { createMutator } from '../../fuzz/mutate.ts';
import { createFakeRandom } from '../../support/fake-random.ts';
import { suite } from '../../support/harness.ts';

const test = suite('torture, framed', { timeout: 60_000 });

interface Cut {
  readonly frames: readonly Buffer[];
  readonly codes: readonly string[];
  readonly crlfs: number;
  readonly lost: boolean;
  readonly partial: boolean;
}

function cut(chunks: readonly Buffer[]): Cut {
  const frames: Buffer[] = [];
  const codes: string[] = [];
  let crlfs = 0;
  let lost = false;
  const framer = createFramer({
    frame(bytes, parsed) {
      frames.push(Buffer.from(bytes));
      codes.push(parsed.ok ? 'ok' : parsed.code);
    },
    crlf() {
      crlfs += 1;
    },
    lost() {
      lost = true;
    },
  });
  for (const chunk of chunks) framer.push(chunk);
  return { frames, codes, crlfs, lost, partial: framer.partial };
}

test('S42: framer length = parser length, for mutated messages and any split', () => {
  const mutator = createMutator(createFakeRandom(4_475));
  let sound = 0;
  let broken = 0;
  for (let round = 0; round < 700; round += 1) {
    const stream = Buffer.concat(Array.from({ length: 1 + mutator.pick(4) }, () => mutator.next()));
    const whole = cut([stream]);
    const places = Array.from({ length: mutator.pick(8) }, () => mutator.pick(stream.length + 1)).sort(
      (a, b) => a - b,
    );
    const parts = cut(
      [0, ...places].map((from, i) => Buffer.from(stream.subarray(from, places[i] ?? stream.length))),
    );
    // Of a message with which the framing is lost there is as much as had come.
    const last = whole.lost ? -1 : whole.frames.length;
    assert.equal(parts.codes, whole.codes);
    assert.equal([parts.crlfs, parts.lost, parts.partial], [whole.crlfs, whole.lost, whole.partial]);
    assert.equal(
      parts.frames.slice(0, last).map((one) => one.toString('latin1')),
      whole.frames.slice(0, last).map((one) => one.toString('latin1')),
    );
    for (const [i, frame] of whole.frames.slice(0, last).entries()) {
      const parsed = parseMessage(frame);
      assert.is(parsed.length, frame.length, 'framer length = parser length');
      assert.is(parsed.ok ? 'ok' : parsed.code, whole.codes[i]);
      sound += 1;
    }
    if (whole.lost) broken += 1;
  }
  assert.ok(sound > 400 && broken > 100, `${sound} frames, ${broken} streams lost`);
});

test('S42: what a mutated message takes of its datagram is all it needs', () => {
  const mutator = createMutator(createFakeRandom(5_118));
  const faults = new Set<string>();
  for (let round = 0; round < 3_000; round += 1) {
    const bytes = mutator.next();
    const first = parseMessage(bytes);
    if (!first.ok) {
      faults.add(first.code);
      continue;
    }
    assert.ok(first.length <= bytes.length);
    assert.is(parseMessage(bytes.subarray(0, first.length)).ok, true, 'what belongs to it is all it needs');
  }
  assert.ok(faults.size >= 6, [...faults].join());
});
