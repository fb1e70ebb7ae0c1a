import type { Socket } from 'node:net';
import type { Clock, Log, Random } from '../deps.ts';
import { SipError } from '../errors.ts';
import type { Limits } from '../message/limits.ts';
import { createWheel, type Wheel } from '../wheel.ts';
import { addressOf, canonicalHost, sameHost, showAddress, unscoped } from './address.ts';
import { asciiName } from './certificate.ts';
import { createPool } from './pool.ts';
import { StreamFlow, type StreamRoom } from './stream-flow.ts';
import type { Address, Flow, Peer, Protocol, Receiver, Transport } from './transport.ts';

/** A transport over connections, whatever makes them: TCP here, TLS on the same face. */

/** Bounds of a transport over connections. */
export interface StreamOptions {
  /** Bounds of messages that differ from the defaults. */
  readonly limits?: Partial<Limits> | undefined;
  /** Connections in both directions. */
  readonly maxConnections?: number | undefined;
  /**
   * Connections that one source (an IPv4 address, a /64 of IPv6) may open. Beyond it the one that was quiet longest goes
   * when nobody relies on it, else the new one is refused.
   */
  readonly maxPerSource?: number | undefined;
  /** Milliseconds without a byte in either direction before a connection is closed; keep-alive counts. */
  readonly idle?: number | undefined;
  /** The same for one that was accepted, as long as neither a whole message nor a ping came by it. */
  readonly mute?: number | undefined;
  /** Milliseconds in which a slow reader must take something of what waits for it. */
  readonly writeTimeout?: number | undefined;
  /** Milliseconds from the first byte of a message to its last. */
  readonly messageTimeout?: number | undefined;
  /** Milliseconds for the connection to be made, TLS handshake included. */
  readonly connectTimeout?: number | undefined;
  /** Bytes that may wait for a slow reader. */
  readonly queueBytes?: number | undefined;
  /** The same for all connections together; beyond it nothing more is sent until some of it left. */
  readonly queuedBytes?: number | undefined;
  /** Bytes that the unfinished messages of all connections may take; beyond it the largest goes, with its connection. */
  readonly unfinishedBytes?: number | undefined;
}

export const streamDefaults = {
  maxConnections: 20_000,
  maxPerSource: 2_000,
  idle: 600_000,
  mute: 120_000,
  writeTimeout: 60_000,
  messageTimeout: 32_000,
  connectTimeout: 10_000,
  queueBytes: 262_144,
  queuedBytes: 67_108_864,
  unfinishedBytes: 16_777_216,
} as const;

/** What a transport over connections is given from outside. */
export interface StreamDeps {
  /** Time-outs go by it. */
  readonly clock: Clock;
  /** Where it tells what it notices. */
  readonly log: Log;
  /** For the jitter of keep-alive. */
  readonly random: Random;
  /** One that is shared with others; default one of its own. */
  readonly wheel?: Wheel | undefined;
}

/** What makes connections. Nothing here throws; errors come as events of the socket. */
export interface Connector {
  /** `made` is called once, and only for a connection whose other side is known: before that nothing is sent. */
  connect(remote: Address, name: string, made: (peer: Peer | undefined) => void): Socket;
  /** Resolves when it listens. `accept` gets every connection. */
  listen(
    accept: (socket: Socket, peer: Peer | undefined) => void,
  ): Promise<{ local: Address; close(): Promise<void> }>;
  counts?(): Record<string, number>;
}

/** Milliseconds for which a connection is left alone after it was last used: a transaction may be alive on it. */
const FRESH = 32_000;

export function createStreamTransport(
  deps: StreamDeps,
  protocol: Protocol,
  connector: Connector,
  options: StreamOptions & { readonly listens: boolean },
): Transport {
  const { clock, log, random } = deps;
  const most = options.maxConnections ?? streamDefaults.maxConnections;
  const mostPerSource = options.maxPerSource ?? streamDefaults.maxPerSource;
  const pool = createPool(protocol === 'tls');
  const counts = {
    accepted: 0,
    connected: 0,
    refused: 0,
    broken: 0,
    crowded: 0,
    displaced: 0,
    messages: 0,
    received: 0,
    sent: 0,
  };
  const mostUnfinished = options.unfinishedBytes ?? streamDefaults.unfinishedBytes;
  const mostQueued = options.queuedBytes ?? streamDefaults.queuedBytes;
  let unfinished = 0;
  let queued = 0;
  let receiver: Receiver | undefined;
  let server: { local: Address; close(): Promise<void> } | undefined;
  let nextId = 1;

  const room: StreamRoom = {
    clock,
    random,
    wheel: deps.wheel ?? createWheel(clock),
    protocol,
    limits: options.limits ?? {},
    idle: options.idle ?? streamDefaults.idle,
    messageTimeout: options.messageTimeout ?? streamDefaults.messageTimeout,
    connectTimeout: options.connectTimeout ?? streamDefaults.connectTimeout,
    queueBytes: options.queueBytes ?? streamDefaults.queueBytes,
    mute: options.mute ?? streamDefaults.mute,
    writeTimeout: options.writeTimeout ?? streamDefaults.writeTimeout,
    mayQueue: (bytes) => queued === 0 || queued + bytes <= mostQueued,
    queued(bytes) {
      queued += bytes;
    },
    opened(flow) {
      counts.connected += 1;
      // RFC 5923 §8.1: it may be used for every name that the certificate proves.
      pool.alias(flow, flow.remote);
    },
    alias(flow, port) {
      if (!flow.opened) pool.alias(flow, { host: flow.remote.host, port });
    },
    message(flow, bytes, parsed) {
      counts.messages += 1;
      counts.received += bytes.length;
      receiver?.message(flow, bytes, parsed);
    },
    broken(flow, why) {
      counts.broken += 1;
      log.debug('stream lost its framing', { remote: showAddress(flow.remote), why });
      receiver?.broken(flow, why);
    },
    closed(flow, cause) {
      pool.remove(flow);
      receiver?.closed(flow, cause);
    },
    sent(bytes) {
      counts.sent += bytes;
    },
    holds(bytes) {
      unfinished += bytes;
      if (bytes < 0 || unfinished <= mostUnfinished) return;
      // Anybody who can connect can begin messages without end. Whoever holds the most is no ordinary peer.
      let largest: StreamFlow | undefined;
      for (const flow of pool.all()) if (flow.held > (largest?.held ?? 0)) largest = flow;
      if (!largest) return;
      counts.crowded += 1;
      const why = 'too much of unfinished messages waits';
      largest.close(new SipError('FRAMING_LOST', { remote: showAddress(largest.remote), why }));
    },
  };

  const accept = (socket: Socket, peer: Peer | undefined): void => {
    const remote = addressOf(socket.remoteAddress, socket.remotePort);
    if (receiver === undefined || pool.size >= most || !placeFor(remote.host)) {
      counts.refused += 1;
      socket.on('error', () => undefined);
      socket.destroy();
      return;
    }
    counts.accepted += 1;
    const flow = new StreamFlow(room, nextId++, socket, remote, peer);
    pool.add(flow);
    pool.alias(flow, remote);
  };

  /** Whether that source may have one more connection, perhaps in place of an old one. */
  const placeFor = (host: string): boolean => {
    if (pool.fromSource(host) < mostPerSource) return true;
    const idlest = pool.idlest(host, clock.now() - FRESH);
    if (idlest === undefined) return false;
    counts.displaced += 1;
    idlest.close(new SipError('TOO_MANY_FLOWS', { count: mostPerSource }));
    return true;
  };

  return {
    protocol,
    get local() {
      return server?.local ?? { host: '', port: 0 };
    },
    async start(given) {
      receiver = given;
      if (options.listens) server = await connector.listen(accept);
    },
    connect(given, asked): Flow {
      const remote = given.host.includes(':') ? { host: canonicalHost(given.host), port: given.port } : given;
      const name = asciiName(asked ?? remote.host);
      const known = pool.find(remote, name);
      if (known !== undefined) return known;
      const full = pool.size >= most || receiver === undefined;
      const socket = connector.connect(remote, name, (peer) => flow.connected(peer));
      const flow: StreamFlow = new StreamFlow(room, nextId++, socket, remote, undefined, { name });
      pool.add(flow);
      if (full) {
        counts.refused += 1;
        // At the next microtask, so that whoever asked can listen first.
        queueMicrotask(() => flow.close(new SipError('TOO_MANY_FLOWS', { count: most })));
      }
      return flow;
    },
    async checkLocal(gone, towards) {
      if (gone.size === 0) return;
      for (const flow of [...pool.all()]) {
        const { local, remote } = flow;
        if (flow.state !== 'open' || !gone.has(unscoped(local.host))) continue;
        const now = await towards(remote);
        if (now === undefined || sameHost(now, local.host)) continue;
        flow.close(
          new SipError('FLOW_MOVED', { protocol, remote: showAddress(remote), was: local.host, now }),
        );
      }
    },
    async stop() {
      for (const flow of [...pool.all()]) flow.close();
      await server?.close();
      server = undefined;
      receiver = undefined;
    },
    counts: () => ({
      ...counts,
      ...connector.counts?.(),
      unfinished,
      queued,
      flows: pool.size,
      timers: room.wheel.size,
    }),
  };
}
