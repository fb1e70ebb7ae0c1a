import { createDigestServer, type DigestServer, type Flow, type Incoming, type Random } from 'tiny-sip';
import type { Clock } from '../base/clock.ts';
import type { Accounts } from './accounts.ts';
import { type Domain, read } from './domain.ts';

export type Headers = Readonly<Record<string, string | readonly string[]>>;

/** Why a request goes no further, as a response. */
export interface Refusal {
  readonly ok: false;
  readonly status: number;
  readonly reason?: string;
  readonly headers?: Headers;
}

export function refuse(status: number, reason?: string, headers?: Headers): Refusal {
  return { ok: false, status, ...(reason !== undefined && { reason }), ...(headers && { headers }) };
}

/** Who sent a request. */
export interface Identity {
  readonly ok: true;
  readonly user: string;
  /** The sender's address of record: that of the From header, which the user owns. */
  readonly aor: string;
  /** Headers for the answer (Authentication-Info). */
  readonly headers?: Headers;
}

/** Tells who sends a request, and refuses what claims to be somebody else. */
export interface Gate {
  /** `proxy`: the request is to be forwarded, so the challenge is a 407 (RFC 3261 §22.3). */
  identify(incoming: Incoming, proxy?: boolean): Identity | Refusal;
  counts(): Record<string, number>;
}

export function createGate(
  deps: { clock: Clock; random: Random },
  options: {
    domain: Domain;
    accounts: () => Accounts;
    /** The user behind flows inside this process; undefined: they are challenged too. */
    localUser?: string | undefined;
  },
): Gate {
  const { domain, accounts, localUser } = options;
  let checked = accounts();
  let digest = digestFor(checked);
  let forged = 0;

  function digestFor(users: Accounts): DigestServer {
    return createDigestServer(deps, {
      realm: domain.name,
      algorithms: users.algorithms,
      lookup: (username) => users.secret(username),
      // Clients differ in what they write there: the Request-URI, their registrar, our address. It is enough that the
      // credentials were made for this server, since the nonce is ours and good for one request.
      covers(text, request) {
        const uri = read(text);
        return text === request.uri || (uri !== undefined && domain.serves(uri.host, uri.port));
      },
    });
  }

  const currentDigest = (): DigestServer => {
    if (checked !== accounts()) {
      checked = accounts();
      digest = digestFor(checked);
    }
    return digest;
  };

  /** A flow inside the process cannot be forged from outside; credentials, where given, still say who it is. */
  const vouched = (flow: Flow, incoming: Incoming, proxy: boolean): string | undefined => {
    if (flow.protocol !== 'memory' || localUser === undefined) return undefined;
    return incoming.request.has(proxy ? 'Proxy-Authorization' : 'Authorization') ? undefined : localUser;
  };

  return {
    identify(incoming, proxy = false) {
      const { request, flow } = incoming;
      let user = vouched(flow, incoming, proxy);
      let headers: Headers | undefined;
      if (user === undefined) {
        const verdict = currentDigest().check(request, {
          proxy,
          source: `${flow.protocol}:${flow.remote.host}`,
        });
        if (!verdict.ok) return verdict;
        user = accounts().user(verdict.user);
        headers = verdict.headers;
      }
      const from = request.from && read(request.from.uri);
      const aor = from && domain.aor(from);
      // RFC 3261 §10.3 step 4 and §22.1: authenticating as one user says nothing about being another.
      if (aor === undefined || !accounts().owns(user, aor)) {
        forged += 1;
        return refuse(403, 'From Is Not Yours');
      }
      return { ok: true, user, aor, ...(headers && { headers }) };
    },
    counts: () => ({ ...digest.counts(), forged }),
  };
}
