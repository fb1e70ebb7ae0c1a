import * as assert from 'uvu/assert';
import { suite } from '../support/harness.ts';
import { createLab, type Lab, type LabOptions, noteDiff, type Phone, PIDF, PIDF_DIFF, pidf } from './lab.ts';

const test = suite('edge publications', { timeout: 60_000 });

const GW = 'sip:gw@test.local';

/** A gateway that publishes and a watcher that has had its first NOTIFY. */
async function watched(
  options: LabOptions = {},
): Promise<{ lab: Lab; gw: Phone; alice: Phone; last(): string[] }> {
  const lab = await createLab(options);
  const gw = await lab.phone('gw');
  const alice = await lab.phone('alice');
  const answer = await alice.subscribe(GW);
  assert.is(answer.status, 200);
  await lab.clock.settle();
  return { lab, gw, alice, last: () => [...(alice.notified.at(-1)?.tuples ?? [])] };
}

test('publish, refresh, change, remove: what the watcher sees', async () => {
  const { lab, gw, alice, last } = await watched();
  assert.equal(last(), ['offline: closed']);
  await lab.clock.advance(5_000);

  const initial = await gw.publish(pidf({ door: 'shut' }));
  assert.is(initial.status, 200);
  assert.is(initial.expires, 600);
  const first = initial.get('SIP-ETag') ?? '';
  await lab.clock.settle();
  assert.equal(last(), ['door: open shut']);

  await lab.clock.advance(5_000);
  const count = alice.notified.length;
  const refreshed = await gw.publish(undefined, { 'SIP-If-Match': first });
  assert.is(refreshed.status, 200);
  const second = refreshed.get('SIP-ETag') ?? '';
  assert.is.not(second, first);
  await lab.clock.advance(10_000);
  assert.is(alice.notified.length, count);

  assert.is((await gw.publish(pidf({ door: 'x' }), { 'SIP-If-Match': first })).status, 412);
  const changed = await gw.publish(pidf({ door: 'open' }), { 'SIP-If-Match': second });
  assert.is(changed.status, 200);
  await lab.clock.settle();
  assert.equal(last(), ['door: open open']);

  const removed = await gw.publish(undefined, { 'SIP-If-Match': changed.get('SIP-ETag'), Expires: 0 });
  assert.is(removed.status, 200);
  await lab.clock.advance(5_000);
  assert.equal(last(), ['offline: closed']);
  assert.is(lab.edge.counts()['publication.publications'], 0);
  await lab.close();
});

test('RFC 5264: a diff changes what is stored, and the next diff builds on it', async () => {
  const { lab, gw, last } = await watched();
  const tag = async (body: string, before: string | undefined, type: string): Promise<string> => {
    const answer = await gw.publish(body, { 'Content-Type': type, 'SIP-If-Match': before });
    assert.is(answer.status, 200);
    return answer.get('SIP-ETag') ?? '';
  };
  const one = await tag(pidf({ door: 'shut', freezer: '-18' }), undefined, PIDF);
  const two = await tag(noteDiff('door', 'ajar'), one, PIDF_DIFF);
  await tag(noteDiff('freezer', '-17'), two, PIDF_DIFF);
  await lab.clock.advance(5_000);
  assert.equal(last(), ['door: open ajar', 'freezer: open -17']);
  await lab.close();
});

test('RFC 5264: a diff that does not apply gets 400, says why, and changes nothing', async () => {
  const { lab, gw, last } = await watched();
  const initial = await gw.publish(pidf({ door: 'shut' }));
  const headers = { 'Content-Type': PIDF_DIFF, 'SIP-If-Match': initial.get('SIP-ETag') };
  const refused = await gw.publish(noteDiff('window', 'open'), headers);
  assert.is(refused.status, 400);
  assert.is(refused.contentType?.essence, 'application/patch-ops-error+xml');
  assert.match(refused.text(), /unlocated-node/);
  // The tag was not used up.
  assert.is((await gw.publish(noteDiff('door', 'ajar'), headers)).status, 200);
  await lab.clock.advance(5_000);
  assert.equal(last(), ['door: open ajar']);
  await lab.close();
});

test('RFC 5264: pidf-full may come first, pidf-diff may not', async () => {
  const { lab, gw, last } = await watched();
  const diff = await gw.publish(noteDiff('door', 'x'), { 'Content-Type': PIDF_DIFF });
  assert.is(diff.status, 400);
  const full = pidf({ door: 'shut' })
    .replace('<presence ', '<d:pidf-full xmlns:d="urn:ietf:params:xml:ns:pidf-diff" ')
    .replace('</presence>', '</d:pidf-full>');
  assert.is((await gw.publish(full, { 'Content-Type': PIDF_DIFF })).status, 200);
  await lab.clock.advance(5_000);
  assert.equal(last(), ['door: open shut']);
  await lab.close();
});

test('what cannot be taken is refused with its reason', async () => {
  const { lab, gw } = await watched();
  const status = async (
    body: string | undefined,
    headers: Record<string, string | number> = {},
    aor?: string,
  ) => (await gw.publish(body, headers, aor)).status;
  const good = pidf({ door: 'shut' });
  assert.is(await status('<presence'), 400);
  assert.is(
    await status('<!DOCTYPE x [<!ENTITY e "x">]><presence xmlns="urn:ietf:params:xml:ns:pidf" entity="a"/>'),
    400,
  );
  assert.is(await status('<other/>'), 400);
  assert.is(await status(undefined), 400);
  assert.is(await status(good, { Expires: 30 }), 423);
  assert.is(await status(good, { Event: 'dialog' }), 489);
  assert.is(await status(good, {}, 'sip:nobody@test.local'), 404);
  assert.is(await status(good, {}, 'sip:gw@elsewhere.example'), 404);
  assert.is(await status(good, {}, 'sip:alice@test.local'), 403);
  assert.is(await status(good, { 'SIP-If-Match': 'unknown' }), 412);
  assert.is(await status(good, { Require: 'teleport' }), 420);
  assert.is(await status(good, { From: '<sip:alice@test.local>' }), 403);
  assert.is(lab.edge.counts()['publication.publications'], 0);
  await lab.close();
});

test('415 and OPTIONS say what a PUBLISH may carry', async () => {
  const { lab, gw } = await watched();
  const refused = await gw.publish('hello', { 'Content-Type': 'text/plain' });
  assert.is(refused.status, 415);
  assert.equal([...refused.all('Accept')].sort(), [PIDF_DIFF, PIDF].sort());
  const options = await gw.request('OPTIONS', { credentials: false });
  assert.is(options.status, 200);
  assert.equal([...options.all('Accept')].sort(), [PIDF_DIFF, PIDF].sort());
  assert.ok(options.all('Allow').includes('PUBLISH'));
  assert.equal(options.all('Allow-Events'), ['presence']);
  await lab.close();
});

test('without credentials nothing is published', async () => {
  const lab = await createLab();
  const eve = await lab.phone('gw', { password: 'wrong' });
  assert.is((await eve.publish(pidf({ door: 'shut' }))).status, 401);
  assert.is(lab.edge.counts()['publication.publications'], 0);
  await lab.close();
});

test('the gateway publishes for its devices, and a phone watches one', async () => {
  const lab = await createLab();
  const gw = await lab.phone('gw');
  const alice = await lab.phone('alice');
  const lamp = 'sip:dev-lamp@test.local';
  // Watched before it ever was published.
  assert.is((await alice.subscribe(lamp)).status, 200);
  await lab.clock.advance(5_000);
  assert.is((await gw.publish(pidf({ lamp: 'on' }, lamp), {}, lamp)).status, 200);
  await lab.clock.settle();
  assert.equal(alice.notified.at(-1)?.tuples, ['lamp: open on']);
  assert.match(alice.notified.at(-1)?.request.text() ?? '', /entity="sip:dev-lamp@test.local"/);
  await lab.close();
});

test('several publications of one presentity are composed', async () => {
  const { lab, gw, last } = await watched();
  await gw.publish(pidf({ door: 'shut' }));
  const b = await gw.publish(pidf({ freezer: '-18' }));
  await gw.publish(pidf({ pump: 'idle' }));
  await lab.clock.advance(5_000);
  assert.equal(last(), ['door: open shut', 'freezer: open -18', 'pump: open idle']);
  await gw.publish(undefined, { 'SIP-If-Match': b.get('SIP-ETag'), Expires: 0 });
  await lab.clock.advance(5_000);
  assert.equal(last(), ['door: open shut', 'pump: open idle']);
  await lab.close();
});

test('S3: an initial publication while the old one lives leaves no orphan tuples', async () => {
  const { lab, gw, alice, last } = await watched();
  await gw.publish(pidf({ door: 'before' }), { Expires: 100 });
  await gw.publish(pidf({ door: 'after' }), { Expires: 3_600 });
  await lab.clock.advance(5_000);
  assert.equal(last(), ['door: open after']);
  // The old one expires; nobody may see that.
  await lab.clock.advance(120_000);
  assert.is(lab.edge.counts()['publication.publications'], 1);
  assert.ok(alice.notified.slice(1).every((one) => one.tuples[0] !== 'door: closed'));
  assert.equal(last(), ['door: open after']);
  await lab.close();
});

test('S8: closed after shutdown is final: a late copy of a PUBLISH does not open it again', async () => {
  const { lab, gw, last } = await watched();
  const sent: Buffer[] = [];
  const stop = gw.stack.onTrace((direction, _flow, message, bytes) => {
    if (direction === 'out' && message.kind === 'request' && message.method === 'PUBLISH') sent.push(bytes);
  });
  const initial = await gw.publish(pidf({ door: 'open' }));
  stop();
  await gw.publish(undefined, { 'SIP-If-Match': initial.get('SIP-ETag'), Expires: 0 });
  // Long after the transaction is forgotten the network delivers the PUBLISH again.
  await lab.clock.advance(60_000);
  const late = sent.at(-1);
  assert.ok(late);
  const flow = gw.stack.flow({ protocol: 'udp', host: '192.0.2.1', port: 5060, name: '' });
  await flow.send(late);
  await lab.clock.advance(10_000);
  assert.is(lab.edge.counts()['publication.publications'], 0);
  assert.equal(last(), ['offline: closed']);
  await lab.close();
});

test('S9: a gateway that died is closed when its publication expires, told once, then gone', async () => {
  const { lab, gw, alice, last } = await watched({ options: { linger: 60_000 } });
  await gw.publish(pidf({ door: 'open', freezer: '-18' }), { Expires: 120 });
  await lab.clock.advance(10_000);
  const before = alice.notified.length;
  await lab.clock.advance(115_000);
  assert.equal(last(), ['door: closed', 'freezer: closed']);
  assert.is(alice.notified.length, before + 1);
  await lab.clock.advance(50_000);
  assert.is(alice.notified.length, before + 1);
  await lab.clock.advance(20_000);
  assert.equal(last(), ['offline: closed']);
  const counts = lab.edge.counts();
  assert.is(counts['publication.publications'], 0);
  assert.is(counts['publication.bytes'], 0);
  await lab.close();
});

test('S12: the contact in the document is the presentity’s, never the watcher’s', async () => {
  const { lab, gw, alice } = await watched();
  const document = pidf({ door: 'shut' }).replace('<note>', `<contact>${GW}</contact><note>`);
  await gw.publish(document);
  await lab.clock.advance(5_000);
  for (const { request } of alice.notified) assert.not.match(request.text(), /alice|10\.0\.0/);
  assert.match(alice.notified.at(-1)?.request.text() ?? '', /<contact>sip:gw@test.local<\/contact>/);
  await lab.close();
});

test('entity-tags are never used again and cannot be guessed', async () => {
  const { lab, gw } = await watched();
  const tags = new Set<string>();
  let tag = (await gw.publish(pidf({ door: 'shut' }))).get('SIP-ETag') ?? '';
  for (let n = 0; n < 30; n += 1) {
    assert.not.ok(tags.has(tag));
    assert.match(tag, /^[\w.!%*+`'~-]{10,}$/);
    tags.add(tag);
    tag = (await gw.publish(undefined, { 'SIP-If-Match': tag })).get('SIP-ETag') ?? '';
  }
  await lab.close();
});

test('S42: publications are bounded, with an answer that says so', async () => {
  const limits = { publications: 3, publicationsPerAor: 2, bodyBytes: 500, documentBytes: 1_000 };
  const { lab, gw } = await watched({ options: { limits } });
  const big = pidf({ door: 'x'.repeat(400) });
  assert.is((await gw.publish(big)).status, 413);
  const medium = pidf({ door: 'x'.repeat(250) });
  assert.ok(medium.length > 334 && medium.length < 500);
  const initial = await gw.publish(medium);
  assert.is(initial.status, 200);
  assert.is((await gw.publish(medium)).status, 200);
  const refused = await gw.publish(pidf({ door: 'shut' }));
  assert.is(refused.status, 503);
  assert.ok(refused.has('Retry-After'));
  const documents = await gw.publish(medium, {}, 'sip:dev-1@test.local');
  assert.is(documents.status, 503);
  // At the bound what is there can still be changed.
  const smaller = await gw.publish(pidf({ door: 'shut' }), { 'SIP-If-Match': initial.get('SIP-ETag') });
  assert.is(smaller.status, 200);
  await lab.close();
});

test('S28: publications expire by the thousand and leave nothing behind', async () => {
  const { lab, gw } = await watched({ options: { data: undefined } });
  const pending: Promise<unknown>[] = [];
  for (let n = 0; n < 2_000; n += 1) {
    const aor = `sip:dev-${n}@test.local`;
    pending.push(
      gw.outcome('PUBLISH', {
        uri: aor,
        headers: { Event: 'presence', Expires: 60, 'Content-Type': PIDF },
        body: pidf({ t: `${n}` }, aor),
      }),
    );
    if (n % 50 === 0) await lab.clock.settle();
  }
  await lab.clock.settle();
  await Promise.all(pending);
  assert.is(lab.edge.counts()['publication.publications'], 2_000);
  await lab.clock.advance(62_000);
  assert.is(lab.edge.counts()['publication.publications'], 0);
  await lab.clock.advance(302_000);
  const counts = lab.edge.counts();
  assert.is(counts['publication.bytes'], 0);
  assert.is(counts['publication.tuples'], 0);
  assert.is(counts['sip.transactions.server'], 0);
  assert.is(counts['sip.transactions.client'], 0);
  await lab.close();
});

test('a malformed header of a request is its sender’s fault', async () => {
  const { lab, gw } = await watched();
  assert.is((await gw.publish(pidf({ door: 'x' }), { 'SIP-If-Match': 'a, b' })).status, 400, 'If-Match');
  assert.is(lab.edge.counts()['publication.publications'], 0);
  await lab.close();
});
