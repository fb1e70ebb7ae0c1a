import * as assert from 'uvu/assert';
import { quickAnswer } from '../../../src/tiny-sip/message/answer.ts';
import { checkRequest } from '../../../src/tiny-sip/message/check.ts';
import { createResponse } from '../../../src/tiny-sip/message/create.ts';
import type { SipRequest } from '../../../src/tiny-sip/message/message.ts';
import { parseMessage } from '../../../src/tiny-sip/message/parse.ts';
import { serialise } from '../../../src/tiny-sip/message/serialise.ts';
import { stored } from '../../../src/tiny-sip/message/stored.ts';
import { corpus } from '../../bench/corpus.ts';
import { suite } from '../../support/harness.ts';
import { readTorture } from '../torture/read.ts';
import { crlf } from './messages.ts';

const test = suite('quick answer');

/** The same by the way that makes a message first. */
function longAnswer(request: SipRequest, status: number): string {
  const response = createResponse(request, status, { toTag: 'ours' });
  response.set('Server', 'one/1');
  return serialise(response).toString('latin1');
}

function quick(request: SipRequest, status: number): string | undefined {
  return quickAnswer(request, status, 'ours', 'Server: one/1\r\n')?.toString('latin1');
}

function read(bytes: Buffer): SipRequest | undefined {
  const parsed = parseMessage(bytes);
  return parsed.ok && parsed.message.kind === 'request' ? parsed.message : undefined;
}

const plain = crlf(`MESSAGE sip:bob@example.com SIP/2.0
Via: SIP/2.0/UDP 192.0.2.4:5060;branch=z9hG4bKa;rport
Via: SIP/2.0/UDP 192.0.2.5:5060;branch=z9hG4bKb
Max-Forwards: 70
From: <sip:alice@example.com>;tag=1
To: <sip:bob@example.com>
Call-ID: one
CSeq: 1 MESSAGE
Content-Length: 0

`);

test('what it makes is, byte for byte, what the long way makes', () => {
  const torture = [...readTorture('rfc4475.txt'), ...readTorture('rfc5118.txt')];
  let made = 0;
  let left = 0;
  for (const bytes of [...corpus, ...torture.map((one) => one.bytes)]) {
    const request = read(bytes);
    if (request === undefined || checkRequest(request) !== undefined) continue;
    for (const status of [200, 481, 699]) {
      const text = quick(request, status);
      if (text === undefined) left += 1;
      else {
        made += 1;
        assert.is(text, longAnswer(request, status));
      }
    }
  }
  // Of the torture messages some have to be left to the long way.
  assert.ok(made > 100 && left > 10, `${made} made, ${left} left`);
});

test('the Via that was marked is the one that goes back, and the others follow', () => {
  const request = read(Buffer.from(plain));
  assert.ok(request);
  stored(request).markVia('192.0.2.9', 5061);
  const text = quick(request, 200);
  assert.is(text, longAnswer(request, 200));
  assert.match(text ?? '', /\r\nVia: [^\r]*;received=192\.0\.2\.9;rport=5061\r\nVia: [^\r]*=z9hG4bKb\r\n/);
});

test('a To that has a tag keeps it alone', () => {
  const request = read(
    Buffer.from(plain.replace('bob@example.com>\r\nCall', 'bob@example.com>;tag=2\r\nCall')),
  );
  assert.ok(request);
  assert.is(quick(request, 200), longAnswer(request, 200));
  assert.match(quick(request, 200) ?? '', /\r\nTo: <sip:bob@example\.com>;tag=2\r\n/);
});

for (const [what, from, to] of [
  ['folded', 'Call-ID: one', 'Call-ID: \r\n one'],
  ['folded after it', 'Call-ID: one\r\n', 'Call-ID: one\r\n\t\r\n'],
  ['followed by blanks', 'Call-ID: one', 'Call-ID: one  '],
  ['after two blanks', 'Call-ID: one', 'Call-ID:  one'],
  ['after no blank', 'Call-ID: one', 'Call-ID:one'],
  ['after a tab', 'Call-ID: one', 'Call-ID:\tone'],
  ['folded in a Via below the top one', '5060;branch=z9hG4bKb', '5060\r\n ;branch=z9hG4bKb'],
  ['with a CR by itself', 'Via: SIP/2.0/UDP 192.0.2.5:5060', 'Via: x\ry'],
  ['with a NUL in a quoted pair', 'From: <', 'From: "\\\0" <'],
] as const)
  test(`a line ${what} is left to the long way`, () => {
    assert.ok(plain.includes(from));
    const request = read(Buffer.from(plain.replace(from, to), 'latin1'));
    assert.ok(request);
    assert.is(quick(request, 200), undefined);
    assert.match(longAnswer(request, 200), /^SIP\/2\.0 200 OK\r\n/);
  });

test('a request that was changed is left to the long way', () => {
  const request = read(Buffer.from(plain));
  assert.ok(request);
  request.set('Call-ID', 'two');
  assert.is(quick(request, 200), undefined);
});
