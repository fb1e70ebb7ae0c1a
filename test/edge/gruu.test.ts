import * as assert from 'uvu/assert';
import { suite } from '../support/harness.ts';
import { createLab, dialogOf, type Phone, pidf } from './lab.ts';

const test = suite('edge gruu');

const urn = (n: number) => `urn:uuid:00000000-0000-1000-8000-00000000000${n}`;
const GW = 'sip:gw@test.local';

/** Registers as an instance; answers its public and its newest temporary GRUU. */
async function register(phone: Phone, n: number, host: string): Promise<{ pub: string; temp: string }> {
  const answer = await phone.register({
    Contact: `<sip:${phone.user}@${host}:5060>;+sip.instance="<${urn(n)}>"`,
    Supported: 'gruu, path, outbound',
    'Call-ID': `registration-${n}`,
  });
  assert.is(answer.status, 200);
  const own =
    answer.contacts === '*'
      ? undefined
      : answer.contacts.find((one) => one.param('+sip.instance')?.includes(urn(n)));
  return { pub: own?.param('pub-gruu') ?? '', temp: own?.param('temp-gruu') ?? '' };
}

// alice            edge           gw, instance 1     gw, instance 2
//  |--MESSAGE gr=1-->|--MESSAGE----->|                  |
//  |--MESSAGE temp-->|--MESSAGE------------------------>|
//  |--MESSAGE AOR--->|--MESSAGE----->|----MESSAGE------>|
test('RFC 5627 §6.1: a MESSAGE to a GRUU reaches that instance alone, under its own Contact', async () => {
  const lab = await createLab();
  const alice = await lab.phone('alice');
  const first = await lab.phone('gw', { host: '10.0.1.1' });
  const second = await lab.phone('gw', { host: '10.0.1.2' });
  const one = await register(first, 1, '10.0.1.1');
  const two = await register(second, 2, '10.0.1.2');
  assert.is(one.pub, `${GW};gr=${urn(1)}`);
  const send = async (uri: string) =>
    (await alice.request('MESSAGE', { uri, headers: { 'Content-Type': 'text/plain' }, body: 'hi' })).status;
  assert.is(await send(one.pub), 200);
  assert.equal([first.received.length, second.received.length], [1, 0]);
  assert.is(first.received[0]?.uri, 'sip:gw@10.0.1.1:5060');
  assert.is(await send(two.temp), 200);
  assert.equal([first.received.length, second.received.length], [1, 1]);
  assert.is(await send(GW), 200);
  assert.equal([first.received.length, second.received.length], [2, 2]);
  assert.is(await send(`${GW};gr=${urn(3)}`), 480, 'nobody there');
  assert.is(await send('sip:tgruu.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA@test.local;gr'), 404);
  await lab.close();
});

test('temporary GRUUs end with the registration', async () => {
  const lab = await createLab();
  const alice = await lab.phone('alice');
  const gw = await lab.phone('gw', { host: '10.0.1.1' });
  const { temp } = await register(gw, 1, '10.0.1.1');
  await gw.register({ Contact: '*', Expires: 0, 'Call-ID': 'other' });
  const answer = await alice.request('MESSAGE', {
    uri: temp,
    headers: { 'Content-Type': 'text/plain' },
    body: 'hi',
  });
  assert.is(answer.status, 404);
  await lab.close();
});

test('a watcher whose Contact is a GRUU of ours is reached after its connection was replaced', async () => {
  const lab = await createLab({ protocol: 'tcp', options: { notifyInterval: 0 } });
  const gw = await lab.phone('gw');
  const alice = await lab.phone('alice', { host: '10.0.1.9' });
  const { pub } = await register(alice, 5, '10.0.1.9');
  await gw.publish(pidf({ door: 'shut' }));
  assert.is((await alice.subscribe(GW, { Contact: `<${pub}>` })).status, 200);
  await lab.clock.settle();
  assert.is(alice.notified.length, 1);
  lab.drop('10.0.1.9');
  await lab.clock.settle();
  await register(alice, 5, '10.0.1.9');
  await gw.publish(pidf({ door: 'open wide' }));
  await lab.clock.settle();
  assert.equal(alice.notified.at(-1)?.tuples.includes('door: open open wide'), true);
  await lab.close();
});

test('presence has entity-tags: a watcher that holds the state refreshes with 204 (RFC 5839)', async () => {
  const lab = await createLab();
  const gw = await lab.phone('gw');
  const alice = await lab.phone('alice');
  const published = await gw.publish(pidf({ door: 'shut' }));
  const answer = await alice.subscribe(GW);
  await lab.clock.settle();
  const tag = alice.notified[0]?.request.get('SIP-ETag');
  assert.match(tag ?? '', /^[-\w]{16}$/);
  const dialog = dialogOf(answer);
  const again = await alice.subscribe(GW, { 'Suppress-If-Match': tag }, dialog);
  assert.is(again.status, 204);
  await lab.clock.settle();
  assert.is(alice.notified.length, 1);
  await lab.clock.advance(10_000);
  await gw.publish(pidf({ door: 'open' }), { 'SIP-If-Match': published.get('SIP-ETag') });
  await lab.clock.settle();
  assert.is(alice.notified.length, 2);
  assert.is.not(alice.notified[1]?.request.get('SIP-ETag'), tag);
  await lab.close();
});

test('the edge paces a watcher as it asked (RFC 6446)', async () => {
  const lab = await createLab({ options: { notifyInterval: 1_000 } });
  const gw = await lab.phone('gw');
  const alice = await lab.phone('alice');
  await alice.subscribe(GW, { Event: 'presence;max-rate=0.05' });
  await lab.clock.settle();
  assert.match(alice.notified[0]?.state ?? '', /;max-rate=0\.05$/);
  let tag: string | undefined;
  for (let n = 0; n < 60; n += 1) {
    tag = (await gw.publish(pidf({ door: `v${n}` }), { 'SIP-If-Match': tag })).get('SIP-ETag');
    await lab.clock.advance(1_000);
  }
  assert.ok(alice.notified.length <= 4, `${alice.notified.length} NOTIFYs in a minute`);
  await lab.clock.advance(20_000);
  assert.equal(alice.notified.at(-1)?.tuples, ['door: open v59']);
  await lab.close();
});
