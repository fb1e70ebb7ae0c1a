import * as assert from 'uvu/assert';
import { silentLog } from '../../src/base/log.ts';
import type { Config } from '../../src/config/assemble.ts';
import type { DaemonEvent } from '../../src/control/event.ts';
import { createDaemon, type Daemon } from '../../src/daemon/daemon.ts';
import type { OpenPort, PortEvents } from '../../src/sources/serial/port.ts';
import { createFakeClock, type FakeClock } from '../support/fake-clock.ts';
import { createFakeFiles, type FakeFiles } from '../support/fake-files.ts';
import { createFakeRandom } from '../support/fake-random.ts';
import { suite } from '../support/harness.ts';

const test = suite('daemon');

const PORT = '/dev/ttyUSB0';

interface World {
  clock: FakeClock;
  daemon: Daemon;
  events: DaemonEvent[];
  /** The board says a line. */
  say(line: string): void;
  /** Pulls the plug; with it goes the device node. */
  unplug(): void;
  plug(): void;
}

/** One gateway with one serial door, its edge in the same process, nothing outside of it but the UDP port of the edge. */
function world(): World {
  const clock = createFakeClock();
  const base: FakeFiles = createFakeFiles();
  let plugged = true;
  let port: PortEvents | undefined;
  const files = {
    ...base,
    stat: async (path: string) =>
      path !== PORT
        ? base.stat(path)
        : plugged
          ? { kind: 'device' as const, size: 0, mode: 0o660, uid: 0, gid: 0, inode: 7 }
          : undefined,
  };
  const openPort: OpenPort = async (_path, _line, events) => {
    if (!plugged) throw new Error('No such file or directory, cannot open /dev/ttyUSB0');
    port = events;
    return { write: async () => {}, close: async () => {} };
  };
  const config: Config = {
    file: '/etc/presentity.yaml',
    data: '/data',
    runtime: '/run',
    log: { level: 'info', quiet: 0 },
    accounts: [
      { id: 'main', aor: 'sip:gw@test.local', password: 'gw', expires: 120_000, devices: [{ id: 'door' }] },
    ],
    mqtt: [],
    serial: [
      {
        id: 'board',
        port: PORT,
        baud: 9600,
        bindings: [{ device: 'door', signal: 'door', match: '^DOOR=(open|shut)$' }],
      },
    ],
    devices: [
      {
        id: 'door',
        signals: { door: { source: 'board', stale: 3_600_000 } },
        states: [{ note: '{door}' }],
      },
    ],
    commands: [],
    users: [],
    edge: {
      domains: ['test.local'],
      listen: [{ protocol: 'udp', host: '127.0.0.1', port: 0 }],
      users: { gw: 'gw' },
    },
  };
  const daemon = createDaemon(
    { clock, random: createFakeRandom(3), log: silentLog, files, version: 'test', openPort },
    config,
  );
  const events: DaemonEvent[] = [];
  daemon.onEvent((event) => void events.push(event));
  return {
    clock,
    daemon,
    events,
    say: (line) => port?.data(Buffer.from(`${line}\r\n`)),
    unplug() {
      plugged = false;
      port?.closed(new Error('bad file descriptor'));
    },
    plug() {
      plugged = true;
    },
  };
}

const published = (events: readonly DaemonEvent[]): DaemonEvent[] =>
  events.filter((event) => event.type === 'publish' && event.side === 'edge' && event.status === 200);

test('a line on the port becomes a publication at the edge in the same process', async () => {
  const { clock, daemon, events, say } = world();
  await daemon.start(new AbortController().signal);
  await clock.advance(2_000);
  say('half a li');
  say('DOOR=open');
  await clock.advance(2_000);
  const status = daemon.status();
  assert.is(status.devices[0]?.note, 'open');
  assert.is(status.accounts[0]?.registration, 'registered');
  assert.is(status.state, 'ok', JSON.stringify(status.accounts));
  const before = published(events).length;
  assert.ok(before > 0, 'the edge took a publication');
  say('DOOR=shut');
  await clock.advance(2_000);
  assert.ok(published(events).length > before, 'the change was published');
  await daemon.stop(clock.now() + 3_000);
});

test('G3: a dead adapter in a live process cannot hide: the status says so, and presence says why', async () => {
  const { clock, daemon, events, say, unplug, plug } = world();
  await daemon.start(new AbortController().signal);
  await clock.advance(2_000);
  say('');
  say('DOOR=open');
  await clock.advance(2_000);
  assert.is(daemon.status().state, 'ok');

  const before = published(events).length;
  unplug();
  await clock.advance(5_000);
  const down = daemon.status();
  assert.is(down.state, 'degraded');
  assert.is(down.sources[0]?.state, 'down');
  assert.match(down.sources[0]?.code ?? '', /^SRC_PORT_/);
  assert.is(down.devices[0]?.reach, 'unknown');
  assert.match(down.devices[0]?.note ?? '', 'ttyUSB0');
  assert.ok(published(events).length > before, 'the watchers are told');

  plug();
  await clock.advance(10_000);
  say('');
  say('DOOR=shut');
  await clock.advance(2_000);
  assert.is(daemon.status().state, 'ok');
  assert.is(daemon.status().devices[0]?.note, 'shut');
  await daemon.stop(clock.now() + 3_000);
});

test('G43: a stop takes the publication back and leaves no timer running', async () => {
  const { clock, daemon, events, say } = world();
  await daemon.start(new AbortController().signal);
  await clock.advance(2_000);
  say('');
  say('DOOR=open');
  await clock.advance(2_000);
  const stopping = daemon.stop(clock.now() + 3_000);
  await clock.advance(3_000);
  await stopping;
  const last = published(events).at(-1);
  assert.is(last?.type === 'publish' ? last.kind : '', 'remove');
  assert.is(clock.pending(), 0);
});

test('a port of the edge that is taken stops everything that had started', async () => {
  const first = world();
  await first.daemon.start(new AbortController().signal);
  const [address] = first.daemon.edgeAddresses();
  assert.ok(address);
  const clock = createFakeClock();
  const second = createDaemon(
    { clock, random: createFakeRandom(4), log: silentLog, files: createFakeFiles(), version: 'test' },
    {
      file: '/etc/b.yaml',
      data: '/data',
      runtime: '/run',
      log: { level: 'info', quiet: 0 },
      accounts: [],
      mqtt: [],
      serial: [],
      devices: [],
      commands: [],
      users: [],
      edge: { domains: ['test.local'], listen: [{ ...address }], users: {} },
    },
  );
  const error = await second.start(new AbortController().signal).catch((thrown: Error) => thrown);
  assert.is((error as { code?: string } | undefined)?.code, 'EDGE_CANNOT_LISTEN');
  await first.daemon.stop(first.clock.now() + 3_000);
  assert.is(clock.pending(), 0);
});

test('a data directory that cannot be written stops the start and is named', async () => {
  const files = createFakeFiles();
  const full = { ...files, open: async () => Promise.reject(new Error('EROFS: read-only file system')) };
  const daemon = createDaemon(
    { clock: createFakeClock(), random: createFakeRandom(5), log: silentLog, files: full, version: 'test' },
    {
      file: '/etc/c.yaml',
      data: '/readonly/data',
      runtime: '/run',
      log: { level: 'info', quiet: 0 },
      accounts: [],
      mqtt: [],
      serial: [],
      devices: [],
      commands: [],
      users: [],
    },
  );
  const error = await daemon.start(new AbortController().signal).catch((thrown: Error) => thrown);
  assert.is((error as { code?: string } | undefined)?.code, 'DMN_NO_DIRECTORY');
  assert.match((error as Error).message, '/readonly/data');
  assert.is((error as { exit?: number }).exit, 73);
});
