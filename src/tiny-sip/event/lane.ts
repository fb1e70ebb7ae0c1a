/** Order in which waiting work leaves a lane: what takes state away first, refreshes last. */
export type LaneRank = 'remove' | 'change' | 'refresh';

/** Lets one piece of work run at a time (RFC 3903 §4: one PUBLISH outstanding per Request-URI). */
export interface Lane {
  /**
   * Queues work; it is called when its turn comes and holds the lane until its promise settles.
   * Entering twice with one key before it started keeps one entry, at the more urgent rank of the two.
   */
  enter(key: object, rank: LaneRank, run: () => Promise<void>): void;
  /** Takes waiting work back. Work that already runs is not touched. */
  leave(key: object): void;
  readonly waiting: number;
  readonly busy: boolean;
}

export declare function createLane(): Lane;
