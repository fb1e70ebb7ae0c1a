import type { ParseResult } from '../../../src/tiny-sip/message/parse.ts';
import type { Flow, Receiver } from '../../../src/tiny-sip/transport/transport.ts';

export interface Got {
  readonly flow: Flow;
  readonly bytes: Buffer;
  readonly parsed: ParseResult;
}

/** A receiver that writes down what comes, and on which one can wait. */
export interface Recorder extends Receiver {
  readonly messages: Got[];
  readonly closes: { readonly flow: Flow; readonly cause: Error | undefined }[];
  readonly breaks: string[];
  /** Resolves when the condition holds; looked at after each event. */
  until(holds: () => boolean): Promise<void>;
}

export function createRecorder(onMessage?: (got: Got) => void): Recorder {
  const waiting: { holds: () => boolean; resolve: () => void }[] = [];
  const look = (): void => {
    for (const one of [...waiting]) {
      if (!one.holds()) continue;
      waiting.splice(waiting.indexOf(one), 1);
      one.resolve();
    }
  };
  const recorder: Recorder = {
    messages: [],
    closes: [],
    breaks: [],
    message(flow, bytes, parsed) {
      const got = { flow, bytes, parsed };
      recorder.messages.push(got);
      onMessage?.(got);
      look();
    },
    closed(flow, cause) {
      recorder.closes.push({ flow, cause });
      look();
    },
    broken(_flow, why) {
      recorder.breaks.push(why);
      look();
    },
    until: (holds) =>
      new Promise((resolve) => {
        waiting.push({ holds, resolve });
        look();
      }),
  };
  return recorder;
}

/** A log that says nothing. */
export const silent = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

/** Turns of the event loop until the condition holds: for what real sockets do in their own time. */
export async function eventually(holds: () => boolean, what = 'it'): Promise<void> {
  for (let turn = 0; turn < 20_000; turn += 1) {
    if (holds()) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
  throw new Error(`${what} did not happen`);
}

export function message(id: string, body = ''): Buffer {
  return Buffer.from(
    `MESSAGE sip:b@c SIP/2.0\r\nVia: SIP/2.0/TCP a;branch=z9hG4bK${id}\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:b@c>\r\nCall-ID: ${id}\r\nCSeq: 1 MESSAGE\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}
