import fc from 'fast-check';
import {
  acceptsType,
  answerSetup,
  attributeOf,
  connecting,
  formatSdp,
  fromWire,
  isMessageMedia,
  type MediaDescription,
  type MessageMedia,
  parseSdp,
  readMessageMedia,
  type SessionDescription,
  SipSyntaxError,
  writeMessageMedia,
} from 'tiny-sip';
import * as assert from 'uvu/assert';
import { suite } from '../../support/harness.ts';

const test = suite('tiny-sip session descriptions');

const lines = (...all: readonly string[]): string => all.map((one) => `${one}\r\n`).join('');
const head = ['v=0', 'o=- 1 1 IN IP4 10.0.0.1', 's=-', 't=0 0'] as const;

/** RFC 4975 §8.7. */
const ALICE = lines(
  'v=0',
  'o=alice 2890844526 2890844527 IN IP4 alice.example.com',
  's= -',
  'c=IN IP4 alice.example.com',
  't=0 0',
  'm=message 7394 TCP/MSRP *',
  'a=accept-types:message/cpim text/plain text/html',
  'a=path:msrp://alice.example.com:7394/2s93i93idj;tcp',
);

/** RFC 4566 §5. */
const JDOE = lines(
  'v=0',
  'o=jdoe 2890844526 2890842807 IN IP4 10.47.16.5',
  's=SDP Seminar',
  'i=A Seminar on the session description protocol',
  'u=http://www.example.com/seminars/sdp.pdf',
  'e=j.doe@example.com (Jane Doe)',
  'c=IN IP4 224.2.17.12/127',
  'b=AS:128',
  't=2873397496 2873404696',
  'r=7d 1h 0 25h',
  'a=recvonly',
  'm=audio 49170 RTP/AVP 0',
  'm=video 51372/2 RTP/AVP 99',
  'i=slides',
  'c=IN IP6 FF15::101/3',
  'c=IN IP6 FF15::102/3',
  'b=AS:64',
  'a=rtpmap:99 h263-1998/90000',
  'a=empty:',
);

function fault(text: string | Buffer, limits?: Parameters<typeof parseSdp>[1]): string {
  try {
    parseSdp(text, limits);
  } catch (error) {
    assert.instance(error, SipSyntaxError);
    return (error as SipSyntaxError).message;
  }
  return 'it was read';
}

test('the examples of RFC 4975 and RFC 4566, read and written again byte by byte', () => {
  for (const text of [ALICE, JDOE]) assert.is(formatSdp(parseSdp(text)).toString('latin1'), text);
  const jdoe = parseSdp(JDOE);
  assert.equal(jdoe.origin, {
    user: 'jdoe',
    id: '2890844526',
    version: '2890842807',
    address: '10.47.16.5',
  });
  assert.is(jdoe.media[1]?.ports, 2);
  assert.equal(jdoe.media[1]?.connection, { address: 'FF15::101/3' });
  assert.equal(jdoe.attributes, [{ name: 'recvonly' }]);
  assert.is(attributeOf(jdoe, 'recvonly'), '');
  assert.is(attributeOf(jdoe.media[1] ?? {}, 'empty'), '');
  assert.is(attributeOf(jdoe.media[0] ?? {}, 'rtpmap'), undefined);
});

test('forgiving: bare LF, no last line end, an empty last line, "s=" alone, several blanks in m=', () => {
  for (const text of [
    ALICE.replaceAll('\r\n', '\n'),
    ALICE.trimEnd(),
    `${ALICE}\r\n`,
    ALICE.replace('s= -', 's='),
    ALICE.replace('m=message 7394', 'm=message  7394'),
    Buffer.from(ALICE),
  ])
    assert.is(parseSdp(text).media[0]?.port, 7394);
});

test('UTF-8 comes back as it was, and Unicode may be written; other bytes are taken for latin1', () => {
  const bytes = Buffer.from('v=0\r\no=- 1 1 IN IP4 h\r\ns=Grüße \r\nt=0 0\r\n');
  const read = parseSdp(bytes);
  assert.is(fromWire(read.name), 'Grüße ');
  assert.equal(formatSdp(read), bytes);
  assert.equal(formatSdp({ ...read, name: 'Grüße ' }), bytes);
  const latin1 = parseSdp(Buffer.from(bytes.toString('utf8'), 'latin1'));
  assert.is(latin1.name, 'Grüße ');
  assert.equal(formatSdp(latin1), bytes);
});

test('what is wrong is told with its line', () => {
  const table: readonly (readonly [text: string, message: RegExp])[] = [
    ['', /it ends too soon/],
    ['v=0\r\n', /it ends too soon/],
    [lines('v=1', ...head.slice(1)), /line 1: the version is not 0/],
    [lines('o=- 1 1 IN IP4 h'), /line 1: "v=" has to stand here/],
    [lines('v=0', 's=-'), /line 2: "o=" has to stand here/],
    [lines('v=0', 'o=- 1 1 IN IP4', 's=-', 't=0 0'), /line 2: the origin has not six fields/],
    [lines('v=0', 'o=- x 1 IN IP4 h', 's=-', 't=0 0'), /line 2: session id and version are no numbers/],
    [lines('v=0', 'o=- 1 1 IN IP5 h', 's=-', 't=0 0'), /line 2: the network/],
    [lines('v=0', 'o=- 1 1 IN IP4 h', 's=-'), /it has no time/],
    [lines('v=0', 'o=- 1 1 IN IP4 h', 's=-', 't=now'), /line 4: the time/],
    [lines(...head, 'v=0'), /line 5: a second version/],
    [lines(...head, 'o=- 1 1 IN IP4 h'), /line 5: a second origin/],
    [lines(...head, 's=x'), /line 5: a second session name/],
    [lines(...head, 'c=IN IP4 h', 'c=IN IP4 h'), /line 6: a second connection/],
    [lines(...head, 'c=IN IP4'), /line 5: the connection/],
    [lines(...head, 'm=message 1 TCP/MSRP'), /line 5: the medium has not four fields/],
    [lines(...head, 'm=message 70000 TCP/MSRP *'), /line 5: the port is none/],
    [lines(...head, 'm=message -1 TCP/MSRP *'), /line 5: the port is none/],
    [lines(...head, 'm=message 1 TCP/MSRP *', 't=0 0'), /line 6: a time inside a medium/],
    [lines(...head, 'm=message 1 TCP/MSRP *', 'u=x'), /line 6: "u=" inside a medium/],
    [lines(...head, 'a=b c:d'), /line 5: the name of the attribute/],
    [lines(...head, 'a='), /line 5: the value is empty/],
    [lines(...head, 'w=x'), /line 5: the type "w" is not known/],
    [lines(...head, 'A=x'), /line 5: it is not "type=value"/],
    [lines(...head, 'hello'), /line 5: it is not "type=value"/],
    [lines(...head, '', 'a=x'), /line 5: it is not "type=value"/],
    [`${lines(...head)}a=x\ry\r\n`, /line 5: CR or NUL inside a line/],
    [`${lines(...head)}a=x\0\r\n`, /line 5: CR or NUL inside a line/],
  ];
  for (const [text, message] of table) assert.match(fault(text), message, JSON.stringify(text));
});

test('bounds: bytes, lines, media', () => {
  assert.match(fault('v'.repeat(65_537)), /more than 65536 bytes/);
  assert.match(fault(lines(...head, ...Array(1_000).fill('a=x'))), /line 1001: more than 1000 lines/);
  assert.match(fault(lines(...head, ...Array(33).fill('m=a 1 b c'))), /line 37: more than 32 media/);
  assert.match(fault(lines(...head), { lines: 3 }), /line 4: more than 3 lines/);
});

test('S42: nothing that would break out of its line, or be read otherwise, is written', () => {
  const good = parseSdp(ALICE);
  const [medium] = good.media;
  assert.ok(medium);
  const bad: readonly (readonly [what: string, description: SessionDescription])[] = [
    ['name', { ...good, name: 'a\r\nm=audio 1 RTP/AVP 0' }],
    ['empty name', { ...good, name: '' }],
    ['attribute', { ...good, attributes: [{ name: 'x', value: 'a\nb' }] }],
    ['attribute name', { ...good, attributes: [{ name: 'x y' }] }],
    ['NUL', { ...good, attributes: [{ name: 'x', value: '\0' }] }],
    ['origin', { ...good, origin: { ...good.origin, user: 'a b' } }],
    ['id', { ...good, origin: { ...good.origin, id: 'x' } }],
    ['version', { ...good, origin: { ...good.origin, version: '-1' } }],
    ['address', { ...good, connection: { address: 'h\r\na=x' } }],
    ['other', { ...good, other: [{ type: 'm', value: 'x' }] }],
    ['two letters', { ...good, other: [{ type: 'iu', value: 'x' }] }],
    ['times', { ...good, times: [{ type: 'a', value: 'x' }] }],
    ['port', { ...good, media: [{ ...medium, port: 65_536 }] }],
    ['fraction', { ...good, media: [{ ...medium, port: 1.5 }] }],
    ['formats', { ...good, media: [{ ...medium, formats: [] }] }],
    ['format', { ...good, media: [{ ...medium, formats: ['*\r\na=x'] }] }],
    ['media', { ...good, media: [{ ...medium, media: '' }] }],
  ];
  for (const [what, description] of bad)
    assert.throws(
      () => formatSdp(description),
      (error: unknown) => error instanceof SipSyntaxError,
      what,
    );
});

const PLAIN = { noNullPrototype: true } as const;
const token = fc.stringMatching(/^[a-z][a-z0-9-]{0,8}$/);
const value = fc.stringMatching(/^[\x20-\x7e]{1,20}$/);
const address = fc.constantFrom('10.0.0.1', '2001:db8::1', 'host.example.com');
const attribute = fc.oneof(
  token.map((name) => ({ name })),
  fc.record({ name: token, value }, PLAIN),
);
const medium: fc.Arbitrary<MediaDescription> = fc.record(
  {
    media: token,
    port: fc.nat(65_535),
    ports: fc.integer({ min: 2, max: 9 }),
    protocol: fc.constantFrom('TCP/MSRP', 'RTP/AVP'),
    formats: fc.array(token, { minLength: 1, maxLength: 3 }),
    connection: fc.record({ address }, PLAIN),
    attributes: fc.array(attribute, { maxLength: 4 }),
  },
  { requiredKeys: ['media', 'port', 'protocol', 'formats', 'attributes'], ...PLAIN },
);
const description: fc.Arbitrary<SessionDescription> = fc.record(
  {
    origin: fc.record(
      {
        user: token,
        id: fc.nat().map(String),
        version: fc.nat().map(String),
        address,
      },
      PLAIN,
    ),
    name: value,
    connection: fc.option(fc.record({ address }, PLAIN), { nil: undefined }),
    times: fc.constant([{ type: 't', value: '0 0' }]),
    attributes: fc.array(attribute, { maxLength: 4 }),
    other: fc.array(fc.record({ type: fc.constantFrom('i', 'b'), value }, PLAIN), { maxLength: 1 }),
    media: fc.array(medium, { maxLength: 4 }),
  },
  PLAIN,
);

test('whatever is written is read as it was', () => {
  fc.assert(
    fc.property(description, (one) => {
      assert.equal(parseSdp(formatSdp(one)), one);
    }),
    { seed: 4566, numRuns: 500 },
  );
});

test('S42: no bytes make the reader throw anything but a syntax error, and what it takes it gives back', () => {
  const piece = fc.oneof(
    fc.constantFrom(...ALICE.split('\r\n'), ...JDOE.split('\r\n')),
    fc.string({ maxLength: 12 }),
    fc.stringMatching(/^[a-z]=[\x00-\xff]{0,10}$/),
  );
  const text = fc
    .tuple(fc.array(piece, { maxLength: 12 }), fc.constantFrom('\r\n', '\n', '\r'))
    .map(([pieces, end]) => pieces.join(end));
  let read = 0;
  fc.assert(
    fc.property(
      fc.oneof(
        text,
        text.map((rest) => ALICE + rest),
      ),
      (one) => {
        let got: SessionDescription;
        try {
          got = parseSdp(Buffer.from(one, 'latin1'));
        } catch (error) {
          assert.instance(error, SipSyntaxError);
          return;
        }
        read += 1;
        const written = formatSdp(got);
        assert.equal(formatSdp(parseSdp(written)), written);
      },
    ),
    { seed: 4567, numRuns: 2_000 },
  );
  assert.ok(read > 50, `${read} were read`);
});

test('RFC 4975 §8: m=message as data, both ways', () => {
  const [one] = parseSdp(ALICE).media;
  assert.ok(one);
  assert.is(isMessageMedia(one), true);
  assert.equal(readMessageMedia(one), {
    secure: false,
    path: ['msrp://alice.example.com:7394/2s93i93idj;tcp'],
    acceptTypes: ['message/cpim', 'text/plain', 'text/html'],
  });
  const full: MessageMedia = {
    secure: true,
    path: ['msrps://relay.example.com:2855;tcp', 'msrps://[2001:db8::1]:9000/a/b+c=;tcp'],
    acceptTypes: ['message/cpim', 'text/*'],
    acceptWrappedTypes: ['*'],
    maxSize: 4096,
    setup: 'actpass',
  };
  const written = writeMessageMedia(full);
  assert.is(written.port, 9000);
  assert.is(written.protocol, 'TCP/TLS/MSRP');
  assert.equal(written.formats, ['*']);
  assert.equal(readMessageMedia(written), full);
  assert.is(writeMessageMedia({ ...full, setup: 'active' }).port, 9, 'RFC 6135 §4.2.2');
});

test('what lacks a path, or has none that can be reached, is no message session', () => {
  const make = (attributes: MediaDescription['attributes'], protocol = 'TCP/MSRP'): MediaDescription => ({
    media: 'message',
    port: 1,
    protocol,
    formats: ['*'],
    attributes,
  });
  const types = { name: 'accept-types', value: '*' };
  const path = { name: 'path', value: 'msrp://h:1/s;tcp' };
  assert.equal(readMessageMedia(make([types, path, { name: 'setup', value: 'holdconn' }])), {
    secure: false,
    path: ['msrp://h:1/s;tcp'],
    acceptTypes: ['*'],
  });
  for (const bad of [
    make([types]),
    make([path]),
    make([types, path], 'RTP/AVP'),
    make([types, { name: 'path', value: 'msrp://h/s;tcp' }]),
    make([types, { name: 'path', value: 'msrp://h:99999/s;tcp' }]),
    make([types, { name: 'path', value: 'http://h:1/s;tcp' }]),
    make([types, { name: 'path', value: 'msrp://h:1/s' }]),
  ])
    assert.throws(
      () => readMessageMedia(bad),
      (error: unknown) => error instanceof SipSyntaxError,
    );
  assert.throws(() => writeMessageMedia({ secure: false, path: [], acceptTypes: ['*'] }));
  assert.throws(() => writeMessageMedia({ secure: false, path: ['msrp://h:1/s;tcp'], acceptTypes: [] }));
});

test('RFC 6135: who connects', () => {
  assert.is(answerSetup('actpass'), 'passive');
  assert.is(answerSetup('actpass', false), 'active');
  assert.is(answerSetup('active'), 'passive');
  assert.is(answerSetup('passive'), 'active');
  assert.is(answerSetup(undefined), 'passive');
  const answer = { secure: false, path: [], acceptTypes: [] };
  assert.is(connecting({ ...answer, setup: 'active' }), 'answerer');
  assert.is(connecting({ ...answer, setup: 'passive' }), 'offerer');
  assert.is(connecting(answer), 'offerer');
});

test('RFC 4975 §8.6: accept-types', () => {
  assert.is(acceptsType(['text/plain'], 'TEXT/plain'), true);
  assert.is(acceptsType(['text/*'], 'text/html'), true);
  assert.is(acceptsType(['*'], 'image/png'), true);
  assert.is(acceptsType(['text/plain', 'message/cpim'], 'text/html'), false);
});
