import { lookup, Resolver } from 'node:dns/promises';

export interface NaptrRecord {
  readonly order: number;
  readonly preference: number;
  readonly flags: string;
  readonly service: string;
  readonly regexp: string;
  readonly replacement: string;
}

export interface SrvRecord {
  readonly priority: number;
  readonly weight: number;
  readonly port: number;
  readonly name: string;
}

export interface AddressRecord {
  readonly address: string;
  /** Seconds. */
  readonly ttl: number;
}

/** The part of a zone's SOA record that is looked at. */
export interface SoaRecord {
  /** Seconds that "there is no such record" may be believed (RFC 2308 §4). */
  readonly minttl: number;
}

/**
 * The part of node:dns/promises that locating needs. Every call rejects like Node's: `code` ENOTFOUND or ENODATA when
 * there is no such record, another code when the DNS could not be asked.
 */
export interface Dns {
  naptr(name: string): Promise<readonly NaptrRecord[]>;
  srv(name: string): Promise<readonly SrvRecord[]>;
  a(name: string): Promise<readonly AddressRecord[]>;
  aaaa(name: string): Promise<readonly AddressRecord[]>;
  /** The SOA record of a zone; says how long the absence of a record may be believed. */
  soa?(name: string): Promise<readonly SoaRecord[]>;
  /** getaddrinfo: knows /etc/hosts and the machine's other sources. Asked when the DNS knows no address. */
  hosts?(name: string): Promise<readonly string[]>;
  /** Gives up every question in flight: the resolver is not used any more. */
  cancel?(): void;
}

export interface SystemDnsOptions {
  /** `host` or `host:port` of name servers, in place of those of resolv.conf. */
  readonly servers?: readonly string[] | undefined;
  /** Milliseconds for one try. Default 2,000. */
  readonly timeout?: number | undefined;
  /** Tries for each server. Default 2. */
  readonly tries?: number | undefined;
}

const TIMEOUT = 2_000;
const TRIES = 2;

/**
 * Node's own resolver (c-ares). It reads resolv.conf when it is made and never again, so a machine that booted without
 * a network would ask 127.0.0.1 for ever: make a new one after a failure. An answer that was cut short (TC) it fetches
 * anew by TCP.
 */
export function createSystemDns(options: SystemDnsOptions = {}): Dns {
  const resolver = new Resolver({ timeout: options.timeout ?? TIMEOUT, tries: options.tries ?? TRIES });
  if (options.servers !== undefined) resolver.setServers(options.servers);
  return {
    naptr: (name) => resolver.resolveNaptr(name),
    srv: (name) => resolver.resolveSrv(name),
    a: (name) => resolver.resolve4(name, { ttl: true }),
    aaaa: (name) => resolver.resolve6(name, { ttl: true }),
    soa: async (name) => [await resolver.resolveSoa(name)],
    hosts: async (name) => (await lookup(name, { all: true })).map((found) => found.address),
    cancel: () => resolver.cancel(),
  };
}
