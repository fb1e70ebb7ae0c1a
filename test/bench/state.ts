/**
 * What one live transaction, registration or subscription costs in bytes of memory: the heap and its buffers after a
 * collection, with so many of them and without, divided. On a clock and a network inside the process, so that nothing
 * but the state itself is there. Needs `--expose-gc`; prints one JSON object.
 */
import {
  createMemoryNetwork,
  createNotifier,
  createRegistration,
  createRequest,
  createStack,
  createSubscription,
  type Registration,
  type Stack,
  type Subscription,
} from 'tiny-sip';
import { silentLog } from '../../src/base/log.ts';
import { createSystemRandom } from '../../src/base/random.ts';
import { createFakeClock, type FakeClock } from '../support/fake-clock.ts';
import { requestNumber } from './request-load.ts';

export interface StateResult {
  readonly clientTransaction: number;
  readonly serverTransaction: number;
  readonly registration: number;
  readonly subscriber: number;
  readonly notifier: number;
}

const COUNT = 2_000;
const SERVER = { protocol: 'udp', host: '10.0.0.2', port: 5060, name: '10.0.0.2' } as const;
const random = createSystemRandom();

function scene() {
  const clock = createFakeClock();
  const network = createMemoryNetwork({ clock }, { protocol: 'udp' });
  const stack = async (host: string, own: FakeClock = clock): Promise<Stack> => {
    const made = createStack(
      { clock: own, log: silentLog, random },
      { transports: [network.transport({ host, port: 5060 })] },
    );
    await made.start();
    return made;
  };
  const deps = (on: Stack, own: FakeClock = clock) => ({ stack: on, clock: own, random, log: silentLog });
  return { clock, network, stack, deps };
}

/** Bytes in use once everything that can go is gone. */
function used(): number {
  const collect = globalThis.gc;
  if (collect === undefined) throw new Error('run it with --expose-gc');
  for (let i = 0; i < 4; i += 1) collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

async function clientTransactions(): Promise<number> {
  const { clock, stack } = scene();
  const client = await stack('10.0.0.1');
  const send = (n: number): void => {
    const headers = { From: '<sip:alice@10.0.0.1>', To: `<sip:bob${n}@10.0.0.2>` };
    const request = createRequest({ method: 'MESSAGE', uri: SERVER_URI, headers, body: 'hello' });
    void client.send(request, { target: SERVER });
  };
  send(0);
  await clock.settle();
  const before = used();
  for (let n = 1; n <= COUNT; n += 1) send(n);
  await clock.settle();
  const after = used();
  expect(client.counts()['transactions.client'], COUNT + 1);
  await client.stop();
  return (after - before) / COUNT;
}

const SERVER_URI = 'sip:bob@10.0.0.2';

async function serverTransactions(): Promise<number> {
  const { clock, network, stack } = scene();
  const server = await stack(SERVER.host);
  server.on('MESSAGE', (incoming) => incoming.respond(200));
  const peer = network.transport({ host: '10.0.0.9', port: 5060 });
  await peer.start({ message: () => undefined, closed: () => undefined, broken: () => undefined });
  const flow = peer.connect(SERVER);
  const warm = 100;
  for (let n = 0; n < warm; n += 1) await flow.send(requestNumber(n, 'udp'));
  await clock.settle();
  const before = used();
  for (let n = 0; n < COUNT; n += 1) await flow.send(requestNumber(warm + n, 'udp'));
  await clock.settle();
  const after = used();
  expect(server.counts()['transactions.server'], warm + COUNT);
  await server.stop();
  return (after - before) / COUNT;
}

/** Long enough for every transaction of a beginning to be over, and too short for a refresh. */
const OVER = 60_000;

async function registrations(): Promise<number> {
  const { clock, stack, deps } = scene();
  const server = await stack(SERVER.host);
  server.on('REGISTER', (incoming) => {
    const contact = incoming.request.get('Contact') ?? '';
    incoming.respond(200, { headers: { Contact: `${contact};expires=3600` } });
  });
  const client = await stack('10.0.0.1');
  const begin = (n: number): Registration => {
    const one = createRegistration(deps(client), {
      aor: `sip:device${n}@example.com`,
      expires: 3600,
      keepAlive: false,
      way: () => ({ target: SERVER }),
    });
    one.start();
    return one;
  };
  const all = [begin(0)];
  await clock.advance(OVER);
  const before = used();
  for (let n = 1; n <= COUNT; n += 1) all.push(begin(n));
  await clock.advance(OVER);
  const after = used();
  expect(all.filter(({ state }) => state.kind === 'registered').length, COUNT + 1);
  return (after - before) / COUNT;
}

async function subscriptions(): Promise<{ subscriber: number; notifier: number }> {
  const { clock, stack, deps } = scene();
  const server = await stack(SERVER.host);
  const notifier = createNotifier(deps(server), {
    event: 'presence',
    types: ['application/pidf+xml'],
    subscriptions: COUNT * 2,
    authorise: ({ request }) => ({
      ok: true,
      resource: request.to?.uri ?? '',
      watcher: request.from?.uri ?? '',
    }),
    body: () => ({ contentType: 'application/pidf+xml', content: '<presence/>' }),
  });
  server.on('SUBSCRIBE', notifier.handle);
  // On a clock of its own, whose timers would keep it alive.
  let clientClock: FakeClock | undefined = createFakeClock();
  let client: Stack | undefined = await stack('10.0.0.1', clientClock);
  const advance = async (): Promise<void> => {
    for (let passed = 0; passed < OVER; passed += OVER / 20) {
      await clock.advance(OVER / 20);
      await clientClock?.advance(OVER / 20);
    }
  };
  let all: Subscription[] | undefined = [];
  const begin = (n: number): void => {
    if (client === undefined) return;
    const one = createSubscription(deps(client, clientClock), {
      resource: `sip:device${n}@example.com`,
      from: `sip:watcher${n}@example.com`,
      accept: ['application/pidf+xml'],
      way: () => ({ target: SERVER }),
    });
    one.start();
    all?.push(one);
  };
  begin(0);
  await advance();
  const before = used();
  for (let n = 1; n <= COUNT; n += 1) begin(n);
  await advance();
  const both = used();
  expect(all.filter(({ state }) => state.kind === 'active').length, COUNT + 1);
  expect(server.counts().dialogs, COUNT + 1);
  // The watchers are gone without a word: what stays is the notifier's.
  await client.stop();
  client = clientClock = undefined;
  all = undefined;
  await clock.settle();
  const left = used();
  expect(server.counts().dialogs, COUNT + 1);
  return { subscriber: (both - left) / COUNT, notifier: (left - before) / COUNT };
}

function expect(found: unknown, wanted: number): void {
  if (found !== wanted) throw new Error(`${found} where ${wanted} are expected`);
}

const clientTransaction = await clientTransactions();
const serverTransaction = await serverTransactions();
const registration = await registrations();
const result: StateResult = {
  clientTransaction,
  serverTransaction,
  registration,
  ...(await subscriptions()),
};
console.log(JSON.stringify(result));
process.exit(0);
