import type { Random } from '../deps.ts';
import { type Challenge, formatChallenge, parseAuthInfo, parseChallenges } from '../message/challenge.ts';
import type { SipRequest, SipResponse } from '../message/message.ts';
import { detach, fromWire } from '../message/text.ts';
import {
  type Algorithm,
  type DigestInput,
  digestResponse,
  hashPassword,
  readAlgorithm,
  sessionKey,
} from './algorithm.ts';

/** Hashes of one user's password in one realm, by algorithm (see `hashPassword`). */
export type PasswordHashes = Readonly<Partial<Record<Algorithm, string>>>;

/** Who we are towards a realm: a password, or the hashes of one (then `realm` should be given). */
export interface DigestCredentials {
  /** As Unicode. */
  readonly username: string;
  /** As Unicode. Wanted when there is no `ha1`. */
  readonly password?: string;
  /** Hashes of the password; a challenge whose algorithm has none here is answered only with a `password`. */
  readonly ha1?: PasswordHashes;
  /** Answer this realm only. Absent: any realm that challenges. */
  readonly realm?: string;
  /**
   * Believe a 2xx only when it proves that the server knows the password too (`rspauth`, RFC 7616 §3.5); one that does
   * not is a failure. Default false: few servers prove it.
   */
  readonly mutual?: boolean;
}

/**
 * Answers digest challenges (RFC 7616 with RFC 8760) and remembers nonces, so that later requests carry
 * credentials at once. One client serves all requests of one account.
 */
export interface DigestClient {
  /** One request and its repetitions after challenges. */
  begin(): DigestRound;
}

/** At most two answers per realm, the second only to `stale=true`. */
export interface DigestRound {
  /** Adds Authorization and Proxy-Authorization from what is remembered. `request` must carry none of ours yet. */
  authorize(request: SipRequest): void;
  /**
   * Learns from a 401 or 407. True: `authorize` has new credentials to offer. False: nothing that can be
   * answered (no challenge, unknown algorithm or realm), or our password was refused.
   */
  challenged(response: SipResponse): boolean;
  /**
   * Learns nextnonce from the Authentication-Info of a 2xx. False: the proof that `mutual` demands is missing or wrong.
   * A wrong proof is never learnt from, demanded or not.
   */
  learn(response: SipResponse): boolean;
}

/** Realms remembered at most; a server that invents realms does not fill the memory. */
const realms = 16;

type Kind = 'server' | 'proxy';

const fields = {
  server: { challenge: 'WWW-Authenticate', credentials: 'Authorization', info: 'Authentication-Info' },
  proxy: {
    challenge: 'Proxy-Authenticate',
    credentials: 'Proxy-Authorization',
    info: 'Proxy-Authentication-Info',
  },
} as const;

const kinds: readonly Kind[] = ['server', 'proxy'];

/** An authentication session (RFC 7616 §3.6) with one realm. */
interface Session {
  readonly kind: Kind;
  /** As on the wire, for echoing. */
  readonly realm: string;
  readonly username: string;
  /** H(A1); of a session variant it is bound to the nonce and cnonce below as they were at the challenge. */
  readonly key: string;
  readonly mutual: boolean;
  readonly algorithm: Algorithm;
  readonly session: boolean;
  /** The algorithm as the server spelt it; undefined when it did not. */
  readonly spelt: string | undefined;
  readonly qop: 'auth' | 'auth-int' | undefined;
  readonly opaque: string | undefined;
  nonce: string;
  nc: number;
  /** Kept for the whole session where `-sess` binds the key to it. */
  cnonce: string;
}

/** The last count that eight digits can tell. */
const lastCount = 0xffffffff;

/** `hashes` of a list of credentials: the first that fits the realm answers. */
export function createDigestClient(
  deps: { readonly random: Random },
  credentials: DigestCredentials | readonly DigestCredentials[],
): DigestClient {
  const known: readonly DigestCredentials[] = Array.isArray(credentials)
    ? credentials
    : [credentials as DigestCredentials];
  const sessions = new Map<string, Session>();

  const nonce = (): string => Buffer.from(deps.random.bytes(8)).toString('base64url');

  /** RFC 8760 §2.4: the topmost challenge of a realm that we can answer. */
  const open = (kind: Kind, challenge: Challenge): Session | undefined => {
    const { params } = challenge;
    const named = readAlgorithm(params.get('algorithm'));
    const realm = params.get('realm');
    const value = params.get('nonce');
    if (named === undefined || realm === undefined || value === undefined) return undefined;
    const offered = params
      .get('qop')
      ?.toLowerCase()
      .split(',')
      .map((one) => one.trim());
    // auth-int only where nothing else is offered: proxies may touch bodies.
    const qop = offered?.includes('auth') ? 'auth' : offered?.includes('auth-int') ? 'auth-int' : undefined;
    if (offered !== undefined && qop === undefined) return undefined;
    const text = fromWire(realm);
    for (const one of known) {
      if (one.realm !== undefined && one.realm !== text) continue;
      const ha1 =
        one.ha1?.[named.algorithm] ??
        (one.password === undefined
          ? undefined
          : hashPassword(named.algorithm, one.username, text, one.password));
      if (ha1 === undefined) continue;
      const spelt = params.get('algorithm');
      const opaque = params.get('opaque');
      const cnonce = nonce();
      return {
        kind,
        realm: detach(realm),
        username: one.username,
        key: named.session ? sessionKey(named.algorithm, ha1, value, cnonce) : ha1,
        mutual: one.mutual ?? false,
        algorithm: named.algorithm,
        session: named.session,
        spelt: spelt === undefined ? undefined : detach(spelt),
        qop,
        opaque: opaque === undefined ? undefined : detach(opaque),
        nonce: detach(value),
        nc: 0,
        cnonce,
      };
    }
    return undefined;
  };

  const remember = (key: string, session: Session): void => {
    const old = sessions.get(key);
    // nc rises for as long as the nonce is the same, also over a new challenge with the old nonce.
    if (old?.nonce === session.nonce) session.nc = old.nc;
    sessions.delete(key);
    sessions.set(key, session);
    for (const first of sessions.keys()) {
      if (sessions.size <= realms) break;
      sessions.delete(first);
    }
  };

  /** All that goes into the next credentials of a session. */
  const next = (session: Session, request: SipRequest): DigestInput => {
    session.nc += 1;
    if (!session.session) session.cnonce = nonce();
    return {
      algorithm: session.algorithm,
      session: false,
      ha1: session.key,
      nonce: session.nonce,
      method: request.method,
      uri: request.uri,
      body: request.body,
      qop: session.qop,
      nc: session.nc.toString(16).padStart(8, '0'),
      cnonce: session.cnonce,
    };
  };

  const write = (session: Session, input: DigestInput): string => {
    const { qop } = session;
    return formatChallenge(
      'Digest',
      {
        username: session.username,
        realm: session.realm,
        nonce: input.nonce,
        uri: input.uri,
        response: digestResponse(input),
        algorithm: session.spelt,
        // RFC 2617 §3.2.2: a cnonce must not be sent where no qop was; with -sess there is no way without.
        cnonce: qop === undefined && !session.session ? undefined : input.cnonce,
        qop,
        nc: qop === undefined ? undefined : input.nc,
        opaque: session.opaque,
      },
      'credentials',
    );
  };

  return {
    begin() {
      /** Answers given in this round, by session key. */
      const answers = new Map<string, number>();
      /** What was sent last, by session key. */
      const sent = new Map<string, { readonly session: Session; readonly input: DigestInput }>();
      return {
        authorize(request) {
          for (const [key, session] of sessions) {
            // RFC 7616 §3.4: a count may not come again, so that nonce is done with; a challenge brings another.
            if (session.nc >= lastCount) {
              sessions.delete(key);
              continue;
            }
            const input = next(session, request);
            request.add(fields[session.kind].credentials, write(session, input));
            sent.set(key, { session, input });
          }
        },
        challenged(response) {
          let answerable = false;
          for (const kind of kinds) {
            const seen = new Set<string>();
            for (const challenge of readChallenges(response, fields[kind].challenge)) {
              const session = open(kind, challenge);
              if (session === undefined) continue;
              const key = `${kind} ${session.realm}`;
              if (seen.has(key)) continue;
              seen.add(key);
              const before = answers.get(key) ?? 0;
              const stale = challenge.params.get('stale')?.toLowerCase() === 'true';
              // A nonce from an earlier request may be refused with or without stale=true; one that this
              // round was given is only replaced when the server says that the password was right.
              if (before === 0 || (before === 1 && stale)) {
                answers.set(key, before + 1);
                remember(key, session);
                answerable = true;
              } else sessions.delete(key);
            }
          }
          return answerable;
        },
        learn(response) {
          const proven = new Set<Session>();
          for (const kind of kinds) {
            if (!response.has(fields[kind].info)) continue;
            const info = readInfo(response.lines(fields[kind].info).join(', '));
            const mine = [...sent.values()].filter(({ session }) => session.kind === kind);
            // With several realms of one kind only the cnonce tells whose this is.
            const one =
              mine.length === 1 ? mine[0] : mine.find(({ input }) => input.cnonce === info.get('cnonce'));
            if (one === undefined) continue;
            const { session, input } = one;
            const proof = info.get('rspauth');
            if (proof !== undefined) {
              if (!proves(proof, input, response)) continue;
              proven.add(session);
            }
            const value = info.get('nextnonce');
            if (value === undefined || session.nonce === value) continue;
            session.nonce = detach(value);
            session.nc = 0;
          }
          return [...sent.values()].every(({ session }) => !session.mutual || proven.has(session));
        },
      };
    },
  };
}

/** RFC 7616 §3.5: as the request's response value, but without a method and over the response's body. */
function proves(rspauth: string, input: DigestInput, response: SipResponse): boolean {
  return rspauth.toLowerCase() === digestResponse({ ...input, method: '', body: response.body });
}

/** Malformed lines are passed over: another may be good. */
function readChallenges(response: SipResponse, name: string): readonly Challenge[] {
  const found: Challenge[] = [];
  for (const line of response.lines(name)) {
    try {
      for (const challenge of parseChallenges(line))
        if (challenge.scheme.toLowerCase() === 'digest') found.push(challenge);
    } catch {
      // RFC 8760 §2.4: a challenge that is not understood must be ignored.
    }
  }
  return found;
}

function readInfo(line: string): ReadonlyMap<string, string> {
  try {
    return parseAuthInfo(line);
  } catch {
    return new Map();
  }
}
