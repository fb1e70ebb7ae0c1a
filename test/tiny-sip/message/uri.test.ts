import * as assert from 'uvu/assert';
import {
  escapeHeader,
  escapeParam,
  escapeUser,
  formatUri,
  parseUri,
  unescapeUri,
} from '../../../src/tiny-sip/message/uri.ts';
import { aorOf, equalUri } from '../../../src/tiny-sip/message/uri-compare.ts';
import { isIpv4, isIpv6 } from '../../../src/tiny-sip/message/uri-grammar.ts';
import { suite } from '../../support/harness.ts';
import { assertLinear } from '../linear.ts';

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
    'sip:evil.example:5060;x=y@good.example',
    'sip:a:b?c@d',
    'sip:a:b/c@d',
    'sip:a:b:c@d',
    'sip:a:%zz@b',
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
    ['sip:a@[2001:db8:0:0:0:0:0:1]', 'sip:a@[2001:db8::1]'],
    ['sip:a@[::ffff:192.0.2.1]', 'sip:a@[::FFFF:c000:201]'],
    ['sip:a@b?to=%22Bob%22%20%3Csip:bob%40B.com%3E', 'sip:a@b?To=%3Csip:bob%40b.com%3E'],
    ['sip:a@b?subject=Hello', 'sip:a@b?Subject=hELLO'],
    ['pres:fred@Example.com', 'PRES:fr%65d@example.COM'],
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
    ['sip:a@[::1]', 'sip:a@[::2]'],
    ['sip:a@[::ffff:192.0.2.1]', 'sip:a@192.0.2.1'],
    ['sip:a@b?call-id=X', 'sip:a@b?call-id=x'],
    ['sip:a@b?to=sip:Bob%40b.com', 'sip:a@b?to=sip:bob%40b.com'],
    ['sip:a@b?to=a', 'sip:a@b?to=a&to=b'],
    ['sip:a@b?to=nonsense', 'sip:a@b?to=other'],
    ['sip:a@b?priority=urgent', 'sip:a@b?subject=urgent'],
    ['pres:fred@example.com', 'pres:Fred@example.com'],
    ['pres:fred@example.com', 'im:fred@example.com'],
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
  assert.is(aorOf('sip:a@[2001:db8:0:0::1]'), 'sip:a@[2001:db8::1]');
  assert.is(aorOf('tel:+1-201'), 'tel:+1201');
  assert.is(aorOf('tel:70-42;phone-context=Example.com.'), 'tel:7042;phone-context=example.com');
  assert.is.not(aorOf('tel:7042;phone-context=a.com'), aorOf('tel:7042;phone-context=b.com'));
});

test('RFC 3966: tel URIs that are right', () => {
  for (const text of [
    'tel:+1-201-555-0123',
    'tel:+(1).201',
    'tel:7042;phone-context=example.com',
    'tel:863-1234;phone-context=+1-914-555',
    'tel:*31#;phone-context=+49',
    'tel:*31%23;phone-context=+49',
    'tel:AbF0;phone-context=a',
    'tel:+1;ext=12-34;phone-context=+1',
    'tel:+1;isub=a%2fb,c=d@e',
    'tel:+1;m-thing;x=%41[/]',
  ])
    assert.is(formatUri(parseUri(text)), text, 'and they are written as they came');
  assert.is(parseUri('tel:911').user, '911', 'a local number without its context is borne');
  assert.throws(() => formatUri(parseUri('tel:911')), /phone-context/, 'but not written');
});

test('RFC 3966: tel URIs that are none', () => {
  for (const text of [
    'tel:',
    'tel:+',
    'tel:-',
    'tel:+-',
    'tel:+1a',
    'tel:1 2',
    'tel:1%32',
    'tel:xyz',
    'tel:+1+2',
    'tel:+1;',
    'tel:+1;=x',
    'tel:+1;x=',
    'tel:+1;x_y=1',
    'tel:+1;x=a;X=b',
    'tel:7;phone-context=',
    'tel:7;phone-context',
    'tel:7;phone-context=-a',
    'tel:7;phone-context=a..b',
    'tel:7;phone-context=1.2.3.4',
    'tel:7;phone-context=+x',
    'tel:7;phone-context=a;phone-context=b',
    'tel:+1;ext=x',
    'tel:+1#',
    'tel:1;x=#',
    'xtel:1#',
    'sip:a@b#c',
    'urn:a#b',
    'tel:+1;ext=1;isub=2',
    'tel:+1\r\n',
  ])
    assert.throws(
      () => parseUri(text),
      (error: Error) => error.name === 'SipSyntaxError',
      JSON.stringify(text),
    );
});

test('RFC 3966 §4: which tel URIs are the same', () => {
  for (const [a = '', b = ''] of [
    ['tel:+1-201-555-0123', 'TEL:+1(201)555.0123'],
    ['tel:7042;phone-context=example.com', 'tel:70.42;PHONE-CONTEXT=Example.COM'],
    ['tel:1;phone-context=+1-914', 'tel:1;phone-context=+1914'],
    ['tel:a1;phone-context=x', 'tel:A1;phone-context=x'],
    ['tel:+1;a=1;b=2', 'tel:+1;b=2;a=1'],
    ['tel:+1;ext=1-2', 'tel:+1;ext=12'],
    ['tel:+1;x=%61b', 'tel:+1;x=AB'],
    ['tel:#31;phone-context=a', 'tel:%2331;phone-context=a'],
  ])
    assert.ok(equalUri(a, b), `${a} ${b}`);
  for (const [a = '', b = ''] of [
    ['tel:+1201', 'tel:1201'],
    ['tel:+1201', 'tel:+1202'],
    ['tel:7;phone-context=a', 'tel:7;phone-context=b'],
    ['tel:7;phone-context=a', 'tel:7'],
    ['tel:+1;x=1', 'tel:+1'],
    ['tel:+1;ext=1', 'tel:+1;ext=2'],
    ['tel:+1', 'sip:+1@b;user=phone'],
  ])
    assert.not(equalUri(a, b), `${a} ${b}`);
});

test('RFC 3859, RFC 3860: pres and im URIs are mailboxes', () => {
  const uri = parseUri('im:pepp=example.com/fred@relay-domain?subject=a%20b');
  assert.is(uri.user, 'pepp=example.com/fred');
  assert.is(uri.headers.get('subject'), 'a%20b');
  for (const text of ['pres:example.com', 'pres:a@b:5060', 'im:a@b;x=y', 'im:a:b@c', 'pres:', 'pres:a@'])
    assert.throws(
      () => parseUri(text),
      (error: Error) => error.name === 'SipSyntaxError',
      text,
    );
  assert.throws(() => formatUri({ scheme: 'pres', host: 'example.com' }), /user/);
});

test('escapes stay as they are, and so do several headers of one name', () => {
  for (const text of [
    'sip:%61l%49ce%3b:p%2Bw@h;%6C%72;n%61me=v%25%34?a%20b=%2c&c=',
    'sips:a@[2001:db8::1]:5061;lr;maddr=224.0.0.1',
    'im:a%20b@c',
  ])
    assert.is(formatUri(parseUri(text)).toLowerCase(), text.toLowerCase());
  assert.is(formatUri(parseUri('sip:%61l%49@h;x=%4f?y=%2c')), 'sip:%61l%49@h;x=%4f?y=%2c');
  assert.is(parseUri('sip:a@b?Route=x&route=y').headers.get('route'), 'x%2Cy');
  const odd = 'a b;c=d?e&f"ü';
  const made = formatUri({
    user: 'u',
    host: 'h',
    params: new Map([[escapeParam('p q'), escapeParam(odd)]]),
    headers: new Map([['subject', escapeHeader(odd)]]),
  });
  const back = parseUri(made);
  for (const value of [back.params.get('p%20q'), back.headers.get('subject')])
    assert.is(Buffer.from(unescapeUri(value ?? ''), 'latin1').toString(), odd);
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

test('S42: time is linear in the length of a URI, right or wrong', () => {
  const worst: Record<string, (n: number) => string> = {
    number: (n) => `tel:${'-1'.repeat(n / 2)}`,
    'number with an end': (n) => `tel:${'1'.repeat(n)}x`,
    separators: (n) => `tel:${'-'.repeat(n)}`,
    extension: (n) => `tel:+1;ext=${'1'.repeat(n)}x`,
    context: (n) => `tel:1;phone-context=${'a-'.repeat(n / 2)}`,
    labels: (n) => `tel:1;phone-context=${'a.'.repeat(n / 2)}!`,
    params: (n) => `tel:+1${Array.from({ length: n / 8 }, (_, i) => `;p${i}=1`).join('')}`,
    'sip params': (n) => `sip:a@b${Array.from({ length: n / 8 }, (_, i) => `;p${i}=1`).join('')}`,
    headers: (n) => `sip:a@b?${'a=b&'.repeat(n / 4)}a=b`,
    escapes: (n) => `sip:${'%41'.repeat(n / 3)}@b`,
    at: (n) => `sip:${'a'.repeat(n)}`,
    'address in a header': (n) => `sip:a@b?to=${'%22'.repeat(n / 3)}`,
  };
  assertLinear(
    worst,
    (text) => {
      try {
        equalUri(text, `${parseUri(text).scheme}:+1;other`);
        equalUri(text, `${text}1`);
        aorOf(text);
        formatUri(parseUri(text));
      } catch (error) {
        if (!(error instanceof Error) || error.name !== 'SipSyntaxError') throw error;
      }
    },
    8_000,
  );
});
