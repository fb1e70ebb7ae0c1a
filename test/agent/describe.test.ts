import * as assert from 'uvu/assert';
import { describe, nameDevice } from '../../src/agent/describe.ts';
import { device } from '../commands/support.ts';
import { createFakeClock } from '../support/fake-clock.ts';
import { suite } from '../support/harness.ts';

const test = suite('devices described');
const AOR = 'sip:gateway7@example.com';
const lamp = device(
  'lamp',
  'Lamp',
  {
    on: { value: true, writable: true },
    power: { value: 12.5, unit: 'W' },
    mode: { value: 'eco' },
    dead: { known: false, value: 3 },
    never: {},
  },
  { note: 'on', activity: 'busy', changedAt: 1_000 },
);

test('reachability, note and known values are told; an activity only at an own address', () => {
  const clock = createFakeClock(Date.UTC(2026, 5, 1, 12));
  const shared = describe(clock, lamp, nameDevice(AOR, 'lamp', false));
  assert.is(shared.basic, 'open');
  assert.is(shared.note, 'on');
  assert.is(shared.name, 'Lamp');
  assert.is(shared.activity, undefined);
  assert.equal(shared.values, [
    { n: 'on', vb: true },
    { n: 'power', u: 'W', v: 12.5 },
    { n: 'mode', vs: 'eco' },
  ]);
  assert.match(shared.deviceId ?? '', /^urn:/);
  assert.is(describe(clock, lamp, nameDevice('sip:lamp@example.com', 'lamp', true)).activity, 'busy');
});

test('G21: unknown has no basic status, unreachable is closed', () => {
  const clock = createFakeClock();
  const names = nameDevice(AOR, 'lamp', false);
  assert.not.ok('basic' in describe(clock, { ...lamp, reach: 'unknown' }, names));
  assert.is(describe(clock, { ...lamp, reach: 'unreachable' }, names).basic, 'closed');
});

test('G27: time stamps are of the change, in whole seconds, and withheld while the clock is not set', async () => {
  const clock = createFakeClock(Date.UTC(2026, 5, 1, 12));
  await clock.advance(10_500);
  const names = nameDevice(AOR, 'lamp', false);
  assert.is(describe(clock, lamp, names).timestamp, Date.UTC(2026, 5, 1, 12, 0, 1));
  clock.setWall(undefined);
  assert.not.ok('timestamp' in describe(clock, lamp, names));
});

test('names are the same after every restart and differ between addresses', () => {
  assert.equal(nameDevice(AOR, 'lamp', false), nameDevice(AOR, 'lamp', false));
  assert.is.not(nameDevice(AOR, 'lamp', false).id, nameDevice('sip:other@example.com', 'lamp', false).id);
  assert.is.not(nameDevice(AOR, 'lamp', false).id, nameDevice(AOR, 'lamp2', false).id);
});
