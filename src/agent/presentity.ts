import {
  createRegistration,
  type DigestClient,
  type EventDeps,
  type Registration,
  type RegistrationKeepAlive,
  type RegistrationState,
  type Way,
} from 'tiny-sip';

/**
 * One user's digest clients. Who serves a request itself challenges with 401, who passes it on with 407, and a client that
 * knows both would put both into every request: a quarter of a kilobyte for nothing. So there is one for each server
 * that may be behind the flow.
 */
export interface Credentials {
  readonly registrar: DigestClient;
  /** For PUBLISH and its read-back. */
  readonly presence: DigestClient;
  /** For what goes on to others: MESSAGE and OPTIONS. */
  readonly proxy: DigestClient;
}

/** What one AOR needs of its account. */
export interface PresentityOptions {
  readonly aor: string;
  readonly registrar: string;
  readonly expires: number;
  readonly instance: string;
  readonly contactUser: string;
  readonly userAgent?: string | undefined;
  /** Absent: another AOR on the same flow does it. */
  readonly keepAlive?: RegistrationKeepAlive | undefined;
  readonly credentials?: Credentials | undefined;
  /** The flow to the server; undefined while there is none. */
  readonly flow: () => Way | undefined;
  /** Values of Route for all requests but REGISTER, before those of Service-Route. */
  readonly route: readonly string[];
  /** The way of PUBLISH where it is another. */
  readonly presenceWay?: Way | undefined;
  readonly onState: (state: RegistrationState) => void;
}

/** One address of record at the server: its registration, and the ways of its other requests. */
export interface Presentity {
  readonly aor: string;
  readonly contactUser: string;
  readonly credentials: Credentials | undefined;
  readonly state: RegistrationState;
  /** By which way requests go; undefined until the REGISTER was answered (S5). */
  way(): Way | undefined;
  /** The same for PUBLISH and its read-back. */
  presenceWay(): Way | undefined;
  /** Registers, or registers anew over a new flow. */
  register(): void;
  remove(): Promise<void>;
  stop(): void;
}

export function createPresentity(deps: EventDeps, options: PresentityOptions): Presentity {
  const { aor, credentials, contactUser } = options;
  let started = false;
  const registration: Registration = createRegistration(deps, {
    aor,
    registrar: options.registrar,
    expires: Math.round(options.expires / 1_000),
    // RFC 3608 §5: no Service-Route, and no Route at all, on REGISTER: it goes straight down the flow.
    way: options.flow,
    ...(credentials && { credentials: credentials.registrar }),
    instance: options.instance,
    regId: 1,
    contactUser,
    keepAlive: options.keepAlive ?? false,
    ...(options.userAgent !== undefined && { headers: { 'User-Agent': options.userAgent } }),
    onState: options.onState,
  });

  let known: { readonly state: object; readonly way: Way } | undefined;
  const way = (): Way | undefined => {
    const { state } = registration;
    const flow = options.flow();
    if (state.kind !== 'registered' || !flow || state.flow !== flow.flow) return undefined;
    // The same object for as long as it is the same way: every request asks.
    if (known?.state !== state)
      known = { state, way: { flow: flow.flow, route: [...options.route, ...state.serviceRoute] } };
    return known.way;
  };

  return {
    aor,
    contactUser,
    credentials,
    get state() {
      return registration.state;
    },
    way,
    presenceWay: () => (way() && options.presenceWay) ?? way(),
    register() {
      if (started) registration.refresh();
      else registration.start();
      started = true;
    },
    remove: () => registration.remove(),
    stop: () => registration.stop(),
  };
}
