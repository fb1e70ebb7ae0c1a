import { join } from 'node:path';
import {
  aorOf,
  createStack,
  createTcpTransport,
  createUdpTransport,
  type Flow,
  type Incoming,
  type Locator,
  parseUri,
  type Stack,
  type Transport,
} from 'tiny-sip';
import type { Clock, Timer } from '../base/clock.ts';
import { asError } from '../base/errors.ts';
import type { Files } from '../base/file.ts';
import type { Log } from '../base/log.ts';
import type { Health, Part } from '../base/part.ts';
import type { Random } from '../base/random.ts';
import { createAuthoriser } from '../commands/authorise.ts';
import { createReplayGuard, type ReplayGuard } from '../commands/replay.ts';
import { type Commands, createCommands } from '../commands/run.ts';
import type { Devices } from '../device/device.ts';
import type { Actuator } from '../device/reading.ts';
import type { DeviceState } from '../device/state.ts';
import { ACCEPT_ENCODING } from '../im/codings.ts';
import { type Account, createAccount, type Identity } from './account.ts';
import { checkAors } from './aors.ts';
import { ACCEPT } from './body.ts';
import { type Described, describe, nameDevice } from './describe.ts';
import { type AgentEvent, type Traffic, watchTraffic } from './events.ts';
import { readInstance } from './instance.ts';
import { createIntake, type Endpoint, type Intake } from './intake.ts';
import { type Later, later } from './later.ts';
import type { AgentOptions, PublishedDevice } from './options.ts';
import { createReplies, type Replies } from './replies.ts';
import { createSenderCheck } from './sender.ts';
import { type AgentState, createAgentState } from './state.ts';
import { type AccountView, type PublishedView, sayAccount, viewAccount, viewPublished } from './status.ts';

export interface AgentDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly files: Files;
  readonly devices: Devices;
  /** What can write, by id of the source. */
  readonly actuators: ReadonlyMap<string, Actuator>;
  /** Id of the source that feeds a signal. */
  readonly sourceOf: (device: string, signal: string) => string | undefined;
  /** Finds servers by name; without it only numeric addresses are reached. */
  readonly locator?: Locator | undefined;
  /** Transports besides the sockets, such as the one that leads to an edge in this process. */
  readonly transports?: readonly Transport[] | undefined;
  /** Makes the sockets' transports; by default UDP on a free port, and TCP. */
  readonly sockets?: (() => readonly Transport[]) | undefined;
  /** The addresses of this machine on links that are up; by default as the system tells. */
  readonly addresses?: (() => readonly string[]) | undefined;
  /** Loads what is needed rarely; a test on a clock of its own hands it in, so that nothing waits for a disk. */
  readonly later?: Later | undefined;
  readonly onEvent?: ((event: AgentEvent) => void) | undefined;
}

/** Publishes devices and takes commands for them. */
export interface Agent extends Part<AgentOptions> {
  status(): readonly AccountView[];
  /** What the servers have of each device, by its id. */
  published(): ReadonlyMap<string, PublishedView>;
  /** Totals and table sizes by a dotted name. */
  counts(): Record<string, number>;
}

/** Where a device is published and under which names. */
interface Placed {
  readonly account: Account;
  readonly identity: Identity;
  readonly device: PublishedDevice;
  readonly names: Described;
}

/** Of the time for a stop, what the de-registrations have when removals take too long. Milliseconds. */
const LAST_WORDS = 1_000;

/**
 * Makes an agent. Nothing is opened before `start`.
 *
 * @throws AGT_BAD_AOR, AGT_DUPLICATE_AOR, AGT_TOO_MANY_DEVICES for options that make no agent
 */
export function createAgent(deps: AgentDeps, options: AgentOptions): Agent {
  const { clock, random, log, files, devices } = deps;
  const contactUsers = checkAors(options.accounts);
  const compact = options.compact ?? true;

  const stack: Stack = createStack(
    {
      clock,
      random,
      log: log.child('sip'),
      ...(deps.locator && { locator: deps.locator }),
      ...(deps.addresses && { addresses: deps.addresses }),
    },
    {
      transports: [...(deps.transports ?? []), ...(deps.sockets ?? sockets)()],
      compact,
      supported: ['outbound', 'path'],
    },
  );

  function sockets(): Transport[] {
    // A memory transport reaches all servers when every account names its target.
    if (options.accounts.every(({ target }) => target?.protocol === 'memory')) return [];
    return [
      createUdpTransport({ clock, log, random }, { host: ['0.0.0.0', '::'], port: 0 }),
      createTcpTransport({ clock, log, random }, { listen: false }),
    ];
  }

  const state: AgentState = createAgentState({ files, log, clock }, { directory: options.runtime });
  const authoriser = createAuthoriser(options.commands ?? []);
  const kept = createReplayGuard({ files, log }, { path: join(options.data, 'commands.journal') });
  let guard: ReplayGuard = kept;
  const replies: Replies = createReplies({ stack, log }, { compact });
  const commands: Commands = createCommands(
    {
      clock,
      log,
      devices,
      actuators: deps.actuators,
      sourceOf: deps.sourceOf,
      authoriser,
      refresh: async (ids) => republish(ids),
      overview: () => accounts.map((account) => sayAccount(viewAccount(clock, account))),
    },
    options.command,
  );
  const { reader, decoder } = deps.later ?? later;
  const intake: Intake = createIntake({
    clock,
    log,
    authoriser,
    guard: { ...kept, claim: (sender, message) => guard.claim(sender, message) },
    commands,
    replies,
    decoder,
    onEvent: deps.onEvent,
  });

  let accounts: Account[] = [];
  const placed = new Map<string, Placed>();
  /** Endpoints by the user part of their Contact. */
  const endpoints = new Map<string, Endpoint>();
  const owners = new Map<string, { account: string; identity: Identity }>();
  const echoes = new Map<string, (flow: Flow) => void>();
  const told = new Map<string, string>();
  const leaves: (() => void)[] = [];
  let traffic: Traffic | undefined;
  let ended = false;

  const place = (account: Account): void => {
    const { options: own } = account;
    const senders = createSenderCheck(
      deps,
      { realm: parseUri(own.aor).host, users: options.users ?? [] },
      (uri) => authoriser.knows(uri),
    );
    const register = (identity: Identity): void => {
      const { presentity, publisher } = identity;
      owners.set(publisher.aor, { account: account.id, identity });
      endpoints.set(presentity.contactUser, {
        from: {
          aor: presentity.aor,
          way: () => presentity.way(),
          credentials: presentity.credentials?.proxy,
        },
        device: identity.device,
        senders,
        trusts: ({ flow }) => account.trusts(flow),
      });
    };
    register(account.main);
    for (const device of own.devices) {
      const identity = account.own.get(device.id) ?? account.main;
      if (identity !== account.main) register(identity);
      const names = nameDevice(
        identity.publisher.aor,
        device.id,
        identity !== account.main,
        device.detail === 'lean',
      );
      placed.set(device.id, { account, identity, device, names });
    }
  };

  const show = (id: string, device: DeviceState | undefined): void => {
    const where = placed.get(id);
    if (!where || ended) return;
    try {
      if (device) where.account.set(where.device, describe(clock, device, where.names));
      else where.identity.publisher.remove(where.names.id);
    } catch (error) {
      // One device that cannot be told must not keep the others from being told.
      log.error('device cannot be published', { device: id, cause: asError(error) });
    }
  };

  const republish = (ids: readonly string[]): number => {
    const publishers = new Set(ids.flatMap((id) => placed.get(id)?.identity.publisher ?? []));
    let count = 0;
    for (const publisher of publishers) count += publisher.republish();
    return count;
  };

  const onMessage = (incoming: Incoming): void => {
    const user = userOf(incoming.request.uri);
    const endpoint = user === undefined ? undefined : endpoints.get(user);
    if (endpoint && !ended) void intake.take(incoming, endpoint);
    else incoming.respond(endpoint ? 503 : 404);
  };

  const onOptions = (incoming: Incoming): void => {
    echoes.get(incoming.request.callId ?? '')?.(incoming.flow);
    incoming.respond(200, {
      headers: {
        Allow: stack.methods.join(', '),
        Accept: ACCEPT,
        'Accept-Encoding': ACCEPT_ENCODING,
        Supported: 'outbound, path',
      },
    });
  };

  const changed = (account: Account): void => {
    const view = viewAccount(clock, account);
    const said = sayAccount(view);
    if (told.get(account.id) === said) return;
    told.set(account.id, said);
    deps.onEvent?.({
      type: 'account',
      account: account.id,
      aor: view.aor,
      state: view.registration,
      detail: view.detail ?? `${view.publish.strategy}: ${view.publish.detail}`,
    });
  };

  const openGuard = async (): Promise<void> => {
    try {
      await kept.open();
    } catch (error) {
      log.error('commands taken before cannot be read', { cause: asError(error) });
      // Which commands were taken before is not known, so none that acts is taken now.
      guard = { ...kept, claim: () => Promise.reject(asError(error)) };
    }
  };

  return {
    async start(abort) {
      await state.open().catch((error: unknown) => {
        log.warn('state of the last run cannot be read', { cause: asError(error) });
      });
      await openGuard();
      const needed = options.accounts.some(({ instance }) => instance === undefined);
      const instance = needed ? await readInstance({ files, random, log }, options.data) : '';
      abort.throwIfAborted();
      await stack.start();
      leaves.push(stack.on('MESSAGE', onMessage), stack.on('OPTIONS', onOptions));
      accounts = options.accounts.map((own) => {
        const account: Account = createAccount(
          {
            stack,
            clock,
            random,
            log,
            state,
            reader,
            contactUser: (aor) => contactUsers.get(aorOf(aor)) ?? 'agent',
            onEcho: (callId, came) => {
              echoes.set(callId, came);
              return () => void echoes.delete(callId);
            },
            userAgent: options.userAgent,
            // Told when the account stands: it may speak while it is being made.
            onChange: () => queueMicrotask(() => changed(account)),
          },
          { ...own, instance: own.instance ?? instance },
        );
        return account;
      });
      for (const account of accounts) place(account);
      traffic = watchTraffic(
        { stack, clock },
        (aor) => {
          const owner = owners.get(aor);
          return {
            account: owner?.account ?? '',
            segmented: owner?.identity.publisher.strategy === 'segments',
          };
        },
        deps.onEvent,
      );
      leaves.push(() => traffic?.stop());
      // The newest device stands first in a document, so the first of the configuration goes in last.
      for (const device of [...devices.list()].reverse()) show(device.id, device);
      leaves.push(devices.onChange(show));
      for (const account of accounts) account.start();
    },

    async stop(deadline) {
      if (ended) return;
      ended = true;
      intake.stop();
      for (const leave of leaves.splice(0)) leave();
      const left = (): number => Math.max(0, deadline - clock.now());
      await Promise.all(accounts.map((account) => account.remove(until(left() - LAST_WORDS), until(left()))));
      for (const account of accounts) account.stop();
      replies.stop();
      await stack.stop();
      for (const close of [state.close(), kept.close()])
        await close.catch((error: unknown) => log.warn('not all was written', { cause: asError(error) }));
    },

    update: (next) => (JSON.stringify(next) === JSON.stringify(options) ? 'applied' : 'restart'),

    health(): Health {
      const views = accounts.map((account) => viewAccount(clock, account));
      const bad = views.find((view) => view.state !== 'ok');
      if (!bad) return { state: 'ok' };
      return {
        state: views.every((view) => view.state === 'down') ? 'down' : 'degraded',
        ...(bad.code !== undefined && { code: bad.code }),
        detail: sayAccount(bad),
      };
    },

    status: () => accounts.map((account) => viewAccount(clock, account)),

    published: () =>
      new Map(
        [...placed].map(([id, { account, identity, names }]) => [
          id,
          viewPublished(clock, account.id, identity, names.id),
        ]),
      ),

    counts() {
      const all: Record<string, number> = {};
      const add = (prefix: string, counts: Readonly<Record<string, number>>): void => {
        for (const [name, count] of Object.entries(counts)) all[`${prefix}.${name}`] = count;
      };
      add('commands', commands.counts());
      add('messages', intake.counts());
      add('replies', replies.counts());
      add('replay', kept.counts());
      add('sip', stack.counts());
      for (const [kind, { requests, bytes }] of Object.entries(traffic?.counts() ?? {}))
        add(`publish.${kind}`, { requests, bytes });
      return all;
    },
  };

  /** Resolves after so many milliseconds, and says how to end that early. */
  function until(ms: number): { readonly passed: Promise<void>; cancel(): void } {
    let timer: Timer | undefined;
    const passed = new Promise<void>((resolve) => {
      timer = clock.after(Math.max(0, ms), resolve);
    });
    return { passed, cancel: () => timer?.cancel() };
  }
}

function userOf(uri: string): string | undefined {
  try {
    return parseUri(uri).user;
  } catch {
    return undefined;
  }
}
