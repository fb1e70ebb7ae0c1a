import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import type { Clock } from '../base/clock.ts';
import { asError, type CodedError, isCoded } from '../base/errors.ts';
import type { Files } from '../base/file.ts';
import type { Log } from '../base/log.ts';
import type { Health, Part } from '../base/part.ts';
import { controlErrors } from './errors.ts';
import { createLineReader } from './lines.ts';
import { type Answer, PROTOCOL, parseRequest, type Questions, type Streams } from './protocol.ts';

/** How each question is answered. */
export type QuestionHandlers = {
  readonly [Verb in keyof Questions]: () => Questions[Verb] | Promise<Questions[Verb]>;
};

/** How each stream is fed; the function that comes back ends it. */
export type StreamHandlers = {
  readonly [Verb in keyof Streams]: (send: (item: Streams[Verb]) => void) => () => void;
};

export interface ControlOptions {
  /** Path of the unix socket. */
  readonly socket: string;
  /** Tools at a time; one more is told so and closed. Default 16. */
  readonly clients?: number;
}

export interface ControlServer extends Part {
  counts(): Record<string, number>;
}

/** The owner and the group may talk to the process; the group is how an administrator lets others in. */
const MODE = 0o660;
const DIRECTORY_MODE = 0o750;
/** sun_path of Linux, without its final NUL. */
const LONGEST_PATH = 107;
/** No request is near that long. */
const LONGEST_LINE = 65_536;
/** Unread bytes of one tool, above which items of a stream are dropped instead of kept. */
const MOST_UNREAD = 262_144;
/** How long a socket that was left behind may take to refuse. */
const PROBE = 1000;

/** The socket over which tools reach the running process. What may be asked is decided by who may open the socket. */
export function createControlServer(
  deps: { clock: Clock; log: Log; files: Files; questions: QuestionHandlers; streams: StreamHandlers },
  options: ControlOptions,
): ControlServer {
  const { clock, log, files } = deps;
  const most = options.clients ?? 16;
  const clients = new Set<Socket>();
  let server: Server | undefined;
  let failure: CodedError | undefined;
  let served = 0;
  let refused = 0;
  let lost = 0;

  const answer = (socket: Socket, reply: Answer): void => {
    if (!socket.destroyed) socket.write(`${JSON.stringify(reply)}\n`);
  };
  const fail = (socket: Socket, id: number, error: CodedError): void => {
    const { code, message: text, remedy, exit } = error;
    answer(socket, { version: PROTOCOL, id, error: { code, text, remedy, exit } });
  };

  const serve = (socket: Socket): void => {
    socket.on('error', () => socket.destroy());
    if (clients.size >= most) {
      refused += 1;
      fail(socket, 0, controlErrors.TOO_MANY({ limit: most }));
      socket.end();
      // Whoever does not read is not waited for.
      const timer = clock.after(PROBE, () => socket.destroy());
      socket.on('close', () => timer.cancel());
      return;
    }
    clients.add(socket);
    const ends: (() => void)[] = [];
    socket.on('close', () => {
      clients.delete(socket);
      for (const end of ends) end();
    });

    const reader = createLineReader(LONGEST_LINE);
    socket.on('data', (chunk: Buffer) => {
      const lines = reader.push(chunk);
      if (!lines) {
        fail(socket, 0, controlErrors.LINE_TOO_LONG({ limit: LONGEST_LINE }));
        socket.end();
        socket.pause();
        return;
      }
      // One after the other, and none while answers lie unread: a tool that only asks cannot fill the memory.
      socket.pause();
      void handleAll(socket, lines, ends).then(() => socket.resume());
    });
  };

  const handleAll = async (socket: Socket, lines: readonly string[], ends: (() => void)[]): Promise<void> => {
    for (const line of lines) {
      if (line.trim() !== '') await handle(socket, line, ends);
      if (socket.destroyed) return;
      if (socket.writableLength > MOST_UNREAD) {
        await new Promise((resolve) => {
          socket.once('drain', resolve);
          socket.once('close', resolve);
        });
      }
    }
  };

  const handle = async (socket: Socket, line: string, ends: (() => void)[]): Promise<void> => {
    const parsed = parseRequest(line);
    if (!parsed.ok) {
      fail(socket, parsed.id, controlErrors.BAD_REQUEST({ why: parsed.why }));
      return;
    }
    const { id, verb, version } = parsed.request;
    if (version !== PROTOCOL) {
      // The numbers are those of whoever reads the message: the tool.
      fail(socket, id, controlErrors.VERSION({ theirs: PROTOCOL, ours: version }));
      return;
    }
    served += 1;
    if (isOwn(deps.questions, verb)) {
      try {
        answer(socket, { version: PROTOCOL, id, result: await deps.questions[verb]() });
      } catch (error) {
        fail(socket, id, isCoded(error) ? error : controlErrors.FAILED({ cause: asError(error).message }));
      }
    } else if (isOwn(deps.streams, verb)) {
      // One stream a connection is enough for any tool, and bounds what a connection can cost.
      if (ends.length > 0) fail(socket, id, controlErrors.BAD_REQUEST({ why: 'a stream is open already' }));
      else ends.push(openStream(socket, id, verb));
    } else {
      const known = [...Object.keys(deps.questions), ...Object.keys(deps.streams)].join(', ');
      fail(socket, id, controlErrors.UNKNOWN_VERB({ verb, known }));
    }
  };

  const openStream = (socket: Socket, id: number, verb: keyof Streams): (() => void) => {
    let dropped = 0;
    return deps.streams[verb]((item) => {
      if (socket.writableLength > MOST_UNREAD) {
        dropped += 1;
        lost += 1;
        return;
      }
      if (dropped > 0) answer(socket, { version: PROTOCOL, id, lost: dropped });
      dropped = 0;
      answer(socket, { version: PROTOCOL, id, item });
    });
  };

  return {
    async start(abort) {
      const path = options.socket;
      const bytes = Buffer.byteLength(path);
      if (bytes > LONGEST_PATH) throw controlErrors.PATH_TOO_LONG({ path, bytes, limit: LONGEST_PATH });
      try {
        await files.makeDirectory(dirname(path), DIRECTORY_MODE);
        await clearPath(files, clock, path);
        if (abort.aborted) return;
        server = await listen(path, serve);
      } catch (error) {
        failure = isCoded(error)
          ? error
          : controlErrors.CANNOT_LISTEN({ path, cause: asError(error).message }, error);
        throw failure;
      }
      server.on('error', (error) => log.warn('control socket failed', { error }));
    },
    async stop(deadline) {
      const closing = server;
      server = undefined;
      if (!closing) return;
      const gone = [...clients].map((socket) => new Promise((resolve) => socket.once('close', resolve)));
      // Closing removes the socket's file too.
      gone.push(new Promise((resolve) => closing.close(resolve)));
      for (const socket of clients) socket.destroySoon();
      // A tool that does not read what is left for it is not waited for.
      const timer = clock.after(Math.max(0, deadline - clock.now()), () => {
        for (const socket of clients) socket.destroy();
      });
      await Promise.all(gone);
      timer.cancel();
    },
    health(): Health {
      if (failure) return { state: 'down', code: failure.code, detail: failure.message };
      return server ? { state: 'ok' } : { state: 'down', detail: 'not started' };
    },
    counts: () => ({ clients: clients.size, served, refused, lost }),
  };
}

function isOwn<T extends object>(table: T, key: string): key is string & keyof T {
  return Object.hasOwn(table, key);
}

/** Takes away a socket that a killed process left behind, but only when nobody answers on it. */
async function clearPath(files: Files, clock: Clock, path: string): Promise<void> {
  const there = await files.stat(path);
  if (!there) return;
  if (there.kind !== 'socket') throw controlErrors.NOT_A_SOCKET({ path });
  if (await answers(clock, path)) throw controlErrors.ALREADY_RUNNING({ path });
  await files.remove(path);
}

function answers(clock: Clock, path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ path });
    const finish = (alive: boolean) => {
      timer.cancel();
      socket.destroy();
      resolve(alive);
    };
    // Silence is no refusal: a process whose queue of connections is full is alive.
    const timer = clock.after(PROBE, () => finish(true));
    socket.on('connect', () => finish(true));
    socket.on('error', (error: NodeJS.ErrnoException) =>
      finish(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT'),
    );
  });
}

function listen(path: string, serve: (socket: Socket) => void): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer({ allowHalfOpen: false }, serve);
    server.once('error', reject);
    // The file gets its mode when it is made; changing it afterwards would leave a moment in which anybody may connect.
    const before = process.umask(0o777 & ~MODE);
    try {
      server.listen({ path }, () => {
        server.off('error', reject);
        resolve(server);
      });
    } finally {
      process.umask(before);
    }
  });
}
