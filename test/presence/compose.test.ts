import * as fc from 'fast-check';
import * as assert from 'uvu/assert';
import { applyPresence } from '../../src/presence/apply.ts';
import { samePresence } from '../../src/presence/compare.ts';
import { createComposition, type WithdrawnTuple } from '../../src/presence/compose.ts';
import { createPresenceDocument } from '../../src/presence/document.ts';
import { PIDF_TYPE } from '../../src/presence/namespaces.ts';
import { readPresence } from '../../src/presence/read.ts';
import { canonicalXml } from '../../src/xml/compare.ts';
import { parseXml } from '../../src/xml/read.ts';
import { suite } from '../support/harness.ts';
import { XMLLINT, xmllint } from '../support/peers/xmllint.ts';
import { AOR, anyDevice, freezer } from './devices.ts';

const test = suite('composed presence', { timeout: 60_000 });

const PIDF = 'urn:ietf:params:xml:ns:pidf';
const DM = 'urn:ietf:params:xml:ns:pidf:data-model';
const emitted: string[] = [];

const document = (content: string, declare = `xmlns="${PIDF}" xmlns:dm="${DM}"`, name = 'presence') =>
  parseXml(`<${name} ${declare} entity="sip:x@y">${content}</${name}>`);
const tuple = (id: string, note: string) =>
  `<tuple id="${id}"><status><basic>open</basic></status><note>${note}</note></tuple>`;
const notes = (text: string) => {
  emitted.push(text);
  return readPresence(text).devices.map(({ id, basic, note }) => `${id} ${basic} ${note}`);
};

test('several publications make one document of the presentity', () => {
  const composition = createComposition({ entity: AOR });
  composition.put('1', document(tuple('a', '1')));
  composition.put('2', document(tuple('b', '2')));
  assert.is(
    composition.text(),
    `<?xml version="1.0"?><presence xmlns="${PIDF}" xmlns:dm="${DM}" entity="${AOR}">` +
      `${tuple('a', '1')}${tuple('b', '2')}</presence>`,
  );
  assert.is(composition.size, 2);
});

test('the newest publication wins per id, and the order stays', () => {
  const composition = createComposition({ entity: AOR });
  composition.put('1', document(tuple('a', 'old') + tuple('b', 'only')));
  composition.put('2', document(tuple('c', 'c')));
  composition.put('3', document(tuple('a', 'new')));
  assert.equal(notes(composition.text()), ['b open only', 'c open c', 'a open new']);
  composition.put('1', document(tuple('a', 'newest')));
  assert.equal(notes(composition.text()), ['a open newest', 'c open c']);
  // What the newest withdraws is no longer hidden, while the older one lives.
  assert.equal(composition.remove('1'), []);
  assert.equal(notes(composition.text()), ['c open c', 'a open new']);
});

test('a publication whose answer was lost leaves no ghost', () => {
  const composition = createComposition({ entity: AOR });
  composition.put('lost', document(tuple('a', 'first')));
  composition.put('again', document(tuple('a', 'first')));
  composition.put('again', document(tuple('a', 'second')));
  assert.equal(notes(composition.text()), ['a open second']);
  assert.equal(composition.remove('lost'), []);
  assert.equal(notes(composition.text()), ['a open second']);
});

test('what expired is told as closed, once, without what was true before', () => {
  const composition = createComposition({ entity: AOR });
  const own = createPresenceDocument({ entity: AOR, detail: 'full' });
  own.set({ ...freezer(1, -17.5), id: 'f' });
  composition.put('1', applyPresence(undefined, { contentType: PIDF_TYPE, body: own.full().content }));
  composition.put('2', document(tuple('b', 'stays')));
  const gone = composition.remove('1');
  assert.equal(
    gone.map(({ id }) => id),
    ['f'],
  );
  const told = composition.text(gone);
  assert.equal(notes(told), ['b open stays', 'f closed undefined']);
  const closed = readPresence(told).devices[1];
  assert.equal(closed, { id: 'f', basic: 'closed', contact: AOR, deviceId: freezer(1, 0).deviceId ?? '' });
  assert.equal(notes(composition.text()), ['b open stays']);
  // Published again before it was told: then it is not closed.
  composition.put('3', document(tuple('f', 'back')));
  assert.equal(notes(composition.text(gone)), ['b open stays', 'f open back']);
});

test('a tuple that its publication drops vanishes too', () => {
  const composition = createComposition({ entity: AOR });
  composition.put('1', document(tuple('a', '1') + tuple('b', '2')));
  const gone = composition.put('1', document(tuple('a', '1')));
  assert.equal(
    gone.map(({ id }) => id),
    ['b'],
  );
  assert.equal(notes(composition.text([...gone, ...gone])), ['a open 1', 'b closed undefined']);
});

test('documents of all prefix styles go together, even where their prefixes clash', () => {
  const composition = createComposition({ entity: AOR });
  composition.put('plain', document(`${tuple('a', '1')}<dm:person id="pa"/>`));
  composition.put(
    'prefixed',
    document(
      '<p:tuple id="b"><p:status><p:basic>open</p:basic></p:status><p:note>2</p:note></p:tuple><dm:x xmlns:dm="urn:other" id="x"/>',
      `xmlns:p="${PIDF}"`,
      'p:presence',
    ),
  );
  composition.put(
    'clashing',
    document(
      `<dm:tuple id="c"><dm:status><dm:basic>open</dm:basic></dm:status><dm:note>3</dm:note></dm:tuple><p:q/><person id="pc"/>`,
      `xmlns:dm="${PIDF}" xmlns="${DM}" xmlns:p="urn:q"`,
      'dm:presence',
    ),
  );
  const text = composition.text();
  assert.equal(notes(text), ['a open 1', 'b open 2', 'c open 3']);
  assert.ok(canonicalXml(parseXml(text)).includes('<{urn:q}q>'), text);
  assert.is(text.match(/<dm:person id="pa"\/>|<person[^>]* id="pc"\/>/g)?.length, 2);
});

test('tuples before notes before the rest, as the schema has it; equal notes once', () => {
  const composition = createComposition({ entity: AOR });
  composition.put('1', document(`<dm:person id="p1"/><note>same</note>${tuple('a', '1')}`));
  composition.put('2', document(`<note>same</note><note>other</note>${tuple('b', '2')}`));
  const text = composition.text();
  emitted.push(text);
  assert.ok(
    text.endsWith(
      `${tuple('a', '1')}${tuple('b', '2')}<note>same</note><note>other</note><dm:person id="p1"/></presence>`,
    ),
    text,
  );
});

test('one change of 128 segments keeps the text of the other 127', () => {
  const composition = createComposition({ entity: AOR });
  const own = createPresenceDocument({ entity: AOR, detail: 'full' });
  const put = (n: number, celsius: number) => {
    own.set(freezer(n, celsius));
    const body = own.segment(freezer(n, 0).id)?.content ?? '';
    composition.put(String(n), applyPresence(undefined, { contentType: PIDF_TYPE, body }));
  };
  for (let n = 0; n < 128; n += 1) put(n, n);
  assert.ok(
    samePresence(
      own.ids().flatMap((id) => own.get(id) ?? []),
      readPresence(composition.text()),
    ),
  );
  put(77, -1);
  const text = composition.text();
  emitted.push(text);
  assert.ok(
    samePresence(
      own.ids().flatMap((id) => own.get(id) ?? []),
      readPresence(text),
    ),
  );
  assert.is(text.match(/xmlns:/g)?.length, 2, 'namespaces are declared once, at the root');
});

test('whatever is published and withdrawn, each id is there once and as last said', () => {
  const ids = ['a', 'b', 'c', 'd'];
  const step = fc.record({
    key: fc.constantFrom('1', '2', '3'),
    remove: fc.boolean(),
    devices: fc.uniqueArray(fc.constantFrom(...ids).chain(anyDevice), {
      selector: ({ id }) => id,
      maxLength: 3,
    }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12, size: 'max' }), (steps) => {
      const composition = createComposition({ entity: AOR });
      const model = new Map<string, { rank: number; own: ReturnType<typeof createPresenceDocument> }>();
      const pending = new Map<string, WithdrawnTuple>();
      for (const [rank, { key, remove, devices }] of steps.entries()) {
        const had = new Set(readPresence(composition.text()).devices.map(({ id }) => id));
        let gone: WithdrawnTuple[];
        if (remove) {
          model.delete(key);
          gone = composition.remove(key);
        } else {
          const own = createPresenceDocument({ entity: AOR, detail: 'full' });
          for (const device of devices) own.set(device);
          model.set(key, { rank, own });
          gone = composition.put(
            key,
            applyPresence(undefined, { contentType: PIDF_TYPE, body: own.full().content }),
          );
        }
        for (const one of gone) pending.set(one.id, one);
        const wanted = ids.flatMap((id) => {
          const holders = [...model.values()].filter(({ own }) => own.get(id) !== undefined);
          const newest = holders.sort((a, b) => b.rank - a.rank)[0];
          return newest?.own.get(id) ?? [];
        });
        const text = composition.text();
        assert.ok(samePresence(wanted, readPresence(text)), text);
        const live = new Set(wanted.map(({ id }) => id));
        assert.equal(gone.map(({ id }) => id).sort(), [...had].filter((id) => !live.has(id)).sort());
        const told = readPresence(composition.text(pending.values())).devices;
        assert.is(told.length, new Set([...live, ...pending.keys()]).size);
        if (emitted.length < 800) emitted.push(text, composition.text(pending.values()));
      }
    }),
    { seed: 3903, numRuns: 100 },
  );
});

test.needs([XMLLINT], 'composed documents validate against the schemas', async () => {
  assert.ok(emitted.length > 200);
  assert.equal(await xmllint(emitted), []);
});
