import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import * as assert from 'uvu/assert';
import { isCoded } from '../../src/base/errors.ts';
import { comparePresence } from '../../src/presence/compare.ts';
import { createPresenceDocument } from '../../src/presence/document.ts';
import { STATUS_NS } from '../../src/presence/namespaces.ts';
import { readPresence } from '../../src/presence/read.ts';
import { parseTime } from '../../src/presence/time.ts';
import { suite } from '../support/harness.ts';
import { AOR, freezer } from './devices.ts';

const test = suite('reading presence');

const example = (name: string): Buffer => readFileSync(join(import.meta.dirname, 'data', `${name}.xml`));

const PIDF = 'urn:ietf:params:xml:ns:pidf';
const DM = 'urn:ietf:params:xml:ns:pidf:data-model';
const RPID = 'urn:ietf:params:xml:ns:pidf:rpid';

/** The same document in five ways of writing namespaces. */
const STYLES: Record<string, string> = {
  'default namespace': `<presence xmlns="${PIDF}" xmlns:dm="${DM}" xmlns:rpid="${RPID}" entity="sip:a@b">
    <tuple id="t1"><status><basic>open</basic></status><dm:deviceID>urn:x:1</dm:deviceID>
    <contact priority="0.8">sip:a@b</contact><note xml:lang="en">hi</note><timestamp>2026-11-21T03:00:00Z</timestamp></tuple>
    <dm:person id="p1"><rpid:activities><rpid:busy/></rpid:activities></dm:person>
    <dm:device id="d1"><dm:deviceID>urn:x:1</dm:deviceID><dm:note>Door</dm:note></dm:device></presence>`,
  'a prefix for all': `<p:presence xmlns:p="${PIDF}" xmlns:dm="${DM}" xmlns:rpid="${RPID}" entity="sip:a@b">
    <p:tuple id="t1"><p:status><p:basic>open</p:basic></p:status><dm:deviceID>urn:x:1</dm:deviceID>
    <p:contact priority="0.8">sip:a@b</p:contact><p:note xml:lang="en">hi</p:note><p:timestamp>2026-11-21T03:00:00Z</p:timestamp></p:tuple>
    <dm:person id="p1"><rpid:activities><rpid:busy/></rpid:activities></dm:person>
    <dm:device id="d1"><dm:deviceID>urn:x:1</dm:deviceID><dm:note>Door</dm:note></dm:device></p:presence>`,
  'declared where used': `<presence xmlns="${PIDF}" entity="sip:a@b">
    <tuple id="t1"><status><basic>open</basic></status><deviceID xmlns="${DM}">urn:x:1</deviceID>
    <contact priority="0.8">sip:a@b</contact><note xml:lang="en">hi</note><timestamp>2026-11-21T03:00:00Z</timestamp></tuple>
    <person xmlns="${DM}" id="p1"><activities xmlns="${RPID}"><busy/></activities></person>
    <device xmlns="${DM}" id="d1"><deviceID>urn:x:1</deviceID><note>Door</note></device></presence>`,
  'another default': `<x:presence xmlns="${DM}" xmlns:x="${PIDF}" xmlns:y="${RPID}" entity="sip:a@b">
    <x:tuple id="t1"><x:status><x:basic>open</x:basic></x:status><deviceID>urn:x:1</deviceID>
    <x:contact priority="0.8">sip:a@b</x:contact><x:note xml:lang="en">hi</x:note><x:timestamp>2026-11-21T03:00:00Z</x:timestamp></x:tuple>
    <person id="p1"><y:activities><y:busy/></y:activities></person>
    <device id="d1"><deviceID>urn:x:1</deviceID><note>Door</note></device></x:presence>`,
  'misleading prefixes': `<rpid:presence xmlns:rpid="${PIDF}" xmlns:pidf="${DM}" entity="sip:a@b">
    <rpid:tuple id="t1"><rpid:status><rpid:basic>open</rpid:basic></rpid:status><pidf:deviceID>urn:x:1</pidf:deviceID>
    <rpid:contact priority="0.8">sip:a@b</rpid:contact><rpid:note xml:lang="en">hi</rpid:note><rpid:timestamp>2026-11-21T03:00:00Z</rpid:timestamp></rpid:tuple>
    <pidf:person id="p1"><dm:activities xmlns:dm="${RPID}"><dm:busy/></dm:activities></pidf:person>
    <pidf:device id="d1"><pidf:deviceID>urn:x:1</pidf:deviceID><pidf:note>Door</pidf:note></pidf:device></rpid:presence>`,
};

for (const [style, text] of Object.entries(STYLES)) {
  test(`S11: the same presence under every prefix style: ${style}`, () => {
    assert.equal(readPresence(text), {
      entity: 'sip:a@b',
      devices: [
        {
          id: 't1',
          basic: 'open',
          note: 'hi',
          contact: 'sip:a@b',
          timestamp: 1_795_230_000_000,
          deviceId: 'urn:x:1',
          name: 'Door',
          activity: 'busy',
        },
      ],
      notes: [],
      activities: ['busy'],
    });
  });
}

test('S11: names of other namespaces are not taken for those of PIDF', () => {
  const read = readPresence(
    `<presence xmlns="${PIDF}" entity="sip:a@b"><tuple id="t1"><status xmlns="urn:other"><basic>open</basic></status>` +
      `<status><basic xmlns="urn:other">closed</basic></status><note xmlns="">no</note></tuple></presence>`,
  );
  assert.equal(read.devices, [{ id: 't1' }]);
});

test('children come in any order, as a server that composes appends them', () => {
  const device = (n: number) =>
    `<dm:device id="d${n}"><dm:deviceID>urn:${n}</dm:deviceID><dm:note>D${n}</dm:note></dm:device>`;
  const tuple = (n: number) =>
    `<tuple id="t${n}"><note>n${n}</note><dm:deviceID>urn:${n}</dm:deviceID><status><basic>open</basic></status></tuple>`;
  const read = readPresence(
    `<presence xmlns="${PIDF}" xmlns:dm="${DM}" entity="sip:a@b">${device(2)}${tuple(1)}<note>first</note>` +
      `${device(1)}<dm:person id="p"/>${tuple(2)}<note>second</note></presence>`,
  );
  assert.equal(
    read.devices.map(({ id, name, note, basic }) => [id, name, note, basic]),
    [
      ['t1', 'D1', 'n1', 'open'],
      ['t2', 'D2', 'n2', 'open'],
    ],
  );
  assert.equal(read.notes, ['first', 'second']);
});

test('the examples of the RFCs', () => {
  const ids = (name: string) => readPresence(example(name)).devices.map(({ id, basic }) => `${id} ${basic}`);
  assert.equal(ids('rfc3863-s4.3.1-04-presence'), ['bs35r9 open', 'eg92n8 open']);
  assert.equal(ids('rfc3863-s4.3.2-05-presence'), ['ck38g9 open', 'md66je open']);
  assert.equal(ids('rfc4480-s4-01-presence'), ['bs35r9 open', 'ty4658 open', 'eg92n8 open']);
  const { devices, notes, activities } = readPresence(example('rfc4480-s4-01-presence'));
  assert.equal(notes, ["I'll be in Tokyo next week"]);
  assert.equal(activities, ['away']);
  assert.is(devices[0]?.name, 'PC');
  assert.is(devices[0]?.timestamp, parseTime('2005-10-27T16:49:29Z'));
  assert.is(readPresence(example('rfc4479-s7.1-01-presence')).devices[0]?.activity, 'on-the-phone');
  assert.equal(ids('rfc5262-s6-01-pidf-full'), ['sg89ae open', 'cg231jcr open', 'r1230d closed']);
});

test('an unknown status is neither open nor closed', () => {
  const of = (status: string) =>
    readPresence(
      `<presence xmlns="${PIDF}" entity="sip:a@b"><tuple id="t"><status>${status}</status></tuple></presence>`,
    ).devices[0]?.basic;
  assert.is(of(`<unknown xmlns="${STATUS_NS}"/>`), undefined);
  assert.is(of(''), undefined);
  assert.is(of('<basic>maybe</basic>'), undefined);
  assert.is(of('<basic> open\n</basic>'), 'open');
});

test('values come as records in the device or as a pack with base fields', () => {
  const of = (content: string) =>
    readPresence(
      `<presence xmlns="${PIDF}" xmlns:d="${DM}" xmlns:s="urn:ietf:params:xml:ns:senml" entity="sip:a@b">` +
        `<tuple id="t"><status/><d:deviceID>urn:x</d:deviceID></tuple>` +
        `<d:device id="d">${content}<d:deviceID>urn:x</d:deviceID></d:device></presence>`,
    ).devices[0]?.values;
  // RFC 8428 §5.1.2
  assert.equal(
    of(
      '<s:sensml><s:senml bn="urn:dev:ow:10e2073a0108006:" bt="1.276020076001e+09" bu="A" bver="5" n="voltage" u="V"' +
        ' v="120.1"></s:senml><s:senml n="current" t="-5" v="1.2"></s:senml></s:sensml>',
    ),
    [
      { n: 'urn:dev:ow:10e2073a0108006:voltage', u: 'V', v: 120.1, t: 1276020076.001 },
      { n: 'urn:dev:ow:10e2073a0108006:current', u: 'A', v: 1.2, t: 1276020071.001 },
    ],
  );
  assert.equal(
    of('<s:senml n="a" vb="1"/><s:senml n="b" vb="false"/><s:senml n="c" vs=""/><s:senml n="d" v="x"/>'),
    [
      { n: 'a', vb: true },
      { n: 'b', vb: false },
      { n: 'c', vs: '' },
    ],
  );
});

test('times with and without a zone', () => {
  assert.is(parseTime('2026-11-21T03:00:00Z'), 1_795_230_000_000);
  assert.is(parseTime('2026-11-21T04:00:00.5+01:00'), 1_795_230_000_500);
  assert.is(parseTime('2026-11-21T03:00:00'), 1_795_230_000_000);
  assert.is(parseTime('yesterday'), undefined);
  assert.is(parseTime('2026-13-41T03:00:00Z'), undefined);
});

test('another document is refused, and so is what is no document', () => {
  const code = (text: string | Uint8Array): string => {
    try {
      readPresence(text);
    } catch (error) {
      return isCoded(error) ? error.code : String(error);
    }
    return 'none';
  };
  assert.is(code('<presence entity="sip:a@b"/>'), 'PRES_NOT_PRESENCE');
  assert.is(code(example('rfc5262-s6-02-pidf-diff')), 'PRES_NOT_PRESENCE');
  assert.is(code('<presence'), 'XML_MALFORMED');
  assert.is(code(`<!DOCTYPE presence><presence xmlns="${PIDF}" entity="sip:a@b"/>`), 'XML_DOCTYPE');
  const good = Buffer.from(STYLES['a prefix for all'] ?? '');
  fc.assert(
    fc.property(fc.nat(good.length - 1), fc.integer({ min: 0, max: 255 }), (at, byte) => {
      const bad = Buffer.from(good);
      bad[at] = byte;
      assert.match(code(bad), /^(none|(XML|PRES)_\w+)$/);
    }),
    { seed: 307, numRuns: 1500 },
  );
});

test('read-back: what is missing, too much, or different', () => {
  const document = createPresenceDocument({ entity: AOR, detail: 'lean' });
  for (let n = 1; n <= 4; n += 1) document.set(freezer(n, n));
  const wanted = document.ids().flatMap((id) => document.get(id) ?? []);
  assert.equal(comparePresence(wanted, readPresence(document.full().content)), {
    missing: [],
    extra: [],
    changed: [],
  });
  document.remove(freezer(1, 1).id);
  document.set(freezer(2, 20));
  document.set(freezer(5, 5));
  assert.equal(comparePresence(wanted, readPresence(document.full().content)), {
    missing: [freezer(1, 1).id],
    extra: [freezer(5, 5).id],
    changed: [freezer(2, 2).id],
  });
});
