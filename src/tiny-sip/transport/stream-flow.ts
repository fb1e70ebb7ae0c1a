import type { Socket } from 'node:net';
import type { Clock, Random, Timer } from '../deps.ts';
import { SipError } from '../errors.ts';
import type { Limits } from '../message/limits.ts';
import type { ParseResult } from '../message/parse.ts';
import type { Wheel } from '../wheel.ts';
import { addressOf, showAddress } from './address.ts';
import { CloseListeners } from './close-listeners.ts';
import { createFramer, type Framer, type FrameSink } from './framer.ts';
import { Keepers } from './keepers.ts';
import type { Address, Flow, KeepAlive, Peer, Protocol } from './transport.ts';

/** Milliseconds that the peer has to close its side after we closed ours. */
const LINGER = 2_000;
/** RFC 5626 §4.4.1: a ping is a double CRLF, a pong a single one. */
const PING = Buffer.from('\r\n\r\n');
const PONG = Buffer.from('\r\n');
/** RFC 5626 §4.4.1: the next ping after 80 to 100 % of the interval, so that many clients do not beat as one. */
const PING_SPREAD = 0.2;

/** What the flows of one transport share. */
export interface StreamRoom {
  readonly clock: Clock;
  readonly random: Random;
  readonly wheel: Wheel;
  readonly protocol: Protocol;
  readonly limits: Partial<Limits>;
  /** Milliseconds. */
  readonly idle: number;
  readonly messageTimeout: number;
  readonly connectTimeout: number;
  /** How long a connection that was accepted may say nothing whole, ms. */
  readonly mute: number;
  /** How long nothing of what waits may leave, ms. */
  readonly writeTimeout: number;
  /** Bytes. */
  readonly queueBytes: number;
  /** Whether so many bytes more may wait for slow readers, all connections together. */
  mayQueue(bytes: number): boolean;
  /** What waits for slow readers grew by so many bytes, or shrank. */
  queued(bytes: number): void;
  opened(flow: StreamFlow): void;
  alias(flow: StreamFlow, port: number): void;
  message(flow: StreamFlow, bytes: Buffer, parsed: ParseResult): void;
  broken(flow: StreamFlow, why: string): void;
  closed(flow: StreamFlow, cause: Error | undefined): void;
  sent(bytes: number): void;
  /** The memory of unfinished messages grew by so many bytes, or shrank. */
  holds(bytes: number): void;
}

/** A message that waits for the connection to be made: before the other side is known nothing leaves. */
interface Early {
  readonly bytes: Buffer;
  readonly failed: (cause: Error) => void;
  readonly sent: (() => void) | undefined;
}

/** One connection. A class, since a stack may hold ten thousand of them. */
export class StreamFlow implements Flow, FrameSink {
  readonly id: number;
  readonly reliable = true;
  readonly opened: boolean;
  readonly remote: Address;
  local: Address;
  state: 'connecting' | 'open' | 'closed';
  peer: Peer | undefined;
  /** The domain that was asked for when this side opened it. */
  readonly name: string | undefined;
  /** Why it was closed, when it was not at our wish. */
  cause: Error | undefined;
  private readonly room: StreamRoom;
  private readonly socket: Socket;
  private readonly framer: Framer;
  private readonly listeners = new CloseListeners();
  private early: Early[] = [];
  private waiting: { resolve: () => void; reject: (cause: Error) => void }[] = [];
  /** When bytes last went either way, monotonic ms. */
  active: number;
  private earlyBytes = 0;
  /** What the room was told of bytes that wait. */
  private counted = 0;
  /** When bytes last left, or began to wait. */
  private moved = 0;
  /** Whether anything whole came in yet. */
  private spoken = false;
  /** Bytes of memory that an unfinished message takes. */
  held = 0;
  /** When the first byte of an unfinished message came. */
  private begun: number | undefined;
  private idleTimer: Timer | undefined;
  private messageTimer: Timer | undefined;
  private pingTimer: Timer | undefined;
  private pongTimer: Timer | undefined;
  private writeTimer: Timer | undefined;
  private readonly keepers = new Keepers();
  /** CRLFs since the last message or answer. */
  private crlfs = 0;

  /**
   * @param peer of a connection that was accepted
   * @param asked of one that this side opens: the domain that was asked for. It counts as made with `connected`.
   */
  constructor(
    room: StreamRoom,
    id: number,
    socket: Socket,
    remote: Address,
    peer: Peer | undefined,
    asked?: { readonly name: string },
  ) {
    const opened = asked !== undefined;
    this.room = room;
    this.id = id;
    this.socket = socket;
    this.remote = remote;
    this.opened = opened;
    this.peer = peer;
    this.name = asked?.name;
    this.local = addressOf(socket.localAddress, socket.localPort);
    this.state = opened ? 'connecting' : 'open';
    this.cause = undefined;
    this.framer = createFramer(this, room.limits);
    this.active = room.clock.now();
    this.begun = undefined;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.take(chunk));
    socket.on('error', (error: Error) => {
      this.cause ??= this.refused(error);
    });
    socket.on('close', () => this.finish(this.cause));
    if (opened) {
      this.idleTimer = room.wheel.after(Math.max(1_000, room.connectTimeout), () =>
        this.close(this.refused(new Error(`no connection within ${room.connectTimeout} ms`))),
      );
    } else this.watchIdle(Math.min(room.idle, room.mute));
  }

  /** The connection stands, and the other side is who it must be. */
  connected(peer: Peer | undefined): void {
    if (this.state !== 'connecting') return;
    this.state = 'open';
    this.peer = peer;
    this.local = addressOf(this.socket.localAddress, this.socket.localPort);
    this.active = this.room.clock.now();
    this.idleTimer?.cancel();
    this.watchIdle(this.room.idle);
    this.room.opened(this);
    this.earlyBytes = 0;
    for (const { bytes, failed, sent } of this.early.splice(0)) this.write(bytes, failed, sent);
    for (const { resolve } of this.waiting.splice(0)) resolve();
  }

  /** Whether somebody relies on this very connection. */
  get wanted(): boolean {
    return this.keepers.merged !== undefined || this.listeners.any;
  }

  get protocol(): Protocol {
    return this.room.protocol;
  }

  ready(): Promise<void> {
    if (this.state === 'open') return Promise.resolve();
    if (this.state === 'closed') return Promise.reject(this.cause ?? this.gone());
    return new Promise((resolve, reject) => this.waiting.push({ resolve, reject }));
  }

  send(bytes: Buffer): Promise<void> {
    return new Promise((resolve, reject) => this.put(bytes, reject, resolve));
  }

  post(bytes: Buffer, failed: (cause: unknown) => void): void {
    this.put(bytes, failed, undefined);
  }

  private put(bytes: Buffer, failed: (cause: Error) => void, sent: (() => void) | undefined): void {
    const refusal = this.refusal(bytes.length);
    if (refusal !== undefined) queueMicrotask(() => failed(refusal));
    else if (this.state === 'open') this.write(bytes, failed, sent);
    else {
      this.early.push({ bytes, failed, sent });
      this.earlyBytes += bytes.length;
      this.count();
    }
  }

  /** Why so many bytes cannot be sent now. A slow reader must not fill our memory; one message passes whatever its size. */
  private refusal(length: number): SipError | undefined {
    if (this.state === 'closed') return this.gone();
    const { waits } = this;
    if (!(waits > 0 && waits + length > this.room.queueBytes) && this.room.mayQueue(length)) return undefined;
    return new SipError('QUEUE_FULL', { remote: this.shown, bytes: waits });
  }

  private write(bytes: Buffer, failed: (cause: Error) => void, sent: (() => void) | undefined): void {
    const { socket, room } = this;
    const before = socket.writableLength;
    if (before === 0) this.moved = room.clock.now();
    socket.write(bytes, (error) => {
      this.count();
      if (error) failed(this.cause ?? this.gone(error));
      else {
        this.moved = room.clock.now();
        this.active = this.moved;
        room.sent(bytes.length);
        sent?.();
      }
    });
    // Mostly the system takes it at once.
    if (before === 0 && this.counted === 0 && socket.writableLength === 0) return;
    this.count();
    if (socket.writableLength > 0 && this.state !== 'closed') this.watchWrites(room.writeTimeout);
  }

  /** Bytes that were to be sent and that the operating system has not taken. */
  private get waits(): number {
    return this.earlyBytes + this.socket.writableLength;
  }

  private count(): void {
    const more = this.waits - this.counted;
    this.counted += more;
    if (more !== 0) this.room.queued(more);
  }

  /** A peer that reads nothing would hold what waits for it, and whoever waits for an answer, until it is idle. */
  private watchWrites(ms: number): void {
    this.writeTimer ??= this.room.wheel.after(ms, () => {
      this.writeTimer = undefined;
      if (this.waits === 0 || this.state === 'closed') return;
      const left = this.moved + this.room.writeTimeout - this.room.clock.now();
      if (left > 0) this.watchWrites(left);
      else {
        const seconds = this.room.writeTimeout / 1_000;
        this.close(new SipError('FLOW_STALLED', { remote: this.shown, bytes: this.waits, seconds }));
      }
    });
  }

  keepAlive(options: KeepAlive): () => void {
    return this.keepers.add(options, () => {
      this.pingTimer?.cancel();
      this.pongTimer?.cancel();
      this.pingTimer = undefined;
      this.pongTimer = undefined;
      this.planPing();
    });
  }

  onClose(listener: (cause: Error | undefined) => void): () => void {
    return this.state === 'closed' ? this.listeners.late(listener, this.cause) : this.listeners.add(listener);
  }

  close(cause?: Error): void {
    if (this.state === 'closed') return;
    this.cause ??= cause;
    if (cause !== undefined || this.state === 'connecting') this.socket.destroy();
    else {
      this.socket.end();
      const linger = this.room.wheel.after(LINGER, () => this.socket.destroy());
      this.socket.once('close', () => linger.cancel());
    }
    this.finish(cause);
  }

  alias(port: number): void {
    this.room.alias(this, port);
  }

  // FrameSink

  frame(bytes: Buffer, parsed: ParseResult): void {
    this.crlfs = 0;
    this.begun = undefined;
    this.spoken = true;
    this.room.message(this, bytes, parsed);
  }

  crlf(): void {
    if (this.pongTimer !== undefined) {
      this.pongTimer.cancel();
      this.pongTimer = undefined;
      this.planPing();
      return;
    }
    this.crlfs += 1;
    if (this.crlfs < 2) return;
    this.crlfs = 0;
    this.spoken = true;
    // RFC 5626 §4.4.1: a double CRLF between messages is answered with a single one. A peer that only pings and
    // never reads must not fill the queue.
    if (this.socket.writableLength === 0 && this.state === 'open') this.socket.write(PONG);
  }

  lost(why: string): void {
    const cause = new SipError('FRAMING_LOST', { remote: this.shown, why });
    this.room.broken(this, why);
    // What was answered goes out first; nothing more is read.
    if (this.state === 'closed') return;
    this.cause ??= cause;
    this.close();
  }

  private take(chunk: Buffer): void {
    if (this.state === 'closed') return;
    const now = this.room.clock.now();
    this.active = now;
    this.framer.push(chunk);
    this.hold(this.framer.held);
    if (!this.framer.partial) {
      this.begun = undefined;
      return;
    }
    this.begun ??= now;
    this.messageTimer ??= this.room.wheel.after(this.room.messageTimeout, () => this.checkMessage());
  }

  private hold(bytes: number): void {
    const more = bytes - this.held;
    this.held = bytes;
    if (more !== 0) this.room.holds(more);
  }

  /** RFC 4475 §3.1.2.2: when the rest of a message does not come in a reasonable time, the connection is closed. */
  private checkMessage(): void {
    this.messageTimer = undefined;
    if (this.begun === undefined || this.state === 'closed') return;
    const left = this.begun + this.room.messageTimeout - this.room.clock.now();
    if (left > 0) this.messageTimer = this.room.wheel.after(left, () => this.checkMessage());
    else
      this.close(
        new SipError('FRAMING_LOST', { remote: this.shown, why: 'the rest of a message did not come' }),
      );
  }

  private watchIdle(ms: number): void {
    this.idleTimer = this.room.wheel.after(Math.max(1_000, ms), () => {
      const patience = this.opened || this.spoken || this.wanted ? this.room.idle : this.room.mute;
      const left = this.active + Math.min(patience, this.room.idle) - this.room.clock.now();
      if (left > 0) this.watchIdle(left);
      else this.close(new SipError('FLOW_IDLE', { ...this.named, seconds: patience / 1_000 }));
    });
  }

  private planPing(): void {
    const keep = this.keepers.merged;
    if (keep === undefined || this.state === 'closed') return;
    const wait = keep.interval * (1 - PING_SPREAD * this.room.random.float());
    this.pingTimer = this.room.wheel.after(wait, () => this.ping(keep));
  }

  private ping(keep: KeepAlive): void {
    if (this.state !== 'open') {
      if (this.state === 'connecting') this.planPing();
      return;
    }
    const { pong } = keep;
    if (pong === undefined) this.planPing();
    else
      this.pongTimer = this.room.wheel.after(pong, () =>
        this.close(new SipError('FLOW_SILENT', { ...this.named, seconds: pong / 1_000 })),
      );
    this.active = this.room.clock.now();
    this.socket.write(PING);
  }

  private finish(cause: Error | undefined): void {
    if (this.state === 'closed') return;
    const connecting = this.state === 'connecting';
    this.state = 'closed';
    this.framer.stop();
    this.hold(0);
    const { idleTimer, messageTimer, pingTimer, pongTimer, writeTimer } = this;
    for (const timer of [idleTimer, messageTimer, pingTimer, pongTimer, writeTimer]) timer?.cancel();
    const why = cause ?? this.cause;
    this.cause = why ?? (connecting ? this.gone() : undefined);
    this.earlyBytes = 0;
    this.count();
    for (const { failed } of this.early.splice(0)) failed(this.cause ?? this.gone());
    for (const { reject } of this.waiting.splice(0)) reject(this.cause ?? this.gone());
    this.room.closed(this, why);
    this.listeners.tell(why);
  }

  private get shown(): string {
    return showAddress(this.remote);
  }

  private get named(): { protocol: Protocol; remote: string } {
    return { protocol: this.protocol, remote: this.shown };
  }

  private gone(cause?: Error): SipError {
    return new SipError('FLOW_CLOSED', { ...this.named, ...(cause === undefined ? {} : { cause }) });
  }

  private refused(cause: Error): SipError {
    if (cause instanceof SipError) return cause;
    return this.state === 'connecting'
      ? new SipError('FLOW_REFUSED', { ...this.named, cause })
      : this.gone(cause);
  }
}
