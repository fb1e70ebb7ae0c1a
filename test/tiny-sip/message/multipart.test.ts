import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import * as assert from 'uvu/assert';
import { type Multipart, multipartOf, parseMultipart } from '../../../src/tiny-sip/message/multipart.ts';
import { formatMultipart, type PartInit } from '../../../src/tiny-sip/message/multipart-write.ts';
import { parseMessage } from '../../../src/tiny-sip/message/parse.ts';
import { decodeTransfer, encodeTransfer } from '../../../src/tiny-sip/message/transfer-encoding.ts';
import { suite } from '../../support/harness.ts';
import { assertLinear } from '../linear.ts';
import { readTorture } from '../torture/read.ts';
import { crlf, request } from './messages.ts';

const test = suite('multipart', { timeout: 30_000 });
const SEED = { seed: 20_261_129 };

const isSyntax = (error: Error): boolean => error.name === 'SipSyntaxError';

function read(type: string, body: string | Buffer, limits = {}): Multipart {
  return parseMultipart(type, typeof body === 'string' ? Buffer.from(body, 'latin1') : body, limits);
}

/** What a watcher of a list is after: the root, and each part that it refers to. */
function parts(of: Multipart): unknown {
  return of.parts.map((part) => [part.contentId, part.contentType.essence, part.text()]);
}

const RLMI = '<?xml version="1.0"?>\r\n<list uri="sip:l@a" version="0" fullState="true"/>';
const PIDF = '<?xml version="1.0"?>\r\n<presence entity="sip:b@a"/>';

// The shapes in which resource list servers send a NOTIFY (RFC 4662 §5.5).

test('S26: the NOTIFY of Kamailio’s list server: encoding, Content-ID and type of each part', () => {
  const of = read(
    'multipart/related;type="application/rlmi+xml";start="<1322723.sip:l@a.1>";boundary="50UBfW7LSCVLtggUPe5z"',
    crlf(`
--50UBfW7LSCVLtggUPe5z
Content-Transfer-Encoding: binary
Content-ID: <1322723.sip:l@a.1>
Content-Type: application/rlmi+xml;charset="UTF-8"

${RLMI}
--50UBfW7LSCVLtggUPe5z
Content-Transfer-Encoding: binary
Content-ID: <1322723.sip:b@a.2>
Content-Type: application/pidf+xml;charset="UTF-8"

${PIDF}
--50UBfW7LSCVLtggUPe5z--
`),
  );
  assert.is(of.root?.text(), RLMI);
  assert.is(of.root?.encoding, 'binary');
  assert.is(of.part('cid:1322723.sip:b@a.2')?.text(), PIDF);
  assert.is(of.part('<1322723.sip:b@a.2>')?.contentType.param('charset'), 'UTF-8');
  assert.equal(of.defects, []);
});

test('S26: OpenSIPS: a byte of garbage in `start`, so that it names no part; the type finds the root', () => {
  const body = crlf(`
--B
Content-ID: <2.b>
Content-Type: application/pidf+xml

${PIDF}
--B
Content-ID: <1.l>
Content-Type: application/rlmi+xml

${RLMI}
--B--`);
  const of = read('multipart/related;type="application/rlmi+xml";start="<\xe91.l>";boundary="B"', body);
  assert.is(of.root?.contentId, '1.l');
  assert.throws(
    () => read('multipart/related;start="<\x01.l>";boundary="B"', body),
    /Content-Type is malformed: a control character/,
    'a control character is no text',
  );
});

test('S26: OpenSIPS: a boundary line and part headers folded into the head of the message', () => {
  const head = request(
    crlf(`
Content-Type: multipart/related;type="application/rlmi+xml";
 start="<1.l>";boundary="B"
--B
Content-Transfer-Encoding: binary
Content-ID: <1.l>
`),
    crlf(`
${RLMI}
--B
Content-ID: <2.b>
Content-Type: application/pidf+xml

${PIDF}
--B--
`),
    'NOTIFY',
  );
  const parsed = parseMessage(Buffer.from(head));
  if (!parsed.ok) throw new Error(parsed.code);
  const of = multipartOf(parsed.message);
  // What stands before the first delimiter is no part (RFC 2046 §5.1.1), whatever it may have been meant to be.
  assert.equal(of && parts(of), [['2.b', 'application/pidf+xml', PIDF]]);
});

test('S26: Asterisk: an empty line more before the first delimiter, Content-Length in each part, no start', () => {
  const of = read(
    'multipart/related;type="application/rlmi+xml";boundary=eqquw',
    crlf(`

--eqquw
Content-ID: <ibigp@sip.example.com>
Content-Type: application/rlmi+xml
Content-Length:   ${RLMI.length}

${RLMI}
--eqquw
Content-ID: <yxcvb@sip.example.com>
Content-Type: application/pidf+xml
Content-Length:   ${PIDF.length}

${PIDF}
--eqquw--
`),
  );
  assert.is(of.root?.contentId, 'ibigp@sip.example.com');
  assert.is(of.parts[1]?.text(), PIDF);
  assert.equal(of.defects, []);
});

test('S26: a part that says another length than it has: the delimiters have the say', () => {
  const of = read('multipart/mixed;boundary=b', '--b\r\nContent-Length: 3\r\n\r\nabcdef\r\n--b--');
  assert.is(of.parts[0]?.text(), 'abcdef');
  assert.equal(of.defects, ['a part of another length than it says']);
});

test('S26: Flexisip: headers in other case, parts compressed on their own, a boundary of many hyphens', () => {
  const squeezed = Buffer.from([0x78, 0x9c, 0x0d, 0x0a, 0x2d, 0x2d, 0x00, 0xff]);
  const b = '---------------------------14737809831466499882746641449';
  const of = read(
    `multipart/related; type="application/rlmi+xml"; start="<root>"; boundary="${b}"`,
    Buffer.concat([
      Buffer.from(
        crlf(`
--${b}
content-id: <root>
content-type: application/rlmi+xml

${RLMI}
--${b}
content-id: <1>
content-encoding: deflate
content-type: application/pidf+xml

`),
      ),
      squeezed,
      Buffer.from(`\r\n--${b}--\r\n`),
    ]),
  );
  assert.is(of.root?.text(), RLMI);
  assert.is(of.part('1')?.get('Content-Encoding'), 'deflate');
  assert.ok(of.part('1')?.content().equals(squeezed), 'byte for byte');
});

test('S26: LF alone before a delimiter, and a part without the empty line after its headers', () => {
  const of = read(
    'multipart/related;type="application/rlmi+xml";boundary="50UB"',
    '--50UB\r\nContent-ID: <a>\r\nContent-Type: application/rlmi+xml\r\n<?xml version="1.0"?>\n<list/>\n\n--50UB--',
  );
  assert.is(of.parts[0]?.text(), '<?xml version="1.0"?>\n<list/>\n');
  assert.is(of.defects.length, 2);
});

test('RFC 4475 §3.1.1.11: a part with any bytes, NUL among them', () => {
  const bytes = readTorture('rfc4475.txt').find(({ name }) => name === 'mpart01')?.bytes ?? Buffer.alloc(0);
  const parsed = parseMessage(bytes);
  if (!parsed.ok) throw new Error(parsed.code);
  const of = multipartOf(parsed.message);
  assert.is(of?.subtype, 'mixed');
  assert.is(of?.parts[0]?.text(), 'Hello');
  assert.is(of?.parts[1]?.contentType.essence, 'application/octet-stream');
  assert.is(of?.parts[1]?.content().length, 342);
  assert.ok(of?.parts[1]?.content().includes(0));
});

test('preamble, epilogue, padding, empty parts, parts without headers', () => {
  const of = read(
    'multipart/mixed; boundary="simple boundary"',
    'preamble --simple boundary\r\n--simple boundary \t \r\n\r\nno headers\r\n\r\n--simple boundary\r\n--simple boundary\r\n\r\n\r\n--simple boundaryX\r\n--simple boundary--  \r\nepilogue\r\n--simple boundary\r\n',
  );
  assert.equal(
    of.parts.map((part) => part.raw.toString()),
    ['no headers\r\n', '', '\r\n--simple boundaryX'],
  );
  assert.is(of.parts[0]?.contentType.essence, 'text/plain');
  assert.is(of.parts[0]?.contentId, undefined);
  assert.is(
    read('multipart/digest;boundary=b', '--b\r\n\r\nx\r\n--b--').parts[0]?.contentType.essence,
    'message/rfc822',
  );
});

test('alternative: the last that one understands is the best', () => {
  const { contentType, body } = formatMultipart({
    subtype: 'alternative',
    parts: [
      { contentType: 'text/plain', content: 'plain' },
      { contentType: 'text/html', content: '<p>' },
      { contentType: 'application/x-rich', content: 'rich' },
    ],
  });
  const of = read(contentType, body);
  assert.is(of.best(['text/plain', 'TEXT/html'])?.text(), '<p>');
  assert.is(of.best(['text/plain'])?.text(), 'plain');
  assert.is(of.best(['image/png']), undefined);
  assert.is(multipartOf({ contentType: undefined, body }), undefined);
});

test('related is written with type and start; disposition and further headers come along', () => {
  const { contentType, body } = formatMultipart({
    subtype: 'related',
    boundary: 'a b:c',
    parts: [
      { contentType: 'application/rlmi+xml;charset=UTF-8', content: RLMI, contentId: 'r@x' },
      {
        contentType: 'text/plain',
        content: 'Tür',
        contentId: '<t@x>',
        encoding: 'quoted-printable',
        disposition: 'render;handling=optional',
        headers: { 'Content-Language': 'de', 'X-Two': ['a', 'b'], 'X-None': undefined },
      },
    ],
  });
  assert.is(contentType, 'multipart/related;type="application/rlmi+xml";start="<r@x>";boundary="a b:c"');
  assert.is(
    body.toString(),
    `${crlf(`
--a b:c
Content-Type: application/rlmi+xml;charset=UTF-8
Content-Transfer-Encoding: binary
Content-ID: <r@x>

${RLMI}
--a b:c
Content-Type: text/plain
Content-Transfer-Encoding: quoted-printable
Content-ID: <t@x>
Content-Disposition: render;handling=optional
Content-Language: de
X-Two: a
X-Two: b

T=C3=BCr
--a b:c--
`)}`,
  );
  const of = read(contentType, body);
  assert.is(of.root?.contentId, 'r@x');
  assert.is(of.part('t@x')?.text(), 'Tür');
  assert.is(of.part('t@x')?.disposition?.param('handling'), 'optional');
  assert.equal(of.defects, []);
});

test('multiparts in each other', () => {
  const inner = formatMultipart({
    subtype: 'alternative',
    parts: [{ contentType: 'text/plain', content: 'deep' }],
  });
  const outer = formatMultipart({
    subtype: 'mixed',
    parts: [
      { contentType: inner.contentType, content: inner.body },
      { contentType: 'text/plain', content: 'shallow' },
    ],
  });
  const of = read(outer.contentType, outer.body);
  assert.is(of.parts[0]?.multipart()?.parts[0]?.text(), 'deep');
  assert.is(of.parts[1]?.multipart(), undefined);
  const shallow = read(outer.contentType, outer.body, { depth: 1 });
  assert.throws(() => shallow.parts[0]?.multipart(), /multiparts in each other/);
  const few = read(outer.contentType, outer.body, { parts: 2 });
  assert.throws(() => few.parts[0]?.multipart(), /more than 2 parts/, 'parts count in all');
});

test('what is no multipart, and says why', () => {
  for (const [type, body, why] of [
    ['text/plain', '', /no multipart/],
    ['multipart/mixed', '--b--', /without boundary/],
    ['multipart/mixed;boundary=""', '----', /without boundary/],
    [`multipart/mixed;boundary=${'b'.repeat(71)}`, '', /too long/],
    ['multipart/mixed;boundary="b "', '', /boundary is none/],
    ['multipart/mixed;boundary="b\xe9"', '', /boundary is none/],
    ['multipart/mixed;boundary=b', '', /does not occur/],
    ['multipart/mixed;boundary=b', 'x--b--', /does not occur/],
    ['multipart/mixed;boundary=b', '--bb\r\n\r\n--bb--', /does not occur/],
    ['multipart/mixed;boundary=b', '--b\r\n\r\nx\r\n', /last delimiter is missing/],
    ['multipart/mixed;boundary=b', `--b\r\nX: ${'x'.repeat(9_000)}\r\n\r\n\r\n--b--`, /too long/],
    ['multipart/mixed;boundary=b', `--b\r\n${'X: 1\r\n'.repeat(33)}\r\n\r\n--b--`, /too many headers/],
    ['multipart/mixed;boundary=b', `${'--b\r\n\r\n\r\n'.repeat(4_097)}--b--`, /more than 4096 parts/],
  ] as const)
    assert.throws(
      () => read(type, body),
      (error: Error) => isSyntax(error) && why.test(error.message),
      why.source,
    );
  assert.is(read('multipart/mixed;boundary=b', '--b--').parts.length, 0);
  assert.is(read('multipart/mixed;boundary=b', '--b--').root, undefined);
});

test('S42: what may not be written is not', () => {
  const part: PartInit = { contentType: 'text/plain', content: 'x' };
  for (const init of [
    { subtype: 'mixed', parts: [] },
    { subtype: 'mi xed', parts: [part] },
    { subtype: 'mixed', parts: [part], boundary: 'b ' },
    { subtype: 'mixed', parts: [part], boundary: '' },
    { subtype: 'mixed', parts: [part], boundary: 'b\r\n' },
    { subtype: 'mixed', parts: [part], boundary: 'b'.repeat(71) },
    { subtype: 'mixed', parts: [{ ...part, content: 'a--b' }], boundary: 'b' },
    { subtype: 'mixed', parts: [{ ...part, contentType: 'text/plain\r\nX: 1' }] },
    { subtype: 'mixed', parts: [{ ...part, contentType: 'text' }] },
    { subtype: 'mixed', parts: [{ ...part, contentId: 'a>\r\nX: 1' }] },
    { subtype: 'mixed', parts: [{ ...part, contentId: 'a>b' }] },
    { subtype: 'mixed', parts: [{ ...part, disposition: 'a\nb' }] },
    { subtype: 'mixed', parts: [{ ...part, headers: { 'X Y': '1' } }] },
    { subtype: 'mixed', parts: [{ ...part, headers: { X: 'a\0' } }] },
    { subtype: 'mixed', parts: [{ ...part, encoding: '7bit', content: 'ü' }] },
    { subtype: 'mixed', parts: [{ ...part, encoding: '8bit', content: '\0' }] },
  ] as const)
    assert.throws(() => formatMultipart(init), isSyntax, JSON.stringify(init));
});

test('base64 and quoted-printable, as they should be and as they come', () => {
  const decode = (encoding: string, text: string): string =>
    decodeTransfer(encoding, Buffer.from(text, 'latin1')).toString('latin1');
  assert.is(decode('BASE64', 'aGFs\r\nbG8=\r\n'), 'hallo');
  assert.is(decode('base64', 'aGFsbG8'), 'hallo', 'without padding');
  for (const bad of ['a', 'aGF*', 'aG=', '====', 'aGFsbG8=aGFs'])
    assert.throws(() => decode('base64', bad), isSyntax, bad);
  assert.is(decode('quoted-printable', 'a=3D=\r\nb  \r\nc\t\nd =  \r\ne='), 'a=b\r\nc\nd e');
  assert.is(decode('quoted-printable', '=c3=BC'), '\xc3\xbc');
  for (const bad of ['=', '=4', '=zz', 'a= b'].slice(1))
    assert.throws(() => decode('quoted-printable', bad), isSyntax, bad);
  assert.is(decode('8bit', 'x'), 'x');
  assert.throws(
    () => decode('x-uuencode', ''),
    (error: Error & { status?: number }) => error.status === 415,
  );
  const long = encodeTransfer('base64', Buffer.alloc(300)).toString();
  assert.ok(long.split('\r\n').every((line) => line.length <= 76));
});

const bytes = fc
  .array(
    fc.oneof(
      fc.uint8Array({ maxLength: 30 }).map((one) => Buffer.from(one)),
      fc
        .constantFrom('\r\n', '\n', '\r', '--', '--b', '=', ' \r\n', '\t', 'a'.repeat(90), '\0')
        .map((one) => Buffer.from(one)),
    ),
    { maxLength: 8 },
  )
  .map((pieces) => Buffer.concat(pieces));

test('parse(format(m)) = m, for any bytes and every encoding', () => {
  const part = fc.record({
    content: bytes,
    contentType: fc.constantFrom('text/plain', 'application/x;a="b;c"'),
    contentId: fc.option(fc.stringMatching(/^[a-z0-9@.]{1,12}$/), { nil: undefined }),
    encoding: fc.constantFrom('binary', 'base64', 'quoted-printable'),
  });
  fc.assert(
    fc.property(
      fc.constantFrom('mixed', 'related', 'alternative'),
      fc.array(part, { minLength: 1, maxLength: 4 }),
      (subtype, given) => {
        const { contentType, body } = formatMultipart({ subtype, parts: given as readonly PartInit[] });
        const of = read(contentType, body);
        assert.equal(of.defects, []);
        assert.is(of.parts.length, given.length);
        assert.is(
          of.root,
          of.subtype === 'related' && given[0]?.contentId ? of.part(given[0].contentId) : of.parts[0],
        );
        for (const [i, one] of given.entries()) {
          assert.ok(of.parts[i]?.content().equals(one.content), one.encoding);
          assert.is(of.parts[i]?.contentId, one.contentId);
          assert.is(of.parts[i]?.get('content-type'), one.contentType);
        }
      },
    ),
    { ...SEED, numRuns: 800 },
  );
});

test('S42: no bytes throw anything but a SipSyntaxError', () => {
  const pieces = fc.array(
    fc.oneof(
      fc.constantFrom(
        '--b',
        '--b--',
        '\r\n',
        '\n',
        ' ',
        'Content-Type: multipart/mixed;boundary=b',
        ':',
        'X: 1',
        '\0',
      ),
      fc.string({ maxLength: 10 }),
    ),
    { maxLength: 30 },
  );
  const ask = (of: Multipart, depth: number): void => {
    for (const one of of.parts) {
      for (const what of [
        () => one.contentType,
        () => one.content(),
        () => one.text(),
        () => one.disposition,
      ]) {
        try {
          what();
        } catch (error) {
          assert.ok(error instanceof Error && isSyntax(error), String(error));
        }
      }
      try {
        const inner = one.multipart();
        if (inner !== undefined && depth < 10) ask(inner, depth + 1);
      } catch (error) {
        assert.ok(error instanceof Error && isSyntax(error), String(error));
      }
    }
    void of.root;
    of.best(['text/plain']);
  };
  fc.assert(
    fc.property(pieces, (given) => {
      try {
        ask(read('multipart/mixed;boundary=b;start=x', given.join('')), 0);
      } catch (error) {
        if (!(error instanceof Error && isSyntax(error))) throw error;
      }
    }),
    { ...SEED, numRuns: 3_000 },
  );
});

test('S42: time is linear: bodies of eight times the length take about eight times as long', () => {
  const worst: Record<string, (n: number) => string> = {
    hyphens: (n) => `--${'-'.repeat(n)}`,
    'almost delimiters': (n) => `--b\r\n\r\n${'\n--bX'.repeat(n / 5)}\r\n--b--`,
    'padded almost delimiters': (n) => `--b\r\n\r\n${`\n--b${' '.repeat(40)}X`.repeat(n / 45)}\r\n--b--`,
    'in the line': (n) => `--b\r\n\r\n${'--b'.repeat(n / 3)}\r\n--b--`,
    parts: (n) => `${'--b\r\n\r\n\r\n'.repeat(n / 9)}--b--`,
    headers: (n) => `${`--b\r\n${'X: 1\r\n'.repeat(30)}\r\n\r\n`.repeat(n / 190)}--b--`,
    folds: (n) => `${`--b\r\nX: 1\r\n${' f\r\n'.repeat(1_000)}\r\n\r\n`.repeat(n / 4_015)}--b--`,
    'quoted-printable': (n) =>
      `--b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n${'= \t'.repeat(n / 3)}\r\n--b--`,
    blanks: (n) => `--b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n${' '.repeat(n)}\r\n--b--`,
    base64: (n) => `--b\r\nContent-Transfer-Encoding: base64\r\n\r\n${' A\r\n'.repeat(n / 4)}\r\n--b--`,
  };
  assertLinear(
    worst,
    (body) => {
      const buffer = Buffer.from(body);
      for (const type of ['multipart/mixed;boundary=b', `multipart/mixed;boundary="${'-'.repeat(60)}"`]) {
        try {
          for (const one of read(type, buffer, { parts: 1e9 }).parts) one.content();
        } catch (error) {
          if (!(error instanceof Error && isSyntax(error))) throw error;
        }
      }
    },
    50_000,
  );
});

test.needs(
  ['python3'],
  'what is written is read by a MIME parser that is not ours, and the other way round',
  () => {
    const given = {
      subtype: 'related',
      parts: [
        { contentType: 'application/rlmi+xml', content: RLMI, contentId: 'r@x' },
        { contentType: 'text/plain;charset=utf-8', content: 'Tür = auf \r\n', encoding: 'quoted-printable' },
        {
          contentType: 'application/octet-stream',
          content: Buffer.from([0, 13, 10, 45, 45, 255]),
          encoding: 'base64',
        },
      ],
    } as const;
    const { contentType, body } = formatMultipart(given);
    const script = `
import sys, email, email.policy, base64, json
from email.message import EmailMessage
raw = sys.stdin.buffer.read()
m = email.message_from_bytes(raw, policy=email.policy.HTTP)
out = {"parts": [[p.get_content_type(), p["Content-ID"], base64.b64encode(p.get_payload(decode=True)).decode()] for p in m.iter_parts()],
       "defects": len(m.defects)}
n = EmailMessage(policy=email.policy.SMTP)
n.set_content("T\\u00fcr\\r\\n", cte="quoted-printable")
n.add_attachment(b"\\x00\\xff--", maintype="application", subtype="octet-stream", cid="<a@b>")
n.set_boundary("from-python")
out["made"] = base64.b64encode(n.as_bytes()).decode()
print(json.dumps(out))
`;
    const input = Buffer.concat([Buffer.from(`Content-Type: ${contentType}\r\n\r\n`), body]);
    const run = spawnSync('python3', ['-c', script], { input });
    assert.is(run.status, 0, run.stderr.toString());
    const told = JSON.parse(run.stdout.toString()) as {
      parts: [string, string | null, string][];
      defects: number;
      made: string;
    };
    assert.is(told.defects, 0);
    assert.equal(
      told.parts.map(([type, id, content]) => [type, id, Buffer.from(content, 'base64').toString('latin1')]),
      given.parts.map((part) => [
        part.contentType.replace(/;.*/, ''),
        'contentId' in part ? `<${part.contentId}>` : null,
        Buffer.from(part.content as string).toString('latin1'),
      ]),
    );
    const made = Buffer.from(told.made, 'base64');
    const of = read('multipart/mixed;boundary="from-python"', made.subarray(made.indexOf('\r\n\r\n') + 4));
    assert.equal(
      of.parts.map((part) => part.content().toString('latin1')),
      ['T\xc3\xbcr\r\n', '\0\xff--'],
    );
    assert.is(of.part('a@b')?.disposition?.value, 'attachment');
  },
);
