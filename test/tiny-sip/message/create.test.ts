import * as assert from 'uvu/assert';
import { createRequest, createResponse } from '../../../src/tiny-sip/message/create.ts';
import type { SipRequest } from '../../../src/tiny-sip/message/message.ts';
import { parseMessage } from '../../../src/tiny-sip/message/parse.ts';
import { serialise } from '../../../src/tiny-sip/message/serialise.ts';
import { suite } from '../../support/harness.ts';
import { crlf, PUBLISH, TORTUOUS } from './messages.ts';

const test = suite('create');

const isSyntax = (error: Error): boolean => error.name === 'SipSyntaxError';

function parse(text: string | Buffer): SipRequest {
  const result = parseMessage(Buffer.from(text));
  if (!result.ok || result.message.kind !== 'request') throw new Error('no request');
  return result.message;
}

test('a request is made and written', () => {
  const request = createRequest({
    method: 'MESSAGE',
    uri: 'sip:bob@example.com',
    headers: {
      Via: 'SIP/2.0/UDP a;branch=z9hG4bK1',
      'Max-Forwards': 70,
      from: '<sip:a@b>;tag=1',
      t: '<sip:bob@example.com>',
      Supported: ['outbound', 'path'],
      'X-None': undefined,
    },
    body: 'Tür auf',
  });
  request.set('Content-Type', 'text/plain');
  assert.is(
    serialise(request).toString('utf8'),
    crlf(`
MESSAGE sip:bob@example.com SIP/2.0
Via: SIP/2.0/UDP a;branch=z9hG4bK1
Max-Forwards: 70
From: <sip:a@b>;tag=1
To: <sip:bob@example.com>
Supported: outbound, path
Content-Type: text/plain
Content-Length: 8

Tür auf`),
  );
});

test('S37: compact names out, and every byte that can be saved', () => {
  const compact = serialise(parse(PUBLISH), { compact: true }).toString('latin1');
  assert.is(
    compact,
    crlf(`
PUBLISH sip:gateway7@example.com SIP/2.0
v:SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKnashds8;rport
Max-Forwards:70
f:"Gateway 7" <sip:gateway7@example.com>;tag=a73kszlfl
t:<sip:gateway7@example.com>
i:3848276298220188511@192.0.2.10
CSeq:4711 PUBLISH
m:<sip:gateway7@192.0.2.10:5060;transport=udp>;+sip.instance="<urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF>"
o:presence
Expires:120
SIP-If-Match:dx200xyz
c:application/pidf+xml
l:11

<presence/>`),
  );
  assert.is(parse(compact).event?.package, 'presence');
});

test('headers: set, add, prepend, remove, in any spelling', () => {
  const request = parse(PUBLISH);
  request.set('o', 'dialog');
  assert.is(request.event?.package, 'dialog');
  request.add('VIA', 'SIP/2.0/TCP b;branch=z9hG4bK2').prepend('v', 'SIP/2.0/TLS c;branch=z9hG4bK3');
  assert.equal(
    request.vias.map((via) => via.host),
    ['c', '192.0.2.10', 'b'],
  );
  assert.is(request.topVia?.host, 'c');
  assert.is(request.removeFirst('Via'), 'SIP/2.0/TLS c;branch=z9hG4bK3');
  assert.is(request.topVia?.host, '192.0.2.10');
  request.add('X-New', ['1', '2']).add('x-new', 3);
  assert.equal(request.lines('X-NEW'), ['1', '2', '3']);
  request.remove('x-nEw');
  assert.not(request.has('X-New'));
  request.prepend('X-Top', 'a');
  assert.is([...request.headerNames()][0], 'X-Top');
  request
    .set('Call-ID', 'new')
    .set('From', '<sip:x@y>;tag=9')
    .set('To', '<sip:x@y>')
    .set('CSeq', '1 PUBLISH')
    .set('m', '<sip:z@z>')
    .set('c', 'a/b');
  assert.is(request.callId, 'new');
  assert.is(request.fromTag, '9');
  assert.equal(request.cseq, { number: 1, method: 'PUBLISH' });
  assert.is(request.contacts !== '*' && request.contacts[0]?.uri, 'sip:z@z');
  assert.is(request.contentType?.essence, 'a/b');
});

test('the first of a comma list is taken off, the rest stays', () => {
  const request = createRequest({
    method: 'OPTIONS',
    uri: 'sip:a',
    headers: { Route: '<sip:a@b;lr>, "x, y" <sip:c@d;lr>' },
  });
  assert.is(request.removeFirst('route'), '<sip:a@b;lr>');
  assert.equal(request.lines('Route'), ['"x, y" <sip:c@d;lr>']);
  assert.is(request.removeFirst('route'), '"x, y" <sip:c@d;lr>');
  assert.not(request.has('Route'));
  assert.is(request.removeFirst('route'), undefined);
});

test('setting keeps the place; what was decoded before is forgotten', () => {
  const request = parse(PUBLISH);
  assert.is(request.from?.display, 'Gateway 7');
  const before = [...request.headerNames()];
  request.set('From', '"Other" <sip:o@o>;tag=2');
  assert.is(request.from?.display, 'Other');
  assert.is(request.lines('f').length, 1);
  request.add('X', ['1', '2']).set('x', '3');
  assert.equal(request.lines('X'), ['3']);
  request.remove('X');
  assert.equal([...request.headerNames()], before);
});

test('a copy is its own', () => {
  const request = parse(PUBLISH);
  const copy = request.copy();
  copy.set('Call-ID', 'other').add('X', '1');
  copy.uri = 'sip:else@example.com';
  copy.body = Buffer.from('x');
  assert.is(request.callId, '3848276298220188511@192.0.2.10');
  assert.not(request.has('X'));
  assert.is(request.uri, 'sip:gateway7@example.com');
  assert.is(request.text(), '<presence/>');
  const second = copy.copy();
  second.set('X', '2');
  assert.is(copy.get('X'), '1');
  assert.equal(serialise(request), serialise(parse(PUBLISH)));
});

test('S42: CR, LF and NUL are refused in every value, name, URI and reason', () => {
  const request = parse(PUBLISH);
  for (const evil of ['a\r\nX: 1', 'a\nb', 'a\rb', 'a\0b', '\r\n']) {
    assert.throws(() => request.set('Subject', evil), isSyntax);
    assert.throws(() => request.add('Subject', ['ok', evil]), isSyntax);
    assert.throws(() => request.prepend('Via', evil), isSyntax);
    assert.throws(() => request.set(`X${evil}`, 'x'), isSyntax);
    assert.throws(() => {
      request.uri = `sip:${evil}`;
    }, isSyntax);
    assert.throws(() => createRequest({ method: `A${evil}`, uri: 'sip:a' }), isSyntax);
    assert.throws(() => createRequest({ method: 'A', uri: 'sip:a', headers: { X: evil } }), isSyntax);
    assert.throws(() => createResponse(request, 200, { reason: evil }), isSyntax);
    assert.throws(() => createResponse(request, 200, { toTag: evil }), isSyntax);
    assert.throws(() => createResponse(request, 200, { headers: { X: evil } }), isSyntax);
  }
  for (const name of ['', 'a b', 'a:', 'ä']) assert.throws(() => request.set(name, 'x'), isSyntax, name);
  for (const uri of ['', 'sip:a b', 'sip:a\tb'])
    assert.throws(() => createRequest({ method: 'A', uri }), isSyntax, uri);
  assert.equal(serialise(request), serialise(parse(PUBLISH)), 'a refusal changes nothing');
});

test('a response copies what it must, as it came', () => {
  const request = parse(TORTUOUS);
  const response = createResponse(request, 200, { toTag: 'new', headers: { Expires: 60 }, body: 'x' });
  assert.is(response.reason, 'OK');
  assert.is(response.toTag, '1918181833n', 'a tag that is there stays');
  assert.is(response.vias.length, 3);
  assert.is(response.expires, 60);
  assert.equal([...response.headerNames()], ['Via', 'From', 'To', 'Call-ID', 'CSeq', 'Expires']);
  const tagged = createResponse(parse(PUBLISH), 404, { toTag: 't1' });
  assert.is(tagged.get('To'), '<sip:gateway7@example.com>;tag=t1');
  assert.is(tagged.reason, 'Not Found');
  assert.match(serialise(tagged).toString(), /^SIP\/2.0 404 Not Found\r\n/);
});

test('a 100 copies Timestamp; other responses do not', () => {
  const request = parse(PUBLISH).set('Timestamp', '54.21');
  assert.is(createResponse(request, 100).get('Timestamp'), '54.21');
  assert.is(createResponse(request, 200).get('Timestamp'), undefined);
});

test('a request that cannot be read is answered all the same', () => {
  const failure = parseMessage(
    Buffer.from(
      PUBLISH.replace('t:', 'x')
        .replace('To: <', 'To: "<')
        .replace('Content-Length: 11', 'Content-Length: x'),
    ),
  );
  if (failure.ok || failure.partial === undefined) throw new Error('nothing to answer');
  const bytes = serialise(
    createResponse(failure.partial, failure.status, { reason: failure.reason, toTag: 'a' }),
  );
  assert.match(bytes.toString(), /^SIP\/2.0 400 Bad Content-Length\r\nVia: SIP\/2.0\/UDP 192.0.2.10/);
  assert.match(
    bytes.toString(),
    'To: "<sip:gateway7@example.com>\r\n',
    'no tag is hung on what is no address',
  );
});

test('a To tag that is no token, found by fuzzing: the answer carries it back and nothing throws', () => {
  const request = parse(
    PUBLISH.replace('To: <sip:gateway7@example.com>', 'To: <sip:gateway7@example.com>;tag=x:y'),
  );
  const response = createResponse(request, 481, { toTag: 'x:y' });
  assert.is(response.get('To'), '<sip:gateway7@example.com>;tag=x:y');
  assert.throws(() => createResponse(parse(PUBLISH), 481, { toTag: 'x:y' }), isSyntax);
});

test('statuses that are none are refused; unknown ones get the phrase of their class', () => {
  const request = parse(PUBLISH);
  for (const status of [0, 99, 700, 200.5, Number.NaN])
    assert.throws(() => createResponse(request, status), isSyntax);
  assert.is(createResponse(request, 299).reason, 'Success');
  assert.is(createResponse(request, 499).reason, 'Client Error');
});

test('people’s text goes out as UTF-8 once, whether it was Unicode or came from a message', () => {
  const request = createRequest({ method: 'MESSAGE', uri: 'sip:a', headers: { Subject: 'Grüße 門' } });
  const read = parse(serialise(request));
  const again = createRequest({ method: 'MESSAGE', uri: 'sip:a', headers: { Subject: read.get('Subject') } });
  assert.equal(serialise(again), serialise(request));
  assert.match(serialise(request).toString('utf8'), 'Subject: Grüße 門\r\n');
  assert.is(createResponse(request, 200, { reason: 'Schön' }).reason, 'Schön');
});

test('values are trimmed, so that what is written reads the same', () => {
  const request = createRequest({ method: 'MESSAGE', uri: 'sip:a', headers: { Subject: ' \t x  y \t' } });
  assert.is(request.get('Subject'), 'x  y');
});

test('Content-Length is reckoned, whatever was set', () => {
  const request = createRequest({
    method: 'MESSAGE',
    uri: 'sip:a',
    headers: { 'Content-Length': 99 },
    body: 'abc',
  });
  const text = serialise(request).toString();
  assert.match(text, 'Content-Length: 3\r\n');
  assert.not.match(text, '99');
  request.body = Buffer.from('abcdef');
  assert.match(serialise(request).toString(), 'Content-Length: 6\r\n');
});
