import fc from 'fast-check';
import * as assert from 'uvu/assert';
import {
  formatBindingRequest,
  formatBindingSuccess,
  formatUnknownAttributes,
  looksLikeStun,
  parseStun,
} from '../../../src/tiny-sip/transport/stun.ts';
import { createStunClient, type StunResult } from '../../../src/tiny-sip/transport/stun-client.ts';
import { createFakeClock } from '../../support/fake-clock.ts';
import { createFakeRandom } from '../../support/fake-random.ts';
import { suite } from '../../support/harness.ts';

const test = suite('stun');
const transaction = Buffer.from('b7e7a701bc34d686fa87dfae', 'hex');

// RFC 5769 §2.2 and §2.3: responses of the test vectors, without the attributes that need a password.
const v4 = Buffer.from('0101000c2112a442b7e7a701bc34d686fa87dfae002000080001a147e112a643', 'hex');
const v6 = Buffer.from(
  '010100182112a442b7e7a701bc34d686fa87dfae002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9',
  'hex',
);

test('RFC 5769: the mapped addresses of the test vectors, read and written', () => {
  assert.equal(parseStun(v4)?.mapped, { host: '192.0.2.1', port: 32853 });
  assert.equal(parseStun(v6)?.mapped, { host: '2001:db8:1234:5678:11:2233:4455:6677', port: 32853 });
  assert.equal(formatBindingSuccess(transaction, { host: '192.0.2.1', port: 32853 }), v4);
  assert.equal(
    formatBindingSuccess(transaction, { host: '2001:DB8:1234:5678:11:2233:4455:6677', port: 32853 }),
    v6,
  );
});

test('requests, errors and what must be understood', () => {
  const request = parseStun(formatBindingRequest(transaction));
  assert.is(request?.kind, 'request');
  assert.equal(request?.transaction, transaction);
  const refused = parseStun(formatUnknownAttributes(transaction, [0x0030, 0x0031, 0x0032]));
  assert.is(refused?.kind, 'error');
  assert.is(refused?.code, 420);
  // 0x0030 must be understood, 0x8022 (SOFTWARE) need not be.
  const odd = Buffer.from('000100102112a442b7e7a701bc34d686fa87dfae003000010000000080220004abcdabcd', 'hex');
  assert.equal(parseStun(odd)?.unknown, [0x30]);
});

test('what is no binding message of RFC 5389', () => {
  const bad: [string, Buffer][] = [
    ['empty', Buffer.alloc(0)],
    ['short', v4.subarray(0, 19)],
    ['another method', Buffer.from('000300002112a442b7e7a701bc34d686fa87dfae', 'hex')],
    ['another cookie', Buffer.from('000100002112a443b7e7a701bc34d686fa87dfae', 'hex')],
    ['a length that is not there', Buffer.from('0001000c2112a442b7e7a701bc34d686fa87dfae', 'hex')],
    [
      'a length that is no multiple of four',
      Buffer.from('000100022112a442b7e7a701bc34d686fa87dfae0000', 'hex'),
    ],
    ['bytes behind it', Buffer.concat([v4, Buffer.alloc(4)])],
    [
      'an attribute longer than the message',
      Buffer.from('000100042112a442b7e7a701bc34d686fa87dfae8022ffff', 'hex'),
    ],
    [
      'too long',
      Buffer.concat([Buffer.from('000105e02112a442b7e7a701bc34d686fa87dfae', 'hex'), Buffer.alloc(1504)]),
    ],
  ];
  for (const [what, bytes] of bad) assert.is(parseStun(bytes), undefined, what);
  // An address that cannot be read is none.
  for (const value of ['0020000400010050', '002000080003a147e112a643', '002000080002a147e112a643']) {
    const body = Buffer.from(value, 'hex');
    const head = Buffer.from('010100002112a442b7e7a701bc34d686fa87dfae', 'hex');
    head.writeUInt16BE(body.length, 2);
    assert.is(parseStun(Buffer.concat([head, body]))?.mapped, undefined, value);
  }
});

test('S42: no bytes throw, and each address is read as it was written', () => {
  const head = fc.constant(Buffer.from('2112a442b7e7a701bc34d686fa87dfae', 'hex'));
  const shaped = fc
    .tuple(fc.constantFrom(1, 0x11, 0x101, 0x111, 3), head, fc.uint8Array({ maxLength: 120 }))
    .map(([type, rest, body]) => {
      const first = Buffer.alloc(4);
      first.writeUInt16BE(type, 0);
      first.writeUInt16BE(body.length, 2);
      return Buffer.concat([first, rest, body]);
    });
  const any = fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes));
  fc.assert(
    fc.property(fc.oneof(any, shaped), (bytes) => {
      looksLikeStun(bytes);
      const message = parseStun(bytes);
      assert.ok(message === undefined || message.transaction.length === 12);
    }),
    { seed: 5389, numRuns: 20_000 },
  );
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), fc.integer({ min: 0, max: 65_535 }), (host, port) => {
      const written = formatBindingSuccess(transaction, { host, port });
      const mapped = parseStun(written)?.mapped;
      assert.is(mapped?.port, port);
      assert.equal(
        formatBindingSuccess(transaction, mapped ?? { host: '', port: 0 }).subarray(0, 24),
        written.subarray(0, 24),
      );
      const again = parseStun(formatBindingSuccess(transaction, mapped ?? { host: '::', port: 0 }))?.mapped;
      assert.equal(again, mapped);
    }),
    { seed: 5389, numRuns: 2_000 },
  );
});

function createClient() {
  const clock = createFakeClock();
  const sent: { at: number; bytes: Buffer }[] = [];
  const client = createStunClient({
    clock,
    random: createFakeRandom(),
    send: (_remote, bytes) => {
      sent.push({ at: clock.now(), bytes });
      return Promise.reject(new Error('lost'));
    },
  });
  return { clock, sent, client };
}

const server = { host: '192.0.2.1', port: 3478 };

test('RFC 5389 §7.2.1: requests at 0, 0.5, 1.5, 3.5, 7.5, 15.5 and 31.5 s, silence at 39.5 s', async () => {
  const { clock, sent, client } = createClient();
  const began = clock.now();
  const results: StunResult[] = [];
  client.ask(server, undefined, (result) => results.push(result));
  await clock.advance(39_499);
  assert.equal(
    sent.map(({ at }) => at - began),
    [0, 500, 1_500, 3_500, 7_500, 15_500, 31_500],
  );
  assert.ok(sent.every(({ bytes }) => bytes.equals(sent[0]?.bytes ?? Buffer.alloc(0))));
  assert.equal(results, []);
  await clock.advance(1);
  assert.equal(results, [{ kind: 'silent' }]);
  assert.is(client.size, 0);
  assert.is(clock.pending(), 0);
});

test('a shorter patience, an answer, an error, a stranger, and giving up', async () => {
  const { clock, sent, client } = createClient();
  const results: StunResult[] = [];
  const ask = (): Buffer => {
    client.ask(server, 10_000, (result) => results.push(result));
    return parseStun(sent.at(-1)?.bytes ?? Buffer.alloc(0))?.transaction ?? Buffer.alloc(0);
  };
  const answer = (bytes: Buffer, from = server): boolean => {
    const message = parseStun(bytes);
    assert.ok(message);
    return client.receive(message, from);
  };
  const mapped = { host: '198.51.100.7', port: 40_000 };
  const first = ask();
  assert.not(answer(formatBindingSuccess(first, mapped), { host: '192.0.2.66', port: 3478 }), 'a stranger');
  assert.not(answer(formatBindingSuccess(first, mapped), { host: '192.0.2.1', port: 3479 }), 'another port');
  assert.not(answer(formatBindingSuccess(transaction, mapped)), 'something that was not asked');
  assert.not(answer(formatBindingRequest(first)), 'a request');
  assert.ok(answer(formatBindingSuccess(first, mapped)));
  assert.not(answer(formatBindingSuccess(first, mapped)), 'a second time');
  assert.ok(answer(formatUnknownAttributes(ask(), [])));
  ask();
  await clock.advance(10_000);
  assert.equal(results, [
    { kind: 'mapped', address: mapped },
    { kind: 'refused', code: 420 },
    { kind: 'silent' },
  ]);
  client.ask(server, undefined, () => assert.unreachable())();
  await clock.advance(60_000);
  assert.is(clock.pending(), 0);
  assert.is(client.size, 0);
});
