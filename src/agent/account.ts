import {
  createDigestClient,
  createRequest,
  type DigestClient,
  type EventDeps,
  type Flow,
  type PublicationState,
  parseUri,
  type RegistrationState,
  type SipRequest,
  type Way,
} from 'tiny-sip';
import type { CodedError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Detail, DevicePresence } from '../presence/model.ts';
import { agentErrors } from './errors.ts';
import { createLink, type LinkState, sayTarget } from './link.ts';
import type { AccountOptions, PublishedDevice } from './options.ts';
import { type Credentials, createPresentity, type Presentity } from './presentity.ts';
import { createPublisher, type Publisher } from './publisher.ts';
import type { AgentState } from './state.ts';
import { type Chooser, createChooser } from './strategy.ts';

export interface AccountDeps extends EventDeps {
  readonly state: AgentState;
  readonly log: Log;
  /** A user part for a Contact that no other AOR of this agent has. */
  readonly contactUser: (aor: string) => string;
  /** Tells when an OPTIONS of ours comes back in; answers how to leave. */
  readonly onEcho: (callId: string, came: (flow: Flow) => void) => () => void;
  readonly onChange: () => void;
}

/** Whether requests to the account's AOR reach this gateway. */
export type Reach =
  | 'untested'
  | 'reached'
  | 'unknown'
  | { readonly kind: 'unreached'; readonly error: CodedError };

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
  const registrar = options.registrar ?? `sip:${domain.includes(':') ? `[${domain}]` : domain}`;
  const credentials = digestFor(options.user ?? parseUri(aor).user ?? '', options.password);
  const route = options.outboundProxy === undefined ? [] : [loose(options.outboundProxy)];
  let reach: Reach = 'untested';
  /** What is wrong now, by what it is about; each goes when that works again. */
  const errors = new Map<string, CodedError>();
  let ended = false;
  /** AORs of devices that wait for their turn to register. */
  let waiting: Identity[] = [];
  let busy = 0;

  const link = createLink(deps, {
    uri: options.outboundProxy ?? registrar,
    target: options.target,
    onUp: () => {
      main.presentity.register();
      deps.onChange();
    },
    onDown: (cause) => {
      errors.set('link', cause);
      reach = 'untested';
      waiting = [];
      deps.onChange();
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
      accept: askAccept,
      server: () => (link.state.kind === 'up' ? sayTarget(link.state.target) : registrar),
      onDecided: () => deps.onChange(),
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
      registrar: device && parseUri(ownAor).host !== domain ? `sip:${parseUri(ownAor).host}` : registrar,
      expires: options.registerExpires ?? DEFAULTS.registerExpires,
      instance: options.instance ?? '',
      contactUser: deps.contactUser(ownAor),
      ...(!device && { keepAlive: { datagram: interval, stream: interval, pong: PONG } }),
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
          note(`publish ${ownAor}`, agentErrors.TOO_LARGE({ aor: ownAor }));
        if (what.status === 415 && publisher.strategy === 'full')
          note(
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

  const note = (about: string, next: CodedError): void => {
    if (errors.get(about)?.message !== next.message)
      log.warn('account', { account: options.id, code: next.code, cause: next });
    errors.set(about, next);
    deps.onChange();
  };
  const mended = (about: string): void => {
    if (errors.delete(about)) deps.onChange();
  };

  const registeredMain = (next: RegistrationState): void => {
    if (ended) return;
    switch (next.kind) {
      case 'registered': {
        const anew = seenFlow !== next.flow;
        seenFlow = next.flow;
        link.proven();
        errors.delete('link');
        errors.delete(`register ${aor}`);
        main.publisher.wake();
        deps.onChange();
        if (!anew) return;
        log.info('registered', { aor, contact: next.contact });
        waiting = [...own.values()];
        registerOwn();
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
        note(`register ${aor}`, failure);
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
  let seenFlow: Flow | undefined;

  const registeredOwn = (identity: Identity, next: RegistrationState): void => {
    if (ended || next.kind === 'idle' || next.kind === 'registering') return;
    if (turns.delete(identity)) {
      busy -= 1;
      registerOwn();
    }
    if (next.kind === 'registered') {
      mended(`register ${identity.presentity.aor}`);
      identity.publisher.wake();
      const before = joined.get(identity);
      if (before === next.flow) return;
      joined.set(identity, next.flow);
      // Over a new flow it may be another server, or one that lost what it had.
      if (before) void identity.publisher.refresh();
      else chooser.join(identity.publisher);
    } else if (next.kind === 'refused')
      note(
        `register ${identity.presentity.aor}`,
        agentErrors.NOT_REGISTERED({
          aor: identity.presentity.aor,
          status: next.cause.status ?? '',
          reason: next.cause.reason,
        }),
      );
  };
  const turns = new Set<Identity>();
  const joined = new Map<Identity, Flow>();

  const registerOwn = (): void => {
    while (busy < AT_A_TIME) {
      const next = waiting.shift();
      if (!next) return;
      busy += 1;
      turns.add(next);
      next.presentity.register();
    }
  };

  const published = (which: string, next: PublicationState): void => {
    if (ended) return;
    if (next.kind === 'published') mended(`publish ${which}`);
    if (next.kind !== 'refused' && next.kind !== 'waiting') return;
    const { status, reason, kind } = next.cause;
    // A flow that broke is the link's to tell.
    if (kind === 'failed') return;
    const server = link.state.kind === 'up' ? sayTarget(link.state.target) : registrar;
    note(
      `publish ${which}`,
      kind === 'response'
        ? agentErrors.NOT_PUBLISHED({ aor: which, status: status ?? '', reason })
        : agentErrors.NO_ANSWER({ server, method: 'PUBLISH' }),
    );
  };

  const options200 = (uri: string): SipRequest =>
    createRequest({
      method: 'OPTIONS',
      uri,
      headers: { From: `<${aor}>`, To: `<${uri}>`, 'Call-ID': stack.token(), Accept: 'application/sdp' },
    });

  const ask = async (
    uri: string,
  ): Promise<{ status: number | undefined; accept: string[]; echo: Flow | undefined }> => {
    const way = main.presentity.way();
    const request = options200(uri).set('Route', way?.route ?? []);
    let echo: Flow | undefined;
    const leave = deps.onEcho(request.callId ?? '', (flow) => {
      echo = flow;
    });
    const outcome = await stack.send(request, {
      ...(way?.flow && { flow: way.flow }),
      ...(credentials && { credentials: credentials.proxy }),
    });
    leave();
    if (outcome.kind !== 'response') return { status: undefined, accept: [], echo };
    const accept = outcome.response
      .all('Accept')
      .map((value) => (value.split(';')[0] ?? '').trim().toLowerCase());
    return { status: outcome.response.status, accept, echo };
  };

  async function askAccept(): Promise<readonly string[] | undefined> {
    const { status, accept, echo } = await ask(registrar);
    // An OPTIONS that came to ourselves tells what we take, not what the server takes.
    return status !== undefined && status < 300 && !echo ? accept : undefined;
  }

  const testReach = async (flow: Flow): Promise<void> => {
    const { status, echo } = await ask(aor);
    if (ended || link.state.kind !== 'up' || link.state.flow !== flow) return;
    if (echo) reach = 'reached';
    else if (status === undefined || status === 404 || status === 408 || status === 480 || status === 430) {
      const cause =
        status === undefined ? 'an OPTIONS to it got no answer' : `an OPTIONS to it got ${status}`;
      const unreached = agentErrors.NAT({ aor, cause });
      if (typeof reach === 'string')
        log.warn('requests do not come back', { code: unreached.code, cause: unreached });
      reach = { kind: 'unreached', error: unreached };
    } else reach = 'unknown';
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
      const [first] = errors.values();
      return errors.get('link') ?? errors.get(`register ${aor}`) ?? first;
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

/** A URI as a Route value: loose routing, or the Request-URI would be rewritten (RFC 3261 §19.1.1). */
function loose(uri: string): string {
  return /;lr(?=[;=?]|$)/i.test(uri) ? `<${uri}>` : `<${uri};lr>`;
}
