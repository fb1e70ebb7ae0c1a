import type { Clock, Log } from '../deps.ts';
import type { Dns } from './dns.ts';

/** Seconds that NAPTR and SRV answers are kept unless told otherwise, since Node does not tell their TTL. */
const DEFAULT_TTL = 300;
/** Seconds that "there is no such record" is believed. */
const ABSENT_TTL = 30;
/** Seconds: TTLs are taken within these bounds, so that 0 does not mean a query for every message. */
const SHORTEST = 5;
const LONGEST = 86_400;
/** Milliseconds to wait for the DNS where an answer that has run out is at hand (RFC 8767 §5: 1.8 s). */
const PATIENCE = 1_800;
/** Milliseconds during which, after a failure, an answer that has run out is used without asking again. */
const HOLD_DOWN = 5_000;
const DEFAULT_ENTRIES = 1_000;

export type RecordType = 'naptr' | 'srv' | 'a' | 'aaaa' | 'hosts';

/** The records that each kind of question is answered with. */
type Records<T extends RecordType> = Awaited<ReturnType<NonNullable<Dns[T]>>>;

/** Records, or the knowledge that there are none. */
export type Answer<T extends RecordType> =
  | { readonly kind: 'found'; readonly records: Records<T> }
  | { readonly kind: 'absent' };

interface Entry {
  readonly answer: Answer<RecordType>;
  /** Monotonic milliseconds. */
  readonly freshUntil: number;
}

export interface DnsCache {
  /** Rejects when the DNS could not be asked and nothing is known from before. */
  ask<T extends RecordType>(type: T, name: string): Promise<Answer<T>>;
  counts(): Record<string, number>;
}

/** Bounds of what is remembered of the DNS. */
export interface DnsCacheOptions {
  /** Seconds for answers without a TTL. */
  readonly ttl?: number | undefined;
  /** Answers kept; the oldest goes. */
  readonly entries?: number | undefined;
}

/**
 * Answers of the DNS, kept for their time to live and beyond: while the DNS is away, what was known is still served
 * (RFC 8767). After every failure the next question goes to a new resolver, because one that exists has read
 * resolv.conf once and for all.
 */
export function createDnsCache(
  deps: { readonly clock: Clock; readonly log: Log; readonly dns: () => Dns },
  options: DnsCacheOptions = {},
): DnsCache {
  const { clock, log } = deps;
  const most = options.entries ?? DEFAULT_ENTRIES;
  const entries = new Map<string, Entry>();
  const running = new Map<string, Promise<Answer<RecordType>>>();
  const counts = { queries: 0, hits: 0, stale: 0, failures: 0, resolvers: 0 };
  let dns: Dns | undefined;
  let failedAt: number | undefined;

  const keep = (key: string, answer: Answer<RecordType>, seconds: number): void => {
    entries.delete(key);
    const oldest = entries.size >= most ? entries.keys().next().value : undefined;
    if (oldest !== undefined) entries.delete(oldest);
    const ttl = Math.min(LONGEST, Math.max(SHORTEST, seconds));
    entries.set(key, { answer, freshUntil: clock.now() + ttl * 1_000 });
  };

  const query = async (key: string, type: RecordType, name: string): Promise<Answer<RecordType>> => {
    counts.queries += 1;
    if (dns === undefined) {
      dns = deps.dns();
      counts.resolvers += 1;
    }
    const asked = dns;
    try {
      const records = (await asked[type]?.(name)) ?? [];
      if (failedAt !== undefined) log.info('the DNS answers again', { name });
      failedAt = undefined;
      const answer: Answer<RecordType> = records.length > 0 ? { kind: 'found', records } : { kind: 'absent' };
      keep(key, answer, records.length > 0 ? ttlOf(records, options.ttl ?? DEFAULT_TTL) : ABSENT_TTL);
      return answer;
    } catch (error) {
      if (isAbsent(error)) {
        const answer: Answer<RecordType> = { kind: 'absent' };
        keep(key, answer, ABSENT_TTL);
        return answer;
      }
      counts.failures += 1;
      if (dns === asked) dns = undefined;
      if (failedAt === undefined) log.warn('the DNS does not answer', { name, error: String(error) });
      failedAt = clock.now();
      throw error;
    }
  };

  const ask = async (type: RecordType, name: string): Promise<Answer<RecordType>> => {
    const key = `${type} ${name.toLowerCase()}`;
    const known = entries.get(key);
    if (known !== undefined && clock.now() < known.freshUntil) {
      counts.hits += 1;
      return known.answer;
    }
    if (known !== undefined && failedAt !== undefined && clock.now() - failedAt < HOLD_DOWN) {
      counts.stale += 1;
      return known.answer;
    }
    let asking = running.get(key);
    if (asking === undefined) {
      asking = query(key, type, name).finally(() => running.delete(key));
      running.set(key, asking);
    }
    return known === undefined ? asking : firstOf(clock, asking, known.answer, () => (counts.stale += 1));
  };

  return {
    ask: <T extends RecordType>(type: T, name: string) => ask(type, name) as Promise<Answer<T>>,
    counts: () => ({ ...counts, entries: entries.size }),
  };
}

/** The answer when it comes in time, else the old one. */
function firstOf<A>(clock: Clock, asking: Promise<A>, old: A, used: () => void): Promise<A> {
  return new Promise((resolve) => {
    const fall = (): void => {
      used();
      resolve(old);
    };
    const timer = clock.after(PATIENCE, fall);
    asking.then(
      (answer) => {
        timer.cancel();
        resolve(answer);
      },
      () => {
        timer.cancel();
        fall();
      },
    );
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

/** Whether the error says that there is no such record, not that nobody could be asked. */
function isAbsent(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return code === 'ENOTFOUND' || code === 'ENODATA' || code === 'EBADNAME';
}
