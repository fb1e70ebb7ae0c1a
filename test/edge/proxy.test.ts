import {
  type Binding,
  createLocation,
  createResponse,
  type Flow,
  type Outcome,
  type SendOptions,
  type SipRequest,
  type SipResponse,
  type Stack,
} from 'tiny-sip';
import * as assert from 'uvu/assert';
import { silentLog } from '../../src/base/log.ts';
import { createAccounts } from '../../src/edge/accounts.ts';
import { createDomain } from '../../src/edge/domain.ts';
import { createGate } from '../../src/edge/gate.ts';
import { createLoopDetector } from '../../src/edge/loop.ts';
import { createProxy } from '../../src/edge/proxy.ts';
import { createRegistrar } from '../../src/edge/registrar.ts';
import { createResponseContext } from '../../src/edge/response-context.ts';
import { createFakeClock } from '../support/fake-clock.ts';
import { createFakeRandom } from '../support/fake-random.ts';
import { suite } from '../support/harness.ts';
import { arrive, type FakeFlow, fakeFlow, request } from './incoming.ts';

const test = suite('edge proxy');

/** What a user agent does with a request; undefined: nothing, until the sender gives up. */
type Agent = (
  request: SipRequest,
) => { status: number; headers?: Record<string, string> } | undefined | 'broken';

const via = 'Via: SIP/2.0/UDP 192.0.2.254;branch=z9hG4bKproxy;rport';

function lab(options: { forwarding?: number } = {}) {
  const clock = createFakeClock();
  const random = createFakeRandom();
  const domain = createDomain({ domains: ['test.local'] });
  domain.listening({ host: '192.0.2.254', port: 5060 });
  const accounts = createAccounts(domain, ['test.local'], {
    alice: 'a',
    bob: 'b',
    gw: { password: 'g', aors: ['sip:dev-*@test.local'] },
  });
  const location = createLocation(
    { clock, after: (ms, run) => clock.after(ms, run) },
    { save: () => {}, drop: () => {} },
  );
  const gate = createGate({ clock, random }, { domain, accounts: () => accounts, localUser: 'alice' });
  const registrar = createRegistrar(
    { clock, log: silentLog, location, gate, domain, accounts: () => accounts, random },
    { bindings: 100, bindingsPerAor: 100 },
  );
  const agents = new Map<string, Agent>();
  let tokens = 0;
  const seen: { request: SipRequest; options: SendOptions }[] = [];

  const send = async (sent: SipRequest, how: SendOptions = {}): Promise<Outcome> => {
    sent.prepend('Via', `SIP/2.0/UDP 192.0.2.254;branch=${how.forward?.branch}`);
    seen.push({ request: sent, options: how });
    const answer = (agents.get(sent.uri) ?? agents.get('*'))?.(sent);
    if (answer === 'broken') return { kind: 'failed', request: sent, error: new Error('broken') };
    if (answer) {
      const response = createResponse(sent, answer.status, { toTag: 'ua', headers: answer.headers });
      return { kind: 'response', response, request: sent, flow: how.flow ?? fakeFlow() };
    }
    return new Promise((resolve) => {
      how.signal?.addEventListener('abort', () =>
        resolve({ kind: 'failed', request: sent, error: new Error('aborted') }),
      );
      clock.after(32_000, () => resolve({ kind: 'timeout', request: sent }));
    });
  };
  const stack = { send, token: () => `t${++tokens}` } as unknown as Stack;
  const proxy = createProxy(
    {
      clock,
      log: silentLog,
      stack,
      registrar,
      gate,
      domain,
      accounts: () => accounts,
      reach: (binding: Binding): Flow | undefined => binding.flow,
      secret: random.bytes(16),
    },
    { forwarding: options.forwarding ?? 100 },
  );

  const bind = (aor: string, contact: string, more: Partial<Binding> = {}, agent?: Agent): void => {
    const flow = fakeFlow();
    const { protocol, local, remote } = flow;
    const key = more.key ?? contact;
    location.commit(aor, {
      put: [
        { aor, key, contact, params: [], path: [], callId: 'c', cseq: 1, expiresAt: 3_600_000, byFlow: true },
      ].map((one) => ({ ...one, protocol, local, remote, flow, ...more })),
      remove: [],
    });
    if (agent) agents.set(contact, agent);
  };

  /** A MESSAGE from alice, who is inside the process and so needs no credentials. */
  const forward = async (
    lines = '',
    more: { uri?: string; method?: string; from?: string; flow?: FakeFlow; wait?: number } = {},
  ): Promise<SipResponse> => {
    const method = more.method ?? 'MESSAGE';
    const incoming = arrive(
      request(
        `${method} ${more.uri ?? 'sip:bob@test.local'} SIP/2.0
        Via: SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bKm
        From: <${more.from ?? 'sip:alice@test.local'}>;tag=f
        To: <sip:bob@test.local>
        Call-ID: call
        CSeq: 7 ${method}
        ${lines}`.replace(/\n\s*$/, ''),
      ),
      more.flow ?? fakeFlow('memory', { host: 'agent', port: 0 }),
    );
    proxy.handle(incoming);
    await clock.settle();
    if (more.wait) await clock.advance(more.wait);
    return incoming.response;
  };

  return { clock, agents, bind, forward, seen, counts: proxy.counts, location };
}

const ok: Agent = () => ({ status: 200 });

test('a request reaches the contact over its flow, and the answer comes back', async () => {
  const { bind, forward, seen } = lab();
  bind('sip:bob@test.local', 'sip:bob@10.0.0.1:5060', {}, ok);
  const answer = await forward('Max-Forwards: 70\nX-Custom: kept');
  assert.is(answer.status, 200);
  assert.is(answer.toTag, 'ua');
  assert.equal(
    answer.vias.map((one) => one.branch),
    ['z9hG4bKm'],
  );
  const [first] = seen;
  assert.is(first?.request.uri, 'sip:bob@10.0.0.1:5060');
  assert.is(first?.request.maxForwards, 69);
  assert.is(first?.request.get('X-Custom'), 'kept');
  assert.is(first?.request.get('Max-Breadth'), '60');
  assert.is(first?.request.callId, 'call');
  assert.ok(first?.options.flow);
});

test('Max-Forwards is put in where it was missing, and 0 ends the way', async () => {
  const { bind, forward, seen } = lab();
  bind('sip:bob@test.local', 'sip:bob@10.0.0.1', {}, ok);
  await forward();
  assert.is(seen[0]?.request.maxForwards, 70);
  assert.is((await forward('Max-Forwards: 0')).status, 483);
  assert.is(seen.length, 1);
});

test('what a client asserts about itself is replaced by what we found out', async () => {
  const { bind, forward, seen } = lab();
  bind('sip:bob@test.local', 'sip:bob@10.0.0.1', {}, () => ({
    status: 200,
    headers: { 'P-Asserted-Identity': '<sip:boss@test.local>' },
  }));
  const answer = await forward(
    'P-Asserted-Identity: <sip:boss@test.local>, <tel:+1>\nP-Asserted-Identity: <sip:x@y>\nP-Preferred-Identity: <sip:boss@test.local>',
  );
  assert.equal(seen[0]?.request.all('P-Asserted-Identity'), ['<sip:alice@test.local>']);
  assert.not.ok(seen[0]?.request.has('P-Preferred-Identity'));
  assert.not.ok(answer.has('P-Asserted-Identity'));
});

test('RFC 3325: no identity is told where the sender wants none told', async () => {
  const { bind, forward, seen } = lab();
  bind('sip:bob@test.local', 'sip:bob@10.0.0.1', {}, ok);
  await forward('P-Asserted-Identity: <sip:boss@test.local>\nPrivacy: header;id');
  assert.not.ok(seen[0]?.request.has('P-Asserted-Identity'));
});

test('a sender without credentials gets 407, and nothing is told about who exists', async () => {
  const { bind, forward, seen } = lab();
  bind('sip:bob@test.local', 'sip:bob@10.0.0.1', {}, ok);
  const outside = fakeFlow('udp');
  for (const uri of ['sip:bob@test.local', 'sip:nobody@test.local', 'sip:gw@test.local']) {
    const answer = await forward('', { flow: outside, uri });
    assert.is(answer.status, 407);
    assert.ok(answer.has('Proxy-Authenticate'));
  }
  assert.is(seen.length, 0);
});

test('a From that is not the sender gets 403', async () => {
  const { bind, forward, seen } = lab();
  bind('sip:bob@test.local', 'sip:bob@10.0.0.1', {}, ok);
  assert.is((await forward('', { from: 'sip:bob@test.local' })).status, 403);
  assert.is((await forward('', { from: 'sip:alice@elsewhere.example' })).status, 403);
  assert.is(seen.length, 0);
});

test('no relay: neither foreign domains nor foreign routes', async () => {
  const { bind, forward, seen, counts } = lab();
  bind('sip:bob@test.local', 'sip:bob@10.0.0.1', {}, ok);
  assert.is((await forward('', { uri: 'sip:bob@elsewhere.example' })).status, 403);
  assert.is((await forward('Route: <sip:evil.example;lr>')).status, 403);
  assert.is((await forward('Route: <sip:test.local;lr>, <sip:evil.example;lr>')).status, 403);
  assert.is((await forward('', { uri: 'tel:+4930123' })).status, 416);
  assert.is(counts().relayRefused, 3);
  assert.is(seen.length, 0);
});

test('our own Route values are taken off', async () => {
  const { bind, forward, seen } = lab();
  bind('sip:bob@test.local', 'sip:bob@10.0.0.1', {}, ok);
  const answer = await forward('Route: <sip:192.0.2.254;lr>, <sip:test.local;lr>');
  assert.is(answer.status, 200);
  assert.not.ok(seen[0]?.request.has('Route'));
});

test('RFC 3327: a Path becomes the Route', async () => {
  const { bind, forward, seen } = lab();
  const path = ['<sip:p3.example;lr>', '<sip:p1.example;lr>'];
  bind('sip:bob@test.local', 'sip:bob@10.0.0.1', { path, byFlow: false, flow: undefined }, ok);
  assert.is((await forward()).status, 200);
  assert.equal(seen[0]?.request.all('Route'), path);
  assert.is(seen[0]?.options.flow, undefined);
});

test('unknown users get 404, those without a contact 480', async () => {
  const { forward } = lab();
  assert.is((await forward('', { uri: 'sip:nobody@test.local' })).status, 404);
  assert.is((await forward()).status, 480);
  assert.is((await forward('', { uri: 'sip:dev-1@test.local' })).status, 480);
  assert.is((await forward('', { uri: 'sip:bob@192.0.2.254' })).status, 480);
});

test('an extension that a proxy must know gets 420', async () => {
  const { bind, forward } = lab();
  bind('sip:bob@test.local', 'sip:bob@10.0.0.1', {}, ok);
  const answer = await forward('Proxy-Require: teleport');
  assert.is(answer.status, 420);
  assert.is(answer.get('Unsupported'), 'teleport');
});

test('a request that was here before gets 482, one that spirals does not', async () => {
  const { bind, forward, seen } = lab();
  bind('sip:bob@test.local', 'sip:bob@10.0.0.1', {}, ok);
  await forward();
  const branch = seen[0]?.request.topVia?.branch;
  const looped = await forward(`Via: SIP/2.0/UDP 192.0.2.254;branch=${branch}`);
  assert.is(looped.status, 482);
  bind('sip:gw@test.local', 'sip:gw@10.0.0.2', {}, ok);
  const spiral = await forward(`Via: SIP/2.0/UDP 192.0.2.254;branch=${branch}`, { uri: 'sip:gw@test.local' });
  assert.is(spiral.status, 200);
});

test('the loop mark depends on the way, not on the method, and cannot be guessed', () => {
  const detector = createLoopDetector(Buffer.from('secret'), () => 'tok');
  const other = createLoopDetector(Buffer.from('other'), () => 'tok');
  const make = (method: string, uri: string, via: string): SipRequest =>
    request(`${method} ${uri} SIP/2.0
      Via: SIP/2.0/UDP a;branch=${via}
      Via: SIP/2.0/UDP b;branch=z9hG4bKb
      From: <sip:a@b>;tag=1
      To: <sip:c@d>
      Call-ID: x
      CSeq: 1 ${method}`);
  const branch = detector.branch(make('MESSAGE', 'sip:c@d', 'z9hG4bKa'));
  assert.ok(branch.startsWith('z9hG4bKtok.'));
  assert.ok(detector.looped(make('OPTIONS', 'sip:c@d', branch)));
  assert.not.ok(detector.looped(make('OPTIONS', 'sip:e@d', branch)));
  assert.not.ok(other.looped(make('OPTIONS', 'sip:c@d', branch)));
});

test('all contacts are asked at once, and the first success is the answer', async () => {
  const { bind, forward, seen, clock } = lab();
  bind('sip:bob@test.local', 'sip:b@10.0.0.1', {}, () => undefined);
  bind('sip:bob@test.local', 'sip:b@10.0.0.2', {}, () => ({ status: 486 }));
  bind('sip:bob@test.local', 'sip:b@10.0.0.3', {}, ok);
  assert.is((await forward()).status, 200);
  assert.is(seen.length, 3);
  assert.is(new Set(seen.map((one) => one.request.topVia?.branch)).size, 3);
  assert.equal(
    seen.map((one) => one.request.get('Max-Breadth')),
    ['20', '20', '20'],
  );
  await clock.advance(40_000);
});

test('a silent contact does not keep the sender waiting for ever, and no 408 is sent', async () => {
  const { bind, forward, counts } = lab();
  bind('sip:bob@test.local', 'sip:b@10.0.0.1', {}, () => undefined);
  assert.is((await forward('', { wait: 28_000 })).status, 480);
  assert.is(counts().forwarding, 0);
});

test('a silent contact does not hide what another said', async () => {
  const { bind, forward } = lab();
  bind('sip:bob@test.local', 'sip:b@10.0.0.1', {}, () => undefined);
  bind('sip:bob@test.local', 'sip:b@10.0.0.2', {}, () => ({
    status: 415,
    headers: { Accept: 'text/plain' },
  }));
  const answer = await forward('', { wait: 28_000 });
  assert.is(answer.status, 415);
  assert.is(answer.get('Accept'), 'text/plain');
});

test('RFC 5626: one flow of a user agent at a time, the next when the first is gone', async () => {
  const { bind, forward, seen } = lab();
  const instance = 'urn:uuid:1';
  const aor = 'sip:bob@test.local';
  bind(aor, 'sip:b@10.0.0.1', { instance, key: 'i;1', expiresAt: 2_000_000 }, () => ({ status: 430 }));
  bind(aor, 'sip:b@10.0.0.2', { instance, key: 'i;2', expiresAt: 3_000_000 }, () => 'broken');
  bind(aor, 'sip:b@10.0.0.3', { instance, key: 'i;3', expiresAt: 1_000_000 }, ok);
  assert.is((await forward()).status, 200);
  assert.equal(
    seen.map((one) => one.request.uri),
    ['sip:b@10.0.0.2', 'sip:b@10.0.0.1', 'sip:b@10.0.0.3'],
  );
});

test('RFC 5626: a user agent that answered is not asked again by another flow', async () => {
  const { bind, forward, seen } = lab();
  const aor = 'sip:bob@test.local';
  const refuses: Agent = () => ({ status: 415 });
  bind(aor, 'sip:b@10.0.0.1', { instance: 'i', key: 'i;1' }, refuses);
  bind(aor, 'sip:b@10.0.0.2', { instance: 'i', key: 'i;2' }, refuses);
  assert.is((await forward()).status, 415);
  assert.is(seen.length, 1);
});

test('contacts whose flows are gone count as not there', async () => {
  const { bind, forward } = lab();
  bind('sip:bob@test.local', 'sip:b@10.0.0.1', { flow: undefined }, ok);
  assert.is((await forward()).status, 480);
  bind('sip:bob@test.local', 'sip:b@10.0.0.2', {}, () => ({ status: 430 }));
  assert.is((await forward()).status, 480);
});

test('the best answer: 6xx, then the lowest class, then what helps to try again; 503 is not passed on', async () => {
  const best = async (...statuses: number[]): Promise<number> => {
    const { bind, forward } = lab();
    for (const [n, status] of statuses.entries())
      bind('sip:bob@test.local', `sip:b@10.0.0.${n}`, {}, () => ({ status }));
    return (await forward()).status;
  };
  assert.is(await best(486, 603, 500), 603);
  assert.is(await best(500, 302, 404), 302);
  assert.is(await best(404, 486, 415), 415);
  assert.is(await best(404, 501), 404);
  assert.is(await best(503), 500);
  assert.is(await best(503, 404), 404);
  assert.is(await best(408, 430), 480);
  assert.is(await best(408, 501), 501);
});

test('the challenges of all branches go back together', () => {
  const asked = request(`MESSAGE sip:a@b SIP/2.0
    ${via}
    From: <sip:a@b>;tag=1
    To: <sip:c@d>
    Call-ID: x
    CSeq: 1 MESSAGE`);
  const context = createResponseContext();
  const challenge = (status: number, header: string, realm: string): void =>
    context.add(
      createResponse(asked, status, { headers: { [header]: `Digest realm="${realm}", nonce="n"` } }),
    );
  challenge(407, 'Proxy-Authenticate', 'one');
  challenge(401, 'WWW-Authenticate', 'two');
  challenge(404, 'WWW-Authenticate', 'no');
  const best = context.best();
  assert.is(best?.status, 401);
  assert.equal(best?.lines('WWW-Authenticate').length, 1);
  assert.equal(best?.lines('Proxy-Authenticate').length, 1);
});

test('credentials for us stay here, those for others travel on', async () => {
  const { bind, forward, seen } = lab();
  bind('sip:bob@test.local', 'sip:bob@10.0.0.1', {}, () => ({
    status: 401,
    headers: { 'WWW-Authenticate': 'Digest realm="bob", nonce="n"' },
  }));
  const answer = await forward(
    'Authorization: Digest username="alice", realm="bob", nonce="n", uri="sip:b", response="r"',
  );
  assert.is(answer.status, 401);
  assert.match(answer.get('WWW-Authenticate') ?? '', /realm="bob"/);
  assert.ok(seen[0]?.request.has('Authorization'));
});

test('RFC 5393: a fork wider than Max-Breadth allows gets 440', async () => {
  const { bind, forward } = lab();
  bind('sip:bob@test.local', 'sip:b@10.0.0.1', {}, ok);
  bind('sip:bob@test.local', 'sip:b@10.0.0.2', {}, ok);
  assert.is((await forward('Max-Breadth: 1')).status, 440);
  assert.is((await forward('Max-Breadth: 2')).status, 200);
});

test('S42: forwarding is bounded', async () => {
  const { bind, forward, clock } = lab({ forwarding: 2 });
  bind('sip:bob@test.local', 'sip:b@10.0.0.1', {}, () => undefined);
  const waiting = [forward('', { wait: 0 }).catch(() => {}), forward('', { wait: 0 }).catch(() => {})];
  await clock.settle();
  const answer = await forward();
  assert.is(answer.status, 503);
  assert.ok(answer.has('Retry-After'));
  await clock.advance(28_000);
  await Promise.all(waiting);
});

test('headers and a method parameter of a contact do not get into the Request-URI', async () => {
  const { bind, forward, seen, agents } = lab();
  const contact = 'sip:b@10.0.0.1;method=INVITE;transport=tcp?Replaces=x';
  bind('sip:bob@test.local', contact);
  agents.set('*', ok);
  await forward();
  assert.is(seen[0]?.request.uri, 'sip:b@10.0.0.1;transport=tcp');
});
