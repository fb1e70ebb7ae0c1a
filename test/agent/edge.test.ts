/** The agent with our own edge: in memory, and by datagrams that are lost, repeated and overtaken. */
import {
  createDigestClient,
  createMemoryNetwork,
  createStack,
  createSubscription,
  type Fate,
  type Protocol,
} from 'tiny-sip';
import * as assert from 'uvu/assert';
import { type Agent, createAgent } from '../../src/agent/agent.ts';
import type { AgentEvent } from '../../src/agent/events.ts';
import type { AccountOptions } from '../../src/agent/options.ts';
import { silentLog } from '../../src/base/log.ts';
import { createDevices, type Devices } from '../../src/device/device.ts';
import { createEdge, type Edge } from '../../src/edge/edge.ts';
import * as encoding from '../../src/im/encoding.ts';
import { tupleId } from '../../src/presence/ids.ts';
import type { Presence } from '../../src/presence/model.ts';
import * as reading from '../../src/presence/read.ts';
import { readPresence } from '../../src/presence/read.ts';
import { createFakeClock, type FakeClock } from '../support/fake-clock.ts';
import { createFakeFiles } from '../support/fake-files.ts';
import { createFakeRandom } from '../support/fake-random.ts';
import { suite } from '../support/harness.ts';

const test = suite('agent and edge', { timeout: 300_000 });
const GATEWAY = 'sip:gateway7@test.local';
const EDGE = { host: '192.0.2.1', port: 5060 };

interface Scene {
  clock: FakeClock;
  agent: Agent;
  edge: Edge;
  devices: Devices;
  events: AgentEvent[];
  /** Documents that a watcher was sent. */
  seen: Presence[];
  read(device: string, temp: number): void;
  note(device: string): string | undefined;
}

async function scene(
  options: {
    ids: readonly string[];
    protocol?: Protocol;
    fate?: Fate;
    account?: Partial<AccountOptions>;
    seed?: number;
  },
  body: (scene: Scene) => Promise<void>,
): Promise<void> {
  const { ids, protocol = 'memory' } = options;
  const clock = createFakeClock();
  const random = createFakeRandom(options.seed ?? 11);
  const network = createMemoryNetwork({ clock }, { protocol, ...(options.fate && { fate: options.fate }) });
  const edge = createEdge(
    { clock, random, log: silentLog, files: createFakeFiles(), transports: [network.transport(EDGE)] },
    {
      domains: ['test.local'],
      listen: [],
      users: { gateway7: 'pump', alice: 'wonder' },
      notifyInterval: 5_000,
    },
  );
  const devices = createDevices(
    { clock, log: silentLog },
    {
      devices: ids.map((id) => ({
        id,
        signals: { temp: { source: 'plant', type: 'number', stale: 'never' } },
        states: [{ note: '{temp}' }],
      })),
    },
  );
  devices.state({ source: 'plant', state: 'up' });
  const events: AgentEvent[] = [];
  const agent = createAgent(
    {
      clock,
      random,
      log: silentLog,
      files: createFakeFiles(),
      devices,
      actuators: new Map(),
      sourceOf: () => 'plant',
      transports: [network.transport({ host: '192.0.2.7', port: 5060 })],
      sockets: () => [],
      later: { reader: async () => reading, decoder: async () => encoding },
      onEvent: (event) => void events.push(event),
    },
    {
      accounts: [
        {
          id: 'main',
          aor: GATEWAY,
          password: 'pump',
          target: { protocol, ...EDGE, name: 'test.local' },
          devices: ids.map((id) => ({ id })),
          ...options.account,
        },
      ],
      commands: [],
      data: '/data',
      runtime: '/run',
    },
  );
  const abort = new AbortController().signal;
  await edge.start(abort);
  const watcher = createStack(
    { clock, random, log: silentLog },
    { transports: [network.transport({ host: '192.0.2.9', port: 5060 })] },
  );
  await watcher.start();
  const seen: Presence[] = [];
  const subscription = createSubscription(
    { stack: watcher, clock, random, log: silentLog },
    {
      resource: GATEWAY,
      from: 'sip:alice@test.local',
      accept: ['application/pidf+xml'],
      way: () => ({ target: { protocol, ...EDGE, name: 'test.local' } }),
      credentials: createDigestClient({ random }, { username: 'alice', password: 'wonder' }),
      onNotify: ({ body }) => {
        if (body.length > 0) seen.push(readPresence(body));
        return undefined;
      },
    },
  );
  await agent.start(abort);
  await clock.advance(1_000);
  subscription.start();
  await clock.advance(6_000);
  const read = (device: string, temp: number): void =>
    devices.reading({ device, signal: 'temp', value: temp, at: clock.now(), age: 'fresh' });
  await body({
    clock,
    agent,
    edge,
    devices,
    events,
    seen,
    read,
    note: (device) => seen.at(-1)?.devices.find(({ id }) => id === tupleId(GATEWAY, device))?.note,
  });
  const stopped = agent.stop(clock.now() + 3_000);
  await clock.advance(3_000);
  await stopped;
  const closed = edge.stop(clock.now() + 3_000);
  await clock.advance(3_000);
  await closed;
}

test('auto ends in diff, and the document at rest is the truth', () =>
  scene({ ids: ['freezer', 'lamp', 'pump'] }, async ({ clock, agent, read, note, seen, events }) => {
    read('lamp', 1);
    await clock.advance(6_000);
    assert.is(agent.status()[0]?.publish.strategy, 'diff');
    assert.is(note('lamp'), '1');
    for (const [n, id] of ['freezer', 'pump', 'lamp', 'freezer'].entries()) read(id, n + 10);
    await clock.advance(6_000);
    assert.equal(['freezer', 'lamp', 'pump'].map(note), ['13', '12', '11']);
    assert.ok(seen.every(({ devices }) => devices.length === 3));
    assert.ok(
      events.some((event) => event.type === 'publish' && event.kind === 'diff' && event.status === 200),
    );
  }));

test('segments forced: composed to the same document', () =>
  scene(
    { ids: ['freezer', 'lamp', 'pump'], account: { publish: 'segments' } },
    async ({ clock, read, note, seen }) => {
      for (const [n, id] of ['freezer', 'pump', 'lamp'].entries()) read(id, n);
      await clock.advance(6_000);
      assert.equal(['freezer', 'lamp', 'pump'].map(note), ['0', '2', '1']);
      assert.is(seen.at(-1)?.devices.length, 3);
    },
  ));

for (const publish of ['auto', 'segments', 'full'] as const)
  test(`document and truth are equal at rest after random changes with lost, repeated and overtaken datagrams, ${publish}`, async () => {
    // A batch is 200 changes. CHANGES=10000 gives the other strategies the long run too.
    const batches = Math.max(
      1,
      Math.round(Number(process.env.CHANGES ?? (publish === 'auto' ? 10_000 : 1_000)) / 200),
    );
    const ids = Array.from({ length: 12 }, (_, n) => `d${n}`);
    const chance = createFakeRandom(publish.length);
    let rough = false;
    let lost = 0;
    const fate: Fate = () => {
      if (!rough) return [1];
      const dice = chance.float();
      if (dice < 0.15) lost += 1;
      if (dice < 0.15) return [];
      if (dice < 0.3) return [1, 2 + chance.float() * 300];
      if (dice < 0.5) return [chance.float() * 800];
      return [1];
    };
    await scene(
      { ids, protocol: 'udp', fate, account: { publish } },
      async ({ clock, read, note, agent, seen }) => {
        const truth = new Map<string, number>();
        for (let batch = 0; batch < batches; batch += 1) {
          rough = true;
          for (let n = 0; n < 200; n += 1) {
            const id = ids[Math.floor(chance.float() * ids.length)] ?? 'd0';
            const value = Math.floor(chance.float() * 1_000);
            truth.set(id, value);
            read(id, value);
            // Sometimes several at once, sometimes one after the other's answer.
            if (chance.float() < 0.6) await clock.advance(chance.float() * 400);
          }
          rough = false;
          await clock.advance(150_000);
          for (const [id, value] of truth) assert.is(note(id), String(value), `${id} after batch ${batch}`);
          assert.is(seen.at(-1)?.devices.length, ids.length, `batch ${batch}`);
        }
        assert.is(agent.status()[0]?.state, 'ok');
        assert.is(agent.status()[0]?.publish.strategy, publish === 'auto' ? 'diff' : publish);
        assert.ok(lost > batches * 20, `${lost} lost`);
      },
    );
  });
