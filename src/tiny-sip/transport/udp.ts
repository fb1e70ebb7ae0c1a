import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { type Clock, createNodeDeps, type Log, type Random } from '../deps.ts';
import { SipError } from '../errors.ts';
import { ipFamily } from '../message/ip.ts';
import type { Limits } from '../message/limits.ts';
import { type ParseResult, parseMessage } from '../message/parse.ts';
import { createWheel, type Wheel } from '../wheel.ts';
import { addressOf, canonicalHost, plainHost, sameHost, showAddress, unscoped } from './address.ts';
import {
  createLiteralLookup,
  createPresence,
  type Datagrams,
  localAddresses,
  localTowards,
} from './local-address.ts';
import { formatBindingSuccess, formatUnknownAttributes, looksLikeStun, parseStun } from './stun.ts';
import { createStunClient } from './stun-client.ts';
import type { Address, Receiver, Transport } from './transport.ts';
import { forgetOne, UdpFlow, type UdpRoom } from './udp-flow.ts';

export type { Datagrams } from './local-address.ts';

/** How a UDP transport is made. */
export interface UdpOptions {
  /**
   * Where to bind: an IP literal, `0.0.0.0`, or `::` (both families on one socket). Several make a socket each, with
   * `::` for IPv6 alone where IPv4 has one of its own. The first must be had; another whose family this machine does
   * not speak is left out.
   */
  readonly host: string | readonly string[];
  /** 0 takes any, for each socket its own. */
  readonly port: number;
  /** Bounds of messages that differ from the defaults. */
  readonly limits?: Partial<Limits> | undefined;
  /** Remote addresses remembered; the one that was quiet longest is forgotten, which closes nothing. */
  readonly maxFlows?: number | undefined;
}

/** What a UDP transport is given from outside. */
export interface UdpDeps {
  /** Keep-alive goes by it. */
  readonly clock: Clock;
  /** Where it tells what it notices. */
  readonly log: Log;
  /** For STUN transactions; default: the machine's own. */
  readonly random?: Random | undefined;
  /** One that is shared with others; default one of its own. */
  readonly wheel?: Wheel | undefined;
  /** Makes sockets; default that of node:dgram. */
  readonly datagrams?: Datagrams | undefined;
  /** The addresses of this machine; default: as the system tells. Undefined: not known. */
  readonly addresses?: (() => readonly string[] | undefined) | undefined;
}

const DEFAULT_FLOWS = 20_000;
/** Bytes asked of the operating system to hold a burst; it may give less. */
const RECEIVE_BUFFER = 1_048_576;

interface Bound {
  readonly socket: Socket;
  readonly local: Address;
  readonly v4: boolean;
  readonly v6: boolean;
  readonly wildcard: boolean;
}

/**
 * SIP over UDP (RFC 3261 §18). A flow is a remote address and nothing more; an error of one datagram rejects its
 * `send` and leaves the flow as it is. Names are never looked up here: Node's own look-up costs a turn of the loop for
 * every datagram even where there is nothing to look up. STUN binding requests are answered (RFC 5626 §8).
 */
export function createUdpTransport(deps: UdpDeps, options: UdpOptions): Transport {
  const { clock, log } = deps;
  const random = deps.random ?? createNodeDeps().random;
  const wheel = deps.wheel ?? createWheel(clock);
  const datagrams: Datagrams = deps.datagrams ?? ((given) => createSocket(given));
  const hosts = typeof options.host === 'string' ? [options.host] : options.host;
  const most = options.maxFlows ?? DEFAULT_FLOWS;
  const flows = new Map<string, UdpFlow>();
  const counts = { messages: 0, received: 0, sent: 0, failed: 0, keepAlives: 0, stun: 0, foreign: 0 };
  let receiver: Receiver | undefined;
  let sockets: readonly Bound[] = [];
  let nextId = 1;
  /** The flow that the last message came by, as long as the table has it. */
  let latest: UdpFlow | undefined;

  const nowhere: Address = { host: hosts[0] ?? '0.0.0.0', port: options.port };

  /** The socket that reaches such an address. */
  const socketTo = (host: string): Bound | undefined => {
    const v6 = host.includes(':');
    for (const one of sockets) if (v6 ? one.v6 : one.v4) return one;
    return undefined;
  };

  const refused = (remote: Address, cause: unknown): SipError => {
    counts.failed += 1;
    return new SipError('FLOW_REFUSED', { protocol: 'udp', remote: showAddress(remote), cause });
  };

  const post: UdpRoom['post'] = (remote, bytes, failed, sent) => {
    // A socket that cannot reach it says best why.
    const bound = socketTo(remote.host) ?? sockets[0];
    if (bound === undefined) {
      queueMicrotask(() => failed(refused(remote, new Error('the transport is stopped'))));
      return;
    }
    const mapped = !bound.v6 || remote.host.includes(':');
    const host = mapped ? remote.host : `::ffff:${remote.host}`;
    try {
      bound.socket.send(bytes, remote.port, host, (error) => {
        if (error) failed(refused(remote, error));
        else {
          counts.sent += bytes.length;
          sent?.();
        }
      });
    } catch (error) {
      // A port out of range, a socket that was just closed.
      queueMicrotask(() => failed(refused(remote, error)));
    }
  };

  const send = (remote: Address, bytes: Buffer): Promise<void> =>
    new Promise((resolve, reject) => post(remote, bytes, reject, resolve));

  const stun = createStunClient({ clock, random, send });

  const room: UdpRoom = {
    clock,
    random,
    wheel,
    stun,
    bound: (remote) => (socketTo(remote.host) ?? sockets[0])?.local ?? nowhere,
    send,
    post,
    isOurs: createPresence(clock, deps.addresses ?? localAddresses),
    async findLocal(remote) {
      const bound = socketTo(remote.host) ?? sockets[0];
      if (bound === undefined) return nowhere;
      if (!bound.wildcard) return bound.local;
      const host = await localTowards(remote, datagrams);
      // Nothing can be sent now, and what were sent later would show an address that nobody can answer to.
      if (host === undefined) {
        const cause = new Error('there is no way to it');
        throw new SipError('FLOW_REFUSED', { protocol: 'udp', remote: showAddress(remote), cause });
      }
      return { host, port: bound.local.port };
    },
    closed(flow, cause) {
      const key = showAddress(flow.remote);
      if (flows.get(key) === flow) flows.delete(key);
      if (latest === flow) latest = undefined;
      receiver?.closed(flow, cause);
    },
  };

  /** The flow that a datagram came by: mostly that of the one before it, behind one proxy. */
  const flowFrom = (host: string, port: number): UdpFlow => {
    if (latest === undefined || latest.remote.port !== port || latest.remote.host !== host)
      latest = flowTo({ host, port }, false);
    latest.used = true;
    return latest;
  };

  const flowTo = (remote: Address, opened: boolean): UdpFlow => {
    const key = showAddress(remote);
    const known = flows.get(key);
    if (known !== undefined) {
      known.used = true;
      return known;
    }
    // What is forgotten may be the latest, which is to be found in the table for as long as it is used.
    if (flows.size >= most) {
      forgetOne(flows);
      latest = undefined;
    }
    const flow = new UdpFlow(room, nextId++, remote, opened);
    flows.set(key, flow);
    return flow;
  };

  const take = (bytes: Buffer, from: RemoteInfo): void => {
    if (receiver === undefined) return;
    if (isKeepAlive(bytes)) {
      counts.keepAlives += 1;
      return;
    }
    const host = plainHost(from.address);
    if (looksLikeStun(bytes)) {
      takeStun(bytes, { host, port: from.port });
      return;
    }
    // Other binary traffic on the port: SIP begins with a letter or another token.
    if ((bytes[0] ?? 0) < 10) {
      counts.foreign += 1;
      return;
    }
    counts.messages += 1;
    counts.received += bytes.length;
    const parsed: ParseResult = parseMessage(bytes, options.limits);
    receiver.message(flowFrom(host, from.port), bytes, parsed);
  };

  const takeStun = (bytes: Buffer, from: Address): void => {
    const message = parseStun(bytes);
    if (message === undefined) {
      counts.foreign += 1;
      return;
    }
    counts.stun += 1;
    if (message.kind === 'request') {
      const answer =
        message.unknown.length > 0
          ? formatUnknownAttributes(message.transaction, message.unknown)
          : formatBindingSuccess(message.transaction, from);
      // Who asked asks again when it gets nothing.
      send(from, answer).catch(() => undefined);
    } else if (message.kind !== 'indication' && !stun.receive(message, from)) counts.foreign += 1;
  };

  const bind = (host: string): Promise<Bound> => {
    const v6 = host.includes(':');
    // Where IPv4 has a socket of its own, that of IPv6 leaves it alone.
    const both = host === '::' && !hosts.some((one) => !one.includes(':'));
    const socket = datagrams({
      type: v6 ? 'udp6' : 'udp4',
      lookup: createLiteralLookup(),
      recvBufferSize: RECEIVE_BUFFER,
      ipv6Only: v6 && !both,
    });
    return new Promise((resolve, reject) => {
      socket.once('error', (cause) => {
        socket.close();
        const local = showAddress({ host, port: options.port });
        reject(new SipError('CANNOT_LISTEN', { protocol: 'udp', local, cause }));
      });
      socket.bind({ address: host, port: options.port }, () => {
        socket.removeAllListeners('error');
        socket.on('error', (error) => log.warn('udp socket failed', { error: error.message }));
        socket.on('message', take);
        const address = socket.address();
        const local = addressOf(address.address, address.port);
        resolve({ socket, local, v4: !v6 || both, v6, wildcard: host === '0.0.0.0' || host === '::' });
      });
    });
  };

  const release = async (bound: readonly Bound[]): Promise<void> => {
    await Promise.all(bound.map(({ socket }) => new Promise<void>((done) => socket.close(() => done()))));
  };

  return {
    protocol: 'udp',
    get local() {
      return sockets[0]?.local ?? nowhere;
    },
    async start(given) {
      receiver = given;
      const bound: Bound[] = [];
      for (const host of hosts) {
        try {
          bound.push(await bind(host));
        } catch (error) {
          if (bound.length > 0 && isMissingFamily(error)) {
            log.info('udp is bound without one of its addresses', { host, error: String(error) });
            continue;
          }
          await release(bound);
          throw error;
        }
      }
      sockets = bound;
    },
    connect: (remote) => {
      const host = ipFamily(remote.host) === 6 ? canonicalHost(remote.host) : remote.host;
      return flowTo({ host, port: remote.port }, true);
    },
    reaches: (host) => sockets.length === 0 || socketTo(host) !== undefined,
    async checkLocal(gone, towards) {
      for (const flow of [...flows.values()]) {
        const bound = socketTo(flow.remote.host);
        const was = flow.local.host;
        // The way to a peer that is kept open may change although both addresses stay.
        if (!bound?.wildcard || !(flow.keptAlive || (flow.held && gone.has(unscoped(was))))) continue;
        const now = await towards(flow.remote);
        if (now === undefined || was === bound.local.host || sameHost(now, was)) continue;
        const remote = showAddress(flow.remote);
        flow.close(new SipError('FLOW_MOVED', { protocol: 'udp', remote, was, now }));
      }
    },
    async stop() {
      for (const flow of [...flows.values()]) flow.close();
      const closing = sockets;
      sockets = [];
      receiver = undefined;
      await release(closing);
    },
    counts: () => ({ ...counts, flows: flows.size, asked: stun.size }),
  };
}

/** The machine has no such family, or no address of it. */
function isMissingFamily(error: unknown): boolean {
  const cause = error instanceof Error ? (error.cause as { code?: unknown } | undefined) : undefined;
  return cause?.code === 'EAFNOSUPPORT' || cause?.code === 'EADDRNOTAVAIL';
}

/** RFC 5626 §3.5.1 and what else is sent to keep a binding open: CRLFs, blanks, NULs, or nothing at all. */
function isKeepAlive(bytes: Buffer): boolean {
  if (bytes.length > 8) return false;
  for (const byte of bytes) {
    if (byte !== 13 && byte !== 10 && byte !== 0 && byte !== 32) return false;
  }
  return true;
}
