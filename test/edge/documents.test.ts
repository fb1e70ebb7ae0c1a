import fc from 'fast-check';
import * as assert from 'uvu/assert';
import { createDocuments, type Documents, type Published } from '../../src/edge/documents.ts';
import { applyPresence } from '../../src/presence/apply.ts';
import { readPresence } from '../../src/presence/read.ts';
import type { XmlDocument } from '../../src/xml/tree.ts';
import { suite } from '../support/harness.ts';

const test = suite('edge documents');

const RESOURCE = 'sip:gw@test.local';

type Tuples = Readonly<Record<string, string>>;

function pidf(tuples: Tuples, person = ''): XmlDocument {
  const inner = Object.entries(tuples).map(
    ([id, note]) => `<tuple id="${id}"><status><basic>open</basic></status><note>${note}</note></tuple>`,
  );
  const body = `<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="pres:gw@test.local">${inner.join('')}${person}</presence>`;
  return applyPresence(undefined, { contentType: 'application/pidf+xml', body });
}

let serial = 0;

function published(tuples: Tuples, previous?: Published, more: Partial<Published> = {}): Published {
  serial += 1;
  return {
    id: previous?.id ?? serial,
    order: serial,
    resource: RESOURCE,
    tag: `t${serial}`,
    expiresAt: 0,
    document: pidf(tuples),
    size: 100,
    ...more,
  };
}

/** What a watcher reads, as `id: basic note`, sorted. */
function seen(documents: Documents): string[] {
  const { entity, devices } = readPresence(documents.text(RESOURCE));
  assert.is(entity, RESOURCE);
  return devices.map(({ id, basic, note }) => `${id}: ${basic} ${note ?? ''}`.trim()).sort();
}

test('nobody published: one closed tuple', () => {
  const documents = createDocuments({ narrowed: () => {}, forgotten: () => {} });
  assert.equal(seen(documents), ['offline: closed']);
  assert.match(
    documents.text(RESOURCE),
    /<presence xmlns="[^"]+" entity="sip:gw@test.local"><tuple id="offline"><status><basic>closed<\/basic><\/status><\/tuple><\/presence>$/,
  );
});

test('segments come together, and the newest wins per tuple', () => {
  const documents = createDocuments({ narrowed: () => {}, forgotten: () => {} });
  const a = published({ door: 'shut' });
  const b = published({ freezer: '-18' });
  documents.put(a, undefined);
  documents.put(b, undefined);
  assert.equal(seen(documents), ['door: open shut', 'freezer: open -18']);
  const again = published({ door: 'open' }, a);
  documents.put(again, a);
  assert.equal(seen(documents), ['door: open open', 'freezer: open -18']);
  assert.is(documents.publications, 2);
  assert.is(documents.tuples, 2);
});

test('S3: an initial publication beside a live one hides it, and its expiry is not seen', () => {
  const gone: number[] = [];
  const documents = createDocuments({ narrowed: () => {}, forgotten: (one) => void gone.push(one.id) });
  const orphan = published({ door: 'before the crash' });
  const fresh = published({ door: 'after it' });
  documents.put(orphan, undefined);
  documents.put(fresh, undefined);
  assert.equal(seen(documents), ['door: open after it']);
  assert.equal(documents.expire(orphan), []);
  assert.equal(seen(documents), ['door: open after it']);
});

test('what expired is closed, without what was true before, then gone', () => {
  const gone: number[] = [];
  const documents = createDocuments({ narrowed: () => {}, forgotten: (one) => void gone.push(one.id) });
  const a = published({ door: 'shut', freezer: '-18' });
  documents.put(a, undefined);
  assert.equal(documents.expire(a), ['door', 'freezer']);
  assert.equal(seen(documents), ['door: closed', 'freezer: closed']);
  assert.is(documents.publications, 0);
  assert.ok(documents.forget(a));
  assert.equal(seen(documents), ['offline: closed']);
  assert.equal(gone, [a.id]);
  assert.is(documents.bytes, 0);
  assert.is(documents.forget(a), false);
});

test('what was removed is not closed but gone', () => {
  const documents = createDocuments({ narrowed: () => {}, forgotten: () => {} });
  const a = published({ door: 'shut' });
  const b = published({ freezer: '-18' });
  documents.put(a, undefined);
  documents.put(b, undefined);
  documents.remove(a);
  assert.equal(seen(documents), ['freezer: open -18']);
  documents.remove(b);
  assert.equal(seen(documents), ['offline: closed']);
});

test('a device that is back and then removed does not come back as closed', () => {
  const gone: number[] = [];
  const documents = createDocuments({ narrowed: () => {}, forgotten: (one) => void gone.push(one.id) });
  const a = published({ door: 'shut', freezer: '-18' });
  documents.put(a, undefined);
  documents.expire(a);
  const b = published({ door: 'back' });
  documents.put(b, undefined);
  assert.equal(seen(documents), ['door: open back', 'freezer: closed']);
  documents.remove(b);
  assert.equal(seen(documents), ['freezer: closed']);
  const c = published({ freezer: 'back' });
  documents.put(c, undefined);
  assert.equal(gone, [a.id]);
});

test('a refresh changes the tag and nothing else', () => {
  const documents = createDocuments({ narrowed: () => {}, forgotten: () => {} });
  const a = published({ door: 'shut' });
  documents.put(a, undefined);
  const text = documents.text(RESOURCE);
  const b = { ...a, tag: 'new', expiresAt: 99 };
  documents.put(b, a);
  assert.is(documents.find(RESOURCE, a.tag), undefined);
  assert.is(documents.find(RESOURCE, 'new'), b);
  assert.is(documents.text(RESOURCE), text);
  assert.is(documents.tuples, 1);
});

test('whatever happens, a watcher sees what is true', () => {
  const ids = ['a', 'b', 'c', 'd'];
  const step = fc.record({
    what: fc.constantFrom('publish', 'modify', 'refresh', 'remove', 'expire', 'forget'),
    which: fc.nat(9),
    tuples: fc.subarray(ids),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const forgotten = new Set<number>();
      const documents = createDocuments({
        narrowed: () => {},
        forgotten: (one) => void forgotten.add(one.id),
      });
      const live: Published[] = [];
      const expired: Published[] = [];
      // The model: who said what last about each tuple; and which are closed since nobody says anything any more.
      const notes = new Map<Published['id'], Map<string, string>>();
      const closed = new Map<string, number>();
      let value = 0;

      const put = (previous: Published | undefined, chosen: readonly string[]): void => {
        const tuples = Object.fromEntries(chosen.map((id) => [id, `v${++value}`]));
        const next = published(tuples, previous);
        documents.put(next, previous);
        if (previous) live.splice(live.indexOf(previous), 1);
        live.push(next);
        notes.set(next.id, new Map(Object.entries(tuples)));
        for (const id of chosen) closed.delete(id);
      };
      const speaks = (id: string): Published | undefined =>
        live.filter((one) => notes.get(one.id)?.has(id)).sort((x, y) => y.order - x.order)[0];

      for (const { what, which, tuples } of steps) {
        const one = live[which % Math.max(1, live.length)];
        const old = expired[which % Math.max(1, expired.length)];
        if (what === 'publish') put(undefined, tuples);
        else if (what === 'modify' && one) put(one, tuples);
        else if (what === 'refresh' && one) {
          const next = { ...one, tag: `r${++value}` };
          documents.put(next, one);
          live[live.indexOf(one)] = next;
        } else if (what === 'remove' && one) {
          documents.remove(one);
          live.splice(live.indexOf(one), 1);
        } else if (what === 'expire' && one) {
          live.splice(live.indexOf(one), 1);
          const lost = [...(notes.get(one.id)?.keys() ?? [])].filter((id) => !speaks(id));
          assert.equal(documents.expire(one).sort(), lost.sort());
          for (const id of lost) closed.set(id, one.id);
          if (lost.length > 0) expired.push(one);
        } else if (what === 'forget' && old) {
          const shown = [...closed.values()].includes(old.id);
          assert.is(documents.forget(old), shown);
          for (const [id, by] of closed) if (by === old.id) closed.delete(id);
        }
        const truth = ids.flatMap((id) => {
          const by = speaks(id);
          if (by) return [`${id}: open ${notes.get(by.id)?.get(id)}`];
          return closed.has(id) ? [`${id}: closed`] : [];
        });
        const nothing = live.length === 0 && closed.size === 0;
        assert.equal(seen(documents), nothing ? ['offline: closed'] : truth.sort());
        assert.is(documents.publications, live.length);
        assert.is([...documents.all()].length, live.length + new Set(closed.values()).size);
      }
    }),
    { numRuns: 300 },
  );
});
