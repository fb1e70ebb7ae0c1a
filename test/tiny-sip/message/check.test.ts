import * as assert from 'uvu/assert';
import { checkRequest, checkResponse } from '../../../src/tiny-sip/message/check.ts';
import { parseMessage } from '../../../src/tiny-sip/message/parse.ts';
import { suite } from '../../support/harness.ts';
import { crlf, request } from './messages.ts';

const test = suite('check');

function check(text: string): number | undefined {
  const result = parseMessage(Buffer.from(text, 'latin1'));
  if (!result.ok) return result.status;
  return result.message.kind === 'request' ? checkRequest(result.message)?.status : undefined;
}

/** The plain request with one of its lines replaced. */
function withLine(name: string, line: string): string {
  return request('').replace(new RegExp(`${name}: [^\r]*\r\n`), line === '' ? '' : `${line}\r\n`);
}

test('a plain request passes', () => {
  assert.is(check(request('')), undefined);
});

test('what must be there is missed', () => {
  for (const name of ['Via', 'From', 'To', 'Call-ID', 'CSeq'])
    assert.is(check(withLine(name, '')), 400, name);
});

test('what may come once only may not come twice', () => {
  for (const line of [
    'From: <sip:x@y>;tag=2',
    't: <sip:x@y>',
    'i: 2',
    'CSeq: 2 OPTIONS',
    'Max-Forwards: 1\r\nMax-Forwards: 2',
    'o: presence\r\nEvent: dialog',
    'Expires: 1\r\nExpires: 1',
    'c: a/b\r\nc: a/b',
  ])
    assert.is(check(request(`${line}\r\n`)), 400, line);
  assert.is(
    check(request('Via: SIP/2.0/UDP b;branch=z9hG4bK2\r\nm: <sip:a@b>\r\nContact: <sip:c@d>\r\n')),
    undefined,
  );
});

test('RFC 4475 §3.1.2: invalid messages are answered 400', () => {
  const bad: Record<string, string> = {
    badinv01: withLine('Via', 'Via: SIP/2.0/UDP 192.0.2.15;;,;,,'),
    'badinv01, Contact': request('Contact: "Joe" <sip:joe@example.org>;;;;\r\n'),
    quotbal: withLine('To', 'To: "Mr. J. User <sip:j.user@example.com>'),
    ltgtruri: request('').replace('sip:bob@example.com SIP', '<sip:bob@example.com> SIP'),
    regbadct: request('Contact: sip:user@example.com?Route=%3Csip:sip.example.com%3E\r\n'),
    badaspec: withLine('To', 'To: "Watson, Thomas" < sip:t.watson@example.org >'),
    baddn: withLine('From', 'From:    Bell, Alexander <sip:a.g.bell@example.com>;tag=43'),
    mismatch: withLine('CSeq', 'CSeq: 8 INVITE'),
    scalar02: withLine('CSeq', 'CSeq: 36893488147419103232 OPTIONS'),
    badbranch: withLine('Via', 'Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK'),
  };
  for (const [name, text] of Object.entries(bad)) assert.is(check(text), 400, name);
});

test('other malformed values', () => {
  for (const [name, line] of [
    ['Via', 'Via: SIP/2.0/UDP'],
    ['Via', 'Via: SIP/2.0 192.0.2.1;branch=z9hG4bK1'],
    ['Via', 'Via: SIP/2.0/UDP [::1;branch=z9hG4bK1'],
    ['Via', 'Via: SIP/2.0/UDP 1.2.3.4:99999;branch=z9hG4bK1'],
    ['Via', 'Via: SIP/2.0/UDP 1.2.3.4:;branch=z9hG4bK1'],
    ['Via', 'Via: SIP/2.0/UDP a b;branch=z9hG4bK1'],
    ['Via', 'Via: SIP/2.0/UDP a;branch='],
    ['Via', 'Via:'],
    ['From', 'From: alice'],
    ['From', 'From: <sip:alice@example.com'],
    ['From', 'From: <sip:alice@example.com>tag=1'],
    ['From', 'From: <sip:alice@example.com>;tag=1, <sip:b@c>'],
    ['From', 'From: <sip:al ice@example.com>;tag=1'],
    ['From', 'From: <sip:alice@>;tag=1'],
    ['From', 'From: <sip:a%2@b>;tag=1'],
    ['From', 'From: "a\x01b" <sip:alice@example.com>;tag=1'],
    ['To', 'To:'],
    ['To', 'To: <>'],
    ['Call-ID', 'Call-ID: a b'],
    ['Call-ID', 'Call-ID: a@b@c'],
    ['Call-ID', 'Call-ID: @'],
    ['Call-ID', 'Call-ID:'],
    ['CSeq', 'CSeq: OPTIONS'],
    ['CSeq', 'CSeq: 1'],
    ['CSeq', 'CSeq: 1OPTIONS'],
    ['CSeq', 'CSeq: 1 OPTIONS x'],
    ['CSeq', 'CSeq: -1 OPTIONS'],
    ['CSeq', 'CSeq: 2147483648 OPTIONS'],
    ['CSeq', 'CSeq: 1 options'],
  ] as const)
    assert.is(check(withLine(name, line)), 400, line);
  for (const line of [
    'Event: ',
    'Event: ;id=1',
    'Event: pres ence',
    'c: text',
    'c: text/',
    'c: a/b/c',
    'c: a/b;x',
    'Max-Forwards: 1000',
    'm: sip:a@b;',
    'm: <sip:a@b>,',
  ])
    assert.is(check(request(`${line}\r\n`)), line === 'c: a/b;x' ? undefined : 400, line);
});

test('RFC 2543 is borne: no branch, no From tag, no Max-Forwards (RFC 4475 §3.4.1)', () => {
  assert.is(
    check(
      crlf(`
INVITE sip:UserB@example.com SIP/2.0
Via: SIP/2.0/UDP iftgw.example.com
From: <sip:+13035551111@ift.client.example.net;user=phone>
Record-Route: <sip:UserB@example.com;maddr=ss1.example.com>
To: sip:+16505552222@ss1.example.net;user=phone
Call-ID: inv2543.1717@ift.client.example.com
CSeq: 56 INVITE
Content-Type: application/sdp

`),
    ),
    undefined,
  );
});

test('RFC 5118: IPv6 where it belongs, and nowhere else', () => {
  const at = (uri: string) => check(request('').replace('OPTIONS sip:bob@example.com', `OPTIONS ${uri}`));
  assert.is(at('sip:[2001:db8::10]'), undefined);
  assert.is(at('sip:2001:db8::10'), 400, '§4.2');
  assert.is(at('sip:[2001:db8::10:5070]'), undefined, '§4.3');
  assert.is(at('sip:[2001:db8::10]:5070'), undefined, '§4.4');
  assert.is(at('sip:user@[::ffff:192.0.2.2]'), undefined, '§4.10');
  assert.is(at('sip:user@[2001:db8:::1]'), 400, '§4.9');
  assert.is(
    check(withLine('Via', 'Via: SIP/2.0/UDP [2001:db8::9:1];received=[2001:db8::9:255];branch=z9hG4bK1')),
    undefined,
    '§4.5',
  );
  assert.is(
    check(withLine('Via', 'Via: SIP/2.0/UDP [2001:db8::9:1];received=2001:db8::9:255;branch=z9hG4bK1')),
    undefined,
    '§4.5',
  );
});

test('responses are checked for what a client relies on', () => {
  const check = (text: string): string | undefined => {
    const result = parseMessage(Buffer.from(text));
    if (!result.ok || result.message.kind !== 'response') throw new Error('no response');
    return checkResponse(result.message);
  };
  const good = request('').replace(/^[^\r]*/, 'SIP/2.0 200 OK');
  assert.is(check(good), undefined);
  assert.match(check(good.replace('CSeq: 1', 'CSeq: 9292394834772304023312')) ?? '', 'CSeq');
  assert.match(check(good.replace(/Via[^\n]*\n/, '')) ?? '', 'Via');
});

test('S42: a NUL outside of a quoted pair is refused, wherever it stands in the head', () => {
  for (const line of ['Subject: a\0b', 'X: \0', 'X: "a\0b"', 'X: a\\\0', 'X: "a\\\\\0"', 'X: a\r\n b\0c'])
    assert.is(check(request(`${line}\r\n`)), 400, JSON.stringify(line));
  assert.is(check(request('Subject: "a\\\0b"\r\n')), undefined, 'a quoted pair');
  const seen = parseMessage(Buffer.from(request('X: \0\r\n')));
  if (!seen.ok || seen.message.kind !== 'request') throw new Error('no request');
  assert.equal(
    [...seen.message.headerNames()].length,
    6,
    'found by fuzzing: a listener asked for the names before',
  );
  assert.is(checkRequest(seen.message)?.status, 400);
  assert.is(check(request('Content-Length: 1\r\n', '\0')), undefined, 'the body');
});

test('RFC 4475 §3.1.2.11: a Request-URI has no headers', () => {
  const at = (uri: string) => check(request('').replace('OPTIONS sip:bob@example.com', `OPTIONS ${uri}`));
  assert.is(at('sip:user@example.com?Route=%3Csip:example.com%3E'), 400);
  assert.is(at('SIPS:user@example.com?a=b'), 400);
  assert.is(at('http://example.com/?a=b'), undefined, 'other schemes have a query');
  assert.is(at('http://example.com/#a'), 400);
  assert.is(at('tel:*31#;phone-context=+49'), undefined, 'RFC 3966 §3');
});

test('RFC 4475 §3.1.2.18: CSeq of another method: 400, and 501 for a method that nobody has heard of', () => {
  const result = parseMessage(Buffer.from(withLine('CSeq', 'CSeq: 8 INVITE')));
  if (!result.ok || result.message.kind !== 'request') throw new Error('no request');
  assert.is(checkRequest(result.message)?.status, 400);
  assert.is(checkRequest(result.message, () => true)?.status, 400);
  assert.is(checkRequest(result.message, () => false)?.status, 501);
});

test('RFC 3261 §8.2.2: a Via below the top one is not needed, and is let pass as it is', () => {
  const below = 'Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nVia: ;;nonsense';
  assert.is(check(withLine('Via', below)), undefined);
  assert.is(check(withLine('Via', 'Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1, ;;nonsense')), undefined);
});
