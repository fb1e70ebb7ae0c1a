import type { CodedError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Health } from '../base/part.ts';
import type { SourceSink } from '../device/reading.ts';

/**
 * How a source stands with its peer, told to the devices and to the log when it changes: however often a broker
 * refuses or a port is missing, each kind of trouble is one line per outage.
 */
export interface Link {
  readonly up: boolean;
  /** What keeps it down; undefined while it is up or has not tried yet. */
  readonly error: CodedError | undefined;
  toUp(): void;
  toDown(error: CodedError): void;
  /** It works, but not all of it: `error` says what does not; undefined takes that back. */
  toDegraded(error: CodedError | undefined): void;
  health(): Health;
}

/** @param name what the peer is called in the log, such as `port /dev/ttyUSB0` */
export function createLink(
  deps: { log: Log; sink: SourceSink },
  options: { source: string; name: string },
): Link {
  const { log, sink } = deps;
  const { source, name } = options;
  let up = false;
  let error: CodedError | undefined;
  let degraded: CodedError | undefined;
  /** The kinds of trouble of this outage. */
  const told = new Set<string>();

  sink.state({ source, state: 'starting' });

  return {
    get up() {
      return up;
    },
    get error() {
      return error;
    },
    toUp() {
      if (up) return;
      up = true;
      error = undefined;
      told.clear();
      log.info('up', { peer: name });
      sink.state({ source, state: 'up' });
    },
    toDown(cause) {
      const fields = { peer: name, code: cause.code, cause: cause.message, remedy: cause.remedy };
      if (told.has(cause.code)) log.debug('still down', fields);
      else log.warn('down', fields);
      told.add(cause.code);
      const news = up || error?.code !== cause.code;
      up = false;
      error = cause;
      degraded = undefined;
      if (news) sink.state({ source, state: 'down', code: cause.code, cause: cause.message });
    },
    toDegraded(cause) {
      if (cause && cause.code !== degraded?.code)
        log.warn('works in part', {
          peer: name,
          code: cause.code,
          cause: cause.message,
          remedy: cause.remedy,
        });
      degraded = cause;
    },
    health() {
      if (!up) {
        return error
          ? { state: 'down', code: error.code, detail: error.message }
          : { state: 'down', detail: `${name} is not up yet` };
      }
      return degraded
        ? { state: 'degraded', code: degraded.code, detail: degraded.message }
        : { state: 'ok' };
    },
  };
}
