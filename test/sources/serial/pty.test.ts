/** The serial source on real ptys, through npm serialport. */
import * as assert from 'uvu/assert';
import { createSystemClock } from '../../../src/base/clock.ts';
import { createSystemFiles } from '../../../src/base/file.ts';
import { createLog, type LogRecord } from '../../../src/base/log.ts';
import { createSystemRandom } from '../../../src/base/random.ts';
import { createDevices } from '../../../src/device/device.ts';
import { createSerialSource, type SerialSource } from '../../../src/sources/serial/source.ts';
import { suite } from '../../support/harness.ts';
import { type SerialPair, SOCAT, startSerialPair } from '../../support/peers/socat.ts';
import { createTestSink, type TestSink } from '../sink.ts';

const test = suite('sources/serial/pty', { timeout: 20_000 });

interface Bench {
  pair: SerialPair;
  source: SerialSource;
  sink: TestSink;
  records: LogRecord[];
}

const never = new AbortController().signal;
const clock = createSystemClock();

async function bench(): Promise<Bench> {
  const pair = await startSerialPair();
  const sink = createTestSink();
  const records: LogRecord[] = [];
  const source = createSerialSource(
    {
      clock,
      log: createLog({ clock, write: (record) => records.push(record) }, { level: 'info' }),
      random: createSystemRandom(),
      files: createSystemFiles(),
    },
    {
      id: 'board',
      port: pair.port,
      baud: 115_200,
      bindings: [
        { device: 'freezer', signal: 'door', match: '^DOOR=(open|shut)$' },
        { device: 'lamp', signal: 'on', match: '^LAMP=(on|off)$', write: 'LAMP={value}\n' },
      ],
    },
    sink,
  );
  await source.start(never);
  await sink.until(() => sink.last()?.state === 'up', 'up');
  return { pair, source, sink, records };
}

async function end({ source, pair }: Bench): Promise<void> {
  await source.stop(clock.now() + 3_000);
  await pair.stop();
}

test.needs(
  [SOCAT],
  'G10: lines come in whole, the first partial one dropped, and a write goes out',
  async () => {
    const made = await bench();
    const { pair, source, sink } = made;
    await pair.write('OOR=shut\r\nDOOR=open\r\nDOOR=shut\rLAMP=off\n');
    await sink.until(() => sink.seen.length === 3, 'three readings');
    assert.equal(sink.values(), ['door=open', 'door=shut', 'on=off']);
    await source.write({ device: 'lamp', signal: 'on' }, 'on', never);
    await pair.hears(/^LAMP=on\n$/);
    await end(made);
  },
);

test.needs([SOCAT], 'a line of 64 KB, binary noise and a pattern that backtracks harm nothing', async () => {
  const made = await bench();
  const { pair, source, sink } = made;
  const noise = Buffer.from(Array.from({ length: 8_192 }, (_, at) => (at * 7_919 + (at >> 3)) % 256));
  await pair.write('\n');
  await pair.write(`${'x'.repeat(65_536)}\n`);
  await pair.write(noise);
  await pair.write('\nDOOR=open\n');
  await sink.until(() => sink.values().includes('door=open'), 'the line behind the noise');
  assert.ok(source.counts().overlong >= 1);
  assert.is(source.health().state, 'ok');
  await end(made);
});

test.needs(
  [SOCAT],
  'G1, G2, S43: unplugged and plugged in again, the device is unknown and known',
  async () => {
    const made = await bench();
    const { pair, sink, records } = made;
    const devices = createDevices(
      { clock, log: createLog({ clock, write: () => {} }, { level: 'error' }) },
      {
        devices: [
          { id: 'freezer', signals: { door: { source: 'board' } }, states: [{ note: 'door {door}' }] },
        ],
      },
    );
    const forward = async (): Promise<void> => {
      for (const reading of sink.seen.splice(0)) devices.reading(reading);
      for (const state of sink.states.splice(0)) devices.state(state);
    };
    await pair.write('\nDOOR=shut\n');
    await sink.until(() => sink.seen.length === 1, 'a reading');
    await forward();
    assert.is(devices.get('freezer')?.note, 'door shut');

    const pulled = clock.now();
    await pair.unplug();
    await sink.until(() => sink.last()?.state === 'down', 'down');
    assert.ok(clock.now() - pulled < 5_000);
    await forward();
    assert.is(devices.get('freezer')?.reach, 'unknown');
    assert.match(devices.get('freezer')?.note ?? '', /^door: port .* is gone: .*; last known: door shut$/);

    await pair.plug();
    const plugged = clock.now();
    await sink.until(() => sink.last()?.state === 'up', 'up again');
    assert.ok(clock.now() - plugged < 3_000, String(clock.now() - plugged));
    await pair.write('partial\nDOOR=open\n');
    await sink.until(() => sink.values().includes('door=open'), 'a reading');
    await forward();
    assert.is(devices.get('freezer')?.note, 'door open');
    devices.stop();
    assert.ok(records.length <= 4, JSON.stringify(records));
    await end(made);
  },
);

test.needs([SOCAT], 'G1: the other end killed without warning under load', async () => {
  const made = await bench();
  const { pair, sink, source } = made;
  let writing = true;
  const load = (async () => {
    while (writing) await pair.write('DOOR=open\nDOOR=shut\n').catch(() => {});
  })();
  await sink.until(() => sink.seen.length > 100, 'load');
  const killed = clock.now();
  pair.program.signal('SIGKILL');
  await sink.until(() => sink.last()?.state === 'down', 'down');
  assert.ok(clock.now() - killed < 5_000);
  writing = false;
  await load;
  assert.is(source.health().state, 'down');
  await end(made);
});

test.needs([SOCAT], 'a port that another program holds is named as busy', async () => {
  const made = await bench();
  const second = createTestSink();
  const rival = createSerialSource(
    {
      clock,
      log: createLog({ clock, write: () => {} }, { level: 'error' }),
      random: createSystemRandom(),
      files: createSystemFiles(),
    },
    { id: 'rival', port: made.pair.port, baud: 9_600, bindings: [] },
    second,
  );
  await rival.start(never);
  await second.until(() => second.last()?.state === 'down', 'refused');
  assert.is(second.last()?.code, 'SRC_PORT_BUSY');
  await rival.stop(clock.now() + 1_000);
  await end(made);
});

test.needs([SOCAT], 'two ports do not hold each other up', async () => {
  const one = await bench();
  const two = await bench();
  // Nobody reads behind the first port: its buffers fill and the write gets stuck.
  one.pair.program.signal('SIGSTOP');
  const stuck = Array.from({ length: 8 }, () =>
    one.source
      .write({ device: 'lamp', signal: 'on' }, 'x'.repeat(16_000), never)
      .catch((error: Error) => error),
  );
  for (let turn = 0; turn < 20; turn += 1) {
    const before = two.sink.seen.length;
    await two.pair.write('\nDOOR=open\n');
    await two.sink.until(() => two.sink.seen.length > before, 'a reading of the other port', 1_000);
    await two.source.write({ device: 'lamp', signal: 'on' }, 'on', never);
  }
  one.pair.program.signal('SIGCONT');
  await Promise.all(stuck);
  await end(one);
  await end(two);
});

test('G7: a port that is not there is a state, not an end', async () => {
  const sink = createTestSink();
  const source = createSerialSource(
    {
      clock,
      log: createLog({ clock, write: () => {} }, { level: 'error' }),
      random: createSystemRandom(),
      files: createSystemFiles(),
    },
    { id: 'none', port: '/dev/serial/by-id/usb-nobody', baud: 9_600, bindings: [] },
    sink,
  );
  await source.start(never);
  assert.is(sink.last()?.code, 'SRC_PORT_MISSING');
  await source.stop(clock.now());
});
