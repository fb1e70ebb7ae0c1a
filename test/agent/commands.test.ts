import { deflateSync, gzipSync } from 'node:zlib';
import {
  createDigestClient,
  createRequest,
  createStack,
  formatDate,
  type Outcome,
  type SipRequest,
  type Stack,
} from 'tiny-sip';
import * as assert from 'uvu/assert';
import { silentLog } from '../../src/base/log.ts';
import { createFakeRandom } from '../support/fake-random.ts';
import { suite } from '../support/harness.ts';
import type { MessageInit } from '../support/sip-server.ts';
import { AGENT, createWorld, GATEWAY, SERVER, type World, type WorldOptions } from './world.ts';

const test = suite('commands by MESSAGE');
const ALICE = 'sip:alice@example.com';

async function begin(options: WorldOptions = {}): Promise<World> {
  const world = createWorld({ ...options, account: { publish: 'full', ...options.account } });
  await world.start();
  world.read('freezer', 'temp', -18);
  world.read('lamp', 'on', false);
  await world.clock.advance(100);
  return world;
}

/** Sends and answers with the status, and the texts that came back by then. */
async function say(
  world: World,
  text: string | Buffer,
  init: MessageInit & { to?: string } = {},
): Promise<{ status: number; answers: string[]; outcome: Outcome }> {
  const before = world.server.inbox.length;
  const sent = world.server.message(init.to ?? GATEWAY, text, init);
  await world.clock.advance(100);
  const outcome = await sent;
  const status = outcome.kind === 'response' ? outcome.response.status : 0;
  return { status, answers: world.server.inbox.slice(before).map((request) => request.text()), outcome };
}

/** A stack of somebody else who reaches the agent past the server. */
async function stranger(world: World): Promise<Stack> {
  const stack = createStack(
    { clock: world.clock, random: createFakeRandom(99), log: silentLog },
    { transports: [world.network.transport({ host: '203.0.113.66', port: 5060 })] },
  );
  await stack.start();
  return stack;
}

function forged(headers: Record<string, string> = {}): SipRequest {
  return createRequest({
    method: 'MESSAGE',
    uri: 'sip:gateway7@192.0.2.7:5060',
    headers: { From: `<${ALICE}>`, To: `<${GATEWAY}>`, 'Content-Type': 'text/plain', ...headers },
    body: 'set lamp on true',
  });
}

test('a question is answered with a MESSAGE to the sender, from the AOR that was asked', async () => {
  const world = await begin();
  const { status, answers } = await say(world, 'get freezer temp');
  assert.is(status, 200);
  assert.equal(answers, ['freezer temp: -18 °C (just now)']);
  const [answer] = world.server.inbox;
  assert.is(answer?.uri, ALICE);
  assert.is(answer?.from?.uri, GATEWAY);
  assert.ok(answer?.has('In-Reply-To'));
  assert.is(answer?.has('Contact'), false);
});

test('set writes, and answers with the value that came back', async () => {
  const world = await begin();
  world.plant.act = async ({ device, signal }, value) => {
    world.clock.after(50, () => world.read(device, signal, value));
  };
  const { answers } = await say(world, 'set lamp on');
  assert.equal(world.plant.writes, [{ device: 'lamp', signal: 'on', value: true }]);
  assert.equal(answers, ['lamp on: true']);
  assert.ok(world.events.some((event) => event.type === 'command' && event.outcome === 'done'));
});

test('who is not in the list gets 403 and no word', async () => {
  const world = await begin();
  const { status, answers } = await say(world, 'status', { from: 'sip:mallory@example.com' });
  assert.is(status, 403);
  assert.equal(answers, []);
});

test('a verb that is not granted is not executed', async () => {
  const world = await begin({ agent: { commands: [{ from: ALICE, verbs: ['get'] }] } });
  const { answers } = await say(world, 'set lamp on');
  assert.equal(answers, ['not allowed: set']);
  assert.equal(world.plant.writes, []);
});

test('a From that nobody asserts is worth nothing, even from the server', async () => {
  const world = await begin();
  assert.is((await say(world, 'set lamp on', { asserted: null })).status, 403);
  assert.equal(world.plant.writes, []);
});

test('the identity is the asserted one, not the one in From', async () => {
  const world = await begin();
  const { status } = await say(world, 'set lamp on', { from: ALICE, asserted: 'sip:mallory@example.com' });
  assert.is(status, 403);
  assert.equal(world.plant.writes, []);
});

test('an asserted identity by any other path than the own flow is a forgery', async () => {
  const world = await begin();
  const stack = await stranger(world);
  const target = { protocol: 'memory' as const, ...AGENT, name: 'x' };
  for (const headers of [{}, { 'P-Asserted-Identity': `<${ALICE}>` }, { 'X-Forwarded-For': SERVER.host }]) {
    const sent = stack.send(forged(headers), { target });
    await world.clock.advance(100);
    const outcome = await sent;
    assert.is(outcome.kind === 'response' && outcome.response.status, 403);
  }
  assert.equal(world.plant.writes, []);
});

test('over UDP an asserted identity is not believed: anybody can send a datagram with any source', async () => {
  const world = await begin({ protocol: 'udp' });
  assert.is((await say(world, 'set lamp on')).status, 403);
  assert.equal(world.plant.writes, []);
});

test('identity: digest challenges, believes named users, and the user, not From, is who commands', async () => {
  const world = await begin({
    account: { identity: 'digest' },
    agent: {
      users: [
        { aor: ALICE, password: 'wonder' },
        { aor: 'sip:bob@example.com', password: 'build' },
      ],
    },
  });
  assert.is((await say(world, 'set lamp on')).status, 401, 'the asserted identity does not count');
  const send = async (username: string, password: string): Promise<number | undefined> => {
    const sent = world.server.stack.send(forged(), {
      flow: world.flow(),
      credentials: createDigestClient({ random: createFakeRandom(3) }, { username, password }),
    });
    await world.clock.advance(100);
    const outcome = await sent;
    return outcome.kind === 'response' ? outcome.response.status : undefined;
  };
  assert.is(await send('alice', 'wrong'), 401);
  assert.is(await send('bob', 'build'), 403, 'From says alice, the digest says bob');
  assert.equal(world.plant.writes, []);
  assert.is(await send('alice', 'wonder'), 200);
  await world.clock.advance(4_000);
  assert.is(world.plant.writes.length, 1);
});

test('S36: a copy with the same Call-ID, CSeq and From tag is answered and not executed, after a restart too', async () => {
  const world = await begin();
  const headers = { 'Call-ID': 'one@alice', CSeq: '7 MESSAGE', From: `<${ALICE}>;tag=abc` };
  assert.is((await say(world, 'set lamp on', { headers })).status, 200);
  assert.is((await say(world, 'set lamp on', { headers })).status, 200);
  assert.is(world.plant.writes.length, 1);
  await world.restart();
  assert.is((await say(world, 'set lamp on', { headers })).status, 200);
  await world.clock.advance(5_000);
  assert.is(world.plant.writes.length, 1);
  assert.is((await say(world, 'set lamp off', { headers: { ...headers, CSeq: '8 MESSAGE' } })).status, 200);
  await world.clock.advance(5_000);
  assert.is(world.plant.writes.length, 2, 'another CSeq is another message');
});

test('S36: the same imdn.Message-ID under another Call-ID is the same message', async () => {
  const world = await begin();
  const cpim = [
    `From: <${ALICE}>`,
    `To: <${GATEWAY}>`,
    'NS: imdn <urn:ietf:params:imdn>',
    'imdn.Message-ID: m42',
    'imdn.Disposition-Notification: positive-delivery',
    '',
    'Content-Type: text/plain; charset=utf-8',
    '',
    'set lamp on',
  ].join('\r\n');
  for (const id of ['x1', 'x2']) {
    const { status } = await say(world, cpim, { contentType: 'message/cpim', headers: { 'Call-ID': id } });
    assert.is(status, 200);
  }
  assert.is(world.plant.writes.length, 1);
});

test('an expired message is not executed, and its sender is told', async () => {
  const world = await begin();
  const sent = formatDate((world.clock.wall() ?? 0) - 3_600_000);
  const { status, answers } = await say(world, 'set lamp on', { headers: { Date: sent, Expires: '60' } });
  assert.is(status, 200);
  assert.match(answers[0] ?? '', /^not done: the message expired \d+ s ago/);
  assert.equal(world.plant.writes, []);
  await say(world, 'set lamp on', { headers: { Date: sent, Expires: '7200' } });
  assert.is(world.plant.writes.length, 1);
});

test('G27: without the time a dated message does not act, but may ask', async () => {
  const world = await begin();
  world.clock.setWall(undefined);
  const headers = { Date: 'Mon, 01 Jun 2026 12:00:00 GMT', Expires: '60' };
  assert.match((await say(world, 'set lamp on', { headers })).answers[0] ?? '', /clock is not set/);
  assert.match((await say(world, 'get freezer temp', { headers })).answers[0] ?? '', /-18/);
  assert.equal(world.plant.writes, []);
});

test('a disk that is full: what cannot be recorded does not act', async () => {
  const world = await begin();
  world.files.dieAt(0);
  assert.match((await say(world, 'set lamp on')).answers[0] ?? '', /could not be recorded/);
  assert.match((await say(world, 'get freezer temp')).answers[0] ?? '', /-18/);
  assert.equal(world.plant.writes, []);
});

test('S37: deflate and gzip are undone, in cpim too; what is not understood gets 415 with what is', async () => {
  const world = await begin();
  const get = Buffer.from('get freezer temp');
  for (const [body, encoding] of [
    [deflateSync(get), 'deflate'],
    [gzipSync(get), 'gzip'],
  ] as const)
    assert.match(
      (await say(world, body, { headers: { 'Content-Encoding': encoding } })).answers[0] ?? '',
      /-18/,
    );
  const html = await say(world, '<b>set lamp on</b>', { contentType: 'text/html' });
  assert.is(html.status, 415);
  if (html.outcome.kind === 'response')
    assert.match(html.outcome.response.get('Accept') ?? '', /text\/plain/);
  const brotli = await say(world, get, { headers: { 'Content-Encoding': 'br' } });
  assert.is(brotli.status, 415);
  if (brotli.outcome.kind === 'response')
    assert.ok(brotli.outcome.response.all('Accept-Encoding').includes('deflate'));
  assert.is(
    (await say(world, gzipSync(Buffer.alloc(9_000_000)), { headers: { 'Content-Encoding': 'gzip' } })).status,
    413,
  );
  assert.is((await say(world, Buffer.from('junk'), { headers: { 'Content-Encoding': 'gzip' } })).status, 400);
  assert.is((await say(world, 'no cpim', { contentType: 'message/cpim' })).status, 400);
  assert.equal(world.plant.writes, []);
});

test('S35: notifications of delivery and of typing are taken, never executed, never answered', async () => {
  const world = await begin();
  const imdn = '<imdn xmlns="urn:ietf:params:xml:ns:imdn"><message-id>set lamp on</message-id></imdn>';
  for (const [body, init] of [
    [imdn, { contentType: 'message/imdn+xml' }],
    [
      deflateSync(Buffer.from(imdn)),
      { contentType: 'message/imdn+xml', headers: { 'Content-Encoding': 'deflate' } },
    ],
    ['set lamp on', { contentType: 'application/im-iscomposing+xml' }],
    [
      `From: <${ALICE}>\r\n\r\nContent-Type: message/imdn+xml\r\nContent-Disposition: notification\r\n\r\n${imdn}`,
      { contentType: 'message/cpim' },
    ],
  ] as const) {
    const { status, answers } = await say(world, body, init);
    assert.is(status, 200);
    assert.equal(answers, []);
  }
  assert.equal(world.plant.writes, []);
});

test('text that is no command is answered at most once a minute for each sender', async () => {
  const world = await begin();
  const first = await say(world, 'hello there');
  assert.match(first.answers[0] ?? '', /not a command: hello/);
  for (let n = 0; n < 5; n += 1) assert.equal((await say(world, 'are you there?')).answers, []);
  assert.match((await say(world, 'get freezer temp')).answers[0] ?? '', /-18/);
  await world.clock.advance(60_000);
  assert.is((await say(world, 'hello again')).answers.length, 1);
});

test('an answer is never answered and never executed', async () => {
  const world = await begin();
  const { status, answers } = await say(world, 'set lamp on', { headers: { 'In-Reply-To': 'abc@def' } });
  assert.is(status, 200);
  assert.equal(answers, []);
  assert.equal(world.plant.writes, []);
});

for (const keeps of [true, false])
  test(`two agents do not talk for ever, even when the server ${keeps ? 'keeps' : 'strips'} In-Reply-To`, async () => {
    const pump = 'sip:pump@example.com';
    const both = [
      { from: GATEWAY, verbs: ['status', 'get', 'set'] as const },
      { from: pump, verbs: ['status', 'get', 'set'] as const },
    ];
    const world = await begin({ own: ['pump'], agent: { commands: both } });
    let messages = 0;
    world.server.script.answer = (request) => {
      if (request.method !== 'MESSAGE') return undefined;
      messages += 1;
      if (!keeps) request.remove('In-Reply-To');
      return undefined;
    };
    // Each side hears the other as a sender that the server vouches for.
    for (const text of ['hello', 'status', 'what?', 'set', 'get pump'])
      await say(world, text, { from: pump, to: GATEWAY });
    await world.clock.advance(300_000);
    const early = messages;
    await world.clock.advance(7_200_000);
    assert.ok(early <= 30, `${early} in the first minutes`);
    assert.ok(messages - early <= 12, `${messages - early} in two hours after`);
  });

test('answers are paged: no MESSAGE has more than 1300 bytes, and one at a time is out to a peer', async () => {
  const devices = Array.from({ length: 60 }, (_, n) => `device-number-${n}`);
  const world = createWorld({ devices, account: { publish: 'full' }, users: { gateway7: 'secret' } });
  await world.start();
  let open = 0;
  let most = 0;
  let largest = 0;
  world.server.stack.onTrace((direction, _flow, message, bytes) => {
    if (message.cseq?.method !== 'MESSAGE') return;
    if (direction === 'in' && message.kind === 'request') {
      open += 1;
      most = Math.max(most, open);
      largest = Math.max(largest, bytes.length);
    } else if (direction === 'out' && message.kind === 'response') open -= 1;
  });
  // The server itself is asked directly, so nobody challenges the question.
  const { answers } = await say(world, 'status');
  await world.clock.advance(2_000);
  const all = world.server.inbox.map((request) => request.text());
  assert.ok(answers.length > 0 && all.length >= 3);
  assert.match(all[0] ?? '', /^\(1\/\d+\) /);
  for (const id of devices) assert.ok(all.join('\n').includes(`${id}:`), id);
  assert.ok(largest > 900 && largest <= 1300, `${largest} bytes`);
  assert.is(most, 1);
});

test('a question with a Call-ID of a thousand bytes does not make the answer longer than 1300', async () => {
  const world = await begin();
  let largest = 0;
  world.server.stack.onTrace((direction, _flow, message, bytes) => {
    if (direction === 'in' && message.kind === 'request' && message.method === 'MESSAGE')
      largest = Math.max(largest, bytes.length);
  });
  const { answers } = await say(world, 'status', { headers: { 'Call-ID': 'c'.repeat(1_300) } });
  assert.match(answers[0] ?? '', /freezer/);
  assert.ok(largest > 0 && largest <= 1300, `${largest} bytes`);
});

test('a message whose Expires cannot be read is refused and not executed', async () => {
  const world = await begin();
  const { status } = await say(world, 'set lamp on', { headers: { Expires: 'soon' } });
  assert.is(status, 400);
  assert.equal(world.plant.writes, []);
});

test('another machine that begins every text with a verb is not answered for ever', async () => {
  const world = await begin();
  let answers = 0;
  for (let n = 0; n < 50; n += 1) answers += (await say(world, 'help is on the way')).answers.length;
  assert.is(answers, 3);
});

test('a peer that is gone does not fill the memory', async () => {
  const world = await begin();
  world.server.script.answer = (request) => (request.method === 'MESSAGE' ? 'silence' : undefined);
  for (let n = 0; n < 60; n += 1) await say(world, 'get freezer temp');
  const counts = world.agent.counts();
  assert.ok((counts['replies.waiting'] ?? 0) <= 24);
  assert.ok((counts['replies.dropped'] ?? 0) > 0);
  world.server.script.answer = undefined;
  await world.clock.advance(2_000_000);
  assert.is(world.agent.counts()['replies.waiting'], 0);
});

test('a device is asked at its own address about itself', async () => {
  const world = await begin({ own: ['pump'] });
  world.read('pump', 'temp', 44);
  await world.clock.advance(100);
  const to = 'sip:pump@example.com';
  assert.match((await say(world, 'get temp', { to })).answers[0] ?? '', /^pump temp: 44 °C/);
  assert.is(world.server.inbox.at(-1)?.from?.uri, to);
  assert.match((await say(world, 'status', { to })).answers[0] ?? '', /^pump: /);
  assert.match((await say(world, 'set lamp on', { to })).answers[0] ?? '', /no device or signal/);
});

test('a request to nobody of this agent gets 404', async () => {
  const world = await begin();
  const request = forged();
  request.uri = 'sip:nobody@192.0.2.7:5060';
  const sent = world.server.stack.send(request, { flow: world.flow() });
  await world.clock.advance(100);
  const outcome = await sent;
  assert.is(outcome.kind === 'response' && outcome.response.status, 404);
});

test('refresh publishes whole documents anew', async () => {
  const world = await begin();
  const before = world.server.done('PUBLISH').length;
  assert.match((await say(world, 'refresh')).answers[0] ?? '', /publishing anew: 1 publication/);
  const [anew] = world.server.done('PUBLISH').slice(before);
  assert.ok((anew?.body.length ?? 0) > 0);
});
