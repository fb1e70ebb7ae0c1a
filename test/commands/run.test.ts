import * as assert from 'uvu/assert';
import { silentLog } from '../../src/base/log.ts';
import type { Answer } from '../../src/commands/answer.ts';
import { type CommandRule, createAuthoriser } from '../../src/commands/authorise.ts';
import { parseCommand } from '../../src/commands/grammar.ts';
import { type CommandOptions, createCommands } from '../../src/commands/run.ts';
import { createFakeClock } from '../support/fake-clock.ts';
import { suite } from '../support/harness.ts';
import { device, fakeActuator, fakeDevices } from './support.ts';

const test = suite('commands');
const alice = 'sip:alice@example.com';
const everything: CommandRule = { from: alice, verbs: ['status', 'get', 'set', 'refresh'] };

function scene(options: { rules?: CommandRule[]; scope?: string[]; commands?: CommandOptions } = {}) {
  const clock = createFakeClock();
  const devices = fakeDevices([
    device(
      'freezer',
      'Freezer 2',
      { temperature: { value: -18.25, unit: 'Cel', at: 0 } },
      { note: '-18.3 °C' },
    ),
    device('lamp', 'Lamp', { on: { value: false, writable: true } }, { note: 'off' }),
    device('heater', 'Heater', { target: { value: 20, unit: 'Cel', writable: true } }),
    device(
      'door',
      'Door',
      { state: { known: false, value: 'shut', cause: 'port is gone' } },
      { reach: 'unknown' },
    ),
  ]);
  const plant = fakeActuator();
  const refreshed: string[][] = [];
  const abort = new AbortController();
  const commands = createCommands(
    {
      clock,
      log: silentLog,
      devices,
      actuators: new Map([['plant', plant]]),
      sourceOf: (_id, signal) => (signal === 'target' ? 'gone' : 'plant'),
      authoriser: createAuthoriser(options.rules ?? [everything]),
      refresh: async (ids) => {
        refreshed.push([...ids]);
        return ids.length;
      },
      overview: () => ['gateway7: registered'],
    },
    options.commands,
  );
  const ask = (text: string, sender = alice): Promise<Answer> => {
    const parsed = parseCommand(text);
    if (!parsed.ok) throw new Error(`no command: ${text}`);
    const scope = options.scope && new Set(options.scope);
    return commands.run(parsed.command, { sender, abort: abort.signal, ...(scope && { scope }) });
  };
  return { clock, devices, plant, refreshed, abort, commands, ask };
}

test('status has a line for each device, get has its signals', async () => {
  const { ask } = scene();
  assert.is(
    (await ask('status')).text,
    'gateway7: registered\nFreezer 2: reachable, -18.3 °C\nLamp: reachable, off\nHeater: reachable\nDoor: unknown',
  );
  assert.is((await ask('get freezer temperature')).text, 'Freezer 2 temperature: -18.25 °C (just now)');
  assert.is((await ask('get temperature')).value, -18.25);
  const door = await ask('get door state');
  assert.is(door.text, 'Door state: unknown, last shut (just now), port is gone');
  assert.is(door.value, undefined);
  assert.match((await ask('get lamp')).text, /^Lamp: reachable, off\n {2}on: false/);
});

test('set writes, and answers with the value that came back', async () => {
  const { ask, plant, devices, clock } = scene();
  const answer = ask('set lamp on');
  await clock.settle();
  assert.equal(plant.writes, [{ device: 'lamp', signal: 'on', value: true }]);
  devices.read('lamp', 'on', true);
  const { outcome, text, value } = await answer;
  assert.equal([outcome, text, value], ['done', 'Lamp on: true', true]);
  assert.is(clock.pending(), 0);
  assert.is(devices.listeners, 0);
});

test('an old reading on its way does not pass for the answer, the last one counts', async () => {
  const { ask, devices, clock } = scene();
  const answer = ask('set lamp on');
  await clock.settle();
  devices.read('lamp', 'on', false);
  await clock.advance(1_000);
  devices.read('lamp', 'on', true);
  assert.is((await answer).text, 'Lamp on: true');
  const stubborn = ask('set lamp on');
  await clock.settle();
  devices.read('lamp', 'on', false);
  await clock.advance(3_000);
  const { outcome, text, value } = await stubborn;
  assert.equal([outcome, text, value], ['done', 'Lamp on: true was written, it reads false', false]);
});

test('a reading that comes before the write is said to have left counts', async () => {
  const { ask, plant, devices } = scene();
  plant.act = async () => devices.read('lamp', 'on', true);
  assert.is((await ask('set lamp on')).text, 'Lamp on: true');
});

test('no reading within 3 s: says that none came', async () => {
  const { ask, clock, devices } = scene();
  const answer = ask('set lamp off');
  await clock.advance(2_999);
  devices.read('freezer', 'temperature', -18);
  await clock.advance(1);
  assert.is((await answer).text, 'Lamp on: false was written; no reading came within 3 s');
});

test('a source that neither does nor refuses it in time: the outcome is unknown, and named so', async () => {
  const { ask, plant, clock } = scene();
  let aborted = false;
  plant.act = (_target, _value, abort) =>
    new Promise(() => {
      abort.addEventListener('abort', () => {
        aborted = true;
      });
    });
  const answer = ask('set lamp on');
  await clock.advance(5_000);
  const { outcome, code, text } = await answer;
  assert.equal([outcome, code], ['unknown', 'CMD_NOT_CONFIRMED']);
  assert.match(text, /whether it was done is not known/);
  assert.ok(aborted);
});

test('a stop while it waits ends it with an unknown outcome', async () => {
  const { ask, plant, abort, clock } = scene();
  plant.act = () => new Promise(() => {});
  const answer = ask('set lamp on');
  await clock.settle();
  abort.abort();
  assert.is((await answer).outcome, 'unknown');
  assert.is(clock.pending(), 0);
});

test('a source that refuses, or throws, is a failure with its cause', async () => {
  const { ask, plant } = scene();
  plant.act = async () => {
    throw new Error('port /dev/ttyUSB0 is gone');
  };
  const answer = await ask('set lamp on');
  assert.equal([answer.outcome, answer.code], ['failed', 'CMD_WRITE_FAILED']);
  assert.match(answer.text, /ttyUSB0 is gone/);
});

test('what cannot be written is refused before anything is written', async () => {
  const { ask, plant } = scene();
  for (const [text, code] of [
    ['set freezer temperature 4', 'CMD_READ_ONLY'],
    ['set lamp broken', 'CMD_BAD_VALUE'],
    ['set heater target 5', 'CMD_NO_SOURCE'],
    ['set nosuch on', 'CMD_NO_DEVICE'],
    ['set freezer nosuch on', 'CMD_NO_SIGNAL'],
  ] as const) {
    const answer = await ask(text);
    assert.equal([answer.outcome, answer.code], ['refused', code], text);
  }
  assert.equal(plant.writes, []);
});

test('writes to one signal come one after the other, to two signals side by side', async () => {
  const { ask, plant, clock, devices } = scene();
  const first = ask('set lamp on');
  const second = ask('set lamp off');
  await clock.settle();
  assert.is(plant.writes.length, 1);
  devices.read('lamp', 'on', true);
  await clock.settle();
  assert.is(plant.writes.length, 2);
  devices.read('lamp', 'on', false);
  assert.equal([(await first).text, (await second).text], ['Lamp on: true', 'Lamp on: false']);
});

test('what waits is bounded', async () => {
  const { ask, clock } = scene({ commands: { waiting: 2 } });
  const waiting = [ask('set lamp on'), ask('set lamp off')];
  assert.is((await ask('status')).code, 'CMD_BUSY');
  await clock.advance(6_000);
  await Promise.all(waiting);
  assert.is((await ask('status')).outcome, 'done');
});

test('rules hide what is not granted, for set as for status', async () => {
  const { ask, plant } = scene({
    rules: [
      { from: alice, verbs: ['status', 'get'] },
      { from: 'sip:bob@example.com', verbs: ['set', 'status'], devices: ['lamp'] },
    ],
  });
  assert.is((await ask('set lamp on')).code, 'CMD_NOT_ALLOWED');
  assert.is((await ask('refresh')).code, 'CMD_NOT_ALLOWED');
  assert.is((await ask('status', 'sip:bob@example.com')).text, 'Lamp: reachable, off');
  assert.is((await ask('set heater target 3', 'sip:bob@example.com')).code, 'CMD_NO_DEVICE');
  assert.is((await ask('status', 'sip:mallory@example.com')).code, 'CMD_NOT_ALLOWED');
  assert.is((await ask('help', 'sip:mallory@example.com')).code, 'CMD_NOT_ALLOWED');
  assert.equal(plant.writes, []);
});

test('help tells this sender what it may do', async () => {
  const { ask } = scene({ rules: [{ from: alice, verbs: ['set', 'get'], devices: ['lamp'] }] });
  const { text } = await ask('help');
  assert.match(text, /set \[DEVICE\] SIGNAL VALUE/);
  assert.match(text, / {2}lamp on/);
  assert.not.match(text, /heater|status|refresh/);
});

test('a device asked at its own address needs no name and shows no other', async () => {
  const { ask, plant, devices, clock } = scene({ scope: ['lamp'] });
  assert.is((await ask('status')).text, 'Lamp: reachable, off');
  assert.is((await ask('get on')).text, 'Lamp on: false (just now)');
  const answer = ask('set on true');
  await clock.settle();
  devices.read('lamp', 'on', true);
  assert.is((await answer).text, 'Lamp on: true');
  assert.is((await ask('get freezer')).outcome, 'refused');
  assert.is(plant.writes.length, 1);
});

test('refresh publishes what the sender may see', async () => {
  const { ask, refreshed } = scene({
    rules: [{ from: alice, verbs: ['refresh'], devices: ['lamp', 'door'] }],
  });
  assert.is((await ask('refresh')).text, 'publishing anew: 2 publications');
  assert.equal(refreshed, [['lamp', 'door']]);
});
