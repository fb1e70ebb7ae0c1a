/** How a part is. `degraded`: it works, not fully. `down`: it does nothing useful now; it keeps trying. */
export interface Health {
  state: 'ok' | 'degraded' | 'down';
  /** Code of the error behind it, as the manual lists them. */
  code?: string;
  /** One line for people. */
  detail?: string;
}

/**
 * Anything that the supervisor starts and stops. A part never ends the process: what goes wrong after `start` is its
 * state, told by `health`, and it tries again by itself.
 */
export interface Part<Options = never> {
  /** Resolves when the part runs, which does not mean that its peer is there. Rejects only for what a retry cannot mend. */
  start(abort: AbortSignal): Promise<void>;
  /** Ends it cleanly, by `deadline` (monotonic milliseconds) at the latest. */
  stop(deadline: number): Promise<void>;
  /** Takes new options while running, or says that only a restart can. */
  update?(options: Options): 'applied' | 'restart';
  health(): Health;
}
