import * as assert from 'uvu/assert';
import { runProgram } from '../../src/cli/program.ts';
import { memoryFiles } from '../config/files.ts';
import { suite } from '../support/harness.ts';
import { createInside, inside } from './inside.ts';
import { type ScriptedServer, startServer } from './server.ts';

const test = suite('watch', { timeout: 20_000 });

let server: ScriptedServer;
test.beforeEach(async () => {
  server = await startServer();
});
test.afterEach(() => server.stop());

const GATEWAY = 'sip:gateway7@example.com';

function pidf(...tuples: string[]): string {
  return `<?xml version="1.0"?><presence xmlns="urn:ietf:params:xml:ns:pidf" entity="${GATEWAY}">${tuples.join('')}</presence>`;
}
const tuple = (id: string, basic: string, note: string): string =>
  `<tuple id="${id}"><status><basic>${basic}</basic></status><note>${note}</note></tuple>`;

/** Accepts the subscription and sends these documents, '' for none. */
function notifies(...bodies: string[]): void {
  server.on('SUBSCRIBE', (incoming) => {
    incoming.respond(200, { headers: { Expires: '3600', Contact: `<sip:127.0.0.1:${server.port}>` } });
    if (incoming.request.expires === 0) {
      void server.notify(incoming, 'terminated;reason=timeout');
      return;
    }
    void (async () => {
      for (const body of bodies) await server.notify(incoming, 'active;expires=3600', body);
    })();
  });
}

const lines = (text: string): string[] =>
  text
    .trim()
    .split('\n')
    .map((line) => line.slice(10));

test('each notification is a line for each device, and the server is told when it is over', async () => {
  notifies(
    pidf(tuple('freezer-aaaaa', 'open', '-18.2 °C'), tuple('door-bbbbb', 'open', 'shut')),
    pidf(tuple('freezer-aaaaa', 'open', '-18.2 °C'), tuple('door-bbbbb', 'open', 'ajar')),
  );
  const { status, stdout, stderr } = await inside(['watch', GATEWAY, '--server', server.tcp, '--count', '2']);
  assert.is(stderr, '');
  assert.is(status, 0);
  assert.equal(lines(stdout), [
    'freezer   open     -18.2 °C',
    'door      open     shut',
    'door      open     ajar',
  ]);
  assert.is(server.seen.at(-1)?.expires, 0, 'unsubscribed');
  assert.match(server.seen[0]?.get('Accept') ?? '', /application\/pidf\+xml/);
});

test('it works over UDP, and as a named user with a password from a file', async () => {
  let challenged = 0;
  server.on('SUBSCRIBE', (incoming) => {
    if (!incoming.request.has('Authorization')) {
      challenged += 1;
      incoming.respond(401, {
        headers: { 'WWW-Authenticate': 'Digest realm="example.com", nonce="abc", qop="auth"' },
      });
      return;
    }
    incoming.respond(200, { headers: { Expires: '3600', Contact: `<sip:127.0.0.1:${server.port}>` } });
    void server.notify(incoming, 'active;expires=3600', pidf(tuple('a', 'open', 'x')));
  });
  const files = memoryFiles({ '/secret': 'wonder\n' });
  const args = ['watch', GATEWAY, '--as', 'sip:alice@example.com', '--password-file', '/secret'];
  const { status, stdout, stderr } = await inside([...args, '--server', server.udp, '--count', '1'], {
    files,
  });
  assert.is(stderr, '');
  assert.is(status, 0);
  assert.equal(lines(stdout), ['a         open     x']);
  assert.is(challenged, 1);
  const request = server.seen[1];
  assert.is(request?.from?.uri, 'sip:alice@example.com');
  assert.match(request?.get('Authorization') ?? '', /username="alice"/);
});

test('a password on the command line is warned of, and the user is of the domain that is watched', async () => {
  notifies(pidf(tuple('a', 'open', 'x')));
  const { stderr } = await inside([
    'watch',
    GATEWAY,
    '--user',
    'alice:wonder',
    '--server',
    server.tcp,
    '--count',
    '1',
  ]);
  assert.match(stderr, /can be seen by everybody on this machine/);
  assert.is(server.seen[0]?.from?.uri, 'sip:alice@example.com');
});

test('a notification without a body is gone', async () => {
  notifies(pidf(tuple('a', 'open', 'x')), '');
  const { stdout } = await inside(['watch', GATEWAY, '--server', server.tcp, '--count', '2']);
  assert.equal(lines(stdout), ['a         open     x', `${GATEWAY}  gone`]);
});

test('with --json each notification is one object', async () => {
  notifies(pidf(tuple('freezer-aaaaa', 'closed', 'warm')), '');
  const { stdout } = await inside(['watch', GATEWAY, '--server', server.tcp, '--count', '2', '--json']);
  const [first, second] = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.is(first?.resource, GATEWAY);
  assert.is(first?.gone, false);
  assert.equal(first?.devices, [{ id: 'freezer-aaaaa', basic: 'closed', note: 'warm' }]);
  assert.is(second?.gone, true);
  assert.is(second?.bytes, 0);
});

test('S25: a document that is none, or of another type, harms nothing: 200, or 415 with Accept, and the next one is shown', async () => {
  const answers: number[] = [];
  server.on('SUBSCRIBE', (incoming) => {
    incoming.respond(200, { headers: { Expires: '3600', Contact: `<sip:127.0.0.1:${server.port}>` } });
    if (incoming.request.expires === 0) return;
    void (async () => {
      answers.push(await server.notify(incoming, 'active', '<presence'));
      answers.push(await server.notify(incoming, 'active', 'hello', 'text/plain'));
      answers.push(await server.notify(incoming, 'active', pidf(tuple('a', 'open', 'x'))));
    })();
  });
  const { status, stdout, stderr } = await inside(['watch', GATEWAY, '--server', server.tcp, '--count', '3']);
  assert.is(status, 0);
  assert.equal(lines(stdout), ['a         open     x']);
  assert.is(stderr.split('\n').length, 3);
  assert.equal(answers.slice(0, 2), [200, 415]);
});

test('a refusal is 77', async () => {
  server.on('SUBSCRIBE', (incoming) => incoming.respond(403));
  const { status, stdout, stderr } = await inside(['watch', GATEWAY, '--server', server.tcp]);
  assert.is(status, 77);
  assert.is(stdout, '');
  assert.match(stderr, /refused: 403 Forbidden \[CLI_REFUSED\]/);
});

test('a server that is not there is 69 when the time is over', async () => {
  await server.stop();
  const { status, stderr } = await inside(['watch', GATEWAY, '--server', server.tcp, '--seconds', '1']);
  assert.is(status, 69);
  assert.match(stderr, /cannot be reached: .*trying again\n/s);
  assert.match(stderr, /\[CLI_UNREACHABLE\]/);
});

test('a server that says nothing is 69 when the time is over', async () => {
  server.on('SUBSCRIBE', (incoming) =>
    incoming.respond(200, { headers: { Expires: '3600', Contact: '<sip:127.0.0.1>' } }),
  );
  const { status, stderr } = await inside(['watch', GATEWAY, '--server', server.tcp, '--seconds', '1']);
  assert.is(status, 69);
  assert.match(stderr, /nothing was heard of .* within 1 s \[CLI_NO_NOTIFY\]/);
});

test('an interrupt ends it with 0', async () => {
  notifies(pidf(tuple('a', 'open', 'x')));
  const it = createInside();
  const ended = runProgram(it.surroundings, ['watch', GATEWAY, '--server', server.tcp]);
  while (it.stdout() === '') await new Promise((resolve) => setImmediate(resolve));
  it.interrupt();
  assert.is(await ended, 0);
});

test('a domain that does not exist is 69', async () => {
  const { status, stderr } = await inside(['watch', 'sip:a@nowhere.invalid', '--seconds', '5']);
  assert.is(status, 69);
  assert.match(stderr, /sip:a@nowhere\.invalid cannot be reached/);
});
