import * as assert from 'uvu/assert';
import { suite } from '../../support/harness.ts';
import { resource, type Scene, scene } from './notifier-scene.ts';

const test = suite('tiny-sip notifier rates');

const notifies = (one: Scene) => one.watcher.requests('NOTIFY');
const stateOf = (one: Scene) => one.watcher.last('NOTIFY').get('Subscription-State');
const tagOf = (one: Scene) => one.watcher.responses(200)[0]?.toTag ?? '';

/** Changes the state every half second for so many seconds. */
async function change(one: Scene, seconds: number): Promise<number> {
  const before = notifies(one).length;
  for (let n = 0; n < seconds * 2; n += 1) {
    one.value += 1;
    one.notifier.changed(resource);
    await one.clock.advance(500);
  }
  return notifies(one).length - before;
}

// watcher                                        notifier
//  |--SUBSCRIBE Event: presence;max-rate=0.05------>|
//  |<----200----------------------------------------|
//  |<----NOTIFY active;expires=600;max-rate=0.05----|
//  |          changes, many of them                 |
//  |<----NOTIFY-------------------------------------|  one in 20 s, the last state
test('RFC 6446 §5.2: max-rate is agreed in Subscription-State, and kept to', async () => {
  const one = await scene({ interval: 1_000 });
  await one.subscribe({ event: 'presence;max-rate=0.05' });
  assert.is(stateOf(one), 'active;expires=600;max-rate=0.05');
  assert.is(one.watcher.last('NOTIFY').get('Event'), 'presence', 'no rate comes back in Event');
  assert.is(await change(one, 100), 5);
  await one.clock.advance(20_000);
  assert.is(one.watcher.last('NOTIFY').text(), String(one.value), 'the last state is never lost');
});

test('RFC 6446 §5.2: neither a refresh nor the change from pending to active waits for max-rate', async () => {
  const one = await scene({
    interval: 1_000,
    authorise: () => ({ ok: true, resource, watcher: 'alice', state: 'pending' }),
  });
  await one.subscribe({ event: 'presence;max-rate=0.01' });
  assert.is(notifies(one).length, 1);
  const [subscription] = one.notifier.watchers(resource);
  one.notifier.setState(subscription?.id ?? '', 'active');
  await one.clock.settle();
  assert.is(notifies(one).length, 2);
  await one.subscribe({ event: 'presence;max-rate=0.01', tag: tagOf(one), cseq: 2 });
  assert.is(notifies(one).length, 3);
  await one.subscribe({ event: 'presence;max-rate=0.01', tag: tagOf(one), cseq: 3, expires: 0 });
  assert.is(notifies(one).length, 4);
  assert.is(stateOf(one), 'terminated;reason=timeout');
});

test('RFC 6446 §4.1: each SUBSCRIBE says all rates anew; one without takes them away', async () => {
  const one = await scene({ interval: 1_000 });
  await one.subscribe({ event: 'presence;max-rate=0.05' });
  one.value = 1;
  one.notifier.changed(resource);
  await one.clock.advance(2_000);
  assert.is(notifies(one).length, 1, 'it waits');
  await one.subscribe({ tag: tagOf(one), cseq: 2 });
  assert.match(stateOf(one) ?? '', /^active;expires=\d+$/);
  assert.is(await change(one, 10), 10);
  await one.subscribe({ event: 'presence;max-rate=0.1', tag: tagOf(one), cseq: 3 });
  assert.match(stateOf(one) ?? '', /;max-rate=0\.1$/);
  assert.is(await change(one, 20), 2);
});

test('RFC 6446 §5.2: the local interval holds whatever the watcher asks for', async () => {
  const one = await scene({ interval: 5_000 });
  await one.subscribe({ event: 'presence;max-rate=10;min-rate=10' });
  assert.is(stateOf(one), 'active;expires=600;max-rate=0.2;min-rate=0.2');
  assert.is(await change(one, 20), 4);
});

test('RFC 6446 §6.2: min-rate sends the state although nothing changed', async () => {
  const one = await scene();
  await one.subscribe({ event: 'presence;min-rate=0.02' });
  assert.is(stateOf(one), 'active;expires=600;min-rate=0.02');
  await one.clock.advance(205_000);
  assert.is(notifies(one).length, 5);
  // A change begins the time anew.
  one.value = 7;
  one.notifier.changed(resource);
  await one.clock.advance(46_000);
  assert.is(notifies(one).length, 6);
  await one.clock.advance(5_000);
  assert.is(notifies(one).length, 7);
  assert.is(one.watcher.last('NOTIFY').text(), '7');
});

test('RFC 6446 §7.2: adaptive-min-rate keeps its average', async () => {
  const one = await scene({ interval: 500, beat: 500 });
  await one.subscribe({ event: 'presence;adaptive-min-rate=0.1', expires: 3_600 });
  assert.is(stateOf(one), 'active;expires=3600;adaptive-min-rate=0.1');
  await one.clock.advance(400_000);
  const quiet = notifies(one).length;
  assert.ok(quiet > 34 && quiet < 48, `${quiet} in 400 s`);
  const busy = await change(one, 20);
  assert.ok(busy >= 38, `${busy} in 20 s`);
  const before = notifies(one).length;
  await one.clock.advance(30_000);
  assert.is(notifies(one).length, before, 'a burst pays for silence');
});

test('RFC 6446 §9.3: a 2xx to NOTIFY may say other rates, only where the SUBSCRIBE said some', async () => {
  const one = await scene({ interval: 1_000 });
  let event: string | undefined = 'presence;max-rate=0.5';
  one.watcher.onRequest = (request) =>
    one.watcher.answer(request, 200, event === undefined ? {} : { Event: event });
  await one.subscribe({ event: 'presence;max-rate=0.05' });
  await one.clock.settle();
  event = undefined;
  assert.is(await change(one, 20), 10);
  assert.match(stateOf(one) ?? '', /;max-rate=0\.5$/);
  // Another package, or rates where there were none, say nothing.
  event = 'dialog;max-rate=0.01';
  await change(one, 4);
  event = undefined;
  assert.is(await change(one, 20), 10);
  await one.subscribe({ tag: tagOf(one), cseq: 2 });
  event = 'presence;max-rate=0.01';
  await change(one, 4);
  event = undefined;
  assert.is(await change(one, 10), 10);
});

test('S28: with rates, too, what ends leaves no timer', async () => {
  const one = await scene();
  const idle = one.stack.counts().timers ?? 0;
  for (let n = 0; n < 100; n += 1)
    await one.subscribe({
      callId: `c${n}`,
      event: `presence;id=${n};min-rate=0.01;adaptive-min-rate=0.05`,
      expires: 60,
    });
  assert.is(one.notifier.counts().subscriptions, 100);
  await one.clock.advance(100_000);
  assert.is(one.notifier.counts().subscriptions, 0);
  await one.clock.advance(40_000);
  assert.is(one.stack.counts().timers, idle);
});
