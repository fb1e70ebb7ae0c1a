import * as fc from 'fast-check';
import * as assert from 'uvu/assert';
import { isCoded } from '../../src/base/errors.ts';
import { sameXml } from '../../src/xml/compare.ts';
import { parseXml, type XmlLimits } from '../../src/xml/read.ts';
import { attributeOf, childOf, elementsOf, textOf } from '../../src/xml/tree.ts';
import { writeXml } from '../../src/xml/write.ts';
import { suite } from '../support/harness.ts';

const test = suite('xml read and write', { timeout: 30_000 });

function codeOf(input: string | Uint8Array, limits?: Partial<XmlLimits>): string {
  try {
    parseXml(input, limits);
  } catch (error) {
    assert.ok(isCoded(error), `not a coded error: ${String(error)}`);
    return error.code;
  }
  return 'none';
}

test('a document becomes a tree of namespaces, attributes and texts', () => {
  const { root, children } = parseXml(
    '<?xml version="1.0"?><!--a--><p:r xmlns:p="urn:p" xmlns="urn:d" b="1" p:b="2"><c>x<![CDATA[<y>]]>&amp;z</c> </p:r><?pi q?>',
  );
  assert.is(root.ns, 'urn:p');
  assert.is(root.local, 'r');
  assert.is(attributeOf(root, 'b'), '1');
  assert.is(attributeOf(root, 'b', 'urn:p'), '2');
  const c = childOf(root, 'urn:d', 'c');
  assert.ok(c);
  assert.is(textOf(c), 'x<y>&z');
  assert.is(c.children.length, 1, 'neighbouring texts are one');
  assert.equal(
    children.map((child) => child.kind),
    ['comment', 'element', 'instruction'],
  );
});

test('what was read is written back as it was, compactly', () => {
  const texts = [
    '<a/>',
    '<a b="1"><c/>t<!--x--><?y z?></a>',
    '<p:a xmlns:p="urn:1" p:x="&quot;&lt;&#9;&#10;"><b xmlns="urn:2"><c xmlns=""/></b></p:a>',
    '<a>&amp;&lt;&gt;&#xD;\n\u{1F600}</a>',
    '<!--1--><a/><?b?>',
  ];
  for (const text of texts) assert.is(writeXml(parseXml(text)), text);
});

test('a piece of a document carries its namespaces to where it is put', () => {
  const { root } = parseXml('<r xmlns="urn:r" xmlns:p="urn:p"><p:a q="1"><b p:x=""/></p:a></r>');
  const [piece] = elementsOf(root);
  assert.ok(piece);
  assert.is(writeXml(piece), '<p:a xmlns:p="urn:p" q="1"><b xmlns="urn:r" p:x=""/></p:a>');
  const scope = new Map([
    ['', 'urn:r'],
    ['p', 'urn:other'],
  ]);
  assert.is(writeXml(piece, scope), '<p:a xmlns:p="urn:p" q="1"><b p:x=""/></p:a>');
});

test('S11: prefixes and the order of attributes do not matter, everything else does', () => {
  const plain = parseXml('<a xmlns="urn:1" x="1" y="2"><b>t</b></a>');
  assert.ok(sameXml(plain, parseXml('<p:a y="2" x="1" xmlns:p="urn:1"><p:b>t</p:b></p:a>')));
  assert.ok(
    sameXml(plain, parseXml('<p:a y="&#50;" x="1" xmlns:p="urn:1"><b xmlns="urn:1"><![CDATA[t]]></b></p:a>')),
  );
  for (const other of [
    '<a xmlns="urn:2" x="1" y="2"><b>t</b></a>',
    '<p:a xmlns:p="urn:1" x="1" y="2"><b>t</b></p:a>',
    '<a xmlns="urn:1" x="1"><b>t</b></a>',
    '<a xmlns="urn:1" x="1" y="3"><b>t</b></a>',
    '<a xmlns="urn:1" x="1" y="2"><b>t </b></a>',
    '<a xmlns="urn:1" x="1" y="2"> <b>t</b></a>',
    '<a xmlns="urn:1" x="1" y="2"><b>t</b><b/></a>',
    '<a xmlns="urn:1" xmlns:p="urn:1" p:x="1" y="2"><b>t</b></a>',
  ]) {
    assert.not.ok(sameXml(plain, parseXml(other)), other);
  }
});

test('no DTD and no entity is ever read', () => {
  assert.is(codeOf('<!DOCTYPE a><a/>'), 'XML_DOCTYPE');
  assert.is(codeOf('<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'), 'XML_DOCTYPE');
  assert.is(codeOf('<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>'), 'XML_DOCTYPE');
  const laughs = `<!DOCTYPE l [${Array.from({ length: 20 }, (_, n) => `<!ENTITY l${n + 1} "&l${n};&l${n};">`).join('')}]>`;
  assert.is(codeOf(`${laughs}<l>&l20;</l>`), 'XML_DOCTYPE');
  assert.is(codeOf('<a>&b;</a>'), 'XML_ENTITY');
  assert.is(codeOf('<a b="&nbsp;"/>'), 'XML_ENTITY');
});

test('the bounds hold, each with its code, at their very edge', () => {
  const nested = (depth: number): string => '<a>'.repeat(depth) + '</a>'.repeat(depth);
  assert.is(codeOf(nested(32)), 'none');
  assert.is(codeOf(nested(33)), 'XML_TOO_DEEP');
  assert.is(codeOf('<a>'.repeat(100_000)), 'XML_TOO_LONG');
  assert.is(codeOf('<a>'.repeat(80_000)), 'XML_TOO_DEEP');
  const attributes = (count: number): string =>
    `<a ${Array.from({ length: count }, (_, n) => `a${n}=""`).join(' ')}/>`;
  assert.is(codeOf(attributes(32)), 'none');
  assert.is(codeOf(attributes(33)), 'XML_TOO_MANY_ATTRIBUTES');
  const declarations = Array.from({ length: 33 }, (_, n) => `xmlns:a${n}="urn:a"`).join(' ');
  assert.is(codeOf(`<a ${declarations}/>`), 'XML_TOO_MANY_ATTRIBUTES');
  assert.is(codeOf(`<a>${'<b/>'.repeat(20_000)}</a>`), 'XML_TOO_MANY_NODES');
  assert.is(codeOf(`<a>${'<!---->'.repeat(20)}</a>`, { nodes: 20 }), 'XML_TOO_MANY_NODES');
  assert.is(codeOf(`<a>${'x'.repeat(300_000)}</a>`), 'XML_TOO_LONG');
  assert.is(codeOf('<a>éé</a>', { bytes: 10 }), 'XML_TOO_LONG');
  assert.is(codeOf('<a>éé</a>', { bytes: 11 }), 'none');
});

test('UTF-8 and marked UTF-16 are read, anything else is refused', () => {
  const text = '<a>°Ж\u{1F600}</a>';
  for (const bytes of [
    Buffer.from(text),
    Buffer.from(`\uFEFF${text}`),
    Buffer.from(`\uFEFF${text}`, 'utf16le'),
    Buffer.from(`\uFEFF${text}`, 'utf16le').swap16(),
  ]) {
    assert.is(textOf(parseXml(bytes).root), '°Ж\u{1F600}');
  }
  assert.is(codeOf(Buffer.from([0x3c, 0x61, 0x3e, 0xff, 0x3c, 0x2f, 0x61, 0x3e])), 'XML_ENCODING');
  assert.is(codeOf(Buffer.from('<a>\xe9</a>', 'latin1')), 'XML_ENCODING');
  assert.is(codeOf(Buffer.from([0xff, 0xfe, 0x3c])), 'XML_ENCODING');
  assert.is(codeOf('<?xml version="1.0" encoding="ISO-8859-1"?><a/>'), 'XML_ENCODING');
  assert.is(codeOf('<a>\ud800</a>'), 'XML_ENCODING');
  assert.is(codeOf('<?xml version="1.1"?><a/>'), 'XML_MALFORMED');
});

test('what is not well-formed is refused with a code', () => {
  for (const text of [
    '',
    ' ',
    'text',
    '<a>',
    '</a>',
    '<a></b>',
    '<a/><b/>',
    '<a/>x',
    '<a b=1/>',
    '<a b="1" b="2"/>',
    '<a xmlns:p="u" xmlns:q="u" p:x="" q:x=""/>',
    '<a b="<"/>',
    '<a>&#0;</a>',
    '<a>&#xD800;</a>',
    '<a>\u0000</a>',
    '<a>]]></a>',
    '<a:b:c xmlns:a="urn:a"/>',
    '<a><!-- -- --></a>',
    '<a xmlns:p=""/>',
    '<?xml?><a/>',
  ]) {
    assert.is(codeOf(text), 'XML_MALFORMED', JSON.stringify(text));
  }
  assert.is(codeOf('<p:a/>'), 'XML_PREFIX');
  assert.is(codeOf('<a p:b=""/>'), 'XML_PREFIX');
});

test('names that objects know by themselves are names like any other', () => {
  const { root } = parseXml(
    '<__proto__ constructor="1" __proto__="2" xmlns:__proto__="urn:p"><__proto__:toString/></__proto__>',
  );
  assert.is(attributeOf(root, '__proto__'), '2');
  assert.is(attributeOf(root, 'constructor'), '1');
  assert.is(elementsOf(root)[0]?.ns, 'urn:p');
});

test('whatever comes in, only coded errors come out', () => {
  const piece = fc.constantFrom(
    ...[
      '<',
      '>',
      '/',
      '"',
      "'",
      '=',
      ' ',
      'a',
      'b:',
      'xmlns',
      'xmlns:',
      '&',
      ';',
      '#',
      'x',
      '[',
      ']',
      '!',
      '--',
    ],
    ...[
      '<a>',
      '</a>',
      '<a/>',
      '<![CDATA[',
      ']]>',
      '<!--',
      '-->',
      '<?',
      '?>',
      '<!DOCTYPE',
      '&amp;',
      '&#1;',
      '\u0000',
    ],
    ...['\ud800', '\uFEFF', '<?xml version="1.0"?>', 'é'],
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => void codeOf(pieces.join(''))),
    { seed: 20261121, numRuns: 3000 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => void codeOf(bytes)),
    { seed: 20261122, numRuns: 2000 },
  );
  const good = Buffer.from('<a xmlns="urn:a" b="c"><d:e xmlns:d="urn:d">é&amp;</d:e><!--f--></a>');
  fc.assert(
    fc.property(fc.nat(good.length - 1), fc.integer({ min: 0, max: 255 }), (at, byte) => {
      const bad = Buffer.from(good);
      bad[at] = byte;
      codeOf(bad);
      codeOf(good.subarray(0, at));
    }),
    { seed: 20261123, numRuns: 3000 },
  );
});

test('any tree survives being written and read', () => {
  const name = fc.constantFrom('a', 'b', 'Ж', '_x-1');
  const text = fc
    .string({ unit: 'binary', maxLength: 12 })
    .map((raw) => raw.replace(/[^\t\n\r\x20-\ud7ff\u{10000}-\u{10ffff}]/gu, ''));
  const tree = fc.letrec((tie) => ({
    node: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      text.map((value) => ({ kind: 'text' as const, text: value })),
      fc.record({
        kind: fc.constant('element' as const),
        local: name,
        ns: fc.constantFrom('', 'urn:1', 'urn:2'),
        prefix: fc.constantFrom('p', 'q'),
        attributes: fc.uniqueArray(fc.tuple(name, text), { selector: ([key]) => key, maxLength: 3 }),
        children: fc.array(tie('node'), { maxLength: 4 }),
      }),
    ),
  })).node;
  type Made =
    | { kind: 'text'; text: string }
    | {
        kind: 'element';
        local: string;
        ns: string;
        prefix: string;
        attributes: [string, string][];
        children: Made[];
      };
  const build = (made: Made): string => {
    if (made.kind === 'text') return writeXml({ kind: 'text', text: made.text });
    const prefix = made.ns === '' ? '' : `${made.prefix}:`;
    const declare = made.ns === '' ? '' : ` xmlns:${made.prefix}="${made.ns}"`;
    const attributes = made.attributes.map(([key, value]) =>
      writeXml({
        kind: 'element',
        prefix: '',
        local: 'x',
        ns: '',
        declarations: [],
        attributes: [{ prefix: '', local: key, ns: '', value }],
        children: [],
      }).slice(2, -2),
    );
    return `<${prefix}${made.local}${declare}${attributes.join('')}>${made.children.map(build).join('')}</${prefix}${made.local}>`;
  };
  fc.assert(
    fc.property(tree, (made) => {
      const document = parseXml(`<r>${build(made as Made)}</r>`);
      const again = parseXml(writeXml(document));
      assert.ok(sameXml(document, again, { prefixes: true }));
    }),
    { seed: 20261124, numRuns: 500 },
  );
});
