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

/**
 * The part of node:dns/promises that locating needs. Every call rejects like Node's: `code` ENOTFOUND or ENODATA when
 * there is no such record, another code when the DNS could not be asked.
 */
export interface Dns {
  naptr(name: string): Promise<readonly NaptrRecord[]>;
  srv(name: string): Promise<readonly SrvRecord[]>;
  a(name: string): Promise<readonly AddressRecord[]>;
  aaaa(name: string): Promise<readonly AddressRecord[]>;
  /** getaddrinfo: knows /etc/hosts and the machine's other sources. Asked when the DNS knows no address. */
  hosts?(name: string): Promise<readonly string[]>;
}

/** Milliseconds for one try, and tries for each server. */
const TIMEOUT = 2_000;
const TRIES = 2;

/**
 * Node's own resolver. It reads resolv.conf when it is made and never again, so a machine that booted without a
 * network would ask 127.0.0.1 for ever: make a new one after a failure.
 */
export function createSystemDns(): Dns {
  const resolver = new Resolver({ timeout: TIMEOUT, tries: TRIES });
  return {
    naptr: (name) => resolver.resolveNaptr(name),
    srv: (name) => resolver.resolveSrv(name),
    a: (name) => resolver.resolve4(name, { ttl: true }),
    aaaa: (name) => resolver.resolve6(name, { ttl: true }),
    hosts: async (name) => (await lookup(name, { all: true })).map((found) => found.address),
  };
}
