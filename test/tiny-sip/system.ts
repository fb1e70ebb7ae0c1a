/** A small presence system on the fake clock: a server, a device that publishes, and a watcher. */
import {
  createDigestClient,
  createDigestServer,
  createGruuMint,
  createLocation,
  createNotifier,
  createPublication,
  createPublicationServer,
  createRegistration,
  createRegistrationServer,
  createStack,
  createSubscription,
  type DigestServer,
  type Incoming,
  type Notifier,
  type Publication,
  type PublicationServer,
  type PublishedDocument,
  type Registration,
  type Stack,
  type Subscription,
  type Transport,
} from 'tiny-sip';
import { createFakeRandom } from '../support/fake-random.ts';
import { faultyTransport, watchedStack } from '../support/faults.ts';
import type { Rig } from './rig.ts';

export interface System {
  readonly server: Stack;
  readonly device: Stack;
  readonly watcher: Stack;
  readonly registration: Registration;
  readonly publication: Publication;
  readonly subscription: Subscription;
  readonly notifier: Notifier;
  readonly esc: PublicationServer;
  /** What the device says. */
  value: string;
  /** What the watcher heard, in order. */
  readonly heard: string[];
  start(): void;
  stop(): Promise<void>;
}

const aor = 'sip:device@example.com';

/** `wrap` may put something between a stack and its transport; `inside` is called in every callback of the stack. */
export async function createSystem(
  rig: Rig,
  wrap: (transport: Transport) => Transport = (transport) => transport,
  inside: () => void = () => undefined,
): Promise<System> {
  const { clock, log, network } = rig;
  const protocol = network.transport({ host: 'x', port: 1 }).protocol;
  const make = async (host: string, seed: number): Promise<Stack> => {
    const stack = createStack(
      { clock, log, random: createFakeRandom(seed) },
      { transports: [faultyTransport(wrap(network.transport({ host, port: 5060 })))] },
    );
    await stack.start();
    stack.onTrace(inside);
    stack.onFlowClosed(inside);
    return watchedStack(stack, clock);
  };
  const server = await make('10.0.0.2', 11);
  const device = await make('10.0.0.1', 12);
  const watcher = await make('10.0.0.3', 13);
  const random = createFakeRandom(14);
  const target = { protocol, host: '10.0.0.2', port: 5060, name: 'example.com' } as const;

  const digest: DigestServer = createDigestServer(
    { clock, random },
    { realm: 'example.com', lookup: () => ({ password: 'secret' }), nonceLife: 100_000 },
  );
  const held = new Map<string, PublishedDocument>();
  const checked = ({ request }: Incoming) => {
    inside();
    const verdict = digest.check(request);
    return verdict.ok ? { ok: true as const, resource: aor, watcher: verdict.user } : verdict;
  };
  const notifier = createNotifier(
    { stack: server, clock, random, log },
    {
      event: 'presence',
      types: ['text/plain'],
      interval: 1_000,
      expires: { max: 300 },
      authorise: checked,
      body: ({ resource }) => {
        inside();
        // The newest publication is what the device means.
        const newest = [...held.values()].filter((one) => one.resource === resource).at(-1);
        return { contentType: 'text/plain', content: newest?.body ?? 'gone' };
      },
    },
  );
  const esc = createPublicationServer(
    { stack: server, clock, random, log },
    {
      events: { presence: { accept: ['text/plain'] } },
      authorise: checked,
      store: {
        publish(document, previous) {
          inside();
          if (previous !== undefined) held.delete(previous);
          held.set(document.tag, document);
          notifier.changed(document.resource);
          return undefined;
        },
        refresh(entry, previous) {
          inside();
          const old = held.get(previous);
          held.delete(previous);
          if (old !== undefined) held.set(entry.tag, { ...old, ...entry });
          return undefined;
        },
        remove(entry) {
          inside();
          held.delete(entry.tag);
          notifier.changed(entry.resource);
          return undefined;
        },
      },
    },
  );
  server.on('SUBSCRIBE', notifier.handle);
  server.on('PUBLISH', esc.handle);
  const location = createLocation({ clock, after: server.after }, { save: () => {}, drop: () => {} });
  const registrar = createRegistrationServer(
    { clock, log, location },
    {
      gruu: createGruuMint({ random }),
      isOurs: (uri) => uri.host === 'example.com',
      authorise({ request }) {
        const verdict = digest.check(request);
        return verdict.ok ? { ok: true, aor, headers: verdict.headers } : verdict;
      },
    },
  );
  server.on('REGISTER', registrar.handle);
  server.onFlowClosed(location.flowClosed);

  const credentials = createDigestClient({ random }, { username: 'device', password: 'secret' });
  const registration = createRegistration(
    { stack: device, clock, random, log },
    {
      aor,
      way: () => ({ target }),
      credentials,
      expires: 120,
      instance: 'urn:uuid:1',
      onState() {
        inside();
        publication.wake();
      },
    },
  );
  const publication = createPublication(
    { stack: device, clock, random, log },
    {
      aor,
      way: () => (registration.state.kind === 'registered' ? { flow: registration.state.flow } : undefined),
      credentials,
      body() {
        inside();
        return { contentType: 'text/plain', content: system.value, token: system.value };
      },
    },
  );
  const subscription = createSubscription(
    { stack: watcher, clock, random, log },
    {
      resource: aor,
      from: 'sip:watcher@example.com',
      way: () => ({ target }),
      credentials: createDigestClient({ random }, { username: 'watcher', password: 'secret' }),
      onNotify: ({ body }) => {
        inside();
        system.heard.push(body.toString());
        return undefined;
      },
    },
  );
  const system: System = {
    server,
    device,
    watcher,
    registration,
    publication,
    subscription,
    notifier,
    esc,
    value: '0',
    heard: [],
    start() {
      registration.start();
      publication.changed();
      subscription.start();
    },
    async stop() {
      publication.stop();
      registration.stop();
      subscription.stop();
      notifier.abandon();
      esc.stop();
      location.stop();
      for (const stack of [device, watcher, server]) await stack.stop();
    },
  };
  return system;
}
