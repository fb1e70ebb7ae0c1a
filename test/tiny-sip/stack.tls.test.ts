/** Stacks over TLS on loopback: what a user of the stack sees of names, reuse and the way of responses. */
import {
  contactUri,
  createRequest,
  createStack,
  createTcpTransport,
  createTlsTransport,
  createUdpTransport,
  type Flow,
  type Incoming,
  type SipResponse,
  type Stack,
  type Target,
  type TlsOptions,
  type Transport,
} from 'tiny-sip';
import * as assert from 'uvu/assert';
import { createSystemClock } from '../../src/base/clock.ts';
import { createAuthority } from '../support/certificates.ts';
import { createFakeRandom } from '../support/fake-random.ts';
import { suite } from '../support/harness.ts';
import { createQuietLog } from './rig.ts';

const test = suite('tiny-sip over TLS');

const clock = createSystemClock();
const log = createQuietLog();
const authority = createAuthority();
const ca = authority.cert;
const running: Stack[] = [];
test.afterEach(async () => {
  for (const stack of running.splice(0)) await stack.stop();
});

let seed = 700;

async function stackOn(transports: readonly Transport[], deps = {}): Promise<Stack> {
  const stack = createStack({ clock, log, random: createFakeRandom(seed++), ...deps }, { transports });
  await stack.start();
  running.push(stack);
  return stack;
}

function tls(options: Partial<TlsOptions>): Transport {
  const given = { host: '127.0.0.1', port: 0, ca, ...options } as TlsOptions;
  return createTlsTransport({ clock, log, random: createFakeRandom(seed++) }, given);
}

const to = (transport: Transport, name: string): Target => ({
  protocol: transport.protocol,
  host: transport.local.host,
  port: transport.local.port,
  name,
});

const code = (error: unknown): unknown => (error as { code?: unknown } | undefined)?.code;
const options = (uri = 'sip:example.com') => createRequest({ method: 'OPTIONS', uri });

/** Resolves once a request came; the handler answers when it is told to. */
function nextRequest(stack: Stack): Promise<Incoming> {
  return new Promise((resolve) => stack.on('MESSAGE', resolve));
}

test('a request and its answer; Via says TLS', async () => {
  const at = tls({ identity: authority.issue({ dns: ['example.com'] }) });
  await stackOn([at]);
  const client = await stackOn([tls({ listen: false })]);
  const outcome = await client.send(options(), { target: to(at, 'example.com') });
  assert.is(outcome.kind === 'response' && outcome.response.status, 200);
  const via = outcome.kind === 'response' ? outcome.response.topVia : undefined;
  assert.is(via?.transport, 'TLS');
  assert.is(via?.params.has('alias'), false, 'who does not listen offers nothing');
  assert.is(via?.rport, undefined);
  const flow = client.flow(to(at, 'example.com'));
  const own = `127.0.0.1:${flow.local.port}`;
  assert.is(contactUri(flow, 'me'), `sip:me@${own};transport=tls`);
  assert.is(contactUri(flow, 'me', 'sips'), `sips:me@${own}`);
});

test('S31: the name of the target decides: the next one of a list is tried when a certificate is another’s', async () => {
  const impostor = tls({ identity: authority.issue({ dns: ['impostor.example'] }) });
  const honest = tls({ identity: authority.issue({ dns: ['example.com'] }) });
  const heard: string[] = [];
  for (const [name, transport] of [
    ['impostor', impostor],
    ['honest', honest],
  ] as const) {
    const stack = await stackOn([transport]);
    stack.onTrace((direction) => direction === 'in' && heard.push(name));
  }
  const locator = {
    locate: async () => [to(impostor, 'example.com'), to(honest, 'example.com')],
    counts: () => ({}),
  };
  const client = await stackOn([tls({ listen: false })], { locator });
  const outcome = await client.send(options('sips:example.com'));
  assert.is(outcome.kind === 'response' && outcome.response.status, 200);
  assert.equal(heard, ['honest']);
  const failed = await client.send(options(), { target: to(impostor, 'example.com') });
  assert.is(failed.kind === 'failed' && code(failed.error), 'SIP_CERTIFICATE_NAME');
});

test('S34: a TLS target never takes the TCP connection to the same address, nor the other way round', async () => {
  const plain = createTcpTransport(
    { clock, log, random: createFakeRandom(seed++) },
    { host: '127.0.0.1', port: 0 },
  );
  const server = await stackOn([plain]);
  const heard: string[] = [];
  server.onTrace((direction, _flow, _message, bytes) => direction === 'in' && heard.push(bytes.toString()));
  const client = await stackOn([
    createTcpTransport({ clock, log, random: createFakeRandom(seed++) }, { listen: false }),
    tls({ listen: false }),
  ]);
  const target = to(plain, 'example.com');
  const open = await client.send(options(), { target });
  assert.is(open.kind === 'response' && open.response.status, 200);
  const before = heard.length;
  const secure = await client.send(options(), { target: { ...target, protocol: 'tls' } });
  assert.is(secure.kind, 'failed');
  assert.is(heard.length, before, 'nothing went in plain text');
  assert.is.not(client.flow({ ...target, protocol: 'tls' }).protocol, client.flow(target).protocol);
});

test('a sips URI goes by TLS alone, whatever transport it names', async () => {
  const udp = createUdpTransport({ clock, log }, { host: '127.0.0.1', port: 0 });
  const plain = await stackOn([udp]);
  for (const uri of ['sips:127.0.0.1', 'sips:127.0.0.1;transport=udp', 'sips:127.0.0.1;transport=tcp']) {
    const outcome = await plain.send(options(uri));
    assert.is(outcome.kind, 'failed', uri);
  }
  const client = await stackOn([
    createUdpTransport({ clock, log }, { host: '127.0.0.1', port: 0 }),
    tls({ listen: false }),
  ]);
  const targets = await client.locate('sips:127.0.0.1');
  assert.equal(
    targets.map(({ protocol, port }) => [protocol, port]),
    [['tls', 5061]],
  );
});

test('over 1300 bytes: TLS has no need of another transport', async () => {
  const at = tls({ identity: authority.issue({ dns: ['example.com'] }) });
  const server = await stackOn([at]);
  server.on('MESSAGE', (incoming) => incoming.respond(200, { body: incoming.request.text() }));
  const client = await stackOn([
    tls({ listen: false }),
    createTcpTransport({ clock, log, random: createFakeRandom(seed++) }, { listen: false }),
  ]);
  const body = 'ü'.repeat(40_000);
  const outcome = await client.send(createRequest({ method: 'MESSAGE', uri: 'sip:example.com', body }), {
    target: to(at, 'example.com'),
  });
  assert.is(outcome.kind === 'response' && outcome.response.text(), body);
  assert.is(outcome.kind === 'response' && outcome.flow.protocol, 'tls');
});

// RFC 3261 §18.2.2, RFC 5922 §7.3
//
//  client, certificate of 127.0.0.1           server
//    |--- MESSAGE, Via: 127.0.0.1:<listening> -->|
//    X   the connection is cut                   |
//    |<-- a TLS connection to that port ---------|
//    |<-- 200 -----------------------------------|
for (const [what, mine, arrives] of [
  ['the name in Via', { addresses: ['127.0.0.1'] }, true],
  ['somebody else', { dns: ['impostor.example'] }, false],
] as const)
  test(`a response whose connection is gone opens another by TLS, and only to ${what}`, async () => {
    const at = tls({ identity: authority.issue({ dns: ['example.com'] }) });
    const server = await stackOn([at]);
    const client = await stackOn([tls({ identity: authority.issue(mine) })]);
    const responses: SipResponse[] = [];
    client.onTrace((direction, _flow, message) => {
      if (direction === 'in' && message.kind === 'response') responses.push(message);
    });
    const asked = nextRequest(server);
    const message = createRequest({ method: 'MESSAGE', uri: 'sip:example.com', body: 'x' });
    const giveUp = new AbortController();
    const sending = client.send(message, { target: to(at, 'example.com'), signal: giveUp.signal });
    const incoming = await asked;
    const closed = new Promise<void>((resolve) => void incoming.flow.onClose(() => resolve()));
    client.flow(to(at, 'example.com')).close(new Error('cut'));
    await closed;
    const settled = new Promise<Flow>((resolve) => {
      server.onFlowClosed((flow) => flow.opened && resolve(flow));
    });
    const arrived = new Promise<void>((resolve) => {
      client.onTrace((direction, _flow, one) => {
        if (direction === 'in' && one.kind === 'response') resolve();
      });
    });
    incoming.respond(200);
    if (arrives) await arrived;
    else {
      await settled;
      assert.equal(responses, []);
    }
    giveUp.abort();
    await sending;
  });

// RFC 5923 §5: requests both ways over one connection
//
//  example.net (listens)                     example.com (listens, asks for certificates)
//    |--- MESSAGE, Via: …;alias --------------->|
//    |<-- OPTIONS for example.net --------------|
test('RFC 5923: who listens for TLS offers its connections, and they are taken for the names it proved', async () => {
  const net = tls({ identity: authority.issue({ dns: ['example.net'] }), clientCertificates: 'optional' });
  const com = tls({ identity: authority.issue({ dns: ['example.com'] }), clientCertificates: 'optional' });
  const client = await stackOn([net]);
  const server = await stackOn([com]);
  const asked = nextRequest(server);
  const sending = client.send(createRequest({ method: 'MESSAGE', uri: 'sip:example.com', body: 'x' }), {
    target: to(com, 'example.com'),
  });
  const incoming = await asked;
  assert.ok(incoming.request.topVia?.params.has('alias'));
  assert.equal(incoming.flow.peer?.names, ['example.net']);
  incoming.respond(200);
  await sending;
  const back = await server.send(options('sip:example.net'), { target: to(net, 'example.net') });
  assert.is(back.kind === 'response' && back.response.status, 200);
  assert.is(back.kind === 'response' && back.flow, incoming.flow);
  const other = await server.send(options('sip:example.org'), { target: to(net, 'example.org') });
  assert.is(other.kind === 'failed' && code(other.error), 'SIP_CERTIFICATE_NAME');
});
