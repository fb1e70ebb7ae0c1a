import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { createSystemClock } from '../../src/base/clock.ts';
import { createSystemFiles } from '../../src/base/file.ts';
import { silentLog } from '../../src/base/log.ts';
import { runProgram } from '../../src/cli/program.ts';
import type { DaemonEvent } from '../../src/control/event.ts';
import { createControlServer } from '../../src/control/server.ts';
import type { StatusReport } from '../../src/control/status.ts';
import { memoryFiles } from '../config/files.ts';
import { suite } from '../support/harness.ts';
import { createInside, inside } from './inside.ts';

const test = suite('status and tail');

const REPORT: StatusReport = {
  report: 1,
  version: '1.2.3',
  state: 'degraded',
  pid: 42,
  uptime: 3700,
  time: '2026-06-01T12:00:00Z',
  config: '/etc/presentity/presentity.yaml',
  memory: 50 * 1_048_576,
  accounts: [
    {
      id: 'main',
      aor: 'sip:gateway7@example.com',
      state: 'ok',
      registration: 'registered',
      server: 'tcp 192.0.2.7:5060',
      publish: { strategy: 'segments', configured: 'auto' },
    },
  ],
  sources: [
    { id: 'plant', type: 'mqtt', where: 'mqtt://127.0.0.1:1883', state: 'up', counts: {} },
    {
      id: 'board',
      type: 'serial',
      where: '/dev/ttyUSB0',
      state: 'down',
      cause: 'port /dev/ttyUSB0 is gone',
      counts: {},
    },
  ],
  devices: [
    { id: 'freezer', name: 'Freezer 2', reach: 'reachable', note: '-18.2 °C', age: 3, signals: {} },
    { id: 'lamp', name: 'lamp', reach: 'unknown', note: 'port is gone\u001b[2J', age: 400, signals: {} },
  ],
  edge: {
    state: 'ok',
    domains: ['example.com'],
    listen: ['udp:0.0.0.0:5060'],
    counts: { bindings: 3, publications: 2, subscriptions: 1 },
  },
  counts: {},
};

let directory = '';
let path = '';
let server: ReturnType<typeof createControlServer>;
let report: StatusReport = REPORT;
const taps = new Set<(event: DaemonEvent) => void>();
const clock = createSystemClock();

test.before(async () => {
  directory = mkdtempSync(join(tmpdir(), 'status-'));
  path = join(directory, 'control.sock');
  server = createControlServer(
    {
      clock,
      log: silentLog,
      files: createSystemFiles(),
      questions: { status: () => report, stop: () => ({}) },
      streams: {
        tail: (send) => {
          taps.add(send);
          return () => taps.delete(send);
        },
      },
    },
    { socket: path },
  );
  await server.start(new AbortController().signal);
});
test.after(async () => {
  await server.stop(clock.now() + 100);
  rmSync(directory, { recursive: true });
});

test('the status is a table, and the exit status says degraded', async () => {
  const { status, stdout, stderr } = await inside(['status', '--socket', path]);
  assert.is(stderr, '');
  assert.is(status, 1);
  assert.is(
    stdout,
    [
      'presentity 1.2.3  degraded  up 1h  50 MiB  /etc/presentity/presentity.yaml',
      '',
      'accounts',
      '  main  sip:gateway7@example.com  registered  segments  tcp 192.0.2.7:5060',
      '',
      'sources',
      '  plant  mqtt    mqtt://127.0.0.1:1883  up',
      '  board  serial  /dev/ttyUSB0           down  port /dev/ttyUSB0 is gone',
      '',
      'devices',
      '  freezer  Freezer 2  reachable  -18.2 °C          3s',
      '  lamp                unknown    port is gone [2J  6m',
      '',
      'edge',
      '  example.com  ok  udp:0.0.0.0:5060  3 bindings, 2 publications, 1 subscriptions',
      '',
    ].join('\n'),
  );
});

test('on a narrow terminal no line wraps', async () => {
  const { stdout } = await inside(['status', '--socket', path], { columns: 40 });
  for (const line of stdout.split('\n').slice(1)) assert.ok(line.length <= 40, line);
  assert.match(stdout, /freezer/);
});

test('with --json the report comes as it is', async () => {
  const { status, stdout } = await inside(['status', '--socket', path, '--json']);
  assert.is(status, 1);
  assert.equal(JSON.parse(stdout), REPORT);
});

test('the exit status tells ok, degraded and down apart', async () => {
  for (const [state, exit] of [
    ['ok', 0],
    ['degraded', 1],
    ['down', 2],
  ] as const) {
    report = { ...REPORT, state };
    assert.is((await inside(['status', '--socket', path])).status, exit);
  }
  report = REPORT;
});

test('the socket is found by the configuration', async () => {
  const files = memoryFiles({ '/g.yaml': `version: 1\ncontrol: { socket: ${path} }\n` });
  assert.is((await inside(['status', '-c', '/g.yaml'], { files })).status, 1);
  const off = memoryFiles({ '/g.yaml': 'version: 1\ncontrol: { enabled: false }\n' });
  const { status, stderr } = await inside(['status', '-c', '/g.yaml'], { files: off });
  assert.is(status, 64);
  assert.match(stderr, /switches the control socket off/);
});

test('nobody there is 69, also as JSON', async () => {
  const nowhere = join(directory, 'nowhere.sock');
  const { status, stdout, stderr } = await inside(['status', '--socket', nowhere]);
  assert.is(status, 69);
  assert.is(stdout, '');
  assert.match(stderr, /^presentity: no presentity answers at /);
  const json = await inside(['status', '--socket', nowhere, '--json']);
  assert.is((JSON.parse(json.stderr) as { error: { exit: number } }).error.exit, 69);
});

const EVENTS: DaemonEvent[] = [
  { at: 1, type: 'device', device: 'freezer', reach: 'reachable', note: '-18.2 °C' },
  { at: 2, type: 'source', source: 'plant', state: 'down', cause: 'connection refused' },
  { at: 3, type: 'account', account: 'main', aor: 'sip:g@x', state: 'registered' },
  { at: 4, type: 'publish', side: 'agent', aor: 'sip:g@x', kind: 'diff', bytes: 616, status: 200 },
  { at: 5, type: 'notify', watcher: 'sip:a@x', resource: 'sip:g@x', bytes: 900 },
  { at: 6, type: 'command', from: 'sip:a@x', text: 'set lamp on\u0007', outcome: 'done', answer: 'lamp on' },
];

async function tailed(args: string[]): Promise<{ status: number; lines: string[] }> {
  const it = createInside();
  const ended = runProgram(it.surroundings, ['tail', '--socket', path, ...args]);
  while (taps.size === 0) await new Promise((resolve) => setImmediate(resolve));
  for (const event of EVENTS) for (const tap of taps) tap(event);
  const status = await ended;
  while (taps.size > 0) await new Promise((resolve) => setImmediate(resolve));
  return { status, lines: it.stdout().trim().split('\n') };
}

test('a tail is one line for each event', async () => {
  const { status, lines } = await tailed(['--count', '6']);
  assert.is(status, 0);
  assert.equal(lines, [
    'device  freezer reachable -18.2 °C',
    'source  plant down connection refused',
    'account main sip:g@x registered',
    'publish agent sip:g@x diff 616 bytes 200',
    'notify  sip:a@x of sip:g@x 900 bytes',
    'command sip:a@x "set lamp on\\u0007" done lamp on',
  ]);
});

test('a tail ends after the events that were wanted, as JSON when wanted', async () => {
  const { lines } = await tailed(['--count', '2', '--json']);
  assert.equal(
    lines.map((line) => JSON.parse(line) as unknown),
    EVENTS.slice(0, 2),
  );
});

test('a tail ends when it is interrupted', async () => {
  const it = createInside();
  const ended = runProgram(it.surroundings, ['tail', '--socket', path]);
  while (taps.size === 0) await new Promise((resolve) => setImmediate(resolve));
  it.interrupt();
  assert.is(await ended, 0);
});
