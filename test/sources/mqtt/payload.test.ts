import * as fc from 'fast-check';
import * as assert from 'uvu/assert';
import { createPacketMeter } from '../../../src/sources/mqtt/meter.ts';
import { parsePath, readPath } from '../../../src/sources/mqtt/path.ts';
import { createPayload, readTime } from '../../../src/sources/mqtt/payload.ts';
import { suite } from '../../support/harness.ts';

const test = suite('sources/mqtt/payload');

test('paths: names, indexes, odd names, the root', () => {
  for (const [text, steps] of [
    ['temp', ['temp']],
    ['a.b[2].c', ['a', 'b', 2, 'c']],
    ['[0].x', [0, 'x']],
    ['$.a', ['a']],
    ['$', []],
    ['$[1]', [1]],
    ['["odd name"].x', ['odd name', 'x']],
    ['a[\'b.c\']["d\\"e"]', ['a', 'b.c', 'd"e']],
    ['DS18B20-1.Temperature', ['DS18B20-1', 'Temperature']],
    ['a b.ü', ['a b', 'ü']],
  ] as const)
    assert.equal(parsePath(text), steps, text);
});

test('bad paths are refused with their column', () => {
  for (const [text, message] of [
    ['', 'path , column 1: expected a name'],
    ['.a', 'path .a, column 1: expected a name before the dot'],
    ['a..b', 'path a..b, column 3: expected a name'],
    ['a.', 'path a., column 3: expected a name'],
    ['a[x]', 'path a[x], column 2: expected [NUMBER] or ["name"]'],
    ['a[-1]', 'path a[-1], column 2: expected [NUMBER] or ["name"]'],
    ['a[1', 'path a[1, column 2: expected [NUMBER] or ["name"]'],
    ['a[0]b', 'path a[0]b, column 5: expected a dot or ['],
    ['a]', 'path a], column 2: expected a dot or ['],
  ] as const)
    assert.throws(
      () => parsePath(text),
      (error: Error) => error.message === message,
      text,
    );
  assert.throws(() => parsePath(Array(40).fill('a').join('.')), /more than 32 steps/);
});

test('a path finds own members only', () => {
  const root = JSON.parse('{"a":{"b":[1,{"c":"x"}]},"n":null,"__proto__":7}') as unknown;
  assert.is(readPath(root, ['a', 'b', 1, 'c']), 'x');
  assert.is(readPath(root, ['a', 'b', 5]), undefined);
  assert.is(readPath(root, ['n', 'x']), undefined);
  assert.is(readPath(root, ['constructor']), undefined);
  assert.is(readPath(root, ['a', 'b', 'length']), 2);
  assert.is(readPath(root, ['a', 'toString']), undefined);
  assert.is(readPath(root, ['__proto__']), 7);
  assert.is(readPath('text', ['length']), undefined);
});

test('what a path finds by any names is what JavaScript finds by them', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.string(), fc.nat(3)), { maxLength: 4 }), fc.integer(), (steps, leaf) => {
      let root: unknown = leaf;
      for (const step of [...steps].reverse()) {
        const list: unknown[] = [];
        if (typeof step === 'number') list[step] = root;
        root = typeof step === 'number' ? list : Object.fromEntries([[step, root]]);
      }
      const text = steps
        .map((step) => (typeof step === 'number' ? `[${step}]` : `["${step.replace(/["\\]/g, '\\$&')}"]`))
        .join('');
      if (text !== '') assert.is(readPath(root, parsePath(text)), leaf);
    }),
  );
});

const extract = (text: string, path?: string, time?: string): unknown =>
  createPayload(Buffer.from(text)).extract(
    path ? parsePath(path) : undefined,
    time ? parsePath(time) : undefined,
  );

test('a plain payload is the value; a path looks into JSON', () => {
  assert.equal(extract(' 4.5 '), { kind: 'value', value: ' 4.5 ', time: undefined });
  assert.equal(extract('{"t":4.5}', 't'), { kind: 'value', value: 4.5, time: undefined });
  assert.equal(extract('{"on":true}', 'on'), { kind: 'value', value: true, time: undefined });
  assert.equal(extract('7', '$'), { kind: 'value', value: 7, time: undefined });
});

test('what a report leaves out is absent, what cannot be a value is bad', () => {
  assert.equal(extract(''), { kind: 'absent' });
  assert.equal(extract('', 't'), { kind: 'absent' });
  assert.equal(extract('{"x":1}', 't'), { kind: 'absent' });
  assert.equal(extract('{"t":null}', 't'), { kind: 'absent' });
  assert.equal(extract('{"t":{}}', 't'), { kind: 'bad', problem: 'holds an object there' });
  assert.equal(extract('{"t":[1]}', 't'), { kind: 'bad', problem: 'holds a list there' });
  assert.equal(extract('nonsense', 't'), { kind: 'bad', problem: 'is no JSON' });
  assert.equal(extract('\ufeff{"t":1}', 't'), { kind: 'bad', problem: 'is no JSON' });
});

test('times: seconds, milliseconds, RFC 3339', () => {
  const at = Date.UTC(2026, 5, 1, 12);
  for (const [given, expected] of [
    [at / 1000, at],
    [at, at],
    [at / 1000 + 0.5, at + 500],
    [String(at / 1000), at],
    ['2026-06-01T12:00:00Z', at],
    ['2026-06-01T14:00:00.250+02:00', at + 250],
    ['2026-06-01 12:00:00Z', at],
    ['yesterday', undefined],
    ['2026-13-45T99:00:00Z', undefined],
    [0, undefined],
    [-5, undefined],
    [null, undefined],
    [{}, undefined],
  ] as const)
    assert.is(readTime(given), expected, String(given));
  assert.equal(extract(`{"t":1,"at":${at}}`, 't', 'at'), { kind: 'value', value: 1, time: at });
  assert.equal(extract('{"t":1}', 't', 'at'), { kind: 'value', value: 1, time: undefined });
});

/** A packet of a given remaining length. */
function packet(length: number): Buffer {
  const header = [0x30];
  let rest = length;
  do {
    const byte = rest % 128;
    rest = Math.floor(rest / 128);
    header.push(rest > 0 ? byte | 0x80 : byte);
  } while (rest > 0);
  return Buffer.concat([Buffer.from(header), Buffer.alloc(length, 0xff)]);
}

test('the packet meter sees a packet over the limit from its header, however the bytes are cut', () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(300), { maxLength: 8 }),
      fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 }),
      (lengths, cuts) => {
        const exceeded: number[] = [];
        const meter = createPacketMeter(200, (bytes) => exceeded.push(bytes));
        const stream = Buffer.concat(lengths.map(packet));
        for (let at = 0, cut = 0; at < stream.length; cut += 1) {
          const step = cuts[cut % cuts.length] as number;
          meter(stream.subarray(at, at + step));
          at += step;
        }
        const first = lengths.find((length) => length > 200);
        assert.equal(exceeded, first === undefined ? [] : [first]);
      },
    ),
  );
  const seen: number[] = [];
  createPacketMeter(1_000, (bytes) => seen.push(bytes))(Buffer.from([0x30, 0xff, 0xff, 0xff, 0x7f]));
  assert.equal(seen, [268_435_455]);
});
