import { join } from 'node:path';
import type { Clock } from '../base/clock.ts';
import type { Files } from '../base/file.ts';
import { createJournal } from '../base/journal.ts';
import type { Log } from '../base/log.ts';

/** What a server was found to do with publications. */
export type Strategy = 'diff' | 'segments' | 'full';

export interface StoredTag {
  readonly tag: string;
  /** Monotonic milliseconds. */
  readonly expiresAt: number;
}

/**
 * What the agent must know again after a kill: the entity-tags of its publications and what it learnt of its servers.
 * It changes with every refresh, so it belongs into a run-time directory, which is memory (a power cut then leads to an
 * initial publication with the same ids).
 */
export interface AgentState {
  /** Reads what an earlier run left. To be called once, first. */
  open(): Promise<void>;
  /** A publication's tag by its key: AOR and what it is of. */
  tag(key: string): StoredTag | undefined;
  setTag(key: string, stored: StoredTag | undefined): void;
  /** Keys of all tags that begin so. */
  tags(prefix: string): string[];
  learnt(server: string): Strategy | undefined;
  setLearnt(server: string, strategy: Strategy | undefined): void;
  close(): Promise<void>;
}

/** One line: a tag (`p`, without `t` it is gone) or a server (`s`, without `l` it is to be asked again). */
type Entry =
  /** `e`: milliseconds since 1970, null where the wall clock was not set. */
  | { readonly p: string; readonly t?: string; readonly e?: number | null }
  | { readonly s: string; readonly l?: Strategy };

/** The file is written anew when it is longer than this, in bytes. */
const MAX_BYTES = 262_144;

/**
 * A tag whose end lies this far back is not tried any more; one that ended a moment ago may still be alive at a server
 * with another clock, and asking costs one 412. Milliseconds.
 */
const GRACE = 60_000;

/** What a tag of unknown age is taken to have left, in milliseconds. */
const UNKNOWN_REST = 60_000;

export function createAgentState(
  deps: { files: Files; log: Log; clock: Clock },
  options: { readonly directory: string },
): AgentState {
  const { clock } = deps;
  const tags = new Map<string, { tag: string; end: number | null; expiresAt: number }>();
  const servers = new Map<string, Strategy>();

  const journal = createJournal<Entry>(deps, {
    path: join(options.directory, 'agent.journal'),
    sync: false,
    maxBytes: MAX_BYTES,
    *snapshot() {
      for (const [p, { tag, end }] of tags) yield { p, t: tag, e: end };
      for (const [s, l] of servers) yield { s, l };
    },
  });

  const take = (entry: Entry): void => {
    if ('s' in entry) {
      if (entry.l) servers.set(entry.s, entry.l);
      else servers.delete(entry.s);
      return;
    }
    if (entry.t === undefined) {
      tags.delete(entry.p);
      return;
    }
    const end = entry.e ?? null;
    const wall = clock.wall();
    // Monotonic time does not survive the process, so the end is kept on the wall clock, which may be unset or wrong:
    // in doubt the tag is tried.
    const rest = end === null || wall === undefined ? UNKNOWN_REST : end - wall;
    if (rest < -GRACE) tags.delete(entry.p);
    else tags.set(entry.p, { tag: entry.t, end, expiresAt: clock.now() + Math.max(rest, 1_000) });
  };

  return {
    async open() {
      for (const entry of await journal.load()) if (isEntry(entry)) take(entry);
    },
    tag(key) {
      const stored = tags.get(key);
      return stored && { tag: stored.tag, expiresAt: stored.expiresAt };
    },
    setTag(key, stored) {
      if (!stored) {
        if (tags.delete(key)) journal.append({ p: key });
        return;
      }
      const wall = clock.wall();
      const end = wall === undefined ? null : Math.round(wall + stored.expiresAt - clock.now());
      tags.set(key, { ...stored, end });
      journal.append({ p: key, t: stored.tag, e: end });
    },
    tags: (prefix) => [...tags.keys()].filter((key) => key.startsWith(prefix)),
    learnt: (server) => servers.get(server),
    setLearnt(server, strategy) {
      if (servers.get(server) === strategy) return;
      if (strategy) servers.set(server, strategy);
      else servers.delete(server);
      journal.append({ s: server, ...(strategy && { l: strategy }) });
    },
    close: () => journal.close(),
  };
}

function isEntry(entry: unknown): entry is Entry {
  if (typeof entry !== 'object' || entry === null) return false;
  return ('p' in entry && typeof entry.p === 'string') || ('s' in entry && typeof entry.s === 'string');
}
