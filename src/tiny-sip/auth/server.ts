import { timingSafeEqual } from 'node:crypto';
import type { Clock, Random } from '../deps.ts';
import { type Challenge, formatChallenge, parseChallenge } from '../message/challenge.ts';
import type { SipRequest } from '../message/message.ts';
import { fromWire, toWire } from '../message/text.ts';
import { aorOf } from '../message/uri-compare.ts';
import {
  type Algorithm,
  type AlgorithmName,
  type DigestInput,
  digestResponse,
  hashPassword,
  readAlgorithm,
  sessionKey,
} from './algorithm.ts';
import type { PasswordHashes } from './client.ts';
import { createNonces } from './nonce.ts';
import { createThrottle } from './throttle.ts';

/** What the owner knows of a user: the password, or hashes of it. */
export type UserSecret = { readonly password: string } | { readonly ha1: PasswordHashes };

/** How a digest server is made. */
export interface DigestServerOptions {
  /** As Unicode; it is part of every password hash. */
  readonly realm: string;
  /**
   * Challenges in this order, the preferred first (RFC 8760 §2.3). Default SHA-256 then MD5. Credentials may use the
   * session variant of any of them.
   */
  readonly algorithms?: readonly AlgorithmName[];
  /**
   * What is known of a user; undefined for one that does not exist, which is challenged like a wrong
   * password.
   */
  readonly lookup: (username: string, realm: string) => UserSecret | undefined;
  /**
   * Whether credentials with this digest-uri may be meant for this request (RFC 8760 §2.6 rule 6). Default: it means
   * whom the Request-URI or the To means; a proxy may have changed the Request-URI since.
   */
  readonly covers?: (digestUri: string, request: SipRequest) => boolean;
  /** How long a nonce is good for, ms. Default 300,000. */
  readonly nonceLife?: number;
  /** Offer `auth-int` too. Default false; credentials that use it unasked are good all the same. */
  readonly integrity?: boolean;
  /**
   * Prove to the client that this server knows the password: `rspauth` in the Authentication-Info of every answer
   * (RFC 7616 §3.5). Default false, since it costs 130 bytes and few clients look.
   */
  readonly mutual?: boolean;
  /** Nonces whose counts are remembered. Beyond it the oldest are forgotten and challenged anew. Default 10,000. */
  readonly nonces?: number;
  /** Wrong passwords per user and source within `failureWindow`; beyond it 403 without a look. Default 10. */
  readonly failures?: number;
  /** The same for all users of one source together, so that inventing users hides nothing. Default 100. */
  readonly sourceFailures?: number;
  /** ms. Default 60,000. */
  readonly failureWindow?: number;
}

/** Whether a request may pass, and what its answer must carry. */
export type DigestVerdict =
  | {
      readonly ok: true;
      /** Unicode, as the owner's lookup knows it. */
      readonly user: string;
      /** For a response without body: Authentication-Info, when there is something to say. */
      readonly headers: Readonly<Record<string, readonly string[]>>;
      /** The same for a response with this body, which `rspauth` covers where the client chose `auth-int`. */
      headersFor(body: Buffer | string): Readonly<Record<string, readonly string[]>>;
    }
  | {
      readonly ok: false;
      /** 401 or 407 with challenges; 400 for malformed credentials; 403 after too many failures. */
      readonly status: 400 | 401 | 403 | 407;
      readonly reason: string;
      readonly headers: Readonly<Record<string, readonly string[]>>;
      /** For the log. */
      readonly cause: DigestRefusal;
    };

/**
 * Why a request did not pass: no credentials, an old nonce, a repeated count, a wrong password, bad syntax,
 * too many failures.
 */
export type DigestRefusal = 'none' | 'stale' | 'replay' | 'wrong' | 'malformed' | 'limited';

/** Checks credentials (RFC 7616, RFC 8760). One for each realm. */
export interface DigestServer {
  /**
   * Checks the credentials of a request. `proxy`: Proxy-Authorization and 407. `source`: whom failures are
   * counted against besides the user, usually the remote address.
   */
  check(request: SipRequest, options?: { readonly proxy?: boolean; readonly source?: string }): DigestVerdict;
  /** Verdicts since the start by kind, nonces remembered and culprits held back. */
  counts(): Record<string, number>;
}

/** A digest server. It keeps no nonces but those in use: a nonce proves by itself that it was issued here. */
export function createDigestServer(
  deps: { readonly clock: Clock; readonly random: Random },
  options: DigestServerOptions,
): DigestServer {
  const offered: readonly AlgorithmName[] = options.algorithms ?? ['SHA-256', 'MD5'];
  const taken = new Set<Algorithm | undefined>(offered.map((name) => readAlgorithm(name)?.algorithm));
  const realm = toWire(options.realm);
  const covers = options.covers ?? corresponds;
  const nonces = createNonces(deps, {
    life: options.nonceLife ?? 300_000,
    capacity: options.nonces ?? 10_000,
    bind: realm,
  });
  const throttle = createThrottle(deps.clock, {
    limit: options.failures ?? 10,
    window: options.failureWindow ?? 60_000,
    capacity: 1_000,
  });
  const sources = createThrottle(deps.clock, {
    limit: options.sourceFailures ?? 100,
    window: options.failureWindow ?? 60_000,
    capacity: 1_000,
  });
  const totals: Record<DigestRefusal | 'ok', number> = {
    ok: 0,
    none: 0,
    stale: 0,
    replay: 0,
    wrong: 0,
    malformed: 0,
    limited: 0,
  };
  // Stands in for users that do not exist, so that they cost as much time as those that do.
  const nobody = Buffer.from(deps.random.bytes(16)).toString('hex');

  const challenge = (proxy: boolean, cause: DigestRefusal): DigestVerdict => {
    totals[cause] += 1;
    const nonce = nonces.issue();
    const lines = offered.map((algorithm) =>
      formatChallenge(
        'Digest',
        {
          realm,
          nonce,
          qop: options.integrity ? 'auth,auth-int' : 'auth',
          algorithm,
          stale: cause === 'stale' || cause === 'replay' ? 'true' : undefined,
        },
        'challenge',
      ),
    );
    return {
      ok: false,
      status: proxy ? 407 : 401,
      reason: proxy ? 'Proxy Authentication Required' : 'Unauthorized',
      headers: { [proxy ? 'Proxy-Authenticate' : 'WWW-Authenticate']: lines },
      cause,
    };
  };

  const refuse = (status: 400 | 403, reason: string, cause: DigestRefusal): DigestVerdict => {
    totals[cause] += 1;
    return { ok: false, status, reason, headers: {}, cause };
  };

  /** H(A1), and whether there is such a user: it takes as long to find out that there is none. */
  const secretOf = (user: string, algorithm: Algorithm): { ha1: string; known: boolean } => {
    const secret = options.lookup(user, options.realm);
    const password = secret !== undefined && 'password' in secret ? secret.password : undefined;
    const made = hashPassword(algorithm, user, options.realm, password ?? nobody);
    const kept = secret !== undefined && 'ha1' in secret ? secret.ha1[algorithm] : undefined;
    return {
      ha1: kept?.toLowerCase() ?? made,
      known: password !== undefined || kept !== undefined,
    };
  };

  /**
   * The keys that credentials may have been made with. A session variant is bound to the cnonce that its nonce was
   * first used with (RFC 7616 §3.4.2); some clients bind it anew each time.
   */
  const keysOf = (input: DigestInput, session: boolean): readonly string[] => {
    if (!session) return [input.ha1];
    const { algorithm, ha1, nonce, cnonce } = input;
    const first = nonces.cnonceOf(nonce);
    const bound = first === undefined || first === cnonce ? [cnonce] : [first, cnonce];
    return bound.map((one) => sessionKey(algorithm, ha1, nonce, one));
  };

  /** RFC 7616 §3.5: what the client may learn from the answer. */
  const info = (
    input: DigestInput,
    proxy: boolean,
    next: string | undefined,
    body: Buffer,
  ): Readonly<Record<string, readonly string[]>> => {
    const parts: string[] = [];
    if (next !== undefined) parts.push(`nextnonce="${next}"`);
    if (options.mutual && input.qop !== undefined) {
      const rspauth = digestResponse({ ...input, method: '', body });
      parts.push(
        `qop=${input.qop}`,
        `rspauth="${rspauth}"`,
        `cnonce="${input.cnonce.replace(/["\\]/g, '\\$&')}"`,
        `nc=${input.nc}`,
      );
    }
    if (parts.length === 0) return {};
    return { [proxy ? 'Proxy-Authentication-Info' : 'Authentication-Info']: [parts.join(',')] };
  };

  const verify = (request: SipRequest, given: Challenge, proxy: boolean, source: string): DigestVerdict => {
    const { params } = given;
    const named = readAlgorithm(params.get('algorithm'));
    const name = params.get('username');
    const nonce = params.get('nonce');
    const uri = params.get('uri');
    const response = params.get('response');
    const qop = params.get('qop')?.toLowerCase();
    const nc = params.get('nc') ?? '';
    const cnonce = params.get('cnonce') ?? '';
    if (name === undefined || nonce === undefined || uri === undefined || response === undefined)
      return refuse(400, 'Incomplete Credentials', 'malformed');
    // RFC 8760 §2.7: a client that has not been challenged yet may send empty ones.
    if (nonce === '' || response === '') return challenge(proxy, 'none');
    if (
      qop !== undefined &&
      ((qop !== 'auth' && qop !== 'auth-int') || !/^[0-9a-f]{8}$/i.test(nc) || !cnonce)
    )
      return refuse(400, 'Malformed Credentials', 'malformed');
    if (!covers(uri, request)) return refuse(400, 'Digest URI Mismatch', 'malformed');
    // It was not offered: challenge again rather than guess.
    if (named === undefined || !taken.has(named.algorithm)) return challenge(proxy, 'none');
    if (named.session && cnonce === '') return refuse(400, 'Malformed Credentials', 'malformed');
    // What is kept of a session is bounded.
    if (cnonce.length > longestCnonce) return refuse(400, 'Malformed Credentials', 'malformed');

    const user = fromWire(name);
    const culprit = `${source} ${user}`;
    if (throttle.blocked(culprit) || (source !== '' && sources.blocked(source)))
      return refuse(403, 'Too Many Failures', 'limited');
    const { algorithm } = named;
    const { ha1, known } = secretOf(user, algorithm);
    const { method, body } = request;
    const input: DigestInput = {
      algorithm,
      session: false,
      ha1,
      nonce,
      method,
      uri,
      body,
      qop,
      nc,
      cnonce,
    };
    const claimed = response.toLowerCase();
    const key = keysOf(input, named.session).find((one) =>
      same(digestResponse({ ...input, ha1: one }), claimed),
    );
    if (key === undefined || !known) {
      // A nonce of before our restart says nothing about the password.
      if (!nonces.issued(nonce)) return challenge(proxy, 'stale');
      throttle.failed(culprit);
      if (source !== '') sources.failed(source);
      return challenge(proxy, 'wrong');
    }
    const use = nonces.use(
      nonce,
      qop === undefined ? undefined : Number.parseInt(nc, 16),
      named.session ? cnonce : undefined,
    );
    if (use !== 'fresh') return challenge(proxy, use);
    throttle.succeeded(culprit);
    totals.ok += 1;
    // A session lasts until the next challenge; its key is not carried over to another nonce.
    const next = named.session ? undefined : nonces.successor(nonce);
    const headersFor = (text: Buffer | string) =>
      info({ ...input, ha1: key }, proxy, next, Buffer.isBuffer(text) ? text : Buffer.from(text, 'utf8'));
    return { ok: true, user, headers: headersFor(''), headersFor };
  };

  return {
    check(request, { proxy = false, source = '' } = {}) {
      let verdict: DigestVerdict | undefined;
      for (const line of request.lines(proxy ? 'Proxy-Authorization' : 'Authorization')) {
        let given: Challenge;
        try {
          given = parseChallenge(line);
        } catch {
          // Those of another scheme are none of ours, in whatever form.
          if (/^digest\b/i.test(line)) verdict ??= refuse(400, 'Malformed Credentials', 'malformed');
          continue;
        }
        // RFC 3261 §22.3: a request may carry credentials for other realms too.
        if (given.scheme.toLowerCase() !== 'digest' || given.params.get('realm') !== realm) continue;
        verdict = verify(request, given, proxy, source);
        if (verdict.ok) return verdict;
      }
      return verdict ?? challenge(proxy, 'none');
    },
    counts: () => ({ ...totals, nonces: nonces.size, throttled: throttle.size + sources.size }),
  };
}

/** Characters of a cnonce; ours have 11, and nobody's need more than a hash has. */
const longestCnonce = 256;

/** The two may differ in parameters, and a proxy may have put a Contact where the AOR stood; whom they mean counts. */
function corresponds(digestUri: string, request: SipRequest): boolean {
  if (digestUri === request.uri) return true;
  try {
    const meant = aorOf(digestUri);
    return meant === aorOf(request.uri) || (request.to !== undefined && meant === aorOf(request.to.uri));
  } catch {
    return false;
  }
}

/** Takes as long whether they differ in the first character or in the last. */
function same(a: string, b: string): boolean {
  const left = Buffer.from(a, 'latin1');
  const right = Buffer.from(b, 'latin1');
  return left.length === right.length && timingSafeEqual(left, right);
}
