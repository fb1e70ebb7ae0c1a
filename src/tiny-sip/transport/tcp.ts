import { connect, createServer, type Server, type Socket } from 'node:net';
import { SipError } from '../errors.ts';
import { addressOf, showAddress } from './address.ts';
import { type Connector, createStreamTransport, type StreamDeps, type StreamOptions } from './stream.ts';
import type { Address, Protocol, Transport } from './transport.ts';

/** How a TCP transport is made: where it listens (unless `listen` is false), and its bounds. */
export type TcpOptions = StreamOptions &
  (
    | {
        readonly listen?: true;
        /** Where to listen: an IP literal, `0.0.0.0` or `::` (both families) for all. */
        readonly host: string;
        /** 0 takes any. */
        readonly port: number;
      }
    | { readonly listen: false }
  );

/** The part of node:net that is used; tests put failing ones in its place. */
export interface Net {
  /** Opens a connection; errors come as events of the socket. */
  connect(options: { host: string; port: number }): Socket;
  /** Makes a server that does not listen yet. */
  createServer(accept: (socket: Socket) => void): Server;
}

const nodeNet: Net = {
  connect: (options) => connect(options),
  createServer: (accept) => createServer(accept),
};

/** SIP over TCP (RFC 3261 §18). Connections are used again by their remote address, whichever side opened them. */
export function createTcpTransport(
  deps: StreamDeps & { readonly net?: Net },
  options: TcpOptions,
): Transport {
  const net = deps.net ?? nodeNet;
  const listens = options.listen !== false;
  const connector: Connector = {
    connect: (remote, _name, made) =>
      net.connect({ host: remote.host, port: remote.port }).once('connect', () => made(undefined)),
    listen: (accept) => {
      if (options.listen === false) return Promise.reject(new TypeError('this transport does not listen'));
      const at = { host: options.host, port: options.port };
      return listen(
        'tcp',
        (taken) => net.createServer(taken),
        at,
        (socket) => accept(socket, undefined),
      );
    },
  };
  return createStreamTransport(deps, 'tcp', connector, { ...options, listens });
}

/** Listens, and hands every connection to `accept`. Rejects with SIP_CANNOT_LISTEN. */
export function listen(
  protocol: Protocol,
  createServer: (accept: (socket: Socket) => void) => Server,
  at: Address,
  accept: (socket: Socket) => void,
): Promise<{ local: Address; close(): Promise<void> }> {
  return new Promise((resolve, reject) => {
    const server = createServer(accept);
    // After it listens, an error is that of a single connection that could not be accepted; the next one may be.
    server.on('error', (cause) =>
      reject(new SipError('CANNOT_LISTEN', { protocol, local: showAddress(at), cause })),
    );
    server.listen({ host: at.host, port: at.port }, () => {
      const bound = server.address();
      const local = typeof bound === 'object' && bound !== null ? addressOf(bound.address, bound.port) : at;
      resolve({ local, close: () => new Promise((done) => server.close(() => done())) });
    });
  });
}
