import type { Clock } from '../deps.ts';
import type { Target } from './target.ts';

/** Milliseconds that a server counts as dead after its first failure; doubled with each further one. */
const DEAD = 30_000;
const LONGEST_DEAD = 600_000;
/** Milliseconds: no Retry-After keeps a server at the end of the list for longer. */
const LONGEST_RETRY_AFTER = 3_600_000;
/** Servers and domains remembered; those that were touched longest ago go. */
const DEFAULT_SERVERS = 1_000;

/** A target and its place in the domain's order: all of one rank are as good (RFC 2782: priority). */
export interface RankedTarget extends Target {
  readonly rank: number;
}

/** What became of a request to a target. */
export type Verdict =
  | { readonly kind: 'worked' }
  /** Refused, silent or 503. `seconds` is the Retry-After of the 503. */
  | { readonly kind: 'failed'; readonly seconds?: number | undefined };

export interface ServerHealth {
  /**
   * The same targets in the order in which to try them: by rank, the one that worked last time first in its rank, and
   * those that failed lately at the end, the one that is due soonest first. Nothing is left out: where all seem dead,
   * one of them may have come back.
   */
  arrange(targets: readonly RankedTarget[]): readonly Target[];
  report(target: Target, verdict: Verdict): void;
  /** `dead`: servers that now count as dead; `failing`: those of which failures are remembered. */
  counts(): { readonly dead: number; readonly failing: number; readonly favoured: number };
}

export interface ServerHealthOptions {
  /** Servers whose failures are remembered, and domains whose last good server is. Default 1,000 of each. */
  readonly servers?: number | undefined;
  /**
   * Stay with the server of a rank that worked (default). False draws anew for each request, which spreads the load of
   * one busy client by the weights of the domain.
   */
  readonly affinity?: boolean | undefined;
}

interface Failing {
  readonly until: number;
  readonly times: number;
}

/** Which servers failed lately, and which one worked: a memory that decays and is bounded. */
export function createServerHealth(clock: Clock, options: ServerHealthOptions = {}): ServerHealth {
  const most = options.servers ?? DEFAULT_SERVERS;
  const failing = new Map<string, Failing>();
  /** The server that worked last, by domain and protocol. */
  const favoured = new Map<string, string>();

  const put = <V>(map: Map<string, V>, key: string, value: V): void => {
    map.delete(key);
    const oldest = map.size >= most ? map.keys().next().value : undefined;
    if (oldest !== undefined) map.delete(oldest);
    map.set(key, value);
  };

  const deadUntil = (target: Target): number => {
    const until = failing.get(serverKey(target))?.until ?? 0;
    return until > clock.now() ? until : 0;
  };

  const isFavoured = (target: Target): boolean => favoured.get(domainKey(target)) === serverKey(target);

  const fail = (target: Target, seconds: number | undefined): void => {
    const key = serverKey(target);
    const now = clock.now();
    const before = failing.get(key);
    // Failures long ago say nothing about this one.
    const times = before !== undefined && now - before.until < LONGEST_DEAD ? before.times + 1 : 1;
    const own = Math.min(DEAD * 2 ** (times - 1), LONGEST_DEAD);
    // RFC 3261 §21.5.4: the server knows best when it will be back.
    const asked = seconds === undefined ? own : Math.min(seconds * 1_000, LONGEST_RETRY_AFTER);
    put(failing, key, { until: now + asked, times });
    if (isFavoured(target)) favoured.delete(domainKey(target));
  };

  return {
    arrange(targets) {
      const ranked = targets.map((target, at) => ({
        target,
        at,
        dead: deadUntil(target),
        late: options.affinity !== false && isFavoured(target) ? 0 : 1,
      }));
      ranked.sort(
        (a, b) => a.dead - b.dead || a.target.rank - b.target.rank || a.late - b.late || a.at - b.at,
      );
      return ranked.map(({ target: { protocol, host, port, name } }) => ({ protocol, host, port, name }));
    },
    report(target, verdict) {
      if (verdict.kind === 'failed') fail(target, verdict.seconds);
      else {
        failing.delete(serverKey(target));
        put(favoured, domainKey(target), serverKey(target));
      }
    },
    counts() {
      const now = clock.now();
      let dead = 0;
      for (const one of failing.values()) if (one.until > now) dead += 1;
      return { dead, failing: failing.size, favoured: favoured.size };
    },
  };
}

const serverKey = ({ protocol, host, port }: Target): string => `${protocol} ${host} ${port}`;

const domainKey = ({ protocol, name }: Target): string => `${protocol} ${name.toLowerCase()}`;
