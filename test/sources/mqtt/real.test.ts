/** The MQTT source against a real broker on real sockets. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer as createPlainServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer as createTlsServer, type TlsOptions } from 'node:tls';
import { promisify } from 'node:util';
import { Aedes } from 'aedes';
import * as assert from 'uvu/assert';
import { createSystemClock } from '../../../src/base/clock.ts';
import { silentLog } from '../../../src/base/log.ts';
import { createSystemRandom } from '../../../src/base/random.ts';
import type { MqttSourceOptions } from '../../../src/sources/mqtt/options.ts';
import { createMqttSource, type MqttSource } from '../../../src/sources/mqtt/source.ts';
import { suite } from '../../support/harness.ts';
import { freePort } from '../../support/peers/free-port.ts';
import { MOSQUITTO, startMosquitto } from '../../support/peers/mosquitto.ts';
import { createTestSink, type TestSink } from '../sink.ts';

const test = suite('sources/mqtt/real', { timeout: 20_000 });

const never = new AbortController().signal;
const clock = createSystemClock();
const run = promisify(execFile);

interface Bench {
  source: MqttSource;
  sink: TestSink;
  end(): Promise<void>;
}

const BINDINGS: MqttSourceOptions['bindings'] = [
  { device: 'freezer', signal: 't', topic: 'cold/+', path: 'temp', qos: 1 },
  { device: 'lamp', signal: 'on', topic: 'lamp/state', write: { topic: 'lamp/set', qos: 1 } },
];

async function begin(options: Partial<MqttSourceOptions> & { url: string }): Promise<Bench> {
  const sink = createTestSink();
  const source = createMqttSource(
    { clock, log: silentLog, random: createSystemRandom() },
    { id: 'plant', clientId: 'gateway', bindings: BINDINGS, ...options },
    sink,
  );
  await source.start(never);
  return { source, sink, end: () => source.stop(clock.now() + 3_000) };
}

const up = ({ sink }: Bench): Promise<void> => sink.until(() => sink.last()?.state === 'up', 'up');
const down = ({ sink }: Bench): Promise<void> => sink.until(() => sink.last()?.state === 'down', 'down');

for (const protocolVersion of [4, 5] as const) {
  const name = protocolVersion === 4 ? 'MQTT 3.1.1' : 'MQTT 5';

  test.needs(MOSQUITTO, `${name}: readings come, retained ones are known as such, writes go`, async () => {
    const broker = await startMosquitto();
    await broker.publish('lamp/state', 'ON', { retain: true });
    const made = await begin({ url: broker.url, protocolVersion });
    const { sink, source } = made;
    await up(made);
    await sink.until(() => sink.seen.length === 1, 'the retained value');
    await broker.publish('cold/freezer2', '{"temp":-18.5}', { qos: 1 });
    await broker.publish('lamp/state', 'OFF', { retain: true });
    await sink.until(() => sink.seen.length === 3, 'the live values');
    assert.equal(
      sink.seen.map(({ signal, value, age }) => [signal, value, age]),
      [
        ['on', 'ON', 'unknown'],
        ['t', -18.5, 'fresh'],
        ['on', 'OFF', 'fresh'],
      ],
    );
    const heard = await broker.subscribe('lamp/set');
    await source.write({ device: 'lamp', signal: 'on' }, 'ON', never);
    await heard.line(/^lamp\/set ON$/);
    await heard.stop();
    await made.end();
    await broker.stop();
  });

  test.needs(
    MOSQUITTO,
    `G20, S43: ${name}: the broker killed and restarted: down with its cause, then online again within 5 s`,
    async () => {
      const broker = await startMosquitto();
      const made = await begin({ url: broker.url, protocolVersion, statusTopic: 'gateway/status' });
      const { sink } = made;
      await up(made);
      await broker.kill();
      await down(made);
      assert.is(sink.last()?.code, 'SRC_BROKER_LOST');
      const restarting = clock.now();
      await broker.restart();
      await up(made);
      const status = await broker.subscribe('gateway/status');
      await status.line(/^gateway\/status online$/);
      assert.ok(clock.now() - restarting < 5_000);
      await broker.publish('cold/freezer2', '{"temp":1}');
      await sink.until(() => sink.seen.length === 1, 'a reading after the restart');
      await made.end();
      await status.line(/^gateway\/status offline$/);
      await status.stop();
      await broker.stop();
    },
  );

  test.needs(MOSQUITTO, `${name}: a wrong password has a name`, async () => {
    const broker = await startMosquitto({ users: { gateway: 'right' } });
    const made = await begin({ url: broker.url, protocolVersion, username: 'gateway', password: 'wrong' });
    await down(made);
    // Mosquitto says "not authorised" to a wrong password, in both versions.
    assert.is(made.sink.last()?.code, 'SRC_BROKER_DENIED');
    const right = await begin({
      url: broker.url,
      protocolVersion,
      username: 'gateway',
      password: 'right',
      clientId: 'other',
    });
    await up(right);
    await made.end();
    await right.end();
    await broker.stop();
  });
}

test.needs(
  MOSQUITTO,
  'G20: cut off without a word, the broker says offline for us; back again, online',
  async () => {
    const broker = await startMosquitto();
    const status = await broker.subscribe('gateway/status');
    const made = await begin({ url: broker.url, statusTopic: 'gateway/status' });
    await up(made);
    await status.line(/status online$/);
    // Somebody takes the connection over, which to the broker is a sudden end of ours.
    const rival = await begin({ url: broker.url, bindings: [] });
    await up(rival);
    await status.line(/status offline$/);
    await down(made);
    await rival.end();
    await up(made);
    // The second one: what came before is among the lines already.
    await new Promise<void>((resolve) => {
      const look = (): void => {
        if (status.lines.filter((line) => line.endsWith('online')).length >= 2) resolve();
      };
      status.onLine(look);
      look();
    });
    await made.end();
    await status.stop();
    await broker.stop();
  },
);

test.needs(MOSQUITTO, 'G33: the broker comes after us', async () => {
  const port = await freePort();
  const made = await begin({ url: `mqtt://127.0.0.1:${port}` });
  await down(made);
  assert.is(made.sink.last()?.cause, `broker 127.0.0.1:${port} cannot be reached: connection refused`);
  const broker = await startMosquitto({ port });
  await up(made);
  await made.end();
  await broker.stop();
});

test('a name that nobody knows is a state', async () => {
  const made = await begin({ url: 'mqtt://no-such-host.invalid' });
  await down(made);
  assert.is(made.sink.last()?.code, 'SRC_BROKER_UNREACHABLE');
  await made.end();
});

/** A broker of our own behind a listening socket. */
async function listen(tls?: TlsOptions): Promise<{ port: number; close(): Promise<void> }> {
  const aedes = await Aedes.createBroker();
  const server: Server = tls
    ? createTlsServer(tls, (socket) => void aedes.handle(socket))
    : createPlainServer((socket) => void aedes.handle(socket));
  server.on('tlsClientError', () => {});
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    port,
    async close() {
      await new Promise<void>((resolve) => aedes.close(() => resolve()));
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

interface Certificates {
  ca: string;
  server: { cert: string; key: string };
  client: { cert: string; key: string };
}

/** A certificate authority, a server `broker.test`, and a client. */
async function certificates(): Promise<Certificates> {
  const home = mkdtempSync(join(tmpdir(), 'presentity-tls-'));
  const file = (name: string): string => join(home, name);
  const openssl = (...args: string[]): Promise<unknown> => run('openssl', args);
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  await openssl(
    ...['req', '-x509', ...newKey, '-keyout', file('ca.key'), '-out', file('ca.pem')],
    ...['-days', '2', '-subj', '/CN=test authority'],
  );
  const issue = async (name: string): Promise<{ cert: string; key: string }> => {
    writeFileSync(file('ext'), `subjectAltName=DNS:${name}\n`);
    await openssl(
      ...[
        'req',
        ...newKey,
        '-keyout',
        file(`${name}.key`),
        '-out',
        file(`${name}.csr`),
        '-subj',
        `/CN=${name}`,
      ],
    );
    await openssl(
      ...['x509', '-req', '-in', file(`${name}.csr`), '-CA', file('ca.pem'), '-CAkey', file('ca.key')],
      ...['-CAcreateserial', '-out', file(`${name}.pem`), '-days', '2', '-extfile', file('ext')],
    );
    return {
      cert: readFileSync(file(`${name}.pem`), 'utf8'),
      key: readFileSync(file(`${name}.key`), 'utf8'),
    };
  };
  const made = {
    ca: readFileSync(file('ca.pem'), 'utf8'),
    server: await issue('broker.test'),
    client: await issue('gateway.test'),
  };
  rmSync(home, { recursive: true });
  return made;
}

test.needs(['openssl'], 'TLS: authority, name and client certificate are checked on both sides', async () => {
  const { ca, server, client } = await certificates();
  const broker = await listen({ ...server, ca, requestCert: true, rejectUnauthorized: true });
  const url = `mqtts://127.0.0.1:${broker.port}`;

  const good = await begin({ url, tls: { ca, ...client, servername: 'broker.test' } });
  await up(good);
  await good.end();

  const stranger = await begin({ url, tls: { ...client, servername: 'broker.test' } });
  await down(stranger);
  assert.is(stranger.sink.last()?.code, 'SRC_BROKER_CERTIFICATE');
  await stranger.end();

  const misnamed = await begin({ url, tls: { ca, ...client, servername: 'other.test' } });
  await down(misnamed);
  assert.is(misnamed.sink.last()?.code, 'SRC_BROKER_CERTIFICATE');
  await misnamed.end();

  const nameless = await begin({ url, tls: { ca, ...client } });
  await down(nameless);
  assert.is(nameless.sink.last()?.code, 'SRC_BROKER_CERTIFICATE', 'an address is no name of the certificate');
  await nameless.end();

  const unknown = await begin({ url, tls: { ca, servername: 'broker.test' } });
  await down(unknown);
  assert.match(unknown.sink.last()?.code ?? '', /^SRC_BROKER_/);
  await unknown.end();
  await broker.close();
});

test('TLS to a broker without it, and the other way round, is a state that says so', async () => {
  const broker = await listen();
  const made = await begin({ url: `mqtts://127.0.0.1:${broker.port}` });
  await down(made);
  assert.is(made.sink.last()?.code, 'SRC_BROKER_UNREACHABLE');
  await made.end();
  await broker.close();
});
