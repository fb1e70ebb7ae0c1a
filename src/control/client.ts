import { createConnection } from 'node:net';
import type { Clock } from '../base/clock.ts';
import { type CodedError, isCoded } from '../base/errors.ts';
import { controlErrors } from './errors.ts';
import { createLineReader } from './lines.ts';
import {
  type Answer,
  type Failure,
  PROTOCOL,
  parseAnswer,
  type Questions,
  type Streams,
} from './protocol.ts';

/** A connection to the running process. */
export interface ControlClient {
  /** @throws CodedError of the process, or CTL_TIMEOUT, CTL_CLOSED, CTL_BAD_ANSWER */
  ask<Verb extends keyof Questions>(verb: Verb): Promise<Questions[Verb]>;
  /** Resolves when the stream ends, because the process stopped or `close` was called. */
  follow<Verb extends keyof Streams>(
    verb: Verb,
    take: { item(item: Streams[Verb]): void; lost?(count: number): void },
  ): Promise<void>;
  close(): void;
}

/** Statuses of thousands of devices are long; endless lines are not ours. */
const LONGEST_LINE = 16 * 1_048_576;
const PATIENCE = 5000;

interface Waiting {
  answer(answer: Answer): void;
  /** The connection is gone; `error` says why when it should not be. */
  end(error: CodedError | undefined): void;
}

/**
 * Connects to the control socket.
 * @throws CodedError CTL_NOT_RUNNING (69), CTL_FORBIDDEN (77)
 */
export function connectControl(
  deps: { clock: Clock },
  path: string,
  options: { patience?: number } = {},
): Promise<ControlClient> {
  const patience = options.patience ?? PATIENCE;
  const waiting = new Map<number, Waiting>();
  let next = 1;
  let closed = false;
  let fault: CodedError | undefined;

  return new Promise((resolve, reject) => {
    const socket = createConnection({ path });
    const late = deps.clock.after(patience, () =>
      socket.destroy(controlErrors.TIMEOUT({ seconds: patience / 1000 })),
    );
    const reader = createLineReader(LONGEST_LINE);

    const give = (error: CodedError): void => {
      fault ??= error;
      socket.destroy();
    };
    const refusal = (error: NodeJS.ErrnoException): CodedError => {
      if (isCoded(error)) return error;
      return error.code === 'EACCES' || error.code === 'EPERM'
        ? controlErrors.FORBIDDEN({ path }, error)
        : controlErrors.NOT_RUNNING({ path }, error);
    };

    socket.on('error', (error) => {
      late.cancel();
      fault ??= refusal(error);
      reject(fault);
    });
    socket.on('close', () => {
      closed = true;
      for (const one of waiting.values()) one.end(fault);
      waiting.clear();
    });
    socket.on('data', (chunk: Buffer) => {
      const lines = reader.push(chunk);
      if (!lines) return give(controlErrors.BAD_ANSWER({ path, why: 'an endless line' }));
      for (const line of lines) {
        const answer = parseAnswer(line);
        if (!answer) return give(controlErrors.BAD_ANSWER({ path, why: 'no JSON answer' }));
        // An error without a question concerns the whole connection.
        if (answer.id === 0 && 'error' in answer) return give(asCoded(answer.error));
        waiting.get(answer.id)?.answer(answer);
      }
    });

    const send = (verb: string, wait: Waiting): number => {
      const id = next;
      next += 1;
      if (closed) {
        wait.end(fault);
        return id;
      }
      waiting.set(id, wait);
      socket.write(`${JSON.stringify({ version: PROTOCOL, id, verb })}\n`);
      return id;
    };

    socket.on('connect', () => {
      late.cancel();
      resolve({
        ask: (verb) =>
          new Promise((done, failed) => {
            const timer = deps.clock.after(patience, () => {
              waiting.delete(id);
              failed(controlErrors.TIMEOUT({ seconds: patience / 1000 }));
            });
            const id = send(verb, {
              answer(answer) {
                timer.cancel();
                waiting.delete(answer.id);
                if ('result' in answer) done(answer.result as Questions[typeof verb]);
                else
                  failed(
                    'error' in answer
                      ? asCoded(answer.error)
                      : controlErrors.BAD_ANSWER({ path, why: 'no result' }),
                  );
              },
              end(error) {
                timer.cancel();
                failed(error ?? controlErrors.CLOSED());
              },
            });
          }),
        follow: (verb, take) =>
          new Promise((done, failed) => {
            send(verb, {
              answer(answer) {
                if ('item' in answer) take.item(answer.item as Streams[typeof verb]);
                else if ('lost' in answer) take.lost?.(answer.lost);
                else if ('error' in answer) {
                  waiting.delete(answer.id);
                  failed(asCoded(answer.error));
                }
              },
              end: (error) => (error ? failed(error) : done()),
            });
          }),
        close: () => socket.destroy(),
      });
    });
  });
}

/** An error of the process, as if it had been thrown here. */
function asCoded({ code, text, remedy, exit }: Failure): CodedError {
  const error = new Error(text);
  error.name = code;
  return Object.assign(error, { code, remedy, exit, sip: undefined, fields: {} });
}
