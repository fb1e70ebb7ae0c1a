import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { isIP } from 'node:net';
import type { Clock, Log, Timer } from '../deps.ts';
import { SipError } from '../errors.ts';
import type { Limits } from '../message/limits.ts';
import { type ParseResult, parseMessage } from '../message/parse.ts';
import { createWheel, type Wheel } from '../wheel.ts';
import { addressOf, plainHost, showAddress } from './address.ts';
import { CloseListeners } from './close-listeners.ts';
import type { Address, Flow, KeepAlive, Receiver, Transport } from './transport.ts';

/** How a UDP transport is made. */
export interface UdpOptions {
  /** Where to bind: an IP literal, `0.0.0.0` or `::` (both families) for all. */
  readonly host: string;
  /** 0 takes any. */
  readonly port: number;
  /** Bounds of messages that differ from the defaults. */
  readonly limits?: Partial<Limits> | undefined;
  /** Remote addresses remembered; the one that was quiet longest is forgotten, which closes nothing. */
  readonly maxFlows?: number | undefined;
}

/** The part of node:dgram that is used; tests put failing ones in its place. */
export type Datagrams = (options: {
  type: 'udp4' | 'udp6';
  lookup: (
    host: string,
    options: unknown,
    done: (error: Error | null, address: string, family: number) => void,
  ) => void;
  recvBufferSize?: number;
}) => Socket;

/** What a UDP transport is given from outside. */
export interface UdpDeps {
  /** Keep-alive goes by it. */
  readonly clock: Clock;
  /** Where it tells what it notices. */
  readonly log: Log;
  /** One that is shared with others; default one of its own. */
  readonly wheel?: Wheel | undefined;
  /** Makes sockets; default that of node:dgram. */
  readonly datagrams?: Datagrams | undefined;
}

const DEFAULT_FLOWS = 20_000;
/** Bytes asked of the operating system to hold a burst; it may give less. */
const RECEIVE_BUFFER = 1_048_576;
/** Milliseconds after which the own address towards a peer is looked up again: networks change. */
const LOCAL_FRESH = 10_000;
const KEEP_ALIVE = Buffer.from('\r\n\r\n');

/**
 * SIP over UDP (RFC 3261 §18). A flow is a remote address and nothing more; an error of one datagram rejects its
 * `send` and leaves the flow as it is. Names are never looked up here: Node's own look-up costs a turn of the loop for
 * every datagram even where there is nothing to look up.
 */
export function createUdpTransport(deps: UdpDeps, options: UdpOptions): Transport {
  const { clock, log } = deps;
  const wheel = deps.wheel ?? createWheel(clock);
  const datagrams: Datagrams = deps.datagrams ?? ((given) => createSocket(given));
  const type = options.host.includes(':') ? 'udp6' : 'udp4';
  const wildcard = options.host === '0.0.0.0' || options.host === '::';
  const most = options.maxFlows ?? DEFAULT_FLOWS;
  const flows = new Map<string, UdpFlow>();
  const counts = { messages: 0, received: 0, sent: 0, failed: 0, keepAlives: 0, foreign: 0 };
  let receiver: Receiver | undefined;
  let socket: Socket | undefined;
  let local: Address = { host: options.host, port: options.port };
  let nextId = 1;

  const make = (): Socket => datagrams({ type, lookup: literalOnly, recvBufferSize: RECEIVE_BUFFER });

  const room: UdpRoom = {
    clock,
    wheel,
    get local() {
      return local;
    },
    send(remote, bytes) {
      return new Promise((resolve, reject) => {
        const fail = (cause: unknown): void => {
          counts.failed += 1;
          reject(new SipError('FLOW_REFUSED', { protocol: 'udp', remote: showAddress(remote), cause }));
        };
        if (socket === undefined) {
          fail(new Error('the transport is stopped'));
          return;
        }
        const host = type === 'udp6' && !remote.host.includes(':') ? `::ffff:${remote.host}` : remote.host;
        try {
          socket.send(bytes, remote.port, host, (error) => {
            if (error) fail(error);
            else {
              counts.sent += bytes.length;
              resolve();
            }
          });
        } catch (error) {
          // A port out of range, a socket that was just closed.
          fail(error);
        }
      });
    },
    findLocal(remote) {
      if (!wildcard) return Promise.resolve(local);
      return probe(datagrams, remote).then((host) => ({ host: host ?? local.host, port: local.port }));
    },
    closed(flow, cause) {
      const key = showAddress(flow.remote);
      if (flows.get(key) === flow) flows.delete(key);
      receiver?.closed(flow, cause);
    },
  };

  const flowTo = (remote: Address, opened: boolean): UdpFlow => {
    const key = showAddress(remote);
    const known = flows.get(key);
    if (known !== undefined) {
      known.used = true;
      return known;
    }
    if (flows.size >= most) forgetOne(flows);
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
    // STUN (RFC 5389 §6) and other binary traffic on the port: SIP begins with a letter or another token.
    if ((bytes[0] ?? 0) < 10) {
      counts.foreign += 1;
      return;
    }
    counts.messages += 1;
    counts.received += bytes.length;
    const parsed: ParseResult = parseMessage(bytes, options.limits);
    receiver.message(flowTo({ host: plainHost(from.address), port: from.port }, false), bytes, parsed);
  };

  return {
    protocol: 'udp',
    get local() {
      return local;
    },
    start(given) {
      receiver = given;
      const bound = make();
      return new Promise((resolve, reject) => {
        bound.once('error', (cause) => {
          bound.close();
          reject(new SipError('CANNOT_LISTEN', { protocol: 'udp', local: showAddress(options), cause }));
        });
        bound.bind({ address: options.host, port: options.port }, () => {
          bound.removeAllListeners('error');
          bound.on('error', (error) => log.warn('udp socket failed', { error: error.message }));
          bound.on('message', take);
          const address = bound.address();
          local = addressOf(address.address, address.port);
          socket = bound;
          resolve();
        });
      });
    },
    connect: (remote) => flowTo(remote, true),
    async stop() {
      for (const flow of [...flows.values()]) flow.close();
      const closing = socket;
      socket = undefined;
      receiver = undefined;
      if (closing !== undefined) await new Promise<void>((done) => closing.close(() => done()));
    },
    counts: () => ({ ...counts, flows: flows.size }),
  };
}

interface UdpRoom {
  readonly clock: Clock;
  readonly wheel: Wheel;
  readonly local: Address;
  send(remote: Address, bytes: Buffer): Promise<void>;
  findLocal(remote: Address): Promise<Address>;
  closed(flow: UdpFlow, cause: Error | undefined): void;
}

/** A class, since a stack may hold ten thousand of them. */
class UdpFlow implements Flow {
  readonly id: number;
  readonly remote: Address;
  readonly opened: boolean;
  state: 'open' | 'closed' = 'open';
  /** Whether it was used since the table was last searched for a quiet one. */
  used = true;
  private readonly room: UdpRoom;
  private seen: Address | undefined = undefined;
  private seenAt = 0;
  private cause: Error | undefined = undefined;
  private readonly listeners = new CloseListeners();
  private pinger: Timer | undefined = undefined;

  constructor(room: UdpRoom, id: number, remote: Address, opened: boolean) {
    this.room = room;
    this.id = id;
    this.remote = remote;
    this.opened = opened;
  }

  get protocol(): 'udp' {
    return 'udp';
  }

  get reliable(): boolean {
    return false;
  }

  get local(): Address {
    return this.seen ?? this.room.local;
  }

  /** Whether somebody relies on this very object. */
  get held(): boolean {
    return this.pinger !== undefined || this.listeners.any;
  }

  async ready(): Promise<void> {
    if (this.state === 'closed') throw this.gone();
    const now = this.room.clock.now();
    if (this.seen !== undefined && now - this.seenAt < LOCAL_FRESH) return;
    this.seen = await this.room.findLocal(this.remote);
    this.seenAt = now;
  }

  send(bytes: Buffer): Promise<void> {
    if (this.state === 'closed') return Promise.reject(this.gone());
    this.used = true;
    return this.room.send(this.remote, bytes);
  }

  keepAlive(options: KeepAlive | undefined): void {
    this.pinger?.cancel();
    this.pinger = undefined;
    if (options === undefined || this.state === 'closed') return;
    this.pinger = this.room.wheel.after(options.interval, () => {
      // What is lost says nothing: only the answers to requests tell whether the path is there.
      this.send(KEEP_ALIVE).catch(() => undefined);
      this.keepAlive(options);
    });
  }

  onClose(listener: (cause: Error | undefined) => void): () => void {
    return this.state === 'closed' ? this.listeners.late(listener, this.cause) : this.listeners.add(listener);
  }

  close(cause?: Error): void {
    if (this.state === 'closed') return;
    this.state = 'closed';
    this.cause = cause;
    this.pinger?.cancel();
    this.pinger = undefined;
    this.room.closed(this, cause);
    this.listeners.tell(cause);
  }

  private gone(): SipError {
    return new SipError('FLOW_CLOSED', { protocol: 'udp', remote: showAddress(this.remote) });
  }
}

/**
 * Forgets a flow that was quiet (second chance: those used since the last search go to the end of the line). The
 * object itself goes on working for whoever has it.
 */
function forgetOne(flows: Map<string, UdpFlow>): void {
  let tries = flows.size * 2;
  for (const [key, flow] of flows) {
    tries -= 1;
    flows.delete(key);
    if (tries <= 0 || (!flow.used && !flow.held)) return;
    flow.used = false;
    flows.set(key, flow);
  }
}

/** RFC 5626 §3.5.1 and what else is sent to keep a binding open: CRLFs, blanks, NULs, or nothing at all. */
function isKeepAlive(bytes: Buffer): boolean {
  if (bytes.length > 8) return false;
  for (const byte of bytes) {
    if (byte !== 13 && byte !== 10 && byte !== 0 && byte !== 32) return false;
  }
  return true;
}

/** In place of dns.lookup: addresses only. */
function literalOnly(
  host: string,
  _options: unknown,
  done: (error: Error | null, address: string, family: number) => void,
): void {
  const family = isIP(host);
  done(family === 0 ? new Error(`${host} is no IP address`) : null, host, family === 0 ? 4 : family);
}

/** The own address that the system would use towards a peer: that of a socket connected to it. Sends nothing. */
function probe(datagrams: Datagrams, remote: Address): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = datagrams({ type: remote.host.includes(':') ? 'udp6' : 'udp4', lookup: literalOnly });
    const done = (host: string | undefined): void => {
      socket.close();
      resolve(host);
    };
    socket.once('error', () => done(undefined));
    socket.connect(remote.port === 0 ? 5060 : remote.port, remote.host, () =>
      done(plainHost(socket.address().address)),
    );
  });
}
