/** Order in which waiting work leaves a lane: what takes state away first, refreshes last. */
export type LaneRank = 'remove' | 'change' | 'refresh';

/** Lets one piece of work run at a time (RFC 3903 §4: one PUBLISH outstanding per Request-URI). */
export interface Lane {
  /**
   * Queues work; it is called when its turn comes and holds the lane until its promise settles.
   * Entering again with the same key before it started keeps one entry, at the more urgent rank of the two.
   */
  enter(key: object, rank: LaneRank, run: () => Promise<void>): void;
  /** Takes waiting work back. Work that already runs is not touched. */
  leave(key: object): void;
  /** Pieces of work that wait for their turn. */
  readonly waiting: number;
  /** One runs now. */
  readonly busy: boolean;
}

interface Waiting {
  readonly key: object;
  readonly rank: number;
  readonly run: () => Promise<void>;
}

const ranks: readonly LaneRank[] = ['remove', 'change', 'refresh'];

/** A lane for one Request-URI, shared by all that publish to it. */
export function createLane(): Lane {
  /** By rank, and within a rank by arrival: the next is the first. */
  const queue: Waiting[] = [];
  let busy = false;

  const next = (): void => {
    const first = busy ? undefined : queue.shift();
    if (first === undefined) return;
    busy = true;
    // A microtask later, so that entering never runs anything by itself.
    Promise.resolve()
      .then(first.run)
      .catch(() => undefined)
      .finally(() => {
        busy = false;
        next();
      });
  };

  const leave = (key: object): void => {
    const at = queue.findIndex((one) => one.key === key);
    if (at >= 0) queue.splice(at, 1);
  };

  return {
    enter(key, name, run) {
      const rank = ranks.indexOf(name);
      const queued = queue.find((one) => one.key === key);
      if (queued !== undefined && queued.rank <= rank) return;
      leave(key);
      const behind = queue.findIndex((one) => one.rank > rank);
      queue.splice(behind < 0 ? queue.length : behind, 0, { key, rank, run });
      next();
    },
    leave,
    get waiting() {
      return queue.length;
    },
    get busy() {
      return busy;
    },
  };
}
