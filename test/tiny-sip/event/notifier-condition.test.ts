import * as assert from 'uvu/assert';
import { suite } from '../../support/harness.ts';
import { resource, type Scene, scene } from './notifier-scene.ts';

const test = suite('tiny-sip conditional notification');

const notifies = (one: Scene) => one.watcher.requests('NOTIFY');
const tagOf = (one: Scene) => one.watcher.responses(200)[0]?.toTag ?? '';
const etag = (one: Scene) => one.watcher.last('NOTIFY').get('SIP-ETag') ?? '';
const condition = (value: string) => [`Suppress-If-Match: ${value}`];

// watcher                                notifier
//  |--SUBSCRIBE--------------------------->|
//  |<----200, NOTIFY SIP-ETag: a-----------|
//  |--SUBSCRIBE Suppress-If-Match: a------>|  refresh
//  |<----204 Expires-----------------------|  and no NOTIFY
//  |          the state changes            |
//  |<----NOTIFY SIP-ETag: b----------------|
//  |--SUBSCRIBE Suppress-If-Match: a------>|
//  |<----200, NOTIFY SIP-ETag: b-----------|
test('RFC 5839 §6.3: a refresh by whoever holds the state gets 204 and no NOTIFY', async () => {
  const one = await scene();
  await one.subscribe();
  const first = etag(one);
  assert.match(first, /^[-\w]{16}$/);
  await one.clock.advance(100_000);
  await one.subscribe({ tag: tagOf(one), cseq: 2, headers: condition(first) });
  const [known] = one.watcher.responses(204);
  assert.is(known?.expires, 600);
  assert.ok(known?.has('Contact'));
  assert.is(notifies(one).length, 1);
  // It lasts 600 s from now.
  await one.clock.advance(590_000);
  assert.is(one.notifier.counts().subscriptions, 1);

  one.value = 1;
  one.notifier.changed(resource);
  await one.clock.settle();
  assert.is(notifies(one).length, 2);
  assert.is.not(etag(one), first);
  await one.subscribe({ tag: tagOf(one), cseq: 3, headers: condition(first) });
  assert.is(one.watcher.responses(204).length, 1);
  assert.is(notifies(one).length, 3);
});

test('RFC 5839 §6.3: while the condition holds nothing is sent, and once it failed it is over', async () => {
  const one = await scene({ interval: 1_000 });
  await one.subscribe();
  const first = etag(one);
  await one.subscribe({ tag: tagOf(one), cseq: 2, headers: condition(first) });
  one.notifier.changed(resource);
  await one.clock.advance(5_000);
  assert.is(notifies(one).length, 1);
  assert.is(one.notifier.counts().suppressed, 1);
  one.value = 1;
  one.notifier.changed(resource);
  await one.clock.advance(5_000);
  assert.is(notifies(one).length, 2);
  // Back to what the watcher once held: it holds something else now.
  one.value = 0;
  one.notifier.changed(resource);
  await one.clock.advance(5_000);
  assert.is(notifies(one).length, 3);
  assert.is(etag(one), first);
});

test('a state that was left out does not delay the next one', async () => {
  const one = await scene({ interval: 10_000 });
  await one.subscribe();
  await one.subscribe({ tag: tagOf(one), cseq: 2, headers: condition(etag(one)) });
  await one.clock.advance(10_000);
  one.notifier.changed(resource);
  await one.clock.advance(1_000);
  one.value = 1;
  one.notifier.changed(resource);
  await one.clock.settle();
  assert.is(notifies(one).length, 2);
});

test('RFC 5839 §5.4, §5.5: a fetch or a new subscription by whoever holds the state gets a NOTIFY without body', async () => {
  const one = await scene();
  await one.subscribe({ expires: 0 });
  const tag = etag(one);
  assert.is(one.watcher.last('NOTIFY').text(), '0');
  for (const [expires, state] of [
    [0, 'terminated;reason=timeout'],
    [600, 'active;expires=600'],
  ] as const) {
    await one.subscribe({ callId: `again-${expires}`, expires, headers: condition(tag) });
    const notify = one.watcher.last('NOTIFY');
    assert.is(notify.callId, `again-${expires}`);
    assert.is(notify.get('Subscription-State'), state);
    assert.is(notify.body.length, 0);
    assert.is(notify.has('Content-Type'), false);
    assert.is(notify.get('SIP-ETag'), tag);
  }
  assert.is(one.watcher.responses(204).length, 0, 'never outside of a dialog');
});

test('RFC 5839 §5.7: whoever holds the state unsubscribes without a last NOTIFY', async () => {
  const one = await scene();
  await one.subscribe();
  await one.subscribe({ tag: tagOf(one), cseq: 2, expires: 0, headers: condition(etag(one)) });
  assert.is(one.watcher.responses(204).length, 1);
  assert.is(notifies(one).length, 1);
  assert.is(one.notifier.counts().subscriptions, 0);
  assert.is(one.records.size, 0);
  await one.subscribe({ tag: tagOf(one), cseq: 3 });
  assert.is(one.watcher.responses(481).length, 1);
});

test('RFC 5839 §5.2: * quenches a subscription; changes of its own state are told without body', async () => {
  const one = await scene({ interval: 1_000 });
  await one.subscribe();
  await one.subscribe({ tag: tagOf(one), cseq: 2, headers: condition('*') });
  assert.is(one.watcher.responses(204).length, 1);
  for (one.value = 1; one.value < 10; one.value += 1) {
    one.notifier.changed(resource);
    await one.clock.advance(2_000);
  }
  assert.is(notifies(one).length, 1);
  one.notifier.terminate({ resource }, 'deactivated');
  await one.clock.settle();
  assert.is(notifies(one).length, 2);
  assert.is(one.watcher.last('NOTIFY').body.length, 0);
  // A SUBSCRIBE without a condition wakes it up.
  await one.subscribe({ callId: 'other', headers: condition('*') });
  assert.is(one.watcher.last('NOTIFY').body.length, 0);
  one.value = 11;
  await one.subscribe({ callId: 'other', tag: one.watcher.responses(200).at(-1)?.toTag ?? '', cseq: 2 });
  assert.is(one.watcher.last('NOTIFY').text(), '11');
});

test('a pending subscription has no entity, and holds none', async () => {
  const one = await scene({
    authorise: () => ({ ok: true, resource, watcher: 'alice', state: 'pending' }),
  });
  await one.subscribe();
  assert.is(one.watcher.last('NOTIFY').has('SIP-ETag'), false);
  await one.subscribe({ tag: tagOf(one), cseq: 2, headers: condition('abc') });
  assert.is(notifies(one).length, 2);
  const [subscription] = one.notifier.watchers(resource);
  one.notifier.setState(subscription?.id ?? '', 'active');
  await one.clock.settle();
  assert.is(one.watcher.last('NOTIFY').text(), '0');
});

test('with min-rate, too, nothing is sent to whoever holds the state', async () => {
  const one = await scene();
  await one.subscribe({ event: 'presence;min-rate=0.1' });
  await one.clock.advance(35_000);
  assert.is(notifies(one).length, 4);
  await one.subscribe({
    event: 'presence;min-rate=0.1',
    tag: tagOf(one),
    cseq: 2,
    headers: condition(etag(one)),
  });
  await one.clock.advance(100_000);
  assert.is(notifies(one).length, 4);
  one.value = 1;
  one.notifier.changed(resource);
  await one.clock.advance(35_000);
  assert.is(notifies(one).length, 8, 'the change, and three beats');
});

test('tags tell states, types and resources apart, and are the same after a restart', async () => {
  const one = await scene();
  const tags: string[] = [];
  for (const [callId, headers] of [
    ['a', []],
    ['b', ['Accept: text/plain']],
    ['c', ['Accept: application/pidf+xml']],
  ] as const) {
    await one.subscribe({ callId, headers });
    tags.push(etag(one));
  }
  await one.subscribe({ callId: 'd', event: 'presence;id=1' });
  tags.push(etag(one));
  assert.is(tags[0], tags[2]);
  assert.is(new Set(tags).size, 3);
  // A kill, and another process.
  const records = [...one.records.values()];
  one.notifier.abandon();
  await one.stack.stop();
  const stack = await one.rigStack();
  const again = one.again(stack);
  const before = notifies(one).length;
  for (const record of records) again.restore(record);
  await one.clock.settle();
  const after = notifies(one).slice(before);
  assert.equal(after.map((notify) => notify.get('SIP-ETag')).sort(), [...tags].sort());
});

test('a condition outlives a restart', async () => {
  const one = await scene();
  await one.subscribe();
  await one.subscribe({ tag: tagOf(one), cseq: 2, headers: condition('*') });
  const [record] = [...one.records.values()];
  assert.is(record?.condition, '*');
  one.notifier.abandon();
  await one.stack.stop();
  const again = one.again(await one.rigStack());
  if (record !== undefined) again.restore(record);
  await one.clock.settle();
  assert.is(one.watcher.last('NOTIFY').body.length, 0, 'told that it lives, and no more');
  one.value = 5;
  again.changed(resource);
  await one.clock.advance(10_000);
  assert.is(one.watcher.last('NOTIFY').body.length, 0);
});

test('conditions that are none are passed over: several, empty, with blanks', async () => {
  const one = await scene();
  await one.subscribe();
  const tag = etag(one);
  let cseq = 1;
  for (const headers of [
    [...condition(tag), ...condition(tag)],
    condition(''),
    condition(`${tag} x`),
    condition(`"${tag}"`),
  ]) {
    cseq += 1;
    await one.subscribe({ tag: tagOf(one), cseq, headers });
    assert.is(notifies(one).length, cseq);
  }
});

test('a notifier without entity-tags knows no conditions', async () => {
  const one = await scene({ entityTags: false });
  await one.subscribe();
  assert.is(one.watcher.last('NOTIFY').has('SIP-ETag'), false);
  await one.subscribe({ tag: tagOf(one), cseq: 2, headers: condition('*') });
  assert.is(notifies(one).length, 2);
});

test('RFC 5839 §6.4: of a difference the owner says the tag of the whole', async () => {
  const one = await scene({
    body: () => ({ contentType: 'text/plain', content: '+1' }),
    tag: () => `whole-${one.value}`,
  });
  await one.subscribe();
  assert.is(etag(one), 'whole-0');
  await one.subscribe({ tag: tagOf(one), cseq: 2, headers: condition('whole-0') });
  assert.is(one.watcher.responses(204).length, 1);
});

test('a tag that cannot be made leaves a NOTIFY without one, and every condition false but *', async () => {
  const one = await scene({
    tag: () => {
      throw new Error('no such resource');
    },
  });
  await one.subscribe();
  assert.is(one.watcher.last('NOTIFY').text(), '0');
  assert.is(one.watcher.last('NOTIFY').has('SIP-ETag'), false);
  await one.subscribe({ tag: tagOf(one), cseq: 2, headers: condition('abc') });
  assert.is(notifies(one).length, 2);
  await one.subscribe({ tag: tagOf(one), cseq: 3, headers: condition('*') });
  assert.is(one.watcher.responses(204).length, 1);
});

// notifier                             watcher
//  |--NOTIFY version 0------------------->|
//  |--NOTIFY version 1------------------->|  each one higher, whatever is left out between
test('S27: versions rise by one with each NOTIFY that tells something, refreshes and conditions included', async () => {
  const one = await scene({
    interval: 1_000,
    body(subscription) {
      const version = typeof subscription.data === 'number' ? subscription.data + 1 : 0;
      subscription.data = version;
      return { contentType: 'text/plain', content: `${version} ${one.value}` };
    },
    tag: () => `state-${one.value}`,
  });
  await one.subscribe();
  let cseq = 1;
  for (let n = 1; n <= 20; n += 1) {
    one.value = Math.floor(n / 2);
    one.notifier.changed(resource);
    await one.clock.advance(1_500);
    cseq += 1;
    await one.subscribe({ tag: tagOf(one), cseq, headers: n % 3 === 0 ? condition(etag(one)) : [] });
  }
  assert.ok(one.watcher.responses(204).length > 3);
  const versions = notifies(one).map((notify) => Number(notify.text().split(' ')[0]));
  assert.ok(versions.length > 20);
  assert.equal(
    versions,
    versions.map((_, index) => index),
  );
});

test('RFC 6665 §4.1.3: invariant comes with a long retry-after, other reasons with the one that is given', async () => {
  const one = await scene();
  const told = async (reason: string, after?: number): Promise<string | undefined> => {
    await one.subscribe({ callId: reason });
    one.notifier.terminate({ resource }, reason, after);
    await one.clock.settle();
    return one.watcher.last('NOTIFY').get('Subscription-State');
  };
  assert.is(await told('invariant'), 'terminated;reason=invariant;retry-after=31536000');
  assert.is(await told('probation', 120), 'terminated;reason=probation;retry-after=120');
  assert.is(await told('rejected'), 'terminated;reason=rejected');
});

test('RFC 6665 §4.5.2: another event id in the dialog is a second usage, and refused', async () => {
  const one = await scene();
  await one.subscribe({ event: 'presence;id=1' });
  await one.subscribe({ event: 'presence;id=2', tag: tagOf(one), cseq: 2 });
  assert.is(one.watcher.responses(403).length, 1);
  await one.subscribe({ event: 'presence;id=1', tag: tagOf(one), cseq: 3 });
  assert.is(one.watcher.responses(200).length, 2);
});

test('headers of the verdict go with the answer', async () => {
  const one = await scene({
    authorise: () => ({
      ok: true,
      resource,
      watcher: 'alice',
      headers: { 'Authentication-Info': 'nextnonce="n"' },
    }),
  });
  await one.subscribe();
  assert.is(one.watcher.responses(200)[0]?.get('Authentication-Info'), 'nextnonce="n"');
});
