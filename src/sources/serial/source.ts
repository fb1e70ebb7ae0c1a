import { isDeepStrictEqual } from 'node:util';
import { type Backoff, createBackoff } from '../../base/backoff.ts';
import type { Clock, Timer } from '../../base/clock.ts';
import { asError, type CodedError } from '../../base/errors.ts';
import type { FileStat, Files } from '../../base/file.ts';
import type { Log } from '../../base/log.ts';
import type { Part } from '../../base/part.ts';
import type { Random } from '../../base/random.ts';
import type { Actuator, SourceSink } from '../../device/reading.ts';
import { formatSpan } from '../../device/template.ts';
import { sourceErrors } from '../errors.ts';
import { createLink } from '../link.ts';
import { type BoardCounts, createBoard } from './board.ts';
import { explainOpenError, type Identity, missingPort } from './explain.ts';
import { createLines, type Lines } from './lines.ts';
import type { SerialSourceOptions } from './options.ts';
import { type OpenPort, openSystemPort, type PortHandle } from './port.ts';
import { createWriter, type Writer } from './writer.ts';

/** The longest line that is looked at, in bytes. */
const MAX_LINE = 1_024;
const WRITE_TIMEOUT = 5_000;
/**
 * How often the device node is looked at. A port that was pulled out may keep its descriptor quiet until somebody
 * writes, so the node is what tells; it also tells within this time that it is back.
 */
const LOOK = 2_000;
/** How long closing a port may take before it is left to itself. */
const CLOSE_LIMIT = 1_000;

export type SerialCounts = Readonly<BoardCounts> & {
  readonly opens: number;
  readonly losses: number;
  readonly bytes: number;
  /** Lines dropped for their length. */
  readonly overlong: number;
  readonly writes: number;
};

export interface SerialSource extends Part<SerialSourceOptions>, Actuator {
  counts(): SerialCounts;
}

/**
 * Reads signals from the lines of a serial port, and writes them as lines. A port that is not there is a state, not
 * an error: its node is looked at every two seconds, and it is opened when it comes.
 * @throws CodedError SRC_BAD_PATTERN
 */
export function createSerialSource(
  deps: { clock: Clock; log: Log; random: Random; files: Files; open?: OpenPort; identity?: Identity },
  options: SerialSourceOptions,
  sink: SourceSink,
): SerialSource {
  const { clock, log, files, random } = deps;
  const { port: path, id } = options;
  const open = deps.open ?? openSystemPort;
  const identity = deps.identity ?? processIdentity();
  const counts = {
    opens: 0,
    losses: 0,
    bytes: 0,
    overlong: 0,
    writes: 0,
    lines: 0,
    readings: 0,
    unmatched: 0,
  };
  let current = options;
  let board = createBoard({ clock, log, counts }, options.bindings);
  let handle: PortHandle | undefined;
  let writer: Writer | undefined;
  /** The node as it was when it was opened, or when opening it failed last. */
  let known: string | undefined;
  let opening = false;
  let stopping = false;
  let heardAt = 0;
  let look: Timer | undefined;
  let retryAt = 0;
  let backoff: Backoff = createBackoff({ clock, random });
  /** Told apart from events of a port that was given up. */
  let generation = 0;
  const link = createLink({ log, sink }, { source: id, name: `port ${path}` });

  const attempt = async (node: FileStat): Promise<void> => {
    opening = true;
    known = signature(node);
    generation += 1;
    const mine = generation;
    const lines: Lines = createLines(options.maxLine ?? MAX_LINE, (line) => {
      const readings = board.read(line, clock.now());
      if (readings.length > 0) sink.readings(readings);
    });
    try {
      const opened = await open(path, options, {
        data(chunk) {
          if (mine !== generation) return;
          heardAt = clock.now();
          counts.bytes += chunk.length;
          const before = lines.overlong;
          lines.push(chunk);
          counts.overlong += lines.overlong - before;
        },
        closed(error) {
          if (mine === generation) lose(sourceErrors.PORT_GONE({ port: path, cause: causeOf(error) }, error));
        },
      });
      opening = false;
      if (stopping || mine !== generation) {
        await closeQuietly(opened);
        return;
      }
      handle = opened;
      heardAt = clock.now();
      counts.opens += 1;
      writer = createWriter(
        { clock, write: (bytes) => opened.write(bytes) },
        {
          source: id,
          limit: options.writeTimeout ?? WRITE_TIMEOUT,
          stuck: (limit) => {
            if (mine === generation) lose(sourceErrors.PORT_STUCK({ port: path, limit: formatSpan(limit) }));
          },
        },
      );
      link.toUp();
      backoff.up();
    } catch (error) {
      opening = false;
      const explained = await explainOpenError({ files, identity }, path, error);
      if (stopping) return;
      down(explained);
    }
  };

  const down = (error: CodedError): void => {
    backoff.down();
    retryAt = clock.now() + backoff.next();
    link.toDown(error);
    watch(Math.min(LOOK, retryAt - clock.now()));
  };

  const lose = (error: CodedError): void => {
    const lost = handle;
    generation += 1;
    handle = undefined;
    writer?.stop(error);
    writer = undefined;
    counts.losses += 1;
    if (lost) void closeQuietly(lost);
    if (!stopping) down(error);
  };

  const closeQuietly = async (port: PortHandle): Promise<void> => {
    const closed = port.close().catch(() => {
      // It is given up; why it went is known already.
    });
    let limit: Timer | undefined;
    const late = new Promise<void>((resolve) => {
      limit = clock.after(CLOSE_LIMIT, resolve);
    });
    await Promise.race([closed, late]);
    limit?.cancel();
  };

  /** Looks at the node after `ms`, and again for ever. */
  const watch = (ms: number): void => {
    look?.cancel();
    look = clock.after(ms, () => void lookNow());
  };

  const lookNow = async (): Promise<void> => {
    const node = await files.stat(path).catch(() => undefined);
    if (stopping || opening) return;
    const now = clock.now();
    if (handle) {
      if (!node || signature(node) !== known) {
        lose(
          sourceErrors.PORT_GONE({ port: path, cause: node ? 'another one took its place' : 'unplugged' }),
        );
      } else if (options.silence !== undefined && now - heardAt >= options.silence) {
        lose(sourceErrors.PORT_SILENT({ port: path, limit: formatSpan(options.silence) }));
      } else watch(LOOK);
      return;
    }
    if (!node) {
      known = undefined;
      if (!sourceErrors.PORT_MISSING.is(link.error)) {
        const missing = await missingPort({ files }, path);
        if (stopping || handle || opening) return;
        // A port that was there and went is "gone"; what is present instead helps only whoever mistyped it.
        if (!sourceErrors.PORT_GONE.is(link.error)) link.toDown(missing);
      }
      watch(LOOK);
      return;
    }
    if (signature(node) !== known) {
      // It came, or its permissions changed: what failed before says nothing about now.
      backoff = createBackoff({ clock, random });
      retryAt = now;
    }
    if (now >= retryAt) await attempt(node);
    if (!stopping) watch(handle ? LOOK : Math.max(1, Math.min(LOOK, retryAt - clock.now())));
  };

  return {
    async start(abort) {
      if (abort.aborted || stopping) return;
      await lookNow();
    },

    async stop(deadline) {
      stopping = true;
      look?.cancel();
      // What was accepted is let out.
      await writer?.finish(deadline);
      const last = handle;
      handle = undefined;
      generation += 1;
      if (last) await closeQuietly(last);
    },

    update(next) {
      if (isDeepStrictEqual(next, current)) return 'applied';
      if (!isDeepStrictEqual({ ...next, bindings: [] }, { ...current, bindings: [] })) return 'restart';
      board = createBoard({ clock, log, counts }, next.bindings);
      current = next;
      return 'applied';
    },

    async write(target, value, abort) {
      const bytes = board.encode(target, value);
      if (!writer)
        throw sourceErrors.NOT_UP({
          source: id,
          cause: link.error?.message ?? `port ${path} is not open yet`,
        });
      counts.writes += 1;
      await writer.write(target, bytes, abort);
    },

    health() {
      const slow = board.slow();
      const health = link.health();
      return health.state === 'ok' && slow
        ? { state: 'degraded', code: slow.code, detail: slow.message }
        : health;
    },
    counts: () => ({ ...counts }),
  };
}

/** What tells one node from another, and from itself with other permissions. */
function signature(node: FileStat): string {
  return `${node.inode} ${node.mode} ${node.uid} ${node.gid}`;
}

function causeOf(error: Error | undefined): string {
  return error === undefined ? 'closed' : asError(error).message.replace(/^Error:? /, '');
}

function processIdentity(): Identity {
  const gids = new Set([process.getegid?.() ?? 0, ...(process.getgroups?.() ?? [])]);
  return { uid: process.geteuid?.() ?? 0, gids: [...gids] };
}
