import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import * as assert from 'uvu/assert';
import { isCoded } from '../../src/base/errors.ts';
import { canonicalXml, sameXml } from '../../src/xml/compare.ts';
import { applyPatch, type PatchOptions } from '../../src/xml/patch.ts';
import { parseXml } from '../../src/xml/read.ts';
import { patchCondition, writePatchError } from '../../src/xml/report.ts';
import { parseSelector } from '../../src/xml/selector.ts';
import { writeXml } from '../../src/xml/write.ts';
import { suite } from '../support/harness.ts';
import { XMLLINT, xmllint } from '../support/peers/xmllint.ts';

const test = suite('xml patch (RFC 5261)', { timeout: 30_000 });

const DATA = join(import.meta.dirname, 'data', 'rfc5261');

/** Applies a patch; the result as text, or the name of the error condition. */
function patch(target: string, operations: string, options: PatchOptions = {}): string {
  const document = parseXml(target);
  const before = canonicalXml(document, { prefixes: true });
  const root = parseXml(operations.startsWith('<diff') ? operations : `<diff>${operations}</diff>`).root;
  try {
    return writeXml(applyPatch(document, root, options));
  } catch (error) {
    assert.ok(isCoded(error), `not a coded error: ${String(error)}`);
    return patchCondition(error) ?? error.code;
  } finally {
    assert.is(canonicalXml(document, { prefixes: true }), before, 'the document itself was changed');
  }
}

const cases = readdirSync(DATA)
  .filter((name) => name.endsWith('-1-original.xml'))
  .map((name) => name.slice(0, 4))
  .sort();

test('all 18 examples of the appendix are there', () => assert.is(cases.length, 18));

for (const name of cases) {
  test(`RFC 5261 ${name}`, () => {
    const read = (part: string) => parseXml(readFileSync(join(DATA, `${name}-${part}.xml`)));
    const patched = applyPatch(read('1-original'), read('2-patch').root);
    // A.16 prints a result without the white space before the instruction, though nothing in its patch removes that,
    // and §4.5.6 has the two texts around it combined.
    const what = { prefixes: true, blanks: name !== 'A.16' };
    assert.is(canonicalXml(patched, what), canonicalXml(read('3-result'), what));
  });
}

/** Title, document, operations, result or error condition. */
const TABLE: [string, string, string, string][] = [
  // Adding
  ['add appends', '<d><a/></d>', '<add sel="d"><b/>t</add>', '<d><a/><b/>t</d>'],
  ['add prepends', '<d><a/></d>', '<add sel="d" pos="prepend"><b/><c/></add>', '<d><b/><c/><a/></d>'],
  ['add before', '<d><a/><b/></d>', '<add sel="d/b" pos="before"><c/></add>', '<d><a/><c/><b/></d>'],
  ['add after', '<d><a/><b/></d>', '<add sel="d/a" pos="after"><c/></add>', '<d><a/><c/><b/></d>'],
  ['add nothing', '<d/>', '<add sel="d"/>', '<d/>'],
  ['add joins texts', '<d>1<a/>2</d>', '<add sel="d/a" pos="after">x<b/>y</add>', '<d>1<a/>x<b/>y2</d>'],
  ['add beside a text', '<d>1<a/>2</d>', '<add sel="d/text()[2]" pos="after">x</add>', '<d>1<a/>2x</d>'],
  ['add to a text', '<d>1</d>', '<add sel="d/text()"><b/></add>', 'invalid-patch-directive'],
  [
    'add into a comment',
    '<d><!--c--></d>',
    '<add sel="d/comment()" pos="prepend"><b/></add>',
    'invalid-patch-directive',
  ],
  ['add attribute', '<d/>', '<add sel="d" type="@a">v</add>', '<d a="v"/>'],
  ['add empty attribute', '<d/>', '<add sel="d" type="@a"/>', '<d a=""/>'],
  ['add attribute twice', '<d a="1"/>', '<add sel="d" type="@a">v</add>', 'invalid-patch-directive'],
  ['add attribute of elements', '<d/>', '<add sel="d" type="@a"><b/></add>', 'invalid-attribute-value'],
  ['add attribute to a text', '<d>t</d>', '<add sel="d/text()" type="@a">v</add>', 'invalid-patch-directive'],
  ['add xml:lang', '<d/>', '<add sel="d" type="@xml:lang">de</add>', '<d xml:lang="de"/>'],
  ['add namespace', '<d/>', '<add sel="d" type="namespace::p">urn:p</add>', '<d xmlns:p="urn:p"/>'],
  ['add namespace, empty', '<d/>', '<add sel="d" type="namespace::p"></add>', 'invalid-namespace-uri'],
  ['add namespace xml', '<d/>', '<add sel="d" type="namespace::xml">urn:p</add>', 'invalid-namespace-prefix'],
  [
    'add namespace of XML',
    '<d/>',
    '<add sel="d" type="namespace::p">http://www.w3.org/2000/xmlns/</add>',
    'invalid-namespace-uri',
  ],
  [
    'add namespace twice',
    '<d xmlns:p="urn:q"/>',
    '<add sel="d" type="namespace::p">urn:p</add>',
    'invalid-namespace-prefix',
  ],
  [
    'add namespace over one in use',
    '<d xmlns:p="urn:q"><e><p:f/></e></d>',
    '<add sel="d/e" type="namespace::p">urn:p</add>',
    'invalid-namespace-prefix',
  ],
  ['add with unknown pos', '<d/>', '<add sel="d" pos="inside"><b/></add>', 'invalid-attribute-value'],
  ['add with unknown type', '<d/>', '<add sel="d" type="a">v</add>', 'invalid-attribute-value'],
  ['add with an attribute selected', '<d a=""/>', '<add sel="d/@a">v</add>', 'invalid-attribute-value'],
  ['add default namespace', '<d/>', '<add sel="d" type="namespace::">urn:p</add>', 'invalid-attribute-value'],
  // Around the root
  ['comment before the root', '<d/>', '<add sel="d" pos="before"><!--c--></add>', '<!--c--><d/>'],
  ['instruction after the root', '<d/>', '<add sel="d" pos="after">\n<?p?></add>', '<d/><?p?>'],
  ['text before the root', '<d/>', '<add sel="d" pos="before">t</add>', 'invalid-root-element-operation'],
  ['element after the root', '<d/>', '<add sel="d" pos="after"><e/></add>', 'invalid-root-element-operation'],
  [
    'element in the prolog',
    '<!--c--><d/>',
    '<add sel="comment()" pos="after"><e/></add>',
    'invalid-root-element-operation',
  ],
  [
    'text in the prolog',
    '<!--c--><d/>',
    '<add sel="comment()" pos="after">t</add>',
    'invalid-xml-prolog-operation',
  ],
  [
    'replace in the prolog',
    '<!--c--><?p?><d/>',
    '<replace sel="processing-instruction()"><?q?></replace>',
    '<!--c--><?q?><d/>',
  ],
  ['remove in the prolog', '<!--c--><d/>', '<remove sel="comment()[1]"/>', '<d/>'],
  [
    'remove white space of the prolog',
    '<!--c-->\n<d/>',
    '<remove sel="comment()" ws="after"/>',
    'invalid-whitespace-directive',
  ],
  ['remove the root', '<d/>', '<remove sel="*"/>', 'invalid-root-element-operation'],
  ['replace the root', '<d><a/></d>', '<replace sel="d"><e><f/></e></replace>', '<e><f/></e>'],
  // Replacing
  ['replace attribute', '<d><a b="1"/></d>', '<replace sel="d/a/@b">2</replace>', '<d><a b="2"/></d>'],
  ['replace attribute by nothing', '<d b="1"/>', '<replace sel="d/@b"/>', '<d b=""/>'],
  ['replace attribute by element', '<d b="1"/>', '<replace sel="d/@b"><e/></replace>', 'invalid-node-types'],
  ['replace text', '<d>1</d>', '<replace sel="d/text()">2</replace>', '<d>2</d>'],
  ['replace text by nothing', '<d>1</d>', '<replace sel="d/text()"/>', '<d/>'],
  ['replace text by element', '<d>1</d>', '<replace sel="d/text()"><e/></replace>', 'invalid-node-types'],
  ['replace comment', '<d><!--1--></d>', '<replace sel="d/comment()"><!--2--></replace>', '<d><!--2--></d>'],
  [
    'replace element by instruction',
    '<d><a/></d>',
    '<replace sel="d/a"><?b?></replace>',
    'invalid-node-types',
  ],
  ['replace element by two', '<d><a/></d>', '<replace sel="d/a"><b/><c/></replace>', 'invalid-node-types'],
  ['replace element by nothing', '<d><a/></d>', '<replace sel="d/a"/>', 'invalid-node-types'],
  [
    'replace element by element and text',
    '<d><a/></d>',
    '<replace sel="d/a"> <b/></replace>',
    'invalid-node-types',
  ],
  [
    'replace namespace',
    '<d xmlns:p="urn:1"><p:a p:b=""/></d>',
    '<replace sel="d/namespace::p">urn:2</replace>',
    '<d xmlns:p="urn:2"><p:a p:b=""/></d>',
  ],
  [
    'replace namespace elsewhere',
    '<d xmlns:p="urn:1"><a/></d>',
    '<replace sel="d/a/namespace::p">urn:2</replace>',
    'unlocated-node',
  ],
  [
    'replace namespace by nothing',
    '<d xmlns:p="urn:1"/>',
    '<replace sel="d/namespace::p"/>',
    'invalid-namespace-uri',
  ],
  [
    'replace namespace unknown',
    '<d xmlns:p="urn:1"/>',
    '<replace sel="d/namespace::q">urn:2</replace>',
    'unlocated-node',
  ],
  // Removing
  ['remove joins texts', '<d>1<a/>2</d>', '<remove sel="d/a"/>', '<d>12</d>'],
  ['remove text', '<d> t </d>', '<remove sel="d/text()[1]"/>', '<d/>'],
  ['remove attribute', '<d a="1" b="2"/>', '<remove sel="d/@a"/>', '<d b="2"/>'],
  ['remove instruction', '<d> <?f?> </d>', `<remove sel="d/processing-instruction('f')"/>`, '<d>  </d>'],
  ['remove with white space after', '<d> <a/>  </d>', '<remove sel="d/a" ws="after"/>', '<d> </d>'],
  ['remove with white space before', '<d>  <a/> </d>', '<remove sel="d/a" ws="before"/>', '<d> </d>'],
  ['remove with white space around', '<d> <a/> </d>', '<remove sel="d/a" ws="both"/>', '<d/>'],
  ['no white space after', '<d> <a/></d>', '<remove sel="d/a" ws="after"/>', 'invalid-whitespace-directive'],
  ['no white space before', '<d><a/> </d>', '<remove sel="d/a" ws="both"/>', 'invalid-whitespace-directive'],
  [
    'text is no white space',
    '<d>t<a/></d>',
    '<remove sel="d/a" ws="before"/>',
    'invalid-whitespace-directive',
  ],
  ['white space of an attribute', '<d a=""/>', '<remove sel="d/@a" ws="both"/>', 'invalid-patch-directive'],
  ['white space of a text', '<d>t</d>', '<remove sel="d/text()" ws="after"/>', 'invalid-patch-directive'],
  [
    'white space of a namespace',
    '<d xmlns:p="urn:p"/>',
    '<remove sel="d/namespace::p" ws="after"/>',
    'invalid-patch-directive',
  ],
  ['unknown ws', '<d><a/></d>', '<remove sel="d/a" ws="all"/>', 'invalid-attribute-value'],
  ['remove namespace', '<d xmlns:p="urn:p"><a/></d>', '<remove sel="d/namespace::p"/>', '<d><a/></d>'],
  [
    'remove namespace in use',
    '<d xmlns:p="urn:p"><p:a/></d>',
    '<remove sel="d/namespace::p"/>',
    'invalid-namespace-prefix',
  ],
  [
    'remove namespace in use by an attribute',
    '<d xmlns:p="urn:p"><a p:b=""/></d>',
    '<remove sel="d/namespace::p"/>',
    'invalid-namespace-prefix',
  ],
  [
    'remove namespace that an outer declaration repeats',
    '<d xmlns:p="urn:p"><a xmlns:p="urn:p"><p:b/></a></d>',
    '<remove sel="d/a/namespace::p"/>',
    '<d xmlns:p="urn:p"><a><p:b/></a></d>',
  ],
  ['remove with content', '<d><a/></d>', '<remove sel="d/a">t</remove>', 'invalid-diff-format'],
  // Selecting
  ['by attribute', '<d><a i="1"/><a i="2"/></d>', `<remove sel="d/a[@i='2']"/>`, '<d><a i="1"/></d>'],
  ['by any element', '<d><a i="1"/><b i="2"/></d>', '<remove sel=\'*/*[@i="2"]\'/>', '<d><a i="1"/></d>'],
  ['by place', '<d><a/><b/><a n="2"/></d>', '<remove sel="d/a[2]"/>', '<d><a/><b/></d>'],
  ['by place among all', '<d><a/><b/><c/></d>', '<remove sel="*/*[2]"/>', '<d><a/><c/></d>'],
  [
    'by place in each parent',
    '<d><a><x/></a><a><x/><y/></a></d>',
    '<remove sel="d/a/*[2]"/>',
    '<d><a><x/></a><a><x/></a></d>',
  ],
  [
    'by child value',
    '<d><a><n>1</n></a><a><n>2</n></a></d>',
    `<remove sel="d/a[n='2']"/>`,
    '<d><a><n>1</n></a></d>',
  ],
  ['by own value', '<d><a>1</a><a>2<b>3</b></a></d>', `<remove sel="d/a[.='23']"/>`, '<d><a>1</a></d>'],
  [
    'by two predicates',
    '<d><a i="1"/><a i="1" n="2"/></d>',
    `<remove sel="d/a[@i='1'][2]"/>`,
    '<d><a i="1"/></d>',
  ],
  [
    'place before predicate',
    '<d><a i="1"/><a i="2"/></d>',
    `<remove sel="d/a[2][@i='1']"/>`,
    'unlocated-node',
  ],
  ['absolute', '<d><a/></d>', '<remove sel="/d/a"/>', '<d/>'],
  ['brackets in a value', '<d><a i="]/[x"/></d>', `<remove sel="d/a[@i=']/[x']"/>`, '<d/>'],
  ['nothing', '<d/>', '<remove sel="d/a"/>', 'unlocated-node'],
  ['two', '<d><a/><a/></d>', '<remove sel="d/a"/>', 'unlocated-node'],
  ['place 0', '<d><a/></d>', '<remove sel="d/a[0]"/>', 'unlocated-node'],
  ['a name of the document below', '<d><e><a/></e></d>', '<remove sel="d/a"/>', 'unlocated-node'],
  [
    'by xml:id',
    '<d><a xml:id="x"/></d>',
    `<add sel="id('x')" type="@n">1</add>`,
    '<d><a xml:id="x" n="1"/></d>',
  ],
  [
    'by xml:id and on',
    '<d><a xml:id="x"><b>t</b></a></d>',
    `<replace sel='id("x")/b/text()'>u</replace>`,
    '<d><a xml:id="x"><b>u</b></a></d>',
  ],
  ['by an id that nobody declared one', '<d><a id="x"/></d>', `<remove sel="id('x')"/>`, 'unlocated-node'],
  // Outside the grammar
  ...[
    '',
    '/',
    '//a',
    'd//a',
    '..',
    'd/..',
    'd/a[last()]',
    'd/a[position()=1]',
    'd|a',
    'd/a[@i]',
    'd/a[@i=1]',
  ].map((sel): [string, string, string, string] => [
    `outside the grammar: ${sel}`,
    '<d><a i="1"/></d>',
    `<remove sel="${sel}"/>`,
    'invalid-attribute-value',
  ]),
  ...[
    'child::d',
    'd/a[b]',
    'd/ a',
    'd/text()/a',
    'd/@i/a',
    'd[',
    `d[@a='1`,
    'd/',
    'name()',
    "d[@a='1' or @b='2']",
  ].map((sel): [string, string, string, string] => [
    `outside the grammar: ${sel}`,
    '<d><a i="1"/></d>',
    `<remove sel="${sel}"/>`,
    'invalid-attribute-value',
  ]),
  // The patch as such
  ['no sel', '<d/>', '<add><b/></add>', 'invalid-diff-format'],
  ['an attribute too many', '<d><a/></d>', '<add msel="d/a"><b/></add>', 'invalid-diff-format'],
  ['an unknown operation', '<d/>', '<move sel="d"/>', 'invalid-patch-directive'],
  [
    'an operation of another namespace',
    '<d/>',
    '<add xmlns="urn:other" sel="d"/>',
    'invalid-patch-directive',
  ],
  ['text between operations', '<d/>', 'text<add sel="d"/>', 'invalid-diff-format'],
  ['an unknown prefix in sel', '<d/>', '<remove sel="d/p:a"/>', 'invalid-namespace-prefix'],
  ['an unknown prefix in type', '<d/>', '<add sel="d" type="@p:a">v</add>', 'invalid-namespace-prefix'],
  // In sequence
  [
    'one after the other',
    '<d/>',
    `<add sel="d"><a/></add><add sel="d/a"><b/></add><remove sel="d/a/b"/>`,
    '<d><a/></d>',
  ],
  ['all or nothing', '<d/>', '<add sel="d"><a/></add><remove sel="d/x"/>', 'unlocated-node'],
];

for (const [title, target, operations, result] of TABLE) {
  test(title, () => assert.is(patch(target, operations), result));
}

test('namespaces: a name in a selector is looked up in the patch, without a prefix in its default', () => {
  const target = '<p:d xmlns:p="urn:1"><a/><p:a/></p:d>';
  const qualified = (sel: string) =>
    `<x:diff xmlns:x="urn:x" xmlns="urn:1" xmlns:q="urn:1"><x:remove sel="${sel}"/></x:diff>`;
  const apply = (text: string) => writeXml(applyPatch(parseXml(target), parseXml(text).root));
  assert.is(apply(qualified('d/a')), '<p:d xmlns:p="urn:1"><a/></p:d>');
  assert.is(apply(qualified('q:d/q:a')), '<p:d xmlns:p="urn:1"><a/></p:d>');
  assert.is(
    apply('<x:diff xmlns:x="urn:x" xmlns:q="urn:1"><x:remove sel="q:d/a"/></x:diff>'),
    '<p:d xmlns:p="urn:1"><p:a/></p:d>',
  );
});

test('namespaces: added content takes the prefixes of the document', () => {
  const apply = (target: string, operations: string, declare = '') =>
    writeXml(
      applyPatch(parseXml(target), parseXml(`<x:diff xmlns:x="urn:x"${declare}>${operations}</x:diff>`).root),
    );
  const a = ' xmlns:a="urn:1"';
  // RFC 5261 §4.2.3, first example
  assert.is(
    apply('<d xmlns:b="urn:1"/>', '<x:add sel="d"><a:e a:f=""/></x:add>', a),
    '<d xmlns:b="urn:1"><b:e b:f=""/></d>',
  );
  // The same prefix first, then that of the context node, then the closest before it.
  assert.is(
    apply('<b:d xmlns:b="urn:1" xmlns:a="urn:1"/>', '<x:add sel="*"><a:e/></x:add>', a),
    '<b:d xmlns:b="urn:1" xmlns:a="urn:1"><a:e/></b:d>',
  );
  assert.is(
    apply('<b:d xmlns:c="urn:1" xmlns:b="urn:1"/>', '<x:add sel="*"><a:e/></x:add>', a),
    '<b:d xmlns:c="urn:1" xmlns:b="urn:1"><b:e/></b:d>',
  );
  assert.is(
    apply('<d xmlns:x="urn:1" xmlns:y="urn:1"/>', '<x:add sel="*"><xx:e/></x:add>', ' xmlns:xx="urn:1"'),
    '<d xmlns:x="urn:1" xmlns:y="urn:1"><x:e/></d>',
  );
  assert.is(
    apply('<d xmlns:x="urn:1" xmlns:y="urn:1"/>', '<x:add sel="*"><a:e/></x:add>', a),
    '<d xmlns:x="urn:1" xmlns:y="urn:1"><x:e/></d>',
  );
  assert.is(
    apply('<d xmlns:q="urn:1"><c xmlns="urn:1"/></d>', '<x:add sel="*/*[1]" pos="before"><a:e/></x:add>', a),
    '<d xmlns:q="urn:1"><q:e/><c xmlns="urn:1"/></d>',
  );
  // The default namespace counts as the first of the list, but never for an attribute.
  assert.is(
    apply('<z:d xmlns:z="urn:z" xmlns="urn:1" xmlns:q="urn:1"/>', '<x:add sel="*"><a:e a:f=""/></x:add>', a),
    '<z:d xmlns:z="urn:z" xmlns="urn:1" xmlns:q="urn:1"><e q:f=""/></z:d>',
  );
  // What the document does not have is declared on the outermost element that needs it.
  assert.is(
    apply('<d/>', '<x:add sel="d"><a:e><a:f/></a:e></x:add>', a),
    '<d><a:e xmlns:a="urn:1"><a:f/></a:e></d>',
  );
  assert.is(apply('<d/>', '<x:add sel="*"><e/></x:add>', ' xmlns="urn:1"'), '<d><e xmlns="urn:1"/></d>');
  assert.is(
    apply('<d xmlns="urn:1"/>', '<x:add sel="*"><e><f/></e></x:add>'),
    '<d xmlns="urn:1"><e xmlns=""><f/></e></d>',
  );
  // What the content declares itself is copied as it is, and what it hides is not used inside it.
  assert.is(
    apply('<d xmlns:b="urn:1"/>', '<x:add sel="d"><a:e xmlns:a="urn:1"/></x:add>'),
    '<d xmlns:b="urn:1"><a:e xmlns:a="urn:1"/></d>',
  );
  assert.is(
    apply('<d xmlns:b="urn:1"/>', '<x:add sel="d"><e xmlns:b="urn:2"><a:f b:g=""/></e></x:add>', a),
    '<d xmlns:b="urn:1"><e xmlns:b="urn:2"><a:f xmlns:a="urn:1" b:g=""/></e></d>',
  );
  // The parent is the context of a replaced element.
  assert.is(
    apply('<d><b:c xmlns:b="urn:1"/></d>', '<x:replace sel="d/*"><a:e/></x:replace>', a),
    '<d><a:e xmlns:a="urn:1"/></d>',
  );
  // Attributes by name
  assert.is(
    apply('<d xmlns:b="urn:1"/>', '<x:add sel="d" type="@a:f">v</x:add>', a),
    '<d xmlns:b="urn:1" b:f="v"/>',
  );
  assert.is(apply('<d/>', '<x:add sel="d" type="@a:f">v</x:add>', a), '<d xmlns:a="urn:1" a:f="v"/>');
  assert.throws(
    () => apply('<d xmlns:a="urn:2"/>', '<x:add sel="d" type="@a:f">v</x:add>', a),
    (error: Error) => isCoded(error) && patchCondition(error) === 'invalid-namespace-uri',
  );
});

test('id() by schema, by xml:id, or not at all', () => {
  const target = '<d><a id="x"/><b id="y"/></d>';
  const ids: PatchOptions = {
    ids: (element, attribute) => element.local === 'a' && attribute.local === 'id',
  };
  assert.is(patch(target, `<remove sel="id('x')"/>`, ids), '<d><b id="y"/></d>');
  assert.is(patch(target, `<remove sel="id('y')"/>`, ids), 'unlocated-node');
  assert.is(patch(target, `<remove sel="id('x')"/>`, { ids: false }), 'unsupported-id-function');
  assert.is(patch('<d><a id="x"/><a id="x"/></d>', `<remove sel="id('x')"/>`, ids), 'unlocated-node');
});

test('the root answers to a second name where it has one', () => {
  const options: PatchOptions = { rootAlias: { ns: '', local: 'full' } };
  assert.is(patch('<d><full/></d>', '<remove sel="full/full"/>', options), '<d/>');
  assert.is(patch('<d><full/></d>', '<remove sel="full/full"/>'), 'unlocated-node');
});

test('a patch of too many operations is refused', () => {
  const many = '<add sel="d"><a/></add>'.repeat(20);
  assert.is(patch('<d/>', many, { operations: 19 }), 'invalid-diff-format');
  assert.ok(patch('<d/>', many, { operations: 20 }).startsWith('<d><a/>'));
});

test('a selector is read in full or not at all', () => {
  assert.equal(parseSelector(`/*/p:a[@b='1'][2][c="d"][.='e']/@q:f`), {
    steps: [
      { kind: 'element', predicates: [] },
      {
        kind: 'element',
        name: { prefix: 'p', local: 'a' },
        predicates: [
          { kind: 'attribute', name: { prefix: '', local: 'b' }, value: '1' },
          { kind: 'position', position: 2 },
          { kind: 'child', name: { prefix: '', local: 'c' }, value: 'd' },
          { kind: 'self', value: 'e' },
        ],
      },
    ],
    leaf: { kind: 'attribute', name: { prefix: 'q', local: 'f' } },
  });
  // Names that begin like node tests are names.
  assert.equal(parseSelector('text/comment/id')?.steps.length, 3);
  assert.equal(parseSelector('processing-instruction/x')?.steps.length, 2);
});

test('untouched parts of the tree are the very same nodes', () => {
  const document = parseXml('<d><a><b>1</b></a><c/></d>');
  const patched = applyPatch(document, parseXml('<diff><replace sel="d/a/b/text()">2</replace></diff>').root);
  assert.is.not(patched.root, document.root);
  assert.is(patched.root.children[1], document.root.children[1]);
});

test('every error can be told as the document of §5.1', () => {
  const failing = TABLE.filter(([, , , result]) => !result.startsWith('<'));
  const conditions = new Set<string>();
  const documents: string[] = [];
  for (const [title, target, operations, condition] of failing) {
    const root = parseXml(`<diff xmlns:u="urn:u">${operations}</diff>`).root;
    try {
      applyPatch(parseXml(target), root);
      assert.unreachable(title);
    } catch (error) {
      assert.ok(isCoded(error), String(error));
      assert.is(error.sip, 400);
      const text = writePatchError(error, root) ?? '';
      const [told] = parseXml(text).root.children;
      assert.ok(told?.kind === 'element');
      assert.is(
        told.local,
        condition === 'invalid-diff-format' || told.children.length > 0 ? condition : told.local,
      );
      conditions.add(told.local);
      documents.push(text);
    }
  }
  assert.is(conditions.size, 10, [...conditions].join(' '));
  errorDocuments.push(...documents);
});

const errorDocuments: string[] = [];

test.needs([XMLLINT], 'error documents are valid', async () => {
  assert.ok(errorDocuments.length > 40);
  assert.equal(await xmllint(errorDocuments), []);
});

test('whatever the patch, the result is a document or a coded error', () => {
  const sel = fc.constantFrom(
    ...[
      '*',
      '*/*',
      'd/a',
      'd/b[1]',
      'd/text()',
      'd/a/@i',
      'd/comment()',
      'd/namespace::p',
      "id('x')",
      'd/p:c',
    ],
    ...["*/*[@i='1']", "d/*[.='t']", 'd/a/text()[1]', '///', 'comment()', 'd/*[2]/@p:j'],
  );
  const content = fc.constantFrom(
    '',
    't',
    ' ',
    '<e/>',
    '<p:e p:f="1"/>',
    '<e/><f/>',
    '<!--c-->',
    '<?p?>',
    '<e xmlns="urn:9"/>t',
  );
  const operation = fc.oneof(
    fc
      .tuple(
        sel,
        content,
        fc.constantFrom(
          '',
          ' pos="before"',
          ' pos="after"',
          ' pos="prepend"',
          ' type="@z"',
          ' type="@p:z"',
          ' type="namespace::n"',
        ),
      )
      .map(([s, c, more]) => `<x:add sel="${s}"${more}>${c}</x:add>`),
    fc.tuple(sel, content).map(([s, c]) => `<x:replace sel="${s}">${c}</x:replace>`),
    fc
      .tuple(sel, fc.constantFrom('', ' ws="before"', ' ws="after"', ' ws="both"'))
      .map(([s, ws]) => `<x:remove sel="${s}"${ws}/>`),
  );
  const target = parseXml(
    '<!--0--><d xmlns:p="urn:p" xmlns:q="urn:p"><a i="1" xml:id="x">t<b/></a> <b p:j="2"><!--c--></b>t<q:c/></d>',
  );
  let applied = 0;
  fc.assert(
    fc.property(
      fc.array(operation, { minLength: 1, maxLength: 4 }),
      fc.boolean(),
      (operations, qualified) => {
        const open = `<x:diff xmlns:x="urn:x" xmlns:p="urn:p"${qualified ? ' xmlns="urn:d"' : ''}>`;
        const { root } = parseXml(`${open}${operations.join('')}</x:diff>`);
        try {
          const patched = applyPatch(target, root);
          const again = parseXml(writeXml(patched));
          assert.ok(sameXml(patched, again, { prefixes: true }), writeXml(patched));
          applied += 1;
        } catch (error) {
          if (!isCoded(error) || patchCondition(error) === undefined) throw error;
        }
      },
    ),
    { seed: 5261, numRuns: 4000 },
  );
  assert.ok(applied > 100, `${applied} applied`);
});
