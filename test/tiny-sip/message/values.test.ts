import * as assert from 'uvu/assert';
import {
  formatChallenge,
  parseAuthInfo,
  parseChallenge,
  parseChallenges,
} from '../../../src/tiny-sip/message/challenge.ts';
import { formatDate, parseDate } from '../../../src/tiny-sip/message/date.ts';
import { formatNameAddr, parseNameAddr, parseNameAddrs } from '../../../src/tiny-sip/message/name-addr.ts';
import { parseParamValue, splitList } from '../../../src/tiny-sip/message/params.ts';
import { parseMessage } from '../../../src/tiny-sip/message/parse.ts';
import { detach, fromWire, quote, toWire, unquote } from '../../../src/tiny-sip/message/text.ts';
import { parseContentType } from '../../../src/tiny-sip/message/values.ts';
import { formatVia, parseVia } from '../../../src/tiny-sip/message/via.ts';
import { suite } from '../../support/harness.ts';

const test = suite('values');

test('addresses in all their shapes', () => {
  const read = (text: string) => {
    const address = parseNameAddr(text);
    return [address.display, address.uri, Object.fromEntries(address.params)];
  };
  assert.equal(read('<sip:a@b>'), [undefined, 'sip:a@b', {}]);
  assert.equal(read('sip:a@b;tag=1'), [undefined, 'sip:a@b', { tag: '1' }]);
  assert.equal(read('<sip:a@b;x=1>;tag=1'), [undefined, 'sip:a@b;x=1', { tag: '1' }]);
  assert.equal(read('Bob<sip:a@b>'), ['Bob', 'sip:a@b', {}]);
  assert.equal(read('  A. B.  C  <sip:a@b> ; x ; y = "z;" '), ['A. B.  C', 'sip:a@b', { x: '', y: '"z;"' }]);
  assert.equal(read('"a \\" <sip:x@y> \\\\" <sip:a@b>'), ['a " <sip:x@y> \\', 'sip:a@b', {}]);
  assert.equal(read('""<sip:a@b>'), ['', 'sip:a@b', {}]);
  assert.equal(read('<tel:+1-22>;TAG=X'), [undefined, 'tel:+1-22', { tag: 'X' }]);
  assert.equal(
    read('T\xc3\xbcr <sip:a@b>'),
    ['Tür', 'sip:a@b', {}],
    'bytes of UTF-8 without quotes are borne',
  );
});

test('a parameter is unquoted when asked by name; the first of a name counts', () => {
  const address = parseNameAddr('<sip:a@b>;+sip.instance="<urn:uuid:1>";x="a\\"b";x=2;flag');
  assert.is(address.param('+sip.instance'), '<urn:uuid:1>');
  assert.is(address.param('x'), 'a"b');
  assert.is(address.params.get('x'), '"a\\"b"');
  assert.is(address.param('flag'), '');
  assert.is(address.param('fla'), undefined);
  assert.is(address.tag, undefined);
});

test('a tag that stands in a quoted value or in the URI is no tag', () => {
  assert.is(parseNameAddr('<sip:a@b;tag=1>;x=";tag=2";y=tag;tag=3').tag, '3');
  assert.is(parseNameAddr('"x;tag=1" <sip:a@b>').tag, undefined);
});

test('lists of addresses', () => {
  assert.equal(
    parseNameAddrs('<sip:a@b>, "x, y" <sip:c@d>;q=1,sip:e@f').map((one) => one.uri),
    ['sip:a@b', 'sip:c@d', 'sip:e@f'],
  );
  for (const bad of ['', ',', '<sip:a@b>,', ',<sip:a@b>', '<sip:a@b>,,<sip:c@d>'])
    assert.throws(() => parseNameAddrs(bad), /malformed/, bad);
});

test('addresses are written so that they can be read', () => {
  const text = formatNameAddr({
    display: 'Tür "A" \\ 門',
    uri: 'sip:a@b;x=1',
    params: {
      tag: 'x',
      '+sip.instance': '<urn:uuid:1>',
      'reg-id': 1,
      ob: true,
      no: undefined,
      q: '"already, quoted"',
    },
  });
  const address = parseNameAddr(text);
  assert.is(address.display, 'Tür "A" \\ 門');
  assert.equal(Object.fromEntries(address.params), {
    tag: 'x',
    '+sip.instance': '"<urn:uuid:1>"',
    'reg-id': '1',
    ob: '',
    q: '"already, quoted"',
  });
  assert.is(formatNameAddr({ uri: 'sip:a@b' }), '<sip:a@b>');
});

test('S42: nothing that is written can break out of its place', () => {
  for (const init of [
    { uri: 'sip:a@b>\r\nX: 1' },
    { uri: 'sip:a@b>,<sip:c@d' },
    { uri: 'sip:a@b', display: 'a\r\nX: 1' },
    { uri: 'sip:a@b', display: 'a\0' },
    { uri: 'sip:a@b', params: { x: 'a\r\nX: 1' } },
    { uri: 'sip:a@b', params: { x: '"a\r\n"' } },
    { uri: 'sip:a@b', params: { 'x;y': '1' } },
    { uri: 'sip:a@b', params: { '': '1' } },
  ])
    assert.throws(
      () => formatNameAddr(init),
      (error: Error) => error.name === 'SipSyntaxError',
      JSON.stringify(init),
    );
  assert.is(formatNameAddr({ uri: 'sip:a@b', params: { x: '"a" ;y="' } }), '<sip:a@b>;x="\\"a\\" ;y=\\""');
  for (const init of [
    { transport: 'U DP', host: 'a' },
    { transport: 'UDP', host: 'a b' },
    { transport: 'UDP', host: 'a\r\n' },
    { transport: 'UDP', host: '' },
  ])
    assert.throws(() => formatVia(init), undefined, JSON.stringify(init));
});

test('Via, read and written', () => {
  const via = parseVia(
    'SIP/2.0/tls [2001:DB8::1]:5061;branch=z9hG4bKa;rport=1234;received=192.0.2.1;ttl=16;maddr=224.0.1.75;x',
  );
  assert.is(via.transport, 'TLS');
  assert.is(via.host, '2001:DB8::1');
  assert.is(via.port, 5061);
  assert.is(via.rport, 1234);
  assert.is(via.received, '192.0.2.1');
  assert.is(via.maddr, '224.0.1.75');
  assert.is(via.param('ttl'), '16');
  assert.is(via.param('x'), '');
  assert.is(via.sentBy, '[2001:db8::1]:5061');
  assert.is(parseVia('SIP/2.0/UDP a : 5060 ; branch=1').port, 5060);
  assert.is(parseVia('SIP/2.0/SCTP a').transport, 'SCTP');
  assert.is(parseVia('SIP/2.0/UDP a;rport').rport, 0);
  assert.is(parseVia('SIP/2.0/UDP a;rport=x').rport, 0);
  assert.is(
    formatVia({ transport: 'UDP', host: '::1', port: 5060, params: { branch: 'z9hG4bK1', rport: true } }),
    'SIP/2.0/UDP [::1]:5060;branch=z9hG4bK1;rport',
  );
  assert.throws(() => parseVia('SIP/2.0/UDP a, SIP/2.0/UDP b'));
});

test('ports, in a Via and in a URI, whichever reader meets them', () => {
  for (const [digits, port] of [
    ['0', 0],
    ['5060', 5060],
    ['59999', 59_999],
    ['60000', 60_000],
    ['65535', 65_535],
    ['00005060', 5060],
    ['65536', -1],
    ['99999', -1],
    ['123456', -1],
    ['9999999999', -1],
    ['', -1],
    ['x', -1],
  ] as const) {
    for (const end of ['', ' ']) {
      const result = parseMessage(
        Buffer.from(
          `OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/UDP a:${digits};branch=z9hG4bK1${end}\r\nFrom: <sip:a@b:${digits}>;tag=1${end}\r\n\r\n`,
        ),
      );
      if (!result.ok) throw new Error(result.code);
      const { message } = result;
      if (port < 0) {
        assert.throws(() => message.topVia, /port/, digits);
        assert.throws(() => message.from, undefined, digits);
      } else {
        assert.is(message.topVia?.port, port, digits);
        assert.is(message.from?.uri, `sip:a@b:${digits}`);
      }
    }
  }
});

test('the first branch and the first tag count, whichever reader meets them', () => {
  for (const end of ['', ' ']) {
    const result = parseMessage(
      Buffer.from(
        `OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=1;branch=2;BRANCH=3${end}\r\nFrom: <sip:a@b>;tag=1;tag=2${end}\r\nTo: <sip:a@b>;x;TAG=3;tag=4${end}\r\n\r\n`,
      ),
    );
    if (!result.ok) throw new Error(result.code);
    assert.is(result.message.topVia?.branch, '1');
    assert.is(parseVia('SIP/2.0/UDP a;branch=1;branch=2').branch, '1');
    const twice = parseMessage(
      Buffer.from(`A b SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=1;branch=2${end}\r\n\r\n`),
    );
    assert.is(twice.ok && twice.message.topVia?.branch, '1');
    assert.is(result.message.topVia?.param('branch'), '1');
    const bare = parseMessage(Buffer.from(`A b SIP/2.0\r\nVia: SIP/2.0/UDP a;branch;branch=2${end}\r\n\r\n`));
    assert.is(bare.ok && bare.message.topVia?.branch, '');
    assert.is(result.message.fromTag, '1');
    assert.is(result.message.from?.params.get('tag'), '1');
    assert.is(result.message.toTag, '3');
  }
});

test('Content-Type and values with parameters', () => {
  const type = parseContentType(
    'Multipart/Related ; type="application/rlmi+xml";start="<a@b>";boundary="50UBfW7LSCVLtggUPe5z"',
  );
  assert.is(type.essence, 'multipart/related');
  assert.is(type.param('boundary'), '50UBfW7LSCVLtggUPe5z');
  assert.is(parseContentType('text / plain').essence, 'text/plain');
  const state = parseParamValue('terminated;reason=deactivated;retry-after=10', 'Subscription-State');
  assert.is(state.value, 'terminated');
  assert.is(state.param('retry-after'), '10');
  assert.is(parseParamValue('18000;duration=3600', 'Retry-After').value, '18000');
  assert.is(parseParamValue('120 (I am in a meeting)', 'Retry-After').value, '120 (I am in a meeting)');
});

test('splitting lists', () => {
  assert.equal(splitList(''), []);
  assert.equal(splitList(' a , b '), ['a', 'b']);
  assert.equal(splitList('"a,\\"b",<c,d>,(e,f)'), ['"a,\\"b"', '<c,d>', '(e,f)']);
  assert.equal(splitList('a,"b'), ['a', '"b']);
  assert.equal(splitList('>,a'), ['>', 'a']);
});

test('challenges', () => {
  const challenge = parseChallenge(
    'Digest realm="a\\"b, c", nonce="x==", qop="auth,auth-int" , algorithm=SHA-256,stale=TRUE,  domain="sip:a"',
  );
  assert.is(challenge.scheme, 'Digest');
  assert.equal(Object.fromEntries(challenge.params), {
    realm: 'a"b, c',
    nonce: 'x==',
    qop: 'auth,auth-int',
    algorithm: 'SHA-256',
    stale: 'TRUE',
    domain: 'sip:a',
  });
  assert.equal(
    parseChallenges('Digest realm="a", nonce="1", Digest realm="b",nonce="2",Basic realm="c"').map((one) => [
      one.scheme,
      one.params.get('realm'),
    ]),
    [
      ['Digest', 'a'],
      ['Digest', 'b'],
      ['Basic', 'c'],
    ],
  );
  assert.is(parseChallenge('NoOneKnowsThisScheme opaque-data=here').params.get('opaque-data'), 'here');
  assert.is(
    parseChallenge('Digest response=abc==,uri=sip:a@b').params.get('response'),
    'abc==',
    'values without quotes are borne',
  );
  assert.is(parseChallenge('Digest').params.size, 0);
  assert.equal(parseChallenges(''), []);
  for (const bad of ['Digest realm="a', 'Digest realm', 'Digest a=b c=d', '="x"', 'Digest ="x"'])
    assert.throws(() => parseChallenge(bad), undefined, bad);
});

test('challenges and credentials are written with the quotes that RFC 7616 wants', () => {
  const params = {
    realm: 'a"b',
    nonce: 'n',
    qop: 'auth',
    algorithm: 'MD5',
    nc: '00000001',
    opaque: undefined,
  };
  assert.is(
    formatChallenge('Digest', params, 'credentials'),
    'Digest realm="a\\"b",nonce="n",qop=auth,algorithm=MD5,nc=00000001',
  );
  assert.match(formatChallenge('Digest', params, 'challenge'), 'qop="auth"');
  assert.throws(() => formatChallenge('Digest', { realm: 'a\r\nb' }, 'challenge'));
  assert.is(parseAuthInfo('nextnonce="x", qop=auth ,rspauth="y"').get('rspauth'), 'y');
  assert.throws(() => parseAuthInfo('nextnonce'));
});

test('credentials with people’s text survive', () => {
  const line = formatChallenge('Digest', { username: 'Jürgen "J" Müller' }, 'credentials');
  assert.is(fromWire(parseChallenge(line).params.get('username') ?? ''), 'Jürgen "J" Müller');
});

test('dates', () => {
  const text = 'Sat, 13 Nov 2010 23:29:00 GMT';
  assert.is(parseDate(text), Date.UTC(2010, 10, 13, 23, 29, 0));
  assert.is(formatDate(Date.UTC(2010, 10, 13, 23, 29, 0)), text);
  assert.is(formatDate(Date.UTC(2026, 0, 2, 3, 4, 5)), 'Fri, 02 Jan 2026 03:04:05 GMT');
  for (const bad of [
    '',
    'Fri, 01 Jan 2010 16:00:00 EST',
    'Fri, 31 Feb 2010 16:00:00 GMT',
    'Fri, 01 Foo 2010 16:00:00 GMT',
    'Fri, 01 Jan 2010 25:00:00 GMT',
    '1262361600',
  ])
    assert.is(parseDate(bad), undefined, bad);
});

test('text on the wire and text for people', () => {
  assert.is(fromWire('plain'), 'plain');
  assert.is(fromWire('Gr\xc3\xbc\xc3\x9fe'), 'Grüße');
  assert.is(fromWire('\xff\xfe'), 'ÿþ');
  assert.is(toWire('Grüße'), 'Gr\xc3\xbc\xc3\x9fe');
  assert.is(toWire('門'), '\xe9\x96\x80');
  assert.is(toWire(toWire('Grüße 門')), toWire('Grüße 門'), 'twice is once');
  assert.is(unquote(quote('a "b" \\ c')), 'a "b" \\ c');
  assert.is(unquote('plain'), 'plain');
  assert.is(unquote('"'), '"');
  assert.throws(() => quote('a\nb'));
  assert.is(detach('abc\xff'), 'abc\xff');
  assert.is(detach('門'), '門');
});
