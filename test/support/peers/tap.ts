/** A TCP wire between two SIP elements that a test can listen to, and cut. */
import { connect, createServer, type Socket } from 'node:net';
import { readWire, splitStream, type WireMessage } from './phone-wire.ts';
import { type Watched, watched } from './watched.ts';

export interface Tapped {
  /** out: from whoever called; in: back to him. */
  direction: 'out' | 'in';
  message: WireMessage;
  /** Octets of the whole message. */
  bytes: number;
}

/** An address of this machine that is not the server's own: whoever routes by it goes through the tap. */
export const TAP_HOST = '127.0.0.2';

export interface Tap {
  /** Where to call instead of the server, on TAP_HOST. */
  readonly port: number;
  readonly heard: Watched<Tapped>;
  /** Breaks every connection; new ones are taken. */
  cut(): void;
  close(): Promise<void>;
}

/** Listens on a free port and hands everything on to `port` of 127.0.0.1. */
export async function startTap(port: number): Promise<Tap> {
  const heard = watched<Tapped>();
  const sockets = new Set<Socket>();
  const keep = (socket: Socket): void => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
  };
  const server = createServer((caller) => {
    const callee = connect(port, '127.0.0.1');
    keep(caller);
    keep(callee);
    const carry = (from: Socket, to: Socket, direction: Tapped['direction']): void => {
      from.on(
        'data',
        splitStream((bytes) =>
          heard.add({ direction, message: readWire(bytes.toString('utf8')), bytes: bytes.length }),
        ),
      );
      from.pipe(to);
      from.on('close', () => to.destroy());
    };
    carry(caller, callee, 'out');
    carry(callee, caller, 'in');
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, TAP_HOST, resolve);
  });
  const address = server.address();
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: typeof address === 'object' && address ? address.port : 0,
    heard,
    cut,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        cut();
      }),
  };
}
