import { createDigestClient, serialise } from 'tiny-sip';
import * as assert from 'uvu/assert';
import { createFakeRandom } from '../../support/fake-random.ts';
import { suite } from '../../support/harness.ts';
import { resource, type Scene, scene, serve, target } from './subscription-scene.ts';

const test = suite('tiny-sip subscription client');

const kinds = (one: Scene) => one.states.map((state) => state.kind);

// watcher             server
//  |--SUBSCRIBE--------->|
//  |<----200 exp 600-----|
//  |<----NOTIFY active---|
//  |--SUBSCRIBE--------->|  refresh in the dialog, through its route set
//  |--SUBSCRIBE exp 0--->|
//  |<----NOTIFY term.----|
test('S16: subscribes, refreshes through the route set with its full expiry, unsubscribes', async () => {
  const one = await scene();
  const subscription = one.subscription({ event: 'presence' });
  subscription.start();
  await one.clock.settle();
  const first = one.server.last('SUBSCRIBE');
  assert.is(first.uri, resource);
  assert.is(first.get('Contact'), '<sip:alice@10.0.0.1:5060>');
  assert.is(first.get('Accept'), 'application/pidf+xml');
  assert.is(first.expires, 600);
  one.server.answer(first, 200, { Expires: 300 });
  assert.is(
    await one.notify(first, 'active;expires=300', {
      body: '<a/>',
      headers: { 'Record-Route': ['<sip:10.0.0.2:5060;lr>', '<sip:far.example.com;lr>'] },
    }),
    200,
  );
  assert.equal(kinds(one), ['subscribing', 'active']);
  assert.is(one.notified[0]?.body.toString(), '<a/>');
  assert.is(one.notified[0]?.contentType, 'application/pidf+xml');
  await one.clock.advance(125_000);
  const refresh = one.server.last('SUBSCRIBE');
  assert.is.not(refresh, first);
  assert.is(refresh.uri, 'sip:server@10.0.0.2:5060;x=1');
  assert.equal(refresh.all('Route'), ['<sip:10.0.0.2:5060;lr>', '<sip:far.example.com;lr>']);
  assert.is(refresh.expires, 600);
  assert.is(refresh.callId, first.callId);
  assert.is(refresh.fromTag, first.fromTag);
  assert.is(refresh.toTag, 'peer');
  assert.is(refresh.cseq?.number, 2);
  assert.is(refresh.get('Event'), 'presence');
  assert.is(
    serialise(refresh).toString(),
    [
      'SUBSCRIBE sip:server@10.0.0.2:5060;x=1 SIP/2.0',
      `Via: SIP/2.0/UDP 10.0.0.1:5060;branch=${refresh.topVia?.branch};rport`,
      'Route: <sip:10.0.0.2:5060;lr>',
      'Route: <sip:far.example.com;lr>',
      `From: <sip:alice@example.com>;tag=${first.fromTag}`,
      'To: <sip:freezer@example.com>;tag=peer',
      `Call-ID: ${first.callId}`,
      'CSeq: 2 SUBSCRIBE',
      'Contact: <sip:alice@10.0.0.1:5060>',
      'Event: presence',
      'Expires: 600',
      'Accept: application/pidf+xml',
      'Max-Forwards: 70',
      'Content-Length: 0',
      '',
      '',
    ].join('\r\n'),
  );
  one.server.answer(refresh, 200, { Expires: 300 });
  await one.notify(first, 'active;expires=300');
  let done = false;
  subscription.unsubscribe().then(() => {
    done = true;
  });
  await one.clock.settle();
  const last = one.server.last('SUBSCRIBE');
  assert.is(last.expires, 0);
  one.server.answer(last, 200, { Expires: 0 });
  await one.clock.settle();
  assert.is(done, false, 'waits for the last NOTIFY');
  await one.notify(first, 'terminated;reason=timeout', { body: '<last/>' });
  assert.is(done, true);
  assert.is(one.notified.at(-1)?.body.toString(), '<last/>');
  assert.equal(subscription.state, { kind: 'terminated', reason: 'unsubscribed' });
  assert.is(one.stack.counts().dialogs, 0);
  await one.clock.advance(33_000);
  assert.is(one.clock.pending(), 0);
});

// watcher             server
//  |--SUBSCRIBE--------->|
//  |<----NOTIFY----------|  before the 200
//  |-----200------------>|
//  |<----200-------------|
test('S13: a NOTIFY that comes before the 200 makes the dialog', async () => {
  const one = await scene();
  const subscription = one.subscription();
  subscription.start();
  await one.clock.settle();
  const subscribe = one.server.last('SUBSCRIBE');
  assert.is(await one.notify(subscribe, 'active;expires=600', { body: '<early/>' }), 200);
  assert.is(subscription.state.kind, 'active');
  one.server.answer(subscribe, 200, { Expires: 600 });
  await one.clock.settle();
  assert.is(subscription.state.kind, 'active');
  assert.is(one.notified.length, 1);
  subscription.stop();
});

test('S13: a fetch whose only NOTIFY overtakes the 200', async () => {
  const one = await scene();
  const subscription = one.subscription({ expires: 0 });
  subscription.start();
  await one.clock.settle();
  const subscribe = one.server.last('SUBSCRIBE');
  assert.is(subscribe.expires, 0);
  assert.is(await one.notify(subscribe, 'terminated;reason=timeout', { body: '<now/>' }), 200);
  assert.equal(subscription.state, { kind: 'terminated', reason: 'fetched' });
  assert.is(one.notified[0]?.body.toString(), '<now/>');
  one.server.answer(subscribe, 200, { Expires: 0 });
  await one.clock.advance(40_000);
  assert.is(one.server.requests().length, 1);
  assert.is(one.clock.pending(), 0);
});

test('a fetch that is refused or gets no NOTIFY ends, and is not repeated', async () => {
  for (const status of [403, 404, 489, 503, 200]) {
    const one = await scene();
    const subscription = one.subscription({ expires: 0 });
    one.server.onRequest = (request) => one.server.answer(request, status, { Expires: 0 });
    subscription.start();
    await one.clock.advance(33_000);
    assert.is(subscription.state.kind, 'terminated', `${status}`);
    await one.clock.advance(2_000_000);
    assert.is(one.server.requests().length, 1);
    assert.is(one.clock.pending(), 0);
  }
});

// SUBSCRIBE 2xx at 0 s; NOTIFYs without expires every 10 s; refresh still before 600 s
test('S15: NOTIFYs without expires do not move the refresh; nor do those that only repeat what is left', async () => {
  for (const expires of [false, true]) {
    const one = await scene();
    const subscription = one.subscription();
    subscription.start();
    await one.clock.settle();
    const subscribe = one.server.last('SUBSCRIBE');
    one.server.answer(subscribe, 200, { Expires: 600 });
    const times: number[] = [];
    one.server.onRequest = () => void times.push(one.clock.now());
    for (let n = 0; n < 30; n += 1) {
      await one.notify(subscribe, expires ? `active;expires=${600 - n * 10}` : 'active');
      await one.clock.advance(10_000);
    }
    const [first] = times;
    assert.ok(first !== undefined && first >= 216_000 && first <= 240_600, `${first}`);
    subscription.stop();
  }
});

// watcher             server
//  |--SUBSCRIBE--------->|  soon after the last one
//  |<----NOTIFY exp 600--|  overtakes the 200
//  |<----200-------------|
//  |--SUBSCRIBE--------->|  in time, all the same
test('S15: a refresh soon after another, whose NOTIFY overtakes its 200, is followed by the next', async () => {
  const one = await scene();
  const subscription = one.subscription();
  subscription.start();
  await one.clock.settle();
  const first = one.server.last('SUBSCRIBE');
  one.server.answer(first, 200, { Expires: 600 });
  await one.notify(first, 'active;expires=600');
  subscription.refresh();
  await one.clock.settle();
  await one.notify(first, 'active;expires=600');
  one.server.answer(one.server.last('SUBSCRIBE'), 200, { Expires: 600 });
  await one.clock.advance(300_000);
  const numbers = one.server.requests('SUBSCRIBE').map((request) => request.cseq?.number);
  assert.equal([...new Set(numbers)], [1, 2, 3]);
  subscription.stop();
});

test('a NOTIFY that shortens the subscription is believed', async () => {
  const one = await scene();
  const subscription = one.subscription({ expires: 3600 });
  subscription.start();
  await one.clock.settle();
  const subscribe = one.server.last('SUBSCRIBE');
  one.server.answer(subscribe, 200, { Expires: 3600 });
  await one.notify(subscribe, 'active;expires=100');
  const { state } = subscription;
  assert.is(state.kind === 'active' && state.expiresAt - one.clock.now(), 100_000);
  await one.clock.advance(41_000);
  assert.is(one.server.requests('SUBSCRIBE').length >= 2, true);
  subscription.stop();
});

test('S22: a NOTIFY after the end gets 481, and nothing else happens', async () => {
  const one = await scene();
  const subscription = one.subscription();
  subscription.start();
  await one.clock.settle();
  const subscribe = one.server.last('SUBSCRIBE');
  one.server.answer(subscribe, 200, { Expires: 600 });
  await one.notify(subscribe, 'active');
  assert.is(await one.notify(subscribe, 'terminated;reason=rejected'), 200);
  const count = one.notified.length;
  const before = one.states.length;
  assert.is(await one.notify(subscribe, 'active;expires=600', { body: '<ghost/>' }), 481);
  assert.is(await one.notify(subscribe, 'terminated'), 481);
  assert.is(one.notified.length, count);
  assert.is(one.states.length, before);
  await one.clock.advance(33_000);
  assert.is(one.clock.pending(), 0);
});

// What each reason leads to, for a subscription that stood for a minute.
for (const [reason, expected, least, most] of [
  ['deactivated', 'anew', 0, 1],
  ['timeout', 'anew', 0, 1],
  ['probation', 'later', 30, 38],
  ['probation;retry-after=90', 'later', 90, 113],
  ['giveup', 'later', 30, 38],
  ['giveup;retry-after=50', 'later', 50, 63],
  ['whatever', 'later', 30, 38],
  ['', 'later', 30, 38],
  ['rejected', 'never', 0, 0],
  ['noresource', 'never', 0, 0],
  ['invariant;retry-after=60', 'never', 0, 0],
] as const)
  test(`S14: terminated with "${reason}": a new Call-ID ${expected}`, async () => {
    const one = await scene();
    const subscription = one.subscription();
    subscription.start();
    await one.clock.settle();
    const first = one.server.last('SUBSCRIBE');
    one.server.answer(first, 200, { Expires: 600 });
    await one.notify(first, 'active');
    await one.clock.advance(60_000);
    const times: number[] = [];
    one.server.onRequest = () => void times.push(one.clock.now());
    const ended = one.clock.now();
    assert.is(await one.notify(first, reason === '' ? 'terminated' : `terminated;reason=${reason}`), 200);
    await one.clock.advance(most * 1000 + 600);
    if (expected === 'never') {
      assert.is(subscription.state.kind, 'terminated');
      await one.clock.advance(100_000);
      assert.is(times.length, 0);
    } else {
      const waited = (times[0] ?? Number.NaN) - ended;
      assert.ok(waited >= least * 1000 && waited <= most * 1000 + 600, `${waited}`);
      const next = one.server.last('SUBSCRIBE');
      assert.is.not(next.callId, first.callId);
      assert.is.not(next.fromTag, first.fromTag);
      assert.is(next.toTag, undefined);
    }
    subscription.stop();
  });

test('S18: a server that ends every subscription at once is not asked in a loop', async () => {
  const one = await scene();
  one.server.onRequest = (request) => {
    one.server.answer(request, 200, { Expires: 600 });
    one.notify(request, 'terminated;reason=deactivated');
  };
  const subscription = one.subscription();
  subscription.start();
  await one.clock.advance(600_000);
  const count = one.server.requests('SUBSCRIBE').length;
  assert.ok(count >= 3 && count <= 6, `${count} in ten minutes`);
  subscription.stop();
});

for (const [status, headers, kind, least, most] of [
  [404, {}, 'waiting', 30, 38],
  [408, {}, 'waiting', 30, 38],
  [480, {}, 'waiting', 30, 38],
  [481, {}, 'waiting', 30, 38],
  [500, {}, 'waiting', 30, 38],
  [503, { 'Retry-After': 100 }, 'waiting', 100, 125],
  [401, {}, 'refused', 900, 1126],
  [403, {}, 'refused', 900, 1126],
  [405, {}, 'refused', 900, 1126],
  [406, {}, 'refused', 900, 1126],
  [489, {}, 'refused', 900, 1126],
  [603, {}, 'refused', 900, 1126],
] as const)
  test(`S18: ${status} ${JSON.stringify(headers)} to SUBSCRIBE is ${kind} for ${least} s and more`, async () => {
    const one = await scene();
    const times: number[] = [];
    one.server.onRequest = (request) => {
      times.push(one.clock.now());
      one.server.answer(request, status, headers);
    };
    const subscription = one.subscription();
    subscription.start();
    await one.clock.settle();
    assert.is(subscription.state.kind, kind);
    assert.is(one.stack.counts().dialogs, 0);
    await one.clock.advance(most * 1000 + 600);
    const waited = (times[1] ?? Number.NaN) - (times[0] ?? 0);
    assert.ok(waited >= least * 1000 && waited <= most * 1000 + 600, `${waited}`);
    subscription.stop();
  });

test('423 is followed once with Min-Expires', async () => {
  const one = await scene();
  let min = 1000;
  one.server.onRequest = (request) => {
    one.server.answer(request, 423, { 'Min-Expires': min });
    min *= 2;
  };
  const subscription = one.subscription();
  subscription.start();
  await one.clock.settle();
  assert.equal(
    one.server.requests().map((request) => request.expires),
    [600, 1000],
  );
  assert.is(subscription.state.kind, 'waiting');
  subscription.stop();
});

test('timer N: accepted, but no NOTIFY within 32 s is a failure', async () => {
  const one = await scene();
  one.server.onRequest = (request) => one.server.answer(request, 200, { Expires: 600 });
  const subscription = one.subscription();
  subscription.start();
  await one.clock.advance(31_900);
  assert.is(subscription.state.kind, 'subscribing');
  await one.clock.advance(700);
  assert.is(subscription.state.kind, 'waiting');
  assert.is(await one.notify(one.server.last('SUBSCRIBE'), 'active'), 481, 'too late');
  subscription.stop();
});

test('timer N after a refresh: a notifier that fell silent is subscribed to anew', async () => {
  const one = await scene();
  const subscription = one.subscription();
  subscription.start();
  await one.clock.settle();
  const first = one.server.last('SUBSCRIBE');
  one.server.answer(first, 200, { Expires: 600 });
  await one.notify(first, 'active');
  one.server.onRequest = (request) => one.server.answer(request, 200, { Expires: 600 });
  subscription.refresh();
  await one.clock.advance(33_000);
  assert.is(subscription.state.kind, 'waiting');
  await one.clock.advance(40_000);
  assert.is.not(one.server.last('SUBSCRIBE').callId, first.callId);
  subscription.stop();
});

test('204 to a refresh means that no NOTIFY comes (RFC 5839)', async () => {
  const one = await scene();
  const subscription = one.subscription();
  subscription.start();
  await one.clock.settle();
  const first = one.server.last('SUBSCRIBE');
  one.server.answer(first, 200, { Expires: 600 });
  await one.notify(first, 'active');
  one.server.onRequest = (request) => one.server.answer(request, 204, { Expires: 600 });
  subscription.refresh();
  await one.clock.advance(60_000);
  assert.is(subscription.state.kind, 'active');
  subscription.stop();
});

// watcher             server
//  |--SUBSCRIBE--------->|  nonce changes with every request
//  |<----401-------------|
//  |--SUBSCRIBE + auth-->|
//  |<----200, NOTIFY-----|
test('S17: nonces rotated with every request for an hour lose no NOTIFY and no dialog', async () => {
  const one = await scene();
  let nonce = 0;
  let sent = 0;
  one.server.onRequest = (request) => {
    if (request.method !== 'SUBSCRIBE') return;
    const right = (request.get('Authorization') ?? '').includes(`nonce="n${nonce}"`);
    nonce += 1;
    if (right) {
      one.server.answer(request, 200, { Expires: 120 });
      sent += 1;
      one.notify(request, 'active;expires=120', { body: `${sent}` });
    } else
      one.server.answer(request, 401, {
        'WWW-Authenticate': `Digest realm="r",nonce="n${nonce}",qop="auth"`,
      });
  };
  const credentials = createDigestClient({ random: createFakeRandom(4) }, { username: 'u', password: 'p' });
  const subscription = one.subscription({ credentials });
  subscription.start();
  await one.clock.advance(3_600_000);
  assert.is(subscription.state.kind, 'active');
  assert.is(new Set(one.server.requests('SUBSCRIBE').map((request) => request.callId)).size, 1);
  assert.equal(
    one.notified.map((notify) => notify.body.toString()),
    Array.from({ length: sent }, (_, n) => `${n + 1}`),
  );
  assert.ok(sent > 60, `${sent}`);
  const tries = one.server.requests('SUBSCRIBE').length;
  assert.ok(tries <= 2 * sent, `${tries} tries for ${sent} subscriptions`);
  const seqs = one.server.requests('SUBSCRIBE').map((request) => request.cseq?.number ?? 0);
  assert.ok(seqs.every((seq, n) => n === 0 || seq > (seqs[n - 1] ?? 0)));
  subscription.stop();
});

test('S17: a refresh that is refused 401 leaves the subscription alone until it expires', async () => {
  const one = await scene();
  const subscription = one.subscription();
  subscription.start();
  await one.clock.settle();
  const first = one.server.last('SUBSCRIBE');
  one.server.answer(first, 200, { Expires: 600 });
  await one.notify(first, 'active');
  one.server.onRequest = (request) =>
    one.server.answer(request, 401, { 'WWW-Authenticate': 'Digest realm="r",nonce="n"' });
  await one.clock.advance(300_000);
  assert.is(subscription.state.kind, 'active');
  assert.is(await one.notify(first, 'active', { body: '<still/>' }), 200);
  assert.is(new Set(one.server.requests('SUBSCRIBE').map((request) => request.callId)).size, 1);
  await one.clock.advance(310_000);
  assert.ok(new Set(one.server.requests('SUBSCRIBE').map((request) => request.callId)).size > 1);
  subscription.stop();
});

for (const status of [404, 481, 489, 501])
  test(`a refresh refused with ${status} ends the dialog; the next SUBSCRIBE is a new one`, async () => {
    const one = await scene();
    const subscription = one.subscription();
    subscription.start();
    await one.clock.settle();
    const first = one.server.last('SUBSCRIBE');
    one.server.answer(first, 200, { Expires: 600 });
    await one.notify(first, 'active');
    await one.clock.advance(60_000);
    one.server.onRequest = (request) => {
      if (request.toTag !== undefined) one.server.answer(request, status);
    };
    subscription.refresh();
    await one.clock.settle();
    assert.is(await one.notify(first, 'active'), 481);
    await one.clock.advance(1_200_000);
    assert.is.not(one.server.last('SUBSCRIBE').callId, first.callId);
    subscription.stop();
  });

test('NOTIFYs that do not fit: no Subscription-State 400, another package 489, old CSeq 500, a fork 481', async () => {
  const one = await scene();
  const subscription = one.subscription();
  subscription.start();
  await one.clock.settle();
  const subscribe = one.server.last('SUBSCRIBE');
  one.server.answer(subscribe, 200, { Expires: 600 });
  assert.is(await one.notify(subscribe, 'active', { cseq: 10 }), 200);
  assert.is(await one.notify(subscribe, '', { cseq: 11 }), 400);
  assert.is(await one.notify(subscribe, 'active', { cseq: 12, event: 'dialog' }), 489);
  assert.is(await one.notify(subscribe, 'active', { cseq: 9 }), 500);
  assert.is(await one.notify(subscribe, 'active', { cseq: 13, tag: 'fork' }), 481);
  assert.is(
    await one.notify(subscribe, 'active', { cseq: 14, headers: { From: `<${resource}>` } }),
    481,
    'without a tag it is of no dialog of ours',
  );
  assert.is(one.notified.length, 1);
  subscription.stop();
});

test('S25: the owner may answer a NOTIFY otherwise; one that throws gets 500', async () => {
  const one = await scene();
  let mood: 'refuse' | 'throw' = 'refuse';
  const subscription = one.subscription({
    onNotify: () => {
      if (mood === 'throw') throw new Error('oops');
      return { status: 415, headers: { Accept: 'application/pidf+xml' } };
    },
  });
  subscription.start();
  await one.clock.settle();
  const subscribe = one.server.last('SUBSCRIBE');
  one.server.answer(subscribe, 200, { Expires: 600 });
  assert.is(await one.notify(subscribe, 'active'), 415);
  assert.is(one.server.responses(415)[0]?.get('Accept'), 'application/pidf+xml');
  mood = 'throw';
  assert.is(await one.notify(subscribe, 'active'), 500);
  assert.is(subscription.state.kind, 'active');
  subscription.stop();
});

test('pending, then active', async () => {
  const one = await scene();
  const subscription = one.subscription();
  subscription.start();
  await one.clock.settle();
  const subscribe = one.server.last('SUBSCRIBE');
  one.server.answer(subscribe, 200, { Expires: 600 });
  await one.notify(subscribe, 'pending;expires=600');
  await one.notify(subscribe, 'active;expires=600', { body: '<a/>' });
  assert.equal(kinds(one), ['subscribing', 'pending', 'active']);
  assert.is(one.notified[0]?.contentType, undefined);
  subscription.stop();
});

test('unsubscribe while a refresh is in flight goes out, and the answer of the refresh does not end it', async () => {
  const one = await scene();
  const subscription = one.subscription();
  subscription.start();
  await one.clock.settle();
  const first = one.server.last('SUBSCRIBE');
  one.server.answer(first, 200, { Expires: 600 });
  await one.notify(first, 'active');
  subscription.refresh();
  await one.clock.settle();
  const refresh = one.server.last('SUBSCRIBE');
  let done = false;
  subscription.unsubscribe().then(() => {
    done = true;
  });
  await one.clock.settle();
  const last = one.server.last('SUBSCRIBE');
  assert.is(last.expires, 0);
  assert.is(last.cseq?.number, 3);
  one.server.answer(refresh, 200, { Expires: 600 });
  await one.clock.settle();
  assert.is(done, false);
  one.server.answer(last, 481);
  await one.clock.settle();
  assert.is(done, true);
  assert.is(subscription.state.kind, 'terminated');
});

test('unsubscribe resolves also when the last NOTIFY never comes', async () => {
  const one = await scene();
  serve(one);
  const subscription = one.subscription();
  subscription.start();
  await one.clock.settle();
  one.server.onRequest = (request) => {
    if (request.method === 'SUBSCRIBE') one.server.answer(request, 200, { Expires: 0 });
  };
  let done = false;
  subscription.unsubscribe().then(() => {
    done = true;
  });
  await one.clock.advance(33_000);
  assert.is(done, true);
  await one.clock.advance(6_000);
  assert.is(one.clock.pending(), 0);
});

test('stop sends nothing, start after the end begins anew, and what waits can be woken', async () => {
  const one = await scene();
  let there = false;
  const subscription = one.subscription({ way: () => (there ? { target } : undefined) });
  serve(one);
  subscription.start();
  await one.clock.settle();
  assert.is(subscription.state.kind, 'blocked');
  there = true;
  subscription.wake();
  await one.clock.settle();
  assert.is(subscription.state.kind, 'active');
  const done = subscription.unsubscribe();
  await one.clock.settle();
  await done;
  subscription.start();
  await one.clock.settle();
  assert.is(subscription.state.kind, 'active');
  const count = one.server.requests().length;
  subscription.stop();
  await one.clock.advance(1_000_000);
  assert.is(one.server.requests().length, count);
  assert.is(one.clock.pending(), 0);
});
