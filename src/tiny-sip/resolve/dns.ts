import { lookup, Resolver } from 'node:dns/promises';

/** A NAPTR record (RFC 3403 §4.1). */
export interface NaptrRecord {
  /** The lowest first; others count only when none of it will do. */
  readonly order: number;
  /** The lowest first among those of one order. */
  readonly preference: number;
  /** `s`: the replacement has SRV records. */
  readonly flags: string;
  /** `SIP+D2U`, `SIP+D2T`, `SIPS+D2T` and others (RFC 3263 §4.1). */
  readonly service: string;
  /** Empty in records for SIP. */
  readonly regexp: string;
  /** The name to ask next. */
  readonly replacement: string;
}

/** An SRV record (RFC 2782). */
export interface SrvRecord {
  /** The lowest first. */
  readonly priority: number;
  /** Share of the choice among those of one priority. */
  readonly weight: number;
  /** Port of the service. */
  readonly port: number;
  /** Name of the server. */
  readonly name: string;
}

/** An A or AAAA record. */
export interface AddressRecord {
  /** IP literal, IPv6 without brackets. */
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
  /** NAPTR records of a domain. */
  naptr(name: string): Promise<readonly NaptrRecord[]>;
  /** SRV records of a name like `_sip._udp.example.com`. */
  srv(name: string): Promise<readonly SrvRecord[]>;
  /** IPv4 addresses of a host. */
  a(name: string): Promise<readonly AddressRecord[]>;
  /** IPv6 addresses of a host. */
  aaaa(name: string): Promise<readonly AddressRecord[]>;
  /** The SOA record of a zone; says how long the absence of a record may be believed. */
  soa?(name: string): Promise<readonly SoaRecord[]>;
  /** getaddrinfo: knows /etc/hosts and the machine's other sources. Asked when the DNS knows no address. */
  hosts?(name: string): Promise<readonly string[]>;
  /** Gives up every question in flight: the resolver is not used any more. */
  cancel?(): void;
}

/** How the machine's own resolver is asked. */
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
