import type { Incoming } from '../dialog/user-agent.ts';
import type { SipUri } from '../message/uri.ts';
import type { GruuMint } from './gruu.ts';
import type { Binding } from './location.ts';

/** How a registrar is made. */
export interface RegistrationServerOptions {
  /**
   * Whose bindings are to be changed: the key of the address of record, a SIP URI without parameters; or a refusal
   * (404, 403, 401 with a challenge). Called once for each REGISTER.
   */
  readonly authorise: (incoming: Incoming) => RegisterVerdict | Promise<RegisterVerdict>;
  /** Whether a URI is this server itself, or an address of record of it: no contact may be, since that is a loop. */
  readonly isOurs: (uri: SipUri) => boolean;
  /** Seconds. Defaults: min 60, max 3600, default 3600. */
  readonly expires?: { readonly min?: number; readonly max?: number; readonly default?: number };
  /** Bindings in all, and of one address of record; beyond it 503. Defaults 20,000 and 10. */
  readonly bindings?: number;
  /** Bindings of one AOR; a further one gets 503. */
  readonly bindingsPerAor?: number;
  /** Route values that requests of the registered client are to take (RFC 3608), in order. Default none. */
  readonly serviceRoute?: (aor: string) => readonly string[];
  /** Seconds within which a client must be heard on its flow (RFC 5626 §4.4.1). Default: nothing is said. */
  readonly flowTimer?: number;
  /** Gives clients that want them globally routable URIs (RFC 5627). Default: none. */
  readonly gruu?: GruuMint;
  /**
   * The key of an address of record that a URI names, as `authorise` spells it; undefined: none of ours. Default: the
   * URI's scheme, user and host, so that any is ours.
   */
  readonly aorOf?: (uri: SipUri) => string | undefined;
}

/** Whether a REGISTER may bind: the AOR that it speaks for, or the answer that refuses it. */
export type RegisterVerdict =
  | {
      readonly ok: true;
      readonly aor: string;
      /** Headers for the answer (Authentication-Info). */
      readonly headers?: Readonly<Record<string, string | readonly string[]>>;
    }
  | {
      readonly ok: false;
      readonly status: number;
      readonly reason?: string;
      readonly headers?: Readonly<Record<string, string | readonly string[]>>;
    };

/** Whom a Request-URI means. */
export interface Destination {
  /** The AOR that the URI stands for. */
  readonly aor: string;
  /** One instance is meant, by its GRUU: only one of the bindings may be used (RFC 5627 §6.1). */
  readonly instance: boolean;
  /** Best first: by preference, then the one that was refreshed last. */
  readonly bindings: readonly Binding[];
}

/** The registrar of a domain (RFC 3261 §10.3) over a location service. */
export interface RegistrationServer {
  /** Takes a REGISTER. */
  handle(incoming: Incoming): void;
  /**
   * Where a request to this URI goes: to the contacts of an address of record, or of one instance by its GRUU.
   * undefined: it names nobody of ours (404), or is a temporary GRUU that is void. No bindings: nobody is there (480).
   */
  resolve(uri: string): Destination | undefined;
  /** Bindings, and what was registered and refused since the start. */
  counts(): Record<string, number>;
}
