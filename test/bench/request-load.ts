/**
 * MESSAGE requests for the server under measure, no two alike, in bursts: a burst is sent while the server is held, then
 * the server is let go, and its answers are looked at only when it has had the time to give them. So the server always
 * finds a queue, as one does that is asked more than it can do, whether it is quick or slow. In a loop of one answer, one
 * request a quick server would be measured while it waits for the load, and a slow one while it wakes the load up: the
 * system charges whoever sends with waking who receives.
 */
import { createSocket } from 'node:dgram';
import { connect, type Socket } from 'node:net';

export interface RequestLoad {
  /** Sends so many and resolves once all are answered. Rejects when answers stop coming. */
  run(count: number): Promise<void>;
  /** Bytes of the last answer. */
  readonly answerBytes: number;
  close(): void;
}

export interface LoadOptions {
  readonly protocol: 'udp' | 'tcp';
  readonly port: number;
  /** Requests of a burst; over TCP each has a connection of its own. */
  readonly burst: number;
  /** Holds the server, or lets it go on. */
  readonly hold: (held: boolean) => void;
  /** What an answer has to begin with; undefined takes anything. */
  readonly answer: string | undefined;
}

const HOST = '127.0.0.1';
/** Milliseconds without any answer after which the load is given up. */
const SILENCE = 5_000;
/** Milliseconds for each request of a burst in which nobody looks at the answers. */
const PATIENCE = 0.05;

/** One request by its number; all have the same length. As a gateway gets it, through one proxy. */
export function requestNumber(n: number, protocol: 'udp' | 'tcp'): Buffer {
  const id = n.toString(16).padStart(8, '0');
  const transport = protocol.toUpperCase();
  return Buffer.from(
    `MESSAGE sip:gateway7@192.0.2.10:49712;transport=${protocol};ob SIP/2.0\r\n` +
      `Via: SIP/2.0/${transport} ${HOST}:5060;branch=z9hG4bK${id}77;rport\r\n` +
      `Via: SIP/2.0/UDP 10.0.0.17:5060;received=198.51.100.23;rport=61234;branch=z9hG4bK.x${id}\r\n` +
      'Max-Forwards: 69\r\n' +
      `From: "Alice" <sip:alice@example.com>;tag=a7${id}\r\n` +
      'To: "Gateway 7" <sip:gateway7@example.com>\r\n' +
      `Call-ID: ${id}f81d4fae7dec11d0a765\r\n` +
      'CSeq: 20 MESSAGE\r\n' +
      'User-Agent: Linphone Desktop/5.2.4 (fedora)\r\n' +
      'Content-Type: text/plain; charset=UTF-8\r\n' +
      'Content-Length: 25\r\n\r\nset freezer2 setpoint -18',
    'latin1',
  );
}

export async function createRequestLoad(options: LoadOptions): Promise<RequestLoad> {
  const { protocol, port, burst, hold } = options;
  const expected = Buffer.from(options.answer ?? '', 'latin1');
  let next = 0;
  let left = 0;
  let waiting = 0;
  let answerBytes = 0;
  let done: (() => void) | undefined;
  let fail: ((error: Error) => void) | undefined;

  const answered = (bytes: Buffer): void => {
    answerBytes = bytes.length;
    if (expected.compare(bytes, 0, expected.length) !== 0)
      fail?.(new Error(`another answer than expected:\n${bytes.toString('latin1')}`));
    waiting -= 1;
    if (waiting > 0) return;
    if (left > 0) sendBurst();
    else done?.();
  };
  const take = (): Buffer => {
    left -= 1;
    waiting += 1;
    next += 1;
    return requestNumber(next, protocol);
  };

  const asleep = new Int32Array(new SharedArrayBuffer(4));
  const sendBurst = (): void => {
    const size = Math.min(burst, left);
    hold(true);
    for (let i = 0; i < size; i += 1) send(i, take());
    hold(false);
    // The whole thread sleeps: whoever waits for a socket is woken by every answer.
    Atomics.wait(asleep, 0, 0, size * PATIENCE);
  };

  let send: (i: number, bytes: Buffer) => void;
  let close: () => void;
  if (protocol === 'udp') {
    const socket = createSocket({ type: 'udp4', recvBufferSize: 4_194_304 });
    await new Promise<void>((resolve) => socket.bind(0, HOST, resolve));
    await new Promise<void>((resolve) => socket.connect(port, HOST, resolve));
    socket.on('message', answered);
    send = (_i, bytes) => socket.send(bytes);
    close = () => socket.close();
  } else {
    const sockets: Socket[] = [];
    for (let i = 0; i < burst; i += 1) {
      const socket = connect({ port, host: HOST, noDelay: true });
      await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
      socket.on('error', (error) => fail?.(error));
      socket.on('data', answered);
      sockets.push(socket);
    }
    send = (i, bytes) => void sockets[i]?.write(bytes);
    close = () => {
      for (const socket of sockets) socket.destroy();
    };
  }

  return {
    async run(count) {
      left = count;
      let seen = -1;
      let watch: NodeJS.Timeout | undefined;
      try {
        await new Promise<void>((resolve, reject) => {
          done = resolve;
          fail = reject;
          watch = setInterval(() => {
            if (seen === next) reject(new Error(`no answer for ${SILENCE} ms, ${waiting} are missing`));
            seen = next;
          }, SILENCE);
          sendBurst();
        });
      } finally {
        clearInterval(watch);
      }
    },
    get answerBytes() {
      return answerBytes;
    },
    close: () => close(),
  };
}
