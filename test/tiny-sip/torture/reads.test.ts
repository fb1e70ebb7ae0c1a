/** What the valid but contorted messages of RFC 4475 and RFC 5118 parse to, as their texts explain it. */
import * as assert from 'uvu/assert';
import { checkRequest } from '../../../src/tiny-sip/message/check.ts';
import { parseDate } from '../../../src/tiny-sip/message/date.ts';
import type { SipMessage, SipRequest, SipResponse } from '../../../src/tiny-sip/message/message.ts';
import type { NameAddr } from '../../../src/tiny-sip/message/name-addr.ts';
import { parseMessage } from '../../../src/tiny-sip/message/parse.ts';
import { serialise } from '../../../src/tiny-sip/message/serialise.ts';
import { parseUri, unescapeUri } from '../../../src/tiny-sip/message/uri.ts';
import { aorOf, equalUri } from '../../../src/tiny-sip/message/uri-compare.ts';
import { createFramer } from '../../../src/tiny-sip/transport/framer.ts';
import { suite } from '../../support/harness.ts';
import { mended, rfc4475, rfc5118 } from './expected.ts';
import { readTorture } from './read.ts';

const test = suite('torture, read');

const set = new Map([
  ...readTorture('rfc4475.txt').map(
    ({ name, bytes }) => [name, mended(bytes, rfc4475[name] ?? none)] as const,
  ),
  ...readTorture('rfc5118.txt').map(
    ({ name, bytes }) => [name, mended(bytes, rfc5118[name] ?? none)] as const,
  ),
]);
const none = { udp: { kind: 'silence' }, tcp: { kind: 'silence' } } as const;

function bytesOf(name: string): Buffer {
  const bytes = set.get(name);
  if (bytes === undefined) throw new Error(`no message ${name}`);
  return bytes;
}

function read(name: string): SipMessage {
  const result = parseMessage(bytesOf(name));
  if (!result.ok) throw new Error(`${name}: ${result.code}`);
  return result.message;
}

function request(name: string): SipRequest {
  const message = read(name);
  if (message.kind !== 'request') throw new Error('a response');
  assert.is(checkRequest(message), undefined, `${name} passes`);
  return message;
}

function response(name: string): SipResponse {
  const message = read(name);
  if (message.kind !== 'response') throw new Error('a request');
  return message;
}

function contacts(message: SipMessage): readonly NameAddr[] {
  const found = message.contacts;
  if (found === '*') throw new Error('a star');
  return found;
}

test('wsinv: folds, blanks, compact and long names, lists, and an unknown header left alone', () => {
  const message = request('wsinv');
  assert.is(message.uri, 'sip:vivekg@chair-dnrc.example.com;unknownparam');
  assert.is(message.to?.uri, 'sip:vivekg@chair-dnrc.example.com');
  assert.is(message.toTag, '1918181833n');
  assert.is(message.from?.display, 'J Rosenberg \\"');
  assert.is(message.fromTag, '98asjd8');
  assert.is(message.maxForwards, 68);
  assert.equal(message.cseq, { number: 9, method: 'INVITE' });
  assert.equal(
    message.vias.map(({ transport, host, branch }) => [transport, host, branch]),
    [
      ['UDP', '192.0.2.2', '390skdjuw'],
      ['TCP', 'spindle.example.com', 'z9hG4bK9ikj8'],
      ['UDP', '192.168.255.111', 'z9hG4bK30239'],
    ],
  );
  assert.is(message.get('Subject'), '');
  assert.is(message.get('NewFangledHeader'), 'newfangled value continued newfangled value');
  assert.is(message.get('UnknownHeaderWithUnusualValue'), ';;,,;;,;');
  assert.is(message.routes[0]?.uri, 'sip:services.example.com;lr;unknownwith=value;unknown-no-value');
  const [contact] = contacts(message);
  assert.is(contact?.display, 'Quoted string ""');
  assert.is(contact?.param('newparam'), 'newvalue');
  assert.is(contact?.param('secondparam'), '');
  assert.is(contact?.param('q'), '0.33');
  assert.is(message.body.length, 150);
});

test('intmeth: every character of token, word and user, quoted pairs of any, UTF-8', () => {
  const message = request('intmeth');
  assert.is(message.method, "!interesting-Method0123456789_*+`.%indeed'~");
  const { user, password, host } = parseUri(message.uri);
  assert.is(user, "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*");
  assert.is(password, "&it+has=1,weird!*pas$wo~d_too.(doesn't-it)");
  assert.is(host, 'example.com');
  assert.is(message.topVia?.branch, "z9hG4bK-.!%66*_+`'~", '% is no escape there');
  assert.is(message.to?.display, 'BEL:\x07 NUL:\0 DEL:\x7f');
  assert.is(message.from?.display, "token1~` token2'+_ token3*%!.-");
  assert.is(
    message.from?.params.get("fromparam''~+*_!.-%"),
    '"\xd1\x80\xd0\xb0\xd0\xb1\xd0\xbe\xd1\x82\xd0\xb0\xd1\x8e\xd1\x89\xd0\xb8\xd0\xb9"',
  );
  assert.is(message.fromTag, "_token~1'+`*%!-.");
  assert.is(message.callId, 'intmeth.word%ZK-!.*_+\'@word`~)(><:\\/"][?}{');
  assert.equal(message.cseq, { number: 139_122_385, method: message.method });
  assert.is(message.maxForwards, 255);
  assert.is(Buffer.from(message.get("extensionHeader-!.%*+_`'~") ?? '', 'latin1').toString(), '\ufeff大停電');
});

test('esc01: escapes stand for their characters, and only once', () => {
  const message = request('esc01');
  assert.equal(
    [parseUri(message.uri).user, parseUri(message.uri).host],
    ['sips%3Auser%40example.com', 'example.net'],
  );
  assert.is(unescapeUri(parseUri(message.uri).user ?? ''), 'sips:user@example.com');
  assert.ok(equalUri(message.to?.uri ?? '', 'sip:user@example.com'));
  assert.is(unescapeUri(parseUri(message.from?.uri ?? '').user ?? ''), 'I have spaces');
  const uri = contacts(message)[0]?.uri ?? '';
  assert.is(uri, 'sip:cal%6Cer@host5.example.net;%6C%72;n%61me=v%61lue%25%34%31', 'kept as it came');
  assert.ok(equalUri(uri, 'sip:caller@host5.example.net;lr;name=value%2541'));
  assert.not.ok(equalUri(uri, 'sip:caller@host5.example.net;lr;name=valueA'));
});

test('escnull: two contacts that differ, and a user that is not cut short', () => {
  const message = request('escnull');
  assert.is(aorOf(message.to?.uri ?? ''), 'sip:null-%00-null@example.com');
  assert.is(unescapeUri(parseUri(message.to?.uri ?? '').user ?? ''), 'null-\0-null');
  const [one, two, ...more] = contacts(message).map(({ uri }) => uri);
  assert.is(more.length, 0);
  assert.not.ok(equalUri(one ?? '', two ?? ''));
});

test('esc02: % where it is no escape', () => {
  const message = request('esc02');
  assert.is(message.method, 'RE%47IST%45R');
  assert.is(message.from?.display, '%Z%45');
  assert.is(message.topVia?.branch, 'z9hG4bK209%fzsnel234');
  assert.equal(
    contacts(message).map(({ uri }) => uri),
    ['sip:alias1@host1.example.com', 'sip:alias3@host3.example.com'],
  );
  assert.is(message.get('C%6Fntact'), '<sip:alias2@host2.example.com>');
});

test('lwsdisp: no blank between display name and <', () => {
  assert.is(request('lwsdisp').from?.display, 'caller');
  assert.is(request('lwsdisp').fromTag, '323');
});

test('longreq: long names and values, whole', () => {
  const message = request('longreq');
  assert.is(message.to?.display, `I have a user name of ${'extreme'.repeat(10)} proportion`);
  const { params, port } = parseUri(message.to?.uri ?? '');
  assert.is(port, 6000);
  assert.equal(
    [...params],
    [
      ['unknownparam1', `very${'long'.repeat(20)}value`],
      [`longparam${'name'.repeat(25)}`, 'shortvalue'],
      [`very${'long'.repeat(25)}parameternamewithnovalue`, ''],
    ],
  );
  assert.is(message.from?.uri, `sip:${'amazinglylongcallername'.repeat(5)}@example.net`);
  assert.is(message.fromTag, `12${'982'.repeat(50)}424`);
  assert.is(
    message.from?.param(`unknownheaderparam${'name'.repeat(20)}`),
    `unknowheaderparam${'value'.repeat(15)}`,
  );
  assert.is(message.callId, `longreq.one${'really'.repeat(20)}longcallid`);
  assert.is(message.vias.length, 34);
  assert.is(message.topVia?.host, 'sip33.example.com');
  assert.is(message.vias.at(-1)?.branch, `very${'long'.repeat(50)}branchvalue`);
  assert.is(message.vias.at(-1)?.received, '192.0.2.5');
  assert.match(message.get(`unknown-${'long'.repeat(20)}-name`) ?? '', 'parameter-value');
});

test('dblreq: the first request ends where its Content-Length says', () => {
  const bytes = bytesOf('dblreq');
  const result = parseMessage(bytes);
  assert.is(result.length, bytes.indexOf('INVITE sip:joe') - 2, 'a CRLF more stands before the noise');
  assert.is(request('dblreq').body.length, 0);
});

test('semiuri: parameters that belong to the user part', () => {
  const uri = parseUri(request('semiuri').uri);
  assert.is(uri.user, 'user;par=u%40example.net');
  assert.is(unescapeUri(uri.user ?? ''), 'user;par=u@example.net');
  assert.is(uri.host, 'example.com');
  assert.is(uri.params.size, 0);
  assert.is(request('semiuri').all('Accept').length, 6);
});

test('transports: known, less known and unknown ones', () => {
  assert.equal(
    request('transports').vias.map(({ transport, host }) => [transport, host]),
    ['UDP', 'SCTP', 'TLS', 'UNKNOWN', 'TCP'].map((name, i) => [name, `t${i + 1}.example.com`]),
  );
});

test('unreason, noreason: phrases of any alphabet, and none', () => {
  assert.is(response('unreason').status, 200);
  assert.is(response('unreason').reason, '= 2**3 * 5**2 но сто девяносто девять - простое');
  assert.is(response('noreason').status, 100);
  assert.is(response('noreason').reason, '');
});

test('baddate: a date that is none harms nobody who does not ask', () => {
  assert.is(parseDate(request('baddate').get('Date') ?? ''), undefined);
});

test('unknown schemes in the Request-URI and in headers', () => {
  assert.equal(parseUri(request('unkscm').uri).opaque, 'totallyopaquecontent');
  assert.is(parseUri(request('novelsc').uri).scheme, 'soap.beep');
  const message = request('unksm2');
  assert.is(message.to?.uri, 'isbn:2983792873');
  assert.is(message.from?.uri, 'http://www.example.com');
  assert.is(message.fromTag, '3234233');
  assert.is(contacts(message)[0]?.uri, 'name:John_Smith');
});

test('bcast, zeromf, bext01, regaut01, sdp01, inv2543: what they are about', () => {
  assert.is(response('bcast').vias[1]?.host, '255.255.255.255');
  assert.is(request('zeromf').maxForwards, 0);
  assert.equal(request('bext01').all('Require'), ['nothingSupportsThis', 'nothingSupportsThisEither']);
  assert.equal(request('bext01').all('Proxy-Require'), [
    'noProxiesSupportThis',
    'norDoAnyProxiesSupportThis',
  ]);
  assert.is(request('regaut01').get('Authorization'), 'NoOneKnowsThisScheme opaque-data=here');
  assert.equal(request('sdp01').all('Accept'), ['text/nobodyKnowsThis']);
  const old = request('inv2543');
  assert.is(old.topVia?.branch, undefined);
  assert.is(old.fromTag, undefined);
  assert.is(old.maxForwards, undefined);
  assert.is(old.contentLength, undefined);
  assert.is(old.body.length, 105, 'the rest of the datagram');
  assert.is(old.recordRoutes[0]?.uri, 'sip:UserB@example.com;maddr=ss1.example.com');
});

test('cparam01, cparam02, regescrt: what belongs to the Contact and what to its URI', () => {
  const [outside] = contacts(request('cparam01'));
  assert.is(outside?.uri, 'sip:+19725552222@gw1.example.net');
  assert.is(outside?.param('unknownparam'), '');
  const [inside] = contacts(request('cparam02'));
  assert.is(inside?.param('unknownparam'), undefined);
  assert.is(parseUri(inside?.uri ?? '').params.get('unknownparam'), '');
  const [escaped] = contacts(request('regescrt'));
  assert.is(parseUri(escaped?.uri ?? '').headers.get('route'), '%3Csip:sip.example.com%3E');
});

test('RFC 5118: IPv6 in every place', () => {
  assert.is(parseUri(request('ipv6-good').uri).host, '2001:db8::10');
  assert.is(request('ipv6-good').topVia?.host, '2001:db8::9:1');
  assert.is(contacts(request('ipv6-good'))[0]?.uri, 'sip:caller@[2001:db8::1]');
  const ambiguous = parseUri(request('port-ambiguous').uri);
  assert.equal([ambiguous.host, ambiguous.port], ['2001:db8::10:5070', undefined]);
  const plain = parseUri(request('port-unambiguous').uri);
  assert.equal([plain.host, plain.port], ['2001:db8::10', 5070]);
  for (const name of ['via-received-param-with-delim', 'via-received-param-no-delim'])
    assert.is(request(name).topVia?.received, '2001:db8::9:255', name);
  assert.equal(
    request('mult-ip-in-header').vias.map(({ host, port, received }) => [host, port, received]),
    [
      ['2001:db8::9:1', 6050, undefined],
      ['192.0.2.1', undefined, undefined],
      ['2001:db8::9:255', undefined, '192.0.2.200'],
    ],
  );
  assert.match(request('ipv6-in-sdp').text(), 'c=IN IP6 2001:db8::20\r\n');
  assert.match(request('mult-ip-in-sdp').text(), 'c=IN IP4 192.0.2.1\r\n');
  assert.equal(
    request('ipv4-mapped-ipv6').vias.map(({ host, port }) => [host, port]),
    [
      ['::ffff:192.0.2.10', 19_823],
      ['::ffff:192.0.2.2', undefined],
    ],
  );
});

test('RFC 5118 §4.10: the colon too many is borne, and not passed on', () => {
  assert.is(parseUri(request('ipv6-bug-abnf-3-colons').uri).host, '2001:db8::192.0.2.1');
  assert.ok(equalUri(request('ipv6-bug-abnf-3-colons').uri, request('ipv6-correct-abnf-2-colons').uri));
});

test('every message of both sets that can be read is the same after writing and reading', () => {
  const shape = (of: SipMessage): unknown => [
    of.kind === 'request' ? [of.method, of.uri] : [of.status, of.reason],
    [...of.headerNames()].filter((name) => name !== 'Content-Length').map((name) => [name, of.lines(name)]),
    of.body.toString('latin1'),
  ];
  let count = 0;
  for (const [name, bytes] of set) {
    const first = parseMessage(bytes);
    if (!first.ok) continue;
    count += 1;
    for (const compact of [false, true]) {
      const again = parseMessage(serialise(first.message, { compact }));
      if (!again.ok) throw new Error(`${name}: ${again.code}`);
      assert.equal(shape(again.message), shape(first.message), name);
    }
  }
  assert.is(count, 53);
});

test('S42: each message, cut in two at every byte, comes out of a stream as it does in one piece', () => {
  for (const [name, bytes] of set) {
    const cut = (places: readonly number[]): unknown => {
      const seen: unknown[] = [];
      const framer = createFramer({
        frame: (one, parsed) => seen.push([parsed.ok || parsed.code, parsed.ok && one.toString('latin1')]),
        crlf: () => seen.push('crlf'),
        lost: (why) => seen.push(why),
      });
      let from = 0;
      for (const place of [...places, bytes.length]) {
        framer.push(Buffer.from(bytes.subarray(from, place)));
        from = place;
      }
      return [seen, framer.partial];
    };
    const whole = cut([]);
    for (let at = 1; at < bytes.length; at += 1) assert.equal(cut([at]), whole, `${name} at ${at}`);
  }
});
