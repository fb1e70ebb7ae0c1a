import { isIP } from 'node:net';
import fc from 'fast-check';
import * as assert from 'uvu/assert';
import { ipFamily } from '../../../src/tiny-sip/message/ip.ts';
import { suite } from '../../support/harness.ts';

const test = suite('IP literals');

test('says of every host what Node says', () => {
  for (const host of [
    '',
    ':',
    '::',
    '::1',
    '1::',
    '2001:db8::1',
    '2001:DB8:0:0:0:0:0:1',
    '::ffff:192.0.2.1',
    '1:2:3:4:5:6:7:8',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1::2::3',
    ':1',
    '12345::',
    'fe80::1%eth0',
    'fe80::1%',
    'fe80::1%25x/',
    '[::1]',
    '::1]/[',
    '::1 ',
    '192.0.2.1',
    '192.0.2.256',
    '192.0.2',
    '01.2.3.4',
    '0x7f.1',
    'example.com',
    'a:b',
    '::1.2.3.4.5',
    '::1.2.3',
    '::%1',
    '::1%a%b',
  ])
    assert.is(ipFamily(host), isIP(host), host);
  const part = fc.constantFrom(
    '',
    ':',
    '::',
    '0',
    '1',
    'ab',
    'ffff',
    '10000',
    '.',
    '192',
    '%',
    'eth0',
    '[',
    ']',
    '/',
    '@',
    ' ',
  );
  const host = fc.oneof(
    fc.ipV4(),
    fc.ipV6(),
    fc.array(part, { maxLength: 14 }).map((parts) => parts.join('')),
  );
  fc.assert(
    fc.property(host, (one) => assert.is(ipFamily(one), isIP(one), one)),
    { seed: 5952, numRuns: 5_000 },
  );
});
