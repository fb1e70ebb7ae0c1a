import { createLocation, type Flow, type SipResponse } from 'tiny-sip';
import * as assert from 'uvu/assert';
import { silentLog } from '../../src/base/log.ts';
import { createAccounts } from '../../src/edge/accounts.ts';
import { createDomain } from '../../src/edge/domain.ts';
import { createGate } from '../../src/edge/gate.ts';
import type { EdgeUser } from '../../src/edge/options.ts';
import { createRegistrar } from '../../src/edge/registrar.ts';
import { createFakeClock } from '../support/fake-clock.ts';
import { createFakeRandom } from '../support/fake-random.ts';
import { suite } from '../support/harness.ts';
import { arrive, fakeFlow, request } from './incoming.ts';

const test = suite('registrar');

function lab(more: { bindings?: number; bindingsPerAor?: number; users?: Record<string, EdgeUser> } = {}) {
  const clock = createFakeClock();
  const domain = createDomain({ domains: ['test.local'] });
  domain.listening({ host: '192.0.2.254', port: 5060 });
  const users = more.users ?? {
    alice: { password: 'a' },
    gw: { password: 'g', aors: ['sip:dev-*@test.local'] },
  };
  const accounts = createAccounts(domain, ['test.local'], users);
  const saved: string[] = [];
  const location = createLocation(
    { clock, after: (ms, run) => clock.after(ms, run) },
    {
      save: (record) => void saved.push(`+${record.key}`),
      drop: (_aor, key) => void saved.push(`-${key}`),
    },
  );
  // Who sends is not the matter here: every request comes from inside.
  let user = 'alice';
  const gate = {
    ...createGate({ clock, random: createFakeRandom() }, { domain, accounts: () => accounts }),
    identify: () => ({ ok: true as const, user, aor: `sip:${user}@test.local` }),
  };
  const registrar = createRegistrar(
    { clock, log: silentLog, location, gate, domain, accounts: () => accounts },
    {
      expires: { min: 60_000, max: 3_600_000, default: 1_800_000 },
      bindings: more.bindings ?? 100,
      bindingsPerAor: more.bindingsPerAor ?? 10,
    },
  );
  let cseq = 0;
  const register = (
    lines: string,
    options: { flow?: Flow; to?: string; uri?: string; callId?: string; cseq?: number; via?: string } = {},
  ): SipResponse => {
    cseq = options.cseq ?? cseq + 1;
    const incoming = arrive(
      request(
        `REGISTER ${options.uri ?? 'sip:test.local'} SIP/2.0
        Via: SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bK${cseq}
        ${options.via ?? ''}
        From: <sip:${user}@test.local>;tag=f
        To: <${options.to ?? `sip:${user}@test.local`}>
        Call-ID: ${options.callId ?? 'call'}
        CSeq: ${cseq} REGISTER
        Max-Forwards: 70
        ${lines}`.replace(/\n\s*(?=\n)/g, ''),
      ),
      options.flow ?? fakeFlow(),
    );
    registrar.handle(incoming);
    return incoming.response;
  };
  return {
    clock,
    location,
    register,
    saved,
    counts: registrar.counts,
    as: (name: string) => {
      user = name;
    },
    contacts: (aor = 'sip:alice@test.local') => location.list(aor).map((binding) => binding.contact),
  };
}

test('a binding is added, listed, queried, refreshed and removed', async () => {
  const { register, contacts, clock } = lab();
  const added = register('Contact: <sip:alice@192.0.2.1:5070>;expires=600;+x="y z"');
  assert.is(added.status, 200);
  assert.is(added.get('Contact'), '<sip:alice@192.0.2.1:5070>;+x="y z";expires=600');
  assert.ok(added.has('Date'));
  await clock.advance(100_000);
  assert.match(register('').get('Contact') ?? '', /expires=500$/);
  assert.match(
    register('Contact: <sip:alice@192.0.2.1:5070>\nExpires: 700').get('Contact') ?? '',
    /expires=700$/,
  );
  const removed = register('Contact: <sip:alice@192.0.2.1:5070>;expires=0');
  assert.is(removed.status, 200);
  assert.not.ok(removed.has('Contact'));
  assert.equal(contacts(), []);
});

test('expiry comes from the parameter, the header, the default, and is cut at the maximum', () => {
  const { register } = lab();
  const granted = (lines: string): string => register(lines).get('Contact') ?? '';
  assert.match(granted('Contact: <sip:a@192.0.2.1>;expires=90\nExpires: 300'), /expires=90$/);
  assert.match(granted('Contact: <sip:a@192.0.2.1>\nExpires: 300'), /expires=300$/);
  assert.match(granted('Contact: <sip:a@192.0.2.1>'), /expires=1800$/);
  assert.match(granted('Contact: <sip:a@192.0.2.1>;expires=999999'), /expires=3600$/);
  assert.match(granted('Contact: <sip:a@192.0.2.1>;expires=soon'), /expires=3600$/);
});

test('too brief an interval gets 423 and changes nothing', () => {
  const { register, contacts } = lab();
  const refused = register('Contact: <sip:a@192.0.2.1>;expires=600, <sip:b@192.0.2.1>;expires=59');
  assert.is(refused.status, 423);
  assert.is(refused.get('Min-Expires'), '60');
  assert.equal(contacts(), []);
});

test('a binding expires by itself', async () => {
  const { register, contacts, clock, location, saved } = lab();
  register('Contact: <sip:a@192.0.2.1>;expires=60');
  await clock.advance(59_000);
  assert.is(contacts().length, 1);
  await clock.advance(2_000);
  assert.equal(contacts(), []);
  assert.is(location.size, 0);
  assert.equal(saved, ['+sip:a@192.0.2.1', '-sip:a@192.0.2.1']);
});

test('contacts are compared as URIs, not as text', () => {
  const { register, contacts } = lab();
  register('Contact: <sip:alice@192.0.2.1:5070;transport=udp>;expires=600');
  register('Contact: "Alice" <SIP:%61lice@192.0.2.1:5070;Transport=UDP>;expires=600');
  assert.is(contacts().length, 1);
  register('Contact: <sip:alice@192.0.2.1:5071;transport=udp>;expires=600');
  assert.is(contacts().length, 2);
});

test('* removes everything, and only with Expires 0', () => {
  const { register, contacts } = lab();
  register('Contact: <sip:a@192.0.2.1>, <sip:b@192.0.2.1>');
  assert.is(register('Contact: *').status, 400);
  assert.is(register('Contact: *\nExpires: 10').status, 400);
  assert.is(contacts().length, 2);
  assert.is(register('Contact: *\nExpires: 0').status, 200);
  assert.equal(contacts(), []);
});

test('a request that was overtaken changes nothing', () => {
  const { register, contacts } = lab();
  register('Contact: <sip:a@192.0.2.1>;expires=600', { cseq: 5 });
  assert.is(register('Contact: <sip:a@192.0.2.1>;expires=0', { cseq: 4 }).status, 500);
  assert.is(register('Contact: *\nExpires: 0', { cseq: 5 }).status, 500);
  assert.is(contacts().length, 1);
  // Another client has numbers of its own.
  assert.is(register('Contact: <sip:a@192.0.2.1>;expires=0', { cseq: 1, callId: 'other' }).status, 200);
  assert.equal(contacts(), []);
});

test('all changes of a request happen, or none', () => {
  const { register, contacts } = lab();
  register('Contact: <sip:a@192.0.2.1>;expires=600', { cseq: 9, callId: 'one' });
  const refused = register('Contact: <sip:b@192.0.2.1>;expires=600, <sip:a@192.0.2.1>;expires=0', {
    cseq: 3,
    callId: 'one',
  });
  assert.is(refused.status, 500);
  assert.equal(contacts(), ['sip:a@192.0.2.1']);
});

test('of one contact given twice the last word counts', () => {
  const { register } = lab();
  const answer = register('Contact: <sip:a@192.0.2.1>;expires=600, <sip:a@192.0.2.1>;expires=700');
  assert.equal(answer.all('Contact'), ['<sip:a@192.0.2.1>;expires=700']);
});

test('S42: contacts of one address of record and of all are bounded; a refresh still works at the bound', () => {
  const { register, counts } = lab({ bindings: 3, bindingsPerAor: 2 });
  register('Contact: <sip:a@192.0.2.1>, <sip:b@192.0.2.1>');
  const refused = register('Contact: <sip:c@192.0.2.1>');
  assert.is(refused.status, 503);
  assert.ok(refused.has('Retry-After'));
  assert.is(register('Contact: <sip:a@192.0.2.1>').status, 200);
  assert.is(counts().full, 1);
});

test('contacts that are no SIP address, or the server itself, are refused', () => {
  const { register } = lab();
  assert.is(register('Contact: <mailto:a@b.example>').status, 400);
  assert.is(register('Contact: <sip:alice@test.local>').status, 400);
  assert.is(register('Contact: <sip:alice@192.0.2.254:5060>').status, 400);
});

test('only what is ours is registered', () => {
  const { register, as } = lab();
  assert.is(register('', { to: 'sip:gw@test.local' }).status, 403);
  assert.is(register('', { to: 'sip:nobody@test.local' }).status, 404);
  assert.is(register('', { to: 'sip:alice@elsewhere.example' }).status, 404);
  assert.is(register('', { uri: 'sip:elsewhere.example' }).status, 404);
  assert.is(register('', { uri: 'sip:alice@test.local' }).status, 400);
  as('gw');
  assert.is(register('', { to: 'sip:dev-1@test.local' }).status, 200);
  assert.is(register('', { to: 'sip:alice@test.local' }).status, 403);
});

test('the address of the listener stands for the domain', () => {
  const { register, contacts } = lab();
  const answer = register('Contact: <sip:alice@192.0.2.1:5070>', {
    uri: 'sip:192.0.2.254',
    to: 'sip:alice@192.0.2.254:5060',
  });
  assert.is(answer.status, 200);
  assert.is(contacts().length, 1);
});

test('RFC 5626: instance and reg-id make the binding; the contact and flow may change', () => {
  const { register, location } = lab();
  const instance = '+sip.instance="<urn:uuid:00000000-0000-1000-8000-000a95a0e128>"';
  const first = fakeFlow('tcp');
  const answer = register(`Contact: <sip:a@10.0.0.1:1>;${instance};reg-id=1\nSupported: path, outbound`, {
    flow: first,
  });
  assert.is(answer.get('Require'), 'outbound');
  const second = fakeFlow('tcp');
  register(`Contact: <sip:a@10.0.0.2:2>;${instance};reg-id=1\nSupported: outbound`, { flow: second });
  const list = location.list('sip:alice@test.local');
  assert.equal(
    list.map((binding) => [binding.contact, binding.flow]),
    [['sip:a@10.0.0.2:2', second]],
  );
  register(`Contact: <sip:a@10.0.0.3:3>;${instance};reg-id=2\nSupported: outbound`);
  assert.is(location.list('sip:alice@test.local').length, 2);
  location.flowClosed(first);
  assert.is(location.list('sip:alice@test.local').length, 2);
  location.flowClosed(second);
  assert.is(location.list('sip:alice@test.local').length, 1);
});

test('RFC 5626: no Require without outbound support, and one contact per flow', () => {
  const { register } = lab();
  const instance = '+sip.instance="<urn:x>"';
  assert.not.ok(register(`Contact: <sip:a@10.0.0.1>;${instance};reg-id=1`).has('Require'));
  assert.not.ok(register('Contact: <sip:a@10.0.0.1>;reg-id=1\nSupported: outbound').has('Require'));
  assert.is(register(`Contact: <sip:a@10.0.0.1>;${instance};reg-id=1, <sip:b@10.0.0.1>`).status, 400);
});

test('RFC 5626: outbound through a first hop that does not do it gets 439', () => {
  const { register, location } = lab();
  const via = 'Via: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKx';
  const contact = 'Contact: <sip:a@10.0.0.1>;+sip.instance="<urn:x>";reg-id=1';
  assert.is(register(`${contact}\nSupported: outbound`, { via }).status, 439);
  assert.is(register(`${contact}\nSupported: outbound, path\nPath: <sip:p.example;lr>`, { via }).status, 439);
  assert.is(register(contact, { via }).status, 200);
  assert.is(location.list('sip:alice@test.local')[0]?.key, 'sip:a@10.0.0.1');
  const good = register(`${contact}\nSupported: outbound, path\nPath: <sip:p.example;lr;ob>`, { via });
  assert.is(good.get('Require'), 'outbound');
});

test('RFC 3327: Path is kept in order and given back, or refused where the client cannot know of it', () => {
  const { register, location } = lab();
  const via = 'Via: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKx';
  const path = 'Path: <sip:p3.example;lr>, <sip:p1.example;lr>';
  const refused = register(`Contact: <sip:a@10.0.0.1>\n${path}`, { via });
  assert.is(refused.status, 420);
  assert.is(refused.get('Unsupported'), 'path');
  const answer = register(`Contact: <sip:a@10.0.0.1>\nSupported: path\n${path}`, { via });
  assert.equal(answer.all('Path'), ['<sip:p3.example;lr>', '<sip:p1.example;lr>']);
  const [binding] = location.list('sip:alice@test.local');
  assert.equal(binding?.path, ['<sip:p3.example;lr>', '<sip:p1.example;lr>']);
  assert.is(binding?.byFlow, false);
});

test('requests go back by the flow, unless a datagram came straight and named another socket', () => {
  const { register, location } = lab();
  const byFlow = (contact: string, flow: Flow): boolean | undefined => {
    register('Contact: *\nExpires: 0');
    register(`Contact: <${contact}>`, { flow });
    return location.list('sip:alice@test.local')[0]?.byFlow;
  };
  const straight = fakeFlow('udp', { host: '192.0.2.1', port: 5070 });
  const natted = fakeFlow('udp', { host: '198.51.100.7', port: 31_000 });
  assert.is(byFlow('sip:a@192.0.2.1:5070', straight), true);
  assert.is(byFlow('sip:a@192.0.2.1:5080', straight), false);
  assert.is(byFlow('sip:a@phone.example', straight), true);
  assert.is(byFlow('sip:a@192.0.2.1:5070', natted), true);
  assert.is(byFlow('sip:a@10.0.0.9:5080', natted), true);
  assert.is(byFlow('sip:a@192.0.2.1:5080', fakeFlow('tcp')), true);
});

test('S28: bindings expire by the thousand and leave nothing behind', async () => {
  const users = Object.fromEntries(
    Array.from({ length: 100 }, (_, n) => [`u${n}`, { password: 'x' }] as const),
  );
  const { register, as, location, clock } = lab({ bindings: 10_000, bindingsPerAor: 100, users });
  for (let n = 0; n < 1_000; n += 1) {
    as(`u${n % 100}`);
    register(`Contact: <sip:c${n}@192.0.2.1>;expires=60`);
  }
  assert.is(location.size, 1_000);
  await clock.advance(61_000);
  assert.is(location.size, 0);
  assert.is(location.aors, 0);
  assert.is(clock.pending(), 0);
});
