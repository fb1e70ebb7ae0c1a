import {
  type Binding,
  createLocation,
  createStack,
  createTcpTransport,
  createUdpTransport,
  type Flow,
  type Location,
  type Locator,
  type Random,
  type Transport,
} from 'tiny-sip';
import type { Clock } from '../base/clock.ts';
import { asError } from '../base/errors.ts';
import type { Files } from '../base/file.ts';
import type { Log } from '../base/log.ts';
import type { Health, Part } from '../base/part.ts';
import { type Accounts, createAccounts } from './accounts.ts';
import { dispatch } from './dispatch.ts';
import { createDomain } from './domain.ts';
import { edgeErrors } from './errors.ts';
import { createEsc, type Esc } from './esc.ts';
import { type EdgeEvent, watchTraffic } from './events.ts';
import { createGate, type Gate } from './gate.ts';
import { defaultLimits, type EdgeOptions, inSeconds, type Listen } from './options.ts';
import { createPresence, type WatchVerdict } from './presence.ts';
import { createProxy, type SipProxy } from './proxy.ts';
import { createRegistrar, type Registrar } from './registrar.ts';
import { createNoStore, createStore, type Store } from './store.ts';

export interface EdgeDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly files: Files;
  /** Transports besides those listened on, such as the one that leads to an agent in this process. */
  readonly transports?: readonly Transport[];
  /** Makes a listener; by default one on a real socket. */
  readonly listen?: (listen: Listen) => Transport;
  /** Finds contacts that are host names; without it only numeric ones are reached. */
  readonly locator?: Locator;
  /** Who may watch whom; absent: every user of the domain may watch every presentity in it. */
  readonly policy?: (watcher: string, resource: string) => WatchVerdict;
  readonly onEvent?: (event: EdgeEvent) => void;
}

/** The built-in presence server: registrar, event state compositor, presence notifier, proxy for messages. */
export interface Edge extends Part<EdgeOptions> {
  /** Where it listens, with the ports that the system chose. In the order of the options. */
  addresses(): readonly Listen[];
  /** Ends at once, without a word to watchers and without writing what waits: all that a kill leaves is left. */
  abandon(): Promise<void>;
  /** Table sizes and totals, for `status`. */
  counts(): Record<string, number>;
}

/** How much longer than the longest lifetime a stream may be silent, in milliseconds. */
const IDLE_GRACE = 120_000;

/** What `stop` keeps of its time for all that comes after the watchers, in milliseconds. */
const STOP_RESERVE = 600;

/**
 * Makes an edge. Nothing is opened before `start`.
 *
 * @throws EDGE_NO_DOMAIN, EDGE_NO_LISTENER, EDGE_BAD_AOR for options that make no edge
 */
export function createEdge(deps: EdgeDeps, options: EdgeOptions): Edge {
  const { clock, random, log } = deps;
  const given = deps.transports ?? [];
  if (options.domains.length === 0) throw edgeErrors.NO_DOMAIN();
  if (options.listen.length + given.length === 0) throw edgeErrors.NO_LISTENER();
  const limits = { ...defaultLimits, ...options.limits };
  const domain = createDomain(options);
  let accounts = createAccounts(domain, options.domains, options.users, options.algorithms);
  const currentAccounts = (): Accounts => accounts;

  // Whoever registers or watches by a stream is reached by that stream alone, so it may be silent for as long.
  const idle =
    1_000 * Math.max(inSeconds(options.registration).max, inSeconds(options.subscription).max) + IDLE_GRACE;
  const listeners = options.listen.map((listen) => (deps.listen ?? socketFor)(listen));
  const transports = [...listeners, ...given];
  const stack = createStack(
    { clock, random, log, ...(deps.locator && { locator: deps.locator }) },
    {
      transports,
      proxy: true,
      ...(options.userAgent !== undefined && { userAgent: options.userAgent }),
    },
  );

  function socketFor({ protocol, host, port }: Listen): Transport {
    return protocol === 'udp'
      ? createUdpTransport({ clock, log }, { host, port })
      : createTcpTransport({ clock, log, random }, { host, port, idle });
  }

  const store: Store =
    options.data === undefined
      ? createNoStore()
      : createStore(
          { clock, files: deps.files, log },
          {
            directory: options.data,
            durable: options.durable ?? false,
            bytesPerDay: options.bytesPerDay,
            bindings: () => location.records(),
            documents: () => esc.records(),
          },
        );

  const gate: Gate = createGate(
    { clock, random },
    { domain, accounts: currentAccounts, localUser: options.localUser },
  );
  const location: Location = createLocation(
    { clock, after: (ms, run) => stack.after(ms, run) },
    { save: (record) => store.saveBinding(record), drop: (aor, key) => store.dropBinding(aor, key) },
  );
  const shared = { stack, clock, random, log, gate, domain, accounts: currentAccounts };
  const registrar: Registrar = createRegistrar(
    { ...shared, location },
    {
      expires: options.registration,
      bindings: limits.bindings,
      bindingsPerAor: limits.bindingsPerAor,
    },
  );
  const esc: Esc = createEsc(
    {
      ...shared,
      store,
      changed: (resource) => notifier.changed(resource),
    },
    {
      expires: options.publication,
      linger: options.linger ?? 300_000,
      publications: limits.publications,
      perResource: limits.publicationsPerAor,
      bodyBytes: limits.bodyBytes,
      documentBytes: limits.documentBytes,
    },
  );
  const notifier = createPresence(shared, {
    expires: options.subscription,
    interval: options.notifyInterval,
    subscriptions: limits.subscriptions,
    perWatcher: limits.subscriptionsPerWatcher,
    perResource: limits.subscriptionsPerAor,
    document: (resource) => esc.document(resource),
    policy: deps.policy,
    reach(contact) {
      const destination = registrar.resolve(contact);
      const [binding] = destination?.instance ? destination.bindings : [];
      return binding?.byFlow ? reach(binding) : undefined;
    },
    save: (record) => store.saveSubscription(record),
    drop: (id) => store.dropSubscription(id),
  });

  /** RFC 5626 §7: the flow that registered the binding; a datagram one can be had again, a stream cannot. */
  const reach = (binding: Binding): Flow | undefined => {
    if (binding.flow && binding.flow.state !== 'closed') return binding.flow;
    if (binding.protocol !== 'udp') return undefined;
    const same = (transport: Transport): boolean =>
      transport.protocol === 'udp' && transport.local.port === binding.local.port;
    return transports.find(same)?.connect(binding.remote);
  };
  const proxy: SipProxy = createProxy(
    { ...shared, registrar, reach, secret: random.bytes(16) },
    { forwarding: limits.forwarding },
  );

  const open = (): void => {
    dispatch(stack, { log, domain, registrar, esc, notifier, proxy });
    stack.onFlowClosed((flow) => location.flowClosed(flow));
    if (deps.onEvent) watchTraffic(stack, domain, deps.onEvent);
  };

  let running = false;

  return {
    async start(abort) {
      const kept = await store.load();
      // All is in its place before the first request comes; watchers are told as soon as there is a way to them.
      for (const binding of kept.bindings) location.restore(binding);
      esc.restore(kept.documents);
      open();
      try {
        await stack.start();
      } catch (error) {
        await stack.stop();
        throw edgeErrors.CANNOT_LISTEN({ cause: asError(error) }, error);
      }
      if (abort.aborted) return stack.stop();
      running = true;
      for (const transport of transports) domain.listening(transport.local);
      for (const subscription of kept.subscriptions) notifier.restore(subscription);
      log.info('edge is up', { domain: domain.name, listen: listeners.map(describeListener).join(' ') });
    },
    async stop(deadline) {
      if (!running) return;
      running = false;
      await notifier.stop(Math.max(clock.now(), deadline - STOP_RESERVE));
      esc.stop();
      location.stop();
      await stack.stop();
      await store.close();
    },
    async abandon() {
      running = false;
      notifier.abandon();
      esc.stop();
      location.stop();
      await stack.stop();
    },
    update(next) {
      const { users: _old, ...before } = options;
      const { users, ...after } = next;
      if (JSON.stringify(before) !== JSON.stringify(after)) return 'restart';
      accounts = createAccounts(domain, options.domains, users, options.algorithms);
      return 'applied';
    },
    health(): Health {
      if (!running) return { state: 'down', detail: 'not listening' };
      const { failure } = store;
      if (!failure) return { state: 'ok' };
      const error = edgeErrors.CANNOT_STORE({ path: options.data, cause: failure });
      return { state: 'degraded', code: error.code, detail: error.message };
    },
    addresses: () =>
      listeners.map((transport, at) => ({
        protocol: options.listen[at]?.protocol ?? 'udp',
        host: transport.local.host,
        port: transport.local.port,
      })),
    counts: () => ({
      users: accounts.size,
      bindings: location.size,
      registered: location.aors,
      ...named('publication', esc.counts()),
      ...named('subscription', notifier.counts()),
      ...named('registrar', registrar.counts()),
      ...named('proxy', proxy.counts()),
      ...named('gate', gate.counts()),
      ...named('store', store.counts()),
      ...named('sip', stack.counts()),
    }),
  };
}

function describeListener(transport: Transport): string {
  return `${transport.protocol}:${transport.local.host}:${transport.local.port}`;
}

function named(prefix: string, counts: Record<string, number>): Record<string, number> {
  return Object.fromEntries(Object.entries(counts).map(([name, value]) => [`${prefix}.${name}`, value]));
}
