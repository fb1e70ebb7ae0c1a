/** The agent in this process against a real Kamailio, over real sockets. */
import * as assert from 'uvu/assert';
import { type Agent, createAgent } from '../../src/agent/agent.ts';
import type { AgentEvent } from '../../src/agent/events.ts';
import type { AccountOptions } from '../../src/agent/options.ts';
import { createSystemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { createSystemRandom } from '../../src/base/random.ts';
import { createDevices, type Devices } from '../../src/device/device.ts';
import { tupleId } from '../../src/presence/ids.ts';
import { readPresence } from '../../src/presence/read.ts';
import { fakeActuator } from '../commands/support.ts';
import { createFakeFiles } from '../support/fake-files.ts';
import { suite } from '../support/harness.ts';
import { type Kamailio, type KamailioOptions, startKamailio } from '../support/peers/kamailio.ts';
import { createPhone, type Phone } from '../support/peers/phone.ts';

const test = suite('agent and kamailio', { timeout: 30_000 });
const GATEWAY = 'sip:gateway7@test.local';
const IDS = ['freezer', 'door', 'lamp', 'pump'];

interface Scene {
  kamailio: Kamailio;
  alice: Phone;
  agent: Agent;
  devices: Devices;
  events: AgentEvent[];
  read(device: string, temp: number): void;
  /** Resolves when the condition holds. */
  until(what: () => boolean, within?: number): Promise<void>;
}

async function scene(
  options: { kamailio?: KamailioOptions; account?: Partial<AccountOptions>; protocol?: 'tcp' | 'udp' },
  body: (scene: Scene) => Promise<void>,
): Promise<void> {
  const { protocol = 'tcp' } = options;
  const kamailio = await startKamailio({ users: { alice: 'wonder', gateway7: 'pump' }, ...options.kamailio });
  const clock = createSystemClock();
  const alice = await createPhone({
    user: 'alice',
    password: 'wonder',
    domain: kamailio.domain,
    port: kamailio.port,
    protocol: 'tcp',
  });
  await alice.register();
  const devices = createDevices(
    { clock, log: silentLog },
    {
      devices: IDS.map((id) => ({
        id,
        signals: {
          temp: { source: 'plant', type: 'number', stale: 'never' },
          on: { source: 'plant', type: 'boolean', writable: true, stale: 'never' },
        },
        states: [{ note: '{temp}' }],
      })),
    },
  );
  devices.state({ source: 'plant', state: 'up' });
  const read = (device: string, temp: number): void =>
    devices.reading({ device, signal: 'temp', value: temp, at: clock.now(), age: 'fresh' });
  for (const id of IDS) read(id, 0);
  const events: AgentEvent[] = [];
  const plant = fakeActuator();
  plant.act = async ({ device, signal }, value) => {
    clock.after(10, () => devices.reading({ device, signal, value, at: clock.now(), age: 'fresh' }));
  };
  const agent = createAgent(
    {
      clock,
      random: createSystemRandom(),
      log: silentLog,
      files: createFakeFiles(),
      devices,
      actuators: new Map([['plant', plant]]),
      sourceOf: () => 'plant',
      onEvent: (event) => void events.push(event),
    },
    {
      accounts: [
        {
          id: 'main',
          aor: GATEWAY,
          password: 'pump',
          target: { protocol, host: '127.0.0.1', port: kamailio.port, name: kamailio.domain },
          devices: IDS.map((id) => ({ id })),
          ...options.account,
        },
      ],
      commands: [{ from: 'sip:alice@test.local', verbs: ['status', 'get', 'set'] }],
      data: '/data',
      runtime: '/run',
    },
  );
  const until = async (what: () => boolean, within = 8_000): Promise<void> => {
    const end = clock.now() + within;
    while (!what()) {
      if (clock.now() > end) throw new Error(`not within ${within} ms: ${JSON.stringify(agent.status())}`);
      await new Promise<void>((resolve) => clock.after(20, resolve));
    }
  };
  try {
    await agent.start(new AbortController().signal);
    await body({ kamailio, alice, agent, devices, events, read, until });
  } finally {
    await agent.stop(clock.now() + 3_000);
    devices.stop();
    alice.close();
    await kamailio.stop();
  }
}

const labels = (document: string): Set<string> =>
  new Set(readPresence(document).devices.map(({ id }) => id.replace(/\.c$/, '')));

for (const protocol of ['tcp', 'udp'] as const)
  test.needs(
    ['kamailio'],
    `auto ends in segments over ${protocol}, and no device is ever missing from what a watcher sees`,
    () =>
      scene({ protocol }, async ({ alice, agent, events, read, until }) => {
        await until(() => events.some((event) => event.type === 'publish' && event.status === 200));
        await alice.subscribe(GATEWAY);
        await until(() => agent.status()[0]?.publish.strategy === 'segments');
        for (let n = 1; n <= 12; n += 1) {
          read(IDS[n % IDS.length] ?? '', n);
          await new Promise((resolve) => setTimeout(resolve, 15));
        }
        const wanted = readingsAfter(12);
        await alice.notified((one) => {
          if (one.aor !== GATEWAY || one.body === '') return false;
          const notes = new Map(readPresence(one.body).devices.map(({ id, note }) => [id, note]));
          return IDS.every((id) => notes.get(tupleId(GATEWAY, id)) === wanted.get(id));
        }, 8_000);
        const bodies = alice.notifications.filter(({ aor, body }) => aor === GATEWAY && body !== '');
        assert.ok(bodies.length > 3);
        for (const { body } of bodies) assert.is(labels(body).size, IDS.length, body);
        // The cover is gone: each device is there once.
        assert.is(readPresence(bodies.at(-1)?.body ?? '').devices.length, IDS.length);
        assert.ok(
          events.some(
            (event) => event.type === 'publish' && event.kind === 'segment' && event.status === 200,
          ),
        );
      }),
  );

test.needs(['kamailio'], 'auto ends in full where reading back is not allowed', () =>
  scene({ kamailio: { mayNotSubscribe: ['gateway7'] } }, async ({ alice, agent, read, until }) => {
    await until(() => agent.status()[0]?.publish.strategy === 'full');
    await alice.subscribe(GATEWAY);
    read('lamp', 5);
    await alice.notified(
      (one) => one.body !== '' && readPresence(one.body).devices.some(({ note }) => note === '5'),
    );
    for (const { body } of alice.notifications) if (body !== '') assert.is(labels(body).size, IDS.length);
  }),
);

test.needs(['kamailio'], 'a command goes there and back, with the value read back', () =>
  scene({}, async ({ alice, until, agent }) => {
    await until(() => agent.status()[0]?.publish.strategy === 'segments');
    assert.is(agent.status()[0]?.nat, undefined);
    assert.is((await alice.message(GATEWAY, 'set lamp on')).status, 200);
    await alice.chatted((one) => one.text === 'lamp on: true');
  }),
);

test.needs(['kamailio'], 'a stop leaves nothing at the server', () =>
  scene({}, async ({ alice, until, agent }) => {
    await until(() => agent.status()[0]?.publish.strategy === 'segments');
    await alice.subscribe(GATEWAY);
    await alice.notified((one) => one.body !== '');
    const started = performance.now();
    await agent.stop(createSystemClock().now() + 3_000);
    assert.ok(performance.now() - started < 2_000);
    await alice.notified((one) => one.body === '' || !/open/.test(one.body));
  }),
);

function readingsAfter(count: number): Map<string, string> {
  const last = new Map<string, string>();
  for (let n = 1; n <= count; n += 1) last.set(IDS[n % IDS.length] ?? '', String(n));
  return last;
}
