/**
 * The demo: presence server, MQTT broker, a freezer, a door and two lamps, the agent and a watcher, all on loopback in
 * one process. What it shows is what the product does; only the devices are made up.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Clock, createSystemClock, type Timer } from '../../src/base/clock.ts';
import { createSystemFiles } from '../../src/base/file.ts';
import { createLog, formatRecord } from '../../src/base/log.ts';
import { createSystemRandom } from '../../src/base/random.ts';
import { loadConfig } from '../../src/config/load.ts';
import { createDaemon } from '../../src/daemon/daemon.ts';
import { labelOf } from '../../src/presence/ids.ts';
import type { DevicePresence } from '../../src/presence/model.ts';
import { readPresence } from '../../src/presence/read.ts';
import { startBoard } from './board.ts';
import { startBroker } from './broker.ts';
import { createPerson } from './person.ts';
import { leaveRetained, startPlant } from './plant.ts';
import { PEOPLE, sceneFile } from './scene.ts';
import { createScreen, type Out, type Row } from './screen.ts';
import { createTally, describeEvent } from './tally.ts';

export interface DemoOptions {
  /** Ends by itself after this long; otherwise when `abort` says so. */
  seconds?: number | undefined;
  /** Prints one JSON object at the end and nothing else. */
  json: boolean;
}

/** Where the demo shows itself, and what ends it. */
export interface DemoIo extends Out {
  err(text: string): void;
  abort: AbortSignal;
  version: string;
}

/** How often alice sends a command, and how often mallory tries; milliseconds. */
const COMMAND_EVERY = 5_000;
/** How often the ages in the table are drawn again. */
const REDRAW_EVERY = 1_000;
/** How long the demo takes to end at most. */
const STOP_WITHIN = 3_000;

const ALICE_SAYS = [
  'set lamp on',
  'status',
  'set beacon on',
  'get freezer',
  'set lamp off',
  'set beacon off',
];

/** Runs the demo to its end. Resolves with the exit status. */
export async function runDemo(io: DemoIo, options: DemoOptions): Promise<number> {
  const { abort } = io;
  const clock = createSystemClock();
  const random = createSystemRandom();
  const folder = mkdtempSync(join(tmpdir(), 'presentity-demo-'));
  const screen = options.json ? undefined : createScreen(io);
  const log = createLog(
    { clock, write: (record) => (screen ? screen.line : errLine)(formatRecord(record, false)) },
    { level: 'warn' },
  );
  function errLine(text: string): void {
    io.err(`${text}\n`);
  }

  const broker = await startBroker();
  leaveRetained(broker);
  const board = await startBoard();
  mkdirSync(join(folder, 'run'), { recursive: true });
  for (const name of PEOPLE) writeFileSync(join(folder, `${name}.secret`), `${name}\n`, { mode: 0o600 });
  const file = join(folder, 'presentity.yaml');
  writeFileSync(file, sceneFile({ broker: broker.url, port: board.port, folder }));

  const files = createSystemFiles();
  const loaded = await loadConfig({ files }, { file, mode: 'check' });
  if (!loaded.ok) throw new Error(loaded.problems.map((one) => one.text).join('\n'));

  const daemon = createDaemon(
    {
      clock,
      random,
      log,
      files,
      version: io.version,
    },
    loaded.config,
  );
  const tally = createTally();
  daemon.onEvent((event) => {
    tally.add(event);
    const line = describeEvent(event);
    if (line !== undefined) screen?.line(line);
  });
  await daemon.start(abort);

  const udp = daemon.edgeAddresses().find((address) => address.protocol === 'udp');
  const tcp = daemon.edgeAddresses().find((address) => address.protocol === 'tcp');
  if (!udp || !tcp) throw new Error('the edge listens nowhere');
  screen?.say(joinIn(board.kind, `127.0.0.1:${tcp.port}`, udp.port));

  const plant = startPlant({ clock, broker, board });
  const server = { protocol: 'udp' as const, host: '127.0.0.1', port: udp.port, name: 'demo.test' };
  const alice = await createPerson(
    { clock, random },
    { aor: 'sip:alice@demo.test', password: 'alice', server },
  );
  const mallory = await createPerson(
    { clock, random },
    { aor: 'sip:mallory@demo.test', password: 'mallory', server },
  );

  const seen = new Map<string, { device: DevicePresence; at: number }>();
  const draw = (): void => screen?.table(rowsOf(seen, clock.now()));
  const watch = (resource: string, only?: string): void =>
    alice.watch(resource, (document) => {
      if (document === '') return;
      for (const device of readPresence(document).devices) {
        const name = only ?? labelOf(device.id);
        const known = seen.get(name);
        const same = known?.device.basic === device.basic && known?.device.note === device.note;
        seen.set(name, { device, at: same && known ? known.at : clock.now() });
      }
      draw();
    });

  await alice.arrive();
  await mallory.arrive();
  watch('sip:gateway@demo.test');
  watch('sip:lamp@demo.test', 'lamp');

  const timers = new Set<Timer>();
  repeat(clock, timers, REDRAW_EVERY, draw);
  let turn = 0;
  repeat(clock, timers, COMMAND_EVERY, () => {
    const text = ALICE_SAYS[turn % ALICE_SAYS.length] ?? 'status';
    void alice
      .say('sip:gateway@demo.test', text)
      .catch((error: Error) => log.warn('alice', { cause: error }));
    if (turn % 2 === 1)
      void mallory
        .say('sip:gateway@demo.test', 'set lamp off')
        .catch((error: Error) => log.warn('mallory', { cause: error }));
    turn += 1;
  });

  const started = clock.now();
  await ended(clock, options.seconds, abort);

  for (const timer of timers) timer.cancel();
  plant.stop();
  const last = Array.from(seen, ([name, { device }]): [string, DevicePresence] => [name, device]);
  const report = tally.report((clock.now() - started) / 1000, board.kind, last);
  await alice.leave();
  await mallory.leave();
  await daemon.stop(clock.now() + STOP_WITHIN);
  await board.close();
  await broker.close();
  screen?.close();
  rmSync(folder, { recursive: true, force: true });
  io.out(options.json ? `${JSON.stringify(report)}\n` : `${summary(report)}\n`);
  return 0;
}

function rowsOf(seen: ReadonlyMap<string, { device: DevicePresence; at: number }>, now: number): Row[] {
  return Array.from(seen, ([name, { device, at }]) => ({
    name,
    state: device.basic ?? 'unknown',
    note: device.note ?? '',
    age: (now - at) / 1000,
  }));
}

function repeat(clock: Clock, timers: Set<Timer>, ms: number, run: () => void): void {
  const timer = clock.after(ms, () => {
    timers.delete(timer);
    run();
    repeat(clock, timers, ms, run);
  });
  timers.add(timer);
}

function ended(clock: Clock, seconds: number | undefined, abort: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (abort.aborted) return resolve();
    const timer = seconds === undefined ? undefined : clock.after(seconds * 1000, () => resolve());
    abort.addEventListener('abort', () => {
      timer?.cancel();
      resolve();
    });
  });
}

function joinIn(kind: 'pty' | 'mock', tcp: string, udpPort: number): string {
  const carrier = kind === 'pty' ? 'a real pty' : "serialport's mock binding (install socat for a real pty)";
  return [
    `presentity demo: a freezer and a lamp over MQTT, a door and a beacon on ${carrier}`,
    '',
    'join in from another terminal:',
    `  dist/presentity watch sip:gateway@demo.test --server tcp:${tcp} --user bob:bob`,
    `  dist/presentity send sip:gateway@demo.test "set lamp on" --server tcp:${tcp} --user bob:bob`,
    `or with linphone: account sip:bob@demo.test, password bob, proxy <sip:127.0.0.1:${udpPort}>; add the buddies`,
    '  sip:gateway@demo.test and sip:lamp@demo.test with "show presence"; send "status" to the first as a message',
  ].join('\n');
}

function summary(report: ReturnType<ReturnType<typeof createTally>['report']>): string {
  const { publications, notifications, commands } = report;
  return [
    `${report.seconds} s: ${publications.full.count} whole publications (${publications.full.bytes} bytes), `,
    `${publications.partial.count} partial (${publications.partial.bytes}), `,
    `${publications.refresh.count} refreshes (${publications.refresh.bytes}), `,
    `${notifications.count} notifications (${notifications.bytes}), `,
    `${commands.executed} commands executed, ${commands.refused} refused`,
  ].join('');
}
