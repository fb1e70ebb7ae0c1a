import fc from 'fast-check';
import * as assert from 'uvu/assert';
import { checkRequest, checkResponse } from '../../../src/tiny-sip/message/check.ts';
import { createRequest, createResponse } from '../../../src/tiny-sip/message/create.ts';
import type { SipMessage } from '../../../src/tiny-sip/message/message.ts';
import {
  addressByPattern,
  addressesByPattern,
  formatNameAddr,
  parseNameAddr,
} from '../../../src/tiny-sip/message/name-addr.ts';
import { parseMessage } from '../../../src/tiny-sip/message/parse.ts';
import { serialise } from '../../../src/tiny-sip/message/serialise.ts';
import { formatUri, parseUri } from '../../../src/tiny-sip/message/uri.ts';
import { aorOf, equalUri } from '../../../src/tiny-sip/message/uri-compare.ts';
import {
  callIdByPattern,
  cseqByPattern,
  eventByPattern,
  numberByPattern,
  typeByPattern,
} from '../../../src/tiny-sip/message/values.ts';
import { viaByPattern } from '../../../src/tiny-sip/message/via.ts';
import { suite } from '../../support/harness.ts';
import { assertLinear } from '../linear.ts';
import { PUBLISH, request, TORTUOUS } from './messages.ts';
import { told, toldAddress, toldType, toldVia } from './told.ts';

const test = suite('property', { timeout: 30_000 });
const SEED = { seed: 20_261_103 };

const token = fc.stringMatching(/^[A-Za-z0-9\-.!%*_+`'~]{1,12}$/);
const text = fc
  .string({ unit: 'grapheme', maxLength: 20 })
  .map((value) => value.replace(/[\0\r\n]/g, '').trim());
const quoted = text.map(
  (value) => `"${value.replace(/["\\]/g, '\\$&').replace(/[\0-\x08\x0a-\x1f\x7f]/g, '')}"`,
);
const host = fc.oneof(
  fc.stringMatching(/^[a-z][a-z0-9-]{0,8}(\.[a-z]{2,5})?$/),
  fc.constant('[2001:db8::1]'),
  fc.ipV4(),
);
const user = fc.stringMatching(/^([A-Za-z0-9\-_.!~*'()&=+$,;?/]|%[0-9A-F]{2}){1,10}$/);
const params = fc
  .uniqueArray(fc.tuple(token, fc.oneof(fc.constant(''), token, quoted)), {
    maxLength: 3,
    selector: ([name]) => name.toLowerCase(),
  })
  .map((pairs) => pairs.map(([name, value]) => (value === '' ? `;${name}` : `;${name}=${value}`)).join(''));
const uri = fc
  .tuple(user, host, fc.option(fc.integer({ min: 1, max: 65_535 })))
  .map(([u, h, p]) => `sip:${u}@${h}${p === null ? '' : `:${p}`}`);
const address = fc
  .tuple(fc.oneof(fc.constant(''), quoted), uri, params)
  .map(([display, target, rest]) => `${display}<${target}>${rest}`);
const via = fc.tuple(host, token).map(([h, branch]) => `SIP/2.0/UDP ${h};branch=z9hG4bK${branch};rport`);

const message = fc
  .record({
    method: token,
    uri,
    vias: fc.array(via, { minLength: 1, maxLength: 3 }),
    from: address,
    to: address,
    callId: fc.stringMatching(/^[A-Za-z0-9\-.!%*_+`'~()<>:\\"/[\]?{}]{1,20}(@[A-Za-z0-9.]{1,10})?$/),
    number: fc.nat(),
    contacts: fc.array(address, { maxLength: 3 }),
    others: fc.array(
      fc.tuple(
        token.filter((name) => !/^(l|content-length)$/i.test(name)),
        text,
      ),
      { maxLength: 4 },
    ),
    body: fc.uint8Array({ maxLength: 60 }),
    status: fc.integer({ min: 99, max: 699 }),
  })
  .map((given): SipMessage => {
    const made = createRequest({
      method: given.method,
      uri: given.uri,
      headers: {
        From: given.from,
        To: given.to,
        'Call-ID': given.callId,
        CSeq: `${given.number} ${given.method}`,
      },
      body: Buffer.from(given.body),
    });
    for (const line of given.vias) made.add('Via', line);
    for (const line of given.contacts) made.add('Contact', line);
    for (const [name, value] of given.others) made.add(name, value);
    return given.status < 100 ? made : createResponse(made, given.status, { body: made.body });
  });

function lines(of: SipMessage): unknown {
  return [...of.headerNames()]
    .filter((name) => name !== 'Content-Length')
    .map((name) => [name, of.lines(name)]);
}

test('parse(serialise(m)) = m, with long names and with short ones', () => {
  fc.assert(
    fc.property(message, fc.boolean(), (made, compact) => {
      const bytes = serialise(made, { compact });
      const read = parseMessage(bytes);
      if (!read.ok) throw new Error(`${read.code}\n${bytes.toString('latin1')}`);
      assert.is(read.length, bytes.length);
      assert.is(read.message.kind, made.kind);
      if (read.message.kind === 'request' && made.kind === 'request') {
        assert.is(read.message.method, made.method);
        assert.is(read.message.uri, made.uri);
      }
      if (read.message.kind === 'response' && made.kind === 'response') {
        assert.is(read.message.status, made.status);
        assert.is(read.message.reason, made.reason);
      }
      assert.equal(lines(read.message), lines(made));
      assert.ok(read.message.body.equals(made.body));
      assert.ok(serialise(read.message, { compact }).equals(bytes), 'and written again it is the same');
    }),
    { ...SEED, numRuns: 400 },
  );
});

/** Reads everything that can be asked of a message; a SipSyntaxError is an answer, anything else is not. */
function askAll(of: SipMessage): void {
  const asks: (() => unknown)[] = [
    () => of.topVia?.branch,
    () => of.vias.map((one) => [one.received, one.rport, one.sentBy, one.params]),
    () => of.from?.display,
    () => of.from?.params,
    () => of.fromTag,
    () => of.toTag,
    () => of.callId,
    () => of.cseq,
    () => of.contacts !== '*' && of.contacts.map((one) => [one.display, one.params, one.tag]),
    () => of.expires,
    () => of.event?.params,
    () => of.contentType,
    () => of.contentLength,
    () => of.maxForwards,
    () => of.routes,
    () => of.recordRoutes,
    () => of.text(),
    () =>
      of.kind === 'request'
        ? [checkRequest(of), parseUri(of.uri), aorOf(of.uri)]
        : [checkResponse(of), of.reason],
    () => [...of.headerNames()].map((name) => [of.get(name), of.all(name), of.lines(name), of.has(name)]),
  ];
  for (const ask of asks) {
    try {
      ask();
    } catch (error) {
      if (!(error instanceof Error) || error.name !== 'SipSyntaxError') throw error;
    }
  }
}

/** Writes what was read; undefined where that may not be written, which nothing but a NUL in the head can bring about. */
function written(of: SipMessage, read: Buffer): Buffer | undefined {
  try {
    return serialise(of);
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'SipSyntaxError') throw error;
    assert.match(error.message, 'NUL');
    const head = read.indexOf('\r\n\r\n');
    assert.ok(read.subarray(0, head < 0 ? read.length : head).includes(0));
    return undefined;
  }
}

function readAndAsk(bytes: Buffer): void {
  const result = parseMessage(bytes);
  assert.ok(result.length <= bytes.length);
  if (result.ok) {
    askAll(result.message);
    const wire = written(result.message, bytes);
    if (wire === undefined) return;
    const again = parseMessage(wire);
    assert.ok(again.ok, 'what was read can be written and read again');
    if (again.ok) assert.equal(lines(again.message), lines(result.message));
  } else if (result.partial !== undefined) {
    askAll(result.partial);
    written(createResponse(result.partial, result.status, { reason: result.reason, toTag: 'x' }), bytes);
  }
}

test('S42: no bytes throw out of the parser, whatever is asked of what it read', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => readAndAsk(Buffer.from(bytes))),
    { ...SEED, numRuns: 500 },
  );
});

test('S42: nor do messages with bytes changed, cut out, doubled or swapped', () => {
  const corpus = [
    PUBLISH,
    TORTUOUS,
    request('Subject: x\r\n'),
    'SIP/2.0 200 OK\r\nv: SIP/2.0/UDP a;branch=z9hG4bK1\r\nl: 0\r\n\r\n',
  ].map((one) => Buffer.from(one, 'latin1'));
  const byte = fc.oneof(
    fc.nat(255),
    fc.constantFrom(0, 9, 10, 13, 32, 34, 37, 44, 58, 59, 60, 61, 62, 64, 91, 92, 93),
  );
  const change = fc.record({
    at: fc.nat(2_000),
    kind: fc.constantFrom('set', 'insert', 'remove', 'double'),
    byte,
    length: fc.nat(30),
  });
  fc.assert(
    fc.property(
      fc.constantFrom(...corpus),
      fc.array(change, { minLength: 1, maxLength: 6 }),
      (original, changes) => {
        let bytes = Buffer.from(original);
        for (const { at, kind, byte: value, length } of changes) {
          const place = at % Math.max(1, bytes.length);
          if (kind === 'set') bytes[place] = value;
          else if (kind === 'insert')
            bytes = Buffer.concat([bytes.subarray(0, place), Buffer.from([value]), bytes.subarray(place)]);
          else if (kind === 'remove')
            bytes = Buffer.concat([bytes.subarray(0, place), bytes.subarray(place + length)]);
          else bytes = Buffer.concat([bytes.subarray(0, place + length), bytes.subarray(place)]);
        }
        readAndAsk(bytes);
      },
    ),
    { ...SEED, numRuns: 1_500 },
  );
});

/** Whether the patterns, which read in place of loops where these are not compiled, say the same or nothing. */
function agree(head: string, of: SipMessage): void {
  const same = (name: string, read: (text: string, at: number) => unknown, ask: () => unknown): void => {
    const found = read(head, head.indexOf(`\n${name}:`) + name.length + 2);
    if (found !== undefined && found !== -1) assert.equal(found, ask(), `${name} by its pattern`);
  };
  same(
    'Via',
    (text, at) => toldVia(viaByPattern(text, at)),
    () => toldVia(of.topVia),
  );
  same(
    'From',
    (text, at) => toldAddress(addressByPattern(text, at)),
    () => toldAddress(of.from),
  );
  same(
    'Contact',
    (text, at) => addressesByPattern(text, at)?.map(toldAddress),
    () => of.contacts !== '*' && of.contacts.map(toldAddress),
  );
  same('Call-ID', callIdByPattern, () => of.callId);
  same('CSeq', cseqByPattern, () => of.cseq);
  same('Expires', numberByPattern, () => of.expires);
  same(
    'Event',
    (text, at) => eventByPattern(text, at)?.package,
    () => of.event?.package,
  );
  same(
    'Content-Type',
    (text, at) => toldType(typeByPattern(text, at)),
    () => toldType(of.contentType),
  );
}

test('the quick readers and the careful ones say the same', () => {
  // The same lines folded at their first blank are read with care, and so are values of a message that was made.
  const values = fc.record({
    via: fc.array(via, { minLength: 1, maxLength: 2 }).map((list) => list.join(', ')),
    from: fc.oneof(address, fc.string({ unit: 'binary-ascii', maxLength: 30 })),
    contact: fc.oneof(
      fc.array(address, { minLength: 1, maxLength: 3 }).map((list) => list.join(',')),
      fc.constant('*'),
    ),
    small: fc.array(
      fc.constantFrom(
        '0',
        '7',
        '255',
        '256',
        '4294967296',
        'x',
        '1 OPTIONS',
        '9 A',
        'presence',
        'presence;id=1',
        'a/b',
        'A/b;c=d',
        '"',
        ';',
        ' ',
        'a@b',
        'a@b@c',
        '-1',
        '007',
      ),
      { minLength: 8, maxLength: 8 },
    ),
  });
  const change = fc.record({
    at: fc.nat(400),
    byte: fc.constantFrom(9, 32, 34, 37, 44, 58, 59, 60, 61, 62, 64, 91, 92, 93, 65, 98),
  });
  fc.assert(
    fc.property(values, fc.array(change, { maxLength: 3 }), (given, changes) => {
      const names = [
        'Via',
        'From',
        'To',
        'Contact',
        'Call-ID',
        'CSeq',
        'Expires',
        'Max-Forwards',
        'Event',
        'Content-Type',
      ];
      const made = [given.via, given.from, given.from, given.contact, ...given.small].map((value) => {
        let text = value.replace(/[\0-\x08\x0a-\x1f\x7f]/g, '');
        for (const { at, byte } of changes) {
          if (at < text.length) text = text.slice(0, at) + String.fromCharCode(byte) + text.slice(at + 1);
        }
        return text.trim();
      });
      const head = (fold: (value: string) => string): string =>
        `OPTIONS sip:a SIP/2.0\r\n${names.map((name, i) => `${name}: ${fold(made[i] ?? '')}\r\n`).join('')}Content-Length: 0\r\n\r\n`;
      const read = (text: string): unknown => {
        const result = parseMessage(Buffer.from(text, 'utf8'));
        return result.ok ? told(result.message) : result.code;
      };
      const quick = read(head((value) => value));
      assert.equal(read(head((value) => `\r\n ${value}`)), quick, 'folded');
      assert.equal(read(head((value) => `${value} \t `)), quick, 'with blanks behind');
      const longer = read(head((value) => `${value} more`));
      assert.equal(read(head((value) => `${value}\r\n\tmore`)), longer, 'with more on the next line');
      const lists = parseMessage(
        Buffer.from(
          head((value) => value),
          'utf8',
        ),
      );
      if (lists.ok) {
        agree(
          Buffer.from(
            head((value) => value),
            'utf8',
          ).toString('latin1'),
          lists.message,
        );
        assert.equal(told(lists.message.set('X', '1')), quick, 'as lists');
      }
    }),
    { ...SEED, numRuns: 1_500 },
  );
});

test('S42: time is linear: the worst inputs of eight times the length take about eight times as long', () => {
  const worst: Record<string, (n: number) => string> = {
    folds: (n) => request(`X: a\r\n${' b\r\n'.repeat(n / 4)}`),
    blanks: (n) => request(`X: a${' '.repeat(n)}\r\n`),
    'blank folds': (n) => request(`X: a\r\n${' \r\n'.repeat(n / 3)}`),
    commas: (n) => request(`Contact: ${','.repeat(n)}\r\n`),
    contacts: (n) => request(`Contact: ${'<sip:a@b>,'.repeat(n / 10)}<sip:a@b>\r\n`),
    'bare contacts': (n) => request(`Contact: ${'sip:a@b,'.repeat(n / 8)}sip:a@b\r\n`),
    quotes: (n) => request(`Contact: ${'"'.repeat(n)}\r\n`),
    brackets: (n) => request(`Contact: ${'<'.repeat(n)}\r\n`),
    params: (n) => request(`Contact: <sip:a@b>${';a'.repeat(n / 2)}\r\n`),
    semicolons: (n) => request(`Contact: <sip:a@b>${';'.repeat(n)}\r\n`),
    percents: (n) => request(`Contact: <sip:${'%41'.repeat(n / 3)}@b>\r\n`),
    uri: (n) => request(`Contact: <sip:a@b${';a=b'.repeat(n / 4)}>\r\n`),
    vias: (n) => request(`Via: ${'SIP/2.0/UDP a;branch=1,'.repeat(n / 23)}SIP/2.0/UDP b\r\n`),
    digits: (n) => request(`Content-Length: ${'0'.repeat(n)}\r\n`),
    backslashes: (n) => request(`Subject: "${'\\'.repeat(n)}\r\n`),
    crs: (n) => '\r'.repeat(n),
    crlfs: (n) => '\r\n'.repeat(n / 2),
    name: (n) => request(`${'n'.repeat(n)}: x\r\n`),
    start: (n) => `${'A'.repeat(n)} sip:a SIP/2.0\r\n\r\n`,
  };
  const limits = { headBytes: 4_000_000 };
  assertLinear(
    worst,
    (text) => {
      const result = parseMessage(Buffer.from(text, 'latin1'), limits);
      const of = result.ok ? result.message : result.partial;
      if (of !== undefined) askAll(of);
    },
    20_000,
  );
});

test('S42: memory is linear: what a message holds after every question is a bounded multiple of its bytes', () => {
  const size = 60_000;
  const families: Record<string, string> = {
    headers: request('X: 1\r\n'.repeat(size / 6)),
    vias: request(`Via: ${'SIP/2.0/UDP a,'.repeat(size / 14)}SIP/2.0/UDP b\r\n`),
    contacts: request(`Contact: ${'<a:b>,'.repeat(size / 6)}<a:b>\r\n`),
    params: request(`Contact: <sip:a@b>${';a'.repeat(size / 2)}\r\n`),
    'uri params': request(`Contact: <sip:a@b${';a'.repeat(size / 2)}>\r\n`),
    commas: request(`Supported: ${','.repeat(size)}\r\n`),
    folds: request(`X: a\r\n${' b\r\n'.repeat(size / 4)}`),
  };
  const { gc } = globalThis;
  assert.type(gc, 'function');
  for (const [name, text] of Object.entries(families)) {
    const held: unknown[] = [];
    const bytes = Buffer.from(text, 'latin1');
    const ask = (): void => {
      const result = parseMessage(bytes, { headers: 20_000 });
      if (!result.ok) throw new Error(`${name}: ${result.code}`);
      askAll(result.message);
      held.push(result.message);
    };
    ask();
    gc?.();
    const before = process.memoryUsage().heapUsed;
    for (let copy = 0; copy < 8; copy += 1) ask();
    gc?.();
    const each = (process.memoryUsage().heapUsed - before) / 8;
    assert.ok(
      held.length === 9 && each < bytes.length * 40,
      `${name}: ${(each / bytes.length).toFixed(1)} times`,
    );
  }
});

test('addresses and URIs: what is formatted reads back the same', () => {
  fc.assert(
    fc.property(
      text.map((value) => value.replace(/[\0-\x1f\x7f]/g, '')),
      uri,
      (display, target) => {
        const read = parseNameAddr(formatNameAddr({ display, uri: target, params: { tag: 'a' } }));
        assert.is(read.display ?? '', display);
        assert.is(read.uri, target);
        const parsed = parseUri(target);
        assert.ok(equalUri(target, formatUri(parsed)));
        assert.is(aorOf(target), aorOf(aorOf(target)));
      },
    ),
    { ...SEED, numRuns: 500 },
  );
});

test('S42: whatever is set, it is refused or it stays in its place', () => {
  const risky = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 12 }),
    fc
      .array(
        fc.constantFrom('\r', '\n', '\0', '\r\n', '\u0085', '\u2028', ' ', '\t', 'X: 1', ':', 'a', '"', '\\'),
        {
          maxLength: 6,
        },
      )
      .map((parts) => parts.join('')),
  );
  const place = fc.constantFrom('method', 'uri', 'name', 'set', 'add', 'prepend', 'list', 'reason', 'toTag');
  fc.assert(
    fc.property(place, risky, (where, value) => {
      const made = createRequest({
        method: 'MESSAGE',
        uri: 'sip:a@b',
        headers: { To: '<sip:a@b>', Via: 'x' },
      });
      let out: SipMessage = made;
      try {
        if (where === 'method') out = createRequest({ method: value, uri: 'sip:a@b' });
        else if (where === 'uri') made.uri = value;
        else if (where === 'name') made.set(value, '1');
        else if (where === 'set') made.set('Subject', value);
        else if (where === 'add') made.add('X-New', value);
        else if (where === 'prepend') made.prepend('Via', value);
        else if (where === 'list') made.set('Supported', ['a', value]);
        else if (where === 'reason') out = createResponse(made, 200, { reason: value });
        else out = createResponse(made, 200, { toTag: value });
      } catch (error) {
        if (!(error instanceof Error) || error.name !== 'SipSyntaxError') throw error;
        return;
      }
      const head = serialise(out).toString('latin1');
      // One line for each header, one for the start, Content-Length, and the empty one.
      const count = [...out.headerNames()].reduce((sum, name) => sum + out.lines(name).length, 0);
      const counted = [...out.headerNames()].some((name) => name.toLowerCase() === 'content-length') ? 1 : 0;
      assert.is(head.split('\r\n').length, count - counted + 4, JSON.stringify(value));
      assert.not.match(head.replaceAll('\r\n', ''), /[\r\n\0]/);
    }),
    { ...SEED, numRuns: 3_000 },
  );
});
