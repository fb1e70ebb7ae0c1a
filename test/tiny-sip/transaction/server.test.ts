import type { Incoming } from 'tiny-sip';
import * as assert from 'uvu/assert';
import { suite } from '../../support/harness.ts';
import { createRig, read, text } from '../rig.ts';

const test = suite('tiny-sip server transactions');

const uas = { host: '10.0.0.1', port: 5060 };
const to = 'sip:bob@10.0.0.1';

async function scene(options: Parameters<ReturnType<typeof createRig>['stack']>[1] = {}) {
  const rig = createRig();
  const stack = await rig.stack('10.0.0.1', options);
  const peer = await rig.peer('10.0.0.9');
  const seen: Incoming[] = [];
  return { ...rig, stack, peer, seen };
}

// UAC            UAS
//  |--MESSAGE---->|  to the TU, once
//  |--MESSAGE---->|  trying: nothing
//  |<----200------|
//  |--MESSAGE---->|
//  |<----200------|  the same bytes; until timer J (32 s)
test('S19: a retransmission is absorbed and gets the same answer', async () => {
  const { clock, stack, peer, seen } = await scene();
  stack.on('MESSAGE', (incoming) => void seen.push(incoming));
  const request = text('MESSAGE', to);
  peer.send(uas, request);
  peer.send(uas, request);
  await clock.settle();
  assert.is(seen.length, 1);
  assert.is(peer.received.length, 0);
  seen[0]?.respond(200, { headers: { 'X-Once': 'yes' } });
  await clock.settle();
  for (let i = 0; i < 3; i += 1) peer.send(uas, request);
  await clock.settle();
  assert.is(seen.length, 1);
  assert.is(peer.responses(200).length, 4);
  const tags = new Set(peer.responses(200).map((response) => response.toTag));
  assert.is(tags.size, 1);
  assert.is(stack.counts().absorbed, 4);
  await clock.advance(32_600);
  assert.is(stack.counts()['transactions.server'], 0);
  assert.is(clock.pending(), 0);
});

// UAC            UAS
//  |--MESSAGE---->|  0 s
//  |<----100------|  3.5 s, not before (RFC 4320 §4.1)
//  |--MESSAGE---->|
//  |<----100------|
//  |      …       |  32 s: over; a late 200 is not sent (RFC 4320 §4.2)
test('a slow TU gets 100 sent for it, and no late answer', async () => {
  const { clock, stack, peer, seen } = await scene();
  stack.on('MESSAGE', (incoming) => void seen.push(incoming));
  peer.send(uas, text('MESSAGE', to));
  await clock.advance(3_400);
  assert.is(peer.received.length, 0);
  await clock.advance(700);
  assert.is(peer.responses(100).length, 1);
  assert.is(peer.responses(100)[0]?.toTag, undefined);
  peer.send(uas, text('MESSAGE', to));
  await clock.settle();
  assert.is(peer.responses(100).length, 2);
  await clock.advance(30_000);
  assert.is(stack.counts()['transactions.server'], 0);
  assert.is(stack.counts().unanswered, 1);
  seen[0]?.respond(200);
  await clock.settle();
  assert.is(peer.responses(200).length, 0);
  assert.is(clock.pending(), 0);
});

test('other provisional responses and 408 are never sent to a non-INVITE request', async () => {
  const { clock, stack, peer, seen } = await scene();
  stack.on('MESSAGE', (incoming) => void seen.push(incoming));
  peer.send(uas, text('MESSAGE', to, { branch: 'z9hG4bKa' }));
  peer.send(uas, text('MESSAGE', to, { branch: 'z9hG4bKb', callId: 'b' }));
  await clock.settle();
  seen[0]?.respond(180);
  seen[1]?.respond(408);
  await clock.settle();
  assert.is(peer.received.length, 0);
  seen[0]?.respond(200);
  await clock.settle();
  assert.is(peer.responses(200).length, 1);
  await stack.stop();
});

test('a second final response is ignored', async () => {
  const { clock, stack, peer } = await scene();
  stack.on('MESSAGE', (incoming) => {
    incoming.respond(200);
    assert.is(incoming.responded, true);
    incoming.respond(500);
  });
  peer.send(uas, text('MESSAGE', to));
  await clock.settle();
  assert.equal(
    peer.responses().map((response) => response.status),
    [200],
  );
  await stack.stop();
});

// UAC                UAS
//  |--INVITE--------->|
//  |<----405----------|   t = 0, 0.5, 1.5, 3.5, 7.5 … timer G, until the ACK
//  |--ACK------------>|   confirmed, timer I
test('an INVITE gets 405 with Allow, sent again until the ACK', async () => {
  const { clock, stack, peer } = await scene();
  stack.on('MESSAGE', () => undefined);
  peer.send(uas, text('INVITE', to));
  await clock.advance(4_000);
  const refused = peer.responses(405);
  assert.is(refused.length, 4);
  assert.match(refused[0]?.get('Allow') ?? '', /MESSAGE/);
  assert.is(new Set(refused.map((response) => response.toTag)).size, 1);
  peer.send(uas, text('ACK', to, { to: `<${to}>;tag=${refused[0]?.toTag}` }));
  await clock.advance(4_000);
  assert.is(peer.responses().length, 4);
  await clock.advance(3_000);
  assert.is(stack.counts()['transactions.server'], 0);
  assert.is(clock.pending(), 0);
});

test('an INVITE whose ACK never comes ends with timer H', async () => {
  const { clock, stack, peer } = await scene();
  peer.send(uas, text('INVITE', to));
  await clock.advance(33_000);
  assert.is(stack.counts()['transactions.server'], 0);
  assert.is(clock.pending(), 0);
  assert.is(peer.responses(405).length, 11);
});

test('an INVITE accepted by a handler absorbs its retransmissions (RFC 6026)', async () => {
  const { clock, stack, peer, seen } = await scene();
  stack.on('INVITE', (incoming) => void seen.push(incoming));
  peer.send(uas, text('INVITE', to));
  await clock.advance(300);
  assert.is(peer.responses(100).length, 1, '100 after 200 ms');
  seen[0]?.respond(200);
  await clock.settle();
  peer.send(uas, text('INVITE', to));
  await clock.settle();
  assert.is(peer.responses(200).length, 1);
  assert.is(seen.length, 1);
  await clock.advance(33_000);
  assert.is(stack.counts()['transactions.server'], 0);
});

// UAC            UAS
//  |--INVITE----->|  handler thinks
//  |--CANCEL----->|
//  |<----200------|  to CANCEL
//  |<----487------|  to INVITE
test('CANCEL: 200 and 487 for a waiting INVITE, 200 alone for a MESSAGE, 481 for nothing', async () => {
  const { clock, stack, peer, seen } = await scene();
  stack.on('INVITE', (incoming) => void seen.push(incoming));
  stack.on('MESSAGE', (incoming) => void seen.push(incoming));
  peer.send(uas, text('INVITE', to, { branch: 'z9hG4bKi' }));
  await clock.settle();
  peer.send(uas, text('CANCEL', to, { branch: 'z9hG4bKi' }));
  await clock.settle();
  assert.equal(
    peer.responses().map((one) => [one.status, one.cseq?.method]),
    [
      [200, 'CANCEL'],
      [487, 'INVITE'],
    ],
  );
  peer.received.length = 0;
  peer.send(uas, text('MESSAGE', to, { branch: 'z9hG4bKm', callId: 'm' }));
  await clock.settle();
  peer.send(uas, text('CANCEL', to, { branch: 'z9hG4bKm', callId: 'm' }));
  await clock.settle();
  assert.equal(
    peer.responses().map((one) => [one.status, one.cseq?.method]),
    [[200, 'CANCEL']],
  );
  assert.is(seen[1]?.responded, false);
  peer.send(uas, text('CANCEL', to, { branch: 'z9hG4bKnone', callId: 'n' }));
  await clock.settle();
  assert.is(peer.responses(481).length, 1);
  await stack.stop();
});

test('an ACK is never answered, whatever it belongs to', async () => {
  const { clock, stack, peer } = await scene();
  peer.send(uas, text('ACK', to));
  peer.send(uas, text('ACK', to).replace('CSeq: 1 ACK', 'CSeq: 1 INVITE'));
  peer.send(uas, text('ACK', to).replace('From:', 'Frm:'));
  await clock.settle();
  assert.is(peer.received.length, 0);
  assert.is(stack.counts()['transactions.server'], 0);
});

test('known methods without a handler get 405, unknown ones 501, both with Allow', async () => {
  const { clock, stack, peer } = await scene();
  stack.on('MESSAGE', () => undefined);
  peer.send(uas, text('PUBLISH', to, { branch: 'z9hG4bK1' }));
  peer.send(uas, text('DANCE', to, { branch: 'z9hG4bK2', callId: '2' }));
  await clock.settle();
  assert.equal(
    peer.responses().map((one) => [one.status, one.get('Allow')]),
    [
      [405, 'MESSAGE'],
      [501, 'MESSAGE'],
    ],
  );
  assert.equal(peer.responses(501)[0]?.all('Allow'), ['MESSAGE', 'OPTIONS']);
  await stack.stop();
});

test('OPTIONS is answered with what is there when nobody handles it', async () => {
  const { clock, stack, peer } = await scene({ supported: ['path'], userAgent: 'tiny/1' });
  stack.on('MESSAGE', () => undefined);
  peer.send(uas, text('OPTIONS', to));
  await clock.settle();
  const [response] = peer.responses(200);
  assert.equal(response?.all('Allow'), ['MESSAGE', 'OPTIONS']);
  assert.is(response?.get('Supported'), 'path');
  assert.is(response?.get('Server'), 'tiny/1');
  await stack.stop();
});

test('Require of something unknown gets 420 with Unsupported; a proxy lets it pass', async () => {
  const headers = ['Require: path, 100rel', 'Require: gruu'];
  const plain = await scene({ supported: ['path'] });
  plain.stack.on('MESSAGE', (incoming) => incoming.respond(200));
  plain.peer.send(uas, text('MESSAGE', to, { headers }));
  await plain.clock.settle();
  const [refused] = plain.peer.responses(420);
  assert.equal(refused?.all('Unsupported'), ['100rel', 'gruu']);
  const proxy = await scene({ proxy: true });
  proxy.stack.on('MESSAGE', (incoming) => incoming.respond(200));
  proxy.peer.send(uas, text('MESSAGE', to, { headers }));
  await proxy.clock.settle();
  assert.is(proxy.peer.responses(200).length, 1);
});

test('the same request by another path gets 482; a digest retry and a reply in a dialog do not', async () => {
  const { clock, stack, peer, seen } = await scene();
  stack.on('MESSAGE', (incoming) => void seen.push(incoming));
  peer.send(uas, text('MESSAGE', to, { branch: 'z9hG4bK1' }));
  peer.send(uas, text('MESSAGE', to, { branch: 'z9hG4bK2' }));
  await clock.settle();
  assert.is(peer.responses(482).length, 1);
  peer.send(uas, text('MESSAGE', to, { branch: 'z9hG4bK3', cseq: 2 }));
  peer.send(uas, text('MESSAGE', to, { branch: 'z9hG4bK4', to: `<${to}>;tag=known` }));
  await clock.settle();
  assert.is(seen.length, 3);
  assert.is(peer.responses(482).length, 1);
  await stack.stop();
});

test('S36: only the whole key makes a duplicate: the same Call-ID alone is a new request', async () => {
  const { clock, stack, peer, seen } = await scene();
  stack.on('MESSAGE', (incoming) => {
    seen.push(incoming);
    incoming.respond(200);
  });
  for (let cseq = 1; cseq <= 5; cseq += 1)
    peer.send(uas, text('MESSAGE', to, { branch: `z9hG4bK${cseq}`, callId: 'same', cseq }));
  await clock.settle();
  assert.is(seen.length, 5);
  assert.is(peer.responses(200).length, 5);
  await stack.stop();
});

test('what cannot be read is refused without a transaction, and the same way each time', async () => {
  const { clock, stack, peer } = await scene();
  stack.on('MESSAGE', () => assert.unreachable('reached the handler'));
  const bad = [
    text('MESSAGE', to).replace('CSeq: 1 MESSAGE', 'CSeq: 1 OPTIONS'),
    text('MESSAGE', to).replace(/Call-ID.*\n/, ''),
    text('MESSAGE', to).replace('From: <sip:alice@example.com>;tag=alice', 'From: <sip:alice@example.com'),
    text('MESSAGE', to).replace('Max-Forwards: 70', 'Max-Forwards: many'),
  ];
  for (const one of bad) peer.send(uas, one);
  await clock.settle();
  assert.is(peer.responses(400).length, bad.length);
  peer.send(uas, bad[0] ?? '');
  await clock.settle();
  const first = peer.responses(400)[0];
  assert.is(first?.toTag, peer.responses(400).at(-1)?.toTag);
  assert.is(stack.counts()['transactions.server'], 0);
  assert.is(clock.pending(), 0);
});

test('another version gets 505, another scheme 416', async () => {
  const { clock, stack, peer } = await scene();
  stack.on('MESSAGE', () => assert.unreachable('reached the handler'));
  peer.send(uas, text('MESSAGE', to).replace(/SIP\/2\.0\n/, 'SIP/7.0\n'));
  peer.send(uas, text('MESSAGE', 'nobody:knows', { to: `<${to}>` }));
  await clock.settle();
  assert.is(peer.responses(505).length, 1);
  assert.is(peer.responses(416).length, 1);
  await stack.stop();
});

test('noise, empty datagrams and stray responses are nothing', async () => {
  const { clock, stack, peer } = await scene();
  for (const noise of ['', '\n\n\n', 'hello', 'SIP/2.0 200 OK\n\n', '\u0000\u0001\u0002', 'a'.repeat(70_000)])
    peer.send(uas, noise);
  await clock.settle();
  assert.is(peer.received.length, 0);
  assert.is(stack.counts()['transactions.server'], 0);
});

test('RFC 3581: received and rport are filled in, and the answer goes back to the source', async () => {
  const { clock, stack, peer, network } = await scene();
  stack.on('MESSAGE', (incoming) => incoming.respond(200));
  peer.send(uas, text('MESSAGE', to, { via: 'Via: SIP/2.0/UDP 192.168.0.5:9999;branch=z9hG4bKr;rport' }));
  await clock.settle();
  assert.is(
    peer.responses(200)[0]?.get('Via'),
    'SIP/2.0/UDP 192.168.0.5:9999;branch=z9hG4bKr;received=10.0.0.9;rport=5060',
  );
  assert.ok(network);
  await stack.stop();
});

test('a marked Via keeps the spelling, the order and the repeated names of its other parameters', async () => {
  const { clock, stack, peer } = await scene();
  stack.on('MESSAGE', (incoming) => incoming.respond(200));
  const marked = 'received=10.0.0.9;rport=5060';
  // What the peer writes, and what it gets back.
  for (const [i, [sent, back]] of (
    [
      ['SIP/2.0/UDP h;bY=1;rport;By;branch=B', `SIP/2.0/UDP h;bY=1;By;branch=B;${marked}`],
      ['SIP / 2.0 / udp h ;branch=B ; RPORT =1', `SIP / 2.0 / udp h ;branch=B;${marked}`],
      ['SIP/2.0/UDP h;x=";rport;";rport;branch=B', `SIP/2.0/UDP h;x=";rport;";branch=B;${marked}`],
      ['SIP/2.0/UDP h;rport;received="\\";1";branch=B', `SIP/2.0/UDP h;branch=B;${marked}`],
      ['SIP/2.0/UDP h;rport;Received=[::1];branch=B;rport=7', `SIP/2.0/UDP h;branch=B;${marked}`],
      ['SIP/2.0/UDP h;received=1.1.1.1;branch=B;xrport', 'SIP/2.0/UDP h;branch=B;xrport;received=10.0.0.9'],
      [
        'SIP/2.0/UDP h;branch=B;rport,SIP/2.0/UDP i;rport',
        `SIP/2.0/UDP h;branch=B;${marked},SIP/2.0/UDP i;rport`,
      ],
      ['\r\n SIP/2.0/UDP\r\n h;branch=B;rport\r\n\t', `SIP/2.0/UDP h;branch=B;${marked}`],
    ] as const
  ).entries()) {
    const branch = `z9hG4bK${i}`;
    peer.send(uas, text('MESSAGE', to, { via: `Via: ${sent.replace('=B', `=${branch}`)}`, callId: branch }));
    await clock.settle();
    assert.is(peer.responses(200).at(-1)?.lines('Via')[0], back.replace('=B', `=${branch}`));
  }
  await stack.stop();
});

test('RFC 3261 §18.2.2: without rport the answer goes to the port in Via', async () => {
  const rig = createRig();
  const stack = await rig.stack('10.0.0.1');
  stack.on('MESSAGE', (incoming) => incoming.respond(200));
  const peer = await rig.peer('10.0.0.9', 40_000);
  const listening = await rig.peer('10.0.0.9', 5070);
  peer.send(uas, text('MESSAGE', to, { via: 'Via: SIP/2.0/UDP 10.0.0.9:5070;branch=z9hG4bKr' }));
  await rig.clock.settle();
  assert.is(peer.received.length, 0);
  assert.is(listening.responses(200).length, 1);
  assert.is(listening.responses(200)[0]?.topVia?.received, undefined);
  await stack.stop();
});

test('a full table answers 503 with Retry-After, statelessly', async () => {
  const { clock, stack, peer, log } = await scene({ limits: { serverTransactions: 2 } });
  stack.on('MESSAGE', () => undefined);
  for (let i = 0; i < 4; i += 1)
    peer.send(uas, text('MESSAGE', to, { branch: `z9hG4bK${i}`, callId: `c${i}` }));
  await clock.settle();
  assert.is(peer.responses(503).length, 2);
  assert.ok(peer.responses(503)[0]?.has('Retry-After'));
  assert.is(stack.counts()['transactions.server'], 2);
  assert.is(log.lines.filter((line) => line.level === 'warn').length, 1, 'told once');
  await stack.stop();
});

test('a handler that throws is answered 500; one that writes a line break too', async () => {
  const { clock, stack, peer, log } = await scene();
  stack.on('MESSAGE', () => {
    throw new Error('oops');
  });
  stack.on('INFO', (incoming) => incoming.respond(200, { headers: { 'X-Bad': 'a\r\nInjected: yes' } }));
  peer.send(uas, text('MESSAGE', to));
  peer.send(uas, text('INFO', to, { branch: 'z9hG4bKi', callId: 'i' }));
  await clock.settle();
  assert.is(peer.responses(500).length, 2);
  assert.ok(peer.responses().every((one) => !one.has('Injected')));
  assert.is(log.lines.filter((line) => line.level === 'error').length, 2);
  await stack.stop();
});

test('a handler that takes its time and then rejects is answered 500', async () => {
  const { clock, stack, peer, log } = await scene();
  stack.on('MESSAGE', async () => {
    await Promise.resolve();
    throw new Error('oops');
  });
  peer.send(uas, text('MESSAGE', to));
  await clock.settle();
  assert.is(peer.responses(500).length, 1);
  assert.is(log.lines.filter((line) => line.level === 'error').length, 1);
  await stack.stop();
});

test('a later handler shadows an earlier one until it is removed; "*" takes the rest', async () => {
  const { clock, stack, peer } = await scene();
  const calls: string[] = [];
  stack.on('*', (incoming) => {
    calls.push(`*${incoming.request.method}`);
    incoming.respond(200);
  });
  stack.on('MESSAGE', (incoming) => {
    calls.push('first');
    incoming.respond(200);
  });
  const leave = stack.on('MESSAGE', (incoming) => {
    calls.push('second');
    incoming.respond(200);
  });
  let n = 0;
  const send = async (method: string) => {
    n += 1;
    peer.send(uas, text(method, to, { branch: `z9hG4bK${n}`, callId: `${n}` }));
    await clock.settle();
  };
  await send('MESSAGE');
  leave();
  await send('MESSAGE');
  await send('DANCE');
  assert.equal(calls, ['second', 'first', '*DANCE']);
  await stack.stop();
});

test('a claimed dialog takes its requests before any method handler', async () => {
  const { clock, stack, peer } = await scene();
  const calls: string[] = [];
  stack.on('INFO', (incoming) => {
    calls.push('method');
    incoming.respond(200);
  });
  const leave = stack.claim('call-9', 'mine', (incoming) => {
    calls.push('dialog');
    incoming.respond(200);
  });
  const inside = (branch: string) => text('INFO', to, { branch, callId: 'call-9', to: `<${to}>;tag=mine` });
  peer.send(uas, inside('z9hG4bK1'));
  await clock.settle();
  assert.is(stack.counts().dialogs, 1);
  leave();
  peer.send(uas, inside('z9hG4bK2'));
  await clock.settle();
  assert.equal(calls, ['dialog', 'method']);
  assert.is(stack.counts().dialogs, 0);
  await stack.stop();
});

test('compact header names out and in', async () => {
  const { clock, stack, peer, seen } = await scene({ compact: true });
  stack.on('MESSAGE', (incoming) => {
    seen.push(incoming);
    incoming.respond(200, { body: 'x', contentType: 'text/plain' });
  });
  const compact = text('MESSAGE', to)
    .replace('Via:', 'v:')
    .replace('From:', 'f:')
    .replace('To:', 't:')
    .replace('Call-ID:', 'i:')
    .replace('Content-Length:', 'l:');
  peer.send(uas, compact);
  await clock.settle();
  assert.is(seen[0]?.request.callId, 'call-1');
  assert.is(peer.responses(200)[0]?.text(), 'x');
  await stack.stop();
});

test('an RFC 2543 client without the branch cookie is matched by its whole set of fields', async () => {
  const { clock, stack, peer, seen } = await scene();
  stack.on('MESSAGE', (incoming) => void seen.push(incoming));
  const old = (cseq: number) => text('MESSAGE', to, { via: 'Via: SIP/2.0/UDP 10.0.0.9;branch=1', cseq });
  peer.send(uas, old(1));
  peer.send(uas, old(1));
  peer.send(uas, old(2));
  await clock.settle();
  assert.is(seen.length, 2);
  assert.ok(read(old(1)));
  await stack.stop();
});

test('a To tag that is no token neither throws nor ends anything', async () => {
  const { clock, stack, peer } = await scene();
  stack.on('MESSAGE', async (incoming) => {
    await Promise.resolve();
    incoming.respond(200);
  });
  peer.send(uas, text('MESSAGE', to, { to: `<${to}>;tag=x:y` }));
  peer.send(uas, text('SUBSCRIBE', to, { to: `<${to}>;tag="q"`, branch: 'z9hG4bKs', callId: 's' }));
  await clock.advance(5_000);
  peer.send(uas, text('MESSAGE', to, { branch: 'z9hG4bKnext', callId: 'next' }));
  await clock.settle();
  assert.is(peer.responses().at(-1)?.callId, 'next');
  await stack.stop();
});

test('a Require that names no option gets 400, and nothing is logged as our error', async () => {
  const { clock, stack, peer, log } = await scene();
  for (const [i, value] of ['"\\\0"', '100rel, a b', 'x=y'].entries())
    peer.send(
      uas,
      text('OPTIONS', to, { branch: `z9hG4bK${i}`, callId: `${i}`, headers: [`Require: ${value}`] }),
    );
  await clock.settle();
  assert.equal(
    peer.responses().map((response) => response.status),
    [400, 400, 400],
  );
  assert.is(log.lines.filter((line) => line.level === 'error').length, 0);
  await stack.stop();
});

test('an asynchronous handler that fails answers as one that throws, and rejects nowhere else', async () => {
  const { clock, stack, peer, log } = await scene();
  stack.on('MESSAGE', async ({ request }) => {
    await Promise.resolve();
    if (request.callId === 'ours') throw new Error('broken');
    void request.vias;
  });
  peer.send(uas, text('MESSAGE', to, { branch: 'z9hG4bK1', callId: 'ours' }));
  peer.send(
    uas,
    text('MESSAGE', to, { branch: 'z9hG4bK2', callId: 'theirs', headers: ['Via: SIP/2.0/UDP h;branch=x,;'] }),
  );
  await clock.settle();
  assert.equal(
    peer.responses().map((response) => [response.callId, response.status]),
    [
      ['ours', 500],
      ['theirs', 400],
    ],
  );
  assert.is(log.lines.filter((line) => line.level === 'error').length, 1);
  await stack.stop();
});

test('a header that only the handler reads and cannot: 400, the sender is at fault', async () => {
  const { clock, stack, peer, log } = await scene();
  stack.on('MESSAGE', (incoming) => {
    incoming.respond(200, { headers: { 'X-Vias': String(incoming.request.vias.length) } });
  });
  peer.send(uas, text('MESSAGE', to, { headers: ['Via: SIP/2.0/UDP h;branch=x,;rport'] }));
  await clock.settle();
  assert.is(peer.responses(400).length, 1);
  assert.is(log.lines.filter((line) => line.level === 'error').length, 0);
  await stack.stop();
});
