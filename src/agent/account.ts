import {
  createDigestClient,
  type DigestClient,
  type EventDeps,
  type Flow,
  type PublicationState,
  parseUri,
  type RegistrationState,
  type Way,
} from 'tiny-sip';
import type { CodedError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Detail, DevicePresence } from '../presence/model.ts';
import { createAsking, type OnEcho } from './asking.ts';
import { agentErrors } from './errors.ts';
import type { Later } from './later.ts';
import { createLink, type LinkState, sayTarget } from './link.ts';
import type { AccountOptions, PublishedDevice } from './options.ts';
import { type Credentials, createPresentity, type Presentity } from './presentity.ts';
import { createPublisher, type Publisher } from './publisher.ts';
import type { AgentState } from './state.ts';
import { type Chooser, createChooser } from './strategy.ts';
import { createTroubles } from './troubles.ts';
import { createTurns } from './turns.ts';

export interface AccountDeps extends EventDeps {
  readonly reader: Later['reader'];
  readonly state: AgentState;
  readonly log: Log;
  /** A user part for a Contact that no other AOR of this agent has. */
  readonly contactUser: (aor: string) => string;
  readonly onEcho: OnEcho;
  readonly userAgent?: string | undefined;
  readonly onChange: () => void;
}

/** Whether requests to the account's AOR reach this gateway. */
export type Reach = 'untested' | 'reached' | 'unknown' | { readonly error: CodedError };

/** An AOR and what it publishes. */
export interface Identity {
  readonly presentity: Presentity;
  readonly publisher: Publisher;
  /** Id of the device whose own AOR it is. */
  readonly device?: string;
}

/** A moment to come, and how to wait for it no longer. */
export interface Until {
  readonly passed: Promise<void>;
  cancel(): void;
}

/** One account: a flow to its server, the registration of its AOR and of those of its devices, and their publications. */
export interface Account {
  readonly id: string;
  readonly options: AccountOptions;
  readonly link: LinkState;
  readonly main: Identity;
  /** Devices with an AOR of their own, by device id. */
  readonly own: ReadonlyMap<string, Identity>;
  readonly chooser: Chooser;
  readonly reach: Reach;
  /** The last thing that went wrong and was not mended since. */
  readonly error: CodedError | undefined;
  /** Whether this is the flow that this account opened to its server, and nobody can have forged what comes by it. */
  trusts(flow: Flow): boolean;
  start(): void;
  /** Takes over what is said about one of its devices. */
  set(device: PublishedDevice, presence: DevicePresence): void;
  /**
   * Removes all publications until `late`, and de-registers until `last`; resolves earlier when all is answered. What is
   * not answered is left to its expiry.
   */
  remove(late: Until, last: Until): Promise<void>;
  stop(): void;
}

const DEFAULTS = {
  expires: 120_000,
  registerExpires: 600_000,
  // Less than the half minute after which many NATs forget a UDP binding.
  keepAlive: 25_000,
} as const;

/** RFC 5626 §4.4.1: without a pong within 10 s the flow has failed. */
const PONG = 10_000;

/** AORs that register, or publish anew, at a time: a server that comes back must not be flooded. */
const AT_A_TIME = 32;

export function createAccount(deps: AccountDeps, options: AccountOptions): Account {
  const { stack, log, state } = deps;
  const { aor } = options;
  const detail: Detail = options.detail ?? 'lean';
  const domain = parseUri(aor).host;
  const registrar = options.registrar ?? uriOf(domain);
  const credentials = digestFor(options.user ?? parseUri(aor).user ?? '', options.password);
  const route = options.outboundProxy === undefined ? [] : [loose(options.outboundProxy)];
  let reach: Reach = 'untested';
  let ended = false;
  /** The flow over which the account, and each device's AOR, was registered last. */
  let registeredOver: Flow | undefined;
  const joined = new Map<Identity, Flow>();
  const troubles = createTroubles(deps, options.id, ['link', `register ${aor}`]);
  const turns = createTurns<Identity>(AT_A_TIME, ({ presentity }) => presentity.register());
  const asking = createAsking(deps, aor, registrar);

  const link = createLink(deps, {
    uri: options.outboundProxy ?? registrar,
    target: options.target,
    onUp: () => {
      main.presentity.register();
      deps.onChange();
    },
    onDown: (cause) => {
      reach = 'untested';
      turns.clear();
      troubles.note('link', cause);
    },
  });

  const interval = options.keepAlive ?? DEFAULTS.keepAlive;
  const flowWay = (): Way | undefined => (link.state.kind === 'up' ? { flow: link.state.flow } : undefined);

  // Without an outbound proxy the presence server is another place, and its own address leads there.
  const presenceWay: Way | undefined =
    options.presenceRoute === undefined ? undefined : { route: [...route, loose(options.presenceRoute)] };

  function digestFor(username: string, password: string | undefined): Credentials | undefined {
    if (password === undefined) return undefined;
    const make = (): DigestClient => createDigestClient(deps, { username, password });
    return { registrar: make(), presence: make(), proxy: make() };
  }

  const chooser = createChooser(
    {
      log,
      state,
      accept: () => asking.accept(main.presentity.presenceWay(), credentials?.presence),
      server: () => (link.state.kind === 'up' ? sayTarget(link.state.target) : registrar),
      onDecided: () => deps.onChange(),
      now: () => deps.clock.now(),
      after: stack.after,
    },
    { aor, configured: options.publish ?? 'auto', readBack: options.readBack ?? true },
  );

  const makeIdentity = (
    ownAor: string,
    client: Credentials | undefined,
    device?: PublishedDevice,
  ): Identity => {
    const presentity = createPresentity(deps, {
      aor: ownAor,
      registrar: parseUri(ownAor).host === domain ? registrar : uriOf(parseUri(ownAor).host),
      expires: options.registerExpires ?? DEFAULTS.registerExpires,
      instance: options.instance ?? '',
      userAgent: deps.userAgent,
      contactUser: deps.contactUser(ownAor),
      ...(!device && { keepAlive: { datagram: interval, stream: interval, pong: PONG, probe: true } }),
      credentials: client,
      flow: flowWay,
      route,
      presenceWay,
      onState: (next) => (device ? registeredOwn(identity, next) : registeredMain(next)),
    });
    const publisher = createPublisher(deps, {
      aor: ownAor,
      own: device !== undefined,
      detail: device?.detail ?? detail,
      expires: Math.round((options.expires ?? DEFAULTS.expires) / 1_000),
      way: () => presentity.presenceWay(),
      credentials: client?.presence,
      contactUser: presentity.contactUser,
      mayDiff: () => chooser.mayDiff(publisher),
      onAccepted: (kind) => chooser.accepted(publisher, kind),
      onUnsuitable: (what) => {
        if (what.status === 413 && publisher.detail === 'lean')
          troubles.note(`publish ${ownAor}`, agentErrors.TOO_LARGE({ aor: ownAor }));
        if (what.status === 415 && publisher.strategy === 'full')
          troubles.note(
            `publish ${ownAor}`,
            agentErrors.TYPE_REFUSED({
              aor: ownAor,
              type: what.contentType,
              accept: what.accept.join(', ') || 'nothing it names',
            }),
          );
        chooser.unsuitable(publisher, what);
      },
      onBadDiff: () => chooser.badDiff(publisher),
      onState: (next) => published(ownAor, next),
    });
    const identity: Identity = { presentity, publisher, ...(device && { device: device.id }) };
    return identity;
  };

  const main = makeIdentity(aor, credentials);
  const own = new Map<string, Identity>();
  for (const device of options.devices) {
    if (!device.own) continue;
    const { aor: ownAor, user, password } = device.own;
    const client =
      password === undefined ? credentials : digestFor(user ?? parseUri(ownAor).user ?? '', password);
    own.set(device.id, makeIdentity(ownAor, client, device));
  }
  chooser.main(main.publisher);

  const registeredMain = (next: RegistrationState): void => {
    if (ended) return;
    switch (next.kind) {
      case 'registered': {
        const anew = registeredOver !== next.flow;
        registeredOver = next.flow;
        link.proven();
        troubles.mended('link');
        troubles.mended(`register ${aor}`);
        main.publisher.wake();
        deps.onChange();
        if (!anew) return;
        log.info('registered', { aor, contact: next.contact });
        turns.queue(own.values());
        void testReach(next.flow);
        chooser.registered();
        return;
      }
      case 'waiting':
      case 'refused': {
        const { status, reason, kind } = next.cause;
        // A flow that broke is the link's to tell.
        if (kind === 'failed') return;
        const server = link.state.kind === 'up' ? sayTarget(link.state.target) : registrar;
        const failure =
          kind === 'response'
            ? agentErrors.NOT_REGISTERED({ aor, status: status ?? '', reason })
            : agentErrors.NO_ANSWER({ server, method: 'REGISTER' });
        troubles.note(`register ${aor}`, failure);
        // RFC 3263 §4.3: silence and 503 are reasons to try the next server. Where there is none, coming back at once
        // would not make this one better.
        const rest = next.retryAt - deps.clock.now();
        if (kind === 'timeout') link.reject(failure);
        else if ((status === 503 || status === 408) && link.alternatives) link.reject(failure, rest);
        return;
      }
      case 'blocked':
      case 'idle':
      case 'registering':
      case 'removed':
        deps.onChange();
        return;
    }
  };

  const registeredOwn = (identity: Identity, next: RegistrationState): void => {
    if (ended || next.kind === 'idle' || next.kind === 'registering') return;
    turns.over(identity);
    if (next.kind === 'registered') {
      troubles.mended(`register ${identity.presentity.aor}`);
      identity.publisher.wake();
      const before = joined.get(identity);
      if (before === next.flow) return;
      joined.set(identity, next.flow);
      // Over a new flow it may be another server, or one that lost what it had.
      if (before) void identity.publisher.refresh();
      else chooser.join(identity.publisher);
    } else if (next.kind === 'refused')
      troubles.note(
        `register ${identity.presentity.aor}`,
        agentErrors.NOT_REGISTERED({
          aor: identity.presentity.aor,
          status: next.cause.status ?? '',
          reason: next.cause.reason,
        }),
      );
  };
  const published = (which: string, next: PublicationState): void => {
    if (ended) return;
    if (next.kind === 'published') troubles.mended(`publish ${which}`);
    if (next.kind !== 'refused' && next.kind !== 'waiting') return;
    const { status, reason, kind } = next.cause;
    // A flow that broke is the link's to tell.
    if (kind === 'failed') return;
    const server = link.state.kind === 'up' ? sayTarget(link.state.target) : registrar;
    troubles.note(
      `publish ${which}`,
      kind === 'response'
        ? agentErrors.NOT_PUBLISHED({ aor: which, status: status ?? '', reason })
        : agentErrors.NO_ANSWER({ server, method: 'PUBLISH' }),
    );
  };

  const testReach = async (flow: Flow): Promise<void> => {
    const found = await asking.reach(main.presentity.way(), credentials?.proxy);
    if (ended || link.state.kind !== 'up' || link.state.flow !== flow) return;
    reach = typeof found === 'string' ? found : { error: agentErrors.NAT({ aor, cause: found.why }) };
    if (typeof reach === 'string') troubles.mended('reach');
    else troubles.note('reach', reach.error);
    deps.onChange();
  };

  return {
    id: options.id,
    options,
    get link() {
      return link.state;
    },
    main,
    own,
    chooser,
    get reach() {
      return reach;
    },
    get error() {
      return troubles.worst;
    },
    trusts: (flow) =>
      flow.opened &&
      flow.protocol !== 'udp' &&
      link.state.kind === 'up' &&
      link.state.flow === flow &&
      (options.identity ?? 'server') === 'server',
    start() {
      link.start();
    },
    set(device, presence) {
      (own.get(device.id) ?? main).publisher.set(presence);
    },
    async remove(late, last) {
      ended = true;
      chooser.stop();
      const all = [main, ...own.values()];
      await Promise.race([Promise.all(all.map(({ publisher }) => publisher.withdraw())), late.passed]);
      late.cancel();
      // What is not removed by now is left to its expiry; the registrar is told all the same.
      await Promise.race([Promise.all(all.map(({ presentity }) => presentity.remove())), last.passed]);
      last.cancel();
    },
    stop() {
      ended = true;
      chooser.stop();
      for (const { publisher, presentity } of [main, ...own.values()]) {
        publisher.stop();
        presentity.stop();
      }
      link.stop();
    },
  };
}

/** URI of a domain; `host` is a name or an IP literal, IPv6 without brackets. */
function uriOf(host: string): string {
  return `sip:${host.includes(':') ? `[${host}]` : host}`;
}

/** A URI as a Route value: loose routing, or the Request-URI would be rewritten (RFC 3261 §19.1.1). */
function loose(uri: string): string {
  return /;lr(?=[;=?]|$)/i.test(uri) ? `<${uri}>` : `<${uri};lr>`;
}
