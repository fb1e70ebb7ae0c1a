import * as assert from 'uvu/assert';
import type { Config } from '../../src/config/assemble.ts';
import { loadConfig } from '../../src/config/load.ts';
import { formatProblem } from '../../src/config/problem.ts';
import { formatSummary, summarise } from '../../src/config/summary.ts';
import { createFakeFiles } from '../support/fake-files.ts';
import { suite } from '../support/harness.ts';
import { memoryFiles } from './files.ts';

const FILE = '/etc/presentity/gateway.yaml';

const GOOD = `version: 1
accounts:
  main:
    aor: sip:gateway7@example.com
    password_file: sip.secret
    registrar: sip:example.com
    outbound_proxy: "sip:edge1.example.com;transport=tcp"
sources:
  plant: { type: mqtt, url: "mqtt://127.0.0.1:1883", protocol: 5 }
  board: { type: serial, port: /dev/ttyUSB0 }
devices:
  freezer:
    name: Freezer 2
    signals:
      temperature: { source: plant, topic: cold/freezer2, path: temp, unit: Cel, deadband: 0.2, stale: 5m }
      door:        { source: board, match: '^DOOR=(open|shut)$', stale: 1h }
    states:
      - { when: "temperature > -10", note: "too warm: {temperature} °C" }
      - { when: "door == open", note: "door open" }
      - { note: "{temperature} °C" }
  lamp:
    aor: sip:lamp@example.com
    signals:
      on: { source: plant, topic: lamp/state, write: { topic: lamp/set }, values: [true, false], stale: never }
    states:
      - { when: "on == true", activity: busy, note: "on" }
      - { note: "off" }
commands:
  - { from: "sip:alice@example.com", verbs: [status, get, set] }
`;

async function load(text: string, mode: 'check' | 'run' = 'check', files: Record<string, string> = {}) {
  return loadConfig(
    {
      files: memoryFiles(
        { [FILE]: text, '/etc/presentity/sip.secret': 's3cret\n', '/etc/machine-id': 'abc\n', ...files },
        { '/etc/presentity/sip.secret': 0o640, '/etc/presentity/open.secret': 0o644 },
      ),
    },
    { file: FILE, mode },
  );
}

async function config(text: string): Promise<Config> {
  const loaded = await load(text);
  if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join('\n'));
  return loaded.config;
}

async function warnings(text: string): Promise<string[]> {
  const loaded = await load(text);
  assert.ok(loaded.ok, loaded.problems.map(formatProblem).join('\n'));
  return loaded.problems.map((one) => one.text);
}

const test = suite('loading a configuration');

test('the example of the manual is read without a word', async () => {
  assert.equal(await warnings(GOOD), []);
});

test('each room gets its options', async () => {
  const made = await config(GOOD);
  assert.equal(made.data, '/var/lib/presentity');
  assert.equal(made.control, { socket: '/run/presentity/control.sock' });
  const [account] = made.accounts;
  assert.is(account?.password, 's3cret');
  assert.is(account?.user, 'gateway7');
  assert.is(account?.expires, 120_000);
  assert.is(account?.publish, 'auto');
  assert.equal(account?.devices, [
    { id: 'freezer', detail: 'lean' },
    {
      id: 'lamp',
      detail: 'lean',
      own: { aor: 'sip:lamp@example.com', user: 'gateway7', password: 's3cret' },
    },
  ]);
  assert.is(made.mqtt[0]?.protocolVersion, 5);
  assert.equal(made.mqtt[0]?.bindings, [
    { device: 'freezer', signal: 'temperature', topic: 'cold/freezer2', path: 'temp' },
    {
      device: 'lamp',
      signal: 'on',
      topic: 'lamp/state',
      write: { topic: 'lamp/set' },
      values: [true, false],
    },
  ]);
  assert.equal(made.serial[0]?.bindings, [
    { device: 'freezer', signal: 'door', match: '^DOOR=(open|shut)$' },
  ]);
  assert.equal(made.devices[0]?.signals.temperature, {
    source: 'plant',
    unit: 'Cel',
    deadband: 0.2,
    stale: 300_000,
    writable: false,
  });
  assert.is(made.devices[1]?.signals.on?.writable, true);
  assert.is(made.devices[1]?.signals.on?.stale, 'never');
});

test('ids are the same after every start, and others on another machine', async () => {
  const [one, two] = [await config(GOOD), await config(GOOD)];
  assert.is(one.mqtt[0]?.clientId, two.mqtt[0]?.clientId);
  // MQTT 3.1.1 §3.1.3.1: a broker need not take more than 23 characters.
  assert.match(one.mqtt[0]?.clientId ?? '', /^presentity-[0-9a-f]{12}$/);
  assert.match(
    one.accounts[0]?.instance ?? '',
    /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
  );
  assert.is(one.accounts[0]?.instance, two.accounts[0]?.instance);
  const elsewhere = await load(GOOD, 'check', { '/etc/machine-id': 'other\n' });
  assert.ok(elsewhere.ok && elsewhere.config.mqtt[0]?.clientId !== one.mqtt[0]?.clientId);
});

test('a device with a password of its own is a user of its own', async () => {
  const loaded = await load(
    GOOD.replace('aor: sip:lamp@example.com', 'aor: sip:lamp@example.com\n    password_file: lamp.secret'),
    'check',
    { '/etc/presentity/lamp.secret': 'glow' },
  );
  assert.ok(loaded.ok);
  assert.equal(loaded.ok && loaded.config.accounts[0]?.devices[1]?.own, {
    aor: 'sip:lamp@example.com',
    user: 'lamp',
    password: 'glow',
  });
});

test('G39: an unknown key is an error in a check and a warning in a run', async () => {
  const text = GOOD.replace('    name: Freezer 2', '    name: Freezer 2\n    colour: white');
  const checked = await load(text, 'check');
  assert.is(checked.ok, false);
  const run = await load(text, 'run');
  assert.is(run.ok, true);
  assert.equal(
    run.problems.map((one) => [one.level, one.code, one.place?.line]),
    [['warning', 'CFG_UNKNOWN_KEY', 14]],
  );
});

test('G24: a staleness limit below three intervals is a warning', async () => {
  const at = (stale: string, every: string) =>
    warnings(GOOD.replace('stale: 5m', `stale: ${stale}, every: ${every}`));
  assert.match((await at('1m', '30s'))[0] ?? '', /stale 1m is less than three times every 30s/);
  assert.equal(await at('90s', '30s'), []);
  const [slow] = await warnings(GOOD.replace('stale: 5m', 'stale: 5m, min_interval: 2m'));
  assert.match(slow ?? '', /min_interval 2m/);
});

test('the worst case of staleness is stated', async () => {
  const text = formatSummary(summarise(await config(GOOD)));
  assert.is(
    text,
    [
      '1 account, 2 sources, 2 devices, 3 signals',
      '',
      'When the gateway dies, its last state is still shown for at most',
      '  main: 2m (expires 2m; a server may insist on a longer expires)',
      '',
      'When a sensor falls silent, its device is unknown after at most',
      '  freezer: temperature 5m, door 1h',
      '  lamp: on never',
    ].join('\n'),
  );
});

test('a secret that everybody may read is a warning, with what to do', async () => {
  const loaded = await load(GOOD.replace('sip.secret', 'open.secret'), 'check', {
    '/etc/presentity/open.secret': 'x\n',
  });
  assert.ok(loaded.ok);
  assert.equal(
    loaded.problems.map((one) => one.remedy),
    ['chmod 640 /etc/presentity/open.secret'],
  );
});

test('a password in a file that everybody may read is a warning', async () => {
  const text = GOOD.replace('password_file: sip.secret', 'password: s3cret');
  assert.equal(await warnings(text), []);
  const loaded = await loadConfig(
    { files: memoryFiles({ [FILE]: text }, { [FILE]: 0o644 }) },
    { file: FILE, mode: 'check' },
  );
  assert.match(loaded.problems[0]?.text ?? '', /everybody on this machine can read this password/);
});

test('a secret keeps its blanks and loses only the end of its line', async () => {
  for (const [content, secret] of [
    ['  a b \n', '  a b '],
    ['a\r\n', 'a'],
    ['a', 'a'],
    ['pässword\n', 'pässword'],
  ]) {
    const loaded = await load(GOOD, 'check', { '/etc/presentity/sip.secret': content ?? '' });
    assert.is(loaded.ok && loaded.config.accounts[0]?.password, secret);
  }
  for (const content of ['', '\n', 'a\nb\n', 'x'.repeat(2000)]) {
    assert.is((await load(GOOD, 'check', { '/etc/presentity/sip.secret': content })).ok, false);
  }
});

test('commands over UDP, where no server can vouch for their sender, are a warning', async () => {
  const about = async (line: string, more = ''): Promise<number> => {
    const said = await warnings(GOOD.replace(/^ +outbound_proxy: .*$/m, line) + more);
    return said.filter((text) => /commands to accounts\.main will be refused: over UDP/.test(text)).length;
  };
  for (const uri of ['sip:127.0.0.1', 'sip:example.com:5060', 'sip:example.com;transport=UDP', 'sip:[::1]']) {
    assert.is(await about(`    outbound_proxy: "${uri}"`), 1, uri);
  }
  for (const uri of ['sip:example.com', 'sip:127.0.0.1;transport=tcp', 'sip:example.com:5060;transport=tcp'])
    assert.is(await about(`    outbound_proxy: "${uri}"`), 0, uri);
  const USERS = 'users: { "sip:alice@example.com": { password_file: sip.secret } }\n';
  assert.is(await about('    outbound_proxy: "sip:127.0.0.1"\n    identity: digest', USERS), 0);
});

test('a source that nothing uses is a warning', async () => {
  const text = GOOD.replace('sources:', 'sources:\n  spare: { type: serial, port: /dev/ttyS9 }');
  assert.equal(await warnings(text), ['no signal uses the source "spare"']);
});

test('an activity without an own address, and groups without a name, are warnings', async () => {
  const text = GOOD.replace('note: "door open"', 'note: "door open", activity: away').replace(
    '(open|shut)',
    '((open)|(shut))',
  );
  const [first, second] = await warnings(text);
  assert.match(first ?? '', /3 groups/);
  assert.match(second ?? '', /"activity" does nothing here/);
});

test('the edge gets its options, lifetimes in milliseconds', async () => {
  const made = await config(`${GOOD}edge:
  domains: [Example.com]
  listen: ["udp:127.0.0.1:5070", "tcp:[::1]:5070"]
  users:
    gateway7: { password_file: sip.secret, aors: ["sip:lamp@example.com"] }
    alice: { password: wonder }
`);
  assert.equal(made.edge?.domains, ['example.com']);
  assert.equal(made.edge?.listen, [
    { protocol: 'udp', host: '127.0.0.1', port: 5070 },
    { protocol: 'tcp', host: '::1', port: 5070 },
  ]);
  assert.equal(made.edge?.publication, { min: 60_000, max: 3_600_000 });
  assert.is(made.edge?.data, '/var/lib/presentity/edge');
  assert.is(made.edge?.notifyInterval, 5000);
  assert.equal(made.edge?.users, {
    gateway7: { password: 's3cret', aors: ['sip:lamp@example.com'] },
    alice: { password: 'wonder' },
  });
});

test('a file that is not there, is a directory, is no text or cannot be read says so', async () => {
  const files = createFakeFiles({ '/etc/p/a.yaml': 'x' });
  await files.makeDirectory('/etc/p');
  const code = async (file: string, from = files) => {
    const loaded = await loadConfig({ files: from }, { file, mode: 'run' });
    return loaded.ok ? 'ok' : `${loaded.problems[0]?.code} ${loaded.exit}`;
  };
  assert.is(await code('/nowhere.yaml'), 'CFG_NO_FILE 78');
  assert.is(await code('/etc/p'), 'CFG_UNREADABLE 77');
  files.content.set('/latin.yaml', Buffer.from('name: T\xfcr', 'latin1'));
  assert.is(await code('/latin.yaml'), 'CFG_NOT_UTF8 78');
  files.content.set('/big.yaml', Buffer.alloc(2_000_000, 'a'));
  assert.is(await code('/big.yaml'), 'CFG_TOO_LARGE 78');
  files.failAt(0, Object.assign(new Error('EACCES: permission denied'), { code: 'EACCES' }));
  assert.is(await code('/etc/p/a.yaml'), 'CFG_UNREADABLE 77');
});

test('loading changes nothing on the medium', async () => {
  const files = createFakeFiles({ [FILE]: GOOD, '/etc/presentity/sip.secret': 'x' });
  const before = new Map([...files.content].map(([path, bytes]) => [path, bytes.toString('hex')]));
  await loadConfig({ files }, { file: FILE, mode: 'run' });
  assert.equal(new Map([...files.content].map(([path, bytes]) => [path, bytes.toString('hex')])), before);
});

test('whatever is cut out of the example, loading answers and points into the file', async () => {
  const lines = GOOD.split('\n');
  for (let from = 0; from < lines.length; from++) {
    const text = lines.filter((_, index) => index !== from).join('\n');
    const loaded = await load(text);
    for (const one of loaded.problems) {
      assert.ok((one.place?.line ?? 1) <= lines.length);
      assert.ok(formatProblem(one).length > 0);
    }
  }
  for (let at = 0; at < GOOD.length; at += 7) await load(GOOD.slice(0, at));
});

test('a file without devices is enough for an edge alone', async () => {
  const made = await config(
    'version: 1\nedge: { domains: [test.local], listen: ["udp:127.0.0.1:0"], users: { alice: { password: x } } }\n',
  );
  assert.is(made.accounts.length, 0);
  assert.is(made.edge?.users.alice !== undefined, true);
});
