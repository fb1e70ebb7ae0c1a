import * as assert from 'uvu/assert';
import {
  aorOf,
  equalUri,
  escapeUser,
  formatUri,
  parseUri,
  unescapeUri,
} from '../../../src/tiny-sip/message/uri.ts';
import { isIpv4, isIpv6 } from '../../../src/tiny-sip/message/uri-grammar.ts';
import { suite } from '../../support/harness.ts';

const test = suite('uri');

test('all parts of a SIP URI', () => {
  const uri = parseUri(
    'sip:alice:secretword@Example.COM:5070;transport=TCP;lr;x=%41?subject=project%20x&priority=urgent',
  );
  assert.is(uri.scheme, 'sip');
  assert.is(uri.user, 'alice');
  assert.is(uri.password, 'secretword');
  assert.is(uri.host, 'example.com');
  assert.is(uri.port, 5070);
  assert.equal(
    [...uri.params],
    [
      ['transport', 'TCP'],
      ['lr', ''],
      ['x', '%41'],
    ],
  );
  assert.equal(
    [...uri.headers],
    [
      ['subject', 'project%20x'],
      ['priority', 'urgent'],
    ],
  );
});

test('what is not there is not there', () => {
  const uri = parseUri('SIPS:example.com');
  assert.equal(Object.keys(uri).sort(), ['headers', 'host', 'params', 'scheme']);
  assert.is(uri.scheme, 'sips');
  assert.is(parseUri('sip:a:@b').password, '');
});

test('users with semicolons, questions and slashes (RFC 4475 §3.1.1.9)', () => {
  assert.is(parseUri('sip:user;par=u%40example.net@example.com').user, 'user;par=u%40example.net');
  assert.is(parseUri('sip:a?b/c,d&e=f+g$h@i').user, 'a?b/c,d&e=f+g$h');
  assert.is(parseUri('sip:a?b=c').host, 'a');
});

test('IPv6 hosts', () => {
  const uri = parseUri('sip:bob@[2001:DB8::10]:5070;lr');
  assert.is(uri.host, '2001:db8::10');
  assert.is(uri.port, 5070);
  assert.is(formatUri(uri), 'sip:bob@[2001:db8::10]:5070;lr');
});

test('tel, pres, im and others', () => {
  const tel = parseUri('tel:+1-201-555-0123;phone-context=example.com;isub=1');
  assert.is(tel.user, '+1-201-555-0123');
  assert.is(tel.params.get('phone-context'), 'example.com');
  assert.is(formatUri(tel), 'tel:+1-201-555-0123;phone-context=example.com;isub=1');
  assert.is(parseUri('pres:alice@example.com').host, 'example.com');
  assert.is(parseUri('im:alice@example.com').user, 'alice');
  const other = parseUri('nobodyKnowsThisScheme:totallyopaquecontent');
  assert.is(other.opaque, 'totallyopaquecontent');
  assert.is(formatUri(other), 'nobodyknowsthisscheme:totallyopaquecontent');
  assert.is(parseUri('urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6').scheme, 'urn');
});

test('what is no URI', () => {
  for (const text of [
    '',
    'sip',
    'sip:',
    'sip:@',
    'sip:@b',
    'sip:a@',
    'sip:a@b@c',
    'sip:a b@c',
    'sip:a@b c',
    ' sip:a@b',
    'sip:a@b ',
    'sip:a@b:',
    'sip:a@b:x',
    'sip:a@b:65536',
    'sip:a@b:1:2',
    'sip:a@b;',
    'sip:a@b;;x',
    'sip:a@b?',
    'sip:a@b?x',
    'sip:a@b?x=1&',
    'sip:a?b',
    'sip:a%@b',
    'sip:a%2@b',
    'sip:a%zz@b',
    'sip:a@b;x=%',
    'sip:<a@b>',
    'sip:"a"@b',
    'sip:a@[::1',
    'sip:a@[]',
    'sip:a@[1.2.3.4]',
    'sip:a@[::1]x',
    'sip:2001:db8::10',
    '1sip:a',
    'tel:',
    'http:',
    'sip:a@b\0',
    'sip:a@b\r\n',
    'sip:ä@b',
    'sip:a\\b@c',
  ])
    assert.throws(
      () => parseUri(text),
      (error: Error) => error.name === 'SipSyntaxError',
      JSON.stringify(text),
    );
});

test('formatting refuses what would read as something else', () => {
  assert.throws(() => formatUri({ user: 'a@b', host: 'c' }));
  assert.throws(() => formatUri({ user: 'a', host: 'c d' }));
  assert.throws(() => formatUri({ user: 'a', host: 'c', params: new Map([['x', 'y;z?']]) }));
  assert.throws(() => formatUri({ user: 'a', host: 'c\r\nVia: x' }));
  assert.is(formatUri({ user: escapeUser('a@b c%ü'), host: 'h' }), 'sip:a%40b%20c%25%C3%BC@h');
  assert.is(Buffer.from(unescapeUri('a%40b%20c%25%C3%BC'), 'latin1').toString(), 'a@b c%ü');
  assert.is(unescapeUri('100%'), '100%');
});

test('RFC 3261 §19.1.4: these are equal', () => {
  for (const [a = '', b = ''] of [
    ['sip:%61lice@atlanta.com;transport=TCP', 'sip:alice@AtLanTa.CoM;Transport=tcp'],
    ['sip:carol@chicago.com', 'sip:carol@chicago.com;newparam=5'],
    ['sip:carol@chicago.com', 'sip:carol@chicago.com;security=on'],
    ['sip:carol@chicago.com;newparam=5', 'sip:carol@chicago.com;security=on'],
    [
      'sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com',
      'sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com',
    ],
    [
      'sip:alice@atlanta.com?subject=project%20x&priority=urgent',
      'sip:alice@atlanta.com?priority=urgent&subject=project%20x',
    ],
    ['sip:a@[2001:DB8::1]', 'sip:a@[2001:db8::1]'],
    ['tel:+1-201-555-0123', 'tel:+1(201)555.0123'],
    ['urn:x:y', 'URN:x:y'],
  ]) {
    assert.ok(equalUri(a, b), `${a} ${b}`);
    assert.ok(equalUri(b, a), `${b} ${a}`);
  }
});

test('RFC 3261 §19.1.4: these are not', () => {
  for (const [a = '', b = ''] of [
    ['SIP:ALICE@AtLanTa.CoM;Transport=udp', 'sip:alice@AtLanTa.CoM;Transport=UDP'],
    ['sip:bob@biloxi.com', 'sip:bob@biloxi.com:5060'],
    ['sip:bob@biloxi.com', 'sip:bob@biloxi.com;transport=udp'],
    ['sip:bob@biloxi.com', 'sip:bob@biloxi.com:6000;transport=tcp'],
    ['sip:carol@chicago.com', 'sip:carol@chicago.com?Subject=next%20meeting'],
    ['sip:bob@phone21.boxesbybob.com', 'sip:bob@192.0.2.4'],
    ['sip:carol@chicago.com;security=on', 'sip:carol@chicago.com;security=off'],
    ['sip:a@b', 'sips:a@b'],
    ['sip:b', 'sip:a@b'],
    ['sip:a:@b', 'sip:a@b'],
    ['sip:a@b', 'sip:a@b;user=phone'],
    ['sip:a@b', 'sip:a@b;ttl=1'],
    ['sip:a@b', 'sip:a@b;maddr=1.2.3.4'],
    ['sip:a%3bb@c', 'sip:a;b@c'],
    ['sip:a@b', 'nonsense'],
  ])
    assert.not(equalUri(a, b), `${a} ${b}`);
});

test('one key for one AOR', () => {
  for (const text of [
    'sip:alice@example.com',
    'SIP:%61lice@EXAMPLE.com',
    'sip:alice:pw@example.com;transport=tcp?a=b',
    'sip:alice@example.com.',
  ])
    assert.is(aorOf(text), 'sip:alice@example.com', text);
  assert.is(aorOf('sip:Alice@example.com'), 'sip:Alice@example.com');
  assert.is(aorOf('sips:alice@example.com'), 'sips:alice@example.com');
  assert.is(aorOf('sip:alice@example.com:5070'), 'sip:alice@example.com:5070');
  assert.is(aorOf('sip:null-%00-null@example.com'), 'sip:null-%00-null@example.com');
  assert.is(aorOf('sip:example.com'), 'sip:example.com');
  assert.is(aorOf('sip:a@[2001:DB8::1]:5060'), 'sip:a@[2001:db8::1]:5060');
  assert.is(aorOf('tel:+1-201'), 'tel:+1201');
});

test('IPv6 and IPv4 addresses', () => {
  const six = (text: string) => isIpv6(text, 0, text.length);
  for (const good of [
    '::',
    '::1',
    '1::',
    '1:2:3:4:5:6:7:8',
    '1::8',
    'fe80::1:2',
    '::ffff:192.0.2.1',
    '1:2:3:4:5:6:192.0.2.1',
    '1:2:3:4:5:6:7::',
  ])
    assert.ok(six(good), good);
  for (const bad of [
    '',
    ':',
    '1',
    '1:2',
    ':::',
    '1:::2',
    '1::2::3',
    '1:2:3:4:5:6:7:8:9',
    '12345::',
    ':1:2:3:4:5:6:7:8',
    '1:2:3:4:5:6:7:',
    '::1.2.3',
    '::256.0.0.1',
    '1:2:3:4:5:6:7:1.2.3.4',
    '::1.2.3.4:5',
    'g::',
  ])
    assert.not(six(bad), bad);
  const four = (text: string) => isIpv4(text, 0, text.length);
  for (const good of ['0.0.0.0', '255.255.255.255', '192.0.2.1']) assert.ok(four(good), good);
  for (const bad of ['', '1.2.3', '1.2.3.4.5', '256.1.1.1', '1..2.3', '1.2.3.', 'a.b.c.d', '0001.2.3.4'])
    assert.not(four(bad), bad);
});
