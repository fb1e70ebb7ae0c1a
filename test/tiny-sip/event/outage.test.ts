/** The network goes and comes back: how soon the machines notice, on a fake clock and a network in memory. */
import {
  createPublication,
  createRegistration,
  createStack,
  createSubscription,
  type KeepAlive,
  type Registration,
  type RegistrationOptions,
  type Transport,
} from 'tiny-sip';
import * as assert from 'uvu/assert';
import { createFakeRandom } from '../../support/fake-random.ts';
import { suite } from '../../support/harness.ts';
import { createRig, type Peer, type Rig } from '../rig.ts';

const test = suite('tiny-sip and networks that go and come');

const OWN = '10.0.0.1';
const SERVER = '10.0.0.2';
const resource = 'sip:freezer@example.com';

/** Answers as a registrar, a compositor and a notifier do; `notify` follows each SUBSCRIBE. */
function serve(server: Peer, clock: Rig['clock']): void {
  let n = 0;
  server.onRequest = (request) => {
    n += 1;
    const expires = Math.min(request.expires ?? 0, 120);
    if (request.method === 'REGISTER')
      server.answer(request, 200, { Contact: request.lines('Contact'), Expires: expires });
    else if (request.method === 'PUBLISH')
      server.answer(request, 200, { 'SIP-ETag': `t${n}`, Expires: expires });
    else {
      server.answer(request, 200, { Expires: expires, Contact: `<sip:${SERVER}>` });
      server.send(
        { host: OWN, port: 5060 },
        [
          `NOTIFY sip:${OWN} SIP/2.0`,
          `Via: SIP/2.0/UDP ${SERVER};branch=z9hG4bKn${n};rport`,
          'Max-Forwards: 70',
          `From: <${resource}>;tag=server`,
          `To: <sip:alice@example.com>;tag=${request.fromTag}`,
          `Call-ID: ${request.callId}`,
          `CSeq: ${Math.floor(clock.now()) + n} NOTIFY`,
          'Event: presence',
          `Contact: <sip:${SERVER}>`,
          `Subscription-State: active;expires=${expires}`,
          'Content-Length: 0',
          '',
          '',
        ].join('\n'),
      );
    }
  };
}

// UA                        server
//  |--REGISTER, PUBLISH, SUBSCRIBE-->|
//  X   the link is down              |   the UA has no address
//  |   ... 5 s, 5 min, 1 h ...       |   what the server had expires
//  |   the address is back           |   noticed within 5 s
//  |--REGISTER---------------------->|   within 2 s more
//  |--PUBLISH, SUBSCRIBE------------>|
for (const [shown, down] of [
  ['5 s', 5_000],
  ['5 min', 300_000],
  ['1 h', 3_600_000],
] as const)
  test(`S29: a link that was down for ${shown}: registered, published and subscribed within 10 s of its return`, async () => {
    for (let seed = 1; seed <= 8; seed += 1) {
      let up = true;
      const rig = createRig({ fate: () => (up ? [0] : []) });
      const server = await rig.peer(SERVER);
      serve(server, rig.clock);
      const { clock, log } = rig;
      const random = createFakeRandom(seed);
      const deps = { clock, log, random };
      const stack = createStack(
        { ...deps, addresses: () => (up ? [OWN] : []) },
        { transports: [rig.network.transport({ host: OWN, port: 5060 })] },
      );
      await stack.start();
      const target = { protocol: 'udp', host: SERVER, port: 5060, name: 'example.com' } as const;
      const registration = createRegistration(
        { stack, ...deps },
        { aor: resource, expires: 120, way: () => ({ target }), onState: () => publication.wake() },
      );
      const publication = createPublication(
        { stack, ...deps },
        {
          aor: resource,
          way: () => (registration.state.kind === 'registered' ? { target } : undefined),
          body: () => ({ contentType: 'text/plain', content: 'x', token: 1 }),
        },
      );
      const subscription = createSubscription(
        { stack, ...deps },
        { resource, from: 'sip:alice@example.com', expires: 120, way: () => ({ target }) },
      );
      registration.start();
      publication.changed();
      subscription.start();
      await clock.advance(1_000);
      const good = (): boolean =>
        registration.state.kind === 'registered' &&
        publication.state.kind === 'published' &&
        subscription.state.kind === 'active';
      assert.ok(good());
      up = false;
      // Each has something to say in the worst of moments.
      registration.refresh();
      publication.changed();
      subscription.refresh();
      await clock.advance(down);
      up = true;
      const before = server.received.length;
      await clock.advance(10_000);
      assert.ok(
        good(),
        `${registration.state.kind} ${publication.state.kind} ${subscription.state.kind}, seed ${seed}`,
      );
      const methods = new Set(
        server.received.slice(before).flatMap((one) => (one.kind === 'request' ? [one.method] : [])),
      );
      assert.equal([...methods].sort(), ['PUBLISH', 'REGISTER', 'SUBSCRIBE']);
      registration.stop();
      publication.stop();
      subscription.stop();
      await stack.stop();
      assert.is(clock.pending(), 0);
    }
  });

test('a network that comes hurries nobody whom the server told to wait', async () => {
  let up = true;
  const rig = createRig();
  const server = await rig.peer(SERVER);
  server.onRequest = (request) => server.answer(request, 503, { 'Retry-After': 600 });
  const deps = { clock: rig.clock, log: rig.log, random: createFakeRandom(3) };
  const stack = createStack(
    { ...deps, addresses: () => (up ? [OWN] : []) },
    { transports: [rig.network.transport({ host: OWN, port: 5060 })] },
  );
  await stack.start();
  const target = { protocol: 'udp', host: SERVER, port: 5060, name: 'example.com' } as const;
  const way = () => ({ target });
  const registration = createRegistration({ stack, ...deps }, { aor: resource, way });
  const publication = createPublication(
    { stack, ...deps },
    { aor: resource, way, body: () => ({ contentType: 'text/plain', content: 'x', token: 1 }) },
  );
  const subscription = createSubscription({ stack, ...deps }, { resource, from: 'sip:a@b', way });
  registration.start();
  publication.changed();
  subscription.start();
  await rig.clock.advance(1_000);
  for (let flap = 0; flap < 20; flap += 1) {
    up = !up;
    await rig.clock.advance(10_000);
  }
  assert.is(server.requests().length, 3);
  registration.stop();
  publication.stop();
  subscription.stop();
  await stack.stop();
  assert.is(rig.clock.pending(), 0);
});

/** The keep-alive that a registration asks of its flow when the 2xx has those headers; `left`: it let go of it. */
async function asked(
  protocol: 'udp' | 'tcp',
  headers: Readonly<Record<string, string | readonly string[]>>,
  options: Partial<RegistrationOptions> = {},
): Promise<{ wishes: KeepAlive[]; left(): number; registration: Registration }> {
  const rig = createRig({ protocol });
  const server = await rig.peer(SERVER);
  server.onRequest = (request) =>
    server.answer(request, 200, { Contact: request.lines('Contact'), Expires: 600, ...headers });
  const wishes: KeepAlive[] = [];
  let left = 0;
  const transport: Transport = rig.network.transport({ host: OWN, port: 5060 });
  const connect = transport.connect;
  transport.connect = (remote) =>
    Object.assign(connect(remote), {
      keepAlive(wish: KeepAlive) {
        wishes.push(wish);
        return () => {
          left += 1;
        };
      },
    });
  const deps = { clock: rig.clock, log: rig.log, random: createFakeRandom(3) };
  const stack = createStack(deps, { transports: [transport] });
  await stack.start();
  const registration = createRegistration(
    { stack, ...deps },
    {
      aor: resource,
      way: () => ({ target: { protocol, host: SERVER, port: 5060, name: 'example.com' } }),
      instance: 'urn:uuid:00000000-0000-1000-8000-0000c0ffee01',
      ...options,
    },
  );
  registration.start();
  await rig.clock.advance(1_000);
  assert.is(registration.state.kind, 'registered');
  return { wishes, left: () => left, registration };
}

for (const [what, protocol, headers, wish] of [
  [
    'a 2xx with Require: outbound',
    'udp',
    { Require: 'outbound' },
    { interval: 25_000, pong: 10_000, stun: true },
  ],
  [
    'a Path with ob',
    'udp',
    { Path: ['<sip:core.example.com;lr>', '<sip:edge.example.com;lr;ob>'] },
    { interval: 25_000, pong: 10_000, stun: true },
  ],
  ['a Flow-Timer', 'udp', { 'Flow-Timer': '20' }, { interval: 18_000, pong: 10_000, stun: true }],
  ['no promise', 'udp', {}, { interval: 25_000, pong: 10_000 }],
  [
    'a Path whose ob is of a name',
    'udp',
    { Path: '<sip:object@edge.example.com;lr>' },
    { interval: 25_000, pong: 10_000 },
  ],
  ['Require: outbound', 'tcp', { Require: 'outbound' }, { interval: 90_000, pong: 10_000 }],
] as const)
  test(`S30: RFC 5626 §8: after ${what} a flow over ${protocol} is kept open ${'stun' in wish ? 'by STUN' : 'by CRLF'}`, async () => {
    const { wishes, left, registration } = await asked(protocol, headers);
    assert.equal(wishes, [wish]);
    assert.is(left(), 0);
    registration.stop();
    assert.is(left(), 1, 'and no longer than the registration');
  });

test('a sips AOR is registered with a sips Contact', async () => {
  const { registration } = await asked('tcp', {}, { aor: 'sips:freezer@example.com' });
  const { state } = registration;
  assert.is(state.kind === 'registered' && state.contact, `sips:freezer@${OWN}:5060`);
  registration.stop();
});
