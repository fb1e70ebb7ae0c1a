/** RFC 3263 §4.3, §5 and RFC 3261 §8.1.3.1: what happens when the first server does not do it. */
import { connect, createServer, type Server } from 'node:net';
import {
  type Clock,
  createDigestClient,
  createDigestServer,
  createLocator,
  createNodeDeps,
  createRegistration,
  createRequest,
  createStack,
  createSystemDns,
  createTcpTransport,
  type Locator,
  type Outcome,
  type SipRequest,
  type Stack,
  type Target,
  type Verdict,
} from 'tiny-sip';
import * as assert from 'uvu/assert';
import { createFakeRandom } from '../support/fake-random.ts';
import { suite } from '../support/harness.ts';
import { type DnsRecord, startDnsServer } from '../support/peers/dns-server.ts';
import { createRig, type Rig, text, wire } from './rig.ts';

const test = suite('failover', { timeout: 30_000 });

const message = () =>
  createRequest({ method: 'MESSAGE', uri: 'sip:bob@plant.example', headers: { From: '<sip:a@x.com>' } });

const statusOf = (outcome: Outcome): number | string =>
  outcome.kind === 'response' ? outcome.response.status : outcome.kind;

// On real sockets

/** A clock of the machine that can be set forward. */
function createSkewedClock(): Clock & { skew: number } {
  const { clock } = createNodeDeps();
  const skewed = { ...clock, skew: 0, now: () => clock.now() + skewed.skew };
  return skewed;
}

async function listen(server: Server, port = 0): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  const at = server.address();
  if (at === null || typeof at === 'string') throw new Error('no port');
  return at.port;
}

const closed = (server: Server): Promise<void> => new Promise((done) => server.close(() => done()));

/** A stack that answers MESSAGE with a status and keeps the branches that it saw. */
async function answering(status: number, headers: Record<string, string> = {}, port = 0) {
  const deps = createNodeDeps();
  const tcp = createTcpTransport(deps, { host: '127.0.0.1', port });
  const stack = createStack(deps, { transports: [tcp] });
  const seen: SipRequest[] = [];
  stack.on('MESSAGE', (incoming) => {
    seen.push(incoming.request);
    incoming.respond(status, { headers });
  });
  await stack.start();
  return { stack, seen, port: tcp.local.port };
}

//  UAC     refused    silent     503      good
//   |--SYN--->x          |         |         |
//   |--MESSAGE (z9hG4bK1)-->       |         |
//   |        Timer F     |         |         |
//   |--MESSAGE (z9hG4bK2)--------->|         |
//   |<--503, Retry-After: 50-------|         |
//   |--MESSAGE (z9hG4bK3)------------------->|
//   |<--200----------------------------------|
test('S31: one refuses, one is silent, one says 503: the fourth gets it, and is stayed with', async () => {
  const spare = createServer();
  const refusing = await listen(spare);
  await closed(spare);
  const heard: string[] = [];
  const silent = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => heard.push(chunk.toString()));
  });
  const silentPort = await listen(silent);
  const busy = await answering(503, { 'Retry-After': '50' });
  const good = await answering(200);

  const srv = (priority: number, port: number): DnsRecord => ({
    type: 'SRV',
    name: '_sip._tcp.plant.example',
    priority,
    weight: 0,
    port,
    target: 'sip.plant.example',
  });
  const dns = await startDnsServer([
    srv(1, refusing),
    srv(2, silentPort),
    srv(3, busy.port),
    srv(4, good.port),
    { type: 'A', name: 'sip.plant.example', address: '127.0.0.1', ttl: 3600 },
    // A trap: the bare domain has a server of its own, which must not get anything.
    { type: 'A', name: 'plant.example', address: '127.0.0.2', ttl: 3600 },
  ]);

  const deps = createNodeDeps();
  const clock = createSkewedClock();
  const locator = createLocator(
    { ...deps, clock, dns: () => createSystemDns({ servers: [`127.0.0.1:${dns.port}`] }) },
    { ttl: 3600 },
  );
  const client = createStack(
    { ...deps, locator },
    { transports: [createTcpTransport(deps, { listen: false })], timers: { t1: 10 } },
  );
  await client.start();
  const tried: number[] = [];
  const send = async (): Promise<number | string> => {
    tried.length = 0;
    const request = message();
    return statusOf(
      await client.send(request, { onSend: (_request, flow) => void tried.push(flow.remote.port) }),
    );
  };

  assert.is(await send(), 200);
  assert.equal(tried, [silentPort, busy.port, good.port]);
  const branches = [
    /branch=([^;\r]+)/.exec(heard.join(''))?.[1],
    busy.seen[0]?.topVia?.branch,
    good.seen[0]?.topVia?.branch,
  ];
  assert.is(new Set(branches).size, 3, 'a transaction of its own each time');
  assert.ok(branches.every((branch) => branch?.startsWith('z9hG4bK')));
  const ids = [busy.seen[0], good.seen[0]].map(
    (one) => `${one?.callId} ${one?.cseq?.number} ${one?.fromTag}`,
  );
  assert.is(ids[0], ids[1], 'but the same request');
  assert.match(heard.join(''), `Call-ID: ${good.seen[0]?.callId}`);

  // All that failed are at the end of the list, and nothing is asked or tried anew.
  assert.is(await send(), 200);
  assert.equal(tried, [good.port]);
  assert.is(client.counts()['locate.dead'], 3);
  assert.not(dns.asked.includes('A plant.example'));

  // Their time is over: the best one is tried again, and is back meanwhile; it has priority.
  clock.skew += 31_000;
  const back = await answering(200, {}, refusing);
  assert.is(await send(), 200);
  assert.equal(tried, [refusing]);
  // The one that asked for 50 s is left alone for so long, though its own time would have been 30 s.
  await back.stack.stop();
  assert.is(client.counts()['locate.dead'], 1);
  clock.skew += 1;
  assert.is(await send(), 200);
  assert.equal(tried.slice(-2), [silentPort, good.port]);

  await client.stop();
  for (const one of [busy, good]) await one.stack.stop();
  await Promise.all([closed(silent), dns.close()]);
});

test('S31: all of the three fail: the outcome is the last one’s, and the next time begins with the one due first', async () => {
  const busy = await answering(503);
  const spare = createServer();
  const refusing = await listen(spare);
  await closed(spare);
  const deps = createNodeDeps();
  const target = (port: number): Target => ({
    protocol: 'tcp',
    host: '127.0.0.1',
    port,
    name: 'plant.example',
  });
  const reports: string[] = [];
  const locator: Locator = {
    locate: async () => [target(busy.port), target(refusing), target(busy.port)],
    report: ({ port }, verdict: Verdict) =>
      void reports.push(`${port === refusing ? 'closed' : 'busy'} ${verdict.kind}`),
    counts: () => ({}),
  };
  const client = createStack(
    { ...deps, locator },
    { transports: [createTcpTransport(deps, { listen: false })] },
  );
  await client.start();
  assert.is(statusOf(await client.send(message())), 503);
  assert.equal(reports, ['busy failed', 'closed failed', 'busy failed']);
  await client.stop();
  await busy.stack.stop();
});

//  raw peer                 server
//   |--OPTIONS (TCP)--------->|
//   X connection cut          |
//   |<------- connects to received:sent-by port, 200
test('§5: the connection of a request is gone: its response comes by a new one to the port in Via', async () => {
  const deps = createNodeDeps();
  const tcp = createTcpTransport(deps, { host: '127.0.0.1', port: 0 });
  const server = createStack(deps, { transports: [tcp] });
  const arrived = new Promise<() => void>((resolve) => {
    server.on('OPTIONS', (incoming) => resolve(() => incoming.respond(200)));
  });
  await server.start();
  let answer = '';
  let got = (): void => undefined;
  const answered = new Promise<void>((resolve) => {
    got = resolve;
  });
  const home = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      answer += chunk.toString();
      got();
      socket.end();
    });
  });
  const port = await listen(home);
  const gone = new Promise<void>((resolve) => server.onFlowClosed(() => resolve()));
  const socket = connect(tcp.local.port, '127.0.0.1');
  socket.write(
    wire(
      text('OPTIONS', 'sip:x@127.0.0.1', { via: `Via: SIP/2.0/TCP 127.0.0.1:${port};branch=z9hG4bKgone` }),
    ),
  );
  const respond = await arrived;
  socket.resetAndDestroy();
  await gone;
  respond();
  await answered;
  assert.match(answer, /^SIP\/2\.0 200 OK\r\n/);
  await server.stop();
  await closed(home);
});

// On the fake clock

const target = (host: string, name = 'plant.example'): Target => ({
  protocol: 'udp',
  host,
  port: 5060,
  name,
});

async function stackWith(rig: Rig, ...hosts: string[]): Promise<Stack & { readonly reports: string[] }> {
  const reports: string[] = [];
  const locator: Locator = {
    locate: async () => hosts.map((host) => target(host)),
    report: ({ host }, verdict) =>
      void reports.push(
        `${host} ${verdict.kind}${'seconds' in verdict && verdict.seconds ? ` ${verdict.seconds}` : ''}`,
      ),
    counts: () => ({}),
  };
  const own = createStack(
    { clock: rig.clock, log: rig.log, random: createFakeRandom(5), locator },
    { transports: [rig.network.transport({ host: '10.0.0.1', port: 5060 })] },
  );
  await own.start();
  return Object.assign(own, { reports });
}

test('RFC 3263 §4.3: a server that has said 100 has not failed, however long it then takes', async () => {
  const rig = createRig();
  const stack = await stackWith(rig, '10.0.0.2', '10.0.0.3');
  const slow = await rig.peer('10.0.0.2');
  const other = await rig.peer('10.0.0.3');
  slow.onRequest = (request) => slow.answer(request, 100);
  const sent = stack.send(message());
  await rig.clock.advance(40_000);
  assert.is(statusOf(await sent), 'timeout');
  assert.is(other.received.length, 0);
  assert.equal(stack.reports, ['10.0.0.2 worked']);
  await stack.stop();
  assert.is(rig.clock.pending(), 0);
});

test('S31: silence leads to the next one, for a registration as well', async () => {
  const rig = createRig();
  const stack = await stackWith(rig, '10.0.0.2', '10.0.0.3');
  await rig.peer('10.0.0.2');
  const good = await rig.peer('10.0.0.3');
  good.onRequest = (request) =>
    good.answer(request, 200, { Contact: request.lines('Contact'), Expires: '600' });
  const registration = createRegistration(
    { stack, clock: rig.clock, random: createFakeRandom(6), log: rig.log },
    { aor: 'sip:gateway@plant.example' },
  );
  registration.start();
  await rig.clock.advance(34_000);
  assert.is(registration.state.kind, 'registered');
  assert.equal(stack.reports, ['10.0.0.2 failed', '10.0.0.3 worked']);
  registration.stop();
  await stack.stop();
  assert.is(rig.clock.pending(), 0);
});

test('Retry-After of a 503 is told to the locator', async () => {
  const rig = createRig();
  const stack = await stackWith(rig, '10.0.0.2', '10.0.0.3');
  for (const [host, status] of [
    ['10.0.0.2', 503],
    ['10.0.0.3', 404],
  ] as const) {
    const peer = await rig.peer(host);
    peer.onRequest = (request) => peer.answer(request, status, { 'Retry-After': '120 (busy);duration=60' });
  }
  const sent = stack.send(message());
  await rig.clock.settle();
  assert.is(statusOf(await sent), 404);
  assert.equal(stack.reports, ['10.0.0.2 failed 120', '10.0.0.3 worked']);
  await stack.stop();
});

//  UAC            A                B
//   |--MESSAGE---->|                |
//   |<----401------|                |
//   |--MESSAGE---->X  gone          |
//   |--MESSAGE--------------------->|
//   |<----401, then 200-------------|
test('S7, S31: the server that challenged is gone before the answer: the next one is asked', async () => {
  const rig = createRig();
  const stack = await stackWith(rig, '10.0.0.2', '10.0.0.3');
  const digest = createDigestServer(
    { clock: rig.clock, random: createFakeRandom(8) },
    { realm: 'plant.example', lookup: () => ({ password: 'p' }) },
  );
  const first = await rig.peer('10.0.0.2');
  let challenges = 0;
  first.onRequest = (request) => {
    challenges += 1;
    const verdict = digest.check(request);
    if (challenges === 1 && !verdict.ok) first.answer(request, verdict.status, { ...verdict.headers });
  };
  const second = await rig.peer('10.0.0.3');
  second.onRequest = (request) => {
    const verdict = digest.check(request);
    if (verdict.ok) second.answer(request, 200);
    else second.answer(request, verdict.status, { ...verdict.headers });
  };
  const sent = stack.send(message(), {
    credentials: createDigestClient({ random: createFakeRandom(9) }, { username: 'u', password: 'p' }),
  });
  await rig.clock.advance(40_000);
  assert.is(statusOf(await sent), 200);
  assert.ok(challenges > 1);
  assert.equal(stack.reports, ['10.0.0.2 worked', '10.0.0.2 failed', '10.0.0.3 worked', '10.0.0.3 worked']);
  await stack.stop();
});

test('what fails on our side is nobody’s fault and tried nowhere else', async () => {
  const rig = createRig();
  const stack = await stackWith(rig, '10.0.0.2', '10.0.0.3');
  const abort = new AbortController();
  const sent = stack.send(message(), { signal: abort.signal });
  await rig.clock.settle();
  abort.abort();
  assert.is(statusOf(await sent), 'failed');
  const stopped = stack.send(message());
  await rig.clock.settle();
  await stack.stop();
  assert.is(statusOf(await stopped), 'failed');
  assert.equal(stack.reports, []);
});

test('§5: a datagram response that cannot be sent goes where the sent-by leads', async () => {
  const rig = createRig();
  const located: string[] = [];
  const locator: Locator = {
    locate: async () => [],
    locateReply: async (sentBy) => {
      located.push(`${sentBy.protocol} ${sentBy.host} ${sentBy.port}`);
      return [target('10.0.0.8', 'backup.example'), target('10.0.0.7', 'backup.example')];
    },
    counts: () => ({}),
  };
  const inner = rig.network.transport({ host: '10.0.0.1', port: 5060 });
  const fails = new Set(['10.0.0.9', '10.0.0.8']);
  const stack = createStack(
    { clock: rig.clock, log: rig.log, random: createFakeRandom(5), locator },
    {
      transports: [
        Object.create(inner, {
          start: {
            value: (receiver: Parameters<typeof inner.start>[0]) =>
              inner.start({
                ...receiver,
                message: (flow, bytes, parsed) => receiver.message(failing(flow), bytes, parsed),
              }),
          },
          connect: { value: (remote: { host: string; port: number }) => failing(inner.connect(remote)) },
        }),
      ],
    },
  );
  const failing = (flow: ReturnType<typeof inner.connect>): typeof flow =>
    fails.has(flow.remote.host)
      ? Object.create(flow, { send: { value: () => Promise.reject(new Error('EHOSTUNREACH')) } })
      : flow;
  await stack.start();
  const source = await rig.peer('10.0.0.9');
  const backup = await rig.peer('10.0.0.7');
  source.send(
    { host: '10.0.0.1', port: 5060 },
    text('OPTIONS', 'sip:x@10.0.0.1', { via: 'Via: SIP/2.0/UDP client.example;branch=z9hG4bKx' }),
  );
  await rig.clock.settle();
  assert.equal(located, ['udp client.example undefined']);
  assert.is(backup.responses(200).length, 1);
  await stack.stop();
});

test('RFC 3261 §18.2.2: maddr of a Via over UDP is where the response goes', async () => {
  const rig = createRig();
  const stack = await rig.stack('10.0.0.1');
  const source = await rig.peer('10.0.0.9');
  const named = await rig.peer('10.0.0.7', 5099);
  source.send(
    { host: '10.0.0.1', port: 5060 },
    text('OPTIONS', 'sip:x@10.0.0.1', {
      via: 'Via: SIP/2.0/UDP 10.0.0.9:5099;branch=z9hG4bKx;rport;maddr=10.0.0.7',
    }),
  );
  await rig.clock.settle();
  assert.is(named.responses(200).length, 1);
  assert.is(source.responses().length, 0);
  await stack.stop();
});

test('the zone of a link-local address stays at home', async () => {
  const rig = createRig();
  const stack = createStack(
    { clock: rig.clock, log: rig.log, random: createFakeRandom(5) },
    { transports: [rig.network.transport({ host: 'fe80::1%eth0', port: 5060 })] },
  );
  await stack.start();
  const peer = await rig.peer('fe80::2%eth0');
  peer.onRequest = (request) => peer.answer(request, 200);
  const outcome = stack.send(message(), { target: target('fe80::2%eth0') });
  await rig.clock.settle();
  assert.is(statusOf(await outcome), 200);
  assert.is(peer.last().topVia?.host, 'fe80::1');
  peer.send({ host: 'fe80::1%eth0', port: 5060 }, text('OPTIONS', 'sip:x@a'));
  await rig.clock.settle();
  const [answer] = peer.responses(200);
  assert.is(answer?.topVia?.received, 'fe80::2');
  await stack.stop();
});
