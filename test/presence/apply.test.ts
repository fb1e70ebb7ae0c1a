import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import * as assert from 'uvu/assert';
import { isCoded } from '../../src/base/errors.ts';
import { applyPresence, patchErrorBody } from '../../src/presence/apply.ts';
import { PIDF_DIFF_TYPE, PIDF_TYPE } from '../../src/presence/namespaces.ts';
import { readPresence } from '../../src/presence/read.ts';
import { canonicalXml } from '../../src/xml/compare.ts';
import { parseXml, type XmlLimits } from '../../src/xml/read.ts';
import type { XmlDocument } from '../../src/xml/tree.ts';
import { writeXml } from '../../src/xml/write.ts';
import { suite } from '../support/harness.ts';
import { XMLLINT, xmllint } from '../support/peers/xmllint.ts';

const test = suite('applying published presence', { timeout: 30_000 });

const example = (name: string): Buffer => readFileSync(join(import.meta.dirname, 'data', `${name}.xml`));
const PIDF = 'urn:ietf:params:xml:ns:pidf';
const DIFF = 'urn:ietf:params:xml:ns:pidf-diff';
const FULL = `<presence xmlns="${PIDF}" entity="sip:a@b"><tuple id="t"><status><basic>open</basic></status></tuple></presence>`;

const diff = (operations: string, more = ' entity="sip:a@b"') =>
  `<p:pidf-diff xmlns="${PIDF}" xmlns:p="${DIFF}"${more}>${operations}</p:pidf-diff>`;
const publish = (stored: XmlDocument | undefined, body: string | Buffer, contentType = PIDF_DIFF_TYPE) =>
  applyPresence(stored, { contentType, body });
const stored = () => publish(undefined, FULL, PIDF_TYPE);

function refusal(run: () => unknown): { code: string; sip: number | undefined } {
  try {
    run();
  } catch (error) {
    assert.ok(isCoded(error), String(error));
    return { code: error.code, sip: error.sip };
  }
  return { code: 'none', sip: undefined };
}

test('RFC 5262 §6: the full document, the diff, and the result', () => {
  const before = publish(undefined, example('rfc5262-s6-01-pidf-full'));
  const after = publish(before, example('rfc5262-s6-02-pidf-diff'));
  const printed = publish(undefined, example('rfc5262-s6-03-pidf-full'));
  // The printed note of the new tuple is worded otherwise than in the diff, and white space is laid out anew.
  const plain = (document: XmlDocument) =>
    canonicalXml(document, { blanks: false })
      .replace(/between the last tuple and \w+ element/, 'between')
      .replace(/\s+/g, ' ');
  assert.is(plain(after), plain(printed));
  assert.equal(
    readPresence(after).devices.map(({ id, basic }) => `${id} ${basic}`),
    ['sg89ae open', 'cg231jcr open', 'r1230d open', 'ert4773 open'],
  );
});

test('RFC 5264 §6: the messages of the example', () => {
  const before = publish(undefined, example('rfc5264-s6-01-pidf-full'));
  const after = publish(before, example('rfc5264-s6-02-pidf-diff'));
  assert.equal(
    readPresence(after).devices.map(({ id, basic }) => `${id} ${basic}`),
    ['sg89ae open', 'cg231jcr open', 'r1230d open', 'ert4773 open'],
  );
});

test('pidf-full becomes presence under any prefixes', () => {
  const root = (text: string) => publish(undefined, text).root;
  for (const text of [
    `<p:pidf-full xmlns="${PIDF}" xmlns:p="${DIFF}" entity="sip:a@b" version="3"/>`,
    `<pidf-full xmlns="${DIFF}" xmlns:q="${PIDF}" entity="sip:a@b"><q:tuple id="t"><q:status/></q:tuple></pidf-full>`,
    `<pidf-full xmlns="${DIFF}" entity="sip:a@b"/>`,
    `<pidf-full xmlns="${DIFF}" xmlns:p="urn:taken" entity="sip:a@b"/>`,
  ]) {
    const { ns, local, attributes } = root(text);
    assert.equal([ns, local, attributes.length], [PIDF, 'presence', 1], text);
    assert.is(parseXml(writeXml(root(text))).root.ns, PIDF);
  }
});

test('selectors may call the root presence or pidf-full', () => {
  for (const name of ['presence', 'p:pidf-full', '*']) {
    const after = publish(
      stored(),
      diff(`<p:replace sel="${name}/tuple/status/basic/text()">closed</p:replace>`),
    );
    assert.is(readPresence(after).devices[0]?.basic, 'closed');
  }
});

test('RFC 5262 §3: id() knows the ids of the presence schemas', () => {
  const after = publish(stored(), diff(`<p:replace sel="id('t')/status/basic/text()">closed</p:replace>`));
  assert.is(readPresence(after).devices[0]?.basic, 'closed');
});

test('elements that nobody here knows are kept and can be patched', () => {
  const body = FULL.replace(
    '</presence>',
    '<x:thing xmlns:x="urn:x" a="1"><x:y>old</x:y></x:thing></presence>',
  );
  const before = publish(undefined, body, PIDF_TYPE);
  const after = publish(
    before,
    diff('<p:replace xmlns:z="urn:x" sel="*/z:thing/z:y/text()">new</p:replace>'),
  );
  assert.ok(writeXml(after).endsWith('<x:thing xmlns:x="urn:x" a="1"><x:y>new</x:y></x:thing></presence>'));
});

test('RFC 5264 §4.3: what is refused, and how', () => {
  const cases: [string, () => unknown, string, number][] = [
    ['a diff without a base', () => publish(undefined, diff('')), 'PRES_NO_BASE', 400],
    ['another type', () => publish(undefined, FULL, 'text/plain'), 'PRES_UNSUPPORTED_TYPE', 415],
    ['presence as pidf-diff', () => publish(undefined, FULL), 'PATCH_INVALID_DIFF_FORMAT', 400],
    ['pidf-diff as presence', () => publish(stored(), diff(''), PIDF_TYPE), 'PRES_NOT_PRESENCE', 400],
    [
      'pidf-full as presence',
      () => publish(undefined, example('rfc5262-s6-01-pidf-full'), PIDF_TYPE),
      'PRES_NOT_PRESENCE',
      400,
    ],
    [
      'another entity',
      () => publish(stored(), diff('', ' entity="sip:c@d"')),
      'PATCH_INVALID_ATTRIBUTE_VALUE',
      400,
    ],
    ['no XML', () => publish(stored(), 'x'), 'PATCH_INVALID_DIFF_FORMAT', 400],
    ['no XML as PIDF', () => publish(stored(), 'x', PIDF_TYPE), 'XML_MALFORMED', 400],
    ['an entity', () => publish(stored(), diff('&x;')), 'PATCH_INVALID_ENTITY_DECLARATION', 400],
    [
      'a character set',
      () => publish(stored(), Buffer.from(diff('é'), 'latin1')),
      'PATCH_INVALID_CHARACTER_SET',
      400,
    ],
    ['a DTD', () => publish(stored(), `<!DOCTYPE x>${diff('')}`), 'PATCH_INVALID_DIFF_FORMAT', 400],
    [
      'an unlocated node',
      () => publish(stored(), diff(`<p:remove sel="*/*[@id='u']"/>`)),
      'PATCH_UNLOCATED_NODE',
      400,
    ],
    [
      'a tuple without id',
      () => publish(stored(), diff('<p:remove sel="*/tuple/@id"/>')),
      'PRES_NOT_PRESENCE',
      400,
    ],
    [
      'an id twice',
      () => publish(stored(), diff('<p:add sel="*"><tuple id="t"><status/></tuple></p:add>')),
      'PRES_NOT_PRESENCE',
      400,
    ],
    [
      'another root',
      () => publish(stored(), diff('<p:replace sel="*"><tuple id="t"/></p:replace>')),
      'PRES_NOT_PRESENCE',
      400,
    ],
    [
      'no entity',
      () => publish(undefined, `<presence xmlns="${PIDF}"/>`, PIDF_TYPE),
      'PRES_NOT_PRESENCE',
      400,
    ],
    ['too long', () => publish(stored(), diff(' '.repeat(300_000))), 'XML_TOO_LONG', 413],
    ['too deep', () => publish(stored(), diff(`<p:add sel="*">${'<a>'.repeat(40)}`)), 'XML_TOO_DEEP', 413],
  ];
  for (const [title, run, code, sip] of cases) assert.equal(refusal(run), { code, sip }, title);
});

test('a diff without an entity, or with a version, is as good', () => {
  assert.is(readPresence(publish(stored(), diff('', ''))).entity, 'sip:a@b');
  assert.is(readPresence(publish(stored(), diff('', ' entity="sip:a@b" version="99"'))).entity, 'sip:a@b');
});

test('the media type is taken in any case', () => {
  assert.is(publish(undefined, FULL, 'Application/PIDF+XML').root.local, 'presence');
});

test('many small diffs cannot make a document of any size', () => {
  const limits: Partial<XmlLimits> = { bytes: 2000, nodes: 100 };
  let document = stored();
  const outcome = refusal(() => {
    for (let n = 0; n < 200; n += 1) {
      const body = diff(`<p:add sel="*"><tuple id="u${n}"><status/></tuple></p:add>`);
      document = applyPresence(document, { contentType: PIDF_DIFF_TYPE, body, limits });
    }
  });
  assert.equal(outcome, { code: 'PRES_TOO_LARGE', sip: 413 });
  assert.ok(writeXml(document).length < 3000);
});

test('after an error the stored document is what it was', () => {
  const before = stored();
  const text = writeXml(before);
  refusal(() => publish(before, diff(`<p:add sel="*"><note>x</note></p:add><p:remove sel="*/nothing"/>`)));
  assert.is(writeXml(before), text);
});

const bodies: string[] = [];

test('a refusal can say which operation was wrong', () => {
  const body = diff(`<p:add sel="*"><note>x</note></p:add><p:remove sel="*/nothing"/>`);
  const tell = (text: string | Buffer): string => {
    try {
      publish(stored(), text);
    } catch (error) {
      return patchErrorBody(error, text) ?? '';
    }
    return '';
  };
  const told = tell(body);
  assert.ok(told.includes('<unlocated-node phrase="'), told);
  assert.ok(told.includes(' sel="*/nothing"/>'), told);
  assert.ok(tell('x').includes('<invalid-diff-format'));
  assert.ok(tell(diff('&x;')).includes('<invalid-diff-format'), 'there is no operation to show');
  assert.ok(tell(diff('', ' entity="sip:c@d"')).includes('<invalid-diff-format'));
  assert.is(patchErrorBody(new Error('other'), body), undefined);
  bodies.push(told, tell('x'), tell(diff('&x;')), tell(Buffer.from(diff('é'), 'latin1')));
});

test.needs([XMLLINT], 'error bodies validate', async () => {
  assert.is(bodies.length, 4);
  assert.equal(await xmllint(bodies), []);
});

test('whatever is published, a document or a coded refusal comes of it', () => {
  const piece = fc.constantFrom(
    '<p:add sel="*">',
    '</p:add>',
    '<p:replace sel="*">',
    '</p:replace>',
    `<p:remove sel="*/*[@id='t']"/>`,
    '<tuple id="u">',
    '</tuple>',
    '<status/>',
    '<x/>',
    'text',
    '&amp;',
    '<p:add sel="*" type="@z">1</p:add>',
    '<p:add sel="*" type="namespace::z">urn:z</p:add>',
    '<p:remove sel="*/@entity"/>',
    '<p:replace sel="*/namespace::p">urn:x</p:replace>',
    '<p:replace sel="*/@entity">\u0085</p:replace>',
  );
  let good = 0;
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
      const { code, sip } = refusal(() => {
        const document = publish(stored(), diff(pieces.join('')));
        parseXml(writeXml(document));
        good += 1;
      });
      assert.ok(code === 'none' || sip === 400 || sip === 413, `${code} ${sip}`);
    }),
    { seed: 5264, numRuns: 3000 },
  );
  assert.ok(good > 100, String(good));
});
