import { createHash } from 'node:crypto';
import type { Files } from '../base/file.ts';
import { createJournal } from '../base/journal.ts';
import type { Log } from '../base/log.ts';

export interface ReplayOptions {
  /** Where the keys are kept; it must outlive a power cut. */
  readonly path: string;
  /** Keys remembered for each sender; the oldest are forgotten. Default 500. */
  readonly perSender?: number | undefined;
  /** Senders remembered; the one silent longest is forgotten. Default 256. */
  readonly senders?: number | undefined;
  /** When the file is written anew, in bytes. Default 65,536. */
  readonly maxBytes?: number | undefined;
}

/** What makes one MESSAGE the same as another. */
export interface MessageIdentity {
  readonly callId: string;
  readonly cseq: number;
  readonly fromTag: string | undefined;
  /** imdn.Message-ID (RFC 5438 §6.3), where the message has one: the same text sent anew keeps it. */
  readonly messageId?: string | undefined;
}

/**
 * Remembers which commands were taken, so that none is taken twice: not for a copy of the MESSAGE, not after a
 * restart, not after a power cut.
 */
export interface ReplayGuard {
  /** Reads what an earlier run left. To be called once, first. */
  open(): Promise<void>;
  /**
   * Takes a message for this sender, unless it was taken before. The promise resolves when that is on the medium;
   * it rejects when it cannot be written, and then nothing may be executed.
   */
  claim(sender: string, message: MessageIdentity): 'seen' | Promise<void>;
  close(): Promise<void>;
  counts(): { keys: number; senders: number; bytes: number; failures: number };
}

/** One line of the journal: sender and key, both shortened. */
interface Entry {
  readonly s: string;
  readonly k: string;
}

/** 96 bits are beyond any chance of two alike. */
const KEY_CHARS = 16;

/** A replay guard over a journal in `path`. */
export function createReplayGuard(deps: { files: Files; log: Log }, options: ReplayOptions): ReplayGuard {
  const { path, perSender = 500, senders: mostSenders = 256, maxBytes = 65_536 } = options;
  const senders = new Map<string, Set<string>>();

  const remember = (sender: string, key: string): void => {
    const keys = senders.get(sender) ?? new Set<string>();
    // Put last again: the map's order tells who was silent longest.
    senders.delete(sender);
    senders.set(sender, keys);
    keys.add(key);
    forgetOldest(keys, perSender);
    forgetOldest(senders, mostSenders);
  };

  const journal = createJournal<Entry>(deps, {
    path,
    sync: true,
    maxBytes,
    *snapshot() {
      for (const [s, keys] of senders) for (const k of keys) yield { s, k };
    },
  });

  return {
    async open() {
      for (const entry of await journal.load())
        if (typeof entry?.s === 'string' && typeof entry.k === 'string') remember(entry.s, entry.k);
    },
    claim(sender, message) {
      const s = shorten(sender);
      // S36: a Call-ID alone is no key: clients send a whole conversation under one.
      const keys = [shorten(`c\0${message.callId}\0${message.cseq}\0${message.fromTag ?? ''}`)];
      if (message.messageId !== undefined) keys.push(shorten(`m\0${message.messageId}`));
      const known = senders.get(s);
      if (known && keys.some((k) => known.has(k))) return 'seen';
      for (const k of keys) {
        remember(s, k);
        journal.append({ s, k });
      }
      return journal.flush();
    },
    close: () => journal.close(),
    counts() {
      const { bytes, failures } = journal.counts();
      let keys = 0;
      for (const own of senders.values()) keys += own.size;
      return { keys, senders: senders.size, bytes, failures };
    },
  };
}

function shorten(text: string): string {
  return createHash('sha256').update(text).digest('base64url').slice(0, KEY_CHARS);
}

function forgetOldest(collection: Set<string> | Map<string, unknown>, most: number): void {
  while (collection.size > most) {
    const [oldest] = collection.keys();
    if (oldest === undefined) return;
    collection.delete(oldest);
  }
}
