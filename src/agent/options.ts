import type { Target } from 'tiny-sip';
import type { CommandRule } from '../commands/authorise.ts';
import type { CommandOptions } from '../commands/run.ts';
import type { Detail } from '../presence/model.ts';

/** How changes are published. `auto` finds out what the server can do. */
export type Configured = 'auto' | 'diff' | 'segments' | 'full';

/** A device as an account publishes it. */
export interface PublishedDevice {
  readonly id: string;
  /** It is a presentity of its own; with a password its own user too, else it uses the account's credentials. */
  readonly own?: OwnIdentity | undefined;
  readonly detail?: Detail | undefined;
}

/** A device's own address of record, and who may publish it. */
export interface OwnIdentity {
  readonly aor: string;
  readonly user?: string | undefined;
  readonly password?: string | undefined;
}

/** An identity at a SIP server. All times are milliseconds. */
export interface AccountOptions {
  readonly id: string;
  readonly aor: string;
  /** User name for digest; default the user part of the AOR. */
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  /** Request-URI of REGISTER; default the AOR's domain. */
  readonly registrar?: string | undefined;
  /** Where every request goes first. */
  readonly outboundProxy?: string | undefined;
  /** Where PUBLISH and its read-back go; default the way of all other requests. */
  readonly presenceRoute?: string | undefined;
  /** The server itself instead of one that is looked up: an edge in this process. */
  readonly target?: Target | undefined;
  /** Who vouches for the senders of commands. Default `server`. */
  readonly identity?: 'server' | 'digest' | undefined;
  /** Default `auto`. */
  readonly publish?: Configured | undefined;
  /** Default `lean`. */
  readonly detail?: Detail | undefined;
  /** Lifetime of a publication; a dead gateway's state disappears within it. Default 120 s. */
  readonly expires?: number | undefined;
  /** Default 600 s. */
  readonly registerExpires?: number | undefined;
  /** How often the path to the server is kept open. Default 25 s. */
  readonly keepAlive?: number | undefined;
  /** Whether `auto` may subscribe to the own presence. Default true. */
  readonly readBack?: boolean | undefined;
  /** `urn:uuid:…`, the same after every restart (RFC 5626 §4.1). Absent: made once and kept in `data`. */
  readonly instance?: string | undefined;
  readonly devices: readonly PublishedDevice[];
}

/** A person who proves by digest who they are. */
export interface CommandUser {
  readonly aor: string;
  readonly password: string;
}

export interface AgentOptions {
  readonly accounts: readonly AccountOptions[];
  /** Who may command what; nobody may do anything that is not listed. */
  readonly commands?: readonly CommandRule[] | undefined;
  readonly users?: readonly CommandUser[] | undefined;
  readonly command?: CommandOptions | undefined;
  /** Directory of what must outlive a power cut: keys of commands already taken. */
  readonly data: string;
  /** Directory of what must outlive a kill: entity-tags, and what was learnt of the servers. */
  readonly runtime: string;
  /** `User-Agent` of REGISTER, where operators look for it; other requests are spared its bytes. */
  readonly userAgent?: string | undefined;
  /** Compact header names (RFC 3261 §7.3.3). Default true. */
  readonly compact?: boolean | undefined;
}

/** Devices that may share one AOR. */
export const DEVICES_PER_AOR = 128;
