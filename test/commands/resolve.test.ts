import * as assert from 'uvu/assert';
import { resolveChange, resolvePlace } from '../../src/commands/resolve.ts';
import { suite } from '../support/harness.ts';
import { device } from './support.ts';

const test = suite('names in commands');

const house = [
  device('freezer', 'Freezer 2', { temperature: { value: -18 }, door: { value: 'shut' } }),
  device('cellar', 'Cellar', { temperature: { value: 8 }, humidity: { value: 60 } }),
  device('lamp', 'Lamp', { on: { value: true, writable: true }, power: { value: 12 } }),
  device('heater', 'Big heater', {
    target: { value: 21, writable: true },
    mode: { value: 'eco', writable: true },
  }),
  device('board', 'Board', { relay: { value: false, writable: true } }),
];

const place = (text: string): string => {
  const result = resolvePlace(text.split(' '), house);
  return result.ok
    ? [result.found.device.id, result.found.signal].filter(Boolean).join('/')
    : result.error.message;
};
const change = (text: string): string => {
  const result = resolveChange(text.split(' '), house);
  return result.ok
    ? `${result.found.device.id}/${result.found.signal}=${result.found.value}`
    : result.error.message;
};

test('devices go by id or name, in any case, with spaces', () => {
  assert.is(place('freezer'), 'freezer');
  assert.is(place('FREEZER 2'), 'freezer');
  assert.is(place('freezer 2 temperature'), 'freezer/temperature');
  assert.is(place('freezer Temperature'), 'freezer/temperature');
  assert.is(place('big heater mode'), 'heater/mode');
});

test('a signal that only one device has needs no device', () => {
  assert.is(place('humidity'), 'cellar/humidity');
  assert.match(place('temperature'), /may mean freezer temperature or cellar temperature/);
});

test('a device wins over a signal of the same name, the longest name over a shorter one', () => {
  const devices = [
    device('door', 'Door', { lock: { value: true } }),
    device('gate', 'Gate', { door: { value: 'shut' } }),
    device('pump', 'Pump', { '2': { value: 1 } }),
    device('p2', 'Pump 2', { flow: { value: 2 } }),
  ];
  const one = resolvePlace(['door'], devices);
  assert.ok(one.ok && one.found.device.id === 'door' && one.found.signal === undefined);
  const two = resolvePlace(['pump', '2'], devices);
  assert.ok(two.ok && two.found.device.id === 'p2');
});

test('two devices of one name are told apart by id', () => {
  const twins = [device('a', 'Pump', { on: { value: true } }), device('b', 'Pump', { on: { value: true } })];
  const both = resolvePlace(['pump'], twins);
  assert.ok(!both.ok && /"Pump" \(a\) or "Pump" \(b\)/.test(both.error.message));
  const one = resolvePlace(['b', 'on'], twins);
  assert.ok(one.ok && one.found.device.id === 'b');
});

test('set takes device, signal and value, values with spaces too', () => {
  assert.is(change('lamp on true'), 'lamp/on=true');
  assert.is(change('heater mode night and day'), 'heater/mode=night and day');
  assert.is(change('big heater target 21.5'), 'heater/target=21.5');
  assert.is(change('lamp power 5'), 'lamp/power=5');
});

test('set without device, or without signal, where it is clear', () => {
  assert.is(change('relay on'), 'board/relay=on');
  assert.is(change('lamp on'), 'lamp/on=on');
  assert.is(change('target 20'), 'heater/target=20');
  assert.match(change('heater 20'), /Big heater has no signal/);
  assert.match(change('temperature 20'), /may mean/);
});

test('a signal and a device of one name that mean different things are not guessed', () => {
  const devices = [
    device('lamp', 'Lamp', { on: { value: true, writable: true } }),
    device('board', 'Board', { lamp: { value: true, writable: true } }),
  ];
  const result = resolveChange(['lamp', 'off'], devices);
  assert.ok(!result.ok && /may mean/.test(result.error.message));
});

test('an unknown name says the nearest one', () => {
  const wrong = resolvePlace(['freezr'], house);
  assert.ok(!wrong.ok && wrong.error.remedy === 'Did you mean freezer?');
  const signal = resolvePlace(['freezer', 'temprature'], house);
  assert.ok(!signal.ok && signal.error.remedy === 'Did you mean temperature?');
  const lost = resolvePlace(['xyzzy'], house);
  assert.ok(!lost.ok && /There is: freezer, cellar/.test(lost.error.remedy));
  const typo = resolveChange(['lmap', 'on', 'true'], house);
  assert.ok(!typo.ok && typo.error.remedy === 'Did you mean lamp?', typo.ok ? '' : typo.error.remedy);
  const none = resolvePlace(['lamp'], []);
  assert.ok(!none.ok && /none that you may use/.test(none.error.remedy));
});
