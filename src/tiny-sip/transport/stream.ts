import type { Socket } from 'node:net';
import type { Clock, Log, Random } from '../deps.ts';
import { SipError } from '../errors.ts';
import type { Limits } from '../message/limits.ts';
import { createWheel, type Wheel } from '../wheel.ts';
import { addressOf, showAddress } from './address.ts';
import { StreamFlow, type StreamRoom } from './stream-flow.ts';
import type { Address, Flow, Protocol, Receiver, Transport } from './transport.ts';

/** A transport over connections, whatever makes them: TCP here, TLS on the same face. */

/** Bounds of a transport over connections. */
export interface StreamOptions {
  /** Bounds of messages that differ from the defaults. */
  readonly limits?: Partial<Limits> | undefined;
  /** Connections in both directions. */
  readonly maxConnections?: number | undefined;
  /** Milliseconds without a byte in either direction before a connection is closed; keep-alive counts. */
  readonly idle?: number | undefined;
  /** Milliseconds from the first byte of a message to its last. */
  readonly messageTimeout?: number | undefined;
  /** Milliseconds for the connection to be made. */
  readonly connectTimeout?: number | undefined;
  /** Bytes that may wait for a slow reader. */
  readonly queueBytes?: number | undefined;
  /** Bytes that the unfinished messages of all connections may take; beyond it the largest goes, with its connection. */
  readonly unfinishedBytes?: number | undefined;
}

export const streamDefaults = {
  maxConnections: 20_000,
  idle: 600_000,
  messageTimeout: 32_000,
  connectTimeout: 10_000,
  queueBytes: 262_144,
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
  connect(remote: Address): Socket;
  /** Resolves when it listens. `accept` gets every connection. */
  listen(accept: (socket: Socket) => void): Promise<{ local: Address; close(): Promise<void> }>;
}

export function createStreamTransport(
  deps: StreamDeps,
  protocol: Protocol,
  connector: Connector,
  options: StreamOptions & { readonly listens: boolean },
): Transport {
  const { clock, log, random } = deps;
  const most = options.maxConnections ?? streamDefaults.maxConnections;
  const flows = new Map<string, StreamFlow>();
  const counts = {
    accepted: 0,
    connected: 0,
    refused: 0,
    broken: 0,
    crowded: 0,
    messages: 0,
    received: 0,
    sent: 0,
  };
  const mostUnfinished = options.unfinishedBytes ?? streamDefaults.unfinishedBytes;
  let unfinished = 0;
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
    opened() {
      counts.connected += 1;
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
      const key = showAddress(flow.remote);
      if (flows.get(key) === flow) flows.delete(key);
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
      for (const flow of flows.values()) if (flow.held > (largest?.held ?? 0)) largest = flow;
      if (!largest) return;
      counts.crowded += 1;
      const why = 'too much of unfinished messages waits';
      largest.close(new SipError('FRAMING_LOST', { remote: showAddress(largest.remote), why }));
    },
  };

  const accept = (socket: Socket): void => {
    const remote = addressOf(socket.remoteAddress, socket.remotePort);
    if (receiver === undefined || flows.size >= most) {
      counts.refused += 1;
      socket.on('error', () => undefined);
      socket.destroy();
      return;
    }
    counts.accepted += 1;
    flows.set(showAddress(remote), new StreamFlow(room, nextId++, socket, remote, false));
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
    connect(remote): Flow {
      const key = showAddress(remote);
      const known = flows.get(key);
      if (known !== undefined && known.state !== 'closed') return known;
      const full = flows.size >= most || receiver === undefined;
      const flow = new StreamFlow(room, nextId++, connector.connect(remote), remote, true);
      flows.set(key, flow);
      if (full) {
        counts.refused += 1;
        // At the next microtask, so that whoever asked can listen first.
        queueMicrotask(() => flow.close(new SipError('TOO_MANY_FLOWS', { count: most })));
      }
      return flow;
    },
    async stop() {
      const open = [...flows.values()];
      for (const flow of open) flow.close();
      await server?.close();
      server = undefined;
      receiver = undefined;
    },
    counts: () => ({ ...counts, unfinished, flows: flows.size, timers: room.wheel.size }),
  };
}
