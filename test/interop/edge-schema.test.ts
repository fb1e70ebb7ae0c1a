/** Every document that the edge sends is valid, whoever published what of it and whatever has expired. */
import * as assert from 'uvu/assert';
import { createPresenceDocument } from '../../src/presence/document.ts';
import { deviceUrn, tupleId } from '../../src/presence/ids.ts';
import { createLab, noteDiff, PIDF_DIFF, pidf } from '../edge/lab.ts';
import { suite } from '../support/harness.ts';
import { XMLLINT, xmllint } from '../support/peers/xmllint.ts';

const test = suite('edge and the schemas', { timeout: 30_000 });

const GW = 'sip:gw@test.local';

function document(name: string, aor: string, own = false): string {
  const presence = createPresenceDocument({ entity: aor, detail: 'full', own });
  presence.set({
    id: tupleId(aor, name),
    deviceId: deviceUrn(aor, name),
    basic: 'open',
    note: 'too warm: -9 °C & rising <soon>',
    name: `Freezer “${name}”`,
    contact: aor,
    timestamp: Date.UTC(2026, 5, 1),
    activity: 'busy',
    values: [
      { n: 'temperature', u: 'Cel', v: -9.5, t: 1_780_000_000 },
      { n: 'door', vs: 'open' },
      { n: 'on', vb: true },
    ],
  });
  if (own) return presence.full().content;
  // Unknown: no basic status, but what stands in for it.
  presence.set({ id: tupleId(aor, `${name} 2`), deviceId: deviceUrn(aor, `${name} 2`), note: 'no answer' });
  return presence.full().content;
}

/** Documents of other programs: another default namespace, foreign prefixes, children in another order. */
const FOREIGN = [
  `<p:presence xmlns:p="urn:ietf:params:xml:ns:pidf" entity="pres:gw@test.local">
     <p:tuple id="foreign"><p:status><p:basic>open</p:basic></p:status><p:contact>tel:+4930</p:contact><p:note>hi</p:note></p:tuple>
     <p:note xml:lang="de">hallo</p:note></p:presence>`,
  `<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:p="urn:ietf:params:xml:ns:pidf:data-model"
     xmlns:d="urn:ietf:params:xml:ns:pidf:rpid" entity="pres:gw@test.local">
     <tuple id="phone"><status><basic>closed</basic></status></tuple>
     <p:person id="me"><d:activities><d:away/></d:activities></p:person></presence>`,
];

test.needs([XMLLINT], 'S10: composed, changed, expired and empty documents are valid', async () => {
  const lab = await createLab({ options: { linger: 100_000 } });
  const gw = await lab.phone('gw');
  const alice = await lab.phone('alice');
  const step = async (): Promise<void> => lab.clock.advance(6_000);
  await alice.subscribe(GW, { Expires: 3_600 });
  await alice.subscribe('sip:dev-1@test.local', { Expires: 3_600 });
  await step();

  assert.is((await gw.publish(document('freezer', GW), { Expires: 60 })).status, 200);
  await step();
  for (const [n, body] of FOREIGN.entries()) {
    assert.is((await gw.publish(body, { Expires: 70 + 10 * n })).status, 200);
    await step();
  }
  const own = document('lamp', 'sip:dev-1@test.local', true);
  assert.is((await gw.publish(own, {}, 'sip:dev-1@test.local')).status, 200);
  const initial = await gw.publish(pidf({ door: 'shut' }), { Expires: 600 });
  const diff = { 'Content-Type': PIDF_DIFF, 'SIP-If-Match': initial.get('SIP-ETag'), Expires: 90 };
  assert.is((await gw.publish(noteDiff('door', 'ajar &amp; cold'), diff)).status, 200);
  for (let n = 0; n < 50; n += 1) await step();

  const said = alice.notified.map((one) => one.request.text());
  assert.ok(said.length >= 10, `${said.length} NOTIFYs`);
  assert.ok(said.some((text) => text.includes('temperature') && text.includes('foreign')));
  assert.ok(said.some((text) => text.includes('closed') && text.includes('ajar')));
  assert.ok(said.at(-1)?.includes('offline'));
  assert.equal(await xmllint(said), []);
  await lab.close();
});
