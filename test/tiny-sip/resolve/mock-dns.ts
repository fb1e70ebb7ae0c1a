import type { Dns, NaptrRecord, SrvRecord } from '../../../src/tiny-sip/resolve/dns.ts';
import { faultyDns } from '../../support/faults.ts';

/** A DNS of which tests write the zone, and which they can take away. */
export interface MockDns {
  readonly zone: Map<string, readonly unknown[]>;
  /** Every question, as `type name`. */
  readonly asked: string[];
  /** How many resolvers were made. */
  made: number;
  /** What happens to questions: answered, refused at once, or never answered. */
  mode: 'up' | 'refused' | 'silent';
  /** Names (`type name`) that fail while the rest works. */
  readonly broken: Set<string>;
  /** Like Node's: a resolver made while there was no network never finds one. */
  stuck: boolean;
  create(): Dns;
  srv(name: string, ...records: (Partial<SrvRecord> & { name: string })[]): void;
  naptr(name: string, ...records: readonly [order: number, service: string, replacement: string][]): void;
  a(name: string, ...addresses: string[]): void;
  aaaa(name: string, ...addresses: string[]): void;
  hosts(name: string, ...addresses: string[]): void;
  soa(name: string, minttl: number): void;
}

export function failure(code: string): Error {
  return Object.assign(new Error(code), { code });
}

export function createMockDns(): MockDns {
  const mock: MockDns = {
    zone: new Map(),
    asked: [],
    made: 0,
    mode: 'up',
    broken: new Set(),
    stuck: false,
    create() {
      mock.made += 1;
      const born = mock.mode;
      const ask = async (type: string, name: string): Promise<never> => {
        mock.asked.push(`${type} ${name}`);
        const mode = mock.stuck && born !== 'up' ? born : mock.mode;
        if (mode === 'refused' || mock.broken.has(`${type} ${name}`)) throw failure('ECONNREFUSED');
        if (mode === 'silent') return new Promise<never>(() => undefined);
        const records = mock.zone.get(`${type} ${name}`);
        if (records === undefined) throw failure('ENOTFOUND');
        return records as never;
      };
      return faultyDns({
        naptr: (name) => ask('naptr', name),
        srv: (name) => ask('srv', name),
        a: (name) => ask('a', name),
        aaaa: (name) => ask('aaaa', name),
        hosts: (name) => ask('hosts', name),
        soa: (name) => ask('soa', name),
      });
    },
    srv(name, ...records) {
      mock.zone.set(
        `srv ${name}`,
        records.map((record) => ({ priority: 0, weight: 0, port: 5060, ...record })),
      );
    },
    naptr(name, ...records) {
      mock.zone.set(
        `naptr ${name}`,
        records.map(
          ([order, service, replacement]): NaptrRecord => ({
            order,
            preference: 50,
            flags: 's',
            service,
            regexp: '',
            replacement,
          }),
        ),
      );
    },
    a(name, ...addresses) {
      mock.zone.set(
        `a ${name}`,
        addresses.map((address) => ({ address, ttl: 60 })),
      );
    },
    aaaa(name, ...addresses) {
      mock.zone.set(
        `aaaa ${name}`,
        addresses.map((address) => ({ address, ttl: 60 })),
      );
    },
    hosts(name, ...addresses) {
      mock.zone.set(`hosts ${name}`, addresses);
    },
    soa(name, minttl) {
      mock.zone.set(`soa ${name}`, [{ minttl }]);
    },
  };
  return mock;
}
