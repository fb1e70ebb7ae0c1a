import * as assert from 'uvu/assert';
import { createLocator, type Locator } from '../../../src/tiny-sip/resolve/resolve.ts';
import type { Protocol } from '../../../src/tiny-sip/transport/transport.ts';
import { createFakeClock } from '../../support/fake-clock.ts';
import { createFakeRandom } from '../../support/fake-random.ts';
import { suite } from '../../support/harness.ts';
import { silent } from '../transport/recorder.ts';
import { createMockDns } from './mock-dns.ts';

const test = suite('resolve');

function setUp() {
  const clock = createFakeClock();
  const dns = createMockDns();
  const locator = createLocator({ clock, random: createFakeRandom(), log: silent, dns: () => dns.create() });
  return { clock, dns, locator };
}

const BOTH: readonly Protocol[] = ['udp', 'tcp'];
const ALL: readonly Protocol[] = ['udp', 'tcp', 'tls'];

async function at(locator: Locator, uri: string, protocols: readonly Protocol[] = BOTH): Promise<string[]> {
  return (await locator.locate(uri, { protocols })).map((one) => `${one.protocol} ${one.host} ${one.port}`);
}

const fails = (promise: Promise<unknown>): Promise<Error> =>
  promise.then(
    () => assert.unreachable('it was located') as never,
    (error) => error,
  );

test('numeric hosts: no question is asked', async () => {
  const { dns, locator } = setUp();
  assert.equal(await at(locator, 'sip:a@192.0.2.1'), ['udp 192.0.2.1 5060']);
  assert.equal(await at(locator, 'sip:a@192.0.2.1:5070;transport=tcp'), ['tcp 192.0.2.1 5070']);
  assert.equal(await at(locator, 'sip:a@[2001:db8::1]'), ['udp 2001:db8::1 5060']);
  assert.equal(await at(locator, 'sips:a@192.0.2.1', ALL), ['tls 192.0.2.1 5061']);
  assert.equal(await at(locator, 'sips:a@192.0.2.1;transport=tcp', ALL), ['tls 192.0.2.1 5061']);
  assert.equal(await at(locator, 'sip:a@192.0.2.1;transport=tls', ALL), ['tls 192.0.2.1 5061']);
  assert.equal(
    await at(locator, 'sip:a@192.0.2.1', ['tcp']),
    ['tcp 192.0.2.1 5060'],
    'what we do not speak is not chosen',
  );
  assert.equal(await at(locator, 'sip:a@example.com;maddr=192.0.2.9'), ['udp 192.0.2.9 5060']);
  assert.equal(dns.asked, []);
});

test('a port means addresses only, even 5060 (RFC 3263 §4.2)', async () => {
  const { dns, locator } = setUp();
  dns.srv('_sip._udp.example.com', { name: 'wrong.example.com' });
  dns.a('example.com', '192.0.2.1', '192.0.2.2');
  dns.aaaa('example.com', '2001:db8::1');
  assert.equal(await at(locator, 'sip:example.com:5060'), [
    'udp 192.0.2.1 5060',
    'udp 192.0.2.2 5060',
    'udp 2001:db8::1 5060',
  ]);
  assert.equal(await at(locator, 'sip:example.com:5070;transport=tcp'), [
    'tcp 192.0.2.1 5070',
    'tcp 192.0.2.2 5070',
    'tcp 2001:db8::1 5070',
  ]);
  assert.not(dns.asked.some((question) => question.startsWith('srv') || question.startsWith('naptr')));
});

test('NAPTR gives the domain’s order of protocols, of those that we speak', async () => {
  const { dns, locator } = setUp();
  dns.naptr(
    'example.com',
    [100, 'SIP+D2U', '_sip._udp.example.com'],
    [90, 'sip+d2t', '_sip._tcp.other.example'],
    [50, 'SIPS+D2T', '_sips._tcp.example.com'],
    [10, 'SIP+D2S', '_sip._sctp.example.com'],
    [5, 'E2U+sip', 'x'],
  );
  dns.srv('_sip._udp.example.com', { name: 'u.example.com', port: 5080 });
  dns.srv('_sip._tcp.other.example', { name: 't.example.com', port: 5090 });
  dns.srv('_sips._tcp.example.com', { name: 's.example.com', port: 5061 });
  dns.a('u.example.com', '192.0.2.1');
  dns.a('t.example.com', '192.0.2.2');
  dns.a('s.example.com', '192.0.2.3');
  assert.equal(await at(locator, 'sip:a@example.com'), ['tcp 192.0.2.2 5090', 'udp 192.0.2.1 5080']);
  assert.equal(
    await at(locator, 'sip:a@example.com', ALL),
    ['tls 192.0.2.3 5061'],
    'where the domain prefers TLS, failing over does not end in the clear (§7)',
  );
  assert.equal(
    await at(locator, 'sips:a@example.com', ALL),
    ['tls 192.0.2.3 5061'],
    'sips drops what is not SIPS',
  );
  assert.ok(
    (await locator.locate('sip:example.com', { protocols: ALL })).every((one) => one.name === 'example.com'),
    'a certificate is checked against the domain asked for',
  );
});

test('without NAPTR every protocol is asked by SRV; with a transport only that', async () => {
  const { dns, locator } = setUp();
  dns.srv('_sip._tcp.example.com', { name: 't.example.com' });
  dns.srv('_sip._udp.example.com', { name: 'u.example.com' });
  dns.a('t.example.com', '192.0.2.2');
  dns.a('u.example.com', '192.0.2.1');
  assert.equal(await at(locator, 'sip:example.com', ['tcp', 'udp']), [
    'tcp 192.0.2.2 5060',
    'udp 192.0.2.1 5060',
  ]);
  assert.equal(await at(locator, 'sip:example.com;transport=UDP'), ['udp 192.0.2.1 5060']);
});

test('without SRV the domain’s own addresses, at the usual port', async () => {
  const { dns, locator } = setUp();
  dns.a('example.com', '192.0.2.7');
  assert.equal(await at(locator, 'sip:example.com'), ['udp 192.0.2.7 5060']);
  assert.equal(await at(locator, 'sip:example.com;transport=tcp'), ['tcp 192.0.2.7 5060']);
  assert.equal(await at(locator, 'sips:example.com', ALL), ['tls 192.0.2.7 5061']);
});

test('priorities come in order, weights by chance in their proportion (RFC 2782)', async () => {
  const { dns, locator } = setUp();
  dns.srv(
    '_sip._udp.example.com',
    { name: 'b', priority: 20 },
    { name: 'heavy', priority: 10, weight: 75 },
    { name: 'light', priority: 10, weight: 25 },
    { name: 'none', priority: 10, weight: 0 },
  );
  for (const [i, name] of ['b', 'heavy', 'light', 'none'].entries()) dns.a(name, `192.0.2.${i}`);
  const firsts: Record<string, number> = {};
  for (let n = 0; n < 400; n += 1) {
    const order = await at(locator, 'sip:example.com;transport=udp');
    assert.is(order.length, 4);
    assert.is(order[3], 'udp 192.0.2.0 5060', 'the lower priority is last, always');
    firsts[order[0] ?? ''] = (firsts[order[0] ?? ''] ?? 0) + 1;
  }
  const share = (name: string): number => (firsts[name] ?? 0) / 400;
  assert.ok(Math.abs(share('udp 192.0.2.1 5060') - 0.75) < 0.08, `${share('udp 192.0.2.1 5060')}`);
  assert.ok(Math.abs(share('udp 192.0.2.2 5060') - 0.25) < 0.08);
  assert.ok(share('udp 192.0.2.3 5060') < 0.05, 'weight 0 has a small chance');
});

test('a server of several whose address is missing is passed over', async () => {
  const { dns, locator } = setUp();
  dns.srv('_sip._udp.example.com', { name: 'gone', priority: 1 }, { name: 'here.', priority: 2 });
  dns.a('here', '192.0.2.1');
  assert.equal(await at(locator, 'sip:example.com'), ['udp 192.0.2.1 5060']);
});

test('SRV with the target "." says that there is no such service: no falling back', async () => {
  const { dns, locator } = setUp();
  dns.srv('_sip._udp.example.com', { name: '.' });
  dns.a('example.com', '192.0.2.1');
  assert.match((await fails(at(locator, 'sip:example.com;transport=udp'))).message, 'no address');
});

test('S31: when SRV cannot be asked, the domain’s own address is not taken instead', async () => {
  const { clock, dns, locator } = setUp();
  dns.a('example.com', '192.0.2.1');
  dns.broken.add('srv _sip._udp.example.com').add('srv _sip._tcp.example.com');
  assert.match((await fails(at(locator, 'sip:example.com'))).message, 'ECONNREFUSED');
  dns.broken.delete('srv _sip._tcp.example.com');
  dns.srv('_sip._tcp.example.com', { name: 't' });
  dns.a('t', '192.0.2.5');
  // A question that failed is not put again for a second (RFC 9520 §3.2).
  await clock.advance(1_000);
  assert.equal(
    await at(locator, 'sip:example.com'),
    ['tcp 192.0.2.5 5060'],
    'one that can be asked is enough',
  );
});

test('a server that stumbles over NAPTR is asked for SRV', async () => {
  const { dns, locator } = setUp();
  dns.broken.add('naptr example.com');
  dns.srv('_sip._udp.example.com', { name: 'u' });
  dns.a('u', '192.0.2.1');
  assert.equal(await at(locator, 'sip:example.com'), ['udp 192.0.2.1 5060']);
});

test('names that only the machine knows, and localhost', async () => {
  const { dns, locator } = setUp();
  dns.hosts('gateway', '192.168.1.7');
  assert.equal(await at(locator, 'sip:gateway:5070'), ['udp 192.168.1.7 5070']);
  const asked = dns.asked.length;
  assert.equal(await at(locator, 'sip:localhost:5070'), ['udp 127.0.0.1 5070', 'udp ::1 5070']);
  assert.is(dns.asked.length, asked);
});

test('what cannot be located says so with a code and the reason', async () => {
  const { locator } = setUp();
  for (const [uri, protocols] of [
    ['sip:nowhere.example', BOTH],
    ['tel:+1', BOTH],
    ['sip:1.2.3.4;transport=sctp', BOTH],
    ['sips:1.2.3.4', BOTH],
    ['sips:1.2.3.4;transport=udp', ALL],
    ['sip:1.2.3.4', []],
  ] as const) {
    const error = await fails(at(locator, uri, protocols));
    assert.is((error as { code?: string }).code, 'SIP_NOT_LOCATED', uri);
    assert.match(error.message, uri);
  }
  assert.is((await fails(at(locator, 'not a uri'))).name, 'SipSyntaxError');
});

test('answers are kept for their time, asked for once by many, and the table is bounded', async () => {
  const { clock, dns, locator } = setUp();
  dns.a('example.com', '192.0.2.1');
  await Promise.all([1, 2, 3].map(() => at(locator, 'sip:example.com:5060')));
  assert.equal(dns.asked.filter((one) => one === 'a example.com').length, 1);
  await clock.advance(59_000);
  await at(locator, 'sip:example.com:5060');
  assert.equal(dns.asked.filter((one) => one === 'a example.com').length, 1);
  await clock.advance(2_000);
  dns.a('example.com', '192.0.2.2');
  assert.equal(await at(locator, 'sip:EXAMPLE.com:5060'), ['udp 192.0.2.2 5060']);
  for (let n = 0; n < 2_000; n += 1) await at(locator, `sip:h${n}.example:5060`).catch(() => undefined);
  assert.ok((locator.counts().entries ?? 0) <= 1_000);
});

test('G30: booted without a network, it works as soon as there is one', async () => {
  const { clock, dns, locator } = setUp();
  dns.mode = 'refused';
  dns.stuck = true;
  dns.naptr('example.com', [10, 'SIP+D2T', '_sip._tcp.example.com']);
  dns.srv('_sip._tcp.example.com', { name: 't' });
  dns.a('t', '192.0.2.1');
  await fails(at(locator, 'sip:example.com'));
  await clock.advance(60_000);
  await fails(at(locator, 'sip:example.com'));
  dns.mode = 'up';
  await clock.advance(5_000);
  assert.equal(await at(locator, 'sip:example.com'), ['tcp 192.0.2.1 5060']);
  const made = dns.made;
  await clock.advance(400_000);
  await at(locator, 'sip:example.com');
  assert.is(dns.made, made, 'no new one while the old one answers');
});

test('G30: while the DNS is away, refusing or silent, what was known is still served', async () => {
  for (const mode of ['refused', 'silent'] as const) {
    const { clock, dns, locator } = setUp();
    dns.srv('_sip._udp.example.com', { name: 'u' });
    dns.a('u', '192.0.2.1');
    await at(locator, 'sip:example.com;transport=udp');
    await clock.advance(3_600_000);
    dns.mode = mode;
    const locating = at(locator, 'sip:example.com;transport=udp');
    await clock.advance(5_400);
    assert.equal(await locating, ['udp 192.0.2.1 5060'], mode);
    assert.ok((locator.counts().stale ?? 0) > 0);
    if (mode === 'refused') {
      const asked = dns.asked.length;
      assert.equal(await at(locator, 'sip:example.com;transport=udp'), ['udp 192.0.2.1 5060']);
      assert.ok(dns.asked.length <= asked + 4, 'right after a failure few new questions');
    }
    dns.mode = 'up';
    dns.a('u', '192.0.2.2');
    if (mode === 'refused') {
      await clock.advance(6_000);
      assert.equal(
        await at(locator, 'sip:example.com;transport=udp'),
        ['udp 192.0.2.2 5060'],
        'and what is new, when it is back',
      );
    }
  }
});
