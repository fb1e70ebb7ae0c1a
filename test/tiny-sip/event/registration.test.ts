import {
  createDigestClient,
  createRegistration,
  createResponse,
  createStack,
  type Registration,
  type RegistrationOptions,
  type RegistrationState,
  type Stack,
} from 'tiny-sip';
import * as assert from 'uvu/assert';
import { createFakeRandom } from '../../support/fake-random.ts';
import { suite } from '../../support/harness.ts';
import { createRig, type Peer, type Rig } from '../rig.ts';

const test = suite('tiny-sip registration client');

const instance = 'urn:uuid:00000000-0000-1000-8000-0000c0ffee01';

interface Scene extends Omit<Rig, 'stack'> {
  readonly stack: Stack;
  readonly registrar: Peer;
  readonly states: RegistrationState[];
  registration(options?: Partial<RegistrationOptions>): Registration;
}

async function scene(protocol: 'udp' | 'tcp' = 'udp'): Promise<Scene> {
  const rig = createRig({ protocol });
  const stack = await rig.stack('10.0.0.1');
  const registrar = await rig.peer('10.0.0.2');
  const states: RegistrationState[] = [];
  return {
    ...rig,
    stack,
    registrar,
    states,
    registration: (options = {}) =>
      createRegistration(
        { stack, clock: rig.clock, random: createFakeRandom(5), log: rig.log },
        {
          aor: 'sip:gateway@example.com',
          way: () => ({ target: { protocol, host: '10.0.0.2', port: 5060, name: 'example.com' } }),
          onState: (state) => void states.push(state),
          ...options,
        },
      ),
  };
}

const kinds = (one: Scene) => one.states.map((state) => state.kind);

// UA                     registrar
//  |--REGISTER------------>|
//  |<----200 Contact exp 300, Service-Route
//  |--REGISTER------------>|  before 300 s are over, same Call-ID, CSeq + 1
test('registers with instance and reg-id, reads its own Contact among others, and refreshes', async () => {
  const one = await scene();
  const registration = one.registration({ instance, contactParams: ';methods="MESSAGE"' });
  one.registrar.onRequest = (request) =>
    one.registrar.answer(request, 200, {
      Contact: [
        '<sip:other@10.0.0.7>;expires=20',
        `<sip:gateway@10.0.0.1:5060>;+sip.instance="<${instance}>";reg-id=1;expires=300;pub-gruu="sip:gateway@example.com;gr=x"`,
      ],
      Expires: 20,
      'Service-Route': '<sip:edge.example.com;lr>, <sip:core.example.com;lr>',
      'P-Associated-URI': '<sip:gateway@example.com>, <tel:+1>',
    });
  registration.start();
  await one.clock.settle();
  const first = one.registrar.last('REGISTER');
  assert.is(first.uri, 'sip:example.com');
  assert.is(first.from?.uri, 'sip:gateway@example.com');
  assert.is(first.to?.uri, 'sip:gateway@example.com');
  assert.is(
    first.get('Contact'),
    `<sip:gateway@10.0.0.1:5060>;+sip.instance="<${instance}>";reg-id=1;methods="MESSAGE"`,
  );
  assert.equal(first.all('Supported'), ['outbound', 'path', 'gruu']);
  assert.is(first.expires, 600);
  assert.is(first.has('Route'), false);
  const { state } = registration;
  assert.is(state.kind, 'registered');
  if (state.kind !== 'registered') return;
  assert.is(state.expiresAt - one.clock.now(), 300_000);
  assert.equal(state.serviceRoute, ['<sip:edge.example.com;lr>', '<sip:core.example.com;lr>']);
  assert.equal(state.associated, ['<sip:gateway@example.com>', '<tel:+1>']);
  assert.is(state.gruu, 'sip:gateway@example.com;gr=x');
  assert.is(state.contact, 'sip:gateway@10.0.0.1:5060');
  await one.clock.advance(200_000);
  assert.is(one.registrar.requests().length, 2);
  const second = one.registrar.last('REGISTER');
  assert.is(second.callId, first.callId);
  assert.is(second.cseq?.number, (first.cseq?.number ?? 0) + 1);
  assert.is(second.has('Route'), false, 'Service-Route is for others');
  assert.equal(kinds(one), ['registering', 'registered', 'registered']);
  registration.stop();
});

test('where the server sees us is told: received and rport of our Via', async () => {
  const one = await scene();
  const registration = one.registration();
  one.registrar.onRequest = (request) => {
    const copy = request.copy();
    const via = copy.removeFirst('Via') ?? '';
    copy.prepend('Via', via.replace(';rport', ';received=192.0.2.7;rport=41234'));
    one.registrar.send({ host: '10.0.0.1', port: 5060 }, createResponse(copy, 200, { toTag: 't' }));
  };
  registration.start();
  await one.clock.settle();
  const { state } = registration;
  assert.equal(state.kind === 'registered' && state.observed, { host: '192.0.2.7', port: 41234 });
  registration.stop();
});

test('401, then the digest; the next REGISTER carries credentials at once', async () => {
  const one = await scene();
  const credentials = createDigestClient({ random: createFakeRandom(2) }, { username: 'g', password: 'p' });
  one.registrar.onRequest = (request) =>
    request.has('Authorization')
      ? one.registrar.answer(request, 200, { Expires: 100 })
      : one.registrar.answer(request, 401, { 'WWW-Authenticate': 'Digest realm="r",nonce="n",qop="auth"' });
  const registration = one.registration({ credentials });
  registration.start();
  await one.clock.advance(45_000);
  const requests = one.registrar.requests();
  assert.equal(
    requests.map((request) => request.has('Authorization')),
    [false, true, true],
  );
  assert.equal(
    requests.map((request) => request.cseq?.number),
    [1, 2, 3],
  );
  registration.stop();
});

test('423 is followed with Min-Expires; 439 leads to a registration without reg-id', async () => {
  const one = await scene();
  one.registrar.onRequest = (request) => {
    if ((request.expires ?? 0) < 1800) one.registrar.answer(request, 423, { 'Min-Expires': 1800 });
    else if (request.get('Contact')?.includes('reg-id')) one.registrar.answer(request, 439);
    else one.registrar.answer(request, 200, { Expires: 1800 });
  };
  const registration = one.registration({ instance });
  registration.start();
  await one.clock.settle();
  assert.is(registration.state.kind, 'registered');
  assert.is(one.registrar.requests().length, 3);
  assert.equal(one.registrar.last().all('Supported'), ['path', 'gruu']);
  registration.stop();
});

for (const [status, headers, kind, least, most] of [
  [403, {}, 'refused', 900, 1125],
  [404, {}, 'refused', 900, 1125],
  [401, {}, 'refused', 900, 1125],
  [400, {}, 'refused', 900, 1125],
  [603, {}, 'refused', 900, 1125],
  [408, {}, 'waiting', 30, 37.5],
  [480, {}, 'waiting', 30, 37.5],
  [500, {}, 'waiting', 30, 37.5],
  [503, {}, 'waiting', 30, 37.5],
  [503, { 'Retry-After': 120 }, 'waiting', 120, 150],
] as const)
  test(`S18: ${status} ${JSON.stringify(headers)} is ${kind} for ${least} s and more`, async () => {
    const one = await scene();
    const times: number[] = [];
    one.registrar.onRequest = (request) => {
      times.push(one.clock.now());
      one.registrar.answer(request, status, headers);
    };
    const registration = one.registration();
    registration.start();
    await one.clock.settle();
    assert.is(registration.state.kind, kind);
    await one.clock.advance(most * 1000 + 600);
    const gap = (times[1] ?? 0) - (times[0] ?? 0);
    assert.ok(gap >= least * 1000 && gap <= most * 1000 + 600, `${gap}`);
    registration.stop();
    await one.stack.stop();
    assert.is(one.clock.pending(), 0);
  });

// UA                     registrar
//  |==connection==========>|
//  |--REGISTER, 200        |
//  |     connection lost   |
//  |==connection==========>|  within a second
//  |--REGISTER------------>|
test('a lost flow is registered anew at once, and later with growing waits', async () => {
  const one = await scene('tcp');
  one.registrar.onRequest = (request) => one.registrar.answer(request, 200, { Expires: 600 });
  const registration = one.registration({ instance });
  registration.start();
  await one.clock.settle();
  assert.is(registration.state.kind, 'registered');
  await one.clock.advance(70_000);
  one.registrar.flow.close();
  await one.clock.settle();
  assert.is(registration.state.kind, 'waiting');
  await one.clock.advance(1_100);
  assert.is(registration.state.kind, 'registered');
  assert.is(one.registrar.requests().length, 2);
  await one.registrar.transport.stop();
  const attempts = () => one.states.filter((state) => state.kind === 'registering').length;
  const before = attempts();
  await one.clock.advance(600_000);
  const tried = attempts() - before;
  assert.ok(tried >= 5 && tried <= 60, `${tried} tries in ten minutes`);
  registration.stop();
});

test('a flow that is lost again and again does not reset the wait', async () => {
  const one = await scene('tcp');
  let count = 0;
  one.registrar.onRequest = (request) => {
    count += 1;
    one.registrar.answer(request, 200, { Expires: 600 });
    one.clock.after(10, () => one.registrar.flow.close());
  };
  const registration = one.registration();
  registration.start();
  await one.clock.advance(600_000);
  assert.ok(count < 60, `${count} registrations in ten minutes`);
  registration.stop();
});

test('silence: timed out after 32 s, then tried again', async () => {
  const one = await scene();
  const registration = one.registration();
  registration.start();
  await one.clock.advance(33_000);
  assert.is(one.states.at(-1)?.kind === 'waiting' || one.states.at(-1)?.kind === 'registering', true);
  one.registrar.onRequest = (request) => one.registrar.answer(request, 200, { Expires: 600 });
  await one.clock.advance(40_000);
  assert.is(registration.state.kind, 'registered');
  registration.stop();
});

test('de-registers with Expires 0, once, and is final', async () => {
  const one = await scene();
  one.registrar.onRequest = (request) =>
    one.registrar.answer(request, 200, { Expires: request.expires ?? 0 });
  const registration = one.registration();
  registration.start();
  await one.clock.settle();
  await registration.remove();
  assert.is(one.registrar.last().expires, 0);
  assert.ok(one.registrar.last().has('Contact'));
  assert.is(registration.state.kind, 'removed');
  const count = one.registrar.received.length;
  registration.start();
  registration.refresh();
  await registration.remove();
  await one.clock.advance(700_000);
  assert.is(one.registrar.received.length, count);
  assert.is(one.clock.pending(), 0);
});

test('removing what never registered sends nothing', async () => {
  const one = await scene();
  one.registrar.onRequest = (request) => one.registrar.answer(request, 503);
  const registration = one.registration();
  registration.start();
  await one.clock.settle();
  const count = one.registrar.received.length;
  await registration.remove();
  assert.is(one.registrar.received.length, count);
  assert.is(registration.state.kind, 'removed');
});

test('waits for its way, and takes it when woken', async () => {
  const one = await scene();
  let there = false;
  one.registrar.onRequest = (request) => one.registrar.answer(request, 200, { Expires: 600 });
  const registration = one.registration({
    way: () => (there ? { target: { protocol: 'udp', host: '10.0.0.2', port: 5060, name: 'x' } } : undefined),
  });
  registration.start();
  await one.clock.settle();
  assert.is(registration.state.kind, 'blocked');
  there = true;
  registration.wake();
  await one.clock.settle();
  assert.is(registration.state.kind, 'registered');
  registration.stop();
});

test('an outbound proxy is looked up and stands in Route', async () => {
  const one = await scene();
  one.registrar.onRequest = (request) => one.registrar.answer(request, 200, { Expires: 600 });
  const registration = one.registration({ way: () => ({ route: ['<sip:10.0.0.2;lr>'] }) });
  registration.start();
  await one.clock.settle();
  assert.is(registration.state.kind, 'registered');
  assert.is(one.registrar.last().get('Route'), '<sip:10.0.0.2;lr>');
  registration.stop();
});

test('no server found is a failure like another', async () => {
  const one = await scene();
  const registration = one.registration({ way: () => ({}) });
  registration.start();
  await one.clock.settle();
  const { state } = registration;
  assert.is(state.kind === 'waiting' && state.cause.kind, 'failed');
  registration.stop();
  assert.is(one.clock.pending(), 0);
});

test('S31: the next target takes over when one refuses, is silent or answers 503', async () => {
  const rig = createRig();
  const good = await rig.peer('10.0.0.4');
  const busy = await rig.peer('10.0.0.3');
  busy.onRequest = (request) => busy.answer(request, 503);
  good.onRequest = (request) => good.answer(request, 200, { Expires: 600 });
  const at = (host: string) => ({ protocol: 'udp', host, port: 5060, name: 'example.com' }) as const;
  const stack = createStack(
    {
      clock: rig.clock,
      log: rig.log,
      random: createFakeRandom(77),
      locator: {
        locate: async () => [at('10.0.0.2'), at('10.0.0.3'), at('10.0.0.4')],
        counts: () => ({}),
      },
    },
    { transports: [rig.network.transport({ host: '10.0.0.1', port: 5060 })] },
  );
  await stack.start();
  const registration = createRegistration(
    { stack, clock: rig.clock, random: createFakeRandom(5), log: rig.log },
    { aor: 'sip:gateway@example.com' },
  );
  registration.start();
  await rig.clock.advance(33_000);
  assert.is(registration.state.kind, 'registered');
  assert.is(busy.requests().length, 1);
  assert.is(good.requests().length, 1);
  registration.stop();
  await stack.stop();
});

test('ten thousand registrations share one timer', async () => {
  const one = await scene();
  one.registrar.onRequest = (request) => {
    one.registrar.answer(request, 200, { Expires: 3600 });
    one.registrar.received.length = 0;
  };
  const all = Array.from({ length: 2_000 }, (_, n) => one.registration({ aor: `sip:d${n}@example.com` }));
  for (const registration of all) registration.start();
  await one.clock.advance(6_000);
  assert.ok(all.every((registration) => registration.state.kind === 'registered'));
  assert.is(one.clock.pending(), 1);
  assert.is(one.stack.counts()['transactions.client'], 0);
  for (const registration of all) registration.stop();
});
