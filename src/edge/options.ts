import type { Algorithm, PasswordHashes } from 'tiny-sip';

/** An address to listen on. Port 0 lets the system choose. */
export interface Listen {
  protocol: 'udp' | 'tcp';
  /** An IP literal of this machine, or 0.0.0.0 or :: for all of them. */
  host: string;
  port: number;
}

/** Who may authenticate. The user `alice` owns `sip:alice@DOMAIN` in every domain of the edge. */
export interface EdgeUser {
  password?: string | undefined;
  /** Instead of the password: its hashes for the realm, which is the first domain. */
  ha1?: PasswordHashes | undefined;
  /**
   * Further addresses of record that this user registers, publishes and speaks for, such as those of the devices
   * behind a gateway. `*` in the user part stands for any characters: `sip:*-plant3@example.com`.
   */
  aors?: readonly string[] | undefined;
}

/** Lifetimes that the edge grants, in milliseconds; on the wire they are whole seconds. */
export interface Lifetimes {
  /** Shorter wishes get 423. Default one minute. */
  min?: number | undefined;
  /** Longer wishes are cut to it. Default one hour. */
  max?: number | undefined;
  /** For requests that name none. Default one hour. */
  default?: number | undefined;
}

/** The same in seconds, complete. */
export function inSeconds(lifetimes: Lifetimes = {}): { min: number; max: number; default: number } {
  const seconds = (ms: number | undefined, otherwise: number): number =>
    ms === undefined ? otherwise : Math.ceil(ms / 1000);
  const max = seconds(lifetimes.max, 3600);
  return {
    min: Math.min(max, seconds(lifetimes.min, 60)),
    max,
    default: Math.min(max, seconds(lifetimes.default, 3600)),
  };
}

/** Bounds of the tables. At a bound the answer is 503 with Retry-After, or 413 for a body. */
export interface EdgeLimits {
  /** Bindings in all, and of one address of record. */
  bindings: number;
  bindingsPerAor: number;
  /** Publications in all, and of one address of record. */
  publications: number;
  publicationsPerAor: number;
  /** Bytes of one PUBLISH body, and of all documents that are kept. */
  bodyBytes: number;
  documentBytes: number;
  /** Subscriptions in all, of one watcher, and to one address of record. */
  subscriptions: number;
  subscriptionsPerWatcher: number;
  subscriptionsPerAor: number;
  /** Requests that are being forwarded at a time. */
  forwarding: number;
}

export const defaultLimits: EdgeLimits = {
  bindings: 20_000,
  bindingsPerAor: 10,
  publications: 20_000,
  publicationsPerAor: 160,
  bodyBytes: 65_536,
  // As trees they take some 25 times as much memory.
  documentBytes: 8 * 1024 * 1024,
  subscriptions: 10_000,
  subscriptionsPerWatcher: 1_000,
  subscriptionsPerAor: 1_000,
  forwarding: 1_000,
};

/** How an edge is set up. */
export interface EdgeOptions {
  /** Domains that the edge serves; the first is the realm of its challenges. */
  domains: readonly string[];
  /** Further hosts by which clients may address it, as if they were the first domain (an IP address, a host name). */
  aliases?: readonly string[] | undefined;
  listen: readonly Listen[];
  /** User name to password or more. */
  users: Readonly<Record<string, string | EdgeUser>>;
  /**
   * Digest algorithms to challenge with, the preferred first. Default MD5 alone, which every phone knows: some give up
   * when there is a challenge besides that they do not know.
   */
  algorithms?: readonly Algorithm[] | undefined;
  /** Directory of what outlives the process; absent: nothing does. */
  data?: string | undefined;
  /** Whether that directory must outlive a power cut: each write is flushed to the medium. Default false. */
  durable?: boolean | undefined;
  /** Bytes that may be written to it in a day, to spare flash cards; absent: no bound. */
  bytesPerDay?: number | undefined;
  registration?: Lifetimes | undefined;
  publication?: Lifetimes | undefined;
  subscription?: Lifetimes | undefined;
  /** Milliseconds between two NOTIFYs of one subscription (RFC 3856 §6.10). Default 5000. */
  notifyInterval?: number | undefined;
  /** Milliseconds that the tuples of an expired publication stay, as closed, before they vanish. Default 300,000. */
  linger?: number | undefined;
  limits?: Partial<EdgeLimits> | undefined;
  /**
   * The user whose requests over a transport inside this process are believed without credentials. Only meant for
   * an agent in the same process; absent: such requests are challenged as all others are.
   */
  localUser?: string | undefined;
  /** `Server` of responses. */
  userAgent?: string | undefined;
}
