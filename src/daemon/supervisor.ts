import type { Clock } from '../base/clock.ts';
import { asError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Health, Part } from '../base/part.ts';

/** A part with the name that logs and status call it by. */
export interface NamedPart {
  readonly name: string;
  readonly part: Pick<Part, 'start' | 'stop' | 'health'>;
}

export interface Supervisor {
  /** Starts all parts in order. When one cannot start, those before it are stopped again and its error is thrown. */
  start(abort: AbortSignal): Promise<void>;
  /** Stops all parts that run, in the opposite order, each until `deadline` at the latest. */
  stop(deadline: number): Promise<void>;
  health(): ReadonlyMap<string, Health>;
}

/** Starts and stops parts in order; one that cannot stop in time does not keep the others from stopping. */
export function createSupervisor(deps: { clock: Clock; log: Log }, parts: readonly NamedPart[]): Supervisor {
  const { clock, log } = deps;
  let running: NamedPart[] = [];

  const stopAll = async (deadline: number): Promise<void> => {
    const stopping = running;
    running = [];
    for (const one of stopping.reverse()) {
      const done = await inTime(clock, deadline, one.part.stop(deadline)).catch((error: unknown) => {
        log.error('part failed while stopping', { part: one.name, cause: asError(error) });
        return true;
      });
      if (!done) log.warn('part did not stop in time', { part: one.name });
    }
  };

  return {
    async start(abort) {
      for (const one of parts) {
        if (abort.aborted) return;
        // Counted as running before it is: a start that is cut short must be cleaned up as well.
        running.push(one);
        try {
          await one.part.start(abort);
        } catch (error) {
          await stopAll(clock.now() + STOP_AFTER_FAILURE);
          throw error;
        }
      }
    },
    stop: stopAll,
    health: () => new Map(parts.map(({ name, part }) => [name, part.health()])),
  };
}

/** How long parts that did start may take to stop when a later one could not start; milliseconds. */
const STOP_AFTER_FAILURE = 3_000;

async function inTime(clock: Clock, deadline: number, work: Promise<void>): Promise<boolean> {
  let cancel = (): void => {};
  const late = new Promise<boolean>((resolve) => {
    const timer = clock.after(Math.max(0, deadline - clock.now()), () => resolve(false));
    cancel = () => timer.cancel();
  });
  try {
    return await Promise.race([work.then(() => true), late]);
  } finally {
    cancel();
  }
}
