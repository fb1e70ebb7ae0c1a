import { type Address, aorOf, parseUri, type SipUri } from 'tiny-sip';

/** Tells which hosts the edge answers for, and brings addresses of record into one form. */
export interface Domain {
  /** The first domain: realm, and what aliases stand for. */
  readonly name: string;
  /** Whether requests to that host are for this edge. */
  serves(host: string, port?: number): boolean;
  /** The key of an address of record of ours, `sip:user@domain`; undefined: foreign, without a user, or no such URI. */
  aor(uri: string | SipUri): string | undefined;
  /**
   * Takes an address of this machine at which a request was or may be received, so that a client may name it instead
   * of the domain. What a listener on all addresses has is only known when a request comes.
   */
  listening(address: Address): void;
}

/** Schemes that name a presentity or an inbox in our domain alike (RFC 3859 §3, RFC 3860 §3). */
const SCHEMES = new Set(['sip', 'pres', 'im']);

/** A machine has few addresses; a table must have a bound. */
const MOST_ADDRESSES = 256;

export function createDomain(options: {
  domains: readonly string[];
  aliases?: readonly string[] | undefined;
}): Domain {
  const domains = options.domains.map(lower);
  const name = domains[0] ?? '';
  const aliases = new Set(options.aliases?.map(lower));
  const own = new Set<string>();

  const isListener = (host: string, port = 5060): boolean => own.has(`${host} ${port}`);

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
    listening({ host, port }) {
      if (own.size < MOST_ADDRESSES && !isWildcard(host)) own.add(`${lower(host)} ${port}`);
    },
  };
}

/** Whether a listener at that host listens on all addresses. */
export function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::' || host === '';
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
