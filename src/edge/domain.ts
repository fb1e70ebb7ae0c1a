import { type Address, aorOf, parseUri, type SipUri } from 'tiny-sip';

/** Tells which hosts the edge answers for, and brings addresses of record into one form. */
export interface Domain {
  /** The first domain: realm, and what aliases stand for. */
  readonly name: string;
  /** Whether requests to that host are for this edge. */
  serves(host: string, port?: number): boolean;
  /** The key of an address of record of ours, `sip:user@domain`; undefined: foreign, without a user, or no such URI. */
  aor(uri: string | SipUri): string | undefined;
  /** Takes the addresses that listeners got, so that a client may name them instead of the domain. */
  listening(addresses: readonly Address[]): void;
}

/** Schemes that name a presentity or an inbox in our domain alike (RFC 3859 §3, RFC 3860 §3). */
const SCHEMES = new Set(['sip', 'pres', 'im']);

export function createDomain(options: {
  domains: readonly string[];
  aliases?: readonly string[] | undefined;
}): Domain {
  const domains = options.domains.map(lower);
  const name = domains[0] ?? '';
  const aliases = new Set(options.aliases?.map(lower));
  let own: readonly Address[] = [];

  const isListener = (host: string, port: number | undefined): boolean =>
    own.some((address) => lower(address.host) === host && address.port === (port ?? 5060));

  const serves = (host: string, port?: number): boolean => {
    const wanted = lower(host);
    return domains.includes(wanted) || aliases.has(wanted) || isListener(wanted, port);
  };

  return {
    name,
    serves,
    aor(given) {
      const uri = typeof given === 'string' ? read(given) : given;
      if (!uri || !SCHEMES.has(uri.scheme) || uri.user === undefined || uri.user === '') return undefined;
      if (!serves(uri.host, uri.port)) return undefined;
      const host = domains.includes(lower(uri.host)) ? lower(uri.host) : name;
      return aorOf({ scheme: 'sip', user: uri.user, host, params: new Map(), headers: new Map() });
    },
    listening(addresses) {
      own = addresses;
    },
  };
}

/** A URI that may be malformed. */
export function read(text: string): SipUri | undefined {
  try {
    return parseUri(text);
  } catch {
    return undefined;
  }
}

function lower(host: string): string {
  return host.toLowerCase().replace(/^\[|\]$|\.$/g, '');
}
