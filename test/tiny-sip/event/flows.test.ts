/** A watcher and a notifier on real connections and a fake clock: what becomes of the connection, and of the watcher. */
import {
  createNotifier,
  createStack,
  createSubscription,
  createTcpTransport,
  createTlsTransport,
  type Notifier,
  type NotifierOptions,
  type Stack,
  type Subscription,
  type SubscriptionOptions,
  type Target,
  type Transport,
} from 'tiny-sip';
import * as assert from 'uvu/assert';
import { createAuthority } from '../../support/certificates.ts';
import { createFakeClock, type FakeClock } from '../../support/fake-clock.ts';
import { createFakeRandom } from '../../support/fake-random.ts';
import { suite } from '../../support/harness.ts';
import { createQuietLog } from '../rig.ts';
import { eventually } from '../transport/recorder.ts';

const test = suite('tiny-sip subscriptions and their connections');

const authority = createAuthority();
const running: Stack[] = [];
test.afterEach(async () => {
  for (const stack of running.splice(0)) await stack.stop();
});

interface Scene {
  readonly clock: FakeClock;
  readonly server: Stack;
  readonly client: Stack;
  readonly notifier: Notifier;
  readonly subscription: Subscription;
  readonly target: Target;
  /** What the watcher was told. */
  readonly told: string[];
  value: string;
  /** Connections that the server has accepted. */
  accepted(): number;
  flows(): number;
  /** Lets time pass in small pieces; between them the sockets do what they have to. */
  pass(ms: number): Promise<void>;
  quiet(): Promise<void>;
}

const resource = 'sip:freezer@example.com';

async function scene(
  protocol: 'tcp' | 'tls',
  notifying: Partial<NotifierOptions> = {},
  subscribing: Partial<SubscriptionOptions> = {},
): Promise<Scene> {
  const clock = createFakeClock();
  const log = createQuietLog();
  const random = createFakeRandom(31);
  const deps = { clock, log, random };
  const at = { host: '127.0.0.1', port: 0 };
  const identity = authority.issue({ dns: ['example.com'] });
  const listening: Transport =
    protocol === 'tcp'
      ? createTcpTransport(deps, at)
      : createTlsTransport(deps, { ...at, identity, ca: authority.cert });
  const calling: Transport =
    protocol === 'tcp'
      ? createTcpTransport(deps, { listen: false })
      : createTlsTransport(deps, { listen: false, ca: authority.cert });
  const stackOn = async (transport: Transport): Promise<Stack> => {
    const stack = createStack(deps, { transports: [transport] });
    await stack.start();
    running.push(stack);
    return stack;
  };
  const server = await stackOn(listening);
  const client = await stackOn(calling);
  const notifier = createNotifier(
    { stack: server, ...deps },
    {
      event: 'presence',
      types: ['text/plain'],
      authorise: () => ({ ok: true, resource, watcher: 'alice' }),
      body: () => ({ contentType: 'text/plain', content: one.value }),
      ...notifying,
    },
  );
  server.on('SUBSCRIBE', notifier.handle);
  const target: Target = { protocol, ...listening.local, name: 'example.com' };
  const told: string[] = [];
  const one: Scene = {
    clock,
    server,
    client,
    notifier,
    target,
    told,
    value: 'first',
    subscription: createSubscription(
      { stack: client, ...deps },
      {
        resource,
        from: 'sip:alice@example.com',
        accept: ['text/plain'],
        expires: 3600,
        way: () => ({ target }),
        onNotify({ body }) {
          if (body.length > 0) told.push(body.toString());
          return undefined;
        },
        ...subscribing,
      },
    ),
    accepted: () => listening.counts().accepted ?? 0,
    flows: () => (listening.counts().flows ?? 0) + (calling.counts().flows ?? 0),
    async quiet() {
      const busy = (stack: Stack) => stack.counts()['transactions.client'] !== 0;
      await eventually(() => !busy(server) && !busy(client), 'all answers');
    },
    async pass(ms) {
      for (let left = ms; left > 0; left -= 15_000) {
        await clock.advance(Math.min(left, 15_000));
        for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
        await one.quiet();
      }
    },
  };
  one.subscription.start();
  await eventually(() => told.length === 1, 'the first notification');
  await one.quiet();
  return one;
}

// watcher                     notifier
//   |--connects, SUBSCRIBE------>|  for an hour
//   |<-200, NOTIFY---------------|
//   |   CRLFs from both sides    |  idle connections are closed after ten minutes
//   |<-NOTIFY--------------------|  50 minutes later, by the same connection
//   |--SUBSCRIBE (refresh)------>|  by the same connection
//   |--SUBSCRIBE, Expires: 0---->|  nobody needs it any more: it is closed for being idle
for (const protocol of ['tcp', 'tls'] as const)
  for (const [who, notifying, subscribing] of [
    ['both sides', {}, {}],
    ['the watcher alone', { keepAlive: false }, {}],
    ['the notifier alone', {}, { keepAlive: false }],
  ] as const)
    test(`S24: a connection over ${protocol} lives as long as the subscription, held by ${who}, and no longer`, async () => {
      const one = await scene(protocol, notifying, subscribing);
      await one.pass(2_900_000);
      one.value = 'after 48 minutes';
      one.notifier.changed(resource);
      await eventually(() => one.told.length === 2, 'the notification');
      await one.quiet();
      await one.pass(300_000);
      assert.is(one.notifier.counts().refreshed, 1);
      assert.is(one.accepted(), 1, 'one connection, used both ways');
      assert.is(one.flows(), 2);
      const leaving = one.subscription.unsubscribe();
      await one.quiet();
      await leaving;
      await one.pass(630_000);
      await eventually(() => one.flows() === 0, 'closed');
      assert.is(one.notifier.counts().subscriptions, 0);
      await one.client.stop();
      await one.server.stop();
      assert.is(one.clock.pending(), 0);
    });

// watcher                     notifier
//   |--SUBSCRIBE---------------->|
//   X   the connection is cut    |
//   |--connects, SUBSCRIBE------>|  in the same dialog
//   |<-NOTIFY--------------------|
for (const protocol of ['tcp', 'tls'] as const)
  test(`S24: when the connection is lost the watcher is back over another within a second, ${protocol}`, async () => {
    const one = await scene(protocol);
    for (let cut = 1; cut <= 3; cut += 1) {
      await one.pass(120_000);
      one.client.flow(one.target).close(new Error('cut'));
      await one.pass(1_500);
      await eventually(() => one.accepted() === cut + 1, `connection ${cut + 1}`);
      await one.quiet();
      one.value = `after cut ${cut}`;
      one.notifier.changed(resource);
      await one.pass(6_000);
      await eventually(() => one.told.includes(`after cut ${cut}`), 'the notification');
    }
    assert.is(one.notifier.counts().subscribed, 1, 'the same subscription');
    assert.is(one.notifier.counts().subscriptions, 1);
  });
