import { join } from 'node:path';
import type { BindingRecord, SubscriptionRecord } from 'tiny-sip';
import type { Clock, Timer } from '../base/clock.ts';
import { asError } from '../base/errors.ts';
import type { Files } from '../base/file.ts';
import { createJournal } from '../base/journal.ts';
import type { Log } from '../base/log.ts';
import { loadDeadline, type StoredDeadline, storeDeadline } from './deadline.ts';
import type { DocumentRecord } from './documents.ts';
import { createPace } from './pace.ts';

/** What an earlier process left behind, with deadlines on this process's clock. */
export interface Kept {
  bindings: BindingRecord[];
  /** In the order in which they were published. */
  documents: DocumentRecord[];
  subscriptions: SubscriptionRecord[];
}

/** Keeps what must outlive the process in one journal. */
export interface Store {
  load(): Promise<Kept>;
  saveBinding(record: BindingRecord): void;
  dropBinding(aor: string, key: string): void;
  /** `tag`: only its tag, its expiry or what is shown of it changed, so the document is not written again. */
  saveDocument(record: DocumentRecord, what: 'document' | 'tag'): void;
  dropDocument(id: number): void;
  saveSubscription(record: SubscriptionRecord): void;
  dropSubscription(id: string): void;
  /** Writes what waits, and closes the file. */
  close(): Promise<void>;
  /** Why nothing can be written at present. */
  readonly failure: Error | undefined;
  counts(): Record<string, number>;
}

type Stored<Record> = Omit<Record, 'expiresAt'> & { readonly end: StoredDeadline };

type Entry =
  | ({ readonly k: 'bind' } & Stored<BindingRecord>)
  | { readonly k: 'unbind'; readonly aor: string; readonly key: string }
  | ({ readonly k: 'doc' } & Stored<DocumentRecord>)
  | ({ readonly k: 'tag' } & Pick<DocumentRecord, 'id' | 'tag' | 'closed'> & { readonly end: StoredDeadline })
  | { readonly k: 'undoc'; readonly id: number }
  | ({ readonly k: 'sub' } & Stored<SubscriptionRecord>)
  | { readonly k: 'unsub'; readonly id: string };

/** The journal is written anew when it is longer than this (and than twice what it has to hold). */
const MAX_BYTES = 1024 * 1024;

export const JOURNAL_NAME = 'edge.journal';

export function createStore(
  deps: { clock: Clock; files: Files; log: Log },
  options: {
    directory: string;
    durable: boolean;
    bytesPerDay: number | undefined;
    maxBytes?: number;
    bindings: () => Iterable<BindingRecord>;
    documents: () => Iterable<DocumentRecord>;
  },
): Store {
  const { clock, files, log } = deps;
  const subscriptions = new Map<string, SubscriptionRecord>();
  // Documents whose change is not written yet, since large or frequent writes wait for the pace.
  const waiting = new Map<number, { record: DocumentRecord; what: 'document' | 'tag' }>();
  const written = new Set<number>();
  const pace = createPace(clock, options.bytesPerDay);
  let timer: Timer | undefined;
  let checking: Promise<void> | undefined;
  let failure: Error | undefined;
  let spent = 0;

  const stored = <Record extends { readonly expiresAt: number }>(record: Record): Stored<Record> => {
    const { expiresAt, ...rest } = record;
    return { ...rest, end: storeDeadline(clock, expiresAt) };
  };

  const journal = createJournal<Entry>(
    { files, log },
    {
      path: join(options.directory, JOURNAL_NAME),
      sync: options.durable,
      maxBytes: options.maxBytes ?? MAX_BYTES,
      *snapshot() {
        for (const record of options.bindings()) yield { k: 'bind', ...stored(record) };
        for (const record of options.documents()) yield { k: 'doc', ...stored(record) };
        for (const record of subscriptions.values()) yield { k: 'sub', ...stored(record) };
      },
    },
  );

  const append = (entry: Entry): void => {
    journal.append(entry);
    checking ??= settle();
  };

  const settle = async (): Promise<void> => {
    try {
      await journal.flush();
      failure = undefined;
    } catch (error) {
      failure = asError(error);
    }
    checking = undefined;
    const { bytes } = journal.counts();
    pace.spend(bytes - spent);
    spent = bytes;
  };

  const release = (): void => {
    timer?.cancel();
    timer = undefined;
    for (const { record, what } of waiting.values()) {
      if (what === 'tag' && written.has(record.id))
        append({
          k: 'tag',
          id: record.id,
          tag: record.tag,
          ...(record.closed && { closed: record.closed }),
          end: storeDeadline(clock, record.expiresAt),
        });
      else append({ k: 'doc', ...stored(record) });
      written.add(record.id);
    }
    waiting.clear();
  };

  return {
    async load() {
      const bindings = new Map<string, BindingRecord>();
      const documents = new Map<number, DocumentRecord>();
      let entries: Entry[] = [];
      try {
        entries = await journal.load();
      } catch (error) {
        failure = asError(error);
        log.error('edge data cannot be read', { cause: failure });
      }
      for (const entry of entries) {
        try {
          replay(entry);
        } catch {
          log.warn('edge data has an entry that makes no sense, left out', { kind: entry?.k });
        }
      }
      for (const id of documents.keys()) written.add(id);
      return {
        bindings: [...bindings.values()],
        documents: [...documents.values()].sort((a, b) => a.order - b.order),
        subscriptions: [...subscriptions.values()],
      };

      function replay(entry: Entry): void {
        switch (entry.k) {
          case 'bind':
            bindings.set(`${entry.aor} ${entry.key}`, loaded(entry));
            break;
          case 'unbind':
            bindings.delete(`${entry.aor} ${entry.key}`);
            break;
          case 'doc':
            documents.set(entry.id, loaded(entry));
            break;
          case 'tag': {
            const document = documents.get(entry.id);
            if (document)
              documents.set(entry.id, {
                ...document,
                tag: entry.tag,
                ...(entry.closed && { closed: entry.closed }),
                expiresAt: loadDeadline(clock, entry.end),
              });
            break;
          }
          case 'undoc':
            documents.delete(entry.id);
            break;
          case 'sub':
            subscriptions.set(entry.id, loaded(entry));
            break;
          case 'unsub':
            subscriptions.delete(entry.id);
            break;
          default:
            entry satisfies never;
        }
      }

      function loaded<Record extends object>(entry: Record & { k: string; end: StoredDeadline }) {
        const { k: _kind, end, ...rest } = entry;
        return { ...rest, expiresAt: loadDeadline(clock, end) };
      }
    },
    saveBinding: (record) => append({ k: 'bind', ...stored(record) }),
    dropBinding: (aor, key) => append({ k: 'unbind', aor, key }),
    saveDocument(record, what) {
      const before = waiting.get(record.id)?.what;
      waiting.set(record.id, { record, what: before === 'document' ? 'document' : what });
      if (timer) return;
      const wait = pace.wait();
      if (wait === 0) release();
      else timer = clock.after(wait, release);
    },
    dropDocument(id) {
      waiting.delete(id);
      if (written.delete(id)) append({ k: 'undoc', id });
    },
    saveSubscription(record) {
      subscriptions.set(record.id, record);
      append({ k: 'sub', ...stored(record) });
    },
    dropSubscription(id) {
      if (subscriptions.delete(id)) append({ k: 'unsub', id });
    },
    async close() {
      release();
      await checking;
      await journal.close().catch((error: unknown) => {
        failure = asError(error);
      });
    },
    get failure() {
      return failure;
    },
    counts: () => {
      const { bytes, failures, damaged } = journal.counts();
      return { bytes, failures, damaged, waiting: waiting.size };
    },
  };
}

/** For an edge that was given no directory: nothing outlives it. */
export function createNoStore(): Store {
  const nothing = (): void => {};
  return {
    load: async () => ({ bindings: [], documents: [], subscriptions: [] }),
    saveBinding: nothing,
    dropBinding: nothing,
    saveDocument: nothing,
    dropDocument: nothing,
    saveSubscription: nothing,
    dropSubscription: nothing,
    close: async () => {},
    failure: undefined,
    counts: () => ({}),
  };
}
