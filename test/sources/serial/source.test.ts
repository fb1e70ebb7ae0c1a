import * as assert from 'uvu/assert';
import type { CodedError } from '../../../src/base/errors.ts';
import { createLog, type LogRecord, silentLog } from '../../../src/base/log.ts';
import { createDevices } from '../../../src/device/device.ts';
import type { SerialBinding, SerialSourceOptions } from '../../../src/sources/serial/options.ts';
import type { OpenPort, PortEvents } from '../../../src/sources/serial/port.ts';
import { createSerialSource, type SerialSource } from '../../../src/sources/serial/source.ts';
import { createFakeClock, type FakeClock } from '../../support/fake-clock.ts';
import { createFakeRandom } from '../../support/fake-random.ts';
import { suite } from '../../support/harness.ts';
import { createTestSink, type TestSink, turns } from '../sink.ts';
import { createTree, node, type Tree } from './tree.ts';

const test = suite('sources/serial/source');

const PORT = '/dev/ttyUSB0';
const DAY = 86_400_000;

/** A port under a test's hand. */
interface Hand {
  /** How often it was opened. */
  opens: number;
  /** Why it cannot be opened. */
  refusal: Error | undefined;
  events: PortEvents | undefined;
  written: string[];
  /** Resolves or rejects the write on its way; undefined: it goes at once. */
  block: boolean;
  release(error?: Error): void;
  closed: number;
}

interface Bench {
  clock: FakeClock;
  tree: Tree;
  hand: Hand;
  sink: TestSink;
  records: LogRecord[];
  source: SerialSource;
  /** The board says a line. */
  say(text: string): void;
}

const DOOR: SerialBinding = { device: 'freezer', signal: 'door', match: '^DOOR=(open|shut)$' };
const LAMP: SerialBinding = {
  device: 'lamp',
  signal: 'on',
  match: '^LAMP=(.*)$',
  write: 'LAMP={value}\n',
  values: { '1': true, '0': false },
};

function bench(options: Partial<SerialSourceOptions> = {}): Bench {
  const clock = createFakeClock();
  const tree = createTree();
  tree.nodes.set(PORT, node());
  const sink = createTestSink();
  const records: LogRecord[] = [];
  const log = createLog({ clock, write: (record) => records.push(record) }, { level: 'info' });
  const releases: ((error?: Error) => void)[] = [];
  const hand: Hand = {
    opens: 0,
    refusal: undefined,
    events: undefined,
    written: [],
    block: false,
    release: (error) => releases.shift()?.(error),
    closed: 0,
  };
  const open: OpenPort = async (_path, _line, events) => {
    if (hand.refusal) throw hand.refusal;
    hand.opens += 1;
    hand.events = events;
    return {
      async write(bytes) {
        hand.written.push(bytes.toString());
        if (!hand.block) return;
        await new Promise<void>((resolve, reject) =>
          releases.push((error) => (error ? reject(error) : resolve())),
        );
      },
      async close() {
        hand.closed += 1;
      },
    };
  };
  const source = createSerialSource(
    { clock, log, random: createFakeRandom(), files: tree.files, open, identity: { uid: 1, gids: [1] } },
    { id: 'board', port: PORT, baud: 115_200, bindings: [DOOR, LAMP], ...options },
    sink,
  );
  return { clock, tree, hand, sink, records, source, say: (text) => hand.events?.data(Buffer.from(text)) };
}

const never = new AbortController().signal;

async function started(options: Partial<SerialSourceOptions> = {}): Promise<Bench> {
  const made = bench(options);
  await made.source.start(never);
  made.say('\n');
  return made;
}

test('lines become readings of the signals whose pattern matches', async () => {
  const { say, sink, source } = await started({
    bindings: [DOOR, { device: 'other', signal: 'copy', match: DOOR.match }, LAMP],
  });
  say('DOOR=open\r\nnoise\r\nLAMP=1\r\n');
  assert.equal(
    sink.seen.map(({ device, signal, value, age }) => [device, signal, value, age]),
    [
      ['freezer', 'door', 'open', 'fresh'],
      ['other', 'copy', 'open', 'fresh'],
      ['lamp', 'on', '1', 'fresh'],
    ],
  );
  const { lines, readings, unmatched } = source.counts();
  assert.equal([lines, readings, unmatched], [3, 3, 1]);
  assert.equal(source.health(), { state: 'ok' });
  await source.stop(1_000);
});

test('G1: a node that vanishes makes the source down within 5 s, without a write and without a word of the port', async () => {
  const { clock, tree, sink, hand, source } = await started();
  assert.is(sink.last()?.state, 'up');
  await clock.advance(10_000);
  tree.nodes.delete(PORT);
  const at = clock.now();
  while (sink.last()?.state === 'up' && clock.now() < at + 60_000) await clock.advance(100);
  assert.ok(clock.now() - at < 5_000, String(clock.now() - at));
  assert.equal(sink.last(), {
    source: 'board',
    state: 'down',
    code: 'SRC_PORT_GONE',
    cause: 'port /dev/ttyUSB0 is gone: unplugged',
  });
  assert.is(hand.closed, 1);
  assert.is(source.health().state, 'down');
  await source.stop(clock.now());
});

test('G1: a port that says it is closed makes the source down at once', async () => {
  const { sink, hand, source } = await started();
  hand.events?.closed(new Error('Error: bad file descriptor'));
  assert.is(sink.last()?.cause, 'port /dev/ttyUSB0 is gone: bad file descriptor');
  await source.stop(0);
});

test('G1: another node in its place is noticed', async () => {
  const { clock, tree, sink, hand, source } = await started();
  tree.nodes.set(PORT, node());
  await clock.advance(3_000);
  assert.equal(
    sink.states.map(({ state }) => state),
    ['starting', 'up', 'down', 'up'],
  );
  assert.is(hand.opens, 2);
  await source.stop(clock.now());
});

test('G2: it is opened again within 3 s of being plugged in, however long it was away', async () => {
  const { clock, tree, sink, hand, source, say } = await started();
  for (const away of [500, 7_000, DAY / 24]) {
    tree.nodes.delete(PORT);
    hand.events?.closed(undefined);
    await clock.advance(away);
    assert.is(sink.last()?.state, 'down');
    tree.nodes.set(PORT, node());
    await clock.advance(3_000);
    assert.is(sink.last()?.state, 'up', `after ${away} ms`);
  }
  sink.seen.length = 0;
  say('tial\nDOOR=open\n');
  assert.equal(sink.values(), ['door=open'], 'the first partial line after each opening is dropped');
  await source.stop(clock.now());
});

test('G4: 24 h unplugged write at most 10 lines of log', async () => {
  const { clock, tree, records, hand, source } = await started();
  hand.events?.closed(new Error('bad file descriptor'));
  tree.nodes.delete(PORT);
  await clock.advance(DAY);
  assert.ok(records.length <= 3, JSON.stringify(records));
  assert.is(hand.opens, 1);
  assert.is(clock.pending(), 1);
  await source.stop(clock.now());
});

test('G4: 24 h of a port that cannot be opened write at most 10 lines of log, at growing intervals', async () => {
  const { clock, records, hand, source, sink } = bench();
  hand.refusal = new Error('Error Resource temporarily unavailable Cannot lock port');
  let tries = 0;
  Object.defineProperty(hand, 'refusal', {
    get() {
      tries += 1;
      return new Error('Error Resource temporarily unavailable Cannot lock port');
    },
  });
  await source.start(never);
  await clock.advance(DAY);
  assert.is(records.length, 1);
  // Read twice at each try; the cap of the back-off is two minutes, its mean one.
  assert.ok(tries / 2 < 2_000, String(tries));
  assert.is(sink.last()?.code, 'SRC_PORT_BUSY');
  assert.is(sink.states.length, 2, 'told once');
  await source.stop(clock.now());
});

test('G8: no permission is a named state, and a change of permissions is tried at once', async () => {
  const { clock, tree, sink, hand, source } = bench();
  hand.refusal = new Error(`Error: Permission denied, cannot open ${PORT}`);
  await source.start(never);
  assert.is(sink.last()?.code, 'SRC_PORT_DENIED');
  assert.is(source.health().code, 'SRC_PORT_DENIED');
  await clock.advance(DAY / 24);
  hand.refusal = undefined;
  const before = tree.nodes.get(PORT);
  tree.nodes.set(PORT, { ...(before ?? node()), gid: 1 });
  await clock.advance(2_000);
  assert.is(sink.last()?.state, 'up');
  await source.stop(clock.now());
});

test('G7: a port that was never there is a state that says so, and comes up when it comes', async () => {
  const { clock, tree, sink, source, records } = bench();
  tree.nodes.delete(PORT);
  await source.start(never);
  assert.equal(sink.last(), {
    source: 'board',
    state: 'down',
    code: 'SRC_PORT_MISSING',
    cause: 'port /dev/ttyUSB0 is not there',
  });
  assert.is(records[0]?.fields.remedy, 'No serial port is present; plug the adaptor in.');
  tree.nodes.set(PORT, node());
  await clock.advance(2_000);
  assert.is(sink.last()?.state, 'up');
  await source.stop(clock.now());
});

test('G5: a port that falls silent is closed and opened again, with back-off', async () => {
  const { clock, sink, hand, source, say } = await started({ silence: 30_000 });
  for (let turn = 0; turn < 10; turn += 1) {
    await clock.advance(20_000);
    say('x\n');
  }
  assert.is(hand.opens, 1);
  await clock.advance(32_001);
  assert.is(hand.opens, 2);
  assert.is(sink.states.find(({ state }) => state === 'down')?.code, 'SRC_PORT_SILENT');
  assert.is(source.counts().losses, 1);
  await source.stop(clock.now());
});

test('G3: an adaptor that is dead while its port stays open is found by its watchdog, and shown as dead until it speaks', async () => {
  const { clock, sink, hand, source, say } = await started({ silence: 30_000 });
  const devices = createDevices(
    { clock, log: silentLog },
    { devices: [{ id: 'freezer', signals: { door: { source: 'board', stale: 'never' } } }] },
  );
  let told = 0;
  const pass = (): void => {
    for (const reading of sink.seen.splice(0)) devices.reading(reading);
    for (; told < sink.states.length; told += 1) {
      const state = sink.states[told];
      if (state) devices.state(state);
    }
  };
  say('DOOR=open\n');
  pass();
  assert.is(devices.get('freezer')?.reach, 'reachable');
  await clock.advance(33_000);
  pass();
  assert.match(devices.get('freezer')?.note ?? '', /silent|not read since/);
  const before = hand.opens;
  for (let second = 0; second < 3_600; second += 1) {
    await clock.advance(1_000);
    pass();
    assert.is(devices.get('freezer')?.reach, 'unknown', 'an open port alone makes nothing reachable');
  }
  assert.ok(hand.opens - before >= 20 && hand.opens - before <= 120, `${hand.opens - before} in an hour`);
  while (source.health().state !== 'ok') await clock.advance(1_000);
  say('\nDOOR=shut\n');
  pass();
  assert.is(devices.get('freezer')?.reach, 'reachable');
  await source.stop(clock.now());
});

test('a write goes out as its template says, translated back', async () => {
  const { hand, source } = await started();
  await source.write({ device: 'lamp', signal: 'on' }, true, never);
  await source.write({ device: 'lamp', signal: 'on' }, false, never);
  assert.equal(hand.written, ['LAMP=1\n', 'LAMP=0\n']);
  await source.stop(1_000);
});

async function failure(promise: Promise<void>): Promise<CodedError> {
  try {
    await promise;
  } catch (error) {
    return error as CodedError;
  }
  throw new Error('it went through');
}

test('what cannot be written is refused by name', async () => {
  const { source, hand } = await started({
    bindings: [DOOR, { device: 'sign', signal: 'text', write: 'TEXT={value}\n' }],
  });
  const write = (device: string, signal: string, value: string): Promise<CodedError> =>
    failure(source.write({ device, signal }, value, never));
  assert.is((await write('freezer', 'door', 'open')).code, 'SRC_NOT_WRITABLE');
  assert.is((await write('nobody', 'x', 'y')).code, 'SRC_NOT_WRITABLE');
  const injected = await write('sign', 'text', 'hello\nREBOOT');
  assert.equal([injected.code, injected.sip], ['SRC_WRITE_REFUSED', 400]);
  assert.is((await write('sign', 'text', 'x'.repeat(20_000))).code, 'SRC_WRITE_REFUSED');
  hand.events?.closed(new Error('gone'));
  const down = await write('sign', 'text', 'hello');
  assert.is(down.message, 'board is down: port /dev/ttyUSB0 is gone: gone');
  assert.equal(hand.written, []);
  await source.stop(0);
});

test('one frame is on its way at a time, in order', async () => {
  const { hand, source } = await started();
  hand.block = true;
  const target = { device: 'lamp', signal: 'on' };
  const done: string[] = [];
  const first = source.write(target, true, never).then(() => done.push('first'));
  const second = source.write(target, false, never).then(() => done.push('second'));
  await turns(() => hand.written.length === 1, 'the first frame');
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(hand.written, ['LAMP=1\n']);
  hand.release();
  await turns(() => hand.written.length === 2, 'the second frame');
  hand.release();
  await Promise.all([first, second]);
  assert.equal(done, ['first', 'second']);
  await source.stop(1_000);
});

test('a frame that fails is an error of its own; the next one goes', async () => {
  const { hand, source } = await started();
  hand.block = true;
  const target = { device: 'lamp', signal: 'on' };
  const first = failure(source.write(target, true, never));
  const second = source.write(target, false, never);
  await turns(() => hand.written.length === 1, 'the first frame');
  hand.release(new Error('EIO'));
  assert.equal(
    [(await first).code, (await first).message],
    ['SRC_WRITE_FAILED', 'writing on of lamp failed: EIO'],
  );
  await turns(() => hand.written.length === 2, 'the second frame');
  hand.release();
  await second;
  await source.stop(1_000);
});

test('a port that takes no bytes is given up after the limit, and those who wait are told', async () => {
  const { clock, hand, source, sink } = await started({ writeTimeout: 2_000 });
  hand.block = true;
  const target = { device: 'lamp', signal: 'on' };
  const first = failure(source.write(target, true, never));
  await clock.advance(500);
  const second = failure(source.write(target, false, never));
  await clock.advance(1_500);
  assert.is((await first).code, 'SRC_WRITE_TIMEOUT');
  assert.is((await second).code, 'SRC_PORT_STUCK');
  assert.equal(hand.written, ['LAMP=1\n']);
  assert.is(sink.states.find(({ state }) => state === 'down')?.code, 'SRC_PORT_STUCK');
  hand.block = false;
  await clock.advance(2_000);
  assert.is(sink.last()?.state, 'up');
  await source.write(target, true, never);
  await source.stop(clock.now());
});

test('waiting frames are bounded', async () => {
  const { clock, hand, source } = await started();
  hand.block = true;
  const target = { device: 'lamp', signal: 'on' };
  const waiting = Array.from({ length: 16 }, () => failure(source.write(target, true, never)));
  assert.is((await failure(source.write(target, true, never))).code, 'SRC_WRITES_FULL');
  await clock.advance(10_000);
  await Promise.all(waiting);
  await source.stop(clock.now());
});

test('a write that is given up before its turn never leaves', async () => {
  const { hand, source } = await started();
  hand.block = true;
  const target = { device: 'lamp', signal: 'on' };
  const first = source.write(target, true, never);
  const giveUp = new AbortController();
  const second = failure(source.write(target, false, giveUp.signal));
  giveUp.abort(new Error('given up'));
  assert.is((await second).message, 'given up');
  await turns(() => hand.written.length === 1, 'the first frame');
  hand.release();
  await first;
  await turns(() => true, '');
  assert.equal(hand.written, ['LAMP=1\n']);
  await source.stop(1_000);
});

test('stop lets out what was accepted, closes the port, and leaves no timer', async () => {
  const { clock, hand, source, sink } = await started();
  hand.block = true;
  const write = source.write({ device: 'lamp', signal: 'on' }, true, never);
  await turns(() => hand.written.length === 1, 'the frame');
  const stopped = source.stop(clock.now() + 3_000);
  hand.release();
  await write;
  await stopped;
  assert.is(hand.closed, 1);
  assert.is(clock.pending(), 0);
  const states = sink.states.length;
  await clock.advance(DAY / 24);
  assert.is(sink.states.length, states);
  assert.is(hand.opens, 1);
});

test('stop does not wait for a stuck frame longer than its deadline', async () => {
  const { clock, hand, source } = await started({ writeTimeout: 60_000 });
  hand.block = true;
  const write = failure(source.write({ device: 'lamp', signal: 'on' }, true, never));
  let over = false;
  const stopped = source.stop(clock.now() + 3_000).then(() => {
    over = true;
  });
  await clock.advance(2_900);
  assert.is(over, false);
  await clock.advance(1_200);
  await stopped;
  assert.is((await write).code, 'SRC_NOT_UP');
});

test('stop while the port is being opened closes it when it is', async () => {
  const { clock, tree, hand, sink } = bench();
  let opened: (() => void) | undefined;
  let closed = 0;
  const source = createSerialSource(
    {
      clock,
      log: createLog({ clock, write: () => {} }, { level: 'error' }),
      random: createFakeRandom(),
      files: tree.files,
      open: () =>
        new Promise((resolve) => {
          opened = () =>
            resolve({
              write: async () => {},
              close: async () => {
                closed += 1;
              },
            });
        }),
    },
    { id: 'b', port: PORT, baud: 9_600, bindings: [] },
    sink,
  );
  void source.start(never);
  await turns(() => opened !== undefined, 'opening');
  await source.stop(0);
  opened?.();
  await turns(() => closed === 1, 'closing');
  assert.is(clock.pending(), 0);
  assert.is(hand.opens, 0);
});

test('two ports do not hold each other up', async () => {
  const one = await started();
  const two = await started();
  one.hand.block = true;
  const stuck = failure(one.source.write({ device: 'lamp', signal: 'on' }, true, never));
  two.say('DOOR=open\n');
  await two.source.write({ device: 'lamp', signal: 'on' }, true, never);
  assert.equal(two.sink.values(), ['door=open']);
  await one.clock.advance(6_000);
  await stuck;
  await one.source.stop(one.clock.now());
  await two.source.stop(two.clock.now());
});

test('new bindings apply without closing the port; anything else wants a restart', async () => {
  const { source, say, sink, hand } = await started();
  const options: SerialSourceOptions = { id: 'board', port: PORT, baud: 115_200, bindings: [DOOR, LAMP] };
  assert.is(source.update?.(options), 'applied');
  assert.is(source.update?.({ ...options, bindings: [{ ...DOOR, match: '^TUER=(.*)$' }] }), 'applied');
  say('DOOR=open\nTUER=zu\n');
  assert.equal(sink.values(), ['door=zu']);
  assert.is(source.update?.({ ...options, baud: 9_600 }), 'restart');
  assert.is(hand.opens, 1);
  await source.stop(0);
});

test('a slow pattern makes the source degraded while it rests', async () => {
  const { clock, source, say, records } = await started({
    bindings: [DOOR, { device: 'x', signal: 'y', match: '^(a+)+$' }],
  });
  say(`${'a'.repeat(100)}!\nDOOR=open\n`);
  assert.is(source.health().state, 'degraded');
  assert.is(source.health().code, 'SRC_PATTERN_SLOW');
  assert.is(records.filter(({ level }) => level === 'warn').length, 1);
  await clock.advance(60_001);
  assert.is(source.health().state, 'ok');
  await source.stop(clock.now());
});

test('a bad pattern is refused when the source is made', () => {
  assert.throws(() => bench({ bindings: [{ ...DOOR, match: '(' }] }), /Unterminated group/);
});
