import { createGruuMint, parseUri } from 'tiny-sip';
import * as assert from 'uvu/assert';
import { grOf } from '../../../src/tiny-sip/event/gruu.ts';
import { createFakeRandom } from '../../support/fake-random.ts';
import { suite } from '../../support/harness.ts';

const test = suite('tiny-sip gruu');

const aor = 'sip:callee@example.com';
const instance = '<urn:uuid:F81d4fae-7dec-11d0-a765-00a0c91e6bf6>';
const mint = (seed = 1) => createGruuMint({ random: createFakeRandom(seed) });

test('RFC 5627 §3.1.1: the public one is the AOR with the instance in gr, and the same for ever', () => {
  const text = mint(1).publicGruu(aor, instance);
  assert.is(text, 'sip:callee@example.com;gr=urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6');
  assert.is(mint(2).publicGruu(aor, instance), text);
  assert.equal(mint(3).read(parseUri(text)), {
    kind: 'public',
    aor,
    gr: 'urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6',
  });
});

test('an instance that is no UUID is named by a hash, which is a token', () => {
  for (const odd of ['<urn:x>', '<tag:a;b=c&d "e">', 'x'.repeat(5_000)]) {
    assert.match(grOf(odd), /^[-\w]{22}$/);
    assert.is(parseUri(mint().publicGruu(aor, odd)).params.get('gr'), grOf(odd));
  }
  assert.is.not(grOf('<urn:x>'), grOf('<urn:y>'));
});

test('RFC 5627 §5.1: temporary ones are all different, say nothing, and lead to their handle', () => {
  const one = mint();
  const mine = one.handle();
  const other = one.handle();
  assert.is.not(mine, other);
  const texts = Array.from({ length: 500 }, (_, n) => one.temporaryGruu(aor, n % 2 ? mine : other));
  assert.is(new Set(texts).size, 500);
  for (const [n, text] of texts.entries()) {
    assert.match(text, /^sip:tgruu\.[-\w]{35}@example\.com;gr$/);
    assert.not.match(text, /callee/);
    assert.equal(one.read(parseUri(text)), { kind: 'temporary', handle: n % 2 ? mine : other });
  }
  // Nothing that two of one handle have in common tells them from two of different ones: no character stays.
  const users = texts.map((text) => text.slice('sip:tgruu.'.length, 'sip:tgruu.'.length + 35));
  const shared = (a: string, b: string): number => [...a].filter((char, at) => char === b[at]).length;
  for (let n = 0; n + 2 < users.length; n += 1) assert.ok(shared(users[n] ?? '', users[n + 2] ?? '') < 10);
});

test('what this mint did not make, or somebody touched, is forged', () => {
  const one = mint();
  const text = one.temporaryGruu(aor, one.handle());
  assert.equal(mint(9).read(parseUri(text)), { kind: 'forged' });
  const user = parseUri(text).user ?? '';
  const bytes = Buffer.from(user.slice(6), 'base64url');
  for (let bit = 0; bit < bytes.length * 8; bit += 1) {
    const changed = Buffer.from(bytes);
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    const uri = parseUri(`sip:tgruu.${changed.toString('base64url')}@example.com;gr`);
    assert.equal(one.read(uri), { kind: 'forged' }, `bit ${bit}`);
  }
  for (const odd of ['tgruu.', 'tgruu.a', `${user}A`, `${user}=`, user.slice(0, -1)])
    assert.equal(one.read(parseUri(`sip:${odd}@example.com;gr`)), { kind: 'forged' }, odd);
});

test('a URI without gr is none, whatever its user is called', () => {
  assert.is(mint().read(parseUri('sip:tgruu.abc@example.com')), undefined);
  assert.is(mint().read(parseUri(aor)), undefined);
});

test('with the same key they outlive the process', () => {
  const key = createFakeRandom(4).bytes(32);
  const before = createGruuMint({ random: createFakeRandom(5) }, key);
  const handle = before.handle();
  const text = before.temporaryGruu(aor, handle);
  const after = createGruuMint({ random: createFakeRandom(6) }, key);
  assert.equal(after.read(parseUri(text)), { kind: 'temporary', handle });
});
