import { createNotifier, type SipRequest, type Subscription } from 'tiny-sip';
import * as assert from 'uvu/assert';
import { createFakeRandom } from '../../support/fake-random.ts';
import { suite } from '../../support/harness.ts';
import { resource, type Scene, scene } from './subscription-scene.ts';

const test = suite('tiny-sip subscription, rates and conditions');

const subscribes = (one: Scene) => one.server.requests('SUBSCRIBE');
const conditions = (one: Scene) => subscribes(one).map((request) => request.get('Suppress-If-Match'));
const events = (one: Scene) => subscribes(one).map((request) => request.get('Event'));

/** Begins a subscription whose first NOTIFY has an entity-tag. */
async function begin(one: Scene, subscription: Subscription, tag = 'a1'): Promise<SipRequest> {
  subscription.start();
  await one.clock.settle();
  const first = one.server.last('SUBSCRIBE');
  one.server.answer(first, 200, { Expires: 600 });
  assert.is(
    await one.notify(first, 'active;expires=600', { body: '<p/>', headers: { 'SIP-ETag': tag } }),
    200,
  );
  return first;
}

// watcher                                   server
//  |--SUBSCRIBE Event: presence;max-rate…---->|
//  |<----489----------------------------------|  it knows the package, but no parameters
//  |--SUBSCRIBE Event: presence-------------->|  at once, and so from now on
//  |<----200, NOTIFY--------------------------|
test('a notifier that answers 489 to rates is asked without them, at once and from then on', async () => {
  const one = await scene();
  const subscription = one.subscription({ rates: { max: 0.05, min: 0.001 } });
  one.server.onRequest = (request) => {
    if ((request.get('Event') ?? '').includes(';')) {
      one.server.answer(request, 489, { 'Allow-Events': 'presence' });
      return;
    }
    one.server.answer(request, 200, { Expires: 600 });
    one.notify(request, 'active;expires=600');
  };
  subscription.start();
  await one.clock.settle();
  assert.equal(events(one), ['presence;max-rate=0.05;min-rate=0.001', 'presence']);
  assert.is.not(subscribes(one)[0]?.callId, subscribes(one)[1]?.callId);
  assert.is(subscription.state.kind, 'active');
  await one.clock.advance(600_000);
  assert.ok(events(one).length > 2);
  assert.is(events(one).filter((event) => event !== 'presence').length, 1);
  subscription.stop();
});

test('a notifier that knows neither rates nor package is refused slowly', async () => {
  const one = await scene();
  const subscription = one.subscription({ rates: { max: 0.05 } });
  one.server.onRequest = (request) => one.server.answer(request, 489);
  subscription.start();
  await one.clock.advance(600_000);
  assert.is(subscribes(one).length, 2);
  assert.is(subscription.state.kind, 'refused');
  subscription.stop();
});

test('what the notifier agreed to stands in the state; one that ignores rates agreed to none', async () => {
  const one = await scene();
  const subscription = one.subscription({ rates: { max: 1 } });
  subscription.start();
  await one.clock.settle();
  const first = one.server.last('SUBSCRIBE');
  one.server.answer(first, 200, { Expires: 600 });
  await one.notify(first, 'active;expires=600;max-rate=0.2');
  assert.equal(subscription.state.kind === 'active' && subscription.state.rates, { max: 0.2 });
  await one.notify(first, 'active;expires=600');
  assert.equal(subscription.state.kind === 'active' && subscription.state.rates, {});
  subscription.stop();
});

test('other rates are asked for in the dialog', async () => {
  const one = await scene();
  const subscription = one.subscription({ event: 'presence;id=3' });
  subscription.start();
  await one.clock.settle();
  const first = one.server.last('SUBSCRIBE');
  one.server.answer(first, 200, { Expires: 600 });
  assert.is(await one.notify(first, 'active', { event: 'presence' }), 481, 'of another id');
  assert.is(await one.notify(first, 'active', { event: 'presence;id=3' }), 200);
  subscription.pace({ max: 0.01 });
  subscription.pace({ max: 0.01 });
  await one.clock.settle();
  assert.equal(events(one), ['presence;id=3', 'presence;id=3;max-rate=0.01']);
  one.server.answer(one.server.last('SUBSCRIBE'), 200, { Expires: 600 });
  await one.notify(first, 'active', { event: 'presence;id=3' });
  subscription.pace({});
  await one.clock.settle();
  assert.is(events(one).at(-1), 'presence;id=3');
  subscription.stop();
});

// watcher                                   server
//  |--SUBSCRIBE------------------------------>|
//  |<----200, NOTIFY SIP-ETag: a1-------------|
//  |--SUBSCRIBE Suppress-If-Match: a1-------->|  refresh
//  |<----204----------------------------------|  no timer N
//  |--SUBSCRIBE Expires 0, S-I-M: a1--------->|
//  |<----204----------------------------------|  over
test('RFC 5839 §5.6, §5.7: refreshes and unsubscribes on the condition that the state is the same', async () => {
  const one = await scene();
  const subscription = one.subscription();
  const first = await begin(one, subscription);
  one.server.onRequest = (request) => one.server.answer(request, 204, { Expires: request.expires ?? 0 });
  await one.clock.advance(900_000);
  assert.ok(subscribes(one).length >= 3);
  assert.is(subscription.state.kind, 'active');
  assert.equal(new Set(conditions(one)), new Set([undefined, 'a1']));
  assert.is(one.notified.length, 1);
  assert.is(one.notified[0]?.tag, 'a1');

  await one.notify(first, 'active;expires=600', { body: '<q/>', headers: { 'SIP-ETag': 'b2' } });
  const leaving = subscription.unsubscribe();
  await one.clock.settle();
  assert.is(conditions(one).at(-1), 'b2');
  assert.is(one.server.last('SUBSCRIBE').expires, 0);
  await leaving;
  assert.equal(subscription.state, { kind: 'terminated', reason: 'unsubscribed' });
  await one.clock.advance(60_000);
  assert.is(await one.notify(first, 'terminated'), 481);
});

test('refresh() asks for the whole state; a notifier without tags is never given a condition', async () => {
  const one = await scene();
  const subscription = one.subscription();
  const first = await begin(one, subscription);
  subscription.refresh();
  await one.clock.settle();
  assert.is(conditions(one).at(-1), undefined);
  one.server.answer(one.server.last('SUBSCRIBE'), 200, { Expires: 600 });
  await one.notify(first, 'active;expires=600', { body: '<p/>' });
  one.server.onRequest = (request) => {
    one.server.answer(request, 200, { Expires: 600 });
    one.notify(first, 'active;expires=600', { body: '<p/>' });
  };
  await one.clock.advance(400_000);
  assert.ok(subscribes(one).length > 2);
  assert.is(conditions(one).at(-1), undefined);
  subscription.stop();
});

test('a state that the owner did not take is no condition', async () => {
  const one = await scene();
  const subscription = one.subscription({ onNotify: () => ({ status: 415 }) });
  subscription.start();
  await one.clock.settle();
  const first = one.server.last('SUBSCRIBE');
  one.server.answer(first, 200, { Expires: 600 });
  await one.notify(first, 'active;expires=600', { body: 'x', headers: { 'SIP-ETag': 'a1' } });
  await one.clock.advance(400_000);
  assert.is(conditions(one).at(-1), undefined);
  subscription.stop();
});

for (const [what, answer] of [
  ['400', (one: Scene) => (request: SipRequest) => one.server.answer(request, 400)],
  [
    'a 200 without a NOTIFY',
    (one: Scene) => (request: SipRequest) => one.server.answer(request, 200, { Expires: 600 }),
  ],
] as const)
  test(`RFC 5839 §5.8: ${what} to a condition: done without from then on`, async () => {
    const one = await scene();
    const subscription = one.subscription();
    await begin(one, subscription);
    one.server.onRequest = answer(one);
    await one.clock.advance(300_000);
    assert.is(conditions(one)[1], 'a1');
    one.server.onRequest = (request) => {
      one.server.answer(request, 200, { Expires: 600 });
      one.notify(request, 'active;expires=600', { body: '<p/>', headers: { 'SIP-ETag': 'c3' } });
    };
    await one.clock.advance(900_000);
    assert.is(subscription.state.kind, 'active');
    assert.ok(conditions(one).length > 3);
    assert.is(conditions(one).filter((one) => one !== undefined).length, 1);
    subscription.stop();
  });

test('RFC 5839 §5.4: a fetch with a known tag hears that nothing changed', async () => {
  const one = await scene();
  const fetch = one.subscription({ expires: 0, known: () => 'k9' });
  fetch.start();
  await one.clock.settle();
  const first = one.server.last('SUBSCRIBE');
  assert.is(first.get('Suppress-If-Match'), 'k9');
  one.server.answer(first, 200, { Expires: 0 });
  await one.notify(first, 'terminated;reason=timeout', { headers: { 'SIP-ETag': 'k9' } });
  assert.is(one.notified[0]?.unchanged, true);
  assert.is(one.notified[0]?.tag, 'k9');
  const other = one.subscription({ expires: 0, known: () => 'k9' });
  other.start();
  await one.clock.settle();
  const second = one.server.last('SUBSCRIBE');
  one.server.answer(second, 200, { Expires: 0 });
  await one.notify(second, 'terminated;reason=timeout', { body: '<p/>', headers: { 'SIP-ETag': 'm1' } });
  assert.is(one.notified[1]?.unchanged, undefined);
  assert.is(one.notified[1]?.body.toString(), '<p/>');
});

test('RFC 5839 §5.5: a subscription begun anew goes on from what the owner holds, and without where that is refused', async () => {
  const one = await scene();
  let held: string | undefined;
  const subscription = one.subscription({
    known: () => held,
    onNotify: (notify) => {
      one.notified.push(notify);
      held = notify.tag;
      return undefined;
    },
  });
  const first = await begin(one, subscription);
  await one.clock.advance(60_000);
  await one.notify(first, 'terminated;reason=deactivated');
  await one.clock.settle();
  assert.is(one.server.last('SUBSCRIBE').get('Suppress-If-Match'), undefined, 'the last NOTIFY told nothing');
  held = 'a1';
  const again = one.subscription({ known: () => held });
  again.start();
  await one.clock.settle();
  one.server.answer(one.server.last('SUBSCRIBE'), 400);
  await one.clock.settle();
  assert.is(one.server.last('SUBSCRIBE').has('Suppress-If-Match'), false);
  subscription.stop();
  again.stop();
});

// server                                watcher
//  |--NOTIFY version 1------------------->|
//  |--NOTIFY version 3------------------->|  one is missing
//  |<----SUBSCRIBE, no condition----------|  the whole state, please
test('S27: a gap in the versions is closed by a SUBSCRIBE for the whole state', async () => {
  const one = await scene();
  let version = 0;
  const subscription = one.subscription({
    onNotify({ body }) {
      const told = Number(body.toString());
      if (told !== version + 1) subscription.refresh();
      version = told;
      return undefined;
    },
  });
  subscription.start();
  await one.clock.settle();
  const first = one.server.last('SUBSCRIBE');
  one.server.answer(first, 200, { Expires: 600 });
  const told = (body: string) =>
    one.notify(first, 'active;expires=600', { body, headers: { 'SIP-ETag': `t${body}` } });
  await told('1');
  await told('2');
  assert.is(subscribes(one).length, 1);
  await told('4');
  assert.is(subscribes(one).length, 2);
  assert.is(conditions(one)[1], undefined, 'not on the condition that the state is the same');
  subscription.stop();
});

test('RFC 5627 §4.4: a GRUU is the Contact, from the first SUBSCRIBE on', async () => {
  const one = await scene();
  let gruu: string | undefined = 'sip:alice@example.com;gr=urn:uuid:1';
  const subscription = one.subscription({ contact: () => gruu });
  await begin(one, subscription);
  gruu = undefined;
  subscription.refresh();
  await one.clock.settle();
  assert.equal(
    subscribes(one).map((request) => request.get('Contact')),
    ['<sip:alice@example.com;gr=urn:uuid:1>', '<sip:alice@10.0.0.1:5060>'],
  );
  subscription.stop();
});

// Both ends are ours here: what one says the other understands.
test('RFC 5839 §5.2: quiet, the state changes, loud again: the watcher catches up', async () => {
  const one = await scene();
  const rigServer = await serverOf(one);
  const subscription = one.subscription({
    way: () => ({ target: { protocol: 'udp', host: '10.0.0.7', port: 5060, name: 'x' } }),
  });
  subscription.start();
  await one.clock.advance(1_000);
  assert.equal(heard(one), ['0']);
  subscription.quiet(true);
  await one.clock.advance(1_000);
  for (rigServer.value = 1; rigServer.value < 5; rigServer.value += 1) {
    rigServer.notifier.changed(resource);
    await one.clock.advance(6_000);
  }
  assert.equal(heard(one), ['0']);
  subscription.quiet(false);
  await one.clock.advance(1_000);
  assert.equal(heard(one), ['0', '5']);
  // Nothing changed meanwhile: 204, and nothing is told.
  subscription.quiet(true);
  await one.clock.advance(1_000);
  subscription.quiet(false);
  await one.clock.advance(1_000);
  assert.equal(heard(one), ['0', '5']);
  assert.is(subscription.state.kind, 'active');
  rigServer.value = 6;
  rigServer.notifier.changed(resource);
  await one.clock.advance(6_000);
  assert.equal(heard(one), ['0', '5', '6']);
  await Promise.all([subscription.unsubscribe(), one.clock.advance(1_000)]);
  assert.is(rigServer.notifier.counts().subscriptions, 0);
});

const heard = (one: Scene) => one.notified.map((notify) => notify.body.toString());

/** A notifier of ours at 10.0.0.7. */
async function serverOf(one: Scene): Promise<{ value: number; notifier: ReturnType<typeof createNotifier> }> {
  const stack = await one.rigStack('10.0.0.7');
  const notifier = createNotifier(
    { stack, clock: one.clock, random: createFakeRandom(9), log: one.log },
    {
      event: 'presence',
      types: ['application/pidf+xml'],
      authorise: () => ({ ok: true, resource, watcher: 'alice' }),
      body: () => ({ contentType: 'application/pidf+xml', content: String(server.value) }),
    },
  );
  stack.on('SUBSCRIBE', notifier.handle);
  const server = { value: 0, notifier };
  return server;
}
