import * as fc from 'fast-check';
import * as assert from 'uvu/assert';
import { deviceElementId, deviceUrn, labelOf, personElementId, tupleId } from '../../src/presence/ids.ts';
import { isNcName } from '../../src/xml/names.ts';
import { suite } from '../support/harness.ts';
import { AOR, NAMES } from './devices.ts';

const test = suite('tuple ids');

test('S10: an id is an NCName whatever the device is called', () => {
  for (const name of NAMES) {
    const id = tupleId(AOR, name);
    assert.ok(isNcName(id), `${name}: ${id}`);
    assert.ok(isNcName(deviceElementId(id)) && isNcName(personElementId(id)));
    assert.ok(id.length <= 24, id);
  }
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 40 }), (name) => {
      assert.ok(isNcName(tupleId(AOR, name)), name);
      assert.ok(isNcName(tupleId(name, 'x')));
    }),
    { seed: 938, numRuns: 2000 },
  );
});

test('S10: an id starting with a digit gets something before it', () => {
  assert.match(tupleId(AOR, '2nd door'), /^_2nd-door-[0-9a-z]{5}$/);
  assert.match(tupleId(AOR, 'тест'), /^тест-[0-9a-z]{5}$/);
  assert.match(tupleId(AOR, '門'), /^t-[0-9a-z]{5}$/);
});

test('ids stay the same for ever: entity-tags and watchers outlive restarts', () => {
  assert.is(tupleId(AOR, 'freezer'), 'freezer-j13x6');
  assert.is(deviceUrn(AOR, 'freezer'), 'urn:uuid:7b8be4a0-d914-51d3-b4ca-1c11d2be9e28');
});

test('ids differ where devices or AORs differ', () => {
  const ids = new Set<string>();
  const urns = new Set<string>();
  for (const aor of ['sip:a@x.example', 'sip:b@x.example', 'sip:a@y.example']) {
    for (let n = 0; n < 500; n += 1) {
      ids.add(tupleId(aor, `device ${n}`));
      urns.add(deviceUrn(aor, `device ${n}`));
    }
  }
  assert.is(ids.size, 1500);
  assert.is(urns.size, 1500);
  // What is written the same in the readable part is told apart by the rest.
  assert.is.not(tupleId(AOR, '2nd door'), tupleId(AOR, '2nd-door'));
  assert.is.not(tupleId(AOR, `${'x'.repeat(50)}1`), tupleId(AOR, `${'x'.repeat(50)}2`));
  assert.is.not(tupleId('sip:a@x', 'b'), tupleId('sip:a@xb', ''));
});

test('no device or person element has the id of a tuple', () => {
  const ids = new Set(NAMES.map((name) => tupleId(AOR, name)));
  for (const name of NAMES) {
    const id = tupleId(AOR, name);
    assert.not.ok(ids.has(deviceElementId(id)) || ids.has(personElementId(id)));
    assert.not.match(id, /\.[dp]$/);
  }
});

test('people can tell the device by its id', () => {
  assert.is(labelOf(tupleId(AOR, 'freezer')), 'freezer');
  assert.is(labelOf(tupleId(AOR, '2nd door')), '2nd-door');
  assert.is(labelOf('sg89ae'), 'sg89ae');
});

test('a device URN is a version 5 UUID', () => {
  assert.match(
    deviceUrn(AOR, 'freezer'),
    /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
  );
});
