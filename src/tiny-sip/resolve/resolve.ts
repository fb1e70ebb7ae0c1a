import type { Clock, Log, Random } from '../deps.ts';
import type { SipUri } from '../message/uri.ts';
import type { Protocol } from '../transport/transport.ts';
import type { Dns } from './dns.ts';

export interface Target {
  readonly protocol: Protocol;
  /** An IP literal, IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  /** The domain that was asked for: what a certificate must name (RFC 5922). */
  readonly name: string;
}

export interface LocateOptions {
  /** What this side can speak, most wanted first. */
  readonly protocols: readonly Protocol[];
}

export interface Locator {
  /** RFC 3263 §4: in the order in which to try. Rejects with SIP-NOT_LOCATED. */
  locate(uri: SipUri | string, options: LocateOptions): Promise<readonly Target[]>;
  counts(): Record<string, number>;
}

export interface LocatorOptions {
  /** Seconds that NAPTR and SRV answers are kept, since Node does not tell their TTL. */
  readonly ttl?: number | undefined;
  /** Answers kept. */
  readonly entries?: number | undefined;
}

/** `dns` makes a resolver; it is called again after a failure, since one that exists never reads resolv.conf again. */
export function createLocator(
  _deps: { clock: Clock; random: Random; log: Log; dns: () => Dns },
  _options?: LocatorOptions,
): Locator {
  throw new Error('not built yet');
}
