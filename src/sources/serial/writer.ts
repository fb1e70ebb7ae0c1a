import type { Clock } from '../../base/clock.ts';
import { asError, type CodedError } from '../../base/errors.ts';
import { formatSpan } from '../../device/template.ts';
import { sourceErrors } from '../errors.ts';
import { bounded, type WriteTarget } from '../write.ts';

/** How many frames may wait for their turn. */
const MAX_WAITING = 16;

/** Writes frames to a port, one at a time, each within a time limit. */
export interface Writer {
  /**
   * @throws CodedError SRC_WRITES_FULL, SRC_WRITE_TIMEOUT, SRC_WRITE_FAILED, or what the port was lost for; the reason
   * of `abort` when it was given up before its turn
   */
  write(target: WriteTarget, bytes: Buffer, abort: AbortSignal): Promise<void>;
  /** Takes no more; what waits may still go out, until the deadline (monotonic milliseconds). */
  finish(deadline: number): Promise<void>;
  /** The port is lost: nothing waits any longer. */
  stop(error: CodedError): void;
}

export function createWriter(
  deps: { clock: Clock; write: (bytes: Buffer) => Promise<void> },
  options: {
    source: string;
    /** Milliseconds that a frame may take from when it is asked for. */
    limit: number;
    /** The port took no bytes for that long. */
    stuck: (limit: number) => void;
  },
): Writer {
  const { clock } = deps;
  const { limit } = options;
  const lost = new AbortController();
  let last: Promise<void> = Promise.resolve();
  let waiting = 0;
  let finished = false;

  return {
    async write(target, bytes, abort) {
      if (finished) throw sourceErrors.NOT_UP({ source: options.source, cause: 'stopped' });
      if (waiting >= MAX_WAITING) throw sourceErrors.WRITES_FULL({ source: options.source, count: waiting });
      waiting += 1;
      let sent = false;
      let given = false;
      const frame = last.then(async () => {
        if (given || abort.aborted || lost.signal.aborted) return;
        sent = true;
        await deps.write(bytes);
      });
      last = frame.catch(() => {
        // It is the trouble of whoever waits for that frame; the next one finds out for itself.
      });
      const { device, signal } = target;
      try {
        await bounded(
          frame,
          clock,
          limit,
          () => sourceErrors.WRITE_TIMEOUT({ device, signal, limit: formatSpan(limit) }),
          AbortSignal.any([abort, lost.signal]),
        );
      } catch (error) {
        given = true;
        if (abort.aborted || lost.signal.aborted) throw error;
        if (!sourceErrors.WRITE_TIMEOUT.is(error))
          throw sourceErrors.WRITE_FAILED({ device, signal, cause: asError(error).message }, error);
        // With a frame stuck in it the port can take no other.
        if (sent) options.stuck(limit);
        throw error;
      } finally {
        waiting -= 1;
      }
    },
    async finish(deadline) {
      const over = sourceErrors.NOT_UP({ source: options.source, cause: 'stopped' });
      finished = true;
      if (waiting > 0) {
        await bounded(last, clock, Math.max(0, deadline - clock.now()), () => over).catch(() => {
          // It had its time.
        });
      }
      lost.abort(over);
    },
    stop: (error) => lost.abort(error),
  };
}
