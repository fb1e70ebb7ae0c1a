import {
  createDigestClient,
  createDigestServer,
  createRequest,
  createStack,
  type Flow,
  type Outcome,
  type SipMessage,
} from 'tiny-sip';
import * as assert from 'uvu/assert';
import { createFakeRandom } from '../support/fake-random.ts';
import { suite } from '../support/harness.ts';
import { createRig, text } from './rig.ts';

const test = suite('tiny-sip stack');

const target = { protocol: 'udp', host: '10.0.0.2', port: 5060, name: '10.0.0.2' } as const;

const long = () =>
  createRequest({
    method: 'MESSAGE',
    uri: 'sip:bob@10.0.0.2',
    headers: { From: '<sip:a@x.com>', 'Content-Type': 'text/plain' },
    body: 'x'.repeat(1300),
  });

const short = () =>
  createRequest({
    method: 'MESSAGE',
    uri: 'sip:bob@10.0.0.2',
    headers: { From: '<sip:a@x.com>' },
    body: 'x',
  });

// UAC                UAS
//  |==TCP=============|   1300 bytes and more
//  |--MESSAGE (udp)-->|   shorter ones stay on UDP
test('S33: over 1300 bytes goes by TCP, the next short one by UDP again', async () => {
  const rig = createRig();
  const tcp = rig.other('tcp');
  const stack = await rig.stack('10.0.0.1', {}, [tcp.transport({ host: '10.0.0.1', port: 5060 })]);
  const udpPeer = await rig.peer('10.0.0.2');
  const tcpPeer = await rig.peerOn(tcp, '10.0.0.2');
  for (const peer of [udpPeer, tcpPeer]) peer.onRequest = (request) => peer.answer(request, 200);
  const first = await stack.send(long(), { target });
  assert.is(first.kind === 'response' && first.flow.protocol, 'tcp');
  assert.match(tcpPeer.last().get('Via') ?? '', /^SIP\/2\.0\/TCP /);
  assert.is(tcpPeer.last().vias.length, 1);
  const second = await stack.send(short(), { target });
  assert.is(second.kind === 'response' && second.flow.protocol, 'udp');
  assert.is(udpPeer.requests().length, 1);
  assert.is(stack.counts()['out.oversize'], 1);
  assert.is(rig.log.lines.filter((line) => line.level === 'warn').length, 0);
  await stack.stop();
});

test('S33: the limit is exact: 1300 bytes on the wire stay on UDP, one more does not', async () => {
  const rig = createRig();
  const tcp = rig.other('tcp');
  const stack = await rig.stack('10.0.0.1', {}, [tcp.transport({ host: '10.0.0.1', port: 5060 })]);
  const udpPeer = await rig.peer('10.0.0.2');
  const tcpPeer = await rig.peerOn(tcp, '10.0.0.2');
  for (const peer of [udpPeer, tcpPeer]) peer.onRequest = (request) => peer.answer(request, 200);
  const sizes: number[] = [];
  stack.onTrace((direction, _flow, message, bytes) => {
    if (direction === 'out' && message.kind === 'request') sizes.push(bytes.length);
  });
  const request = (length: number) =>
    createRequest({
      method: 'MESSAGE',
      uri: 'sip:bob@10.0.0.2',
      headers: { From: '<sip:a@x.com>;tag=1', 'Call-ID': 'c', CSeq: `${1000 + length} MESSAGE` },
      body: 'x'.repeat(length),
    });
  await stack.send(request(0), { target });
  const head = sizes[0] ?? 0;
  // Content-Length grows from one digit to four.
  const room = 1300 - head - 3;
  await stack.send(request(room), { target });
  assert.is(sizes.at(-1), 1300);
  assert.is(udpPeer.requests().length, 2);
  await stack.send(request(room + 1), { target });
  assert.is(tcpPeer.requests().length, 1);
  await stack.stop();
});

// UAC                UAS
//  |--x TCP refused   |
//  |--MESSAGE (udp)-->|   with one warning
//  |--MESSAGE (udp)-->|   TCP is not tried again for ten minutes
test('S33: refused by TCP it goes by UDP with a warning, and TCP is left alone for a while', async () => {
  const rig = createRig();
  const tcp = rig.other('tcp');
  const stack = await rig.stack('10.0.0.1', {}, [tcp.transport({ host: '10.0.0.1', port: 5060 })]);
  const peer = await rig.peer('10.0.0.2');
  peer.onRequest = (request) => peer.answer(request, 200);
  const outcome = await stack.send(long(), { target });
  assert.is(outcome.kind === 'response' && outcome.flow.protocol, 'udp');
  assert.is(peer.last().vias.length, 1);
  assert.match(peer.last().get('Via') ?? '', /^SIP\/2\.0\/UDP /);
  const warnings = () => rig.log.lines.filter((line) => line.level === 'warn').length;
  assert.is(warnings(), 1);
  await stack.send(long(), { target });
  assert.is(warnings(), 1);
  await rig.clock.advance(601_000);
  await stack.send(long(), { target });
  assert.is(warnings(), 2);
  await stack.stop();
});

test('S33: a long response goes back by UDP: only requests change their transport', async () => {
  const rig = createRig();
  const stack = await rig.stack('10.0.0.1');
  const peer = await rig.peer('10.0.0.9');
  stack.on('MESSAGE', (incoming) =>
    incoming.respond(200, { body: 'y'.repeat(3000), contentType: 'text/plain' }),
  );
  peer.send({ host: '10.0.0.1', port: 5060 }, text('MESSAGE', 'sip:bob@10.0.0.1'));
  await rig.clock.settle();
  assert.is(peer.responses(200)[0]?.body.length, 3000);
  await stack.stop();
});

// UAC            UAS
//  |--MESSAGE---->|
//  |<----401------|
//  |--MESSAGE---->|  CSeq 2, same Call-ID and tags, new branch, Authorization
//  |<----200------|
//  |--MESSAGE---->|  credentials at once
test('S17: send answers a challenge, and the next request carries credentials at once', async () => {
  const rig = createRig();
  const stack = await rig.stack('10.0.0.1');
  const server = await rig.stack('10.0.0.2');
  const digest = createDigestServer(
    { clock: rig.clock, random: createFakeRandom(9) },
    { realm: 'r', lookup: () => ({ password: 'p' }) },
  );
  const seen: SipMessage[] = [];
  server.on('MESSAGE', (incoming) => {
    seen.push(incoming.request);
    const verdict = digest.check(incoming.request);
    if (verdict.ok) incoming.respond(200);
    else incoming.respond(verdict.status, { headers: verdict.headers });
  });
  const credentials = createDigestClient({ random: createFakeRandom(2) }, { username: 'u', password: 'p' });
  const first = await stack.send(short(), { target, credentials });
  assert.is(first.kind === 'response' && first.response.status, 200);
  const second = await stack.send(short(), { target, credentials });
  assert.is(second.kind === 'response' && second.response.status, 200);
  assert.equal(
    seen.map((request) => [request.cseq?.number, request.has('Authorization')]),
    [
      [1, false],
      [2, true],
      [1, true],
    ],
  );
  assert.is(seen[0]?.callId, seen[1]?.callId);
  assert.is(seen[0]?.fromTag, seen[1]?.fromTag);
  assert.is.not(seen[0]?.topVia?.branch, seen[1]?.topVia?.branch);
  assert.is(seen[1]?.vias.length, 1);
  await stack.stop();
  await server.stop();
});

test('S17, S38: whatever a server answers, one request is sent five times at most', async () => {
  const rig = createRig();
  const stack = await rig.stack('10.0.0.1');
  const peer = await rig.peer('10.0.0.2');
  let n = 0;
  peer.onRequest = (request) => {
    n += 1;
    const challenge = `Digest realm="r${n}",nonce="n${n}",qop="auth",stale=true`;
    peer.answer(request, n % 2 ? 401 : 407, {
      [n % 2 ? 'WWW-Authenticate' : 'Proxy-Authenticate']: challenge,
    });
  };
  const credentials = createDigestClient({ random: createFakeRandom(2) }, { username: 'u', password: 'p' });
  const outcome = await stack.send(short(), { target, credentials });
  assert.is(outcome.kind, 'response');
  assert.is(n, 5);
  await stack.stop();
});

test('a wrong password is tried once', async () => {
  const rig = createRig();
  const stack = await rig.stack('10.0.0.1');
  const peer = await rig.peer('10.0.0.2');
  let n = 0;
  peer.onRequest = (request) => {
    n += 1;
    peer.answer(request, 401, { 'WWW-Authenticate': `Digest realm="r",nonce="n${n}",qop="auth"` });
  };
  const credentials = createDigestClient({ random: createFakeRandom(2) }, { username: 'u', password: 'p' });
  const outcome = await stack.send(short(), { target, credentials });
  assert.is(outcome.kind === 'response' && outcome.response.status, 401);
  assert.is(n, 2);
  await stack.stop();
});

// proxy: Via on top, nothing else touched; the response comes back with it
test('forward adds a Via of the given branch and touches nothing else', async () => {
  const rig = createRig();
  const stack = await rig.stack('10.0.0.1', { proxy: true, userAgent: 'proxy/1' });
  const peer = await rig.peer('10.0.0.2');
  const sender = await rig.peer('10.0.0.9');
  peer.onRequest = (request) =>
    peer.answer(request, 401, { 'WWW-Authenticate': 'Digest realm="r",nonce="n"' });
  const credentials = createDigestClient({ random: createFakeRandom(2) }, { username: 'u', password: 'p' });
  const outcomes: Outcome[] = [];
  stack.on('*', async (incoming) => {
    const copy = incoming.request.copy();
    const outcome = await stack.send(copy, { target, forward: { branch: 'z9hG4bKloop.7' }, credentials });
    outcomes.push(outcome);
    if (outcome.kind !== 'response') return;
    outcome.response.removeFirst('Via');
    incoming.respondWith(outcome.response);
  });
  sender.send(
    { host: '10.0.0.1', port: 5060 },
    text('DANCE', 'sip:bob@example.com', { headers: ['Require: x'] }),
  );
  await rig.clock.settle();
  const forwarded = peer.last('DANCE');
  assert.is(forwarded.vias.length, 2);
  assert.is(forwarded.topVia?.branch, 'z9hG4bKloop.7');
  assert.is(forwarded.has('User-Agent'), false);
  assert.is(forwarded.maxForwards, 70);
  assert.is(peer.requests().length, 1, 'no digest retry');
  assert.is(sender.responses(401).length, 1);
  assert.is(sender.responses(401)[0]?.vias.length, 1);
  assert.is(sender.responses(401)[0]?.toTag, 'peer');
  await stack.stop();
});

test('without a locator numeric hosts are reached, and a Route comes before the Request-URI', async () => {
  const rig = createRig();
  const stack = await rig.stack('10.0.0.1');
  const peer = await rig.peer('10.0.0.2', 5070);
  const proxy = await rig.peer('10.0.0.3');
  for (const one of [peer, proxy]) one.onRequest = (request) => one.answer(request, 200);
  await stack.send(createRequest({ method: 'OPTIONS', uri: 'sip:10.0.0.2:5070' }));
  await stack.send(
    createRequest({ method: 'OPTIONS', uri: 'sip:nobody.example', headers: { Route: '<sip:10.0.0.3;lr>' } }),
  );
  assert.is(peer.requests().length, 1);
  assert.is(proxy.requests().length, 1);
  const lost = await stack.send(createRequest({ method: 'OPTIONS', uri: 'sip:nobody.example' }));
  assert.is(lost.kind === 'failed' && (lost.error as { code?: string }).code, 'SIP_NOT_LOCATED');
  const bad = await stack.send(createRequest({ method: 'OPTIONS', uri: 'sip:10.0.0.2;transport=tls' }));
  assert.is(bad.kind, 'failed');
  await stack.stop();
});

test('S31: a located list is gone through: silence, refusal and 503 lead to the next', async () => {
  const rig = createRig();
  const at = (host: string) => ({ protocol: 'udp', host, port: 5060, name: 'example.com' }) as const;
  const stack = createStack(
    {
      clock: rig.clock,
      log: rig.log,
      random: createFakeRandom(8),
      locator: {
        locate: async () => [at('10.0.0.2'), at('10.0.0.3'), at('10.0.0.4')],
        counts: () => ({}),
      },
    },
    { transports: [rig.network.transport({ host: '10.0.0.1', port: 5060 })] },
  );
  await stack.start();
  const busy = await rig.peer('10.0.0.3');
  const good = await rig.peer('10.0.0.4');
  busy.onRequest = (request) => busy.answer(request, 503);
  good.onRequest = (request) => good.answer(request, 200);
  let outcome: Outcome | undefined;
  stack.send(createRequest({ method: 'OPTIONS', uri: 'sip:example.com' })).then((one) => {
    outcome = one;
  });
  await rig.clock.advance(33_000);
  assert.is(outcome?.kind === 'response' && outcome.response.status, 200);
  assert.is(good.last().vias.length, 1);
  assert.is.not(good.last().topVia?.branch, busy.last().topVia?.branch);
  await stack.stop();
});

test('the trace shows what went and came, and can be left', async () => {
  const rig = createRig();
  const stack = await rig.stack('10.0.0.1');
  const peer = await rig.peer('10.0.0.2');
  peer.onRequest = (request) => peer.answer(request, 200);
  const seen: string[] = [];
  const leave = stack.onTrace((direction, flow, message, bytes) => {
    seen.push(`${direction} ${flow.remote.host} ${message.kind} ${bytes.length > 100}`);
  });
  await stack.send(short(), { target });
  leave();
  await stack.send(short(), { target });
  assert.equal(seen, ['out 10.0.0.2 request true', 'in 10.0.0.2 response true']);
  await stack.stop();
});

test('a stack starts as a whole or not at all', async () => {
  const rig = createRig();
  const first = await rig.stack('10.0.0.1');
  const free = rig.other('tcp');
  const second = createStack(
    { clock: rig.clock, log: rig.log, random: createFakeRandom(8) },
    {
      transports: [
        free.transport({ host: '10.0.0.1', port: 5060 }),
        rig.network.transport({ host: '10.0.0.1', port: 5060 }),
      ],
    },
  );
  let error: unknown;
  await second.start().catch((cause) => {
    error = cause;
  });
  assert.is((error as { code?: string }).code, 'SIP_CANNOT_LISTEN');
  await rig.peerOn(free, '10.0.0.1');
  await first.stop();
});

test('closed flows are told', async () => {
  const rig = createRig({ protocol: 'memory' });
  const stack = await rig.stack('10.0.0.1');
  await rig.peer('10.0.0.2');
  const closed: Flow[] = [];
  stack.onFlowClosed((flow) => void closed.push(flow));
  const flow = stack.flow({ ...target, protocol: 'memory' });
  assert.is(stack.flow({ ...target, protocol: 'memory' }), flow, 'an open connection is used again');
  flow.close();
  assert.equal(closed, [flow]);
  assert.is.not(stack.flow({ ...target, protocol: 'memory' }), flow);
  await stack.stop();
});
