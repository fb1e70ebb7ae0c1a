import * as assert from 'uvu/assert';
import { canonicalHost, sameHost, sourceOf, unscoped } from '../../../src/tiny-sip/transport/address.ts';
import { suite } from '../../support/harness.ts';

const test = suite('address');

test('RFC 5952: one spelling for an IPv6 address', () => {
  const table = [
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['2001:0db8::0001', '2001:db8::1'],
    ['[::1]', '::1'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['::FFFF:c000:0207', '192.0.2.7'],
    ['fe80::0001%eth0', 'fe80::1%eth0'],
    ['192.0.2.1', '192.0.2.1'],
    ['Example.COM', 'example.com'],
    ['not:an:address', 'not:an:address'],
  ] as const;
  for (const [given, wanted] of table) assert.is(canonicalHost(given), wanted);
});

test('the same address in two spellings is the same', () => {
  assert.ok(sameHost('2001:db8::1', '2001:DB8:0:0::1'));
  assert.ok(sameHost('::ffff:192.0.2.1', '192.0.2.1'));
  assert.not.ok(sameHost('2001:db8::1', '2001:db8::2'));
  assert.not.ok(sameHost('192.0.2.1', 'example.com'));
  assert.is(unscoped('fe80::1%eth0'), 'fe80::1');
});

test('connections are counted for an IPv4 address or a /64', () => {
  assert.is(sourceOf('192.0.2.1'), '192.0.2.1');
  assert.is(sourceOf('2001:db8:1:2:3:4:5:6'), '2001:db8:1:2');
  assert.is(sourceOf('2001:db8:1:2::9'), sourceOf('2001:DB8:1:2:0:0:0:1'));
  assert.is.not(sourceOf('2001:db8:1:2::9'), sourceOf('2001:db8:1:3::9'));
  assert.is(sourceOf('::1'), '0:0:0:0');
});
