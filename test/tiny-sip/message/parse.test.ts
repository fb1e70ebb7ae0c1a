import * as assert from 'uvu/assert';
import { checkRequest } from '../../../src/tiny-sip/message/check.ts';
import type { SipRequest, SipResponse } from '../../../src/tiny-sip/message/message.ts';
import { type ParseFailure, parseMessage } from '../../../src/tiny-sip/message/parse.ts';
import { serialise } from '../../../src/tiny-sip/message/serialise.ts';
import { suite } from '../../support/harness.ts';
import { crlf, PUBLISH, request, TORTUOUS } from './messages.ts';

const test = suite('parse');

function parse(text: string | Buffer): SipRequest {
  const result = parseMessage(typeof text === 'string' ? Buffer.from(text, 'latin1') : text);
  if (!result.ok) throw new Error(`${result.code}: ${result.reason}`);
  if (result.message.kind !== 'request') throw new Error('a response');
  return result.message;
}

function response(text: string): SipResponse {
  const result = parseMessage(Buffer.from(text, 'latin1'));
  if (!result.ok) throw new Error(result.code);
  if (result.message.kind !== 'response') throw new Error('a request');
  return result.message;
}

function fail(text: string | Buffer, limits = {}): ParseFailure {
  const result = parseMessage(typeof text === 'string' ? Buffer.from(text, 'latin1') : text, limits);
  if (result.ok) throw new Error('it was taken');
  return result;
}

test('a PUBLISH and all of its typed values', () => {
  const message = parse(PUBLISH);
  assert.is(message.method, 'PUBLISH');
  assert.is(message.uri, 'sip:gateway7@example.com');
  assert.is(message.topVia?.transport, 'UDP');
  assert.is(message.topVia?.host, '192.0.2.10');
  assert.is(message.topVia?.port, 5060);
  assert.is(message.topVia?.branch, 'z9hG4bKnashds8');
  assert.is(message.topVia?.rport, 0);
  assert.is(message.topVia?.received, undefined);
  assert.is(message.from?.display, 'Gateway 7');
  assert.is(message.from?.uri, 'sip:gateway7@example.com');
  assert.is(message.fromTag, 'a73kszlfl');
  assert.is(message.toTag, undefined);
  assert.is(message.to?.display, undefined);
  assert.is(message.callId, '3848276298220188511@192.0.2.10');
  assert.equal(message.cseq, { number: 4711, method: 'PUBLISH' });
  assert.is(message.maxForwards, 70);
  assert.is(message.expires, 120);
  assert.is(message.event?.package, 'presence');
  assert.is(message.contentType?.essence, 'application/pidf+xml');
  assert.is(message.contentLength, 11);
  assert.is(message.get('sip-if-match'), 'dx200xyz');
  const [contact] = message.contacts;
  assert.is(typeof contact === 'object' ? contact.uri : '', 'sip:gateway7@192.0.2.10:5060;transport=udp');
  assert.is(
    typeof contact === 'object' ? contact.param('+sip.instance') : '',
    '<urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF>',
  );
  assert.is(message.text(), '<presence/>');
  assert.is(checkRequest(message), undefined);
});

test('what is absent is undefined or empty', () => {
  const message = parse('OPTIONS sip:a SIP/2.0\r\n\r\n');
  assert.is(message.topVia, undefined);
  assert.equal(message.vias, []);
  assert.is(message.from, undefined);
  assert.is(message.cseq, undefined);
  assert.is(message.callId, undefined);
  assert.is(message.expires, undefined);
  assert.is(message.event, undefined);
  assert.is(message.contentType, undefined);
  assert.is(message.contentLength, undefined);
  assert.is(message.maxForwards, undefined);
  assert.equal(message.contacts, []);
  assert.equal(message.routes, []);
  assert.equal(message.recordRoutes, []);
  assert.is(message.body.length, 0);
  assert.is(message.get('Subject'), undefined);
  assert.equal(message.all('Supported'), []);
});

test('RFC 4475 §3.1.1.1: folds, blanks, mixed names and lists', () => {
  const message = parse(TORTUOUS);
  assert.is(checkRequest(message), undefined);
  assert.is(message.toTag, '1918181833n');
  assert.is(message.to?.uri, 'sip:vivekg@chair-dnrc.example.com');
  assert.is(message.from?.display, 'J Rosenberg \\"');
  assert.is(message.fromTag, '98asjd8');
  assert.is(message.maxForwards, 68);
  assert.equal(message.cseq, { number: 9, method: 'INVITE' });
  assert.equal(
    message.vias.map((via) => [via.transport, via.host, via.branch]),
    [
      ['UDP', '192.0.2.2', '390skdjuw'],
      ['TCP', 'spindle.example.com', 'z9hG4bK9ikj8'],
      ['UDP', '192.168.255.111', 'z9hG4bK30239'],
    ],
  );
  assert.is(message.get('Subject'), '');
  assert.is(message.get('newfangledheader'), 'newfangled value continued newfangled value');
  assert.is(message.get('UnknownHeaderWithUnusualValue'), ';;,,;;,;');
  assert.is(message.routes[0]?.param('unknownwith'), undefined);
  assert.is(message.routes[0]?.uri, 'sip:services.example.com;lr;unknownwith=value;unknown-no-value');
  const [contact] = message.contacts;
  if (typeof contact !== 'object') throw new Error('no contact');
  assert.is(contact.display, 'Quoted string ""');
  assert.equal(
    [...contact.params],
    [
      ['newparam', 'newvalue'],
      ['secondparam', ''],
      ['q', '0.33'],
    ],
  );
  assert.is(message.text(), 'v=0\r\n');
});

test('RFC 4475 §3.1.1.2: every character of token, word and quoted pairs, with a NUL', () => {
  const bytes = Buffer.concat([
    Buffer.from(
      crlf(`
!interesting-Method0123456789_*+\`.%indeed'~ sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com SIP/2.0
Via: SIP/2.0/TCP host1.example.com;branch=z9hG4bK-.!%66*_+\`'~
To: "BEL:\\\x07 NUL:\\\x00 DEL:\\\x7f" <sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*@example.com>
From: token1~\` token2'+_ token3*%!.- <sip:mundane@example.com>;fromParam''~+*_!.-%="\xd1\x80\xd0\xb0\xd0\xb1\xd0\xbe\xd1\x82\xd0\xb0\xd1\x8e\xd1\x89\xd0\xb8\xd0\xb9";tag=_token~1'+\`*%!-.
Call-ID: intmeth.word%ZK-!.*_+'@word\`~)(><:\\/"][?}{
CSeq: 139122385 !interesting-Method0123456789_*+\`.%indeed'~
Max-Forwards: 255
extensionHeader-!.%*+_\`'~: \xef\xbb\xbf\xe5\xa4\xa7\xe5\x81\x9c\xe9\x9b\xbb
Content-Length: 0

`),
      'latin1',
    ),
  ]);
  const message = parse(bytes);
  assert.is(checkRequest(message), undefined);
  assert.is(message.method, "!interesting-Method0123456789_*+`.%indeed'~");
  assert.is(message.to?.display, 'BEL:\x07 NUL:\0 DEL:\x7f');
  assert.is(message.from?.display, "token1~` token2'+_ token3*%!.-");
  assert.is(message.fromTag, "_token~1'+`*%!-.");
  assert.is(message.callId, 'intmeth.word%ZK-!.*_+\'@word`~)(><:\\/"][?}{');
});

test('responses: reason phrases that are empty, missing, or not of this alphabet', () => {
  assert.is(response('SIP/2.0 200 OK\r\n\r\n').status, 200);
  assert.is(response('SIP/2.0 100 \r\n\r\n').reason, '');
  assert.is(response('SIP/2.0 100\r\n\r\n').reason, '');
  assert.is(response('sip/2.0 603 No way, Jos\xc3\xa9\r\n\r\n').reason, 'No way, José');
  assert.is(response('SIP/2.0 200 = 2**3 * 5**2 \xd0\xbd\xd0\xbe\r\n\r\n').reason, '= 2**3 * 5**2 но');
  assert.is(response('SIP/2.0 200 \xff\r\n\r\n').reason, 'ÿ', 'bytes that are no UTF-8 read as latin1');
});

test('status lines that are none', () => {
  for (const line of [
    'SIP/2.0 4294967301 x',
    'SIP/2.0 99 x',
    'SIP/2.0 700 x',
    'SIP/2.0 20 OK',
    'SIP/2.0  200 OK',
    'SIP/2.0',
  ]) {
    const failure = fail(`${line}\r\n\r\n`);
    assert.is(failure.code, 'START_LINE', line);
    assert.is(failure.partial, undefined, line);
  }
});

test('request lines that are none answer 400, and what can be read comes along', () => {
  for (const line of [
    'OPTIONS  sip:a SIP/2.0',
    'OPTIONS sip:a  SIP/2.0',
    'OPTIONS sip:a SIP/2.0 ',
    ' OPTIONS sip:a SIP/2.0',
    'OPTIONS sip:a; lr SIP/2.0',
    'OPTIONS sip:a',
    'OPTIONS',
    'OPT(IONS sip:a SIP/2.0',
    'GET / HTTP/1.1',
    'OPTIONS sip:a SIP 2.0',
  ]) {
    const failure = fail(`${line}\r\nCall-ID: 1\r\nContent-Length: 0\r\n\r\n`);
    assert.is(failure.code, 'START_LINE', line);
    assert.is(failure.status, 400);
    assert.not(failure.framingLost);
  }
  assert.is(fail('OPTIONS  sip:a SIP/2.0\r\ni: 77\r\n\r\n').partial?.callId, '77');
});

test('another version answers 505 and its headers can be read', () => {
  const failure = fail(
    'OPTIONS sip:t.watson@example.org SIP/7.0\r\nVia: SIP/7.0/UDP c.example.com;branch=z9hG4bK1\r\nl: 0\r\n\r\n',
  );
  assert.is(failure.status, 505);
  assert.is(failure.partial?.topVia?.host, 'c.example.com');
});

test('S42: lengths that are negative, no number, or contradict each other', () => {
  for (const value of ['-999', 'five', '', '1 1', '0x10', '1,1', '+3', '1e3', '\xb2']) {
    const failure = fail(request(`Content-Length: ${value}\r\n`, 'body'));
    assert.is(failure.code, 'CONTENT_LENGTH', value);
    assert.is(failure.status, 400, value);
    assert.ok(failure.framingLost, value);
    assert.is(failure.partial?.callId, '1@example.com', value);
  }
  assert.is(fail(request('Content-Length: 4\r\nl: 3\r\n', 'body')).code, 'CONTENT_LENGTH');
  assert.is(parse(request('Content-Length: 4\r\nl: 4\r\n', 'body')).text(), 'body');
  assert.is(parse(request('Content-Length: 004\r\n', 'body')).text(), 'body');
  assert.is(parse(request('Content-Length:\r\n 4\r\n', 'body')).text(), 'body', 'folded');
});

test('S42: a length beyond the datagram, beyond the limit, beyond all numbers', () => {
  assert.is(fail(request('Content-Length: 5\r\n', 'body')).code, 'TRUNCATED');
  assert.is(fail(request('Content-Length: 9999\r\n', 'body')).status, 400);
  for (const huge of ['2147483648', '4294967296', '18446744073709551617', '9'.repeat(300)]) {
    const failure = fail(request(`Content-Length: ${huge}\r\n`, 'body'));
    assert.is(failure.code, 'BODY_TOO_LONG', huge);
    assert.is(failure.status, 413);
  }
  assert.is(fail(request('Content-Length: 4\r\n', 'body'), { body: 3 }).status, 413);
  assert.is(fail(request('', 'body'), { body: 3 }).status, 413, 'also where no length is given');
});

test('bytes after the body of a datagram are left; without a length all of it is body', () => {
  const text = request('Content-Length: 4\r\n', 'bodyINVITE sip:x SIP/2.0');
  const result = parseMessage(Buffer.from(text));
  assert.is(result.length, text.length - 'INVITE sip:x SIP/2.0'.length);
  assert.is(parse(text).text(), 'body');
  assert.is(parse(request('', 'all of this')).text(), 'all of this');
});

test('CRLFs before the start line are passed over', () => {
  assert.is(parse(`\r\n\r\n\r\n${PUBLISH}`).text(), '<presence/>');
  assert.is(fail('\r\n\r\n').code, 'EMPTY');
  assert.is(fail('').code, 'EMPTY');
});

test('S42: an LF that ends no CRLF loses the framing, wherever it stands', () => {
  const base = request('X: 1\r\n');
  for (let at = 0; at < base.length; at += 1) {
    if (base[at] !== '\r') continue;
    assert.is(fail(base.slice(0, at) + base.slice(at + 1)).framingLost, true, `LF at ${at}`);
  }
  for (const line of ['X: a\nb\r\n', 'X: a\n\nY: b\r\n', '\n', 'X: a\n\r\n'])
    assert.is(fail(request(line)).code, 'LINE_END', JSON.stringify(line));
});

test('S42: a CR by itself ends nothing: it is a blank, for us and for whoever gets it from us', () => {
  const verdict = (text: string): unknown => {
    const result = parseMessage(Buffer.from(text));
    if (!result.ok || result.message.kind !== 'request') throw new Error('the framing does not suffer');
    return checkRequest(result.message)?.reason;
  };
  for (const name of ['Via', 'From', 'To', 'Call-ID', 'CSeq']) {
    const line = new RegExp(`${name}: ([^\r]*)\r\n`).exec(request(''))?.[1] ?? '';
    for (let at = 0; at <= line.length; at += 1) {
      const text = (mark: string): string =>
        request('').replace(`${name}: ${line}`, `${name}: ${line.slice(0, at)}${mark}${line.slice(at)}`);
      assert.is(verdict(text('\r')), verdict(text(' ')), `${name} at ${at}`);
      assert.is(verdict(text('\rX')), verdict(text(' X')), `${name} at ${at}`);
    }
  }
  const message = parse(request('X: a\rVia: SIP/2.0/UDP evil\r\nMax-Forwards: 7\r0\r\nY: \r\r\n'));
  assert.is(message.get('X'), 'a Via: SIP/2.0/UDP evil');
  assert.is(message.get('Y'), '');
  assert.is(message.vias.length, 1);
  assert.throws(() => message.maxForwards);
  assert.not.match(serialise(message).toString('latin1'), /\r(?!\n)/, 'nor does it go on to others');
  assert.is(fail('OPTIONS sip:a\r SIP/2.0\r\n\r\n').code, 'LINE_END');
});

test('a head without its empty line is cut short; what can be read comes along', () => {
  const failure = fail('OPTIONS sip:a SIP/2.0\r\nCall-ID: 5\r\n');
  assert.is(failure.code, 'TRUNCATED');
  assert.is(failure.partial?.callId, '5');
  assert.is(fail('OPTIONS sip:a SIP/2.0').code, 'TRUNCATED');
  assert.is(fail('OPTIONS sip:a SIP/2.0\r\nCall-ID').code, 'TRUNCATED');
});

test('header lines that are none are passed over (RFC 3261 §8.2.2); what is needed is missed', () => {
  for (const line of [
    'no colon',
    ': no name',
    'na me: x',
    'n\xe4me: x',
    '(x): y',
    'x\0: y',
    'no colon\r\n but: a fold',
  ]) {
    const message = parse(request(`${line}\r\nSubject: after\r\n`));
    assert.is(message.get('Subject'), 'after', line);
    assert.is(checkRequest(message), undefined, line);
    assert.equal([...message.headerNames()].at(-1), 'Subject', line);
  }
  const broken = parse(request('').replace('Call-ID: ', 'Call-ID '));
  assert.is(broken.callId, undefined);
  assert.is(checkRequest(broken)?.status, 400);
  assert.is(fail('OPTIONS sip:a SIP/2.0\r\n folded: nothing\r\n\r\n').code, 'HEADER_LINE');
});

test('S42: limits are kept', () => {
  assert.is(fail(request('X: 1\r\n'.repeat(20)), { headers: 20 }).code, 'TOO_MANY_HEADERS');
  assert.is(parse(request('X: 1\r\n'.repeat(500))).lines('X').length, 500);
  const cut = request('X: 1\r\n'.repeat(20)).slice(0, -2);
  assert.is(
    fail(cut, { headers: 20 }).code,
    'TOO_MANY_HEADERS',
    'found by fuzzing: cut short, but too many already',
  );
  assert.is(fail(request(`X: ${'a'.repeat(2_000)}\r\n`), { headBytes: 1_000 }).code, 'HEAD_TOO_LONG');
  assert.is(fail(`OPTIONS ${'a'.repeat(5_000)} SIP/2.0\r\n\r\n`).status, 414);
  assert.is(fail('x'.repeat(1_000), { headBytes: 100 }).code, 'HEAD_TOO_LONG');
});

test('S33: a datagram of 65,535 bytes is taken', () => {
  const head = request('Content-Type: text/plain\r\nContent-Length: 00000\r\n');
  const size = 65_535 - head.length;
  const bytes = Buffer.from(head.replace('00000', String(size)) + 'x'.repeat(size));
  assert.is(bytes.length, 65_535);
  assert.is(parse(bytes).body.length, size);
  const wide = request(`Subject: ${'y'.repeat(65_535 - request('Subject: \r\n').length)}\r\n`);
  assert.is(wide.length, 65_535);
  assert.ok(parse(wide).get('s')?.startsWith('yyy'));
});

test('S37: every compact form is understood, in either case', () => {
  const pairs =
    'a Accept-Contact,b Referred-By,c Content-Type,d Request-Disposition,e Content-Encoding,f From,i Call-ID,j Reject-Contact,k Supported,l Content-Length,m Contact,n Identity-Info,o Event,r Refer-To,s Subject,t To,u Allow-Events,v Via,x Session-Expires,y Identity';
  for (const pair of pairs.split(',')) {
    const [short = '', long = ''] = pair.split(' ');
    const value = short === 'l' ? '0' : 'some-value';
    for (const name of [short, short.toUpperCase(), long, long.toUpperCase(), long.toLowerCase()]) {
      const message = parse(`OPTIONS sip:a SIP/2.0\r\n${name}: ${value}\r\n\r\n`);
      assert.is(message.get(long), value, name);
      assert.is(message.get(short), value, name);
      assert.equal([...message.headerNames()], [long], name);
    }
  }
});

test('names that only look like known ones are not taken for them', () => {
  const message = parse('OPTIONS sip:a SIP/2.0\r\nVib: 1\r\nFron: 2\r\nVi: 3\r\nZ: 4\r\nContact-: 5\r\n\r\n');
  assert.is(message.has('Via'), false);
  assert.is(message.has('From'), false);
  assert.equal([...message.headerNames()], ['Vib', 'Fron', 'Vi', 'Z', 'Contact-']);
  assert.is(message.get('vIB'), '1');
  assert.is(message.get('z'), '4');
});

test('lists: commas in quotes, brackets and comments do not split', () => {
  const message = parse(
    request(
      'Contact: "a, b" <sip:c,d@e.f;x=1>;q=0.1,sip:g@h ,<sip:i@j>\r\nm: <sip:k@l>\r\nSupported: a , b,,c\r\nk:\r\nWarning: 307 isi.edu "a, b", 399 x "c"\r\nDate: Sat, 13 Nov 2010 23:29:00 GMT\r\nAuthorization: Digest a="b", c=d\r\n',
    ),
  );
  assert.equal(message.contacts !== '*' && message.contacts.map((contact) => contact.uri), [
    'sip:c,d@e.f;x=1',
    'sip:g@h',
    'sip:i@j',
    'sip:k@l',
  ]);
  assert.equal(message.all('Supported'), ['a', 'b', 'c']);
  assert.equal(message.all('Warning'), ['307 isi.edu "a, b"', '399 x "c"']);
  assert.is(message.get('Date'), 'Sat, 13 Nov 2010 23:29:00 GMT');
  assert.equal(message.all('Authorization'), ['Digest a="b", c=d']);
});

test('Contact: * stands by itself', () => {
  assert.is(parse(request('Contact: *\r\n')).contacts, '*');
  assert.is(parse(request('Contact:   *  \r\n')).contacts, '*');
  assert.throws(() => parse(request('Contact: *, <sip:a@b>\r\n')).contacts, /Contact/);
  assert.throws(() => parse(request('Contact: *\r\nContact: <sip:a@b>\r\n')).contacts, /Contact/);
});

test('numbers: overlarge, padded, malformed', () => {
  const message = (line: string) => parse(request(`${line}\r\n`));
  assert.is(message('Expires: 0').expires, 0);
  assert.is(message('Expires: 4294967295').expires, 4_294_967_295);
  assert.is(message(`Expires: 1${'0'.repeat(100)}`).expires, 4_294_967_295);
  assert.is(message('Expires: Thu, 01 Dec 1994 16:00:00 GMT').expires, 3_600);
  assert.is(message('Expires: -1').expires, 3_600);
  assert.throws(() => message('Max-Forwards: 256').maxForwards);
  assert.throws(() => message('Max-Forwards: x').maxForwards);
  assert.is(message('Max-Forwards: 0').maxForwards, 0);
});

test('values are kept: the same object comes again', () => {
  const message = parse(PUBLISH);
  assert.is(message.from, message.from);
  assert.is(message.topVia, message.topVia);
  assert.is(message.cseq, message.cseq);
  assert.is(message.contacts, message.contacts);
});

test('UTF-8 survives as bytes and is shown as text', () => {
  const text = request('Subject: Grüße aus Köln\r\nContact: "Tür – 門" <sip:a@b>\r\n');
  const message = parse(Buffer.from(text, 'utf8'));
  assert.is(Buffer.from(message.get('Subject') ?? '', 'latin1').toString('utf8'), 'Grüße aus Köln');
  assert.is(message.contacts !== '*' && message.contacts[0]?.display, 'Tür – 門');
});
