import { connect } from 'node:net';
import {
  createDigestClient,
  createDigestServer,
  createNotifier,
  createPublication,
  createPublicationServer,
  createRegistration,
  createRequest,
  createStack,
  createSubscription,
  createTcpTransport,
  createUdpTransport,
  type PublishedDocument,
  type Stack,
  type Target,
} from 'tiny-sip';
import * as assert from 'uvu/assert';
import { createSystemClock } from '../../src/base/clock.ts';
import { createFakeRandom } from '../support/fake-random.ts';
import { suite } from '../support/harness.ts';
import { createQuietLog, text, wire } from './rig.ts';

const test = suite('tiny-sip on loopback sockets');

const clock = createSystemClock();
const log = createQuietLog();
let seed = 500;

async function stackOn(
  protocols: readonly ('udp' | 'tcp')[],
  host = '127.0.0.1',
): Promise<Stack & { port(p: 'udp' | 'tcp'): number }> {
  const random = createFakeRandom(seed++);
  const udp = createUdpTransport({ clock, log }, { host, port: 0 });
  const tcp = createTcpTransport({ clock, log, random }, { host, port: 0 });
  const stack = createStack(
    { clock, log, random },
    {
      transports: [...(protocols.includes('udp') ? [udp] : []), ...(protocols.includes('tcp') ? [tcp] : [])],
    },
  );
  await stack.start();
  return Object.assign(stack, { port: (p: 'udp' | 'tcp') => (p === 'udp' ? udp : tcp).local.port });
}

const to = (protocol: 'udp' | 'tcp', port: number, host = '127.0.0.1'): Target => ({
  protocol,
  host,
  port,
  name: host,
});

for (const protocol of ['udp', 'tcp'] as const)
  test(`a MESSAGE and its answer by ${protocol}`, async () => {
    const server = await stackOn([protocol]);
    const client = await stackOn([protocol]);
    server.on('MESSAGE', (incoming) =>
      incoming.respond(200, { body: incoming.request.text().toUpperCase(), contentType: 'text/plain' }),
    );
    const outcome = await client.send(
      createRequest({ method: 'MESSAGE', uri: 'sip:bob@127.0.0.1', body: 'hëllo' }),
      { target: to(protocol, server.port(protocol)) },
    );
    assert.is(outcome.kind === 'response' && outcome.response.text(), 'HËLLO');
    await client.stop();
    await server.stop();
  });

test('IPv6 loopback', async () => {
  const server = await stackOn(['udp'], '::1');
  const client = await stackOn(['udp'], '::1');
  const outcome = await client.send(createRequest({ method: 'OPTIONS', uri: 'sip:[::1]' }), {
    target: to('udp', server.port('udp'), '::1'),
  });
  assert.is(outcome.kind === 'response' && outcome.response.status, 200);
  assert.is(outcome.kind === 'response' && outcome.response.topVia?.host, '::1');
  await client.stop();
  await server.stop();
});

test('S33: a long request finds TCP on the same port, or UDP where there is none', async () => {
  const both = await stackOn(['udp', 'tcp']);
  const server = await stackOn(['udp']);
  server.on('MESSAGE', (incoming) => incoming.respond(200));
  const outcome = await both.send(
    createRequest({ method: 'MESSAGE', uri: 'sip:bob@127.0.0.1', body: 'x'.repeat(20_000) }),
    { target: to('udp', server.port('udp')) },
  );
  assert.is(outcome.kind === 'response' && outcome.flow.protocol, 'udp');
  await both.stop();
  await server.stop();
});

test('nobody listens on that TCP port: failed at once', async () => {
  const gone = await stackOn(['tcp']);
  const port = gone.port('tcp');
  await gone.stop();
  const client = await stackOn(['tcp']);
  const outcome = await client.send(createRequest({ method: 'OPTIONS', uri: 'sip:x@127.0.0.1' }), {
    target: to('tcp', port),
  });
  assert.is(outcome.kind, 'failed');
  await client.stop();
});

test('a broken stream is answered 400 and closed; the server answers others on', async () => {
  const server = await stackOn(['tcp']);
  const socket = connect(server.port('tcp'), '127.0.0.1');
  let received = '';
  socket.on('data', (chunk) => {
    received += chunk.toString();
  });
  const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()));
  socket.write(
    wire(
      text('OPTIONS', 'sip:x@127.0.0.1', { via: 'Via: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bKb' }).replace(
        'Content-Length: 0',
        'Content-Length: -1',
      ),
    ),
  );
  await closed;
  assert.match(received, /^SIP\/2\.0 400 /);
  const client = await stackOn(['tcp']);
  const outcome = await client.send(createRequest({ method: 'OPTIONS', uri: 'sip:x@127.0.0.1' }), {
    target: to('tcp', server.port('tcp')),
  });
  assert.is(outcome.kind === 'response' && outcome.response.status, 200);
  await client.stop();
  await server.stop();
});

// device            server                watcher
//  |--REGISTER------->|
//  |--PUBLISH-------->|<----SUBSCRIBE--------|
//  |                  |-----NOTIFY---------->|
test('register, publish, watch: all machines together over TCP with digest', async () => {
  const server = await stackOn(['tcp']);
  const random = createFakeRandom(900);
  const digest = createDigestServer({ clock, random }, { realm: 'test', lookup: () => ({ password: 'p' }) });
  const held = new Map<string, PublishedDocument>();
  server.on('REGISTER', (incoming) => {
    const verdict = digest.check(incoming.request);
    if (!verdict.ok) incoming.respond(verdict.status, { headers: verdict.headers });
    else
      incoming.respond(200, {
        headers: {
          Contact: incoming.request.lines('Contact'),
          Expires: '600',
          'Service-Route': '<sip:x;lr>',
        },
      });
  });
  const notifier = createNotifier(
    { stack: server, clock, random, log },
    {
      event: 'presence',
      types: ['text/plain'],
      interval: 0,
      authorise: ({ request }) => ({ ok: true, resource: request.uri, watcher: 'w' }),
      body: ({ resource }) => ({ contentType: 'text/plain', content: held.get(resource)?.body ?? 'nothing' }),
    },
  );
  const esc = createPublicationServer(
    { stack: server, clock, random, log },
    {
      events: { presence: { accept: ['text/plain'] } },
      authorise: ({ request }) => {
        const verdict = digest.check(request);
        return verdict.ok ? { ok: true, resource: request.uri } : verdict;
      },
      store: {
        publish(document) {
          held.set(document.resource, document);
          notifier.changed(document.resource);
          return undefined;
        },
        refresh: () => undefined,
        remove({ resource }) {
          held.delete(resource);
          notifier.changed(resource);
          return undefined;
        },
      },
    },
  );
  server.on('SUBSCRIBE', notifier.handle);
  server.on('PUBLISH', esc.handle);

  const device = await stackOn(['tcp']);
  const target = to('tcp', server.port('tcp'));
  const credentials = createDigestClient({ random }, { username: 'd', password: 'p' });
  let value = 'one';
  const way = () =>
    registration.state.kind === 'registered' ? { flow: registration.state.flow } : undefined;
  const publication = createPublication(
    { stack: device, clock, random, log },
    {
      aor: 'sip:d@test',
      way,
      credentials,
      body: () => ({ contentType: 'text/plain', content: value, token: value }),
    },
  );
  const registration = createRegistration(
    { stack: device, clock, random, log },
    {
      aor: 'sip:d@test',
      way: () => ({ target }),
      credentials,
      instance: 'urn:uuid:1',
      onState: () => publication.wake(),
    },
  );
  publication.changed();
  registration.start();

  const watcherStack = await stackOn(['tcp']);
  const seen: string[] = [];
  let news = (): void => undefined;
  const sees = (what: string): Promise<void> =>
    new Promise((resolve) => {
      news = () => {
        if (seen.at(-1) === what) resolve();
      };
      news();
    });
  const subscription = createSubscription(
    { stack: watcherStack, clock, random, log },
    {
      resource: 'sip:d@test',
      from: 'sip:w@test',
      way: () => ({ target }),
      onNotify: ({ body }) => {
        seen.push(body.toString());
        news();
        return undefined;
      },
    },
  );
  subscription.start();
  await sees('one');
  value = 'two';
  publication.changed();
  await sees('two');
  await publication.remove();
  await sees('nothing');
  await subscription.unsubscribe();
  await registration.remove();
  await notifier.stop(clock.now() + 2_000);
  assert.is(notifier.counts().subscriptions, 0);
  assert.is(esc.counts().publications, 0);
  for (const stack of [device, watcherStack, server]) {
    assert.is(stack.counts()['transactions.client'], 0);
    assert.is(stack.counts()['transactions.server'], 0);
    assert.is(stack.counts().dialogs, 0);
    await stack.stop();
  }
});

test('two hundred requests at once over UDP all come back', async () => {
  const server = await stackOn(['udp']);
  const client = await stackOn(['udp']);
  server.on('MESSAGE', (incoming) => incoming.respond(200));
  const outcomes = await Promise.all(
    Array.from({ length: 200 }, () =>
      client.send(createRequest({ method: 'MESSAGE', uri: 'sip:bob@127.0.0.1', body: 'x' }), {
        target: to('udp', server.port('udp')),
      }),
    ),
  );
  assert.ok(outcomes.every((outcome) => outcome.kind === 'response' && outcome.response.status === 200));
  await client.stop();
  await server.stop();
});
