import {
  createDigestClient,
  createDigestServer,
  createMemoryNetwork,
  createRequest,
  createStack,
  type Incoming,
} from 'tiny-sip';
import * as assert from 'uvu/assert';
import { silentLog } from '../../src/base/log.ts';
import { createEdge } from '../../src/edge/edge.ts';
import { createFakeClock } from '../support/fake-clock.ts';
import { createFakeFiles } from '../support/fake-files.ts';
import { createFakeRandom } from '../support/fake-random.ts';
import { suite } from '../support/harness.ts';
import { createLab, EDGE } from './lab.ts';

const test = suite('edge messages');

const text = { 'Content-Type': 'text/plain' };

test('a MESSAGE reaches the registered user, vouched for, and the answer comes back', async () => {
  const lab = await createLab();
  const alice = await lab.phone('alice');
  const gw = await lab.phone('gw');
  assert.is((await gw.register()).status, 200);
  const answer = await alice.request('MESSAGE', {
    uri: gw.aor,
    headers: { ...text, 'P-Asserted-Identity': '<sip:bob@test.local>' },
    body: 'status',
  });
  assert.is(answer.status, 200);
  const [message] = gw.received;
  assert.is(gw.received.length, 1);
  assert.is(message?.text(), 'status');
  assert.equal(message?.all('P-Asserted-Identity'), ['<sip:alice@test.local>']);
  assert.is(message?.uri, 'sip:gw@10.0.0.2:5060');
  assert.is(message?.vias.length, 2);
  assert.not.ok(message?.has('Proxy-Authorization'));
  await lab.close();
});

test('the answer of the gateway is a MESSAGE of its own', async () => {
  const lab = await createLab();
  const alice = await lab.phone('alice');
  const gw = await lab.phone('gw');
  await alice.register();
  const answer = await gw.request('MESSAGE', { uri: alice.aor, headers: text, body: 'door shut' });
  assert.is(answer.status, 200);
  assert.equal(alice.received[0]?.all('P-Asserted-Identity'), ['<sip:gw@test.local>']);
  await lab.close();
});

test('a device has its own address and is reached over the gateway’s flow', async () => {
  const lab = await createLab();
  const alice = await lab.phone('alice');
  const gw = await lab.phone('gw');
  const lamp = 'sip:dev-lamp@test.local';
  assert.is((await gw.register({ To: `<${lamp}>`, Contact: '<sip:dev-lamp@10.0.0.2:5060>' })).status, 200);
  assert.is((await alice.request('MESSAGE', { uri: lamp, headers: text, body: 'set on' })).status, 200);
  assert.is(gw.received[0]?.uri, 'sip:dev-lamp@10.0.0.2:5060');
  // And speaks for itself.
  await alice.register();
  const said = await gw.request('MESSAGE', {
    uri: alice.aor,
    headers: { ...text, From: `<${lamp}>` },
    body: 'on',
  });
  assert.is(said.status, 200);
  assert.equal(alice.received[0]?.all('P-Asserted-Identity'), [`<${lamp}>`]);
  await lab.close();
});

test('OPTIONS to one’s own address comes back, which shows that the way in is open', async () => {
  const lab = await createLab();
  const gw = await lab.phone('gw');
  await gw.register();
  const answer = await gw.request('OPTIONS', { uri: gw.aor });
  assert.is(answer.status, 200);
  assert.is(gw.received.at(-1)?.method, 'OPTIONS');
  // Where it may go no further the edge answers for itself.
  const here = await gw.request('OPTIONS', {
    uri: gw.aor,
    headers: { 'Max-Forwards': 0 },
    credentials: false,
  });
  assert.is(here.status, 200);
  assert.ok(here.all('Allow').includes('PUBLISH'));
  await lab.close();
});

test('nobody there, nobody known, nobody ours', async () => {
  const lab = await createLab();
  const alice = await lab.phone('alice');
  const status = async (uri: string) =>
    (await alice.request('MESSAGE', { uri, headers: text, body: 'x' })).status;
  assert.is(await status('sip:bob@test.local'), 480);
  assert.is(await status('sip:nobody@test.local'), 404);
  assert.is(await status('sip:bob@elsewhere.example'), 403);
  const eve = await lab.phone('alice', { password: 'wrong' });
  assert.is(
    (await eve.request('MESSAGE', { uri: 'sip:bob@test.local', headers: text, body: 'x' })).status,
    407,
  );
  const forged = await alice.request('MESSAGE', {
    uri: 'sip:bob@test.local',
    headers: { ...text, From: '<sip:bob@test.local>' },
    body: 'x',
  });
  assert.is(forged.status, 403);
  await lab.close();
});

test('sessions are declined in so many words', async () => {
  const lab = await createLab();
  const alice = await lab.phone('alice');
  for (const method of ['INVITE', 'BYE', 'INFO', 'UPDATE', 'PRACK']) {
    const answer = await alice.request(method, {
      uri: 'sip:bob@test.local',
      headers: { Contact: '<sip:alice@10.0.0.1>' },
    });
    assert.is(answer.status, 405, method);
    assert.ok(answer.all('Allow').includes('MESSAGE'));
  }
  assert.is((await alice.request('SHOUT', { uri: 'sip:bob@test.local' })).status, 480);
  await lab.close();
});

test('the far side may ask for credentials of its own: its 401 passes, and so does the answer to it', async () => {
  const lab = await createLab();
  const alice = await lab.phone('alice');
  const gw = await lab.phone('gw');
  await gw.register();
  const guard = createDigestServer(
    { clock: lab.clock, random: createFakeRandom(99) },
    { realm: 'gateway', lookup: (user) => (user === 'operator' ? { password: 'o' } : undefined) },
  );
  const answers: (string | undefined)[] = [];
  gw.stack.on('MESSAGE', (incoming: Incoming) => {
    const verdict = guard.check(incoming.request);
    answers.push(verdict.ok ? verdict.user : undefined);
    incoming.respond(verdict.ok ? 200 : verdict.status, { headers: verdict.headers });
  });
  const credentials = createDigestClient({ random: createFakeRandom(7) }, [
    { username: 'alice', password: 'a', realm: 'test.local' },
    { username: 'operator', password: 'o', realm: 'gateway' },
  ]);
  const request = createRequest({
    method: 'MESSAGE',
    uri: gw.aor,
    headers: { From: `<${alice.aor}>`, To: `<${gw.aor}>`, ...text },
    body: 'set door open',
  });
  const target = { protocol: 'udp', ...EDGE, name: '' } as const;
  const pending = alice.stack.send(request, { target, credentials });
  await lab.clock.settle();
  const outcome = await pending;
  assert.is(outcome.kind === 'response' && outcome.response.status, 200);
  assert.equal(answers, [undefined, 'operator']);
  await lab.close();
});

test('a repeated MESSAGE is forwarded once', async () => {
  let copies = 1;
  const lab = await createLab({ fate: () => Array.from({ length: copies }, () => 0) });
  const alice = await lab.phone('alice');
  const gw = await lab.phone('gw');
  await gw.register();
  copies = 3;
  assert.is((await alice.request('MESSAGE', { uri: gw.aor, headers: text, body: 'x' })).status, 200);
  assert.is(gw.received.length, 1);
  copies = 1;
  await lab.close();
});

test('when a stream dies its binding is gone: 480, and the others stay', async () => {
  const lab = await createLab({ protocol: 'tcp' });
  const alice = await lab.phone('alice');
  const gw = await lab.phone('gw');
  const bob = await lab.phone('bob');
  await gw.register();
  await bob.register();
  const send = async (uri: string) =>
    (await alice.request('MESSAGE', { uri, headers: text, body: 'x' })).status;
  assert.is(await send(gw.aor), 200);
  await gw.close();
  await lab.clock.settle();
  assert.is(await send(gw.aor), 480);
  assert.is(await send(bob.aor), 200);
  assert.is(lab.edge.counts().bindings, 1);
  await lab.close();
});

test('a silent contact: the sender hears 480 before its own patience ends, and nothing is left', async () => {
  const lab = await createLab();
  const alice = await lab.phone('alice');
  const gw = await lab.phone('gw');
  await gw.register();
  gw.answer = () => undefined;
  const pending = alice.outcome('MESSAGE', { uri: gw.aor, headers: text, body: 'x' });
  await lab.clock.advance(31_000);
  const outcome = await pending;
  assert.is(outcome.kind === 'response' && outcome.response.status, 480);
  await lab.clock.advance(60_000);
  const counts = lab.edge.counts();
  assert.is(counts['proxy.forwarding'], 0);
  assert.is(counts['sip.transactions.client'], 0);
  assert.is(counts['sip.transactions.server'], 0);
  gw.answer = () => 200;
  await lab.close();
});

test('an agent in this process needs no password where that is set, and still owns only what it owns', async () => {
  const clock = createFakeClock();
  const inside = createMemoryNetwork({ clock });
  const lab = await createLab({
    options: { localUser: 'gw' },
    deps: { transports: [inside.transport({ host: 'edge', port: 1 })] },
  });
  const stack = createStack(
    { clock: lab.clock, random: createFakeRandom(5), log: silentLog },
    { transports: [inside.transport({ host: 'agent', port: 1 })] },
  );
  await stack.start();
  const target = { protocol: 'memory', host: 'edge', port: 1, name: '' } as const;
  const send = async (method: string, uri: string, from: string, headers: Record<string, string> = {}) => {
    const request = createRequest({
      method,
      uri,
      headers: { From: `<${from}>`, To: `<${from}>`, ...headers },
    });
    const pending = stack.send(request, { target });
    await lab.clock.settle();
    const outcome = await pending;
    return outcome.kind === 'response' ? outcome.response.status : outcome.kind;
  };
  stack.on('MESSAGE', (incoming) => incoming.respond(200));
  const contact = { Contact: '<sip:gw@agent:1;transport=memory>' };
  assert.is(await send('REGISTER', 'sip:test.local', 'sip:gw@test.local', contact), 200);
  assert.is(await send('REGISTER', 'sip:test.local', 'sip:dev-1@test.local', contact), 200);
  assert.is(await send('REGISTER', 'sip:test.local', 'sip:alice@test.local', contact), 403);
  const alice = await lab.phone('alice');
  assert.is(
    (await alice.request('MESSAGE', { uri: 'sip:dev-1@test.local', headers: text, body: 'x' })).status,
    200,
  );
  await stack.stop();
  await lab.close();
});

test('options that make no edge are refused at once', () => {
  const deps = {
    clock: createFakeClock(),
    random: createFakeRandom(),
    log: silentLog,
    files: createFakeFiles(),
  };
  const code = (make: () => unknown): unknown => {
    try {
      make();
      return undefined;
    } catch (error) {
      return (error as { code?: string }).code;
    }
  };
  const listen = [{ protocol: 'udp' as const, host: '127.0.0.1', port: 0 }];
  assert.is(
    code(() => createEdge(deps, { domains: [], listen, users: {} })),
    'EDGE_NO_DOMAIN',
  );
  assert.is(
    code(() => createEdge(deps, { domains: ['a'], listen: [], users: {} })),
    'EDGE_NO_LISTENER',
  );
  assert.is(
    code(() => createEdge(deps, { domains: ['a'], listen, users: { u: { aors: ['sip:x@b'] } } })),
    'EDGE_BAD_AOR',
  );
});

test('users change while it runs, anything else needs a restart', async () => {
  const lab = await createLab();
  const options = { domains: ['test.local'], listen: [], data: '/run/edge', users: { carol: 'c' } };
  assert.is(lab.edge.update?.(options), 'applied');
  const carol = await lab.phone('carol', { password: 'c' });
  assert.is((await carol.register()).status, 200);
  const alice = await lab.phone('alice');
  assert.is((await alice.register()).status, 401);
  assert.is(lab.edge.update?.({ ...options, domains: ['other.local'] }), 'restart');
  await lab.close();
});
