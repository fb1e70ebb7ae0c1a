import { type Algorithm, createDigestClient, hashPassword } from 'tiny-sip';
import * as assert from 'uvu/assert';
import { createAccounts } from '../../src/edge/accounts.ts';
import { createDomain } from '../../src/edge/domain.ts';
import { createGate } from '../../src/edge/gate.ts';
import type { EdgeUser } from '../../src/edge/options.ts';
import { createFakeClock } from '../support/fake-clock.ts';
import { createFakeRandom } from '../support/fake-random.ts';
import { suite } from '../support/harness.ts';
import { arrive, fakeFlow, request } from './incoming.ts';

const test = suite('edge gate');

function lab(users: Record<string, string | EdgeUser>, localUser?: string, algorithms?: Algorithm[]) {
  const clock = createFakeClock();
  const random = createFakeRandom();
  const domain = createDomain({ domains: ['test.local', 'other.local'], aliases: ['192.0.2.9'] });
  domain.listening({ host: '192.0.2.254', port: 5060 });
  const accounts = createAccounts(domain, ['test.local', 'other.local'], users, algorithms);
  const gate = createGate({ clock, random }, { domain, accounts: () => accounts, localUser });
  const ask = (
    from: string,
    username: string,
    password: string,
    proxy = false,
    protocol: 'udp' | 'memory' = 'udp',
    digestUri = 'sip:bob@test.local',
  ) => {
    const round = createDigestClient({ random }, { username, password }).begin();
    const make = () =>
      request(`MESSAGE sip:bob@test.local SIP/2.0
        Via: SIP/2.0/UDP a;branch=z9hG4bK1
        From: <${from}>;tag=1
        To: <sip:bob@test.local>
        Call-ID: x
        CSeq: 1 MESSAGE`);
    const flow = fakeFlow(protocol, { host: '10.0.0.1', port: 5060 });
    const first = gate.identify(arrive(make(), flow), proxy);
    if (first.ok || username === '') return first;
    const challenge = arrive(make(), flow);
    challenge.respond(first.status, first);
    if (!round.challenged(challenge.response)) return first;
    const signed = make();
    signed.uri = digestUri;
    round.authorize(signed);
    const second = make();
    for (const name of ['Authorization', 'Proxy-Authorization'])
      for (const line of signed.lines(name)) second.add(name, line);
    return gate.identify(arrive(second, flow), proxy);
  };
  return { ask, domain, accounts };
}

test('the right password makes the sender who the From says', () => {
  const { ask } = lab({ alice: 'secret' });
  const verdict = ask('sip:alice@test.local', 'alice', 'secret');
  assert.ok(verdict.ok && verdict.user === 'alice' && verdict.aor === 'sip:alice@test.local');
  assert.ok(ask('sip:alice@test.local', 'alice', 'secret', true).ok);
});

test('a wrong password, an unknown user and none at all get a challenge', () => {
  const { ask } = lab({ alice: 'secret' });
  for (const [user, password] of [
    ['alice', 'wrong'],
    ['nobody', 'x'],
    ['', ''],
  ] as const) {
    const verdict = ask('sip:alice@test.local', user, password);
    assert.ok(!verdict.ok && verdict.status === 401 && verdict.headers?.['WWW-Authenticate'] !== undefined);
    const proxied = ask('sip:alice@test.local', user, password, true);
    assert.ok(!proxied.ok && proxied.status === 407);
  }
});

test('hashes serve instead of a password, whichever there are', () => {
  for (const algorithm of ['MD5', 'SHA-256'] as const) {
    const ha1 = { [algorithm]: hashPassword(algorithm, 'alice', 'test.local', 'secret') };
    const { ask, accounts } = lab({ alice: { ha1 }, bob: 'b' });
    assert.equal(accounts.algorithms, [algorithm]);
    assert.ok(ask('sip:alice@test.local', 'alice', 'secret').ok);
    assert.ok(ask('sip:bob@test.local', 'bob', 'b').ok);
    assert.not.ok(ask('sip:alice@test.local', 'alice', 'wrong').ok);
  }
});

test('S38: one challenge by default, since some phones choke on more; more when they are wanted', () => {
  const challenges = (algorithms?: ('MD5' | 'SHA-256')[]): string[] => {
    const { ask } = lab({ alice: 'secret' }, undefined, algorithms);
    const verdict = ask('sip:alice@test.local', '', '');
    const lines = verdict.ok ? [] : [verdict.headers?.['WWW-Authenticate'] ?? []].flat();
    assert.ok(ask('sip:alice@test.local', 'alice', 'secret').ok);
    return lines.map((line) => /algorithm=([\w-]+)/.exec(line)?.[1] ?? '');
  };
  assert.equal(challenges(), ['MD5']);
  assert.equal(challenges(['SHA-256']), ['SHA-256']);
  assert.equal(challenges(['SHA-256', 'MD5']), ['SHA-256', 'MD5']);
});

test('users without a common algorithm are an error of the configuration', () => {
  const users = { alice: { ha1: { MD5: 'x' } }, bob: { ha1: { 'SHA-256': 'y' } } };
  assert.throws(
    () => lab(users),
    (error: Error) => 'code' in error && error.code === 'EDGE_NO_ALGORITHM',
  );
});

test('a user name may carry the domain where the password is known', () => {
  const { ask } = lab({ alice: 'secret' });
  const verdict = ask('sip:alice@test.local', 'alice@test.local', 'secret');
  assert.ok(verdict.ok && verdict.user === 'alice');
  assert.not.ok(ask('sip:alice@test.local', 'alice@evil.example', 'secret').ok);
});

test('a user speaks for its own addresses only: in every domain, listed, or by pattern', () => {
  const { ask } = lab({
    alice: 'secret',
    bob: 'b',
    gw: { password: 'g', aors: ['sip:lamp@test.local', 'sip:*-hall.3@test.local', 'sip:dev+*@other.local'] },
  });
  const as = (from: string, user: string, password: string): number => {
    const verdict = ask(from, user, password);
    return verdict.ok ? 200 : verdict.status;
  };
  assert.is(as('sip:alice@other.local', 'alice', 'secret'), 200);
  assert.is(as('sip:alice@192.0.2.9', 'alice', 'secret'), 200);
  assert.is(as('sip:alice@192.0.2.254:5060', 'alice', 'secret'), 200);
  assert.is(as('sip:bob@test.local', 'alice', 'secret'), 403);
  assert.is(as('sip:alice@evil.example', 'alice', 'secret'), 403);
  assert.is(as('sip:test.local', 'alice', 'secret'), 403);
  assert.is(as('sip:lamp@test.local', 'gw', 'g'), 200);
  assert.is(as('sip:lamp@other.local', 'gw', 'g'), 403);
  assert.is(as('sip:door-hall.3@test.local', 'gw', 'g'), 200);
  assert.is(as('sip:door-hallx3@test.local', 'gw', 'g'), 403);
  assert.is(as('sip:dev+9@other.local', 'gw', 'g'), 200);
  assert.is(as('sip:devv9@other.local', 'gw', 'g'), 403);
});

test('requests inside the process are believed only when that was set, and only for that user', () => {
  const closed = lab({ gw: 'g', alice: 'a' });
  assert.not.ok(closed.ask('sip:gw@test.local', '', '', false, 'memory').ok);
  const open = lab({ gw: 'g', alice: 'a' }, 'gw');
  assert.ok(open.ask('sip:gw@test.local', '', '', false, 'memory').ok);
  assert.not.ok(open.ask('sip:gw@test.local', '', '', false, 'udp').ok);
  const other = open.ask('sip:alice@test.local', '', '', false, 'memory');
  assert.ok(!other.ok && other.status === 403);
});

test('an address of record that the edge cannot serve is an error of the configuration', () => {
  for (const aor of ['sip:x@evil.example', 'sip:*@*', 'sip:*@evil.example', 'nonsense', 'sip:test.local'])
    assert.throws(
      () => lab({ gw: { password: 'g', aors: [aor] } }),
      (error: Error) => 'code' in error && error.code === 'EDGE_BAD_AOR',
    );
});

test('known are the addresses of all users, in all their spellings', () => {
  const { domain, accounts } = lab({ alice: 'a', gw: { password: 'g', aors: ['sip:dev-*@test.local'] } });
  const known = (uri: string): boolean => {
    const aor = domain.aor(uri);
    return aor !== undefined && accounts.known(aor);
  };
  assert.ok(known('sip:alice@TEST.local'));
  assert.ok(known('sip:%61lice@test.local;transport=tcp'));
  assert.ok(known('pres:alice@test.local'));
  assert.ok(known('sip:dev-12@test.local'));
  assert.not.ok(known('sip:Alice@test.local'));
  assert.not.ok(known('sip:carol@test.local'));
  assert.not.ok(known('sips:alice@test.local'));
  assert.not.ok(known('sip:alice@192.0.2.254:9999'));
});

test('credentials made for another server are worth nothing here, whatever way of naming us is fine', () => {
  const { ask } = lab({ alice: 'secret' });
  const as = (uri: string): number => {
    const verdict = ask('sip:alice@test.local', 'alice', 'secret', false, 'udp', uri);
    return verdict.ok ? 200 : verdict.status;
  };
  assert.is(as('sip:bob@test.local'), 200);
  assert.is(as('sip:test.local:5060;transport=udp'), 200);
  assert.is(as('sip:192.0.2.254:5060'), 200);
  assert.is(as('sip:evil.example'), 400);
  assert.is(as('sip:bob@evil.example'), 400);
});
