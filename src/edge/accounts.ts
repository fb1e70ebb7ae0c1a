import type { Algorithm, UserSecret } from 'tiny-sip';
import { type Domain, read } from './domain.ts';
import { edgeErrors } from './errors.ts';
import type { EdgeUser } from './options.ts';

/** The users of the edge and which addresses of record are theirs. */
export interface Accounts {
  /** What digest needs to know of a user name, as the client wrote it. */
  secret(username: string): UserSecret | undefined;
  /** The user behind a user name that was authenticated (`alice` for `alice@example.com`). */
  user(username: string): string;
  /** Whether the user may register, publish and speak as this address of record. */
  owns(user: string, aor: string): boolean;
  /** Whether some user owns it: whether the address exists here. */
  known(aor: string): boolean;
  /** What to challenge with, the strongest first: what every user can answer. */
  readonly algorithms: readonly Algorithm[];
  readonly size: number;
}

interface Account {
  readonly secret: UserSecret | undefined;
  readonly aors: ReadonlySet<string>;
  readonly patterns: readonly RegExp[];
}

const EVERY_PHONE_FIRST: readonly Algorithm[] = ['MD5', 'SHA-256'];

/** Throws EDGE_NO_ALGORITHM when no algorithm suits all users, and EDGE_BAD_AOR for an address of record that the edge cannot serve. */
export function createAccounts(
  domain: Domain,
  domains: readonly string[],
  users: Readonly<Record<string, string | EdgeUser>>,
  wanted?: readonly Algorithm[],
): Accounts {
  const accounts = new Map<string, Account>();
  const known = new Set<string>();
  const patterns: RegExp[] = [];

  for (const [user, given] of Object.entries(users)) {
    const account = typeof given === 'string' ? { password: given } : given;
    const aors = new Set<string>();
    const own: RegExp[] = [];
    for (const host of domains) {
      const aor = domain.aor(`sip:${user}@${host}`);
      if (aor === undefined) throw edgeErrors.BAD_AOR({ user, aor: `sip:${user}@${host}`, why: 'malformed' });
      aors.add(aor);
    }
    for (const text of account.aors ?? []) {
      if (text.includes('*')) own.push(pattern(domain, user, text));
      else aors.add(exact(domain, user, text));
    }
    for (const aor of aors) known.add(aor);
    patterns.push(...own);
    accounts.set(user, { secret: secretOf(account), aors, patterns: own });
  }

  const userOf = (username: string): string => {
    if (accounts.has(username)) return username;
    const at = username.lastIndexOf('@');
    return at > 0 && domain.serves(username.slice(at + 1)) ? username.slice(0, at) : username;
  };

  return {
    secret(username) {
      const secret = accounts.get(userOf(username))?.secret;
      // A stored hash was made with the bare user name, so it says nothing about another spelling.
      return secret && 'ha1' in secret && !accounts.has(username) ? undefined : secret;
    },
    user: userOf,
    owns(user, aor) {
      const account = accounts.get(user);
      return account !== undefined && (account.aors.has(aor) || matches(account.patterns, aor));
    },
    known: (aor) => known.has(aor) || matches(patterns, aor),
    algorithms: chooseAlgorithms(accounts, wanted),
    get size() {
      return accounts.size;
    },
  };
}

/**
 * One algorithm unless more are wanted. RFC 8760 §2.4 lets a server offer several, but there are phones that give up
 * on a response with a challenge that they do not know (libre before 2.0, in whatever order they come), and every
 * phone knows MD5. What not every user has a hash for cannot be offered, since nobody has said yet who asks.
 */
function chooseAlgorithms(
  accounts: ReadonlyMap<string, Account>,
  wanted: readonly Algorithm[] | undefined,
): readonly Algorithm[] {
  const lacks = ({ secret }: Account, algorithm: Algorithm): boolean =>
    secret !== undefined && 'ha1' in secret && secret.ha1[algorithm] === undefined;
  const common = (wanted ?? EVERY_PHONE_FIRST).filter(
    (algorithm) => ![...accounts.values()].some((account) => lacks(account, algorithm)),
  );
  if (common.length === 0)
    throw edgeErrors.NO_ALGORITHM({ algorithms: (wanted ?? EVERY_PHONE_FIRST).join(', ') });
  return wanted ? common : common.slice(0, 1);
}

function matches(patterns: readonly RegExp[], aor: string): boolean {
  return patterns.some((one) => one.test(aor));
}

function secretOf(account: EdgeUser): UserSecret | undefined {
  if (account.password !== undefined) return { password: account.password };
  return account.ha1 && { ha1: account.ha1 };
}

function exact(domain: Domain, user: string, text: string): string {
  const aor = domain.aor(text);
  if (aor === undefined)
    throw edgeErrors.BAD_AOR({ user, aor: text, why: 'it is no address of this domain' });
  return aor;
}

function pattern(domain: Domain, user: string, text: string): RegExp {
  const parts = /^sip:([^@]+)@([^@*]+)$/.exec(text);
  if (!parts) throw edgeErrors.BAD_AOR({ user, aor: text, why: '* may only stand in the user part' });
  const [, userPart = '', host = ''] = parts;
  const uri = read(`sip:x@${host}`);
  const whole = uri && domain.aor(uri);
  if (whole === undefined)
    throw edgeErrors.BAD_AOR({ user, aor: text, why: 'it is no address of this domain' });
  const escaped = userPart.split('*').map(literal).join('[^@]*');
  return new RegExp(`^sip:${escaped}@${literal(whole.slice(whole.indexOf('@') + 1))}$`);
}

function literal(text: string): string {
  return text.replace(/[.+?^${}()|[\]\\]/g, '\\$&');
}
