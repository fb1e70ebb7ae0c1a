import { execFileSync } from 'node:child_process';
import * as fc from 'fast-check';
import * as assert from 'uvu/assert';
import { applyPresence } from '../../src/presence/apply.ts';
import { samePresence } from '../../src/presence/compare.ts';
import { createPresenceDocument, type Mark, type PresenceBody } from '../../src/presence/document.ts';
import type { Detail, DevicePresence } from '../../src/presence/model.ts';
import { PIDF_DIFF_TYPE, STATUS_NS } from '../../src/presence/namespaces.ts';
import { readPresence } from '../../src/presence/read.ts';
import { canonicalXml } from '../../src/xml/compare.ts';
import { parseXml } from '../../src/xml/read.ts';
import { attributeOf, elementsOf, type XmlDocument } from '../../src/xml/tree.ts';
import { suite } from '../support/harness.ts';
import { XMLLINT, xmllint } from '../support/peers/xmllint.ts';
import { AOR, anyDevice, freezer } from './devices.ts';

const test = suite('presence differences', { timeout: 60_000 });

const START = '<pidf-diff xmlns="urn:ietf:params:xml:ns:pidf-diff" entity="sip:gateway7@example.com">';
const PIDF_START =
  '<x:pidf-diff xmlns="urn:ietf:params:xml:ns:pidf" xmlns:x="urn:ietf:params:xml:ns:pidf-diff"' +
  ' entity="sip:gateway7@example.com">';

/** The operations that turn one state of device `a` into another, without the frame around them. */
function operations(
  before: Partial<DevicePresence>,
  after: Partial<DevicePresence>,
  detail: Detail = 'lean',
): string {
  const document = createPresenceDocument({ entity: AOR, detail });
  const common = detail === 'full' ? { deviceId: 'urn:x' } : {};
  document.set({ id: 'b', ...common, basic: 'open', note: 'other' });
  document.set({ id: 'a', ...common, ...before });
  document.set({ id: 'c', ...common, basic: 'closed' });
  const stored = applyPresence(undefined, bodyOf(document.pidfFull()));
  const mark = document.mark();
  document.set({ id: 'a', ...common, ...after });
  const diff = document.since(mark);
  if (diff === undefined) return '';
  assert.is(diff.kind, 'diff');
  check(applyPresence(stored, bodyOf(diff)), document.full());
  return diff.content.replace(/^<[^>]*>/, '').replace(/<\/[^<]*>$/, '');
}

const bodyOf = (body: PresenceBody) => ({ contentType: body.contentType, body: body.content });

/** The document that came of a diff says what the document says, tuple for tuple in the same order. */
function check(applied: XmlDocument, now: PresenceBody): void {
  assert.is(canonicalXml(applied), canonicalXml(parseXml(now.content)));
}

test('a value: the shortest selector that needs no namespace', () => {
  const document = createPresenceDocument({ entity: AOR, detail: 'lean' });
  for (let n = 1; n <= 20; n += 1) document.set(freezer(n, -17.5));
  const mark = document.mark();
  document.set(freezer(7, -17.3));
  assert.equal(document.since(mark), {
    kind: 'diff',
    contentType: PIDF_DIFF_TYPE,
    content: `${START}<replace sel="*/*[@id='${freezer(7, 0).id}']/*[2]/text()">-17.3 °C</replace></pidf-diff>`,
  });
});

test('basic, note and unknown, each as it comes and goes', () => {
  const open = { basic: 'open', note: 'n' } as const;
  const a = `*/*[@id='a']`;
  assert.is(
    operations(open, { ...open, basic: 'closed' }),
    `<replace sel="${a}/*/*/text()">closed</replace>`,
  );
  assert.is(
    operations(open, { ...open, note: 'm & m' }),
    `<replace sel="${a}/*[2]/text()">m &amp; m</replace>`,
  );
  assert.is(operations(open, { basic: 'open' }), `<remove sel="${a}/*[2]"/>`);
  assert.is(operations({ basic: 'open' }, open), `<x:add sel="${a}"><note>n</note></x:add>`);
  assert.is(
    operations(open, { note: 'n' }),
    `<replace sel="${a}/*/*"><unknown xmlns="${STATUS_NS}"/></replace>`,
  );
  assert.is(operations({ note: 'n' }, open), `<x:replace sel="${a}/*/*"><basic>open</basic></x:replace>`);
  assert.is(
    operations(open, { basic: 'closed' }),
    `<remove sel="${a}/*[2]"/><replace sel="${a}/*/*/text()">closed</replace>`,
  );
  assert.is(operations(open, open), '');
});

test('two changes cost no more than the whole tuple', () => {
  assert.is(
    operations({ note: 'gone' }, { basic: 'open', note: 'n' }),
    `<x:replace sel="*/*[@id='a']"><tuple id="a"><status><basic>open</basic></status><note>n</note></tuple></x:replace>`,
  );
});

test('full detail: values, times and contact', () => {
  const d = `*/*[@id='a.d']`;
  const a = `*/*[@id='a']`;
  const v = (...values: number[]) => ({ values: values.map((value, n) => ({ n: `s${n}`, v: value })) });
  assert.is(operations(v(1), v(2), 'full'), `<replace sel="${d}/*/@v">2</replace>`);
  assert.is(operations(v(1, 2, 3), v(1, 5, 3), 'full'), `<replace sel="${d}/*[2]/@v">5</replace>`);
  assert.is(
    operations({ values: [{ n: 's', v: 1 }] }, { values: [{ n: 's', vb: true }] }, 'full'),
    `<replace sel="${d}/*[1]"><s:senml n="s" vb="true"/></replace>`,
  );
  assert.is(
    operations(v(1), v(1, 2), 'full'),
    `<replace sel="${d}"><d:device id="a.d"><s:senml n="s0" v="1"/><s:senml n="s1" v="2"/>` +
      `<d:deviceID>urn:x</d:deviceID></d:device></replace>`,
  );
  const at = { basic: 'open', note: 'n', timestamp: 1_795_230_000_000 } as const;
  assert.is(
    operations(at, { ...at, note: 'm', timestamp: 1_795_230_000_500 }, 'full'),
    `<replace sel="${a}/*[4]/text()">2026-11-21T03:00:00.5Z</replace><replace sel="${a}/*[3]/text()">m</replace>`,
  );
  assert.is(
    operations(at, { ...at, contact: 'sip:c@x' }, 'full'),
    `<x:add sel="${a}/*[2]" pos="after"><contact>sip:c@x</contact></x:add>`,
  );
});

test('devices that come stand first, those that go leave nothing', () => {
  const document = createPresenceDocument({ entity: AOR, detail: 'lean' });
  document.set({ id: 'a', basic: 'open' });
  document.set({ id: 'b', basic: 'open' });
  const mark = document.mark();
  document.remove('a');
  document.set({ id: 'c', basic: 'open' });
  document.set({ id: 'd', note: 'n' });
  assert.is(
    document.since(mark)?.content,
    `${PIDF_START}<x:remove sel="*/*[@id='a']"/><x:add sel="*" pos="prepend">` +
      `<tuple id="d"><status><unknown xmlns="${STATUS_NS}"/></status><note>n</note></tuple>` +
      `<tuple id="c"><status><basic>open</basic></status></tuple></x:add></x:pidf-diff>`,
  );
});

test('a device that went and came back is added anew', () => {
  const document = createPresenceDocument({ entity: AOR, detail: 'full' });
  for (const id of ['a', 'b', 'c']) document.set({ id, deviceId: `urn:${id}`, basic: 'open' });
  const stored = applyPresence(undefined, bodyOf(document.pidfFull()));
  const mark = document.mark();
  document.remove('b');
  document.set({ id: 'b', deviceId: 'urn:b', basic: 'open' });
  const diff = document.since(mark);
  assert.ok(diff);
  check(applyPresence(stored, bodyOf(diff)), document.full());
});

test('the activity of a device with its own AOR', () => {
  const document = createPresenceDocument({ entity: AOR, detail: 'lean', own: true });
  const states: (string | undefined)[] = [undefined, 'busy', 'away', 'defrosting', 'unknown', undefined];
  document.set({ id: 'a', basic: 'open' });
  let stored = applyPresence(undefined, bodyOf(document.pidfFull()));
  let mark = document.mark();
  const kinds: string[] = [];
  for (const activity of states) {
    document.set({ id: 'a', basic: 'open', ...(activity === undefined ? {} : { activity }) });
    const diff = document.since(mark);
    if (diff === undefined) continue;
    kinds.push(diff.content.replace(/^<[^>]*>/, '').replace(/[ >].*$/s, ''));
    stored = applyPresence(stored, bodyOf(diff));
    check(stored, document.full());
    mark.release();
    mark = document.mark();
  }
  assert.equal(kinds, ['<add', '<replace', '<replace', '<replace', '<remove']);
});

test('a diff may reach back over any number of changes, and only sees what remains of them', () => {
  const document = createPresenceDocument({ entity: AOR, detail: 'lean' });
  document.set(freezer(1, 1));
  const mark = document.mark();
  for (let n = 2; n < 50; n += 1) document.set(freezer(1, n));
  document.set(freezer(2, 2));
  document.remove(freezer(2, 2).id);
  document.set(freezer(1, 1));
  assert.is(document.since(mark), undefined);
  document.set(freezer(1, 0));
  assert.is(elementsOf(parseXml(document.since(mark)?.content ?? '').root).length, 1);
});

test('a diff that outgrows the whole is sent as the whole', () => {
  const document = createPresenceDocument({ entity: AOR, detail: 'lean' });
  for (let n = 0; n < 20; n += 1) document.set(freezer(n, n));
  const mark = document.mark();
  for (let n = 0; n < 20; n += 1) document.remove(freezer(n, n).id);
  for (let n = 20; n < 25; n += 1) document.set({ ...freezer(n, n), note: 'x' });
  const body = document.since(mark);
  assert.is(body?.kind, 'full');
  assert.is(body?.contentType, PIDF_DIFF_TYPE);
  assert.is(body?.content, document.pidfFull().content);
});

test('a mark that was released leads to the whole, never to a wrong diff', () => {
  const document = createPresenceDocument({ entity: AOR, detail: 'lean' });
  document.set(freezer(1, 1));
  const mark = document.mark();
  mark.release();
  document.set(freezer(1, 2));
  assert.is(document.since(mark)?.kind, 'full');
});

test('versions are written for partial notification only', () => {
  const document = createPresenceDocument({ entity: AOR, detail: 'lean' });
  const mark = document.mark();
  document.set(freezer(1, 1));
  assert.not.match(document.since(mark)?.content ?? '', /<[^>]*pidf-diff[^>]* version=/);
  assert.match(document.since(mark, 7)?.content ?? '', /<x:pidf-diff [^>]* version="7">/);
  assert.match(document.pidfFull(8).content, /<x:pidf-full [^>]* version="8">/);
});

const emitted: string[] = [];

interface Step {
  kind: 'set' | 'remove' | 'publish' | 'lose' | 'mark';
  device: DevicePresence;
}

const steps = (own: boolean): fc.Arbitrary<Step[]> => {
  const ids = own ? ['lamp'] : ['a', 'b', 'c', 'd', 'e', 'f'];
  const device = fc.constantFrom(...ids).chain((id) => anyDevice(id));
  const kind = fc.constantFrom<Step['kind']>(
    'set',
    'set',
    'set',
    'set',
    'remove',
    'publish',
    'publish',
    'lose',
    'mark',
  );
  return fc.array(fc.record({ kind, device }), { minLength: 15, maxLength: 45, size: 'max' });
};

const scenario = fc
  .record({ own: fc.boolean(), detail: fc.constantFrom<Detail>('lean', 'full') })
  .chain(({ own, detail }) => steps(own).map((list) => ({ own, detail, list })));

test('server and publisher agree after any changes, with diffs lost on the way', () => {
  let diffs = 0;
  fc.assert(
    fc.property(scenario, ({ own, detail, list }) => {
      const document = createPresenceDocument({ entity: AOR, detail, own });
      let stored = applyPresence(undefined, bodyOf(document.pidfFull()));
      let acknowledged = document.mark();
      const first = { mark: document.mark(), stored };
      const stale: Mark[] = [];
      for (const { kind, device } of list) {
        if (kind === 'set') document.set(device);
        else if (kind === 'remove') document.remove(device.id);
        else if (kind === 'mark') stale.push(document.mark());
        else {
          const diff = document.since(acknowledged);
          const mark = document.mark();
          if (diff === undefined || kind === 'lose') {
            // The request was lost: what it told is told again by the next one.
            mark.release();
            continue;
          }
          if (diff.kind === 'diff') diffs += 1;
          stored = applyPresence(stored, bodyOf(diff));
          check(stored, document.full());
          const devices = document.ids().map((id) => document.get(id) as DevicePresence);
          assert.ok(samePresence(devices, readPresence(stored)));
          if (emitted.length < 1000) emitted.push(diff.content, document.full().content);
          acknowledged.release();
          acknowledged = mark;
        }
      }
      // A mark from the very start still tells all that happened since.
      const all = document.since(first.mark);
      check(all === undefined ? first.stored : applyPresence(first.stored, bodyOf(all)), document.full());
    }),
    { seed: 5264, numRuns: 250 },
  );
  assert.ok(diffs > 600, `${diffs} diffs`);
});

test('a document can be brought from any state to any other in one diff', () => {
  const state = fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd').chain(anyDevice), {
    selector: (device) => device.id,
    maxLength: 4,
  });
  fc.assert(
    fc.property(state, state, fc.constantFrom<Detail>('lean', 'full'), (from, to, detail) => {
      const document = createPresenceDocument({ entity: AOR, detail });
      for (const device of from) document.set(device);
      const stored = applyPresence(undefined, bodyOf(document.full()));
      const mark = document.mark();
      for (const id of document.ids()) if (!to.some((device) => device.id === id)) document.remove(id);
      for (const device of to) document.set(device);
      const diff = document.since(mark);
      const applied = diff === undefined ? stored : applyPresence(stored, bodyOf(diff));
      check(applied, document.full());
      if (diff !== undefined && emitted.length < 2000) emitted.push(diff.content);
    }),
    { seed: 5262, numRuns: 700 },
  );
});

test('a diff stays right when tuples that it does not name come and go on the server', () => {
  const document = createPresenceDocument({ entity: AOR, detail: 'full' });
  for (let n = 1; n <= 3; n += 1) document.set(freezer(n, n));
  const mark = document.mark();
  document.set(freezer(2, 20, 1_795_230_060_000));
  const diff = document.since(mark);
  assert.ok(diff);
  const others =
    '<tuple id="o1"><status><basic>open</basic></status></tuple>' +
    '<tuple id="o2"><status><basic>open</basic></status></tuple>';
  const base = createPresenceDocument({ entity: AOR, detail: 'full' });
  for (let n = 1; n <= 3; n += 1) base.set(freezer(n, n));
  base.remove(freezer(1, 1).id);
  const text = base.full().content.replace(/(<presence [^>]*>)/, `$1${others}`);
  const applied = applyPresence(
    applyPresence(undefined, { contentType: 'application/pidf+xml', body: text }),
    bodyOf(diff),
  );
  const read = readPresence(applied).devices;
  assert.is(read.find((device) => device.id === freezer(2, 0).id)?.note, '20 °C');
  assert.is(read.length, 4);
});

test.needs([XMLLINT], 'every diff validates against the schemas', async () => {
  assert.ok(emitted.length > 1000);
  assert.equal(await xmllint(emitted), []);
});

test.needs([XMLLINT], "another program's XPath finds exactly one node by our selectors", () => {
  const document = createPresenceDocument({ entity: AOR, detail: 'full' });
  const second = {
    ...freezer(2, 2),
    values: [
      { n: 'a', v: 1 },
      { n: 'b', v: 2 },
    ],
  };
  document.set(freezer(1, 1));
  document.set(second);
  const base = document.full().content;
  const selectors = new Set<string>();
  const changes: Partial<DevicePresence>[] = [
    { note: 'x' },
    { basic: 'closed' },
    { timestamp: 1_795_230_000_001 },
    { contact: 'sip:x@y' },
    {
      values: [
        { n: 'a', v: 1 },
        { n: 'b', v: 3 },
      ],
    },
    {
      values: [
        { n: 'a', vb: true },
        { n: 'b', v: 2 },
      ],
    },
    { name: 'other' },
  ];
  for (const device of [freezer(1, 1), second]) {
    for (const change of changes) {
      const mark = document.mark();
      document.set({ ...device, ...change });
      const diff = document.since(mark);
      for (const operation of elementsOf(parseXml(diff?.content ?? '<x/>').root)) {
        selectors.add(attributeOf(operation, 'sel') ?? '');
      }
      mark.release();
      document.set(device);
    }
  }
  const { basic: _basic, note: _note, ...bare } = freezer(1, 1);
  const mark = document.mark();
  document.set(bare);
  for (const operation of elementsOf(parseXml(document.since(mark)?.content ?? '').root)) {
    selectors.add(attributeOf(operation, 'sel') ?? '');
  }
  assert.ok(selectors.size >= 14, String(selectors.size));
  const counts = [...selectors].map((selector) => `count(/${selector})`).join(`,' ',`);
  const said = execFileSync('xmllint', ['--xpath', `concat(${counts})`, '-'], {
    input: base,
    encoding: 'utf8',
  });
  assert.is(said.trim(), [...selectors].map(() => '1').join(' '), [...selectors].join('\n'));
});
