import { isIP } from 'node:net';
import type { Clock, Log, Random } from '../deps.ts';
import { SipError, SipSyntaxError } from '../errors.ts';
import type { Protocol } from '../message/protocol.ts';
import { formatUri, parseUri, type SipUri } from '../message/uri.ts';
import { createDnsCache, type DnsCacheOptions } from './cache.ts';
import type { Dns } from './dns.ts';
import { orderNaptr, orderSrv, type Service } from './order.ts';

/** Where a request can be sent: a protocol and an address, with the name they were found under. */
export interface Target {
  /** The transport to send by. */
  readonly protocol: Protocol;
  /** An IP literal, IPv6 without brackets. */
  readonly host: string;
  /** Port of that host. */
  readonly port: number;
  /** The domain that was asked for: what a certificate must name (RFC 5922). */
  readonly name: string;
}

/** How to look a URI up. */
export interface LocateOptions {
  /** What this side can speak, most wanted first. */
  readonly protocols: readonly Protocol[];
}

/** Finds the servers of a SIP URI (RFC 3263). */
export interface Locator {
  /** RFC 3263 §4: where to send, in the order in which to try. Rejects with SIP_NOT_LOCATED. */
  locate(uri: SipUri | string, options: LocateOptions): Promise<readonly Target[]>;
  /** Questions to the DNS, and answers that were at hand, since the start. */
  counts(): Record<string, number>;
}

/** How a locator is made: bounds of its DNS cache. */
export type LocatorOptions = DnsCacheOptions;

/** A domain that names more servers than this is tried no further. */
const MOST_TARGETS = 32;
const MOST_SERVERS = 16;

/** `dns` makes a resolver; it is called again after a failure, since one that exists never reads resolv.conf again. */
export function createLocator(
  deps: { readonly clock: Clock; readonly random: Random; readonly log: Log; readonly dns: () => Dns },
  options: LocatorOptions = {},
): Locator {
  const cache = createDnsCache(deps, options);

  /** A and AAAA, IPv4 first: of two ways the one more often whole. */
  const addressesOf = async (name: string): Promise<readonly string[]> => {
    if (isIP(name) !== 0) return [name];
    // RFC 6761 §6.3: never a question for the DNS.
    if (name === 'localhost' || name.endsWith('.localhost')) return ['127.0.0.1', '::1'];
    const asked = await Promise.allSettled([cache.ask('a', name), cache.ask('aaaa', name)]);
    const found = asked.flatMap((one) =>
      one.status === 'fulfilled' && one.value.kind === 'found'
        ? one.value.records.map((record) => record.address)
        : [],
    );
    if (found.length > 0) return found;
    // The DNS knows none, or is away: /etc/hosts and the machine's other sources may.
    const hosts = await Promise.allSettled([cache.ask('hosts', name)]);
    const known =
      hosts[0].status === 'fulfilled' && hosts[0].value.kind === 'found' ? hosts[0].value.records : [];
    if (known.length > 0) return known;
    const failed = asked.find((one) => one.status === 'rejected');
    if (failed?.status === 'rejected') throw failed.reason;
    return [];
  };

  const atPort = async (protocol: Protocol, host: string, port: number, name: string): Promise<Target[]> =>
    (await addressesOf(host)).map((address) => ({ protocol, host: address, port, name }));

  /** The servers of one SRV name; undefined when there is no such record, [] when the service is declared absent. */
  const serversOf = async ({ protocol, srv }: Service, name: string): Promise<Target[] | undefined> => {
    const answer = await cache.ask('srv', srv);
    if (answer.kind === 'absent') return undefined;
    const servers = orderSrv(answer.records, deps.random).slice(0, MOST_SERVERS);
    // RFC 2782: a target of "." says that there is decidedly no such service.
    const named = servers.filter((server) => server.name !== '' && server.name !== '.');
    const found = await Promise.allSettled(
      named.map((server) => atPort(protocol, server.name.replace(/\.$/, ''), server.port, name)),
    );
    const targets = found.flatMap((one) => (one.status === 'fulfilled' ? one.value : []));
    const failed = found.find((one) => one.status === 'rejected');
    if (targets.length === 0 && failed?.status === 'rejected') throw failed.reason;
    return targets;
  };

  /** Every way that has SRV records, one after the other; undefined when none has. */
  const serversOfAll = async (services: readonly Service[], name: string): Promise<Target[] | undefined> => {
    const all = await Promise.allSettled(services.map((service) => serversOf(service, name)));
    const found = all.flatMap((one) =>
      one.status === 'fulfilled' && one.value !== undefined ? [one.value] : [],
    );
    if (found.length > 0) return found.flat();
    // What could not be asked may well be there: falling back to the bare domain would be too early.
    const failed = all.find((one) => one.status === 'rejected');
    if (failed?.status === 'rejected') throw failed.reason;
    return undefined;
  };

  const find = async (uri: SipUri, protocols: readonly Protocol[]): Promise<readonly Target[]> => {
    const wanted = wantedProtocols(uri, protocols);
    const usual = usualProtocol(uri, wanted);
    if (usual === undefined) throw new Error('no protocol in common');
    const host = uri.params.get('maddr') ?? uri.host;
    const name = uri.host;
    const bare = host.startsWith('[') ? host.slice(1, -1) : host;
    if (usual === 'memory') return [{ protocol: usual, host: bare, port: uri.port ?? 5060, name }];
    if (isIP(bare) !== 0)
      return [{ protocol: usual, host: bare, port: uri.port ?? defaultPort(usual), name }];
    // RFC 3263 §4.2: a port in the URI means A and AAAA, even when it is 5060.
    if (uri.port !== undefined) return atPort(usual, bare, uri.port, name);
    let services: readonly Service[] = [];
    if (!uri.params.has('transport')) {
      // Servers that stumble over NAPTR are many, and the domain must have SRV records as well (§4.1).
      const naptr = await cache.ask('naptr', bare).catch(() => undefined);
      if (naptr?.kind === 'found') services = orderNaptr(naptr.records, wanted);
    }
    if (services.length === 0) services = wanted.flatMap((protocol) => serviceOf(protocol, bare));
    const servers = await serversOfAll(services, name);
    return servers ?? atPort(usual, bare, defaultPort(usual), name);
  };

  return {
    async locate(given, { protocols }) {
      const shown = typeof given === 'string' ? given : formatUri(given);
      try {
        const uri = typeof given === 'string' ? parseUri(given) : given;
        if (uri.scheme !== 'sip' && uri.scheme !== 'sips')
          throw new Error(`${uri.scheme} is not for sending to`);
        const targets = distinct(await find(uri, protocols));
        if (targets.length === 0) throw new Error('the name has no address');
        return targets;
      } catch (error) {
        if (error instanceof SipSyntaxError) throw error;
        const why = error instanceof Error ? error.message : String(error);
        throw new SipError('NOT_LOCATED', { uri: shown, why, cause: error });
      }
    },
    counts: () => cache.counts(),
  };
}

/** Those of our protocols that the URI lets us use (RFC 3263 §4.1). */
function wantedProtocols(uri: SipUri, protocols: readonly Protocol[]): readonly Protocol[] {
  const asked = uri.params.get('transport')?.toLowerCase();
  if (uri.scheme === 'sips')
    return asked === undefined || asked === 'tcp' || asked === 'tls'
      ? protocols.filter((one) => one === 'tls')
      : [];
  return asked === undefined ? protocols : protocols.filter((one) => one === asked);
}

/** What is used where no record says: UDP where we speak it. */
function usualProtocol(uri: SipUri, wanted: readonly Protocol[]): Protocol | undefined {
  return uri.scheme === 'sip' && wanted.includes('udp') ? 'udp' : wanted[0];
}

function serviceOf(protocol: Protocol, domain: string): Service[] {
  switch (protocol) {
    case 'udp':
      return [{ protocol, srv: `_sip._udp.${domain}` }];
    case 'tcp':
      return [{ protocol, srv: `_sip._tcp.${domain}` }];
    case 'tls':
      return [{ protocol, srv: `_sips._tcp.${domain}` }];
    case 'memory':
      return [];
  }
}

/** RFC 3261 §19.1.2. */
function defaultPort(protocol: Protocol): number {
  return protocol === 'tls' ? 5061 : 5060;
}

function distinct(targets: readonly Target[]): readonly Target[] {
  const found = new Map<string, Target>();
  for (const target of targets) {
    const key = `${target.protocol} ${target.host} ${target.port}`;
    if (!found.has(key)) found.set(key, target);
  }
  return [...found.values()].slice(0, MOST_TARGETS);
}
