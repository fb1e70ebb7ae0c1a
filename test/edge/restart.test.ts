import * as assert from 'uvu/assert';
import { JOURNAL_NAME } from '../../src/edge/store.ts';
import { suite } from '../support/harness.ts';
import { createLab, dialogOf, type Lab, type Phone, pidf } from './lab.ts';

const test = suite('edge restart');

const GW = 'sip:gw@test.local';
const path = `/run/edge/${JOURNAL_NAME}`;
const text = { 'Content-Type': 'text/plain' };

async function trio(protocol?: 'udp' | 'tcp'): Promise<{ lab: Lab; gw: Phone; alice: Phone }> {
  const lab = await createLab(protocol ? { protocol } : {});
  return { lab, gw: await lab.phone('gw'), alice: await lab.phone('alice') };
}

test('S4: publications outlive a kill: refreshed by their tag, and seen by new watchers', async () => {
  const { lab, gw, alice } = await trio();
  const initial = await gw.publish(pidf({ door: 'shut' }));
  await lab.crash();
  assert.is(lab.edge.counts()['publication.publications'], 1);
  await alice.subscribe(GW);
  await lab.clock.settle();
  assert.equal(alice.notified.at(-1)?.tuples, ['door: open shut']);
  const refreshed = await gw.publish(undefined, { 'SIP-If-Match': initial.get('SIP-ETag') });
  assert.is(refreshed.status, 200);
  assert.is((await gw.publish(undefined, { 'SIP-If-Match': initial.get('SIP-ETag') })).status, 412);
  await lab.close();
});

test('S3: the newest still wins after a kill', async () => {
  const { lab, gw, alice } = await trio();
  const older = await gw.publish(pidf({ door: 'one', lamp: 'on' }));
  await gw.publish(pidf({ door: 'two' }));
  await gw.publish(pidf({ door: 'three', lamp: 'off' }), { 'SIP-If-Match': older.get('SIP-ETag') });
  await lab.crash();
  await alice.subscribe(GW);
  await lab.clock.settle();
  assert.equal(alice.notified.at(-1)?.tuples, ['door: open three', 'lamp: open off']);
  await lab.close();
});

test('what expired while the edge was down is closed when it is back', async () => {
  const { lab, gw, alice } = await trio();
  await gw.publish(pidf({ door: 'shut' }), { Expires: 60 });
  await alice.subscribe(GW, { Expires: 3_600 });
  await lab.clock.advance(10_000);
  const wall = lab.clock.wall() ?? 0;
  await lab.crash(() => lab.clock.setWall(wall + 300_000));
  await lab.clock.advance(10_000);
  assert.equal(alice.notified.at(-1)?.tuples, ['door: closed']);
  assert.is(lab.edge.counts()['publication.publications'], 0);
  await lab.close();
});

test('bindings by datagram outlive a kill', async () => {
  const { lab, gw, alice } = await trio();
  await gw.register();
  await lab.crash();
  const answer = await alice.request('MESSAGE', { uri: GW, headers: text, body: 'status' });
  assert.is(answer.status, 200);
  assert.is(gw.received.length, 1);
  await lab.close();
});

test('bindings by stream do not: their connection died with the process', async () => {
  const { lab, gw, alice } = await trio('tcp');
  await gw.register();
  await lab.crash();
  assert.is(lab.edge.counts().bindings, 0);
  assert.is((await alice.request('MESSAGE', { uri: GW, headers: text, body: 'x' })).status, 480);
  assert.is((await gw.register()).status, 200);
  assert.is((await alice.request('MESSAGE', { uri: GW, headers: text, body: 'x' })).status, 200);
  await lab.close();
});

test('S23: after a kill the subscription goes on in its dialog, and CSeq only rises', async () => {
  const { lab, gw, alice } = await trio();
  const dialog = dialogOf(await alice.subscribe(GW));
  for (let n = 0; n < 3; n += 1) {
    await lab.clock.advance(6_000);
    await gw.publish(pidf({ [`t${n}`]: 'x' }));
  }
  await lab.clock.advance(6_000);
  const before = alice.notified.length;
  const { request: last } = alice.notified.at(-1) ?? {};
  await lab.crash();
  await gw.publish(pidf({ door: 'after' }));
  await lab.clock.advance(10_000);
  assert.ok(alice.notified.length > before);
  for (const { request } of alice.notified.slice(before)) {
    assert.is(request.callId, dialog.callId);
    assert.is(request.fromTag, last?.fromTag);
    assert.is(request.toTag, last?.toTag);
    assert.is(request.uri, last?.uri);
  }
  const seqs = alice.notified.map((one) => one.request.cseq?.number ?? 0);
  assert.ok(
    seqs.every((seq, n) => n === 0 || seq > (seqs[n - 1] ?? 0)),
    seqs.join(' '),
  );
  assert.ok(alice.notified.at(-1)?.tuples.includes('door: open after'));
  // And the watcher can go on refreshing it.
  assert.is((await alice.subscribe(GW, {}, dialog)).status, 200);
  assert.is(lab.edge.counts()['subscription.subscriptions'], 1);
  await lab.close();
});

test('S23: when the journal is lost, the dialog is unknown: 481', async () => {
  const { lab, alice } = await trio();
  const dialog = dialogOf(await alice.subscribe(GW));
  await lab.crash((files) => files.content.delete(path));
  assert.is((await alice.subscribe(GW, {}, dialog)).status, 481);
  await lab.close();
});

test('a journal that was cut in the middle of its last line gives all before it', async () => {
  const { lab, gw, alice } = await trio();
  await gw.publish(pidf({ door: 'shut' }));
  await lab.clock.settle();
  await gw.publish(pidf({ freezer: '-18' }));
  await lab.crash((files) => {
    const bytes = files.content.get(path) ?? Buffer.alloc(0);
    files.content.set(path, bytes.subarray(0, bytes.length - 20));
  });
  assert.is(lab.edge.counts()['publication.publications'], 1);
  // What comes after is kept again.
  await gw.publish(pidf({ pump: 'idle' }));
  await lab.crash();
  await alice.subscribe(GW);
  await lab.clock.settle();
  assert.equal(alice.notified.at(-1)?.tuples, ['door: open shut', 'pump: open idle']);
  await lab.close();
});

test('G35: while nothing changes nothing is written', async () => {
  const { lab, gw, alice } = await trio();
  await gw.register({ Expires: 3_600 });
  await gw.publish(pidf({ door: 'shut' }), { Expires: 3_600 });
  await alice.subscribe(GW, { Expires: 3_600 });
  await lab.clock.advance(10_000);
  const before = lab.edge.counts()['store.bytes'];
  await lab.clock.advance(1_800_000);
  assert.is(lab.edge.counts()['store.bytes'], before);
  await lab.close();
});

test('a directory that cannot be written degrades the edge and stops nothing', async () => {
  const { lab, gw } = await trio();
  await lab.clock.settle();
  lab.files.failAt(0);
  assert.is((await gw.publish(pidf({ door: 'shut' }))).status, 200);
  await lab.clock.settle();
  assert.is(lab.edge.health().state, 'degraded');
  assert.is(lab.edge.health().code, 'EDGE_CANNOT_STORE');
  assert.is((await gw.publish(pidf({ lamp: 'on' }))).status, 200);
  await lab.clock.settle();
  assert.is(lab.edge.health().state, 'ok');
  await lab.crash();
  assert.is(lab.edge.counts()['publication.publications'], 2);
  await lab.close();
});

test('what was closed and what was gone before a kill is so after it, and never open again', async () => {
  const { lab, gw, alice } = await trio();
  await alice.subscribe(GW, { Expires: 3_600 });
  await gw.publish(pidf({ door: 'shut', lamp: 'on' }), { Expires: 60 });
  const lamp = await gw.publish(pidf({ lamp: 'off' }), { Expires: 600 });
  await lab.clock.advance(70_000);
  assert.equal(alice.notified.at(-1)?.tuples, ['door: closed', 'lamp: open off']);
  await gw.publish(undefined, { 'SIP-If-Match': lamp.get('SIP-ETag'), Expires: 0 });
  await lab.clock.advance(10_000);
  assert.equal(alice.notified.at(-1)?.tuples, ['door: closed']);
  const before = alice.notified.length;
  await lab.crash();
  await lab.clock.advance(10_000);
  assert.ok(alice.notified.length > before);
  for (const { tuples } of alice.notified.slice(before)) assert.equal(tuples, ['door: closed']);
  // It vanishes when it would have: five minutes after it expired.
  await lab.clock.advance(230_000);
  assert.equal(alice.notified.at(-1)?.tuples, ['door: closed']);
  await lab.clock.advance(60_000);
  assert.equal(alice.notified.at(-1)?.tuples, ['offline: closed']);
  await lab.crash();
  assert.is(lab.edge.counts()['publication.bytes'], 0);
  await lab.close();
});
