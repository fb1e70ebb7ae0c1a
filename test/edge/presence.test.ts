import * as assert from 'uvu/assert';
import { suite } from '../support/harness.ts';
import { createLab, dialogOf, type Lab, type LabOptions, type Phone, pidf } from './lab.ts';

const test = suite('edge presence', { timeout: 60_000 });

const GW = 'sip:gw@test.local';

async function pair(options: LabOptions = {}): Promise<{ lab: Lab; gw: Phone; alice: Phone }> {
  const lab = await createLab(options);
  return { lab, gw: await lab.phone('gw'), alice: await lab.phone('alice') };
}

/** Publishes again and again; each answer's tag makes the next PUBLISH. */
function publisher(gw: Phone): (note: string) => Promise<void> {
  let tag: string | undefined;
  return async (note) => {
    const answer = await gw.publish(pidf({ door: note }), { 'SIP-If-Match': tag });
    assert.is(answer.status, 200);
    tag = answer.get('SIP-ETag');
  };
}

test('the first NOTIFY comes at once, with a whole document, in the dialog', async () => {
  const { lab, gw, alice } = await pair();
  await gw.publish(pidf({ door: 'shut' }));
  const answer = await alice.subscribe(GW, { Accept: undefined });
  assert.is(answer.status, 200);
  assert.is(answer.expires, 600);
  assert.ok(answer.contacts !== '*' && answer.contacts.length === 1);
  await lab.clock.settle();
  const [first] = alice.notified;
  assert.is(alice.notified.length, 1);
  assert.match(first?.state ?? '', /^active;\s*expires=(600|599)/);
  assert.equal(first?.tuples, ['door: open shut']);
  assert.is(first?.request.event?.package, 'presence');
  assert.is(first?.request.contentType?.essence, 'application/pidf+xml');
  assert.is(first?.request.callId, answer.callId);
  assert.is(first?.request.fromTag, answer.toTag);
  assert.is(first?.request.toTag, answer.fromTag);
  await lab.close();
});

test('RFC 3856 §6.10: at most one NOTIFY in five seconds, and the last state is never lost', async () => {
  const { lab, gw, alice } = await pair();
  await alice.subscribe(GW);
  await lab.clock.advance(5_000);
  const publish = publisher(gw);
  for (let n = 0; n < 120; n += 1) {
    await publish(`v${n}`);
    await lab.clock.advance(250);
  }
  await lab.clock.advance(5_000);
  const times = alice.notified.map((one) => one.at);
  for (const [n, at] of times.entries()) {
    const before = times[n - 1];
    if (before !== undefined) assert.ok(at - before >= 5_000, `${before} to ${at}`);
  }
  assert.ok(times.length >= 7 && times.length <= 9, `${times.length} NOTIFYs`);
  assert.equal(alice.notified.at(-1)?.tuples, ['door: open v119']);
  await lab.close();
});

test('the interval is a setting', async () => {
  const { lab, gw, alice } = await pair({ options: { notifyInterval: 1_000 } });
  await alice.subscribe(GW);
  await lab.clock.advance(1_000);
  const publish = publisher(gw);
  for (let n = 0; n < 10; n += 1) {
    await publish(`v${n}`);
    await lab.clock.advance(1_000);
  }
  assert.is(alice.notified.length, 11);
  await lab.close();
});

test('a change when nothing was told for five seconds is told at once', async () => {
  const { lab, gw, alice } = await pair();
  await alice.subscribe(GW);
  await lab.clock.advance(6_000);
  const before = lab.clock.now();
  await gw.publish(pidf({ door: 'shut' }));
  await lab.clock.settle();
  assert.is(alice.notified.at(-1)?.at, before);
  await lab.close();
});

test('a watcher must say who it is, and whom it watches must exist', async () => {
  const { lab, alice } = await pair();
  const eve = await lab.phone('alice', { password: 'wrong' });
  const refused = await eve.subscribe(GW);
  assert.is(refused.status, 401);
  assert.ok(refused.has('WWW-Authenticate'));
  assert.is((await alice.subscribe('sip:nobody@test.local')).status, 404);
  assert.is((await alice.subscribe('sip:gw@elsewhere.example')).status, 404);
  const event = await alice.subscribe(GW, { Event: 'dialog' });
  assert.is(event.status, 489);
  assert.equal(event.all('Allow-Events'), ['presence']);
  assert.is((await alice.subscribe(GW, { Event: undefined })).status, 489);
  assert.is((await alice.subscribe(GW, { Accept: 'text/html' })).status, 406);
  assert.is((await alice.subscribe(GW, { Expires: 5 })).status, 423);
  assert.is(lab.edge.counts()['subscription.subscriptions'] ?? 0, 0);
  await lab.close();
});

test('a policy may block a watcher, or keep it waiting', async () => {
  const policy = (watcher: string) =>
    watcher.startsWith('sip:alice')
      ? ('allow' as const)
      : watcher.startsWith('sip:bob')
        ? ('block' as const)
        : ('pending' as const);
  const { lab, gw, alice } = await pair({ deps: { policy } });
  const bob = await lab.phone('bob');
  await gw.publish(pidf({ door: 'shut' }));
  assert.is((await alice.subscribe(GW)).status, 200);
  assert.is((await bob.subscribe(GW)).status, 403);
  const waiting = await gw.subscribe(GW);
  assert.ok(waiting.status === 200 || waiting.status === 202);
  await lab.clock.settle();
  assert.equal(alice.notified[0]?.tuples, ['door: open shut']);
  assert.is(bob.notified.length, 0);
  assert.match(gw.notified[0]?.state ?? '', /^pending/);
  assert.is(gw.notified[0]?.request.text(), '');
  await lab.close();
});

test('Expires 0 fetches once', async () => {
  const { lab, gw, alice } = await pair();
  await gw.publish(pidf({ door: 'shut' }));
  assert.is((await alice.subscribe(GW, { Expires: 0 })).status, 200);
  await lab.clock.advance(10_000);
  assert.is(alice.notified.length, 1);
  assert.match(alice.notified[0]?.state ?? '', /^terminated/);
  assert.equal(alice.notified[0]?.tuples, ['door: open shut']);
  assert.is(subscriptions(lab), 0);
  await lab.close();
});

test('S19: a repeated SUBSCRIBE gets the same answer and makes no second subscription', async () => {
  const { lab, alice } = await pair();
  const sent: Buffer[] = [];
  const answers: string[] = [];
  alice.stack.onTrace((direction, _flow, message, bytes) => {
    if (direction === 'out' && message.kind === 'request' && message.method === 'SUBSCRIBE') sent.push(bytes);
    if (direction === 'in' && message.kind === 'response' && message.cseq?.method === 'SUBSCRIBE')
      answers.push(bytes.toString());
  });
  await alice.subscribe(GW);
  const flow = alice.stack.flow({ protocol: 'udp', host: '192.0.2.1', port: 5060, name: '' });
  const last = sent.at(-1);
  assert.ok(last);
  for (let n = 0; n < 3; n += 1) {
    await flow.send(last);
    await lab.clock.advance(500);
  }
  assert.is(subscriptions(lab), 1);
  const oks = answers.filter((text) => text.startsWith('SIP/2.0 200'));
  assert.is(oks.length, 4);
  assert.is(new Set(oks).size, 1);
  await lab.close();
});

test('S20: a hundred refreshes are one subscription', async () => {
  const { lab, alice } = await pair();
  const dialog = dialogOf(await alice.subscribe(GW));
  for (let n = 0; n < 100; n += 1) {
    assert.is((await alice.subscribe(GW, {}, dialog)).status, 200);
    await lab.clock.advance(100);
  }
  assert.is(subscriptions(lab), 1);
  await lab.clock.advance(10_000);
  const seqs = alice.notified.map((one) => one.request.cseq?.number ?? 0);
  assert.ok(seqs.every((seq, n) => n === 0 || seq > (seqs[n - 1] ?? 0)));
  await lab.close();
});

test('S21: which answers to a NOTIFY end a subscription', async () => {
  const gone = [404, 405, 410, 416, 480, 481, 482, 483, 484, 485, 489, 501, 604];
  const stays = [200, 401, 407, 500, 503];
  for (const status of [...gone, ...stays]) {
    const { lab, gw, alice } = await pair();
    await alice.subscribe(GW);
    await lab.clock.advance(6_000);
    alice.answer = () => status;
    await gw.publish(pidf({ door: 'shut' }));
    await lab.clock.advance(2_000);
    assert.is(subscriptions(lab), gone.includes(status) ? 0 : 1, `after ${status}`);
    alice.answer = () => 200;
    await lab.close();
  }
});

test('S21: a watcher that answers nothing is dropped in the end, and costs little until then', async () => {
  const { lab, gw, alice } = await pair();
  await alice.subscribe(GW);
  await lab.clock.advance(6_000);
  alice.answer = () => undefined;
  await gw.publish(pidf({ door: 'shut' }));
  await lab.clock.advance(300_000);
  assert.is(subscriptions(lab), 0);
  const tries = new Set(alice.notified.map((one) => one.request.cseq?.number));
  assert.ok(tries.size <= 4, `${tries.size} NOTIFYs`);
  await lab.close();
});

test('S22: after the end of a subscription nothing more is sent, and its dialog is unknown', async () => {
  const { lab, gw, alice } = await pair();
  const dialog = dialogOf(await alice.subscribe(GW));
  await lab.clock.advance(6_000);
  assert.is((await alice.subscribe(GW, { Expires: 0 }, dialog)).status, 200);
  await lab.clock.advance(6_000);
  assert.match(alice.notified.at(-1)?.state ?? '', /^terminated/);
  const count = alice.notified.length;
  await gw.publish(pidf({ door: 'shut' }));
  await lab.clock.advance(10_000);
  assert.is(alice.notified.length, count);
  assert.is((await alice.subscribe(GW, {}, dialog)).status, 481);
  await lab.close();
});

test('S22: a NOTIFY for a dialog that never was gets 481 from the edge itself', async () => {
  const { lab, alice } = await pair();
  const headers = {
    Event: 'presence',
    'Subscription-State': 'active',
    To: `<${GW}>;tag=nope`,
    Contact: '<sip:a@10.0.0.2>',
  };
  assert.is((await alice.request('NOTIFY', { uri: GW, headers })).status, 481);
  await lab.close();
});

test('S23: From and To of a NOTIFY are those of the dialog, never a Contact', async () => {
  const { lab, gw, alice } = await pair();
  await alice.subscribe(GW, { Contact: '<sip:secret-contact@10.0.0.2:5060>' });
  await lab.clock.advance(6_000);
  await gw.publish(pidf({ door: 'shut' }));
  await lab.clock.settle();
  for (const { request } of alice.notified) {
    assert.is(request.from?.uri, GW);
    assert.is(request.to?.uri, 'sip:alice@test.local');
    assert.is(request.uri, 'sip:secret-contact@10.0.0.2:5060');
  }
  await lab.close();
});

test('a subscription that nobody refreshes ends with a last NOTIFY', async () => {
  const { lab, alice } = await pair();
  await alice.subscribe(GW, { Expires: 60 });
  await lab.clock.advance(65_000);
  assert.match(alice.notified.at(-1)?.state ?? '', /^terminated;\s*reason=timeout/);
  assert.is(subscriptions(lab), 0);
  await lab.close();
});

test('S28: a thousand subscriptions expire, the table is empty and nobody hears of the dead', async () => {
  const limits = { subscriptionsPerWatcher: 2_000 };
  const { lab, gw, alice } = await pair({ options: { limits, data: undefined } });
  const pending: Promise<unknown>[] = [];
  for (let n = 0; n < 1_000; n += 1) {
    pending.push(
      alice.outcome('SUBSCRIBE', {
        uri: `sip:dev-${n}@test.local`,
        headers: { Event: 'presence', Expires: 60, Contact: '<sip:alice@10.0.0.2:5060>' },
      }),
    );
    if (n % 50 === 0) await lab.clock.settle();
  }
  await lab.clock.settle();
  await Promise.all(pending);
  assert.is(subscriptions(lab), 1_000);
  await lab.clock.advance(100_000);
  assert.is(subscriptions(lab), 0);
  const count = alice.notified.length;
  for (let n = 0; n < 20; n += 1) {
    const aor = `sip:dev-${n}@test.local`;
    await gw.publish(pidf({ t: 'x' }, aor), {}, aor);
  }
  await lab.clock.advance(40_000);
  assert.is(alice.notified.length, count);
  assert.is(lab.edge.counts()['sip.transactions.client'], 0);
  assert.is(lab.edge.counts()['sip.dialogs'], 0);
  await lab.close();
});

test('S42: subscriptions are bounded in all, per watcher and per presentity', async () => {
  const limits = { subscriptions: 4, subscriptionsPerWatcher: 2, subscriptionsPerAor: 3 };
  const { lab, alice, gw } = await pair({ options: { limits } });
  const bob = await lab.phone('bob');
  assert.is((await alice.subscribe(GW)).status, 200);
  assert.is((await alice.subscribe(GW)).status, 200);
  const refused = await alice.subscribe(GW);
  assert.is(refused.status, 503);
  assert.ok(refused.has('Retry-After'));
  assert.is((await bob.subscribe(GW)).status, 200);
  assert.is((await bob.subscribe(GW)).status, 503);
  assert.is((await bob.subscribe('sip:dev-1@test.local')).status, 200);
  assert.is((await gw.subscribe('sip:dev-1@test.local')).status, 503);
  assert.is(subscriptions(lab), 4);
  await lab.close();
});

test('a clean stop tells the watchers', async () => {
  const { lab, alice } = await pair();
  await alice.subscribe(GW);
  await lab.clock.advance(6_000);
  const stopping = lab.edge.stop(lab.clock.now() + 3_000);
  await lab.clock.advance(3_000);
  await stopping;
  assert.match(alice.notified.at(-1)?.state ?? '', /^terminated;\s*reason=deactivated/);
  assert.is(lab.edge.health().state, 'down');
});

function subscriptions(lab: Lab): number {
  return lab.edge.counts()['subscription.subscriptions'] ?? 0;
}
