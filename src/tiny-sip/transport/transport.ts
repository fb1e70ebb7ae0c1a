import type { ParseResult } from '../message/parse.ts';
import type { Protocol } from '../message/protocol.ts';
import type { Peer } from './certificate.ts';

export type { Protocol } from '../message/protocol.ts';
export type { Peer } from './certificate.ts';

/** Where a peer, or this side, can be reached. */
export interface Address {
  /** An IP literal, IPv6 without brackets; a name in a memory network. */
  readonly host: string;
  /** 0 asks for any free one. */
  readonly port: number;
}

/** How a flow is kept open (RFC 5626 §4.4). */
export interface KeepAlive {
  /** Milliseconds between pings. RFC 5626 §4.4.1: 80–100 % of it, at random, is used on streams. */
  readonly interval: number;
  /**
   * Milliseconds to wait for the pong on streams before the flow counts as dead (10 s in RFC 5626). Undefined keeps
   * pinging and never judges: for servers that know no pong. On UDP it is how long a STUN request is repeated.
   */
  readonly pong?: number | undefined;
  /**
   * UDP only: STUN binding requests in place of CRLFs (RFC 5626 §4.4.2). Silence and a changed mapping then close the
   * flow. Only for peers that say that they answer them (§8): `outbound` in the Require or `ob` in the Path of a 2xx.
   */
  readonly stun?: boolean | undefined;
}

/** A way to one peer: a connection, or a remote address of a datagram socket. */
export interface Flow {
  /** Unique within its transport. */
  readonly id: number;
  /** Of its transport. */
  readonly protocol: Protocol;
  /** True where nothing is retransmitted: all but UDP. */
  readonly reliable: boolean;
  /** Address of this side, known for sure once it is open. */
  readonly local: Address;
  /** Address of the peer. */
  readonly remote: Address;
  /** This side opened it. */
  readonly opened: boolean;
  /** `closed` is final. */
  readonly state: 'connecting' | 'open' | 'closed';
  /** TLS: what the verified certificate of the other side says; undefined when it showed none, or one of no worth. */
  readonly peer?: Peer | undefined;
  /**
   * Resolves once the flow is open; then `local` is what the peer will see, as far as this machine knows.
   * Rejects with the cause when it closes before.
   */
  ready(): Promise<void>;
  /** Resolves when the operating system took the bytes. Rejects (SipError) when closed or the queue is full. */
  send(bytes: Buffer): Promise<void>;
  /**
   * The same for those who only want to hear of a failure: `failed` is called with what `send` would reject with, after
   * this call has returned, or never. Costs less. A flow without it is sent to by `send`.
   */
  post?(bytes: Buffer, failed: (cause: unknown) => void): void;
  /**
   * CRLF ping and pong on streams, a CRLF datagram or STUN on UDP, until the function that it answers is called. Of the
   * wishes of several the shortest times count, and STUN where one of them has it.
   */
  keepAlive(options: KeepAlive): () => void;
  /** Called once. On a closed flow it is called at the next microtask. Answers how to leave. */
  onClose(listener: (cause: Error | undefined) => void): () => void;
  /** Lets what is queued out first when no cause is given. */
  close(cause?: Error): void;
  /**
   * RFC 5923: the other side listens on that port of its address and wants this connection used instead. Heeded on TLS
   * and for the names that its certificate proves, ignored elsewhere.
   */
  alias?(port: number): void;
}

/** What a transport tells; the stack is one. */
export interface Receiver {
  /** One message or what was meant as one; `parsed` is `parseMessage(bytes)`. */
  message(flow: Flow, bytes: Buffer, parsed: ParseResult): void;
  /** The flow is over; `cause` unless it was closed in good order. */
  closed(flow: Flow, cause?: Error): void;
  /** The stream lost its framing. Comes after `message` for the broken one; the transport then ends the flow. */
  broken(flow: Flow, why: string): void;
}

/** Carries messages by one protocol. */
export interface Transport {
  /** The name under which targets ask for it. */
  readonly protocol: Protocol;
  /** The bound address after `start`; port 0 for a transport that does not listen. */
  readonly local: Address;
  /** Rejects with SIP_CANNOT_LISTEN. */
  start(receiver: Receiver): Promise<void>;
  /**
   * The usable flow to that address, or a new one. Never throws: what goes wrong closes the flow.
   *
   * @param name the domain that was asked for, which a certificate must prove; default: the address itself
   */
  connect(remote: Address, name?: string): Flow;
  /** Whether addresses of that kind can be reached by it; default: any. */
  reaches?(host: string): boolean;
  /**
   * Closes the flows that leave by an address which this machine lost while another way to the peer is there. Where
   * there is none they stay: the link may come back with the same address.
   *
   * @param gone addresses that this machine had and has not
   * @param towards the own address that leads to a peer now; undefined: none
   */
  checkLocal?(
    gone: ReadonlySet<string>,
    towards: (remote: Address) => Promise<string | undefined>,
  ): Promise<void>;
  /** Closes every flow. */
  stop(): Promise<void>;
  /** Messages, flows and failures since the start, by name. */
  counts(): Record<string, number>;
}
