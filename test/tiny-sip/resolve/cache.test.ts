import * as assert from 'uvu/assert';
import { createDnsCache, type DnsCacheOptions } from '../../../src/tiny-sip/resolve/cache.ts';
import type { Dns } from '../../../src/tiny-sip/resolve/dns.ts';
import { createLocator } from '../../../src/tiny-sip/resolve/resolve.ts';
import { createFakeClock } from '../../support/fake-clock.ts';
import { createFakeRandom } from '../../support/fake-random.ts';
import { suite } from '../../support/harness.ts';
import { silent } from '../transport/recorder.ts';
import { createMockDns, failure } from './mock-dns.ts';

const test = suite('DNS answers kept');

function setUp(options: DnsCacheOptions = {}) {
  const clock = createFakeClock();
  const dns = createMockDns();
  const cache = createDnsCache({ clock, log: silent, dns: () => dns.create() }, options);
  const asked = (question: string): number => dns.asked.filter((one) => one === question).length;
  return { clock, dns, cache, asked };
}

const fails = (promise: Promise<unknown>): Promise<Error> =>
  promise.then(
    () => assert.unreachable('it was answered') as never,
    (error) => error,
  );

test('an absence lasts as the SOA record says, within bounds, else half a minute', async () => {
  for (const [minttl, seconds] of [
    [300, 300],
    [86_400, 900],
    [0, 5],
    [undefined, 30],
  ] as const) {
    const { clock, dns, cache, asked } = setUp();
    if (minttl !== undefined) dns.soa('example.com', minttl);
    const ask = () => cache.ask('srv', '_sip._udp.sip.example.com');
    assert.equal(await ask(), { kind: 'absent' });
    await clock.advance(seconds * 1_000 - 1);
    await ask();
    assert.is(asked('srv _sip._udp.sip.example.com'), 1, `${minttl}`);
    await clock.advance(1);
    await ask();
    assert.is(asked('srv _sip._udp.sip.example.com'), 2, `${minttl}`);
    assert.is(clock.pending(), 0);
  }
});

test('an absence that ended is seen: the SOA answer does not keep a later record away', async () => {
  const { clock, dns, cache } = setUp();
  dns.soa('example.com', 900);
  assert.equal((await cache.ask('a', 'example.com')).kind, 'absent');
  await clock.advance(901_000);
  dns.a('example.com', '192.0.2.1');
  assert.equal((await cache.ask('a', 'example.com')).kind, 'found');
});

test('stale answers are served for three days and no longer', async () => {
  const { clock, dns, cache } = setUp();
  dns.a('example.com', '192.0.2.1');
  await cache.ask('a', 'example.com');
  dns.mode = 'refused';
  await clock.advance(60_000 + 3 * 86_400_000 - 1);
  assert.equal((await cache.ask('a', 'example.com')).kind, 'found');
  assert.is(cache.counts().stale, 1);
  await clock.advance(1);
  assert.match((await fails(cache.ask('a', 'example.com'))).message, 'ECONNREFUSED');
  assert.is(cache.counts().entries, 0, 'and then they are gone');
});

test('the stale age can be set', async () => {
  const { clock, dns, cache } = setUp({ stale: 0 });
  dns.a('example.com', '192.0.2.1');
  await cache.ask('a', 'example.com');
  dns.mode = 'refused';
  await clock.advance(60_000);
  await fails(cache.ask('a', 'example.com'));
});

test('a question that nobody answers ends after ten seconds, and the next one has a new resolver', async () => {
  const { clock, dns, cache } = setUp();
  dns.mode = 'silent';
  const first = fails(cache.ask('a', 'example.com'));
  const second = fails(cache.ask('a', 'EXAMPLE.com.'));
  assert.is(cache.counts().asking, 1, 'asked once for both');
  await clock.advance(10_000);
  assert.match((await first).message, 'no answer');
  assert.match((await second).message, 'no answer');
  assert.is(cache.counts().asking, 0);
  dns.mode = 'up';
  dns.a('example.com', '192.0.2.1');
  await clock.advance(1_000);
  assert.equal((await cache.ask('a', 'example.com')).kind, 'found');
  assert.is(dns.made, 2);
  assert.is(clock.pending(), 0);
});

test('a resolver that is given up is told so, and its late answers hurt nobody', async () => {
  const clock = createFakeClock();
  let cancelled = 0;
  const late: ((error: Error) => void)[] = [];
  const dns: Dns = {
    naptr: async () => [],
    srv: async () => [],
    a: () => new Promise((_, reject) => late.push(reject)),
    aaaa: async () => [],
    cancel: () => {
      cancelled += 1;
      for (const reject of late.splice(0)) reject(failure('ECANCELLED'));
    },
  };
  const cache = createDnsCache({ clock, log: silent, dns: () => dns });
  const asked = [fails(cache.ask('a', 'x.example')), fails(cache.ask('a', 'y.example'))];
  await clock.advance(10_000);
  await Promise.all(asked);
  assert.ok(cancelled >= 1);
  assert.is(cache.counts().asking, 0);
});

test('a failure is not asked about again within a second; one domain’s failure is no other’s', async () => {
  const { clock, dns, cache, asked } = setUp();
  dns.a('good.example', '192.0.2.1');
  await cache.ask('a', 'good.example');
  const broken: Dns = { ...dns.create(), a: () => Promise.reject(failure('ESERVFAIL')) };
  const both = createDnsCache({
    clock,
    log: silent,
    dns: () => ({ ...broken, a: (name) => (name === 'bad.example' ? broken.a(name) : dns.create().a(name)) }),
  });
  await both.ask('a', 'good.example');
  await clock.advance(61_000);
  await fails(both.ask('a', 'bad.example'));
  await fails(both.ask('a', 'bad.example'));
  assert.is(both.counts().failures, 1, 'RFC 9520 §3.2');
  await clock.advance(1_000);
  await fails(both.ask('a', 'bad.example'));
  assert.is(both.counts().failures, 2);
  const before = asked('a good.example');
  await both.ask('a', 'good.example');
  assert.is(
    asked('a good.example'),
    before + 1,
    'a server that says SERVFAIL is no reason to serve stale answers',
  );
  assert.is(both.counts().stale, 0);
});

test('questions in flight are bounded, and those beyond fail at once', async () => {
  const { clock, dns, cache } = setUp();
  dns.mode = 'silent';
  const asked = Array.from({ length: 300 }, (_, n) => fails(cache.ask('a', `h${n}.example`)));
  await clock.settle();
  assert.is(cache.counts().asking, 256);
  assert.is(cache.counts().crowded, 44);
  await clock.advance(10_000);
  const errors = await Promise.all(asked);
  assert.is(errors.filter((error) => error.message.includes('already 256')).length, 44);
  assert.ok((cache.counts().failing ?? 0) <= 256);
  assert.is(clock.pending(), 0);
});

test('the answer that was used last goes last', async () => {
  const { dns, cache, asked } = setUp({ entries: 3 });
  for (const name of ['a', 'b', 'c', 'd']) dns.a(`${name}.example`, '192.0.2.1');
  for (const name of ['a', 'b', 'c', 'a', 'd', 'a']) await cache.ask('a', `${name}.example`);
  assert.is(asked('a a.example'), 1);
  await cache.ask('a', 'b.example');
  assert.is(asked('a b.example'), 2);
});

test('a hostile answer: thousands of records, names that are none, ports and TTLs out of range', async () => {
  const clock = createFakeClock();
  const dns = createMockDns();
  const many = <T>(make: (n: number) => T): T[] => Array.from({ length: 5_000 }, (_, n) => make(n));
  dns.srv(
    '_sip._udp.example.com',
    ...many((n) => ({ name: `h${n}.example.com`, priority: n })).reverse(),
    { name: 'x\r\nVia: evil', priority: 0 },
    { name: 'a b', priority: 0 },
    { name: `${'a'.repeat(64)}.example.com`, priority: 0 },
    { name: `${'a.'.repeat(200)}com`, priority: 0 },
    { name: 'zero.example.com', port: 0, priority: 0 },
    { name: 'big.example.com', port: 70_000, priority: 0 },
    { name: 'neg.example.com', priority: -1 },
    { name: 'nan.example.com', weight: Number.NaN, priority: 0 },
  );
  dns.zone.set(
    'a h0.example.com',
    many((n) => ({ address: n % 2 === 0 ? `192.0.2.${n % 256}` : 'not an address', ttl: -5 })),
  );
  for (const name of ['zero', 'big', 'neg', 'nan']) dns.a(`${name}.example.com`, '192.0.2.66');
  dns.naptr(
    'example.com',
    ...many((n): [number, string, string] => [n, 'SIP+D2U', `_sip._udp.n${n}.example.com`]),
  );
  const locator = createLocator({ clock, random: createFakeRandom(), log: silent, dns: () => dns.create() });
  const found = await locator.locate('sip:example.com;transport=udp', { protocols: ['udp'] });
  assert.is(found.length, 8, 'so many addresses of one name');
  assert.ok(found.every((one) => /^192\.0\.2\.\d+$/.test(one.host) && one.host !== '192.0.2.66'));
  const few = dns.asked.length;
  assert.ok(few <= 1 + 16 * 4 + 6, `${few} questions for one`);
  const by = await locator.locate('sip:example.com', { protocols: ['udp'] });
  assert.ok(by.length > 0, 'NAPTR that leads nowhere ends in the domain’s own SRV');
  assert.ok(dns.asked.length - few <= 1 + 8 * 2 + 6, `${dns.asked.length - few} questions for NAPTR`);
  assert.ok((locator.counts().entries ?? 0) <= 100);
});

test('names that can be none are not asked for', async () => {
  const { dns, cache } = setUp();
  for (const name of [
    '',
    '.',
    'a..b',
    `${'a'.repeat(64)}.b`,
    `${'a.'.repeat(130)}b`,
    'a b',
    'a\0b',
    '-a.b',
    'ä.b',
  ])
    assert.equal(await cache.ask('a', name), { kind: 'absent' }, name);
  assert.equal(dns.asked, []);
});

test('§7: a domain that names TLS no longer is told of once', async () => {
  const clock = createFakeClock();
  const dns = createMockDns();
  const warned: string[] = [];
  const log = { ...silent, warn: (text: string) => void warned.push(text) };
  const locator = createLocator({ clock, random: createFakeRandom(), log, dns: () => dns.create() });
  const locate = () => locator.locate('sip:example.com', { protocols: ['tls', 'udp'] });
  dns.naptr(
    'example.com',
    [1, 'SIPS+D2T', '_sips._tcp.example.com'],
    [2, 'SIP+D2U', '_sip._udp.example.com'],
  );
  dns.srv('_sips._tcp.example.com', { name: 's' });
  dns.srv('_sip._udp.example.com', { name: 's' });
  dns.a('s', '192.0.2.1');
  await locate();
  dns.naptr('example.com', [2, 'SIP+D2U', '_sip._udp.example.com']);
  await clock.advance(301_000);
  await locate();
  await locate();
  assert.is(warned.length, 1);
  assert.match(warned[0] ?? '', 'TLS');
  assert.is(locator.counts().downgrades, 1);
});
