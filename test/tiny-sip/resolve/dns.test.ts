import * as assert from 'uvu/assert';
import { createSystemDns } from '../../../src/tiny-sip/resolve/dns.ts';
import { suite } from '../../support/harness.ts';

const test = suite('dns');

test('the machine knows itself without any network', async () => {
  const found = (await createSystemDns().hosts?.('localhost')) ?? [];
  assert.ok(found.includes('127.0.0.1') || found.includes('::1'), found.join(' '));
});

test('a name that cannot be is an error with a code, not a hang', async () => {
  const dns = createSystemDns();
  for (const ask of [dns.naptr, dns.srv, dns.a, dns.aaaa]) {
    await ask('a..b').then(
      () => assert.unreachable(),
      (error) => assert.type(error.code, 'string'),
    );
  }
});
