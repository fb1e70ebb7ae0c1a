import type { Duplex } from 'node:stream';
import packets from 'mqtt-packet';
import * as assert from 'uvu/assert';
import type { CodedError } from '../../../src/base/errors.ts';
import { createLog, type LogRecord } from '../../../src/base/log.ts';
import type { Random } from '../../../src/base/random.ts';
import type { Dial } from '../../../src/sources/mqtt/dial.ts';
import type { MqttSourceOptions } from '../../../src/sources/mqtt/options.ts';
import { createMqttSource, type MqttSource } from '../../../src/sources/mqtt/source.ts';
import { createFakeClock, type FakeClock } from '../../support/fake-clock.ts';
import { createFakeRandom } from '../../support/fake-random.ts';
import { suite } from '../../support/harness.ts';
import { createTestSink, type TestSink, turns } from '../sink.ts';
import { createMemoryBroker, createPair, type MemoryBroker } from './memory-broker.ts';

const test = suite('sources/mqtt/source', { timeout: 60_000 });

const MINUTE = 60_000;
const never = new AbortController().signal;

interface Bench {
  clock: FakeClock;
  sink: TestSink;
  records: LogRecord[];
  source: MqttSource;
  up(): Promise<void>;
  down(): Promise<void>;
}

const FREEZER = { device: 'freezer', signal: 't', topic: 'cold/freezer2', path: 'temp' };
const LAMP = {
  device: 'lamp',
  signal: 'on',
  topic: 'lamp/state',
  write: { topic: 'lamp/set' },
  values: { ON: true, OFF: false },
};

function bench(
  dial: Dial,
  options: Partial<MqttSourceOptions> = {},
  random: Random = createFakeRandom(),
): Bench {
  const clock = createFakeClock();
  const sink = createTestSink();
  const records: LogRecord[] = [];
  const log = createLog({ clock, write: (record) => records.push(record) }, { level: 'info' });
  const source = createMqttSource(
    { clock, log, random, dial },
    { id: 'plant', url: 'mqtt://broker', clientId: 'gateway', bindings: [FREEZER, LAMP], ...options },
    sink,
  );
  const count = (state: string): number => sink.states.filter((one) => one.state === state).length;
  return {
    clock,
    sink,
    records,
    source,
    up: async () => {
      await turns(() => sink.last()?.state === 'up', `up: ${JSON.stringify(sink.states)}`);
    },
    down: async () => {
      const before = count('down');
      await turns(() => sink.last()?.state === 'down' || count('down') > before, 'down');
    },
  };
}

async function started(
  broker: MemoryBroker,
  options: Partial<MqttSourceOptions> = {},
  random?: Random,
): Promise<Bench> {
  const made = bench(broker.dial, options, random);
  await made.source.start(never);
  await made.up();
  return made;
}

/** Lets time pass second by second, and in each of them a conversation come to its end. */
async function pass(clock: FakeClock, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 1_000) {
    await clock.advance(Math.min(left, 1_000));
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  }
}

async function end({ source, clock }: Bench, ...brokers: MemoryBroker[]): Promise<void> {
  let over = false;
  const stopped = source.stop(clock.now() + 3_000).then(() => {
    over = true;
  });
  for (let second = 0; second < 5 && !over; second += 1) await pass(clock, 1_000);
  await stopped;
  for (const broker of brokers) await broker.close();
}

async function failure(promise: Promise<unknown>): Promise<CodedError> {
  try {
    await promise;
  } catch (error) {
    return error as CodedError;
  }
  throw new Error('it went through');
}

test('messages become readings: plain, JSON, wildcard, several signals of one message at once', async () => {
  const broker = await createMemoryBroker();
  const made = await started(broker, {
    bindings: [
      FREEZER,
      { ...FREEZER, signal: 'humidity', path: 'hum.value' },
      LAMP,
      { device: 'any', signal: 'last', topic: 'room/+/door' },
    ],
  });
  const batches: number[] = [];
  const { readings } = made.sink;
  made.sink.readings = (list) => {
    batches.push(list.length);
    readings(list);
  };
  await broker.publish('cold/freezer2', '{"temp":-18.5,"hum":{"value":40}}');
  await broker.publish('lamp/state', 'ON');
  await broker.publish('room/kitchen/door', 'open');
  await broker.publish('elsewhere', 'x');
  await turns(() => made.sink.seen.length === 4, 'four readings');
  assert.equal(made.sink.values(), ['t=-18.5', 'humidity=40', 'on=ON', 'last=open']);
  assert.equal(batches, [2, 1, 1]);
  assert.ok(made.sink.seen.every(({ age }) => age === 'fresh'));
  await end(made, broker);
});

test('a signal that is only written needs no topic to read', async () => {
  const broker = await createMemoryBroker();
  const made = await started(broker, { bindings: [{ ...LAMP, topic: '' }] });
  assert.equal(broker.subscribed, []);
  await made.source.write({ device: 'lamp', signal: 'on' }, true, never);
  await turns(() => broker.published.length === 1, 'the write');
  await end(made, broker);
});

test('one subscription per distinct filter', async () => {
  const broker = await createMemoryBroker();
  const made = await started(broker, {
    bindings: Array.from({ length: 200 }, (_, at) => ({
      device: `d${at}`,
      signal: 's',
      topic: `t/${at >> 1}`,
    })),
  });
  const topics = broker.subscribed.flat();
  assert.is(topics.length, 100);
  assert.is(new Set(topics).size, 100);
  assert.ok(broker.subscribed.every((one) => one.length <= 64));
  await end(made, broker);
});

test('a retained message is a reading of unknown age, a live one is not', async () => {
  const broker = await createMemoryBroker();
  await broker.publish('lamp/state', 'ON', true);
  const made = await started(broker);
  await turns(() => made.sink.seen.length === 1, 'the retained one');
  await broker.publish('lamp/state', 'OFF', true);
  await turns(() => made.sink.seen.length === 2, 'the live one');
  assert.equal(
    made.sink.seen.map(({ age }) => age),
    ['unknown', 'fresh'],
  );
  // Taking a retained message away is no reading.
  await broker.publish('lamp/state', '', true);
  await broker.publish('cold/freezer2', '{"temp":1}');
  await turns(() => made.sink.seen.length === 3, 'the third');
  assert.is(made.sink.seen[2]?.signal, 't');
  await end(made, broker);
});

test('G32, G33: a broker that is absent for 10 min at boot is a state with its cause; then it comes up', async () => {
  const broker = await createMemoryBroker();
  broker.kill();
  const made = bench(broker.dial);
  await made.source.start(never);
  await made.down();
  assert.equal(made.sink.last(), {
    source: 'plant',
    state: 'down',
    code: 'SRC_BROKER_UNREACHABLE',
    cause: 'broker broker:1883 cannot be reached: connection refused',
  });
  await pass(made.clock, 10 * MINUTE);
  assert.is(made.source.health().state, 'down');
  assert.is(made.records.length, 1, 'one line of log');
  assert.is(made.sink.states.length, 2, 'told once');
  assert.ok(broker.dials >= 8 && broker.dials <= 40, String(broker.dials));
  broker.revive();
  await pass(made.clock, 2 * MINUTE);
  await made.up();
  assert.is(made.source.health().state, 'ok');
  await end(made, broker);
});

test('G18: waits are jittered, double up to two minutes, and reset only after a stable minute', async () => {
  const broker = await createMemoryBroker();
  broker.kill();
  const made = bench(broker.dial);
  await made.source.start(never);
  const times: number[] = [];
  let seen = 0;
  for (let at = 0; at < 15 * 60; at += 1) {
    await pass(made.clock, 1_000);
    for (; seen < broker.dials; seen += 1) times.push(made.clock.now());
  }
  const waits = times.slice(1).map((at, index) => at - (times[index] ?? 0));
  assert.ok(waits.every((wait) => wait <= 121_000));
  assert.ok(Math.max(...waits) > 60_000);
  assert.ok(new Set(waits.slice(-6)).size > 4, 'no two alike');

  // It lets us in and throws us out at once: that is no reason to begin anew.
  broker.revive();
  const { length } = times;
  await pass(made.clock, 3 * MINUTE);
  await made.up();
  broker.cut();
  await made.down();
  await pass(made.clock, 5_000);
  const soon = broker.dials;
  assert.ok(soon - length <= 2, 'still backing off');
  await pass(made.clock, 3 * MINUTE);
  await made.up();
  await pass(made.clock, MINUTE);
  broker.cut();
  await made.down();
  await pass(made.clock, 1_100);
  await made.up();
  await end(made, broker);
});

test('S43: when the broker goes the source is down at once, with the cause', async () => {
  const broker = await createMemoryBroker();
  const made = await started(broker);
  broker.kill();
  await made.down();
  assert.equal(made.sink.last(), {
    source: 'plant',
    state: 'down',
    code: 'SRC_BROKER_LOST',
    cause: 'broker broker:1883 is gone: connection closed',
  });
  await end(made, broker);
});

test('G20: birth at every connection, then subscriptions; the will when it is cut', async () => {
  const broker = await createMemoryBroker();
  const made = await started(broker, { statusTopic: 'gateway/status' });
  const said = (): string[] =>
    broker.published.filter(({ topic }) => topic === 'gateway/status').map(({ payload }) => payload);
  await turns(() => said().length === 1, 'birth');
  assert.equal(broker.published[0], { topic: 'gateway/status', payload: 'online', qos: 1, retain: true });
  broker.cut();
  await turns(() => said().length === 2, 'will');
  await made.down();
  await pass(made.clock, 5_000);
  await made.up();
  await turns(() => said().length === 3, 'birth again');
  assert.equal(said(), ['online', 'offline', 'online']);
  await end(made, broker);
});

test('G43: a stop says offline itself, and leaves by the door', async () => {
  const broker = await createMemoryBroker();
  const made = await started(broker, { statusTopic: 'gateway/status' });
  let wills = 0;
  broker.aedes.on('publish', (_packet, client) => {
    if (!client && _packet.topic === 'gateway/status') wills += 1;
  });
  await made.source.stop(made.clock.now() + 3_000);
  assert.equal(broker.published.at(-1), {
    topic: 'gateway/status',
    payload: 'offline',
    qos: 1,
    retain: true,
  });
  assert.is(wills, 0);
  await turns(() => broker.open === 0, 'closed');
  assert.is(made.clock.pending(), 0);
  await broker.close();
});

test('G43: a stop does not wait for a broker that is deaf longer than its deadline', async () => {
  const broker = await createMemoryBroker();
  const made = await started(broker, { statusTopic: 'gateway/status' });
  broker.deafen();
  let over = false;
  const stopped = made.source.stop(made.clock.now() + 3_000).then(() => {
    over = true;
  });
  await pass(made.clock, 2_900);
  assert.is(over, false);
  await pass(made.clock, 200);
  await stopped;
  assert.is(made.clock.pending(), 0);
  await broker.close();
});

test('stop at any moment: before the start, while dialling, while waiting, while subscribing', async () => {
  const broker = await createMemoryBroker({
    authorizeSubscribe: (_client, subscription, done) =>
      void setImmediate(() => setImmediate(() => done(null, subscription))),
  });
  const idle = bench(broker.dial);
  await idle.source.stop(0);

  const dialling = bench(() => new Promise<Duplex>(() => {}));
  await dialling.source.start(never);
  await dialling.source.stop(0);
  assert.is(dialling.clock.pending(), 0);

  broker.kill();
  const waiting = bench(broker.dial);
  await waiting.source.start(never);
  await waiting.down();
  await waiting.source.stop(0);
  assert.is(waiting.clock.pending(), 0);
  broker.revive();

  for (let turn = 0; turn < 30; turn += 1) {
    const made = bench(broker.dial, { statusTopic: 's' });
    await made.source.start(never);
    for (let step = 0; step < turn; step += 1) await new Promise((resolve) => setImmediate(resolve));
    await made.source.stop(made.clock.now() + 3_000);
    assert.is(made.clock.pending(), 0, `after ${turn} turns`);
    const states = made.sink.states.length;
    await made.clock.advance(10 * MINUTE);
    assert.is(made.sink.states.length, states);
  }
  await turns(() => broker.open === 0, 'nothing left open');
  await broker.close();
});

test('a start that is aborted connects to nobody', async () => {
  const broker = await createMemoryBroker();
  const made = bench(broker.dial);
  const abort = new AbortController();
  const starting = made.source.start(abort.signal);
  abort.abort();
  await starting;
  await pass(made.clock, MINUTE);
  assert.is(broker.dials, 0);
  await end(made, broker);
});

test('a refusal is an error with a name; what only people can mend is tried twice a minute at most', async () => {
  for (const [returnCode, code] of [
    [1, 'SRC_BROKER_VERSION'],
    [2, 'SRC_BROKER_CLIENT_ID'],
    [3, 'SRC_BROKER_BUSY'],
    [4, 'SRC_BROKER_LOGIN'],
    [5, 'SRC_BROKER_DENIED'],
  ] as const) {
    let dials = 0;
    const made = bench(
      async () => {
        dials += 1;
        const [ours, theirs] = createPair();
        theirs.once('data', () => theirs.write(Buffer.from([0x20, 2, 0, returnCode])));
        return ours;
      },
      { username: 'u', password: 'p' },
    );
    await made.source.start(never);
    await made.down();
    assert.is(made.sink.last()?.code, code);
    assert.is(made.source.health().code, code);
    assert.not.match(JSON.stringify(made.records), '"p"');
    await pass(made.clock, 2 * MINUTE);
    if (returnCode !== 3) assert.ok(dials <= 5, `${code}: ${dials}`);
    assert.is(made.records.length, 1);
    assert.is(made.sink.states.length, 2);
    await end(made);
  }
});

test('user name and password are sent, from the options or from the URL', async () => {
  const logins: string[] = [];
  const broker = await createMemoryBroker({
    authenticate: (_client, user, password, done) => {
      logins.push(`${user}:${password}`);
      done(null, true);
    },
  });
  const one = await started(broker, { username: 'u', password: 'p' });
  const two = await started(broker, { url: 'mqtt://me:s%40me@broker:1884', clientId: 'two' });
  assert.equal(logins, ['u:p', 'me:s@me']);
  await end(one);
  await end(two, broker);
});

test('a refused subscription is told by its topic; the others work', async () => {
  const broker = await createMemoryBroker({
    authorizeSubscribe: (_client, subscription, done) =>
      done(null, subscription.topic === 'lamp/state' ? null : subscription),
  });
  const made = await started(broker);
  assert.equal(made.source.health(), {
    state: 'degraded',
    code: 'SRC_SUBSCRIPTION_REFUSED',
    detail: 'broker broker:1883 refuses the subscription of lamp/state',
  });
  assert.is(made.source.counts().refused, 1);
  await broker.publish('cold/freezer2', '{"temp":1}');
  await turns(() => made.sink.seen.length === 1, 'a reading');
  await end(made, broker);
});

test('a broker that takes the connection and says nothing is given up', async () => {
  const others: Duplex[] = [];
  const made = bench(async () => {
    const [ours, theirs] = createPair();
    theirs.resume();
    others.push(theirs);
    return ours;
  });
  await made.source.start(never);
  await pass(made.clock, 14_900);
  assert.is(made.sink.last()?.state, 'starting');
  await pass(made.clock, 200);
  await made.down();
  assert.is(made.sink.last()?.cause, 'broker broker:1883 did not answer within 15 s');
  await pass(made.clock, MINUTE);
  assert.ok(others.length > 1, 'and tried again');
  assert.ok(others.slice(0, -1).every((one) => one.destroyed));
  await end(made);
});

test('a broker that lets in and never answers SUBSCRIBE is given up', async () => {
  const made = bench(async () => {
    const [ours, theirs] = createPair();
    theirs.once('data', () => theirs.write(Buffer.from([0x20, 2, 0, 0])));
    return ours;
  });
  await made.source.start(never);
  await pass(made.clock, 16_000);
  await made.down();
  assert.is(made.sink.last()?.code, 'SRC_BROKER_SILENT');
  await end(made);
});

test('a dead connection is noticed by the keep-alive, on the injected clock', async () => {
  const broker = await createMemoryBroker();
  const made = await started(broker, { keepalive: 20_000 });
  await pass(made.clock, 5 * MINUTE);
  assert.is(made.sink.last()?.state, 'up', 'answered pings keep it');
  broker.deafen();
  await pass(made.clock, 41_000);
  await made.down();
  assert.match(made.sink.last()?.cause ?? '', /keepalive timeout/i);
  await end(made, broker);
});

test('garbage instead of MQTT is a broken connection, not an exception', async () => {
  for (const bytes of [
    Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'),
    Buffer.from([0x20, 0xff, 0xff, 0xff, 0xff, 0xff]),
    Buffer.from([0x00, 0x00]),
    Buffer.from([0x20, 0x02, 0x00, 0x00, 0xf0, 0x00]),
    Buffer.from([0x30, 0x02, 0x00, 0x09]),
  ]) {
    const made = bench(async () => {
      const [ours, theirs] = createPair();
      theirs.once('data', () => theirs.write(bytes));
      return ours;
    });
    await made.source.start(never);
    await pass(made.clock, MINUTE);
    assert.is(made.sink.last()?.state, 'down', bytes.toString('hex'));
    await end(made);
  }
});

test('a payload over the limit is dropped and counted; a packet far over it cuts the connection before it is in memory', async () => {
  const broker = await createMemoryBroker();
  const made = await started(broker, { maxPayload: 1_000 });
  await broker.publish('lamp/state', 'x'.repeat(1_001));
  await broker.publish('lamp/state', 'ON');
  await turns(() => made.sink.seen.length === 1, 'the short one');
  assert.is(made.source.counts().oversize, 1);
  await broker.publish('lamp/state', 'x'.repeat(20_000));
  await made.down();
  assert.is(made.sink.last()?.code, 'SRC_BROKER_PACKET');
  await end(made, broker);
});

test('a payload that is no JSON is counted, and said once until it is JSON again', async () => {
  const broker = await createMemoryBroker();
  const made = await started(broker);
  const warnings = (): number => made.records.filter(({ text }) => text === 'payload cannot be read').length;
  for (let turn = 0; turn < 5; turn += 1) await broker.publish('cold/freezer2', `not json ${turn}`);
  await broker.publish('cold/freezer2', '{"other":1}');
  await broker.publish('cold/freezer2', '{"temp":1}');
  await turns(() => made.sink.seen.length === 1, 'the good one');
  assert.is(warnings(), 1);
  const { bad, absent } = made.source.counts();
  assert.equal([bad, absent], [5, 1]);
  await end(made, broker);
});

test('G22: a write is published, translated back, and never retained', async () => {
  const broker = await createMemoryBroker();
  const made = await started(broker, {
    bindings: [
      LAMP,
      { ...LAMP, device: 'heater', write: { topic: 'heater/set', payload: '{"state":"{value}"}', qos: 1 } },
    ],
  });
  await made.source.write({ device: 'lamp', signal: 'on' }, true, never);
  await made.source.write({ device: 'heater', signal: 'on' }, false, never);
  await turns(() => broker.published.length === 2, 'two writes');
  assert.equal(broker.published, [
    { topic: 'lamp/set', payload: 'ON', qos: 0, retain: false },
    { topic: 'heater/set', payload: '{"state":"OFF"}', qos: 1, retain: false },
  ]);
  await end(made, broker);
});

test('a write that cannot leave now is refused, and does not leave later', async () => {
  const broker = await createMemoryBroker();
  const made = await started(broker);
  const target = { device: 'lamp', signal: 'on' };
  broker.kill();
  await made.down();
  const refused = await failure(made.source.write(target, true, never));
  assert.equal([refused.code, refused.sip], ['SRC_NOT_UP', 480]);
  assert.is(refused.message, 'plant is down: broker broker:1883 is gone: connection closed');
  assert.is(
    (await failure(made.source.write({ device: 'freezer', signal: 't' }, 1, never))).code,
    'SRC_NOT_WRITABLE',
  );
  broker.revive();
  await pass(made.clock, 2 * MINUTE);
  await made.up();
  await pass(made.clock, MINUTE);
  assert.equal(broker.published, []);
  await end(made, broker);
});

test('a write with QoS 1 waits for its acknowledgement, until its limit or until the connection goes', async () => {
  const broker = await createMemoryBroker();
  const bindings = [{ ...LAMP, write: { topic: 'lamp/set', qos: 1 as const } }];
  const made = await started(broker, { bindings, writeTimeout: 2_000 });
  const target = { device: 'lamp', signal: 'on' };
  broker.deafen();
  const late = failure(made.source.write(target, true, never));
  await pass(made.clock, 2_000);
  assert.is((await late).code, 'SRC_WRITE_TIMEOUT');
  const lost = failure(made.source.write(target, true, never));
  broker.cut();
  assert.is((await lost).code, 'SRC_WRITE_FAILED');
  broker.revive();
  await made.down();
  await pass(made.clock, 5_000);
  await made.up();
  await pass(made.clock, MINUTE);
  assert.equal(broker.published, [], 'nor is it sent again by the next connection');
  await end(made, broker);
});

test('waiting writes are bounded, and one can be given up', async () => {
  const broker = await createMemoryBroker();
  const bindings = [{ ...LAMP, write: { topic: 'lamp/set', qos: 1 as const } }];
  const made = await started(broker, { bindings });
  const target = { device: 'lamp', signal: 'on' };
  broker.deafen();
  const abort = new AbortController();
  const given = failure(made.source.write(target, true, abort.signal));
  const waiting = Array.from({ length: 31 }, () =>
    failure(made.source.write(target, true, new AbortController().signal)),
  );
  assert.is((await failure(made.source.write(target, true, never))).code, 'SRC_WRITES_FULL');
  abort.abort(new Error('given up'));
  assert.is((await given).message, 'given up');
  await pass(made.clock, 5_000);
  await Promise.all(waiting);
  await end(made, broker);
});

test('G19: thrown out again and again soon after it came in: another client seems to have its id', async () => {
  const broker = await createMemoryBroker();
  const made = await started(broker);
  for (let turn = 0; turn < 3; turn += 1) {
    await pass(made.clock, 3_000);
    await made.up();
    broker.cut();
    await made.down();
    await made.clock.settle();
  }
  assert.is(made.sink.last()?.code, 'SRC_BROKER_TAKEOVER');
  assert.match(made.sink.last()?.cause ?? '', /client id gateway/);
  const { dials } = broker;
  await pass(made.clock, 29_000);
  assert.is(broker.dials, dials, 'it slows down');
  await end(made, broker);
});

test('G19: MQTT 5 has a word for it, and for why a broker throws us out', async () => {
  for (const [reason, code] of [
    [0x8e, 'SRC_BROKER_TAKEOVER'],
    [0x8b, 'SRC_BROKER_BUSY'],
    [0x98, 'SRC_BROKER_REFUSED'],
    [0x87, 'SRC_BROKER_DENIED'],
  ] as const) {
    const made = bench(
      async () => {
        const [ours, theirs] = createPair();
        theirs.once('data', () => {
          theirs.write(Buffer.from([0x20, 3, 0, 0, 0]));
          theirs.write(Buffer.from([0xe0, 2, reason, 0]));
          theirs.end();
        });
        return ours;
      },
      { protocolVersion: 5 },
    );
    await made.source.start(never);
    await made.down();
    assert.is(made.sink.last()?.code, code);
    await end(made);
  }
});

test('G17: a broker that flaps 1,000 times leaves no listeners, timers or connections behind', async () => {
  const broker = await createMemoryBroker();
  const eager: Random = { ...createFakeRandom(), float: () => 0 };
  const made = await started(broker, { statusTopic: 's' }, eager);
  const warnings: Error[] = [];
  const hear = (warning: Error): void => void warnings.push(warning);
  process.on('warning', hear);
  for (let flap = 0; flap < 1_000; flap += 1) {
    broker.cut();
    await made.down();
    // Long enough for the next try, too short for its limit.
    for (const { dials } = broker; broker.dials === dials; ) await made.clock.advance(12_500);
    await made.up();
  }
  process.off('warning', hear);
  assert.equal(warnings, []);
  assert.is(broker.open, 1);
  assert.ok(made.clock.pending() <= 2, String(made.clock.pending()));
  assert.is(made.source.counts().losses, 1_000);
  await end(made, broker);
});

test('new bindings apply without a new connection: added topics are subscribed, removed ones are not heard', async () => {
  const broker = await createMemoryBroker();
  await broker.publish('new/topic', '7', true);
  const made = await started(broker);
  const options: MqttSourceOptions = {
    id: 'plant',
    url: 'mqtt://broker',
    clientId: 'gateway',
    bindings: [FREEZER, LAMP],
  };
  assert.is(made.source.update?.(options), 'applied');
  const added = { device: 'n', signal: 'x', topic: 'new/topic' };
  assert.is(made.source.update?.({ ...options, bindings: [FREEZER, added] }), 'applied');
  await turns(() => made.sink.seen.length === 1, 'the retained value of the added topic');
  assert.equal(broker.subscribed.at(-1), ['new/topic']);
  await broker.publish('lamp/state', 'ON');
  await broker.publish('cold/freezer2', '{"temp":2}');
  await turns(() => made.sink.seen.length === 2, 'the kept one');
  assert.equal(made.sink.values(), ['x=7', 't=2']);
  assert.is(broker.dials, 1);
  assert.is(made.source.update?.({ ...options, url: 'mqtt://elsewhere' }), 'restart');
  await end(made, broker);
});

test('the number cache of mqtt-packet is off before the first packet', async () => {
  const broker = await createMemoryBroker();
  const made = bench(broker.dial);
  packets.writeToStream.cacheNumbers = true;
  await made.source.start(never);
  await made.up();
  assert.is(packets.writeToStream.cacheNumbers, false);
  await end(made, broker);
});

test('bad options are refused when the source is made', () => {
  const dial: Dial = async () => {
    throw new Error('never');
  };
  const refused = (options: Partial<MqttSourceOptions>): string => {
    try {
      bench(dial, options);
    } catch (error) {
      return `${(error as CodedError).code} ${(error as CodedError).message}`;
    }
    return 'made';
  };
  assert.is(refused({ url: 'http://x' }), 'SRC_BAD_URL http://x is no address of a broker');
  assert.is(refused({ url: 'mqtt://u:secret@' }), 'SRC_BAD_URL mqtt://***@ is no address of a broker');
  assert.match(refused({ bindings: [{ ...FREEZER, topic: 'a/#/b' }] }), 'SRC_BAD_TOPIC');
  assert.match(refused({ bindings: [{ ...FREEZER, topic: '' }] }), 'SRC_BAD_TOPIC');
  assert.match(refused({ bindings: [{ ...FREEZER, path: 'a..b' }] }), 'SRC_BAD_PATH');
  assert.match(refused({ bindings: [{ ...LAMP, write: { topic: 'a/+' } }] }), 'SRC_BAD_TOPIC');
  assert.match(refused({ statusTopic: '#' }), 'SRC_BAD_TOPIC');
  assert.is(refused({ url: 'mqtts://[::1]:8884' }), 'made');
});
