import { dirname } from 'node:path';
import { asError } from './errors.ts';
import { type FileHandle, type Files, writeFileAtomic } from './file.ts';
import type { Log } from './log.ts';

export interface JournalOptions<Entry> {
  path: string;
  /** Whether each write is flushed to the medium: yes for what must outlive a power cut, no for a run-time directory. */
  sync: boolean;
  /** When the file is longer than this, it is written anew from `snapshot`; in bytes. */
  maxBytes: number;
  /** The entries that make up the state now: what a compacted journal holds. */
  snapshot(): Iterable<Entry>;
  /** Permission bits of the file. */
  mode?: number;
}

/**
 * An append-only file of JSON lines: what a part must remember when it is killed. Entries appended in one turn go out
 * in one write. A last line cut short by a kill is left out when read again.
 */
export interface Journal<Entry> {
  /** Reads what an earlier run left behind, oldest first. To be called once, before the first `append`. */
  load(): Promise<Entry[]>;
  append(entry: Entry): void;
  /** Resolves when all that was appended is written (and flushed, with `sync`). Rejects when it could not be. */
  flush(): Promise<void>;
  /** Flushes and closes the file. */
  close(): Promise<void>;
  /** Bytes written since it was opened, and failed writes. */
  counts(): { bytes: number; failures: number; damaged: number };
}

/** How much larger than its content a journal must be before writing it anew is worth it. */
const COMPACT_FACTOR = 2;

export function createJournal<Entry>(
  deps: { files: Files; log: Log },
  options: JournalOptions<Entry>,
): Journal<Entry> {
  const { files, log } = deps;
  const { path, sync, maxBytes, snapshot, mode = 0o640 } = options;
  let handle: FileHandle | undefined;
  let size = 0;
  let compactAt = maxBytes;
  let queue: string[] = [];
  let writing: Promise<void> | undefined;
  let failure: Error | undefined;
  const counts = { bytes: 0, failures: 0, damaged: 0 };

  const drain = async (): Promise<void> => {
    while (queue.length > 0) {
      const lines = queue;
      queue = [];
      try {
        await write(Buffer.from(lines.join('')));
        if (failure) log.info('journal is written again', { path });
        failure = undefined;
      } catch (error) {
        // What was not written is part of the state, so the next write makes the whole file anew and nothing is lost.
        counts.failures += 1;
        if (!failure) log.error('journal cannot be written', { path, cause: asError(error) });
        failure = asError(error);
        await abandon();
      }
    }
  };

  const write = async (bytes: Buffer): Promise<void> => {
    if (!handle || size + bytes.length > compactAt) return rewrite();
    await handle.write(bytes);
    if (sync) await handle.sync();
    size += bytes.length;
    counts.bytes += bytes.length;
  };

  const rewrite = async (): Promise<void> => {
    await abandon();
    // The snapshot is taken here, so it holds everything that was queued up to now.
    queue = [];
    const whole = Buffer.from(Array.from(snapshot(), toLine).join(''));
    await files.makeDirectory(dirname(path));
    await writeFileAtomic(files, path, whole, mode);
    handle = await files.open(path, 'a', mode);
    size = whole.length;
    counts.bytes += whole.length;
    compactAt = Math.max(maxBytes, size * COMPACT_FACTOR);
  };

  const abandon = async (): Promise<void> => {
    const old = handle;
    handle = undefined;
    await old?.close().catch(() => {
      // It is given up for being broken; the error that matters was told before.
    });
  };

  return {
    async load() {
      const stat = await files.stat(path);
      if (!stat) return [];
      const text = (await files.read(path)).toString('utf8');
      const entries: Entry[] = [];
      for (const line of text.split('\n')) {
        if (line === '') continue;
        try {
          entries.push(JSON.parse(line) as Entry);
        } catch {
          counts.damaged += 1;
        }
      }
      if (counts.damaged > 0)
        log.warn('journal had damaged lines, left out', { path, lines: counts.damaged });
      // A line cut short stays in the file until the first append, which then writes the whole file anew.
      if (counts.damaged === 0 && (text === '' || text.endsWith('\n'))) {
        handle = await files.open(path, 'a', mode);
        size = stat.size;
        compactAt = Math.max(maxBytes, size);
      }
      return entries;
    },
    append(entry) {
      queue.push(toLine(entry));
      writing ??= Promise.resolve()
        .then(drain)
        .finally(() => {
          writing = undefined;
        });
    },
    async flush() {
      while (writing) await writing;
      if (failure) throw failure;
    },
    async close() {
      while (writing) await writing;
      await abandon();
      if (failure) throw failure;
    },
    counts: () => ({ ...counts }),
  };
}

function toLine(entry: unknown): string {
  return `${JSON.stringify(entry)}\n`;
}
