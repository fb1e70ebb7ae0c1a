import type { Clock, Log } from '../deps.ts';
import type { Dns } from './dns.ts';
import { isName, type RecordsOf, type RecordType, soundRecords } from './records.ts';

/** Seconds that NAPTR and SRV answers are kept unless told otherwise, since Node does not tell their TTL. */
const DEFAULT_TTL = 300;
/** Seconds that "there is no such record" is believed where no SOA record says how long. */
const ABSENT_TTL = 30;
/** Seconds: no zone makes us believe in an absence for longer (RFC 2308 §5 advises one to three hours at most). */
const LONGEST_ABSENT = 900;
/** Seconds: TTLs are taken within these bounds, so that 0 does not mean a query for every message. */
const SHORTEST = 5;
const LONGEST = 86_400;
/** Seconds that an answer is still served after it has run out, while the DNS is away (RFC 8767 §5: 1 to 3 days). */
const STALE = 3 * 86_400;
/** Milliseconds to wait for the DNS where an answer that has run out is at hand (RFC 8767 §5: 1.8 s). */
const PATIENCE = 1_800;
/** Milliseconds during which, after a failure, an answer that has run out is used without asking again. */
const HOLD_DOWN = 5_000;
/** Milliseconds during which a question that failed is not put again (RFC 9520 §3.2: at least a second). */
const FAILURE_LIFE = 1_000;
/** Milliseconds after which a question counts as failed, whatever the resolver thinks. */
const ANSWER_LIMIT = 10_000;
const DEFAULT_ENTRIES = 1_000;
/** Questions in flight, and failures remembered. */
const MOST_QUESTIONS = 256;
/** Labels that are cut off a name to find the zone it is in. */
const ZONE_STEPS = 3;

/** Records, or the knowledge that there are none. */
export type Answer<T extends RecordType> =
  | { readonly kind: 'found'; readonly records: RecordsOf[T] }
  | { readonly kind: 'absent' };

interface Entry {
  readonly answer: Answer<RecordType>;
  /** Monotonic milliseconds. */
  readonly freshUntil: number;
}

interface Failure {
  readonly error: Error;
  readonly at: number;
}

export interface DnsCache {
  /** Rejects when the DNS could not be asked and nothing is known from before. */
  ask<T extends RecordType>(type: T, name: string): Promise<Answer<T>>;
  counts(): Record<string, number>;
}

/** Bounds of what is remembered of the DNS. */
export interface DnsCacheOptions {
  /** Seconds for answers without a TTL. Default 300. */
  readonly ttl?: number | undefined;
  /** Answers kept; the one that was asked for longest ago goes. Default 1,000. */
  readonly entries?: number | undefined;
  /** Seconds that an answer is served beyond its time while the DNS is away. Default three days. */
  readonly stale?: number | undefined;
}

/**
 * Answers of the DNS, kept for their time to live and beyond: while the DNS is away, what was known is still served
 * (RFC 8767). After every failure the next question goes to a new resolver, because one that exists has read
 * resolv.conf once and for all. One question is asked once however many wait for its answer.
 */
export function createDnsCache(
  deps: { readonly clock: Clock; readonly log: Log; readonly dns: () => Dns },
  options: DnsCacheOptions = {},
): DnsCache {
  const { clock, log } = deps;
  const most = options.entries ?? DEFAULT_ENTRIES;
  const stale = (options.stale ?? STALE) * 1_000;
  /** In the order in which they were last used. */
  const entries = new Map<string, Entry>();
  const failures = new Map<string, Failure>();
  const running = new Map<string, Promise<Answer<RecordType>>>();
  const counts = { queries: 0, hits: 0, stale: 0, failures: 0, crowded: 0, resolvers: 0 };
  let dns: Dns | undefined;
  /** When nobody could be reached last; undefined once somebody answers. */
  let awaySince: number | undefined;

  const put = <V>(map: Map<string, V>, bound: number, key: string, value: V): void => {
    map.delete(key);
    const oldest = map.size >= bound ? map.keys().next().value : undefined;
    if (oldest !== undefined) map.delete(oldest);
    map.set(key, value);
  };

  const keep = (key: string, answer: Answer<RecordType>, seconds: number): Entry => {
    const ttl = Math.min(LONGEST, Math.max(SHORTEST, seconds));
    const entry = { answer, freshUntil: clock.now() + ttl * 1_000 };
    put(entries, most, key, entry);
    failures.delete(key);
    return entry;
  };

  const answered = (name: string): void => {
    if (awaySince !== undefined) log.info('the DNS answers again', { name });
    awaySince = undefined;
  };

  const failed = (key: string, name: string, error: Error, asked: Dns): void => {
    counts.failures += 1;
    put(failures, MOST_QUESTIONS, key, { error, at: clock.now() });
    if (dns === asked) {
      dns = undefined;
      asked.cancel?.();
    }
    // A name server that answers, if only with a failure, says nothing about other names.
    if (SERVER_SAYS.has(codeOf(error))) return;
    if (awaySince === undefined) log.warn('the DNS does not answer', { name, error: error.message });
    awaySince = clock.now();
  };

  const query = async (key: string, type: RecordType, name: string): Promise<Answer<RecordType>> => {
    counts.queries += 1;
    if (dns === undefined) {
      dns = deps.dns();
      counts.resolvers += 1;
    }
    const asked = dns;
    try {
      const given = await within(clock, ANSWER_LIMIT, Promise.resolve(asked[type]?.(name)));
      const records = soundRecords(type, given ?? []);
      answered(name);
      if (records.length > 0) {
        const answer = { kind: 'found', records } as const;
        keep(key, answer, ttlOf(records, options.ttl ?? DEFAULT_TTL));
        return answer;
      }
    } catch (thrown) {
      const error = thrown instanceof Error ? thrown : new Error(String(thrown));
      if (!ABSENT.has(codeOf(error))) {
        failed(key, name, error, asked);
        throw error;
      }
      answered(name);
    }
    const answer = { kind: 'absent' } as const;
    const entry = keep(key, answer, ABSENT_TTL);
    if (type !== 'soa' && type !== 'hosts') lengthen(key, entry, name);
    return answer;
  };

  /**
   * How long an absence may be believed stands in the zone's SOA record (RFC 2308 §5), which the resolver does not
   * hand over with the answer; so it is asked for, while the short default holds.
   */
  const lengthen = (key: string, entry: Entry, name: string): void => {
    if (dns?.soa === undefined) return;
    absentTtl(name.replace(/^(?:_[^.]+\.)+/, ''), ZONE_STEPS).then(
      (seconds) => {
        if (seconds === undefined || entries.get(key) !== entry) return;
        const from = entry.freshUntil - ABSENT_TTL * 1_000;
        const ttl = Math.min(LONGEST_ABSENT, Math.max(SHORTEST, seconds));
        entries.set(key, { answer: entry.answer, freshUntil: from + ttl * 1_000 });
      },
      // The default holds then.
      () => undefined,
    );
  };

  const absentTtl = async (name: string, steps: number): Promise<number | undefined> => {
    const known = await ask('soa', name);
    if (known.kind === 'found') return (known.records as RecordsOf['soa'])[0]?.minttl;
    const parent = name.slice(name.indexOf('.') + 1);
    return steps > 1 && parent.includes('.') ? absentTtl(parent, steps - 1) : undefined;
  };

  const ask = async (type: RecordType, name: string): Promise<Answer<RecordType>> => {
    if (!isName(name)) return { kind: 'absent' };
    const key = `${type} ${name.toLowerCase().replace(/\.$/, '')}`;
    const now = clock.now();
    let known = entries.get(key);
    if (known !== undefined && now >= known.freshUntil + stale) {
      entries.delete(key);
      known = undefined;
    }
    if (known !== undefined) {
      put(entries, most, key, known);
      if (now < known.freshUntil) {
        counts.hits += 1;
        return known.answer;
      }
    }
    const failure = failures.get(key);
    const since = Math.max(awaySince ?? Number.NEGATIVE_INFINITY, failure?.at ?? Number.NEGATIVE_INFINITY);
    if (known !== undefined && now - since < HOLD_DOWN) {
      counts.stale += 1;
      return known.answer;
    }
    let asking = running.get(key);
    if (asking === undefined) {
      if (failure !== undefined && now - failure.at < FAILURE_LIFE) throw failure.error;
      if (running.size >= MOST_QUESTIONS) {
        counts.crowded += 1;
        if (known !== undefined) return known.answer;
        throw new Error(`already ${MOST_QUESTIONS} questions wait for the DNS`);
      }
      asking = query(key, type, name).finally(() => running.delete(key));
      running.set(key, asking);
    }
    return known === undefined ? asking : firstOf(clock, asking, known.answer, () => (counts.stale += 1));
  };

  return {
    ask: <T extends RecordType>(type: T, name: string) => ask(type, name) as Promise<Answer<T>>,
    counts: () => ({ ...counts, entries: entries.size, asking: running.size, failing: failures.size }),
  };
}

/** The answer when it comes in time, else the old one. */
function firstOf<A>(clock: Clock, asking: Promise<A>, old: A, used: () => void): Promise<A> {
  return within(clock, PATIENCE, asking).catch(() => {
    used();
    return old;
  });
}

/** Rejects when `promise` has not settled in time. */
function within<A>(clock: Clock, ms: number, promise: Promise<A>): Promise<A> {
  return new Promise((resolve, reject) => {
    const timer = clock.after(ms, () =>
      reject(Object.assign(new Error(`no answer within ${ms / 1_000} s`), { code: 'ETIMEOUT' })),
    );
    promise.then(resolve, reject).finally(() => timer.cancel());
  });
}

/** The shortest TTL of the records, or the default where they carry none. */
function ttlOf(records: readonly unknown[], fallback: number): number {
  let shortest: number | undefined;
  for (const record of records) {
    if (typeof record !== 'object' || record === null || !('ttl' in record)) continue;
    if (typeof record.ttl === 'number') shortest = Math.min(shortest ?? record.ttl, record.ttl);
  }
  return shortest ?? fallback;
}

const codeOf = (error: Error): string =>
  'code' in error && typeof error.code === 'string' ? error.code : '';

/** There is no such record, or can be none. */
const ABSENT: ReadonlySet<string> = new Set(['ENOTFOUND', 'ENODATA', 'EBADNAME']);

/** A name server was reached, and could or would not answer this question. */
const SERVER_SAYS: ReadonlySet<string> = new Set([
  'ESERVFAIL',
  'EFORMERR',
  'ENOTIMP',
  'EREFUSED',
  'EBADRESP',
]);
