/** Sends mutated messages to a running stack by UDP and TCP, and sees to it after every batch that it still answers. */
import { createSocket } from 'node:dgram';
import { connect, createServer } from 'node:net';
import { createRequest, parseMessage, type Random } from 'tiny-sip';
import { createFramer } from '../../src/tiny-sip/transport/framer.ts';
import { createMutator } from './mutate.ts';
import { createScript } from './peer.ts';
import { createFastClock, createFuzzTarget } from './target.ts';

export interface FuzzOptions {
  readonly random: Random;
  /** Messages that the stack is to see. */
  readonly messages: number;
  /** Ends earlier, at this time of `performance.now()`. */
  readonly until?: number;
  /** Called after every batch. */
  readonly progress?: (state: FuzzState) => void;
}

export interface FuzzState {
  readonly seen: number;
  readonly batch: number;
  readonly counts: Readonly<Record<string, number>>;
}

export interface FuzzResult extends FuzzState {
  /** What should never happen; empty when all is well. */
  readonly wrongs: readonly string[];
  /** Answers that came, by status. */
  readonly answers: ReadonlyMap<number, number>;
}

const PING = Buffer.from('\r\n\r\n');
/** Messages of a batch, which must fit into the socket's buffer. */
const BATCH = 32;
/** What is read of the stack: a response must carry all Vias, and a Contact of any length may become a Request-URI. */
const WIDE = { headers: 600, headBytes: 70_000, uri: 65_536 };
/** Milliseconds between two tries of the OPTIONS that ends a batch, and how many. */
const PROBE_WAIT = 300;
const PROBES = 60;

export async function fuzz(options: FuzzOptions): Promise<FuzzResult> {
  const { random } = options;
  const mutator = createMutator(random);
  const target = await createFuzzTarget(createFastClock(), random);
  const answers = new Map<number, number>();
  const wrongs: string[] = [];
  const host = '127.0.0.1';
  let batch = 0;
  let probeId = 0;
  let probed: (() => void) | undefined;

  const count = (bytes: Buffer): void => {
    // A keep-alive of a registration.
    if (bytes.length === 4 && bytes.equals(PING)) return;
    const parsed = parseMessage(bytes, WIDE);
    if (!parsed.ok) {
      wrongs.push(
        `the stack sent what cannot be read (${parsed.code}): ${bytes.toString('latin1').slice(0, 2_000)}`,
      );
      return;
    }
    const { message } = parsed;
    if (message.kind === 'response') {
      answers.set(message.status, (answers.get(message.status) ?? 0) + 1);
      if (message.get('Call-ID') === `probe${probeId}`) probed?.();
    }
  };

  // The peer: answers what the stack sends by itself, mostly with something broken.
  const udp = createSocket({ type: 'udp4', recvBufferSize: 1_048_576 });
  const script = createScript(mutator);
  /** What is said to a message of the stack's: mostly with something broken. */
  const said = (bytes: Buffer): readonly Buffer[] => {
    const parsed = parseMessage(bytes, WIDE);
    if (!parsed.ok) return [];
    const { message } = parsed;
    try {
      const all = message.kind === 'request' ? script.answers(message) : script.follows(message);
      return all.map((one) => (mutator.pick(3) === 0 ? one : mutator.of(one)));
    } catch (error) {
      // It gave back a value that only a broken message can hold.
      if (error instanceof Error && error.name === 'SipSyntaxError') return [];
      throw error;
    }
  };
  udp.on('message', (bytes, from) => {
    count(bytes);
    for (const one of said(bytes)) if (one.length > 0) udp.send(one, from.port, from.address);
  });
  await new Promise<void>((done) => udp.bind(0, host, done));
  const listener = createServer((socket) => {
    const framer = createFramer({
      frame(bytes) {
        count(bytes);
        for (const one of said(bytes)) if (socket.writable) socket.write(one);
      },
      crlf: () => undefined,
      lost: (why) => wrongs.push(`the stack sent what cannot be cut: ${why}`),
    });
    socket.on('data', (chunk) => framer.push(chunk));
    socket.on('error', () => undefined);
  });
  await new Promise<void>((done) => listener.listen(0, host, done));
  const address = listener.address();
  target.peer.udp = udp.address().port;
  target.peer.tcp = typeof address === 'object' && address !== null ? address.port : 0;

  const probe = async (): Promise<void> => {
    probeId += 1;
    const bytes = Buffer.from(
      `OPTIONS sip:probe@${host} SIP/2.0\r\nVia: SIP/2.0/UDP ${host};branch=z9hG4bKprobe${probeId};rport\r\nMax-Forwards: 70\r\nFrom: <sip:p@p>;tag=p\r\nTo: <sip:p@p>\r\nCall-ID: probe${probeId}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n`,
    );
    await new Promise<void>((resolve, reject) => {
      let tries = 0;
      const send = (): void => {
        tries += 1;
        if (tries > PROBES) {
          reject(new Error(`the stack does not answer any more, after batch ${batch}`));
          return;
        }
        udp.send(bytes, target.udpPort, host);
        timer = setTimeout(send, PROBE_WAIT);
      };
      let timer: NodeJS.Timeout;
      probed = () => {
        clearTimeout(timer);
        probed = undefined;
        resolve();
      };
      send();
    });
  };

  const byUdp = (messages: readonly Buffer[]): void => {
    for (const bytes of messages) if (bytes.length > 0) udp.send(bytes, target.udpPort, host);
  };

  /** All of them by one connection, cut anywhere; the stack may well close it. */
  const byTcp = (messages: readonly Buffer[]): Promise<void> =>
    new Promise((resolve) => {
      const stream = Buffer.concat(messages);
      const socket = connect(target.tcpPort, host, () => {
        let from = 0;
        for (let cut = mutator.pick(5); cut > 0; cut -= 1) {
          const to = from + mutator.pick(stream.length - from + 1);
          socket.write(stream.subarray(from, to));
          from = to;
        }
        socket.end(stream.subarray(from));
      });
      const framer = createFramer(
        {
          frame(bytes) {
            count(bytes);
            // This connection is half closed by now, and a dialog may go on by any flow.
            for (const one of said(bytes)) if (one.length > 0) udp.send(one, target.udpPort, host);
          },
          crlf: () => undefined,
          lost: (why) => wrongs.push(`the stack answered what cannot be cut: ${why}`),
        },
        WIDE,
      );
      socket.on('data', (chunk) => framer.push(chunk));
      socket.on('error', () => undefined);
      socket.on('close', () => resolve());
    });

  const state = (): FuzzState => ({ seen: target.seen, batch, counts: target.stack.counts() });

  const unexpected = (error: unknown): void => {
    wrongs.push(`thrown out of the stack: ${error instanceof Error ? error.stack : String(error)}`);
  };
  process.on('uncaughtException', unexpected);
  process.on('unhandledRejection', unexpected);
  try {
    while (target.seen < options.messages && wrongs.length === 0 && target.wrongs.length === 0) {
      if (options.until !== undefined && performance.now() > options.until) break;
      const messages = Array.from({ length: BATCH }, () => mutator.next());
      if (batch % 2 === 0) byUdp(messages);
      else await byTcp(messages);
      // A request of its own, so that its client half meets broken responses.
      void target.stack.send(createRequest({ method: 'OPTIONS', uri: `sip:peer@${host}` }), {
        target: { protocol: batch % 4 < 2 ? 'udp' : 'tcp', host, port: 5060, name: host },
      });
      if (batch % 8 === 0) target.turn(batch % 16 < 8 ? 'udp' : 'tcp');
      await probe();
      batch += 1;
      options.progress?.(state());
    }
  } finally {
    process.off('uncaughtException', unexpected);
    process.off('unhandledRejection', unexpected);
    await target.stop();
    udp.close();
    await new Promise<void>((done) => {
      listener.close(() => done());
    });
  }
  return { ...state(), wrongs: [...wrongs, ...target.wrongs], answers };
}
