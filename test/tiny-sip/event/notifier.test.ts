import type { SipRequest } from 'tiny-sip';
import * as assert from 'uvu/assert';
import { suite } from '../../support/harness.ts';
import { text } from '../rig.ts';
import { resource, type Scene, scene, server } from './notifier-scene.ts';

const test = suite('tiny-sip notifier');

const bodies = (one: Scene) => one.watcher.requests('NOTIFY').map((request) => request.text());
const stateOf = (request: SipRequest | undefined) => request?.lines('Subscription-State')[0];
const tagOf = (one: Scene) => one.watcher.responses(200)[0]?.toTag ?? '';

// watcher             notifier
//  |--SUBSCRIBE--------->|
//  |<----200 exp 600-----|
//  |<----NOTIFY active---|  at once
//  |-----200------------>|
test('SUBSCRIBE gets 200 and a NOTIFY at once, with URIs and tags of the dialog', async () => {
  const one = await scene();
  await one.subscribe({ headers: ['Record-Route: <sip:10.0.0.9;lr>'], event: 'presence;id=7' });
  const [ok] = one.watcher.responses(200);
  assert.is(ok?.expires, 600);
  assert.is(ok?.get('Contact'), '<sip:freezer@10.0.0.1:5060>');
  assert.is(ok?.get('Record-Route'), '<sip:10.0.0.9;lr>');
  const notify = one.watcher.last('NOTIFY');
  assert.is(stateOf(notify), 'active;expires=600');
  assert.is(notify.get('Event'), 'presence;id=7');
  assert.is(notify.text(), '0');
  assert.is(notify.get('Content-Type'), 'application/pidf+xml');
  assert.is(notify.callId, 'sub-1');
  assert.is(notify.fromTag, ok?.toTag);
  assert.is(notify.toTag, 'alice');
  assert.is(one.notifier.counts().subscriptions, 1);
});

test('a SUBSCRIBE whose NOTIFYs could not be written gets 400, and leaves nothing behind', async () => {
  const one = await scene();
  const nul = '"\\\0"';
  await one.subscribe({ event: `presence;id=${nul}` });
  await one.subscribe({ from: `<sip:alice@example.com>;tag=${nul}`, callId: 'sub-2' });
  await one.subscribe({ headers: [`Record-Route: ${nul} <sip:10.0.0.9;lr>`], callId: 'sub-3' });
  assert.is(one.watcher.responses(400).length, 3);
  assert.is(one.watcher.requests('NOTIFY').length, 0);
  assert.is(one.notifier.counts().subscriptions, 0);
  assert.is(one.stack.counts().dialogs, 0);
  assert.equal(
    one.log.lines.filter((line) => line.level === 'error'),
    [],
  );
});

test('S23: From and To of a NOTIFY come from the dialog, the Request-URI and Route from Contact and Record-Route', async () => {
  const one = await scene();
  await one.subscribe({
    contact: '"Alice" <sip:alice@10.0.0.9:5060;ob>;+sip.instance="<urn:uuid:1>"',
    headers: ['Record-Route: <sip:10.0.0.9:5060;lr>, <sip:far.example.com;lr>'],
    via: 'Via: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKp;rport\nVia: SIP/2.0/UDP 10.0.0.7;branch=z9hG4bKq',
  });
  const notify = one.watcher.last('NOTIFY');
  assert.is(notify.uri, 'sip:alice@10.0.0.9:5060;ob');
  assert.is(notify.to?.uri, 'sip:alice@example.com');
  assert.is(notify.from?.uri, resource);
  assert.equal(notify.all('Route'), ['<sip:10.0.0.9:5060;lr>', '<sip:far.example.com;lr>']);
});

test('S23: a strict router becomes the Request-URI, the target the last Route', async () => {
  const one = await scene();
  await one.subscribe({ headers: ['Record-Route: <sip:10.0.0.9:5060>'] });
  const notify = one.watcher.last('NOTIFY');
  assert.is(notify.uri, 'sip:10.0.0.9:5060');
  assert.equal(notify.all('Route'), ['<sip:alice@10.0.0.9:5060>']);
});

test('S20: 100 refreshes leave one subscription, CSeq rises, each gets its NOTIFY', async () => {
  const one = await scene();
  await one.subscribe();
  const tag = tagOf(one);
  for (let n = 2; n <= 101; n += 1) {
    await one.subscribe({ tag, cseq: n });
    await one.clock.advance(100);
  }
  assert.is(one.notifier.counts().subscriptions, 1);
  assert.is(one.stack.counts().dialogs, 1);
  assert.is(one.watcher.requests('NOTIFY').length, 101);
  const seqs = one.watcher.requests('NOTIFY').map((request) => request.cseq?.number ?? 0);
  assert.ok(seqs.every((seq, n) => n === 0 || seq === (seqs[n - 1] ?? 0) + 1));
  assert.is(one.watcher.responses(200).length, 101);
});

test('S20: an initial SUBSCRIBE that comes again with its Call-ID and tag replaces, and never doubles', async () => {
  const one = await scene();
  await one.subscribe();
  await one.subscribe({ cseq: 2 });
  assert.is(one.notifier.counts().subscriptions, 1);
  await one.subscribe({ cseq: 3, from: '<sip:mallory@example.com>;tag=alice' });
  assert.is(one.notifier.counts().subscriptions, 2, 'another watcher replaces nothing');
});

test('what begins by a sips URI goes on with a sips Contact (RFC 3261 §12.1.1)', async () => {
  const one = await scene();
  await one.subscribe({ contact: '<sips:alice@10.0.0.9:5060>' });
  assert.is(one.watcher.responses(200)[0]?.get('Contact'), '<sips:freezer@10.0.0.1:5060>');
  assert.is(one.watcher.last('NOTIFY').get('Contact'), '<sips:freezer@10.0.0.1:5060>');
  await one.subscribe({ callId: 'b', headers: ['Record-Route: <sips:10.0.0.9:5060;lr>'] });
  assert.is(one.watcher.last('NOTIFY').get('Contact'), '<sips:freezer@10.0.0.1:5060>');
});

test('S19: a retransmitted SUBSCRIBE gets the same 200 and no second subscription', async () => {
  const one = await scene();
  const request = text('SUBSCRIBE', resource, {
    headers: ['Event: presence', 'Contact: <sip:alice@10.0.0.9>', 'Expires: 100'],
  });
  for (let n = 0; n < 3; n += 1) {
    one.watcher.send(server, request);
    await one.clock.settle();
  }
  assert.is(one.watcher.responses(200).length, 3);
  assert.is(new Set(one.watcher.responses(200).map((response) => response.toTag)).size, 1);
  assert.is(one.watcher.requests('NOTIFY').length, 1);
  assert.is(one.notifier.counts().subscriptions, 1);
});

// 0 s: change, NOTIFY at once; then at most one each 5 s; the last value is never lost
test('NOTIFYs are paced: the first after a lull at once, then one per interval with the last state', async () => {
  const one = await scene();
  await one.subscribe();
  await one.clock.advance(20_000);
  one.watcher.received.length = 0;
  for (let n = 1; n <= 120; n += 1) {
    one.value = n;
    one.notifier.changed(resource);
    await one.clock.advance(100);
  }
  await one.clock.advance(20_000);
  assert.equal(bodies(one), ['1', '50', '100', '120']);
});

test('one NOTIFY in flight: what changes meanwhile goes in one later NOTIFY', async () => {
  const one = await scene({ interval: 0 });
  await one.subscribe();
  one.reply = undefined;
  one.value = 1;
  one.notifier.changed(resource);
  await one.clock.settle();
  const first = one.watcher.last('NOTIFY');
  for (one.value = 2; one.value < 10; one.value += 1) one.notifier.changed(resource);
  await one.clock.settle();
  assert.is(one.watcher.requests('NOTIFY').length, 2);
  one.watcher.answer(first, 200);
  await one.clock.settle();
  assert.equal(bodies(one), ['0', '1', '10']);
});

test('a refresh gets its NOTIFY at once, whatever the interval', async () => {
  const one = await scene();
  await one.subscribe();
  one.reply = undefined;
  one.notifier.changed(resource);
  await one.clock.advance(5_000);
  const inFlight = one.watcher.last('NOTIFY');
  one.value = 3;
  await one.subscribe({ tag: tagOf(one), cseq: 2 });
  one.watcher.answer(inFlight, 200);
  await one.clock.settle();
  assert.is(one.watcher.last('NOTIFY').text(), '3');
});

test('a fetch is answered with one NOTIFY terminated, with state, and leaves nothing', async () => {
  const one = await scene();
  await one.subscribe({ expires: 0 });
  assert.is(one.watcher.responses(200)[0]?.expires, 0);
  const [notify] = one.watcher.requests('NOTIFY');
  assert.is(stateOf(notify), 'terminated;reason=timeout');
  assert.is(notify?.text(), '0');
  assert.is(one.notifier.counts().subscriptions, 0);
  assert.is(one.stack.counts().dialogs, 0);
  assert.is(one.records.size, 0);
  assert.is(one.saves.length, 0);
});

test('unsubscribing ends it with a last NOTIFY; what follows gets 481', async () => {
  const one = await scene();
  await one.subscribe();
  const tag = tagOf(one);
  await one.subscribe({ tag, cseq: 2, expires: 0 });
  assert.is(stateOf(one.watcher.last('NOTIFY')), 'terminated;reason=timeout');
  assert.is(one.notifier.counts().subscriptions, 0);
  await one.subscribe({ tag, cseq: 3 });
  assert.is(one.watcher.responses(481).length, 1);
  one.notifier.changed(resource);
  await one.clock.advance(700_000);
  assert.is(one.watcher.requests('NOTIFY').length, 2);
  assert.is(one.clock.pending(), 0);
});

test('S28: what is not refreshed expires, with one NOTIFY terminated, and the tables are empty', async () => {
  const one = await scene();
  for (let n = 0; n < 200; n += 1) await one.subscribe({ callId: `sub-${n}`, expires: 60 + n });
  assert.is(one.notifier.counts().subscriptions, 200);
  one.watcher.received.length = 0;
  await one.clock.advance(300_000);
  assert.is(one.notifier.counts().subscriptions, 0);
  assert.is(one.notifier.counts().resources, 0);
  assert.is(one.notifier.counts().watchers, 0);
  assert.is(one.stack.counts().dialogs, 0);
  const last = one.watcher.requests('NOTIFY');
  assert.is(last.length, 200);
  assert.ok(last.every((request) => stateOf(request) === 'terminated;reason=timeout'));
  const before = one.watcher.received.length;
  one.notifier.changed(resource);
  await one.clock.advance(10_000);
  assert.is(one.watcher.received.length, before, 'no NOTIFY to the dead');
  assert.is(one.records.size, 0);
  assert.is(one.clock.pending(), 0);
});

// What a NOTIFY answer does to the watcher.
for (const [status, fate] of [
  [200, 'kept'],
  [202, 'kept'],
  [400, 'kept'],
  [401, 'kept'],
  [403, 'kept'],
  [404, 'dropped'],
  [405, 'dropped'],
  [407, 'kept'],
  [410, 'dropped'],
  [415, 'kept'],
  [416, 'dropped'],
  [480, 'dropped'],
  [481, 'dropped'],
  [482, 'dropped'],
  [483, 'dropped'],
  [484, 'dropped'],
  [485, 'dropped'],
  [488, 'kept'],
  [489, 'dropped'],
  [501, 'dropped'],
  [604, 'dropped'],
] as const)
  test(`S21: ${status} to a NOTIFY: the watcher is ${fate}`, async () => {
    const one = await scene();
    one.reply = status;
    await one.subscribe();
    assert.is(one.notifier.counts().subscriptions, fate === 'kept' ? 1 : 0);
    await one.clock.advance(10_000);
    one.value = 1;
    one.notifier.changed(resource);
    await one.clock.settle();
    assert.equal(bodies(one), fate === 'kept' ? ['0', '1'] : ['0']);
    assert.is(one.records.size, fate === 'kept' ? 1 : 0);
  });

for (const [what, status] of [
  ['408', 408],
  ['500', 500],
  ['503', 503],
  ['silence', undefined],
] as const)
  test(`S21: ${what} is counted: tried again, dropped after three in a row`, async () => {
    const one = await scene({ expires: { max: 36_000 } });
    one.reply = status;
    await one.subscribe({ expires: 36_000 });
    await one.clock.advance(20_000);
    assert.is(one.notifier.counts().subscriptions, 1);
    await one.clock.advance(280_000);
    assert.is(one.notifier.counts().subscriptions, 0);
    const seqs = new Set(one.watcher.requests('NOTIFY').map((request) => request.cseq?.number));
    assert.is(seqs.size, 3);
    assert.is(one.notifier.counts().dropped, 1);
    assert.is(one.clock.pending(), 0);
  });

for (const [what, status] of [
  ['408', 408],
  ['silence', undefined],
] as const)
  test(`S21: ${what} ends it at once where the owner wants it so, as RFC 6665 §4.2.2 advises`, async () => {
    const one = await scene({ unanswered: 1 });
    one.reply = status;
    await one.subscribe();
    await one.clock.advance(33_000);
    assert.is(one.notifier.counts().subscriptions, 0);
    assert.is(new Set(one.watcher.requests('NOTIFY').map((request) => request.cseq?.number)).size, 1);
    assert.is(one.clock.pending(), 0);
  });

test('S21: a watcher that answers again is forgiven, and gets the last state', async () => {
  const one = await scene();
  await one.subscribe();
  one.reply = 408;
  one.value = 1;
  await one.clock.advance(6_000);
  one.notifier.changed(resource);
  await one.clock.settle();
  one.value = 2;
  one.notifier.changed(resource);
  one.reply = 200;
  await one.clock.advance(40_000);
  assert.is(one.watcher.last('NOTIFY').text(), '2');
  assert.is(one.notifier.counts().subscriptions, 1);
});

test('a refresh out of order gets 500 and changes nothing', async () => {
  const one = await scene();
  await one.subscribe({ cseq: 5 });
  await one.subscribe({ cseq: 5, tag: tagOf(one), expires: 0 });
  await one.subscribe({ cseq: 4, tag: tagOf(one), expires: 0 });
  assert.is(one.watcher.responses(500).length, 2);
  assert.is(one.notifier.counts().subscriptions, 1);
});

test('refusals: package, expiry, Accept, Contact, dialog, watcher', async () => {
  const one = await scene();
  await one.subscribe({ event: 'dialog' });
  await one.subscribe({ expires: 10, callId: 'b' });
  await one.subscribe({ headers: ['Accept: image/png'], callId: 'c' });
  await one.subscribe({ contact: '<tel:+1>', callId: 'd' });
  await one.subscribe({ tag: 'unknown', callId: 'e' });
  await one.subscribe({ callId: 'f' });
  const tag = one.watcher.responses(200)[0]?.toTag ?? '';
  await one.subscribe({ callId: 'f', cseq: 2, tag, event: 'dialog' });
  await one.subscribe({ callId: 'f', cseq: 3, tag, from: '<sip:mallory@example.com>;tag=alice' });
  assert.equal(
    one.watcher.responses().map((response) => response.status),
    [489, 423, 406, 400, 481, 200, 403, 403],
  );
  assert.is(one.watcher.responses(489)[0]?.get('Allow-Events'), 'presence');
  assert.is(one.watcher.responses(423)[0]?.get('Min-Expires'), '60');
  assert.is(one.notifier.counts().subscriptions, 1);
  one.notifier.abandon();
});

test('Accept chooses the type, without it the first is used', async () => {
  const one = await scene();
  await one.subscribe({ callId: 'a' });
  await one.subscribe({ callId: 'b', headers: ['Accept: text/plain, application/pidf+xml;q=0'] });
  await one.subscribe({ callId: 'c', headers: ['Accept: */*'] });
  await one.subscribe({ callId: 'd', headers: ['Accept: text/*'] });
  assert.equal(
    one.watcher.requests('NOTIFY').map((request) => request.get('Content-Type')),
    ['application/pidf+xml', 'text/plain', 'application/pidf+xml', 'text/plain'],
  );
});

test('bounds: in all, per watcher, per resource', async () => {
  for (const bound of [{ subscriptions: 2 }, { perWatcher: 2 }, { perResource: 2 }]) {
    const one = await scene(bound);
    for (let n = 0; n < 4; n += 1) await one.subscribe({ callId: `sub-${n}` });
    assert.is(one.watcher.responses(200).length, 2);
    assert.is(one.watcher.responses(503).length, 2);
    assert.ok(one.watcher.responses(503)[0]?.has('Retry-After'));
  }
});

test('pending: NOTIFYs without body until the state is granted; rejected ends it', async () => {
  const one = await scene({
    authorise: () => ({ ok: true, resource, watcher: 'alice', state: 'pending' }),
  });
  await one.subscribe();
  one.notifier.changed(resource);
  await one.clock.advance(10_000);
  assert.equal(
    one.watcher.requests('NOTIFY').map((request) => [stateOf(request), request.body.length]),
    [['pending;expires=600', 0]],
  );
  const [subscription] = one.notifier.watchers(resource);
  assert.ok(subscription);
  one.notifier.setState(subscription.id, 'active');
  await one.clock.settle();
  assert.is(stateOf(one.watcher.last('NOTIFY')), 'active;expires=590');
  assert.is(one.watcher.last('NOTIFY').text(), '0');
  one.notifier.terminate({ id: subscription.id }, 'rejected');
  await one.clock.settle();
  assert.is(stateOf(one.watcher.last('NOTIFY')), 'terminated;reason=rejected');
  assert.is(one.notifier.counts().subscriptions, 0);
});

test('authorisation may challenge or fail, at once or later', async () => {
  const one = await scene({
    authorise: async ({ request }) => {
      if (request.callId === 'bad') throw new Error('no directory');
      return { ok: false, status: 401, headers: { 'WWW-Authenticate': 'Digest realm="r",nonce="n"' } };
    },
  });
  await one.subscribe();
  await one.subscribe({ callId: 'bad' });
  assert.equal(
    one.watcher.responses().map((response) => response.status),
    [401, 500],
  );
});

// notifier is killed: no farewell, no drop; a new one reads the records
test('S23: after kill -9 the dialogs go on with higher CSeq numbers', async () => {
  const one = await scene();
  await one.subscribe();
  for (let n = 0; n < 20; n += 1) {
    one.notifier.changed(resource);
    await one.clock.advance(5_000);
  }
  assert.is(one.saves.length, 1, 'not written for every NOTIFY');
  const highest = one.watcher.last('NOTIFY').cseq?.number ?? 0;
  one.notifier.abandon();
  await one.stack.stop();
  const stack = await one.rigStack();
  const records = [...one.records.values()].map((record) => JSON.parse(JSON.stringify(record)));
  one.watcher.received.length = 0;
  const second = one.again(stack);
  for (const record of records) second.restore(record);
  await one.clock.settle();
  const notify = one.watcher.last('NOTIFY');
  assert.ok((notify.cseq?.number ?? 0) > highest);
  assert.is(notify.callId, 'sub-1');
  assert.is(notify.toTag, 'alice');
  await one.subscribe({ tag: records[0]?.dialog.localTag, cseq: 2 });
  assert.is(one.watcher.responses(200).length, 1);
  assert.is(second.counts().subscriptions, 1);
  await stack.stop();
});

test('S23: CSeq numbers are written down ahead before they are used up', async () => {
  const one = await scene({ interval: 0 });
  await one.subscribe();
  for (let n = 0; n < 200; n += 1) {
    one.notifier.changed(resource);
    await one.clock.settle();
    const record = [...one.records.values()][0];
    const used = one.watcher.last('NOTIFY').cseq?.number ?? 0;
    assert.ok((record?.dialog.localSeq ?? 0) >= used, `${record?.dialog.localSeq} covers ${used}`);
  }
  assert.ok(one.saves.length < 6, `${one.saves.length} writes for 200 notifications`);
});

test('a record that is past its end is dropped, not restored', async () => {
  const one = await scene();
  await one.subscribe();
  const record = [...one.records.values()][0];
  assert.ok(record);
  one.notifier.abandon();
  await one.clock.advance(700_000);
  const second = one.again(one.stack);
  second.restore(record);
  await one.clock.settle();
  assert.is(second.counts().subscriptions, 0);
  assert.is(one.records.size, 0);
});

test('stop tells every watcher deactivated, and does not wait longer than it may', async () => {
  const one = await scene();
  for (let n = 0; n < 5; n += 1) await one.subscribe({ callId: `sub-${n}` });
  one.watcher.received.length = 0;
  one.reply = undefined;
  let done = false;
  one.notifier.stop(one.clock.now() + 3_000).then(() => {
    done = true;
  });
  await one.clock.settle();
  assert.is(one.watcher.requests('NOTIFY').length, 5);
  assert.ok(
    one.watcher.requests('NOTIFY').every((request) => stateOf(request) === 'terminated;reason=deactivated'),
  );
  assert.is(done, false);
  await one.clock.advance(3_600);
  assert.is(done, true);
  await one.stack.stop();
  assert.is(one.clock.pending(), 0);
});

test('a body that cannot be made or written leaves a NOTIFY without one', async () => {
  let bad = 0;
  const one = await scene({
    interval: 0,
    body: () => {
      bad += 1;
      if (bad === 1) throw new Error('oops');
      return { contentType: 'text/plain\r\nX-Bad: yes', content: 'x' };
    },
  });
  await one.subscribe();
  one.notifier.changed(resource);
  await one.clock.settle();
  assert.equal(
    one.watcher.requests('NOTIFY').map((request) => request.body.length),
    [0, 0],
  );
  assert.is(one.log.lines.filter((line) => line.level === 'error').length, 2);
});

test('changes of one resource do not touch the watchers of another', async () => {
  const one = await scene({
    authorise: ({ request }) => ({ ok: true, resource: request.callId ?? '', watcher: 'alice' }),
    interval: 0,
  });
  await one.subscribe({ callId: 'a' });
  await one.subscribe({ callId: 'b' });
  one.notifier.changed('a');
  await one.clock.settle();
  assert.equal(
    one.watcher.requests('NOTIFY').map((request) => request.callId),
    ['a', 'b', 'a'],
  );
  one.notifier.terminate({ resource: 'b' }, 'noresource');
  await one.clock.settle();
  assert.is(one.notifier.counts().subscriptions, 1);
});
