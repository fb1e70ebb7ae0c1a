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
 * The part of node:dns/promises that locating needs. Every call rejects like Node's: `code` ENOTFOUND or
 * ENODATA when there is no such record, another code when the DNS could not be asked.
 */
export interface Dns {
  naptr(name: string): Promise<readonly NaptrRecord[]>;
  srv(name: string): Promise<readonly SrvRecord[]>;
  a(name: string): Promise<readonly AddressRecord[]>;
  aaaa(name: string): Promise<readonly AddressRecord[]>;
  /** getaddrinfo: knows /etc/hosts and the machine's other sources. Asked when the DNS knows no address. */
  hosts?(name: string): Promise<readonly string[]>;
}

/** Node's own resolver. */
export function createSystemDns(): Dns {
  throw new Error('not built yet');
}
