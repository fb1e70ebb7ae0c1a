import type { Clock, Random, Timer } from '../deps.ts';
import { SipError } from '../errors.ts';
import type { Wheel } from '../wheel.ts';
import { sameHost, showAddress } from './address.ts';
import { CloseListeners } from './close-listeners.ts';
import { Keepers } from './keepers.ts';
import type { StunClient, StunResult } from './stun-client.ts';
import type { Address, Flow, KeepAlive } from './transport.ts';

/** Milliseconds after which the own address towards a peer is looked up again: networks change. */
const LOCAL_FRESH = 10_000;
const KEEP_ALIVE = Buffer.from('\r\n\r\n');
/** RFC 5626 §4.4.2: the next request after 24 to 29 s of 29, so that many clients do not beat as one. */
const STUN_SPREAD = 0.17;

/** What the flows of one transport share. */
export interface UdpRoom {
  readonly clock: Clock;
  readonly random: Pick<Random, 'float'>;
  readonly wheel: Wheel;
  readonly stun: StunClient;
  /** Where the socket towards that peer is bound. */
  bound(remote: Address): Address;
  send(remote: Address, bytes: Buffer): Promise<void>;
  /** Whether this machine still has that address. */
  isOurs(host: string): boolean;
  /** Calls one of both when it is known, after it has returned. */
  post(remote: Address, bytes: Buffer, failed: (cause: unknown) => void, sent?: () => void): void;
  findLocal(remote: Address): Promise<Address>;
  closed(flow: UdpFlow, cause: Error | undefined): void;
}

/** A remote address and nothing more. A class, since a stack may hold ten thousand of them. */
export class UdpFlow implements Flow {
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
  private readonly keepers = new Keepers();
  private pinger: Timer | undefined = undefined;
  /** Gives up the STUN request that is under way. */
  private unask: (() => void) | undefined = undefined;
  /** What a NAT made of our address when we first asked. */
  private mapped: Address | undefined = undefined;

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
    return this.seen ?? this.room.bound(this.remote);
  }

  /** Whether somebody relies on this very object. */
  get held(): boolean {
    return this.keptAlive || this.listeners.any;
  }

  get keptAlive(): boolean {
    return this.pinger !== undefined || this.unask !== undefined;
  }

  async ready(): Promise<void> {
    if (this.isClosed) throw this.cause ?? this.gone();
    const now = this.room.clock.now();
    const { seen } = this;
    // S29: an address that is gone is told to nobody, not even before the flow is found to have moved.
    if (seen !== undefined && now - this.seenAt < LOCAL_FRESH && this.room.isOurs(seen.host)) return;
    const found = await this.room.findLocal(this.remote);
    if (seen !== undefined && this.held && !sameHost(seen.host, found.host)) {
      // Whoever relies on this flow has told the other side of the old address.
      const remote = showAddress(this.remote);
      this.close(new SipError('FLOW_MOVED', { protocol: 'udp', remote, was: seen.host, now: found.host }));
    }
    if (this.isClosed) throw this.cause ?? this.gone();
    this.seen = found;
    this.seenAt = now;
  }

  private get isClosed(): boolean {
    return this.state === 'closed';
  }

  send(bytes: Buffer): Promise<void> {
    if (this.state === 'closed') return Promise.reject(this.gone());
    this.used = true;
    return this.room.send(this.remote, bytes);
  }

  post(bytes: Buffer, failed: (cause: unknown) => void): void {
    if (this.state === 'closed') {
      queueMicrotask(() => failed(this.gone()));
      return;
    }
    this.used = true;
    this.room.post(this.remote, bytes, failed);
  }

  keepAlive(options: KeepAlive): () => void {
    return this.keepers.add(options, () => {
      this.pinger?.cancel();
      this.unask?.();
      this.pinger = this.unask = undefined;
      this.planPing();
    });
  }

  private planPing(): void {
    const options = this.keepers.merged;
    if (options === undefined || this.state === 'closed') return;
    const { interval, stun } = options;
    const wait = stun ? interval * (1 - STUN_SPREAD * this.room.random.float()) : interval;
    this.pinger = this.room.wheel.after(wait, () => {
      this.pinger = undefined;
      if (stun) this.ask(options);
      else {
        // What is lost says nothing: only the answers to requests tell whether the path is there.
        this.send(KEEP_ALIVE).catch(() => undefined);
        this.planPing();
      }
    });
  }

  /** RFC 5626 §4.4.2 and §8: the flow is worth as much as the answers to its STUN requests. */
  private ask(options: KeepAlive): void {
    this.used = true;
    this.unask = this.room.stun.ask(this.remote, options.pong, (result) => {
      this.unask = undefined;
      const cause = this.judge(result, options);
      if (cause === undefined) this.planPing();
      else this.close(cause);
    });
  }

  private judge(result: StunResult, { pong }: KeepAlive): SipError | undefined {
    const named = { protocol: 'udp', remote: showAddress(this.remote) };
    switch (result.kind) {
      case 'silent':
        return new SipError('FLOW_SILENT', { ...named, seconds: (pong ?? 39_500) / 1_000 });
      case 'refused':
        return new SipError('FLOW_REFUSED', { ...named, cause: new Error(`STUN error ${result.code}`) });
      case 'mapped': {
        const { mapped } = this;
        this.mapped ??= result.address;
        if (mapped === undefined) return undefined;
        const same = mapped.port === result.address.port && sameHost(mapped.host, result.address.host);
        if (same) return undefined;
        return new SipError('FLOW_MOVED', {
          ...named,
          was: showAddress(mapped),
          now: showAddress(result.address),
        });
      }
    }
  }

  onClose(listener: (cause: Error | undefined) => void): () => void {
    return this.state === 'closed' ? this.listeners.late(listener, this.cause) : this.listeners.add(listener);
  }

  close(cause?: Error): void {
    if (this.state === 'closed') return;
    this.state = 'closed';
    this.cause = cause;
    this.pinger?.cancel();
    this.unask?.();
    this.pinger = this.unask = undefined;
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
export function forgetOne(flows: Map<string, UdpFlow>): void {
  let tries = flows.size * 2;
  for (const [key, flow] of flows) {
    tries -= 1;
    flows.delete(key);
    if (tries <= 0 || (!flow.used && !flow.held)) return;
    flow.used = false;
    flows.set(key, flow);
  }
}
