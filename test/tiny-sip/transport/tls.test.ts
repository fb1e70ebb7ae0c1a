import { readdirSync } from 'node:fs';
import { connect as connectTcp, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { connect as connectTls, createServer as createTlsServer, type TLSSocket } from 'node:tls';
import * as assert from 'uvu/assert';
import { createTlsTransport, type Tls, type TlsTransport } from '../../../src/tiny-sip/transport/tls.ts';
import type { Address, Flow, Transport } from '../../../src/tiny-sip/transport/transport.ts';
import { createAuthority, type Issued } from '../../support/certificates.ts';
import { createFakeClock } from '../../support/fake-clock.ts';
import { createFakeRandom } from '../../support/fake-random.ts';
import { suite } from '../../support/harness.ts';
import { createRecorder, eventually, message, type Recorder, silent } from './recorder.ts';

const test = suite('tls', { timeout: 30_000 });
const running: { stop(): Promise<void> | void }[] = [];
test.afterEach(async () => {
  for (const one of running.splice(0).reverse()) await one.stop();
});

const DAY = 86_400_000;
const authority = createAuthority();
const ca = authority.cert;
const example = authority.issue({ dns: ['example.com'] });
const both = authority.issue({ uris: ['sip:example.com', 'sip:example.net'] });

type Options = Parameters<typeof createTlsTransport>[1];

function make(options: Partial<Options>, deps: { tls?: Tls } = {}) {
  const clock = createFakeClock();
  const given = { host: '127.0.0.1', port: 0, ca, ...options } as Options;
  const transport = createTlsTransport({ clock, log: silent, random: createFakeRandom(), ...deps }, given);
  running.push(transport);
  return { clock, transport };
}

async function serve(identity: Issued, options: Partial<Options> = {}) {
  const made = make({ identity, ...options });
  const seen = createRecorder();
  await made.transport.start(seen);
  return { ...made, seen };
}

async function client(options: Partial<Options> = {}, deps: { tls?: Tls } = {}) {
  const made = make({ listen: false, ...options }, deps);
  const seen = createRecorder();
  await made.transport.start(seen);
  return { ...made, seen };
}

const code = (error: unknown): unknown => (error as { code?: unknown } | undefined)?.code;

async function refusal(promise: Promise<unknown>): Promise<Error & { fields: Record<string, unknown> }> {
  const outcome = await promise.then(
    () => undefined,
    (error) => error,
  );
  assert.ok(outcome instanceof Error, 'it must be refused');
  return outcome as Error & { fields: Record<string, unknown> };
}

/** A bare TLS server; keeps what it hears. */
async function bareServer(options: object, onSocket: (socket: TLSSocket) => void = () => undefined) {
  const heard: string[] = [];
  const names: (string | false | null)[] = [];
  const sockets: Socket[] = [];
  const server = createTlsServer(options, (socket) => {
    names.push(socket.servername ?? null);
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => heard.push(chunk.toString()));
    onSocket(socket);
  });
  server.on('connection', (socket) => sockets.push(socket));
  server.on('tlsClientError', () => undefined);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  running.push({
    stop: () =>
      new Promise<void>((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  });
  const address = server.address();
  const at: Address = { host: '127.0.0.1', port: typeof address === 'object' ? (address?.port ?? 0) : 0 };
  return { at, heard, names, server };
}

/** A bare TLS client of a transport. */
function bareClient(
  transport: Transport,
  options: object = {},
): { socket: TLSSocket; closed: () => boolean } {
  const socket = connectTls({ host: '127.0.0.1', port: transport.local.port, ca, ...options });
  let closed = false;
  socket.on('error', () => undefined);
  socket.on('close', () => {
    closed = true;
  });
  running.push({ stop: () => void socket.destroy() });
  return { socket, closed: () => closed };
}

/** Sends one message and waits for it at the server. */
async function delivered(flow: Flow, seen: Recorder, id: string): Promise<Flow> {
  await flow.send(message(id));
  await seen.until(() => seen.messages.some((got) => got.parsed.ok && got.parsed.message.callId === id));
  const got = seen.messages.find((one) => one.parsed.ok && one.parsed.message.callId === id);
  assert.ok(got);
  return got.flow;
}

for (const version of ['TLSv1.2', 'TLSv1.3'] as const)
  test(`there and back over ${version}; the certificate tells who the server is`, async () => {
    const server = await serve(example, { minVersion: version, maxVersion: version });
    const { transport, seen } = await client();
    const flow = transport.connect(server.transport.local, 'example.com');
    assert.is(flow.state, 'connecting');
    const back = await delivered(flow, server.seen, 'there');
    assert.is(flow.state, 'open');
    assert.equal(flow.peer?.names, ['example.com']);
    assert.is(flow.peer?.version, version);
    assert.is(flow.protocol, 'tls');
    assert.is(flow.reliable, true);
    assert.is(back.peer, undefined, 'the client showed no certificate');
    await back.send(message('back', 'y'.repeat(100_000)));
    await seen.until(() => seen.messages.length === 1);
    assert.is(seen.messages[0]?.flow, flow);
  });

test('S31: the certificate is checked against the domain that was asked for, not the address that DNS led to', async () => {
  const { transport: server } = await serve(
    authority.issue({ dns: ['example.com'], addresses: ['127.0.0.1'] }),
  );
  const { transport } = await client();
  await transport.connect(server.local, 'example.com').ready();
  const error = await refusal(transport.connect(server.local, 'other.example').ready());
  assert.is(code(error), 'SIP_CERTIFICATE_NAME');
  assert.match(error.message, 'other.example');
  assert.match(error.message, 'example.com');
  await transport.connect(server.local).ready();
});

test('RFC 5922 §7.2: a wildcard does not prove a domain', async () => {
  const { transport: server } = await serve(authority.issue({ dns: ['*.example.com'] }));
  const { transport } = await client();
  assert.is(
    code(await refusal(transport.connect(server.local, 'sip.example.com').ready())),
    'SIP_CERTIFICATE_NAME',
  );
});

test('the server name is the domain; an address is never one', async () => {
  const { at, names } = await bareServer(authority.issue({ dns: ['example.com'], addresses: ['127.0.0.1'] }));
  const { transport } = await client();
  await transport.connect(at, 'Example.COM.').ready();
  const other = await client();
  await other.transport.connect(at).ready();
  await eventually(() => names.length === 2);
  assert.equal(names, ['example.com', false]);
});

test('nothing of a message reaches a server that is somebody else', async () => {
  const { at, heard } = await bareServer(authority.issue({ dns: ['impostor.example'] }));
  const { transport, seen } = await client();
  const flow = transport.connect(at, 'example.com');
  const sent = refusal(flow.send(message('secret')));
  await refusal(flow.ready());
  assert.is(code(await sent), 'SIP_CERTIFICATE_NAME');
  await seen.until(() => seen.closes.length === 1);
  assert.is(code(seen.closes[0]?.cause), 'SIP_CERTIFICATE_NAME');
  assert.is(transport.counts().queued, 0);
  // A connection to the right name afterwards proves that the server had time to hear what there was.
  await transport.connect(at, 'impostor.example').send(message('open'));
  await eventually(() => heard.join('').includes('Call-ID: open'));
  assert.not.match(heard.join(''), 'secret');
});

test('an unknown authority, a certificate that signed itself, and one of no use', async () => {
  const stranger = createAuthority('Stranger');
  const cases = [
    [stranger.issue({ dns: ['example.com'] }), 'SIP_CERTIFICATE_UNTRUSTED'],
    // For e-mail only (RFC 5280 §4.2.1.12).
    [authority.issue({ dns: ['example.com'], usages: ['1.3.6.1.5.5.7.3.4'] }), 'SIP_CERTIFICATE_UNTRUSTED'],
    [authority.issue({ dns: ['example.com'], usages: ['1.3.6.1.5.5.7.3.1'] }), undefined],
  ] as const;
  for (const [identity, wanted] of cases) {
    const { at } = await bareServer(identity);
    const { transport } = await client();
    const flow = transport.connect(at, 'example.com');
    if (wanted === undefined) await flow.ready();
    else assert.is(code(await refusal(flow.ready())), wanted);
  }
  const { at } = await bareServer(stranger.issue({ dns: ['example.com'] }));
  const { transport } = await client({ ca: [ca, stranger.cert] });
  await transport.connect(at, 'example.com').ready();
});

test('own authorities replace those that Node brings, or come on top', async () => {
  const { transport: server } = await serve(example);
  const without = await client({ ca: undefined });
  const error = await refusal(without.transport.connect(server.local, 'example.com').ready());
  assert.is(code(error), 'SIP_CERTIFICATE_UNTRUSTED');
  const added = await client({ roots: 'add' });
  await added.transport.connect(server.local, 'example.com').ready();
});

test('a chain with an authority between', async () => {
  const between = authority.authority('Between');
  const { transport: server } = await serve(between.issue({ dns: ['example.com'] }));
  const { transport } = await client();
  await transport.connect(server.local, 'example.com').ready();
});

test('G29: a certificate out of its time has its own code, with its dates and the clock', async () => {
  const early = authority.issue({ cn: 'example.com', notBefore: new Date(Date.now() + DAY) });
  const late = authority.issue({ cn: 'example.com', notAfter: new Date(Date.now() - DAY) });
  for (const [identity, isEarly] of [
    [early, true],
    [late, false],
  ] as const) {
    const { at } = await bareServer(identity);
    const { transport } = await client();
    const error = await refusal(transport.connect(at, 'example.com').ready());
    assert.is(code(error), 'SIP_CERTIFICATE_TIME');
    assert.is(error.fields.early, isEarly);
    assert.match(error.message, /clock here is 20\d\d-/);
    const [, from = '', to = ''] = /\((?:[^,]*), (\S+) to (\S+)\)/.exec(error.message) ?? [];
    assert.ok(Date.parse(from) < Date.parse(to), error.message);
    assert.is(Date.parse(from) > Date.now(), isEarly);
  }
});

test('G29: of an authority that ran out its own dates are told', async () => {
  const old = authority.authority('Old Authority', { notAfter: new Date(Date.now() - DAY) });
  const { at } = await bareServer(old.issue({ dns: ['example.com'] }));
  const { transport } = await client();
  const error = await refusal(transport.connect(at, 'example.com').ready());
  assert.is(code(error), 'SIP_CERTIFICATE_TIME');
  assert.is(error.fields.subject, 'Old Authority');
});

test('a revoked certificate is not trusted, others of its authority are', async () => {
  const bad = authority.issue({ dns: ['example.com'] });
  const { transport } = await client({ crl: authority.revoke([bad.serial]) });
  const { at } = await bareServer(bad);
  const error = await refusal(transport.connect(at, 'example.com').ready());
  assert.is(code(error), 'SIP_CERTIFICATE_UNTRUSTED');
  assert.match(error.message, 'REVOKED');
  const { at: good } = await bareServer(example);
  await transport.connect(good, 'example.com').ready();
});

// RFC 5923 §9.3: one address, two domains
//
//  client                          server, certificate of example.com
//    |--- TLS for example.com ------->|   taken
//    |--- TLS for example.net ------->|   refused; the first is not used for it
test('S34: a connection is used again for the domain it proved, and for no other at the same address', async () => {
  const { transport: server, seen } = await serve(example);
  const { transport } = await client();
  const flow = transport.connect(server.local, 'example.com');
  assert.is(transport.connect(server.local, 'example.com'), flow, 'while it is being made');
  await flow.ready();
  assert.is(transport.connect(server.local, 'EXAMPLE.com.'), flow);
  const other = transport.connect(server.local, 'example.net');
  assert.is.not(other, flow);
  assert.is(code(await refusal(other.send(message('1')))), 'SIP_CERTIFICATE_NAME');
  assert.is(transport.connect(server.local, 'example.com'), flow);
  assert.is(flow.state, 'open');
  await delivered(flow, seen, 'after');
});

test('S34: a certificate that proves both domains serves both over one connection', async () => {
  const { transport: server } = await serve(both);
  const { transport } = await client();
  const flow = transport.connect(server.local, 'example.com');
  await flow.ready();
  assert.is(transport.connect(server.local, 'example.net'), flow);
  assert.is.not(transport.connect(server.local, 'example.org'), flow);
  flow.close();
  assert.is.not(transport.connect(server.local, 'example.net'), flow, 'gone with it');
});

test('each domain of a server has its own certificate, by server name', async () => {
  const net = authority.issue({ dns: ['example.net'] });
  const { transport: server } = await serve(example, { domains: { 'Example.NET': net } });
  const { transport } = await client();
  const flows = ['example.com', 'example.net'].map((name) => transport.connect(server.local, name));
  for (const flow of flows) await flow.ready();
  assert.equal(
    flows.map((flow) => flow.peer?.names),
    [['example.com'], ['example.net']],
  );
});

test('certificates of clients: none asked for, wished for, insisted on', async () => {
  const bob = authority.issue({ dns: ['bob.example'], uris: ['sip:bob@example.com'] });
  const stranger = createAuthority('Stranger').issue({ dns: ['bob.example'] });
  const late = authority.issue({ dns: ['bob.example'], notAfter: new Date(Date.now() - DAY) });
  const table = [
    ['no', bob, true, undefined],
    ['optional', undefined, true, undefined],
    ['optional', bob, true, ['bob.example']],
    ['optional', stranger, true, undefined],
    ['optional', late, true, undefined],
    ['required', bob, true, ['bob.example']],
    ['required', undefined, false, undefined],
    ['required', stranger, false, undefined],
    ['required', late, false, undefined],
  ] as const;
  for (const [clientCertificates, identity, served, names] of table)
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      const what = `${clientCertificates} ${names} ${maxVersion}`;
      const server = await serve(example, { clientCertificates });
      const { transport, seen } = await client({ identity, maxVersion });
      const flow = transport.connect(server.transport.local, 'example.com');
      flow.send(message('hello')).catch(() => undefined);
      if (served) {
        await server.seen.until(() => server.seen.messages.length === 1);
        const peer = server.seen.messages[0]?.flow.peer;
        assert.equal(peer?.names, names, what);
        if (names !== undefined) assert.equal(peer?.users, ['bob@example.com'], what);
      } else {
        await seen.until(() => seen.closes.length === 1);
        assert.is(server.seen.messages.length, 0, what);
        assert.is(server.transport.counts().flows, 0, what);
        assert.is(server.transport.counts().unverified, 1, what);
      }
    }
});

// RFC 5923 §5
//
//  example.net (client)                       example.com (server)
//    |--- TLS, certificate of example.net ------>|
//    |--- MESSAGE, Via: …:7000;alias ----------->|   alias: client's address, port 7000, example.net
//    |<-- request for example.net at :7000 ------|   by the same connection
test('S34: RFC 5923: a connection that was accepted is used for the names its client proved, at the port it told', async () => {
  const net = authority.issue({ dns: ['example.net'] });
  const server = await serve(example, { clientCertificates: 'optional' });
  const known = await client({ identity: net });
  const nameless = await client();
  const accepted = await delivered(
    known.transport.connect(server.transport.local, 'example.com'),
    server.seen,
    'known',
  );
  const anonymous = await delivered(
    nameless.transport.connect(server.transport.local, 'example.com'),
    server.seen,
    'nameless',
  );
  accepted.alias?.(7_000);
  anonymous.alias?.(7_001);
  const at = (port: number): Address => ({ host: '127.0.0.1', port });
  assert.is(server.transport.connect(at(7_000), 'example.net'), accepted);
  const wrong = server.transport.connect(at(7_000), 'example.org');
  assert.is.not(wrong, accepted, 'another name');
  wrong.close();
  const unproved = server.transport.connect(at(7_001), 'example.net');
  assert.is.not(unproved, anonymous, 'without a certificate there is no alias');
  unproved.close();
  const back = server.transport.connect(accepted.remote, 'example.net');
  assert.is(back, accepted, 'its own address');
  // One that claims every port gets none of them beyond the first.
  for (let port = 8_000; port < 8_100; port += 1) accepted.alias?.(port);
  const greedy = server.transport.connect(at(8_050), 'example.net');
  assert.is.not(greedy, accepted);
  greedy.close();
  accepted.close();
  const after = server.transport.connect(at(7_000), 'example.net');
  assert.is.not(after, accepted);
  after.close();
});

test('an old session cannot be taken up again where certificates of clients matter', async () => {
  const bob = authority.issue({ dns: ['bob.example'] });
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    const server = await serve(example, { clientCertificates: 'required', maxVersion });
    let session: Buffer | undefined;
    const first = bareClient(server.transport, { servername: 'example.com', ...bob });
    first.socket.on('session', (one: Buffer) => {
      session = one;
    });
    await new Promise((resolve) => first.socket.once('secureConnect', resolve));
    session ??= first.socket.getSession();
    first.socket.write(message('first'));
    await server.seen.until(() => server.seen.messages.length === 1);
    first.socket.destroy();
    // Without a certificate, but with the session of one who had it.
    const second = bareClient(server.transport, { servername: 'example.com', session });
    const reused: boolean[] = [];
    second.socket.once('secureConnect', () => reused.push(second.socket.isSessionReused()));
    second.socket.write(message('second'));
    await eventually(second.closed, 'the close');
    assert.not(reused.includes(true));
    assert.is(server.seen.messages.length, 1, maxVersion);
  }
});

test('this side never takes up a session, so each connection is verified', async () => {
  const reused: boolean[] = [];
  const { at, server } = await bareServer(example, (socket) => reused.push(socket.isSessionReused()));
  const { transport } = await client();
  for (let n = 0; n < 3; n += 1) {
    const flow = transport.connect(at, 'example.com');
    await flow.ready();
    await flow.send(message(String(n)));
    flow.close();
  }
  await eventually(() => reused.length === 3);
  assert.equal(reused, [false, false, false]);
  // Another certificate meanwhile: the next connection sees it.
  server.setSecureContext(authority.issue({ dns: ['impostor.example'] }));
  assert.is(code(await refusal(transport.connect(at, 'example.com').ready())), 'SIP_CERTIFICATE_NAME');
});

test('new certificates without an end to what stands', async () => {
  const { transport: server, seen } = await serve(example);
  const { transport } = await client();
  const old = transport.connect(server.local, 'example.com');
  await delivered(old, seen, 'before');
  const renewed = authority.issue({ dns: ['example.com', 'example.net'] });
  server.update({ identity: renewed, ca });
  await delivered(old, seen, 'after');
  const fresh = transport.connect(server.local, 'example.net');
  await fresh.ready();
  assert.is.not(fresh.peer?.fingerprint, old.peer?.fingerprint);
  assert.throws(
    () => server.update({ identity: { cert: renewed.cert, key: example.key }, ca }),
    (error: Error) => code(error) === 'SIP_CERTIFICATE_UNUSABLE',
  );
  assert.throws(
    () => server.update({ ca }),
    (error: Error) => code(error) === 'SIP_CERTIFICATE_UNUSABLE',
  );
  const still = transport.connect(server.local, 'example.com');
  await still.ready();
  // The client's side: an authority that is no longer trusted counts for new connections.
  (transport as TlsTransport).update({ ca: createAuthority('Other').cert });
  const { at } = await bareServer(example);
  assert.is(code(await refusal(transport.connect(at, 'example.com').ready())), 'SIP_CERTIFICATE_UNTRUSTED');
  assert.is(still.state, 'open');
});

test('credentials that cannot be used are refused at once', () => {
  for (const options of [
    { identity: { cert: example.cert, key: both.key } },
    { identity: { cert: 'nonsense', key: example.key } },
    { identity: { cert: example.cert, key: '' } },
    { identity: example, domains: { 'example.net': { cert: example.cert, key: both.key } } },
    { identity: example, ca: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n' },
    {},
  ])
    assert.throws(
      () => make(options as Partial<Options>),
      (error: Error) => code(error) === 'SIP_CERTIFICATE_UNUSABLE',
    );
});

test('a port that is taken is an error with a code', async () => {
  const { transport } = await serve(example);
  const second = make({ identity: example, port: transport.local.port });
  assert.is(code(await refusal(second.transport.start(createRecorder()))), 'SIP_CANNOT_LISTEN');
});

test('plain text on the TLS port, and TLS to a port that speaks plain text', async () => {
  const server = await serve(example);
  const socket = connectTcp(server.transport.local.port, '127.0.0.1');
  running.push({ stop: () => void socket.destroy() });
  let closed = false;
  socket.on('error', () => undefined);
  socket.on('close', () => {
    closed = true;
  });
  socket.write(message('plain'));
  await eventually(() => closed, 'the close');
  assert.is(server.seen.messages.length, 0);
  assert.is(server.transport.counts().failedHandshakes, 1);

  const sockets: Socket[] = [];
  const plain: Server = createTcpServer((one) => {
    sockets.push(one);
    one.on('error', () => undefined);
    one.write('SIP/2.0 400 Bad Request\r\n\r\n');
  });
  await new Promise<void>((resolve) => plain.listen(0, '127.0.0.1', resolve));
  running.push({
    stop: () => {
      for (const one of sockets) one.destroy();
      plain.close();
    },
  });
  const address = plain.address();
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  const { transport } = await client();
  const error = await refusal(transport.connect({ host: '127.0.0.1', port }, 'example.com').ready());
  assert.is(code(error), 'SIP_FLOW_REFUSED');
});

test('a server that never answers the handshake is given up', async () => {
  const sockets: Socket[] = [];
  const mute = createTcpServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
  });
  await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve));
  running.push({
    stop: () => {
      for (const socket of sockets) socket.destroy();
      mute.close();
    },
  });
  const address = mute.address();
  const { transport, clock } = await client({ connectTimeout: 5_000 });
  const flow = transport.connect(
    { host: '127.0.0.1', port: typeof address === 'object' ? (address?.port ?? 0) : 0 },
    'example.com',
  );
  const sent = refusal(flow.send(message('1')));
  await eventually(() => sockets.length === 1);
  await clock.advance(6_000);
  assert.is(code(await refusal(flow.ready())), 'SIP_FLOW_REFUSED');
  assert.is(code(await sent), 'SIP_FLOW_REFUSED');
  assert.is(transport.counts().queued, 0);
  assert.is(clock.pending(), 0);
});

test('half-open handshakes are bounded in time, in number and for each source', async () => {
  const server = await serve(example, { handshakes: 8, handshakesPerSource: 5, connectTimeout: 10_000 });
  const silentOnes = Array.from({ length: 12 }, () => {
    const socket = connectTcp(server.transport.local.port, '127.0.0.1');
    running.push({ stop: () => void socket.destroy() });
    const state = { socket, closed: false };
    socket.on('error', () => undefined);
    socket.on('close', () => {
      state.closed = true;
    });
    return state;
  });
  await eventually(() => silentOnes.filter((one) => one.closed).length === 7, 'seven refused');
  assert.is(server.transport.counts().handshakes, 5);
  assert.is(server.transport.counts().crowdedHandshakes, 7);
  await server.clock.advance(11_000);
  await eventually(() => silentOnes.every((one) => one.closed), 'the rest');
  assert.is(server.transport.counts().lateHandshakes, 5);
  assert.is(server.transport.counts().handshakes, 0);
  const { transport } = await client();
  await delivered(transport.connect(server.transport.local, 'example.com'), server.seen, 'next');
});

function openFiles(): number {
  return readdirSync('/proc/self/fd').length;
}

test('S34: 1000 failed handshakes, on both sides: the number of open files stays flat', async () => {
  const server = await serve(example, { handshakes: 100, handshakesPerSource: 100 });
  const other = await client({ ca: createAuthority('Other').cert });
  const before = openFiles();
  let refused = 0;
  for (let round = 0; round < 50; round += 1) {
    const ours = Array.from({ length: 10 }, (_, n) =>
      refusal(other.transport.connect(server.transport.local, `n${n}.example`).ready()),
    );
    const plain = Array.from(
      { length: 10 },
      () =>
        new Promise<void>((resolve) => {
          const socket = connectTcp(server.transport.local.port, '127.0.0.1');
          socket.on('error', () => undefined);
          socket.on('close', () => resolve());
          socket.resume();
          socket.write('no handshake at all\r\n\r\n');
        }),
    );
    for (const error of await Promise.all(ours))
      if (code(error) === 'SIP_CERTIFICATE_UNTRUSTED') refused += 1;
    await Promise.all(plain);
  }
  assert.is(refused, 500);
  assert.ok((server.transport.counts().failedHandshakes ?? 0) >= 500);
  await eventually(
    () => server.transport.counts().flows === 0 && server.transport.counts().handshakes === 0,
    'the end of all',
  );
  await eventually(() => openFiles() <= before + 2, `${openFiles()} files, ${before} before`);
  assert.is(other.transport.counts().flows, 0);
});

test('S7: the n-th write of a TLS connection fails: that send rejects, nothing throws, nothing is left', async () => {
  const server = await serve(example);
  for (const fatal of [1, 2, 3]) {
    let writes = 0;
    const tls: Tls = {
      createServer: createTcpServer,
      connect: (options) => {
        const socket = connectTls(options);
        const write = socket.write.bind(socket);
        socket.write = ((bytes: Buffer, done?: (error?: Error | null) => void) => {
          writes += 1;
          if (writes !== fatal) return write(bytes, done);
          done?.(new Error('broken'));
          socket.destroy(new Error('broken'));
          return false;
        }) as TLSSocket['write'];
        return socket;
      },
    };
    const { transport, clock, seen } = await client({}, { tls });
    const flow = transport.connect(server.transport.local, 'example.com');
    const sends = [1, 2, 3].slice(0, fatal).map((n) => flow.send(message(String(n))));
    const outcomes = await Promise.allSettled(sends);
    assert.is(outcomes.at(-1)?.status, 'rejected');
    await seen.until(() => seen.closes.length === 1);
    assert.is(flow.state, 'closed');
    assert.is(transport.counts().flows, 0);
    assert.is(transport.counts().queued, 0);
    assert.is(clock.pending(), 0);
  }
});

test('stop ends connections and handshakes that are under way', async () => {
  const server = await serve(example);
  const { transport } = await client();
  await transport.connect(server.transport.local, 'example.com').ready();
  const raw = connectTcp(server.transport.local.port, '127.0.0.1');
  running.push({ stop: () => void raw.destroy() });
  raw.on('error', () => undefined);
  let closed = false;
  raw.on('close', () => {
    closed = true;
  });
  await eventually(() => server.transport.counts().handshakes === 1);
  const stopping = server.transport.stop();
  await server.clock.advance(3_000);
  await stopping;
  await eventually(() => closed);
  assert.is(server.clock.pending(), 0);
});
