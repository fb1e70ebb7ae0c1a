/**
 * A client of plain sockets for broken messages: it sends bytes, then an OPTIONS behind them, and tells what came
 * before the answer to that. By UDP both go by one socket, by TCP by one connection as long as it is open; the server
 * answers in order, so nothing is waited for by time.
 */
import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import {
  createTcpTransport,
  createUdpTransport,
  type SipResponse,
  type Transport,
  type UdpDeps,
} from 'tiny-sip';
import { parseMessage } from '../../../src/tiny-sip/message/parse.ts';
import { createFramer } from '../../../src/tiny-sip/transport/framer.ts';
import { createFakeRandom } from '../../support/fake-random.ts';

export interface Heard {
  /** Answers to the bytes, in order. */
  readonly answers: readonly SipResponse[];
  /** The answer to the OPTIONS, which may have gone by a connection of its own. */
  readonly probe: SipResponse;
  /** The server ended the connection. */
  readonly closed: boolean;
  /** Ports that the answers went to by UDP (RFC 3261 §18.2.2: that in Via, unless rport asks for the source). */
  readonly ports: readonly number[];
}

/** The transports of the server under test, and the way to it. */
export interface Door {
  readonly transports: readonly Transport[];
  udp(bytes: Buffer): Promise<Heard>;
  tcp(bytes: Buffer): Promise<Heard>;
  /**
   * Bytes whose rest does not come: `waiting` is called once the server has them; resolves with what it said until it
   * closed the connection.
   */
  unfinished(bytes: Buffer, waiting: () => Promise<void>): Promise<string>;
}

let probes = 0;

function options(protocol: 'UDP' | 'TCP'): { readonly callId: string; readonly bytes: Buffer } {
  probes += 1;
  const callId = `probe-${probes}@torture`;
  const bytes = Buffer.from(
    `OPTIONS sip:probe@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/${protocol} 127.0.0.1;branch=z9hG4bKprobe${probes};rport\r\nMax-Forwards: 70\r\nFrom: <sip:probe@127.0.0.1>;tag=1\r\nTo: <sip:probe@127.0.0.1>\r\nCall-ID: ${callId}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n`,
  );
  return { callId, bytes };
}

export function createDoor(deps: UdpDeps): Door {
  let clientPort = 0;
  const ports: number[] = [];
  // The test has no right to the ports that the messages name, so a NAT before the server turns them into its own.
  const datagrams: UdpDeps['datagrams'] = (given) => {
    const socket = createSocket(given);
    const send = socket.send.bind(socket) as (...args: unknown[]) => void;
    const translated = (bytes: Buffer, port: number, host: string, done: unknown): void => {
      ports.push(port);
      send(bytes, clientPort, host, done);
    };
    socket.send = translated as typeof socket.send;
    return socket;
  };
  const host = '127.0.0.1';
  const udp = createUdpTransport({ ...deps, datagrams }, { host, port: 0 });
  const tcp = createTcpTransport({ ...deps, random: createFakeRandom(77) }, { host, port: 0 });

  const read = (bytes: Buffer): SipResponse => {
    const parsed = parseMessage(bytes);
    if (!parsed.ok || parsed.message.kind !== 'response') throw new Error(`no response: ${bytes}`);
    return parsed.message;
  };

  /** One connection: writes the bytes, and collects until the answer to the OPTIONS, or the end. */
  const connection = (bytes: Buffer, callId: string): Promise<{ answers: SipResponse[]; closed: boolean }> =>
    new Promise((resolve, reject) => {
      const answers: SipResponse[] = [];
      const socket = connect(tcp.local.port, host, () => socket.write(bytes));
      const framer = createFramer({
        frame(one) {
          answers.push(read(one));
          if (answers.at(-1)?.callId === callId) socket.destroy();
        },
        crlf: () => undefined,
        lost: (why) => reject(new Error(`the answers cannot be cut: ${why}`)),
      });
      let closed = false;
      socket.on('data', (chunk) => framer.push(chunk));
      socket.on('end', () => {
        closed = true;
      });
      // A server that closes while bytes are on their way resets the connection.
      socket.on('error', () => {
        closed = true;
      });
      socket.on('close', () => resolve({ answers, closed }));
    });

  return {
    transports: [udp, tcp],
    udp(bytes) {
      return new Promise((resolve, reject) => {
        const { callId, bytes: probe } = options('UDP');
        const answers: SipResponse[] = [];
        ports.length = 0;
        const socket = createSocket('udp4');
        socket.on('error', reject);
        socket.on('message', (one) => {
          const response = read(one);
          if (response.callId !== callId) {
            answers.push(response);
            return;
          }
          socket.close();
          resolve({ answers, probe: response, closed: false, ports: ports.slice(0, -1) });
        });
        socket.bind(0, host, () => {
          clientPort = socket.address().port;
          socket.send(bytes, udp.local.port, host);
          socket.send(probe, udp.local.port, host);
        });
      });
    },
    async tcp(bytes) {
      const { callId, bytes: probe } = options('TCP');
      const first = await connection(Buffer.concat([bytes, probe]), callId);
      const last = first.answers.at(-1);
      if (last?.callId === callId)
        return { answers: first.answers.slice(0, -1), probe: last, closed: first.closed, ports: [] };
      const again = options('TCP');
      const second = await connection(again.bytes, again.callId);
      const found = second.answers[0];
      if (found === undefined) throw new Error('an OPTIONS on a new connection was not answered');
      return { answers: first.answers, probe: found, closed: first.closed, ports: [] };
    },
    unfinished(bytes, waiting) {
      return new Promise((resolve, reject) => {
        let said = '';
        const socket = connect(tcp.local.port, host, () => {
          socket.write(bytes);
          received().then(waiting).catch(reject);
        });
        const received = async (): Promise<void> => {
          for (let turn = 0; turn < 100_000 && tcp.counts().unfinished === 0; turn += 1)
            await new Promise((next) => setImmediate(next));
          if (tcp.counts().unfinished === 0) throw new Error('nothing is waited for');
        };
        socket.on('data', (chunk) => {
          said += chunk.toString('latin1');
        });
        socket.on('error', () => undefined);
        socket.on('close', () => resolve(said));
      });
    },
  };
}
