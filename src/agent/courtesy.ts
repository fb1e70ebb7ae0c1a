import type { Clock } from '../base/clock.ts';

/** Decides whether talk that is no command gets an answer. */
export interface Courtesy {
  /** Whether to answer this sender now; when so, it counts as answered. */
  may(sender: string): boolean;
  /** The same for what began like a command and is none: people mistype more often than once a minute. */
  mayCorrect(sender: string): boolean;
  /** The sender sent a command: a person, or a program that means it. */
  commanded(sender: string): void;
}

/** RFC 3428 leaves it open; one answer a minute tells a person enough. Milliseconds. */
const INTERVAL = 60_000;
/** Whoever never sends a command after so many answers is a machine, and left alone for `SILENCE` milliseconds. */
const MOST = 3;
const SILENCE = 3_600_000;
/** Mistyped commands that are answered within `INTERVAL`; a machine whose every text begins with a verb stops there. */
const CORRECTIONS = 3;
/** Senders remembered; the one silent longest is forgotten. */
const REMEMBERED = 256;

/**
 * Keeps two machines from talking for ever: talk is answered at most once a minute for each sender, and not at all any
 * more for a while when no command ever follows.
 */
export function createCourtesy(clock: Clock): Courtesy {
  const senders = new Map<string, { at: number; count: number }>();
  const mistyped = new Map<string, { at: number; count: number }>();
  return {
    may(sender) {
      const now = clock.now();
      const known = senders.get(sender);
      if (known) {
        const rest = known.count >= MOST ? SILENCE : INTERVAL;
        if (now - known.at < rest) return false;
        if (known.count >= MOST) known.count = 0;
      }
      remember(senders, sender, { at: now, count: (known?.count ?? 0) + 1 });
      return true;
    },
    mayCorrect(sender) {
      const now = clock.now();
      const known = mistyped.get(sender);
      const current = known && now - known.at < INTERVAL ? known : { at: now, count: 0 };
      if (current.count >= CORRECTIONS) return false;
      remember(mistyped, sender, { at: current.at, count: current.count + 1 });
      return true;
    },
    commanded(sender) {
      const known = senders.get(sender);
      if (known) known.count = 0;
    },
  };
}

function remember<Entry>(senders: Map<string, Entry>, sender: string, entry: Entry): void {
  senders.delete(sender);
  senders.set(sender, entry);
  if (senders.size <= REMEMBERED) return;
  const [oldest] = senders.keys();
  if (oldest !== undefined) senders.delete(oldest);
}
