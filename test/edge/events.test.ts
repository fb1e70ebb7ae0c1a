import * as assert from 'uvu/assert';
import type { EdgeEvent } from '../../src/edge/events.ts';
import { suite } from '../support/harness.ts';
import { createLab, dialogOf, noteDiff, PIDF_DIFF, pidf } from './lab.ts';

const test = suite('edge events');

const GW = 'sip:gw@test.local';

test('every PUBLISH and NOTIFY is told once, with its kind and size', async () => {
  const events: EdgeEvent[] = [];
  let copies = 1;
  const lab = await createLab({
    deps: { onEvent: (event) => void events.push(event) },
    fate: () => Array.from({ length: copies }, () => 0),
  });
  const gw = await lab.phone('gw');
  const alice = await lab.phone('alice');
  copies = 2;

  const dialog = dialogOf(await alice.subscribe(GW));
  await lab.clock.advance(6_000);
  const one = await gw.publish(pidf({ door: 'shut' }));
  await lab.clock.advance(6_000);
  const two = await gw.publish(noteDiff('door', 'open'), {
    'SIP-If-Match': one.get('SIP-ETag'),
    'Content-Type': PIDF_DIFF,
  });
  await lab.clock.advance(6_000);
  const three = await gw.publish(undefined, { 'SIP-If-Match': two.get('SIP-ETag') });
  await gw.publish(undefined, { 'SIP-If-Match': three.get('SIP-ETag'), Expires: 0 });
  await lab.clock.advance(6_000);
  await gw.publish(undefined, { 'SIP-If-Match': 'gone' });
  await alice.subscribe(GW, {}, dialog);
  await lab.clock.advance(6_000);
  await alice.subscribe(GW, { Expires: 0 }, dialog);
  await lab.clock.advance(6_000);

  const published = events.flatMap((one) =>
    one.type === 'publish' && one.status !== 401 ? [[one.aor, one.kind, one.status]] : [],
  );
  assert.equal(published, [
    [GW, 'whole', 200],
    [GW, 'diff', 200],
    [GW, 'refresh', 200],
    [GW, 'remove', 200],
    [GW, 'refresh', 412],
  ]);
  const notified = events.flatMap((one) =>
    one.type === 'notify' ? [[one.watcher, one.resource, one.reason]] : [],
  );
  const row = (reason: string): string[] => ['sip:alice@test.local', GW, reason];
  assert.equal(notified, ['initial', 'change', 'change', 'change', 'refresh', 'expired'].map(row));
  assert.ok(events.every((one) => one.bytes > 200 && one.bytes < 1_500));
  copies = 1;
  await lab.close();
});
