import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import * as assert from 'uvu/assert';
import { createSystemFiles } from '../../src/base/file.ts';
import { suite } from '../support/harness.ts';
import { inside } from './inside.ts';
import { type ScriptedServer, startServer } from './server.ts';
import { type Running, run, start as startProgram } from './spawn.ts';

/** The real program in a process of its own, as a user starts it. */
const test = suite('the program', { timeout: 40_000 });

let home = '';
test.before(() => {
  home = mkdtempSync(join(tmpdir(), 'presentity-cli-'));
});
test.after(() => rmSync(home, { recursive: true }));

// What a failed test leaves behind must not keep the others waiting.
const left: (() => unknown)[] = [];
test.afterEach(async () => {
  for (const end of left.splice(0)) await end();
});
function start(args: readonly string[]): Running {
  const running = startProgram(args);
  left.push(() => running.child.kill('SIGKILL'));
  return running;
}

const broken = join(import.meta.dirname, '..', 'config', 'broken');

/** Writes a configuration whose directories are this test's own. */
function configure(name: string, yaml: string): string {
  const file = join(home, `${name}.yaml`);
  writeFileSync(
    file,
    `version: 1\ndata: ${join(home, name, 'data')}\nruntime: ${join(home, name, 'run')}\n${yaml}`,
    {
      mode: 0o600,
    },
  );
  return file;
}

const GATEWAY = (registrar: string) => `accounts:
  main: { aor: sip:gateway7@test.local, password: secret, registrar: "${registrar}" }
sources:
  plant: { type: mqtt, url: "mqtt://127.0.0.1:1" }
devices:
  freezer:
    signals:
      temperature: { source: plant, topic: cold/freezer2, path: temp, stale: 5m }
`;

test('prints to standard output what was asked for, and to standard error what is wrong', async () => {
  const [version, none, wrong] = await Promise.all([run(['--version']), run([]), run(['wach', 'sip:a@b'])]);
  assert.match(version.stdout, /^presentity \d+\.\d+\.\d+\S* \(Node \d+\.\d+\.\d+, \w+ \w+\)\n$/);
  assert.equal([version.status, version.stderr], [0, '']);
  assert.equal([none.status, none.stdout], [64, '']);
  assert.match(none.stderr, /^usage: presentity VERB/);
  assert.equal([wrong.status, wrong.stdout], [64, '']);
  assert.is(
    wrong.stderr,
    'presentity: unknown verb "wach"; did you mean "watch"? [CLI_UNKNOWN_VERB]\n  See "presentity --help".\n',
  );
});

test('config check tells what is wrong with 78, and what a good file amounts to with 0', async () => {
  const file = configure('good', GATEWAY('sip:127.0.0.1:5060'));
  const [bad, good, json] = await Promise.all([
    run(['config', 'check', join(broken, 'choice.yaml')]),
    run(['config', 'check', file]),
    inside(['config', 'check', file, '--json'], { files: createSystemFiles() }),
  ]);
  assert.is(bad.status, 78);
  assert.match(
    bad.stderr,
    /choice\.yaml:3:78: error: publish cannot be "segment" \[CFG_BAD_VALUE\]\n.*\n.*\^~~~~~~ did you mean "segments"\?/,
  );
  assert.match(bad.stdout, /choice\.yaml: not usable, 2 errors\n$/);
  assert.is(good.status, 0, good.stderr);
  assert.match(good.stdout, /^1 account, 1 source, 1 device, 1 signal\n/);
  assert.match(
    good.stdout,
    /When the gateway dies, its last state is still shown for at most\n {2}main: 2m /,
  );
  const said = JSON.parse(json.stdout) as {
    ok: boolean;
    problems: unknown[];
    summary: { staleness: unknown };
  };
  assert.is(said.ok, true);
  assert.equal(said.summary.staleness, {
    gateway: { main: 120_000 },
    signals: { freezer: { temperature: 300_000 } },
  });
});

test('a broken configuration does not run, with 78, and neither does one that is not there', async () => {
  const [bad, gone] = await Promise.all([
    run(['run', '-c', join(broken, 'choice.yaml')]),
    inside(['run', '-c', join(home, 'nowhere.yaml'), '--json']),
  ]);
  assert.equal([bad.status, bad.stdout], [78, '']);
  assert.match(bad.stderr, /error: publish cannot be "segment"/);
  assert.is(gone.status, 78);
  assert.is((JSON.parse(gone.stderr) as { problem: { code: string } }).problem.code, 'CFG_NO_FILE');
});

test('G43: the edge runs until SIGTERM and ends with 0; meanwhile watch and send find it', async () => {
  const args = [
    '--listen',
    'tcp:127.0.0.1:0',
    '--listen',
    'udp:127.0.0.1:0',
    '--domain',
    'test.local',
    '--json',
  ];
  const edge = start(['edge', ...args, '--user', 'alice:secret', '--user', 'bob:secret']);
  const [, port = ''] = await edge.until(/"tcp:127\.0\.0\.1:(\d+)"/);
  const server = `tcp:127.0.0.1:${port}`;

  const watched = await inside([
    'watch',
    'sip:bob@test.local',
    '--user',
    'alice:secret',
    '--server',
    server,
    '--count',
    '1',
  ]);
  assert.is(watched.status, 0, watched.stderr);
  const wrong = await inside(['watch', 'sip:bob@test.local', '--user', 'alice:wrong', '--server', server]);
  assert.is(wrong.status, 77, wrong.stderr);
  const nobody = await inside([
    'send',
    'sip:bob@test.local',
    'hello',
    '--user',
    'alice:secret',
    '--server',
    server,
  ]);
  assert.is(nobody.status, 69, nobody.stderr);

  edge.child.kill('SIGTERM');
  const { status, stdout, stderr } = await edge.ended;
  assert.is(status, 0, stderr);
  assert.equal((JSON.parse(stdout) as { domains: string[] }).domains, ['test.local']);
  assert.match(stderr, /can be seen by everybody on this machine/);
  for (const line of stderr.trim().split('\n')) assert.ok(JSON.parse(line), 'the log is JSON too');
});

test('an address that is taken is 69 or 73, and the port is named', async () => {
  const server = await startServer();
  left.push(() => server.stop());
  const { status, stderr } = await run([
    'edge',
    '--listen',
    server.tcp,
    '--domain',
    'test.local',
    '--user',
    'a:b',
  ]);
  assert.ok([69, 73].includes(status), `${status} ${stderr}`);
  assert.ok(stderr.includes(String(server.tcp.split(':')[2])), stderr);
});

/** A registrar that can fall silent. */
async function registrar(): Promise<ScriptedServer & { silence(): void }> {
  const server = await startServer();
  left.push(() => server.stop());
  let silent = false;
  server.on('REGISTER', (incoming) => {
    if (silent) return;
    incoming.respond(200, { headers: { Contact: `${incoming.request.get('Contact')};expires=600` } });
  });
  for (const method of ['PUBLISH', 'OPTIONS', 'SUBSCRIBE']) {
    server.on(method, (incoming) => {
      if (silent) return;
      if (method === 'PUBLISH') incoming.respond(200, { headers: { 'SIP-ETag': 'a', Expires: '120' } });
      else incoming.respond(method === 'OPTIONS' ? 200 : 489);
    });
  }
  return {
    ...server,
    silence() {
      silent = true;
    },
  };
}

test('G43: SIGTERM takes back publication and registration, and ends with 0', async () => {
  const server = await registrar();
  const file = configure('clean', GATEWAY(`sip:127.0.0.1:${server.port};transport=udp`));
  const gateway = start(['run', '-c', file]);
  await gateway.until(/registered/);
  while (!server.seen.some((request) => request.method === 'PUBLISH')) await tick();
  const before = performance.now();
  gateway.child.kill('SIGTERM');
  const { status, stderr } = await gateway.ended;
  assert.is(status, 0, stderr);
  assert.ok(performance.now() - before < 3500);
  const [last, lastButOne] = server.seen.toReversed();
  assert.is(last?.method, 'REGISTER');
  assert.ok(last?.expires === 0 || /expires=0/.test(last?.get('Contact') ?? ''), 'de-registered');
  assert.is(lastButOne?.method, 'PUBLISH');
  assert.is(lastButOne?.expires, 0, 'un-published');
});

test('G43: a server that does not answer delays the end by 3 s at most; a second signal ends it at once', async () => {
  const server = await registrar();
  const uri = `sip:127.0.0.1:${server.port};transport=udp`;
  const [patient, hurried] = [configure('patient', GATEWAY(uri)), configure('hurried', GATEWAY(uri))].map(
    (file) => start(['run', '-c', file]),
  );
  if (!patient || !hurried) throw new Error('not started');
  await Promise.all([patient.until(/registered/), hurried.until(/registered/)]);
  server.silence();

  const before = performance.now();
  patient.child.kill('SIGTERM');
  hurried.child.kill('SIGTERM');
  await hurried.until(/stopping/);
  hurried.child.kill('SIGTERM');
  await sleep(400);
  assert.is(hurried.child.exitCode, null, 'timeout(1) signals twice at once');
  hurried.child.kill('SIGTERM');
  assert.is((await hurried.ended).status, 143);
  assert.ok(performance.now() - before < 2500, 'at once');

  const { status, stderr } = await patient.ended;
  const took = performance.now() - before;
  assert.is(status, 0, stderr);
  assert.ok(took < 4000, `took ${took} ms`);
});

test('G43: SIGTERM works while the program is still starting', async () => {
  // A name that DNS has to be asked for, and a registrar that never answers.
  const file = configure('early', GATEWAY('sip:127.0.0.1:9;transport=udp'));
  const gateway = start(['run', '-c', file]);
  await gateway.until(/\n/);
  gateway.child.kill('SIGTERM');
  const { status, stderr } = await gateway.ended;
  assert.is(status, 0, stderr);
});

test('G39: the gateway runs with an unknown key, tells its status, and a second one with its socket does not start', async () => {
  const file = configure(
    'status',
    `colour: white\n${GATEWAY('sip:127.0.0.1:9;transport=udp')}edge:\n  domains: [other.local]\n  listen: ["udp:127.0.0.1:0"]\n  users: { a: { password: b } }\n`,
  );
  const gateway = start(['run', '-c', file]);
  await gateway.until(/running/);
  const { status, stdout } = await run(['status', '-c', file, '--json']);
  assert.is(status, 1, 'degraded, since broker and registrar are not there');
  const report = JSON.parse(stdout) as {
    state: string;
    sources: { id: string; state: string }[];
    devices: { id: string; reach: string }[];
  };
  assert.is(report.state, 'degraded');
  assert.equal(
    report.sources.map(({ id }) => id),
    ['plant'],
  );
  assert.equal(
    report.devices.map(({ id, reach }) => [id, reach]),
    [['freezer', 'unknown']],
  );

  const second = await inside(['run', '-c', file], { files: createSystemFiles() });
  assert.is(second.status, 75, second.stderr);
  assert.match(second.stderr, /another presentity answers at .*control\.sock \[CTL_ALREADY_RUNNING\]/);

  gateway.child.kill('SIGINT');
  const ended = await gateway.ended;
  assert.is(ended.status, 0);
  assert.match(ended.stderr, /warning: unknown key "colour"/);
  const after = await inside(['status', '-c', file], { files: createSystemFiles() });
  assert.is(after.status, 69);
});

test('a reader that has enough is no failure', async () => {
  const program = start(['help']);
  program.child.stdout?.destroy();
  assert.is((await program.ended).status, 0);
});

function tick(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
