import type { Clock, Log, Random } from '../deps.ts';
import { SipError, SipSyntaxError } from '../errors.ts';
import { ipFamily } from '../message/ip.ts';
import type { Protocol } from '../message/protocol.ts';
import { formatUri, parseUri, type SipUri } from '../message/uri.ts';
import { createDnsCache, type DnsCacheOptions } from './cache.ts';
import type { Dns } from './dns.ts';
import { createServerHealth, type RankedTarget, type ServerHealthOptions, type Verdict } from './health.ts';
import { offersTls, orderNaptr, type Service } from './order.ts';
import { createServers } from './servers.ts';
import type { Target } from './target.ts';

export type { Target } from './target.ts';

/** How to look a URI up. */
export interface LocateOptions {
  /** What this side can speak, most wanted first. */
  readonly protocols: readonly Protocol[];
}

/** The `sent-by` of a Via and its protocol. */
export interface SentBy {
  /** Transport of the Via. */
  readonly protocol: Protocol;
  /** Name or IP literal, IPv6 without brackets. */
  readonly host: string;
  /** undefined: none was named. */
  readonly port: number | undefined;
}

/** Finds the servers of a SIP URI (RFC 3263). */
export interface Locator {
  /** RFC 3263 §4: where to send, in the order in which to try. Rejects with SIP_NOT_LOCATED. */
  locate(uri: SipUri | string, options: LocateOptions): Promise<readonly Target[]>;
  /** RFC 3263 §5: where a response goes when the way its request came fails. Rejects with SIP_NOT_LOCATED. */
  locateReply?(sentBy: SentBy): Promise<readonly Target[]>;
  /** Tells what became of a request to a target; later answers of `locate` are ordered by it. */
  report?(target: Target, verdict: Verdict): void;
  /** Questions to the DNS, and answers that were at hand, since the start. */
  counts(): Record<string, number>;
}

/** How a locator is made: bounds of its DNS cache, and of its memory of servers. */
export interface LocatorOptions extends DnsCacheOptions, ServerHealthOptions {}

const MOST_TARGETS = 32;
/** Domains of which is remembered that they speak TLS. */
const MOST_SECURED = 256;

/** `dns` makes a resolver; it is called again after a failure, since one that exists never reads resolv.conf again. */
export function createLocator(
  deps: { readonly clock: Clock; readonly random: Random; readonly log: Log; readonly dns: () => Dns },
  options: LocatorOptions = {},
): Locator {
  const { log } = deps;
  const cache = createDnsCache(deps, options);
  const servers = createServers({ cache, random: deps.random });
  const health = createServerHealth(deps.clock, options);
  /** Domains that named TLS among their services. */
  const secured = new Set<string>();
  let downgrades = 0;

  /** RFC 3263 §7: a domain that spoke TLS and does not name it any more may be one that somebody else speaks for. */
  const watchTls = (domain: string, offered: boolean): void => {
    if (offered) {
      secured.add(domain);
      for (const oldest of secured) {
        if (secured.size <= MOST_SECURED) break;
        secured.delete(oldest);
      }
    } else if (secured.delete(domain)) {
      downgrades += 1;
      log.warn('a domain names TLS no longer: its DNS was changed, or somebody changes it on the way', {
        domain,
      });
    }
  };

  /** The services that the domain's NAPTR records lead to; [] when it has none that we can use. */
  const naptrOf = async (domain: string, wanted: readonly Protocol[]): Promise<readonly Service[]> => {
    // Servers that stumble over NAPTR are many, and the domain must have SRV records as well (§4.1).
    const naptr = await cache.ask('naptr', domain).catch(() => undefined);
    if (naptr === undefined) return [];
    const records = naptr.kind === 'found' ? naptr.records : [];
    if (wanted.includes('tls')) watchTls(domain, offersTls(records));
    return orderNaptr(records, wanted);
  };

  const find = async (uri: SipUri, protocols: readonly Protocol[]): Promise<readonly RankedTarget[]> => {
    const wanted = wantedProtocols(uri, protocols);
    const usual = usualProtocol(uri, wanted);
    if (usual === undefined) throw new Error('no protocol in common');
    // RFC 3263 §4: TARGET is the maddr parameter, else the host.
    const domain = bare(uri.params.get('maddr') ?? uri.host);
    const name = bare(uri.host);
    if (usual === 'memory') return [{ protocol: usual, host: domain, port: uri.port ?? 5060, name, rank: 0 }];
    if (ipFamily(domain) !== 0)
      return [{ protocol: usual, host: domain, port: uri.port ?? defaultPort(usual), name, rank: 0 }];
    // RFC 3263 §4.2: a port in the URI means A and AAAA, even when it is 5060.
    if (uri.port !== undefined) return servers.atPort(usual, domain, uri.port, name);
    if (uri.scheme === 'pres' || uri.scheme === 'im') {
      const found = await servers.bySrv(messagingServices(uri.scheme, domain, usual, wanted), name);
      if (found !== undefined) return found;
    }
    const explicit = uri.params.has('transport');
    const services = explicit ? [] : await naptrOf(domain, wanted);
    return (
      (services.length > 0 ? await servers.bySrv(services, name) : undefined) ??
      // No NAPTR, or one that leads nowhere: §4.1 has every domain keep SRV records under its own name.
      (await servers.bySrv(
        wanted.flatMap((protocol) => serviceOf(protocol, domain)),
        name,
      )) ??
      servers.atPort(usual, domain, defaultPort(usual), name)
    );
  };

  const arranged = (found: readonly RankedTarget[]): readonly Target[] => {
    // Of many the first by rank are kept, and only then those that failed lately go to the end.
    const targets = health.arrange(distinct(found));
    if (targets.length === 0) throw new Error('the name has no address');
    return targets;
  };

  const located = async (shown: string, found: () => Promise<readonly RankedTarget[]>) => {
    try {
      return arranged(await found());
    } catch (error) {
      if (error instanceof SipSyntaxError) throw error;
      const why = error instanceof Error ? error.message : String(error);
      throw new SipError('NOT_LOCATED', { uri: shown, why, cause: error });
    }
  };

  return {
    locate(given, { protocols }) {
      return located(typeof given === 'string' ? given : formatUri(given), async () => {
        const uri = typeof given === 'string' ? parseUri(given) : given;
        if (!SCHEMES.has(uri.scheme)) throw new Error(`${uri.scheme} is not for sending to`);
        return find(uri, protocols);
      });
    },
    locateReply({ protocol, host, port }) {
      const domain = bare(host);
      return located(port === undefined ? domain : `${domain}:${port}`, async () => {
        if (protocol === 'memory')
          return [{ protocol, host: domain, port: port ?? 5060, name: domain, rank: 0 }];
        const fixed = port ?? (ipFamily(domain) !== 0 ? defaultPort(protocol) : undefined);
        if (fixed !== undefined) return servers.atPort(protocol, domain, fixed, domain);
        return (
          (await servers.bySrv(serviceOf(protocol, domain), domain)) ??
          servers.atPort(protocol, domain, defaultPort(protocol), domain)
        );
      });
    },
    report: health.report,
    counts: () => ({ ...cache.counts(), ...health.counts(), downgrades, secured: secured.size }),
  };
}

/** pres and im stand for whatever carries them; here that is SIP (RFC 3861 §3). */
const SCHEMES: ReadonlySet<string> = new Set(['sip', 'sips', 'pres', 'im']);

/** Those of our protocols that the URI lets us use (RFC 3263 §4.1). */
function wantedProtocols(uri: SipUri, protocols: readonly Protocol[]): readonly Protocol[] {
  const asked = uri.params.get('transport')?.toLowerCase();
  if (uri.scheme === 'sips')
    return asked === undefined || asked === 'tcp' || asked === 'tls'
      ? protocols.filter((one) => one === 'tls')
      : [];
  return asked === undefined ? protocols : protocols.filter((one) => one === asked);
}

/** What is used where no record says: UDP where we speak it (RFC 3263 §4.1). */
function usualProtocol(uri: SipUri, wanted: readonly Protocol[]): Protocol | undefined {
  return uri.scheme !== 'sips' && wanted.includes('udp') ? 'udp' : wanted[0];
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

/**
 * RFC 3861 §3: `_pres._sip` and `_im._sip` lead to servers, but say nothing of the protocol below SIP. The usual one
 * comes first, another in the clear at the same port after it.
 */
function messagingServices(
  scheme: 'pres' | 'im',
  domain: string,
  usual: Protocol,
  wanted: readonly Protocol[],
): Service[] {
  const srv = `_${scheme}._sip.${domain}`;
  const others = wanted.filter((one) => one !== usual && one !== 'tls');
  return [usual, ...others].map((protocol) => ({ protocol, srv }));
}

/** RFC 3261 §19.1.2. */
function defaultPort(protocol: Protocol): number {
  return protocol === 'tls' ? 5061 : 5060;
}

/** IPv6 without its brackets. */
function bare(host: string): string {
  return host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host;
}

function distinct(targets: readonly RankedTarget[]): readonly RankedTarget[] {
  const found = new Map<string, RankedTarget>();
  for (const target of targets) {
    const key = `${target.protocol} ${target.host} ${target.port}`;
    if (!found.has(key)) found.set(key, target);
  }
  return [...found.values()].slice(0, MOST_TARGETS);
}
