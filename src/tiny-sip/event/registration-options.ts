import type { DigestClient } from '../auth/client.ts';
import type { Way } from '../dialog/user-agent.ts';
import type { Address, Flow } from '../transport/transport.ts';
import type { Failure } from './retry.ts';

/** How a registration is made. */
export interface RegistrationOptions {
  /** Address of record, e.g. `sip:freezer@example.com`. */
  readonly aor: string;
  /** Request-URI; default the AOR's domain. */
  readonly registrar?: string;
  /** Seconds asked for. Default 600. */
  readonly expires?: number;
  /**
   * Where to: a flow, a target, or routes to be looked up. Service-Route is never used here (RFC 3608 §6.1).
   * undefined: not yet; call `wake()` when it changed. Default: the registrar is looked up.
   */
  readonly way?: () => Way | undefined;
  /** Answers challenges. */
  readonly credentials?: DigestClient;
  /** URN for `+sip.instance` (RFC 5626 §4.1), e.g. `urn:uuid:…`. */
  readonly instance?: string;
  /** RFC 5626 `reg-id`; default 1 when `instance` is given. */
  readonly regId?: number;
  /** More parameters of the Contact, each with its leading semicolon. */
  readonly contactParams?: string;
  /** User part of the Contact; default that of the AOR. */
  readonly contactUser?: string;
  /**
   * Keeps flows alive that this side opened: CRLF every `datagram` or `stream` ms, and `pong` ms for the answer on
   * streams; on UDP STUN where the server says that it knows it (RFC 5626 §8), with `pong` ms for its answer. A
   * Flow-Timer of the server wins. Default 25 s, 90 s and 10 s; false: whoever made the flow does it.
   */
  readonly keepAlive?: false | RegistrationKeepAlive;
  /** Own headers, on every REGISTER. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Called with every new state. */
  readonly onState?: (state: RegistrationState) => void;
}

/** All times in ms. */
export interface RegistrationKeepAlive {
  /** Milliseconds between pings on UDP. */
  readonly datagram: number;
  /** Milliseconds between pings on streams. */
  readonly stream: number;
  /** Milliseconds to wait for the answer. */
  readonly pong: number;
  /**
   * On UDP, where the server says nothing of STUN: an OPTIONS every `datagram`, which must be answered, however, within
   * `pong`, and to the same address as before. Else nobody notices that a NAT has forgotten us until the next refresh.
   * Costs half a kilobyte each time. Default false.
   */
  readonly probe?: boolean;
}

/** What a registration knows once it stands. */
export interface Registered {
  /** Monotonic ms. */
  readonly expiresAt: number;
  /** Values for Route headers of other requests (RFC 3608), in order. */
  readonly serviceRoute: readonly string[];
  /** Where the server sees us (received and rport of our Via), when it told. */
  readonly observed?: Address;
  /** The flow that the binding was made by; requests to us come on it (RFC 5626 §5.3). */
  readonly flow: Flow;
  /** The Contact URI in use. */
  readonly contact: string;
  /** `P-Associated-URI` values, if any. */
  readonly associated: readonly string[];
  /** Public GRUU of this instance (RFC 5627), if given: the Contact for other requests. */
  readonly gruu?: string;
  /** The newest temporary GRUU, if given: a Contact that does not tell whose it is. Good as long as this state stands. */
  readonly tempGruu?: string;
  /** The registrar does outbound (RFC 5626 §4.2.1): requests to us come over this very flow. */
  readonly outbound: boolean;
}

/** Where a registration stands. `retryAt` is monotonic ms: when it is tried again by itself. */
export type RegistrationState =
  | { readonly kind: 'idle' }
  /** `way()` is undefined. */
  | { readonly kind: 'blocked' }
  | { readonly kind: 'registering' }
  | ({ readonly kind: 'registered' } & Registered)
  | { readonly kind: 'waiting'; readonly retryAt: number; readonly cause: Failure }
  /** Refused for good (403, 404, …): tried again slowly. */
  | { readonly kind: 'refused'; readonly retryAt: number; readonly cause: Failure }
  | { readonly kind: 'removed' };

/** Keeps one binding alive (RFC 3261 §10, RFC 5626). */
export interface Registration {
  /** The address of record. */
  readonly aor: string;
  /** Where it stands now. */
  readonly state: RegistrationState;
  /** Registers as soon as there is a way, and keeps the binding until `remove` or `stop`. */
  start(): void;
  /** `way()` may have changed: what waited for it or for the network is tried now (`Stack.onAddress` does so, too). */
  wake(): void;
  /** Registers anew at once (network changed, flow suspected dead, settings corrected), whatever back-off there was. */
  refresh(): void;
  /** De-registers; resolves when answered or given up. Final. */
  remove(): Promise<void>;
  /** Stops without a word to the server. Final. */
  stop(): void;
}
