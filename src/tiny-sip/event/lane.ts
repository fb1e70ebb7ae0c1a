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
  readonly waiting: number;
  readonly busy: boolean;
}

const ranks: readonly LaneRank[] = ['remove', 'change', 'refresh'];

/** A lane for one Request-URI, shared by all that publish to it. */
export function createLane(): Lane {
  const queues = {
    remove: new Map<object, () => Promise<void>>(),
    change: new Map<object, () => Promise<void>>(),
    refresh: new Map<object, () => Promise<void>>(),
  };
  let busy = false;

  const next = (): void => {
    if (busy) return;
    for (const rank of ranks) {
      for (const [key, run] of queues[rank]) {
        queues[rank].delete(key);
        busy = true;
        // A microtask later, so that entering never runs anything by itself.
        Promise.resolve()
          .then(run)
          .catch(() => undefined)
          .finally(() => {
            busy = false;
            next();
          });
        return;
      }
    }
  };

  return {
    enter(key, rank, run) {
      const queued = ranks.find((one) => queues[one].has(key));
      if (queued !== undefined && ranks.indexOf(queued) <= ranks.indexOf(rank)) return;
      if (queued !== undefined) queues[queued].delete(key);
      queues[rank].set(key, run);
      next();
    },
    leave(key) {
      for (const rank of ranks) queues[rank].delete(key);
    },
    get waiting() {
      return queues.remove.size + queues.change.size + queues.refresh.size;
    },
    get busy() {
      return busy;
    },
  };
}
