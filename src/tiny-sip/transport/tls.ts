import { createServer as createNetServer, type Server, type Socket } from 'node:net';
import {
  type ConnectionOptions,
  connect,
  createServer,
  type TLSSocket,
  type Server as TlsServer,
} from 'node:tls';
import { SipError } from '../errors.ts';
import { ipFamily } from '../message/ip.ts';
import { addressOf, showAddress } from './address.ts';
import { judge } from './certificate.ts';
import { createHandshakes } from './handshakes.ts';
import {
  type Connector,
  createStreamTransport,
  type StreamDeps,
  type StreamOptions,
  streamDefaults,
} from './stream.ts';
import { listen } from './tcp.ts';
import { createTlsContexts, type TlsContexts, type TlsCredentials, type TlsRules } from './tls-context.ts';
import type { Peer, Transport } from './transport.ts';

/** How a TLS transport is made: where it listens, with which certificates, and whom it believes. */
export type TlsOptions = StreamOptions &
  TlsCredentials &
  TlsRules & {
    /**
     * Whether a server asks clients for a certificate. `optional`: who shows none, or one that is not trusted, is served
     * and has no `peer` on its flow; `required`: it is not served. Default `no`.
     */
    readonly clientCertificates?: 'no' | 'optional' | 'required' | undefined;
    /** Handshakes of clients that may be under way. Default 500. */
    readonly handshakes?: number | undefined;
    /** The same for one source. Default 100. */
    readonly handshakesPerSource?: number | undefined;
  } & (
    | {
        readonly listen?: true;
        /** Where to listen: an IP literal, `0.0.0.0` or `::` (both families) for all. */
        readonly host: string;
        /** 0 takes any. */
        readonly port: number;
      }
    | { readonly listen: false }
  );

/** The parts of node:tls and node:net that are used; tests put failing ones in their place. */
export interface Tls {
  /** A connection that begins its handshake. */
  connect(options: ConnectionOptions): TLSSocket;
  /** A server that has not begun to listen. */
  createServer(accept: (socket: Socket) => void): Server;
}

export interface TlsTransport extends Transport {
  /**
   * Other certificates from now on. Connections that stand go on; those that are made later use the new ones.
   *
   * @throws SIP_CERTIFICATE_UNUSABLE, and leaves the old ones in use
   */
  update(credentials: TlsCredentials): void;
}

const nodeTls: Tls = {
  connect: (options) => connect(options),
  createServer: (accept) => createNetServer(accept),
};

/**
 * SIP over TLS 1.2 and 1.3 (RFC 3261 §26.3.1). The certificate of a server must prove the domain that was asked for as
 * RFC 5922 says, whatever address the DNS led to; nothing is sent before it does. A connection is used again for its
 * address and a name that it was opened for or that its certificate proves (RFC 5923). Sessions are never taken up
 * again by this side, so every connection is verified.
 *
 * @throws SIP_CERTIFICATE_UNUSABLE
 */
export function createTlsTransport(
  deps: StreamDeps & { readonly tls?: Tls },
  options: TlsOptions,
): TlsTransport {
  const { clock, log } = deps;
  const net = deps.tls ?? nodeTls;
  const asks = options.clientCertificates ?? 'no';
  const listens = options.listen !== false;
  const handshakes = createHandshakes(clock, {
    most: options.handshakes ?? 500,
    perSource: options.handshakesPerSource ?? 100,
    timeout: options.connectTimeout ?? streamDefaults.connectTimeout,
  });
  const counts = { failedHandshakes: 0, unverified: 0 };
  const make = (credentials: TlsCredentials): TlsContexts => {
    const made = createTlsContexts(credentials, options, asks === 'no');
    if (listens && !made.hasIdentity)
      throw new SipError('CERTIFICATE_UNUSABLE', { cause: new Error('a server must have a certificate') });
    return made;
  };
  let contexts = make(options);
  let server: TlsServer | undefined;

  /** A client whose handshake is done; undefined: it is not served. */
  const admit = (socket: TLSSocket): { readonly peer: Peer | undefined } | undefined => {
    if (asks === 'no') return { peer: undefined };
    const remote = showAddress(addressOf(socket.remoteAddress, socket.remotePort));
    const verdict = judge(clock, socket, undefined, remote);
    if (!(verdict instanceof SipError)) return { peer: verdict };
    if (asks === 'optional') return { peer: undefined };
    counts.unverified += 1;
    log.debug('a client without a trusted certificate', {
      remote,
      code: verdict.code,
      cause: verdict.message,
    });
    return undefined;
  };

  const serve = (accept: (socket: Socket, peer: Peer | undefined) => void): TlsServer => {
    const made = createServer({
      ...contexts.server,
      requestCert: asks !== 'no',
      // Judged by `admit`, which tells the reason.
      rejectUnauthorized: false,
      SNICallback: (name, done) => done(null, contexts.forDomain(name)),
    });
    made.on('secureConnection', (socket) => {
      if (!handshakes.end(socket)) {
        socket.destroy();
        return;
      }
      // Another certificate in the midst of a connection would make what was verified worthless.
      socket.disableRenegotiation();
      const admitted = admit(socket);
      if (admitted !== undefined) accept(socket, admitted.peer);
      else {
        socket.on('error', () => undefined);
        socket.destroy();
      }
    });
    made.on('tlsClientError', (error, socket) => {
      counts.failedHandshakes += 1;
      log.debug('a handshake failed', { cause: error.message });
      socket.destroy();
    });
    return made;
  };

  const connector: Connector = {
    connect(remote, name, done) {
      const socket = net.connect({
        host: remote.host,
        port: remote.port,
        // RFC 6066 §3: never an address. RFC 5922 §7.8: the domain of the URI, not of the server that SRV named.
        servername: ipFamily(name) === 0 ? name : '',
        secureContext: contexts.client,
        // Judged below, in all cases: Node would leave out the name where a session was taken up again.
        rejectUnauthorized: false,
        checkServerIdentity: () => undefined,
      });
      socket.once('secureConnect', () => {
        socket.disableRenegotiation();
        const verdict = judge(clock, socket, name, showAddress(remote));
        if (verdict instanceof SipError) socket.destroy(verdict);
        else done(verdict);
      });
      return socket;
    },
    async listen(accept) {
      if (options.listen === false) throw new TypeError('this transport does not listen');
      const securing = serve(accept);
      const take = (socket: Socket): void => {
        if (handshakes.begin(socket)) securing.emit('connection', socket);
      };
      const at = { host: options.host, port: options.port };
      const listening = await listen('tls', (taken) => net.createServer(taken), at, take);
      server = securing;
      return {
        local: listening.local,
        close() {
          server = undefined;
          handshakes.stop();
          return listening.close();
        },
      };
    },
    counts: () => ({ ...counts, ...handshakes.counts }),
  };

  const transport = createStreamTransport(deps, 'tls', connector, { ...options, listens });
  return Object.assign(transport, {
    update(credentials: TlsCredentials): void {
      contexts = make(credentials);
      server?.setSecureContext(contexts.server);
    },
  });
}
