import type { Algorithm } from 'tiny-sip';
import {
  createMemoryNetwork,
  type Fate,
  type Flow,
  type MemoryNetwork,
  type Protocol,
  type Target,
} from 'tiny-sip';
import { type Agent, createAgent } from '../../src/agent/agent.ts';
import type { AgentEvent } from '../../src/agent/events.ts';
import type { AccountOptions, AgentOptions, PublishedDevice } from '../../src/agent/options.ts';
import type { Files } from '../../src/base/file.ts';
import { type Log, silentLog } from '../../src/base/log.ts';
import { createDevices, type Devices } from '../../src/device/device.ts';
import type { DeviceOptions } from '../../src/device/options.ts';
import type { Value } from '../../src/device/reading.ts';
import * as encoding from '../../src/im/encoding.ts';
import { tupleId } from '../../src/presence/ids.ts';
import type { DevicePresence } from '../../src/presence/model.ts';
import * as read from '../../src/presence/read.ts';
import { type FakeActuator, fakeActuator } from '../commands/support.ts';
import { createFakeClock, type FakeClock } from '../support/fake-clock.ts';
import { createFakeFiles, type FakeFiles } from '../support/fake-files.ts';
import { createFakeRandom } from '../support/fake-random.ts';
import { createScriptedServer, type ScriptedServer, type ServerScript } from '../support/sip-server.ts';

export const SERVER = { host: '192.0.2.1', port: 5060 };
export const AGENT = { host: '192.0.2.7', port: 5060 };
export const GATEWAY = 'sip:gateway7@example.com';

export interface WorldOptions {
  /** Ids of devices; each has a number `temp` and a writable switch `on`. */
  readonly devices?: readonly string[];
  /** Devices with an AOR of their own: `sip:ID@example.com`. */
  readonly own?: readonly string[];
  readonly account?: Partial<AccountOptions>;
  readonly agent?: Partial<AgentOptions>;
  readonly script?: Partial<ServerScript>;
  readonly protocol?: Protocol;
  readonly fate?: Fate;
  readonly users?: Record<string, string>;
  readonly algorithms?: readonly Algorithm[];
  readonly nonceLife?: number;
  readonly files?: FakeFiles;
  readonly seed?: number;
  /** Devices have only `temp`. */
  readonly single?: boolean;
  /** Servers found by name, instead of the one target. */
  readonly targets?: readonly Target[];
  /** Takes the lines of the agent's log. */
  readonly log?: Log;
  /** The addresses of the agent's machine; absent: it is not looked whether they change. */
  readonly addresses?: () => readonly string[];
  /** Hears how the agent wants its flow to be kept open. */
  readonly onKeepAlive?: Flow['keepAlive'];
}

/** An agent and a scripted server on one fake clock and network. */
export interface World {
  readonly clock: FakeClock;
  readonly network: MemoryNetwork;
  readonly server: ScriptedServer;
  readonly devices: Devices;
  readonly plant: FakeActuator;
  readonly files: FakeFiles;
  readonly events: AgentEvent[];
  agent: Agent;
  /** Starts server and agent and waits until all is quiet. */
  start(): Promise<void>;
  /** A new process over the same files, as after `kill -9`: the old one's stack is cut off without a word. */
  restart(): Promise<void>;
  read(device: string, signal: string, value: Value): void;
  /** Tuple id of a device. */
  id(device: string, aor?: string): string;
  /** What a watcher sees of a device. */
  sees(device: string, aor?: string): DevicePresence | undefined;
  /** Flows by which the server reaches the agent. */
  flow(aor?: string): Flow;
}

export function createWorld(options: WorldOptions = {}): World {
  const clock = createFakeClock();
  const random = createFakeRandom(options.seed ?? 7);
  const protocol = options.protocol ?? 'memory';
  const network = createMemoryNetwork({ clock }, { protocol, ...(options.fate && { fate: options.fate }) });
  const server = createScriptedServer(
    { clock, random },
    {
      transport: network.transport(SERVER),
      domain: 'example.com',
      ...(options.users && { users: options.users }),
      ...(options.algorithms && { algorithms: options.algorithms }),
      ...(options.nonceLife !== undefined && { nonceLife: options.nonceLife }),
    },
    options.script,
  );
  const files = options.files ?? createFakeFiles();
  const shared = options.devices ?? ['freezer', 'lamp'];
  const own = options.own ?? [];
  const target: Target = { protocol, ...SERVER, name: 'example.com' };
  const plant = fakeActuator();
  const events: AgentEvent[] = [];
  const published: PublishedDevice[] = [
    ...shared.map((id) => ({ id })),
    ...own.map((id) => ({ id, own: { aor: `sip:${id}@example.com` } })),
  ];
  const devices = createDevices(
    { clock, log: silentLog },
    { devices: [...shared, ...own].map((id) => deviceOptions(id, options.single ?? false)) },
  );
  // A device without its first reading is unknown; the sources are up from the start.
  devices.state({ source: 'plant', state: 'up' });

  let lives = 0;
  let end: { stop(): Promise<void> } | undefined;
  let life = { dead: false };
  const make = (): Agent => {
    lives += 1;
    life = { dead: false };
    const transport = network.transport({ ...AGENT, port: AGENT.port + lives - 1 });
    end = transport;
    const { onKeepAlive } = options;
    const connect = transport.connect;
    if (onKeepAlive)
      transport.connect = (remote) => Object.assign(connect(remote), { keepAlive: onKeepAlive });
    return createAgent(
      {
        clock,
        random,
        log: options.log ?? silentLog,
        files: mortal(files, life),
        devices,
        actuators: new Map([['plant', plant]]),
        sourceOf: () => 'plant',
        transports: [transport],
        sockets: () => [],
        later: { reader: async () => read, decoder: async () => encoding },
        ...(options.addresses && { addresses: options.addresses }),
        ...(options.targets && {
          locator: { locate: async () => options.targets ?? [], counts: () => ({}) },
        }),
        onEvent: (event) => void events.push(event),
      },
      {
        accounts: [
          {
            id: 'main',
            aor: GATEWAY,
            ...(!options.targets && { target }),
            ...(options.users && { password: options.users.gateway7 ?? 'secret' }),
            devices: published,
            ...options.account,
          },
        ],
        commands: [{ from: 'sip:alice@example.com', verbs: ['status', 'get', 'set', 'refresh'] }],
        data: '/data',
        runtime: '/run',
        ...options.agent,
      },
    );
  };

  const world: World = {
    clock,
    network,
    server,
    devices,
    plant,
    files,
    events,
    agent: make(),
    async start() {
      await server.start();
      await world.agent.start(new AbortController().signal);
      await clock.advance(100);
    },
    async restart() {
      // Killed: nothing of the old process is sent or heard any more, and its timers run into nothing.
      life.dead = true;
      await end?.stop();
      await clock.settle();
      world.agent = make();
      await world.agent.start(new AbortController().signal);
      await clock.advance(100);
    },
    read(device, signal, value) {
      devices.reading({ device, signal, value, at: clock.now(), age: 'fresh' });
    },
    id: (device, aor = GATEWAY) => tupleId(aor, device),
    sees: (device, aor = GATEWAY) => server.seen(aor).get(tupleId(aor, device)),
    flow(aor = GATEWAY) {
      const binding = server.bindings.get(aor);
      if (!binding) throw new Error(`${aor} is not registered`);
      return binding.flow;
    },
  };
  return world;
}

/** Files that a process cannot touch any more once it is dead. */
function mortal(files: Files, life: { readonly dead: boolean }): Files {
  const alive = (): void => {
    if (life.dead) throw new Error('killed');
  };
  return {
    ...files,
    async open(path, flags, mode) {
      alive();
      const handle = await files.open(path, flags, mode);
      return {
        ...handle,
        async write(bytes) {
          alive();
          await handle.write(bytes);
        },
      };
    },
    async rename(from, to) {
      alive();
      await files.rename(from, to);
    },
    async remove(path) {
      alive();
      await files.remove(path);
    },
  };
}

function deviceOptions(id: string, single: boolean): DeviceOptions {
  return {
    id,
    name: id,
    signals: {
      temp: { source: 'plant', type: 'number', unit: 'Cel', stale: 'never' },
      ...(!single && { on: { source: 'plant', type: 'boolean', writable: true, stale: 'never' } }),
    },
    states: [{ when: 'temp > 100', basic: 'closed', note: 'too hot' }, { note: '{temp} °C' }],
  };
}
