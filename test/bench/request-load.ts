/** MESSAGE requests for the server under measure: so many in flight, no two alike, every answer waited for. */
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
  /** Requests that wait for their answers at a time; over TCP each has a connection of its own. */
  readonly inFlight: number;
  /** What an answer has to begin with; undefined takes anything. */
  readonly answer: string | undefined;
}

const HOST = '127.0.0.1';
/** Milliseconds without any answer after which the load is given up. */
const SILENCE = 5_000;

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
  const { protocol, port, inFlight } = options;
  const expected = Buffer.from(options.answer ?? '', 'latin1');
  let next = 0;
  let left = 0;
  let waiting = 0;
  let answerBytes = 0;
  let done: (() => void) | undefined;
  let fail: ((error: Error) => void) | undefined;

  /** Takes an answer; says whether another request is to go out in its place. */
  const answered = (bytes: Buffer): boolean => {
    answerBytes = bytes.length;
    if (expected.compare(bytes, 0, expected.length) !== 0)
      fail?.(new Error(`another answer than expected:\n${bytes.toString('latin1')}`));
    waiting -= 1;
    if (left > 0) return true;
    if (waiting === 0) done?.();
    return false;
  };
  const take = (): Buffer => {
    left -= 1;
    waiting += 1;
    next += 1;
    return requestNumber(next, protocol);
  };

  let begin: () => void;
  let close: () => void;
  if (protocol === 'udp') {
    const socket = createSocket({ type: 'udp4', recvBufferSize: 4_194_304 });
    await new Promise<void>((resolve) => socket.bind(0, HOST, resolve));
    await new Promise<void>((resolve) => socket.connect(port, HOST, resolve));
    socket.on('message', (bytes) => {
      if (answered(bytes)) socket.send(take());
    });
    begin = () => {
      for (let i = 0; i < inFlight && left > 0; i += 1) socket.send(take());
    };
    close = () => socket.close();
  } else {
    const sockets: Socket[] = [];
    for (let i = 0; i < inFlight; i += 1) {
      const socket = connect({ port, host: HOST, noDelay: true });
      await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
      socket.on('error', (error) => fail?.(error));
      socket.on('data', (bytes) => {
        if (answered(bytes)) socket.write(take());
      });
      sockets.push(socket);
    }
    begin = () => {
      for (const socket of sockets) if (left > 0) socket.write(take());
    };
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
          begin();
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
