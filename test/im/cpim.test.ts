import * as fc from 'fast-check';
import * as assert from 'uvu/assert';
import { isCoded } from '../../src/base/errors.ts';
import { formatCpim, IMDN_NAMESPACE, parseCpim } from '../../src/im/cpim.ts';
import { suite } from '../support/harness.ts';

const test = suite('message/cpim');

const example = [
  'From: MR SANDERS <im:piglet@100akerwood.com>',
  'To: Depressed Donkey <im:eeyore@100akerwood.com>',
  'DateTime: 2000-12-13T13:40:00-08:00',
  'Subject: the weather will be fine today',
  "Subject: ;lang=fr beau temps prevu pour aujourd'hui",
  'NS: MyFeatures <mid:MessageFeatures@id.foo.com>',
  'MyFeatures.WackyMessageOption: Use-silly-font',
  '',
  'Content-type: text/xml; charset=utf-8',
  'Content-ID: <1234567890@foo.com>',
  '',
  '<body>',
  'Here is the text.',
  '</body>',
];

test('RFC 3862 §5.1 is read, with CRLF and with LF', () => {
  for (const end of ['\r\n', '\n']) {
    const cpim = parseCpim(Buffer.from(example.join(end)));
    assert.is(cpim.get('From'), 'MR SANDERS <im:piglet@100akerwood.com>');
    assert.is(cpim.get('from'), undefined);
    assert.is(cpim.get('WackyMessageOption', 'mid:MessageFeatures@id.foo.com'), 'Use-silly-font');
    assert.equal(
      cpim.headers.filter(({ name }) => name === 'Subject').map(({ language, value }) => [language, value]),
      [
        [undefined, 'the weather will be fine today'],
        ['fr', "beau temps prevu pour aujourd'hui"],
      ],
    );
    assert.is(cpim.contentType, 'text/xml');
    assert.is(cpim.contentHeaders.get('content-id'), '<1234567890@foo.com>');
    assert.is(cpim.content.toString(), example.slice(11).join(end));
  }
});

test('a MIME header of its own in front is passed over', () => {
  const cpim = parseCpim(Buffer.from(['Content-type: Message/CPIM', '', ...example].join('\r\n')));
  assert.is(cpim.contentType, 'text/xml');
});

test('S37: content headers without an empty line before them, as RFC 5438 prints them', () => {
  const cpim = parseCpim(
    Buffer.from(
      [
        'From: Bob <im:bob@example.com>',
        'NS: imdn <urn:ietf:params:imdn>',
        'imdn.Message-ID: d834jied93rf',
        'Content-type: message/imdn+xml',
        'Content-Disposition: notification',
        '',
        '<imdn/>',
      ].join('\r\n'),
    ),
  );
  assert.is(cpim.get('Message-ID', IMDN_NAMESPACE), 'd834jied93rf');
  assert.is(cpim.contentType, 'message/imdn+xml');
  assert.is(cpim.content.toString(), '<imdn/>');
});

test('a prefix means what it was declared as, not what it is called', () => {
  const cpim = parseCpim(
    Buffer.from(
      'imdn.Message-ID: early\r\nNS: x <urn:ietf:params:imdn>\r\nx.Message-ID: right\r\n\r\n\r\nhi',
    ),
  );
  assert.is(cpim.get('Message-ID', IMDN_NAMESPACE), 'right');
  assert.is(cpim.contentType, 'text/plain');
  assert.is(cpim.content.toString(), 'hi');
});

test('what is no cpim is told, and nothing else is thrown', () => {
  for (const text of [
    'no header here\r\n\r\n',
    ': x\r\n\r\n',
    'a b: x\r\n\r\n',
    `A: ${'x'.repeat(9_000)}\r\n`,
  ]) {
    assert.throws(
      () => parseCpim(Buffer.from(text)),
      (error: unknown) => isCoded(error) && error.code === 'IM_CPIM',
    );
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      try {
        parseCpim(Buffer.from(bytes));
      } catch (error) {
        assert.ok(isCoded(error));
      }
    }),
    { numRuns: 300 },
  );
});

test('what is written is read back', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary', maxLength: 60 }),
      fc.string({ maxLength: 60 }),
      (value, content) => {
        fc.pre(!value.startsWith(';lang='));
        const text = formatCpim({
          from: 'sip:a@b',
          to: 'sip:c@d',
          headers: { Subject: value, 'imdn.Message-ID': 'x1' },
          contentType: 'text/plain',
          content,
        });
        const cpim = parseCpim(Buffer.from(text));
        // Lone surrogates cannot be put into UTF-8.
        assert.is(cpim.get('Subject'), Buffer.from(value).toString());
        assert.is(cpim.get('Message-ID', IMDN_NAMESPACE), 'x1');
        assert.is(cpim.content.toString(), content);
      },
    ),
    { numRuns: 300 },
  );
});
