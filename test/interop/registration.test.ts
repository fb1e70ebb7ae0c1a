/** Registrations and subscriptions of tiny-sip at Kamailio: outbound, GRUU, several flows, rates. */
import {
  createDigestClient,
  createOutbound,
  createRegistration,
  createStack,
  createSubscription,
  createTcpTransport,
  createUdpTransport,
  type EventDeps,
  type Incoming,
  type RegistrationState,
  type Stack,
} from 'tiny-sip';
import * as assert from 'uvu/assert';
import { createSystemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { createSystemRandom } from '../../src/base/random.ts';
import { suite } from '../support/harness.ts';
import { type Kamailio, type KamailioOptions, startKamailio } from '../support/peers/kamailio.ts';
import { createPhone, type Phone } from '../support/peers/phone.ts';
import { within } from '../support/peers/program.ts';
import { type Watched, watched } from '../support/peers/watched.ts';

const test = suite('registrations at kamailio', { timeout: 20_000 });
const NEEDS = ['kamailio'];
const GATEWAY = 'sip:gateway7@test.local';
const INSTANCE = 'urn:uuid:00000000-0000-1000-8000-000000000007';

type Registered = Extract<RegistrationState, { kind: 'registered' }>;

interface Scene {
  readonly kamailio: Kamailio;
  readonly stack: Stack;
  readonly deps: EventDeps;
  readonly credentials: ReturnType<typeof createDigestClient>;
  readonly alice: Phone;
  /** MESSAGEs that came to the gateway. */
  readonly heard: Watched<string>;
  target(protocol: 'udp' | 'tcp'): { protocol: 'udp' | 'tcp'; host: string; port: number; name: string };
}

async function scene(options: KamailioOptions, body: (scene: Scene) => Promise<void>): Promise<void> {
  const kamailio = await startKamailio(options);
  const basis = { clock: createSystemClock(), random: createSystemRandom(), log: silentLog };
  const stack = createStack(basis, {
    transports: [
      createUdpTransport(basis, { host: '127.0.0.1', port: 0 }),
      createTcpTransport(basis, { listen: false }),
    ],
  });
  await stack.start();
  const { domain, port } = kamailio;
  const alice = await createPhone({ user: 'alice', password: 'wonder', domain, port });
  const heard = watched<string>();
  stack.on('MESSAGE', (incoming: Incoming) => {
    incoming.respond(200);
    heard.add(`${incoming.flow.protocol} ${incoming.request.text()}`);
  });
  try {
    await body({
      kamailio,
      stack,
      deps: { ...basis, stack },
      credentials: createDigestClient(basis, { username: 'gateway7', password: 'pump' }),
      alice,
      heard,
      target: (protocol) => ({ protocol, host: '127.0.0.1', port, name: domain }),
    });
  } finally {
    alice.close();
    await stack.stop();
    await kamailio.stop();
  }
}

/** Waits until a registration stands. */
function settled(states: Watched<RegistrationState>): Promise<Registered> {
  return within(
    states.until((state): state is Registered => state.kind === 'registered') as Promise<Registered>,
    5_000,
    'the registration',
  );
}

for (const protocol of ['udp', 'tcp'] as const)
  test.needs(
    NEEDS,
    `RFC 5626, RFC 5627: outbound with both GRUUs, which lead to this instance, ${protocol}`,
    () =>
      scene({ outbound: true }, async ({ deps, alice, heard, credentials, target }) => {
        const states = watched<RegistrationState>();
        const registration = createRegistration(deps, {
          aor: GATEWAY,
          way: () => ({ target: target(protocol) }),
          credentials,
          instance: INSTANCE,
          onState: (state) => states.add(state),
        });
        registration.start();
        const state = await settled(states);
        assert.is(state.outbound, true);
        assert.is(state.gruu, `${GATEWAY};gr=${INSTANCE}`);
        assert.match(state.tempGruu ?? '', /^sip:.*@test\.local;gr/);
        for (const [uri, text] of [
          [state.gruu, 'to the public one'],
          [state.tempGruu, 'to the temporary one'],
        ] as const) {
          assert.is((await alice.message(uri ?? '', text)).status, 200, text);
          await heard.until((one) => one === `${protocol} ${text}`);
        }
        assert.is((await alice.message(`${GATEWAY};gr=urn:uuid:other`, 'astray')).status, 404);
        await within(registration.remove(), 2_000, 'the de-registration');
        assert.is((await alice.message(state.gruu ?? '', 'gone')).status, 404);
      }),
  );

test.needs(NEEDS, 'RFC 5626 §4.2.1: a registrar without outbound is found out', () =>
  scene({ outbound: false }, async ({ deps, credentials, target }) => {
    const states = watched<RegistrationState>();
    const registration = createRegistration(deps, {
      aor: GATEWAY,
      way: () => ({ target: target('udp') }),
      credentials,
      instance: INSTANCE,
      onState: (state) => states.add(state),
    });
    registration.start();
    assert.is((await settled(states)).outbound, false);
    await within(registration.remove(), 2_000, 'the de-registration');
  }),
);

test.needs(NEEDS, 'RFC 5626 §4.2: two flows of one instance, and the other is used when one is gone', () =>
  scene({ outbound: true }, async ({ kamailio, deps, alice, heard, credentials, target }) => {
    const states = watched<string>();
    const outbound = createOutbound(deps, {
      aor: GATEWAY,
      instance: INSTANCE,
      credentials,
      ways: [() => ({ target: target('udp') }), () => ({ target: target('tcp') })],
      onState: (regId, state) => states.add(`${regId} ${state.kind}`),
    });
    outbound.start();
    await states.until((one) => one === '1 registered');
    await states.until((one) => one === '2 registered');
    const sent = kamailio.traced.seen.filter(({ text }) => text.startsWith('REGISTER'));
    const ids = new Set(sent.map(({ text }) => /^Call-ID: *(.*)$/im.exec(text)?.[1]));
    assert.is(ids.size, 2);
    const uri = outbound.best?.gruu ?? '';
    assert.is((await alice.message(uri, 'one of the two')).status, 200);
    await heard.until((one) => one.endsWith('one of the two'));
    await within(outbound.flows[0]?.remove() ?? Promise.resolve(), 2_000, 'the end of the first flow');
    assert.is((await alice.message(uri, 'the other')).status, 200);
    await heard.until((one) => one === 'tcp the other');
    await within(outbound.remove(), 2_000, 'the de-registration');
  }),
);

test.needs(NEEDS, 'RFC 6446: Kamailio answers 489 to rates, and is asked without them', () =>
  scene({}, async ({ kamailio, deps, alice, credentials, target }) => {
    const states = watched<string>();
    const subscription = createSubscription(deps, {
      resource: alice.aor,
      from: GATEWAY,
      accept: ['application/pidf+xml'],
      rates: { max: 0.5 },
      way: () => ({ target: target('udp') }),
      credentials,
      onState: (state) => states.add(state.kind),
    });
    subscription.start();
    await states.until((one) => one === 'active');
    // Its log may lag behind its answers.
    await kamailio.traced.until(
      ({ text }) => /^SUBSCRIBE/.test(text) && /^Event: *presence\r?$/im.test(text),
    );
    const events = kamailio.traced.seen
      .filter(({ text }) => text.startsWith('SUBSCRIBE'))
      .map(({ text }) => /^Event: *(.*)$/im.exec(text)?.[1]?.trim());
    assert.equal([...new Set(events)], ['presence;max-rate=0.5', 'presence']);
    await within(subscription.unsubscribe(), 3_000, 'the end of the subscription');
  }),
);
