import type { DigestClient } from '../auth/client.ts';
import type { EventDeps, Way } from '../dialog/user-agent.ts';
import type { Address, Flow } from '../transport/transport.ts';
import type { Failure } from './retry.ts';

export interface RegistrationOptions {
  /** Address of record, e.g. `sip:freezer@example.com`. */
  readonly aor: string;
  /** Request-URI; default the AOR's domain. */
  readonly registrar?: string;
  /** Seconds asked for. Default 600. */
  readonly expires?: number;
  /** Where to: a flow, a target, or routes to be looked up. Service-Route is never used here (RFC 3608 §5). */
  readonly way?: () => Way;
  readonly credentials?: DigestClient;
  /** URN for `+sip.instance` (RFC 5626 §4.1), e.g. `urn:uuid:…`. */
  readonly instance?: string;
  /** RFC 5626 `reg-id`; default 1 when `instance` is given. */
  readonly regId?: number;
  /** More parameters of the Contact, each with its leading semicolon. */
  readonly contactParams?: string;
  /** User part of the Contact; default that of the AOR. */
  readonly contactUser?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly onState?: (state: RegistrationState) => void;
}

export type RegistrationState =
  | { readonly kind: 'idle' }
  | { readonly kind: 'registering' }
  | {
      readonly kind: 'registered';
      /** Monotonic ms. */
      readonly expiresAt: number;
      /** Values for Route headers of other requests (RFC 3608), in order. */
      readonly serviceRoute: readonly string[];
      /** Where the server sees us (received and rport of our Via), when it told. */
      readonly observed?: Address;
      readonly flow: Flow;
      /** The Contact URI in use, as a name-addr URI. */
      readonly contact: string;
      /** `P-Associated-URI` values, if any. */
      readonly associated: readonly string[];
      /** Public GRUU of this binding (RFC 5627), if given. */
      readonly gruu?: string;
    }
  | { readonly kind: 'waiting'; readonly retryAt: number; readonly cause: Failure }
  /** Refused for good (403, 404, …): tried again slowly. */
  | { readonly kind: 'refused'; readonly retryAt: number; readonly cause: Failure }
  | { readonly kind: 'removed' };

export interface Registration {
  readonly aor: string;
  readonly state: RegistrationState;
  start(): void;
  /** Registers anew at once (network changed, flow suspected dead). */
  refresh(): void;
  /** De-registers; resolves when answered or given up. Final. */
  remove(): Promise<void>;
  /** Stops without a word to the server. Final. */
  stop(): void;
}

export declare function createRegistration(deps: EventDeps, options: RegistrationOptions): Registration;
