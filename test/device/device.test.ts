import * as fc from 'fast-check';
import * as assert from 'uvu/assert';
import { createLog, type LogRecord, silentLog } from '../../src/base/log.ts';
import { createDevices, type Devices } from '../../src/device/device.ts';
import type { DeviceOptions, SignalOptions, StateRow } from '../../src/device/options.ts';
import type { Reading, Value } from '../../src/device/reading.ts';
import type { DeviceState } from '../../src/device/state.ts';
import { createFakeClock, type FakeClock } from '../support/fake-clock.ts';
import { suite } from '../support/harness.ts';

const test = suite('device/device');

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

interface Bench {
  clock: FakeClock;
  devices: Devices;
  /** Every change, with its time. */
  changes: { at: number; id: string; state: DeviceState | undefined }[];
  /** A live reading of a signal of the first device. */
  read(signal: string, value: Value, more?: Partial<Reading>): void;
  state(): DeviceState;
}

function bench(options: DeviceOptions | readonly DeviceOptions[]): Bench {
  const list = Array.isArray(options) ? (options as readonly DeviceOptions[]) : [options as DeviceOptions];
  const id = list[0]?.id ?? '';
  const clock = createFakeClock();
  const devices = createDevices({ clock, log: silentLog }, { devices: list });
  const changes: Bench['changes'] = [];
  devices.onChange((changed, state) => changes.push({ at: clock.now(), id: changed, state }));
  return {
    clock,
    devices,
    changes,
    read: (signal, value, more) =>
      devices.reading({ device: id, signal, value, at: clock.now(), age: 'fresh', ...more }),
    state: () => devices.get(id) as DeviceState,
  };
}

function device(
  signals: Record<string, Partial<SignalOptions>>,
  states?: readonly StateRow[],
): DeviceOptions {
  const full = Object.entries(signals).map(([name, rules]) => [name, { source: 'plant', ...rules }]);
  return { id: 'freezer', name: 'Freezer 2', signals: Object.fromEntries(full), states };
}

const FREEZER = device(
  { temperature: { unit: 'Cel', deadband: 0.2, stale: 5 * MINUTE }, door: { source: 'board', stale: HOUR } },
  [
    { when: 'temperature > -10', note: 'too warm: {temperature} °C' },
    { when: 'door == open', note: 'door open' },
    { note: '{temperature} °C' },
  ],
);

test('G21: before the first valid reading a device is unknown, whatever its rows say', () => {
  const { read, state } = bench(device({ temperature: { min: -50 } }, [{ note: 'fine' }]));
  assert.is(state().reach, 'unknown');
  assert.is(state().note, 'temperature not read yet');
  assert.is(state().cause?.code, 'DEV_NEVER_READ');
  read('temperature', -127);
  assert.is(state().reach, 'unknown', 'an invalid reading makes nothing reachable');
  read('temperature', 'n/a');
  assert.is(state().reach, 'unknown');
  read('temperature', 3);
  assert.is(state().reach, 'reachable');
  assert.is(state().note, 'fine');
});

test('the first row that is true or unknown decides', () => {
  const { read, state } = bench(FREEZER);
  read('temperature', -18.5);
  assert.is(state().reach, 'unknown', 'row 2 needs the door');
  assert.is(state().note, 'door not read yet; last known: temperature -18.5 °C');
  read('temperature', -5);
  assert.is(state().reach, 'reachable', 'row 1 is true, the door does not matter');
  assert.is(state().note, 'too warm: -5 °C');
  read('temperature', -18.5);
  read('door', 'open');
  assert.is(state().note, 'door open');
  read('door', 'shut');
  assert.is(state().note, '-18.5 °C');
  assert.is(state().reach, 'reachable');
});

test('a note that needs an unknown signal makes the device unknown', async () => {
  const { clock, read, state } = bench(
    device({ t: { stale: MINUTE }, on: { stale: HOUR } }, [{ when: 'on', note: 'on, {t}' }, { note: 'off' }]),
  );
  read('on', true);
  read('t', 4);
  assert.is(state().note, 'on, 4');
  await clock.advance(2 * MINUTE);
  assert.is(state().reach, 'unknown');
  assert.is(state().note, 't silent for 1 min; last known: on, 4');
  read('on', false);
  assert.is(state().reach, 'reachable');
});

test('basic: closed makes it unreachable; activity comes with its row', () => {
  const { read, state } = bench(
    device({ availability: {}, on: {} }, [
      { when: 'availability == offline', basic: 'closed', note: 'offline' },
      { when: 'on', activity: 'busy', note: 'on' },
      { note: 'off' },
    ]),
  );
  read('availability', 'offline');
  assert.is(state().reach, 'unreachable');
  read('availability', 'online');
  read('on', 'true');
  assert.equal([state().reach, state().activity, state().note], ['reachable', 'busy', 'on']);
  read('on', 'false');
  assert.equal([state().reach, state().activity, state().note], ['reachable', undefined, 'off']);
});

test('without rows, and when no row is true, the note lists the values', () => {
  const signals = { t: { unit: 'Cel', decimals: 1 }, door: {} };
  const one = bench(device(signals));
  one.read('t', 4);
  assert.is(one.state().reach, 'unknown', 'every signal is needed');
  one.read('door', 'shut');
  assert.equal([one.state().reach, one.state().note], ['reachable', 't 4.0 °C, door shut']);
  const two = bench(device(signals, [{ when: 't > 50', note: 'hot' }]));
  two.read('t', 4);
  two.read('door', 'shut');
  assert.equal([two.state().reach, two.state().note], ['reachable', 't 4.0 °C, door shut']);
  assert.is(bench({ id: 'x', signals: {} }).state().note, 'no signal feeds it');
});

test('dead-band: a change counts when it is at least that large, measured from the last that counted', () => {
  const { read, state, changes } = bench(device({ t: { deadband: 0.2 } }));
  read('t', 20);
  for (const value of [20.1, 19.9, 20.15, 20.19]) read('t', value);
  assert.is(changes.length, 1);
  assert.is(state().note, '20');
  read('t', 20.2);
  assert.is(state().note, '20.2', 'the dead-band itself counts, binary fractions or not');
  read('t', 20.1);
  assert.is(changes.length, 2);
  // A slow drift is not lost: it counts once it has gone far enough.
  for (let value = 20.2; value < 21; value += 0.05) read('t', value);
  assert.is(changes.length, 5);
});

test('G25: a source at 10 Hz for 10 min is shown exactly at the minimum interval, and the last value comes', async () => {
  const { clock, read, changes, state } = bench(device({ t: { minInterval: 5_000, stale: HOUR } }));
  for (let index = 0; index < 6_000; index += 1) {
    read('t', index);
    await clock.advance(100);
  }
  await clock.advance(5_000);
  const times = changes.map(({ at }) => at);
  assert.is(times.length, 121);
  assert.ok(times.every((at, index) => at === index * 5_000));
  assert.is(state().signals.get('t')?.value, 5_999);
  await clock.advance(HOUR / 2);
  assert.is(changes.length, 121, 'and nothing after it');
});

test('G25: a value that came back before its turn is no change', async () => {
  const { clock, read, changes } = bench(device({ on: { minInterval: 5_000, stale: HOUR } }));
  read('on', true);
  await clock.advance(1_000);
  read('on', false);
  await clock.advance(1_000);
  read('on', true);
  await clock.advance(HOUR / 2);
  assert.is(changes.length, 1);
  // The next one after a quiet time goes at once.
  read('on', false);
  assert.is(changes.length, 2);
});

test('G25: a sensor that fails ten times a second flaps no faster than the minimum interval', async () => {
  const { clock, read, changes } = bench(device({ t: { min: 0, minInterval: 5_000, stale: HOUR } }));
  for (let index = 0; index < 600; index += 1) {
    read('t', index % 2 ? -1 : 1);
    await clock.advance(100);
  }
  assert.ok(changes.length <= 13, String(changes.length));
});

test('G26: noise of 27.0 ± 0.2 for an hour on a threshold of 27 gives at most one transition', async () => {
  const rules = [{ when: 't > 27', note: 'warm' }, { note: 'fine' }];
  for (const options of [{ hysteresis: 0.5 }, { deadband: 0.5 }]) {
    const { clock, read, changes } = bench(device({ t: options }, rules));
    let transitions = 0;
    let note: string | undefined;
    let seed = 1;
    for (let second = 0; second < 3_600; second += 1) {
      seed = (seed * 16_807) % 2_147_483_647;
      read('t', 27 + ((seed / 2_147_483_647) * 2 - 1) * 0.2);
      const seen = changes.at(-1)?.state?.note;
      if (note !== undefined && seen !== note) transitions += 1;
      note = seen;
      await clock.advance(1_000);
    }
    assert.ok(transitions <= 1, `${transitions} with ${JSON.stringify(options)}`);
  }
});

test('hysteresis: a rule holds until the value has come back by that much, either way round', () => {
  const high = bench(device({ t: { hysteresis: 1 } }, [{ when: 't >= 30', note: 'hot' }, { note: 'fine' }]));
  const notes = (values: number[], { read, state }: Bench): string[] =>
    values.map((value) => {
      read('t', value);
      return state().note;
    });
  assert.equal(notes([29.5, 30, 29.5, 29, 28.9, 29.5, 30], high), [
    'fine',
    'hot',
    'hot',
    'hot',
    'fine',
    'fine',
    'hot',
  ]);
  const low = bench(device({ t: { hysteresis: 1 } }, [{ when: '0 > t', note: 'frost' }, { note: 'fine' }]));
  assert.equal(notes([0.5, -0.1, 0.5, 1, 0.5], low), ['fine', 'frost', 'frost', 'fine', 'fine']);
});

test('hysteresis does not remember a time when another row decided', () => {
  const { read, state } = bench(
    device({ t: { hysteresis: 1 }, off: {} }, [
      { when: 'off', note: 'off' },
      { when: 't > 20', note: 'warm' },
      { note: 'fine' },
    ]),
  );
  read('off', false);
  read('t', 25);
  assert.is(state().note, 'warm');
  read('off', true);
  read('t', 5);
  read('t', 19.5);
  read('off', false);
  assert.is(state().note, 'fine');
});

test('hysteresis keeps its side while the signal is unknown', async () => {
  const { clock, read, state } = bench(
    device({ t: { hysteresis: 1, stale: MINUTE } }, [{ when: 't > 20', note: 'warm' }, { note: 'fine' }]),
  );
  read('t', 20.5);
  await clock.advance(2 * MINUTE);
  assert.is(state().note, 't silent for 1 min; last known: warm');
  read('t', 19.5);
  assert.is(state().note, 'warm');
});

test('G23: a silent sensor becomes unknown, with what was last known', async () => {
  const { clock, read, state, changes } = bench(device({ t: { unit: 'Cel', stale: 5 * MINUTE } }));
  read('t', -18);
  await clock.advance(5 * MINUTE - 1);
  assert.is(state().reach, 'reachable');
  await clock.advance(1);
  assert.is(state().reach, 'unknown');
  assert.is(state().note, 't silent for 5 min; last known: -18 °C');
  assert.equal(state().cause, { code: 'DEV_STALE', text: 't silent for 5 min' });
  assert.is(changes.length, 2);
  await clock.advance(24 * HOUR);
  assert.is(changes.length, 2, 'told once');
  assert.is(clock.pending(), 0);
  read('t', -18);
  assert.is(state().reach, 'reachable');
});

test('G23: without a limit of its own a signal is stale after three of its intervals', async () => {
  const { clock, read, state } = bench(device({ t: {} }));
  for (let index = 0; index < 10; index += 1) {
    read('t', index);
    await clock.advance(20_000);
  }
  await clock.advance(39_000);
  assert.is(state().reach, 'reachable', '59 s after the last');
  await clock.advance(1_000);
  assert.is(state().reach, 'unknown');
  assert.is(state().note, 't silent for 1 min; last known: 9');
});

test('G23: the learnt limit has a floor, a ceiling, and a limit until it is learnt', async () => {
  const fast = bench(device({ t: {} }));
  for (let index = 0; index < 50; index += 1) {
    fast.read('t', index);
    await fast.clock.advance(1_000);
  }
  await fast.clock.advance(28_000);
  assert.is(fast.state().reach, 'reachable', '29 s');
  await fast.clock.advance(1_000);
  assert.is(fast.state().reach, 'unknown', '30 s');

  const once = bench(device({ t: {} }));
  once.read('t', 1);
  await once.clock.advance(HOUR - 1);
  assert.is(once.state().reach, 'reachable');
  await once.clock.advance(1);
  assert.is(once.state().reach, 'unknown');

  const daily = bench(device({ t: {} }));
  for (let index = 0; index < 20; index += 1) {
    daily.read('t', index);
    await daily.clock.advance(20 * HOUR);
  }
  daily.read('t', 1);
  await daily.clock.advance(24 * HOUR - 1);
  assert.is(daily.state().reach, 'reachable');
  await daily.clock.advance(1);
  assert.is(daily.state().reach, 'unknown');
});

test('G23: bursts do not shorten the learnt limit, one long silence does not blow it up', async () => {
  const { clock, read, state } = bench(device({ t: {} }));
  for (let index = 0; index < 10; index += 1) {
    for (let piece = 0; piece < 5; piece += 1) {
      read('t', index * 10 + piece);
      await clock.advance(20);
    }
    await clock.advance(MINUTE - 100);
  }
  await clock.advance(MINUTE);
  assert.is(state().reach, 'reachable', 'two minutes into a limit of three');
  // A week dead, then back for a while: the limit is soon minutes again.
  await clock.advance(7 * 24 * HOUR);
  assert.is(state().reach, 'unknown');
  for (let index = 0; index < 20; index += 1) {
    read('t', index);
    await clock.advance(MINUTE);
  }
  await clock.advance(3 * MINUTE);
  assert.is(state().reach, 'unknown');
});

test('G24: a sensor that slows down is understood after few false alarms', async () => {
  const { clock, read, changes } = bench(device({ t: { deadband: 1 } }));
  for (let index = 0; index < 10; index += 1) {
    read('t', 0);
    await clock.advance(10_000);
  }
  for (let index = 0; index < 50; index += 1) {
    read('t', 0);
    await clock.advance(5 * MINUTE);
  }
  const alarms = changes.filter(({ state }) => state?.reach === 'unknown').length;
  assert.ok(alarms <= 4, String(alarms));
});

test('stale: never', async () => {
  const { clock, read, state } = bench(device({ t: { stale: 'never' } }));
  read('t', 1);
  assert.is(clock.pending(), 0);
  await clock.advance(1000 * 24 * HOUR);
  assert.is(state().reach, 'reachable');
});

test('a fresh reading that changes nothing tells nobody but is not stale', async () => {
  const { clock, read, state, changes } = bench(device({ t: { stale: MINUTE } }));
  for (let index = 0; index < 10; index += 1) {
    read('t', 7);
    await clock.advance(50_000);
  }
  assert.is(changes.length, 1);
  assert.is(state().reach, 'reachable');
  assert.is(state().signals.get('t')?.at, 450_000);
});

test('out of range is a fault of the sensor, told once however long it talks', async () => {
  const { clock, read, state, changes } = bench(device({ t: { unit: 'Cel', min: -40, max: 60 } }));
  read('t', 21);
  for (let index = 0; index < 20; index += 1) {
    read('t', 85 + index);
    await clock.advance(1_000);
  }
  assert.is(changes.length, 2);
  assert.is(state().reach, 'unknown');
  assert.is(state().note, 't out of range: 85; last known: 21 °C');
  assert.is(state().cause?.code, 'DEV_OUT_OF_RANGE');
  read('t', 22);
  assert.is(state().note, '22 °C');
});

test('a value that is none of the possible ones makes it unknown', () => {
  const { read, state, devices } = bench(device({ door: { values: { '1': 'open', '0': 'shut' } } }));
  read('door', 1);
  assert.is(state().note, 'open');
  read('door', '7');
  assert.is(state().note, 'door is "7", none of shut, open; last known: open');
  assert.is(devices.counts().bad, 1);
});

test('a retained value has unknown age and makes nothing reachable', async () => {
  const { clock, read, state } = bench(device({ t: { unit: 'Cel', stale: HOUR } }));
  read('t', -18, { age: 'unknown' });
  assert.is(state().reach, 'unknown');
  assert.is(state().note, 'age of t unknown; last known: -18 °C');
  assert.is(state().signals.get('t')?.at, undefined);
  assert.is(state().signals.get('t')?.value, -18);
  await clock.advance(1_000);
  read('t', -18);
  assert.is(state().reach, 'reachable');
  read('t', -99, { age: 'unknown' });
  assert.is(state().note, '-18 °C', 'what came live says more than what the broker remembers');
});

test('a retained value with a time is as old as it says', async () => {
  const { clock, read, state } = bench(device({ t: { stale: HOUR } }));
  const wall = clock.wall() as number;
  read('t', 1, { age: 'unknown', time: wall - 2 * HOUR });
  assert.is(state().note, 't was measured 2 h ago by its own time; last known: 1');
  read('t', 2, { age: 'unknown', time: wall - HOUR / 2 });
  assert.is(state().reach, 'reachable');
  await clock.advance(HOUR / 2);
  assert.is(state().reach, 'unknown', 'its hour counts from when it was measured');
});

test('a retained value with a time stays of unknown age while the wall clock is not to be trusted', () => {
  const { clock, read, state } = bench(device({ t: {} }));
  const wall = clock.wall() as number;
  clock.setWall(undefined);
  read('t', 1, { age: 'unknown', time: wall });
  assert.is(state().cause?.code, 'DEV_AGE_UNKNOWN');
});

test('retained: trust', () => {
  const { read, state } = bench(device({ t: { retained: 'trust' } }));
  read('t', 1, { age: 'unknown' });
  assert.is(state().reach, 'reachable');
});

test('S8: a late event does not reopen what a later one has shut', async () => {
  const { clock, read, state, devices } = bench(
    device({ link: { stale: HOUR } }, [
      { when: 'link == gone', basic: 'closed', note: 'gone' },
      { note: 'here' },
    ]),
  );
  const wall = clock.wall() as number;
  read('link', 'here', { time: wall - 5_000 });
  read('link', 'gone', { time: wall - 1_000 });
  read('link', 'here', { time: wall - 3_000 });
  assert.is(state().reach, 'unreachable');
  assert.is(devices.counts().late, 1);
  await clock.advance(1_000);
  read('link', 'here', { time: wall });
  assert.is(state().reach, 'reachable');
});

test('S8: nothing reopens after the last word', async () => {
  const { clock, read, state, changes, devices } = bench(device({ t: { stale: MINUTE } }));
  read('t', 1);
  devices.stop();
  read('t', 2);
  devices.state({ source: 'plant', state: 'down' });
  await clock.advance(HOUR);
  assert.is(changes.length, 1);
  assert.is(state().note, '1');
  assert.is(clock.pending(), 0);
});

test('a sensor whose clock fell back is heard again once its signal is stale', async () => {
  const { clock, read, state } = bench(device({ t: { stale: MINUTE } }));
  const wall = clock.wall() as number;
  read('t', 1, { time: wall });
  await clock.advance(30_000);
  read('t', 2, { time: wall - 20_000 });
  assert.is(state().note, '1', 'late');
  await clock.advance(40_000);
  assert.is(state().reach, 'unknown');
  read('t', 3, { time: wall + 30_000 });
  assert.is(state().note, '3');
  await clock.advance(2 * MINUTE);
  read('t', 4, { time: 1_000 });
  assert.is(state().reach, 'unknown');
  assert.match(
    state().note,
    't silent for 1 min',
    'a value of 1970 is not fresh, and does not replace a newer one',
  );
});

test('a time in the future is not believed, and does not make all that follows late', () => {
  const { clock, read, state } = bench(device({ t: {} }));
  const wall = clock.wall() as number;
  read('t', 1, { time: wall + 365 * 24 * HOUR });
  assert.is(state().note, '1');
  read('t', 2, { time: wall });
  assert.is(state().note, '2');
});

test('a clock that was ahead while nobody could tell does not make all that follows late', () => {
  const { clock, read, state } = bench(device({ t: {} }));
  const wall = clock.wall() as number;
  clock.setWall(undefined);
  read('t', 1, { time: wall + 365 * 24 * HOUR });
  clock.setWall(wall);
  read('t', 2, { time: wall });
  assert.is(state().note, '2');
});

test('G27: steps of the wall clock make no timer fire early or late', async () => {
  const { clock, read, state } = bench(device({ t: { stale: MINUTE } }));
  clock.setWall(0);
  read('t', 1);
  clock.setWall(Date.UTC(2076, 0, 1));
  await clock.advance(MINUTE - 1);
  assert.is(state().reach, 'reachable');
  clock.setWall(Date.UTC(2076, 0, 1) - HOUR);
  await clock.advance(1);
  assert.is(state().reach, 'unknown');
});

test('S43: a source that goes down takes its signals along, with the cause in the note; others stay', () => {
  const { read, state, devices } = bench([
    FREEZER,
    { id: 'other', signals: { x: { source: 'plant' } } },
    { id: 'third', signals: { x: { source: 'board' } } },
  ]);
  read('temperature', -18.5);
  read('door', 'shut');
  for (const id of ['other', 'third'])
    devices.reading({ device: id, signal: 'x', value: 1, at: 0, age: 'fresh' });
  assert.is(state().reach, 'reachable');
  devices.state({
    source: 'board',
    state: 'down',
    code: 'SRC_PORT_GONE',
    cause: 'port /dev/ttyUSB0 is gone: bad file descriptor',
  });
  assert.is(state().reach, 'unknown');
  assert.is(state().note, 'door: port /dev/ttyUSB0 is gone: bad file descriptor; last known: -18.5 °C');
  assert.is(state().cause?.code, 'SRC_PORT_GONE');
  assert.is(devices.get('other')?.reach, 'reachable');
  assert.is(devices.get('third')?.reach, 'unknown');
  devices.state({ source: 'board', state: 'up' });
  assert.is(state().note, 'door not read since board is back; last known: -18.5 °C');
  read('door', 'shut');
  assert.is(state().reach, 'reachable');
});

test('S43: what was retained while the source was away makes nothing reachable again', () => {
  const { read, state, devices } = bench(device({ t: {} }));
  read('t', 1);
  devices.state({ source: 'plant', state: 'down', cause: 'broker gone' });
  devices.state({ source: 'plant', state: 'up' });
  read('t', 1, { age: 'unknown' });
  assert.is(state().note, 'age of t unknown; last known: 1');
});

test('G33: a broker that was never there is the cause', () => {
  const { state, devices } = bench(device({ t: {} }));
  devices.state({ source: 'plant', state: 'starting' });
  assert.is(state().note, 't not read yet');
  devices.state({ source: 'plant', state: 'down', code: 'SRC_BROKER', cause: 'broker 127.0.0.1 refused' });
  assert.is(state().note, 't: broker 127.0.0.1 refused');
  devices.state({ source: 'plant', state: 'up' });
  assert.is(state().note, 't not read yet');
});

test('a source that says it is down again and again is told once', () => {
  const { read, devices, changes } = bench(device({ t: {} }));
  read('t', 1);
  for (let index = 0; index < 100; index += 1)
    devices.state({ source: 'plant', state: 'down', code: 'SRC_X', cause: `try ${index}` });
  assert.is(changes.length, 2);
});

test('readings of one message are judged together', () => {
  const { clock, devices, changes } = bench(device({ a: {}, b: {} }, [{ note: '{a} {b}' }]));
  const reading = (signal: string, value: Value): Reading => ({
    device: 'freezer',
    signal,
    value,
    at: clock.now(),
    age: 'fresh',
  });
  devices.readings([reading('a', 1), reading('b', 1)]);
  devices.readings([reading('a', 2), reading('b', 2)]);
  assert.equal(
    changes.map(({ state }) => state?.note),
    ['1 1', '2 2'],
  );
});

test('snapshots do not change under their reader', () => {
  const { read, state } = bench(device({ t: {} }));
  read('t', 1);
  const before = state();
  const signals = new Map(before.signals);
  read('t', 2);
  assert.is(before.note, '1');
  assert.equal(before.signals, signals);
  assert.is(before.signals.get('t')?.value, 1);
  assert.is.not(state(), before);
  assert.is(state(), state(), 'nor is one made for nothing');
});

test('since is when reach changed, changedAt when anything did', async () => {
  const { clock, read, state } = bench(device({ t: { stale: HOUR } }));
  await clock.advance(1_000);
  read('t', 1);
  await clock.advance(1_000);
  read('t', 2);
  assert.equal([state().since, state().changedAt], [1_000, 2_000]);
});

test('readings for nobody are counted', () => {
  const { devices, read } = bench(device({ t: {} }));
  read('nope', 1);
  devices.reading({ device: 'nobody', signal: 't', value: 1, at: 0, age: 'fresh' });
  assert.equal(devices.counts(), { devices: 1, readings: 2, strays: 2, late: 0, bad: 0, changes: 0 });
});

test('onReading tells every valid live reading with its typed value, for reading back', () => {
  const { devices, read } = bench(device({ on: { values: { ON: true, OFF: false } } }));
  const heard: Reading[] = [];
  const end = devices.onReading((reading) => heard.push(reading));
  read('on', 'ON');
  read('on', 'ON');
  read('on', 'nonsense');
  read('on', 'OFF', { age: 'unknown' });
  end();
  read('on', 'OFF');
  assert.equal(
    heard.map(({ value }) => value),
    [true, true],
  );
});

test('parse reads what a person types by the rules of the signal', () => {
  const { devices } = bench(device({ on: { values: { ON: true, OFF: false } }, t: { max: 25 } }));
  assert.equal(devices.parse('freezer', 'on', 'On'), { ok: true, value: true });
  assert.equal(devices.parse('freezer', 't', '99'), { ok: false, cause: '99 is not in … to 25' });
  assert.equal(devices.parse('freezer', 'x', '1'), { ok: false, cause: 'freezer has no signal x' });
  assert.equal(devices.parse('freezer', 'constructor', '1'), {
    ok: false,
    cause: 'freezer has no signal constructor',
  });
  assert.equal(devices.parse('nobody', 'x', '1'), { ok: false, cause: 'no device nobody' });
});

test('a listener that throws harms neither the source nor the other listeners', () => {
  const clock = createFakeClock();
  const records: LogRecord[] = [];
  const log = createLog({ clock, write: (record) => records.push(record) }, { level: 'info' });
  const devices = createDevices({ clock, log }, { devices: [device({ t: {} })] });
  const heard: string[] = [];
  devices.onChange(() => {
    throw new Error('mine');
  });
  devices.onChange((id) => heard.push(id));
  devices.reading({ device: 'freezer', signal: 't', value: 1, at: 0, age: 'fresh' });
  assert.equal(heard, ['freezer']);
  assert.is(records.length, 1);
});

test('update keeps what did not change, tells what came and went, and refuses a bad table whole', async () => {
  const { clock, devices, changes, read, state } = bench([
    device({ t: { stale: MINUTE } }, [{ note: '{t}' }]),
    { id: 'gone', signals: { x: { source: 'plant' } } },
  ]);
  read('t', 7);
  changes.length = 0;
  assert.throws(() => devices.update([{ id: 'bad', signals: {}, states: [{ when: 'x' }] }]), /no signal "x"/);
  assert.equal(devices.ids(), ['freezer', 'gone']);

  devices.update([
    device({ t: { stale: MINUTE } }, [{ note: 'now {t}' }]),
    { id: 'new', signals: { x: { source: 'plant' } } },
  ]);
  assert.equal(
    changes.map(({ id, state: s }) => [id, s?.note]),
    [
      ['gone', undefined],
      ['freezer', 'now 7'],
      ['new', 'x not read yet'],
    ],
  );
  assert.is(devices.get('gone'), undefined);
  await clock.advance(MINUTE);
  assert.is(state().reach, 'unknown', 'its deadline lived on');
  changes.length = 0;
  devices.update([
    device({ t: { stale: MINUTE } }, [{ note: 'now {t}' }]),
    { id: 'new', signals: { x: { source: 'plant' } } },
  ]);
  assert.equal(changes, []);
});

test('a device that is added while its source is down says so', () => {
  const { devices } = bench(device({ t: {} }));
  devices.state({ source: 'board', state: 'down', cause: 'port gone' });
  devices.update([{ id: 'new', signals: { x: { source: 'board' } } }]);
  assert.is(devices.get('new')?.note, 'x: port gone');
});

test('a rule that cannot be read is refused with its column', () => {
  const clock = createFakeClock();
  const make = (states: StateRow[]): unknown =>
    createDevices({ clock, log: silentLog }, { devices: [device({ t: {} }, states)] });
  assert.throws(() => make([{ when: 't >' }]), /column 4/);
  assert.throws(() => make([{ note: '{x}' }]), /column 2/);
});

test('one timer serves ten thousand devices, and a reading costs its own device only', async () => {
  const count = 10_000;
  const options = Array.from({ length: count }, (_, index) => ({
    id: `d${index}`,
    signals: { t: { source: 'plant', stale: MINUTE } },
  }));
  const { clock, devices, changes } = bench(options);
  const send = (index: number, value: number): void =>
    devices.reading({ device: `d${index}`, signal: 't', value, at: clock.now(), age: 'fresh' });
  for (let index = 0; index < count; index += 1) send(index, 1);
  assert.is(clock.pending(), 1);
  assert.is(changes.length, count);
  await clock.advance(30_000);
  for (let index = 0; index < count; index += 2) send(index, 2);
  changes.length = 0;
  await clock.advance(30_000);
  assert.is(changes.length, count / 2, 'the silent half');
  await clock.advance(30_000);
  assert.is(changes.length, count);
});

test('whatever comes, a device is never reachable without a fresh valid value', async () => {
  const step = fc.oneof(
    fc.record({
      kind: fc.constant('read' as const),
      value: fc.oneof(fc.integer({ min: -9, max: 9 }), fc.string()),
    }),
    fc.record({ kind: fc.constant('retained' as const), value: fc.integer({ min: -5, max: 5 }) }),
    fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 40_000 }) }),
    fc.record({
      kind: fc.constant('source' as const),
      state: fc.constantFrom('up' as const, 'down' as const),
    }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const rules = { min: -5, max: 5, stale: 60_000, minInterval: 1_000 };
      const { clock, read, state, devices } = bench(
        device({ t: rules }, [{ when: 't > 0', note: 'p' }, { note: 'n' }]),
      );
      let freshUntil = -1;
      for (const one of steps) {
        if (one.kind === 'wait') await clock.advance(one.ms);
        else if (one.kind === 'source') {
          devices.state({ source: 'plant', state: one.state });
          if (one.state === 'down') freshUntil = -1;
        } else {
          read('t', one.value, { age: one.kind === 'read' ? 'fresh' : 'unknown' });
          const number = Number(one.value);
          const valid = String(one.value).trim() !== '' && number >= -5 && number <= 5;
          if (one.kind === 'read' && valid) freshUntil = clock.now() + 60_000;
        }
        if (clock.now() >= freshUntil) assert.is.not(state().reach, 'reachable');
      }
    }),
    { numRuns: 200 },
  );
});
