import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { VERBS } from '../../src/cli/verbs.ts';
import { suite } from '../support/harness.ts';
import { inside } from './inside.ts';

const golden = join(import.meta.dirname, 'golden');
/** UPDATE_GOLDEN=1 writes what the program says now; read the difference before committing it. */
const update = process.env.UPDATE_GOLDEN === '1';

const test = suite('usage');

function matches(name: string, text: string): void {
  const file = join(golden, name);
  if (update) writeFileSync(file, text);
  assert.fixture(text, readFileSync(file, 'utf8'));
}

test('the help of the program names every verb', async () => {
  for (const args of [['--help'], ['-h'], ['help'], ['help', '--json']]) {
    const { status, stdout, stderr } = await inside(args);
    assert.is(status, 0);
    assert.is(stderr, '');
    matches('help.txt', stdout);
  }
});

for (const { name, summary } of VERBS) {
  test(`the help of ${name} is the same by three ways, and shows every flag`, async () => {
    const [one, two, three] = [
      await inside([name, '--help']),
      await inside(['help', name]),
      await inside([name, '-h', '--json']),
    ];
    assert.is(one.status, 0);
    assert.is(one.stderr, '');
    assert.is(two.stdout, one.stdout);
    assert.is(three.stdout, one.stdout);
    matches(`${name}.txt`, one.stdout);
    assert.ok(summary.length < 80);
  });

  test(`${name} refuses a flag that it does not know, with the nearest name`, async () => {
    const { status, stdout, stderr } = await inside([name, '--jsno']);
    assert.is(status, 64);
    assert.is(stdout, '');
    assert.is(
      stderr,
      `presentity: unknown flag --jsno; did you mean --json? [CLI_UNKNOWN_FLAG]\n  See "presentity ${name} --help".\n`,
    );
  });
}

test('no verb is 64 with the help on standard error', async () => {
  const { status, stdout, stderr } = await inside([]);
  assert.is(status, 64);
  assert.is(stdout, '');
  assert.match(stderr, /^usage: presentity VERB/);
});

const WRONG: readonly (readonly [string, string])[] = [
  ['wach', 'unknown verb "wach"; did you mean "watch"?'],
  ['halp', 'unknown verb "halp"; did you mean "help"?'],
  ['frobnicate', 'unknown verb "frobnicate"'],
  ['help wach', 'unknown verb "wach"; did you mean "watch"?'],
  ['--config', 'unknown flag --config; a verb comes first'],
  ['config', 'check is missing'],
  ['config check', 'FILE is missing'],
  ['config chek x', 'unknown verb "config chek"; did you mean "config check"?'],
  ['config check a b', 'nothing is known to do with "b"'],
  ['config check a -c b', 'nothing is known to do with "b"'],
  ['version now', 'nothing is known to do with "now"'],
  ['run -c', '-c needs a value: FILE'],
  ['run -c --log-level', '-c needs a value: FILE'],
  ['run -c a -c b', '--config is given twice'],
  ['run --log-level loud', '--log-level cannot be "loud"'],
  ['run --log-level wran', '--log-level cannot be "wran"; did you mean warn?'],
  ['status --json=yes', '--json takes no value'],
  ['status -c a --socket b', 'the socket is given twice'],
  ['tail --count 0', '--count cannot be "0"'],
  ['tail --seconds 1.5', '--seconds cannot be "1.5"'],
  ['watch', 'sip:USER@DOMAIN is missing'],
  ['watch alice', 'the address cannot be "alice": no URI scheme'],
  ['watch sip:a@b;x=y', 'the address cannot be "sip:a@b;x=y"'],
  ['watch sip:a@b --server 127.0.0.1', '--server cannot be "127.0.0.1"'],
  ['watch sip:a@b --server tls:127.0.0.1', '--server cannot be "tls:127.0.0.1"'],
  ['watch sip:a@b --server tcp:127.0.0.1:99999', '--server cannot be "tcp:127.0.0.1:99999"'],
  ['watch sip:a@b --as sip:b', '--as cannot be "sip:b"'],
  ['watch sip:a@b --password-file x', '--password-file needs --as'],
  ['watch sip:a@b --user alice', '--user cannot be "alice"'],
  ['watch sip:a@b --as sip:c@b --user c:d --password-file x', 'a password is given twice'],
  ['watch sip:a@b --count -1', '--count cannot be "-1"'],
  ['send sip:a@b', 'TEXT is missing'],
  ['send sip:a@b hello', 'send needs --as or --user, since the answer goes to them'],
  ['send sip:a@b hello world', 'nothing is known to do with "world"'],
  ['edge', '--listen is missing'],
  ['edge --listen udp:127.0.0.1:0', '--domain is missing'],
  ['edge --listen udp:127.0.0.1:0 --domain x', '--user is missing'],
  [
    'edge --listen udp:localhost:5070 --domain x --user a:b',
    '--listen cannot be "udp:localhost:5070": localhost is no address of this machine',
  ],
  ['edge --listen udp:127.0.0.1 --domain x --user a:b', '--listen cannot be "udp:127.0.0.1"'],
  ['edge --listen udp:127.0.0.1:0 --domain -x- --user a:b', '--domain cannot be "-x-"'],
  ['edge --listen udp:127.0.0.1:0 --domain x --user a', '--user cannot be "a"'],
  [
    'edge --listen udp:127.0.0.1:0 --domain x --user a:b --notify-interval soon',
    '--notify-interval cannot be "soon"',
  ],
  ['demo --seconds many', '--seconds cannot be "many"'],
];

for (const [line, said] of WRONG) {
  test(`"${line}" is wrong usage`, async () => {
    const { status, stdout, stderr } = await inside(line.split(' '));
    assert.is(status, 64, stderr);
    assert.is(stdout, '');
    assert.ok(stderr.includes(`presentity: ${said} [CLI_`), stderr);
  });
}

test('a password that was mistyped into a flag is not repeated', async () => {
  const { stderr } = await inside(['watch', 'sip:a@b', '--user', 'ali ce:hunter2']);
  assert.match(stderr, /cannot be "ali ce:…"/);
  assert.not.match(stderr, /hunter2/);
});

test('with --json errors are JSON too', async () => {
  const { status, stdout, stderr } = await inside(['config', 'chek', 'x', '--json']);
  assert.is(status, 64);
  assert.is(stdout, '');
  const { error } = JSON.parse(stderr) as { error: Record<string, unknown> };
  assert.is(error.code, 'CLI_UNKNOWN_VERB');
  assert.is(error.exit, 64);
});

test('what follows -- is no flag', async () => {
  const { stderr } = await inside(['send', 'sip:a@b', '--', '--json']);
  assert.match(stderr, /^presentity: send needs --as or --user/);
});
