import type { Random } from '../deps.ts';
import { ipFamily } from '../message/ip.ts';
import type { Protocol } from '../message/protocol.ts';
import type { DnsCache } from './cache.ts';
import type { RankedTarget } from './health.ts';
import { orderSrv, type Service } from './order.ts';
import { isNoService } from './records.ts';

/** From names to addresses: the part of RFC 3263 §4.2 that URIs and the sent-by of a Via have in common. */
export interface Servers {
  /** A and AAAA at one port. Rejects when the DNS could not be asked; [] when it knows no address. */
  atPort(protocol: Protocol, host: string, port: number, name: string): Promise<readonly RankedTarget[]>;
  /** Every way that has SRV records, one after the other; undefined when none has. */
  bySrv(services: readonly Service[], name: string): Promise<readonly RankedTarget[] | undefined>;
}

/** A domain that names more servers than this is tried no further. */
const MOST_SERVERS = 16;
/** Addresses of one name that are tried. */
const MOST_ADDRESSES = 8;

export function createServers(deps: { readonly cache: DnsCache; readonly random: Random }): Servers {
  const { cache, random } = deps;

  /** A and AAAA, IPv4 first: of two ways the one more often whole. */
  const addressesOf = async (name: string): Promise<readonly string[]> => {
    if (ipFamily(name) !== 0) return [name];
    // RFC 6761 §6.3: never a question for the DNS.
    if (/^(?:.*\.)?localhost\.?$/.test(name)) return ['127.0.0.1', '::1'];
    const asked = await Promise.allSettled([cache.ask('a', name), cache.ask('aaaa', name)]);
    const found = asked.flatMap((one) =>
      one.status === 'fulfilled' && one.value.kind === 'found'
        ? one.value.records.map((record) => record.address).slice(0, MOST_ADDRESSES)
        : [],
    );
    if (found.length > 0) return found;
    // The DNS knows none, or is away: /etc/hosts and the machine's other sources may.
    const hosts = await cache.ask('hosts', name).catch(() => undefined);
    if (hosts?.kind === 'found') return hosts.records.slice(0, MOST_ADDRESSES);
    const failed = asked.find((one) => one.status === 'rejected');
    if (failed?.status === 'rejected') throw failed.reason;
    return [];
  };

  const atPort = async (
    protocol: Protocol,
    host: string,
    port: number,
    name: string,
    rank = 0,
  ): Promise<RankedTarget[]> =>
    (await addressesOf(host)).map((address) => ({ protocol, host: address, port, name, rank }));

  /** The servers of one SRV name; undefined when there is no such record, [] when the service is declared absent. */
  const serversOf = async ({ protocol, srv }: Service, name: string): Promise<RankedTarget[] | undefined> => {
    const answer = await cache.ask('srv', srv);
    if (answer.kind === 'absent') return undefined;
    // RFC 2782: a target of "." says that there is decidedly no such service.
    const named = orderSrv(answer.records, random)
      .filter((server) => !isNoService(server))
      .slice(0, MOST_SERVERS);
    const found = await Promise.allSettled(
      named.map((server) =>
        atPort(protocol, server.name.replace(/\.$/, ''), server.port, name, server.priority),
      ),
    );
    const targets = found.flatMap((one) => (one.status === 'fulfilled' ? one.value : []));
    const failed = found.find((one) => one.status === 'rejected');
    if (targets.length === 0 && failed?.status === 'rejected') throw failed.reason;
    return targets;
  };

  return {
    atPort,
    async bySrv(services, name) {
      const all = await Promise.allSettled(services.map((service) => serversOf(service, name)));
      const found = all.flatMap((one, way) =>
        one.status === 'fulfilled' && one.value !== undefined
          ? // All of a less wanted way come after all of a more wanted one.
            [one.value.map((target) => ({ ...target, rank: way * WAY + target.rank }))]
          : [],
      );
      if (found.length > 0) return found.flat();
      // What could not be asked may well be there: falling back to the bare domain would be too early.
      const failed = all.find((one) => one.status === 'rejected');
      if (failed?.status === 'rejected') throw failed.reason;
      return undefined;
    },
  };
}

/** Ranks between two ways: priorities have 16 bits. */
const WAY = 0x10000;
