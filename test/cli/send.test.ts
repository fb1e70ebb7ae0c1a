import * as assert from 'uvu/assert';
import { suite } from '../support/harness.ts';
import { inside } from './inside.ts';
import { type ScriptedServer, startServer } from './server.ts';

const test = suite('send', { timeout: 20_000 });

let server: ScriptedServer;
test.beforeEach(async () => {
  server = await startServer();
});
test.afterEach(() => server.stop());

const GATEWAY = 'sip:gateway7@example.com';
const ALICE = 'sip:alice@example.com';

function send(text: string, ...more: string[]) {
  return inside(['send', GATEWAY, text, '--as', ALICE, '--server', server.tcp, ...more]);
}

/** Takes the message and answers with these. */
function answers(...texts: (string | { from?: string; type?: string; text: string })[]): number[] {
  const statuses: number[] = [];
  server.registers();
  server.on('MESSAGE', (incoming) => {
    incoming.respond(202);
    void (async () => {
      for (const one of texts) {
        const { from = GATEWAY, type = 'text/plain', text } = typeof one === 'string' ? { text: one } : one;
        statuses.push(await server.message(incoming.flow, from, ALICE, text, type));
      }
    })();
  });
  return statuses;
}

test('the message goes out, the answer is printed, and the registration is taken back', async () => {
  const statuses = answers('lamp is on');
  const { status, stdout, stderr } = await send('status');
  assert.is(stderr, '');
  assert.is(status, 0);
  assert.is(stdout, 'lamp is on\n');
  assert.equal(statuses, [200]);
  const [register, message, last] = server.seen;
  assert.is(register?.method, 'REGISTER');
  assert.is(message?.method, 'MESSAGE');
  assert.is(message?.text(), 'status');
  assert.is(message?.uri, GATEWAY);
  assert.is(message?.contentType?.essence, 'text/plain');
  assert.is(last?.method, 'REGISTER');
  assert.ok(last?.expires === 0 || /expires=0/.test(last?.get('Contact') ?? ''), 'de-registered');
});

test('pages of a long answer are put in order, whatever order they come in', async () => {
  answers('(2/3) two', '(3/3) three', '(1/3) one');
  const { stdout } = await send('status');
  assert.is(stdout, '(1/3) one\n(2/3) two\n(3/3) three\n');
});

test('what others write meanwhile, delivery reports and pictures are no answer', async () => {
  const statuses = answers(
    { from: 'sip:mallory@example.com', text: 'ha' },
    { type: 'message/imdn+xml', text: '<imdn/>' },
    { type: 'image/png', text: 'x' },
    'the answer',
  );
  const { stdout } = await send('status', '--json');
  assert.equal(JSON.parse(stdout), { status: 202, answers: ['the answer'] });
  assert.equal(statuses, [200, 200, 415, 200]);
});

test('an answer keeps its lines and loses its control characters', async () => {
  answers('one\ntwo\u001b[31m\n');
  const { stdout } = await send('help');
  assert.is(stdout, 'one\ntwo [31m\n\n');
});

test('no answer is 69, and says so', async () => {
  answers();
  const { status, stdout, stderr } = await send('status', '--seconds', '1');
  assert.is(status, 69);
  assert.is(stdout, '');
  assert.match(stderr, /took the message and did not answer within 1 s \[CLI_NO_ANSWER\]/);
  assert.is(server.seen.at(-1)?.method, 'REGISTER', 'the registration is taken back all the same');
});

test('without waiting nothing is registered', async () => {
  answers();
  const { status, stdout } = await send('status', '--no-wait', '--json');
  assert.is(status, 0);
  assert.equal(JSON.parse(stdout), { status: 202, answers: [] });
  assert.equal(
    server.seen.map((request) => request.method),
    ['MESSAGE'],
  );
});

test('a refusal by the registrar or by the peer is 77, an unknown peer 69', async () => {
  server.on('REGISTER', (incoming) => incoming.respond(403));
  assert.is((await send('status')).status, 77);
  server.registers();
  server.on('MESSAGE', (incoming) => incoming.respond(403));
  const refused = await send('status');
  assert.is(refused.status, 77);
  assert.match(refused.stderr, /sip:gateway7@example\.com refused: 403 Forbidden/);
  server.on('MESSAGE', (incoming) => incoming.respond(404));
  const unknown = await send('status');
  assert.is(unknown.status, 69);
  assert.match(unknown.stderr, /404 Not Found/);
});

test('no server is 69', async () => {
  await server.stop();
  assert.is((await send('status')).status, 69);
});
