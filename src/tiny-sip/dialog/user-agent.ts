import type { DigestClient } from '../auth/client.ts';
import type { Clock, Log, Random, Timer } from '../deps.ts';
import type { SipRequest, SipResponse } from '../message/message.ts';
import type { Verdict } from '../resolve/health.ts';
import type { Locator, Target } from '../resolve/resolve.ts';
import type { TimerValues } from '../transaction/timers.ts';
import type { Address, Flow, Transport } from '../transport/transport.ts';

/** What a stack is given from outside: nothing in it reads a clock or a random source of its own. */
export interface StackDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** RFC 3263 resolution. Without it only numeric hosts and explicit targets can be reached. */
  readonly locator?: Locator;
  /** The addresses of this machine on links that are up; default: as the system tells. Undefined: not known. */
  readonly addresses?: () => readonly string[] | undefined;
  /** The own address that leads to a peer; default: as the system tells. Undefined: there is no way. */
  readonly towards?: (remote: Address) => Promise<string | undefined>;
}

/** Bounds of the tables; beyond them requests are refused with 503 or fail at once, and are counted. */
export interface StackLimits {
  /** Client transactions alive at a time. Default 20,000. */
  readonly clientTransactions: number;
  /** Server transactions alive at a time (each lives 32 s on UDP). Default 50,000. */
  readonly serverTransactions: number;
  /** Bytes beyond which a request is not sent over UDP (RFC 3261 §18.1.1). Default 1300. */
  readonly datagram: number;
}

/** How a stack is made. */
export interface StackOptions {
  readonly transports: readonly Transport[];
  /** `User-Agent` of requests and `Server` of responses. Absent: neither is sent. */
  readonly userAgent?: string;
  /** Compact header names in everything that is sent. */
  readonly compact?: boolean;
  readonly limits?: Partial<StackLimits>;
  readonly timers?: Partial<TimerValues>;
  /** This element routes requests for others: `Require` and merged requests are left to its handlers. */
  readonly proxy?: boolean;
  /** Option tags that the user of this stack understands in `Require`; others get 420. */
  readonly supported?: readonly string[];
}

/** By which way a request leaves: an open flow, else a target, else routes and Request-URI are looked up. */
export interface Way {
  readonly flow?: Flow;
  readonly target?: Target;
  /** Pre-loaded route set, e.g. outbound proxy then Service-Route; values of Route headers, in order. */
  readonly route?: readonly string[];
}

/** Options of one request. */
export interface SendOptions {
  readonly flow?: Flow;
  readonly target?: Target;
  /** Answers challenges inside `send`: at most two tries per realm, CSeq rises by one each time. */
  readonly credentials?: DigestClient;
  readonly onProvisional?: (response: SipResponse) => void;
  /**
   * Gives up waiting: the transaction ends and the outcome is `failed`. An INVITE is cancelled instead (RFC 3261 §9.1):
   * CANCEL goes out once there is a provisional response, and the outcome is what the INVITE is then answered; a 487
   * made here when nothing comes within 64 × T1.
   */
  readonly signal?: AbortSignal;
  /**
   * INVITE only: each 2xx as it comes, before the outcome; later also the same again and those of other branches (other
   * To tags). Whoever sends an INVITE has to ACK each one, every time (`Stack.acknowledge`).
   */
  readonly onAccepted?: (response: SipResponse, request: SipRequest, flow: Flow) => void;
  /**
   * A proxy's hop (RFC 3261 §16.6): only a Via is added, on top, with this branch (`z9hG4bK…`; default a random one).
   * Everything else stays as it is: no completion, no digest retry. The response still carries that Via.
   */
  readonly forward?: { readonly branch?: string };
  /** Called with each request as it leaves (again after a challenge), when its flow is known. */
  readonly onSend?: (request: SipRequest, flow: Flow) => void;
}

/** What became of a request. `send` never rejects. */
export type Outcome =
  | {
      readonly kind: 'response';
      readonly response: SipResponse;
      readonly request: SipRequest;
      readonly flow: Flow;
    }
  | { readonly kind: 'timeout'; readonly request: SipRequest; readonly flow?: Flow }
  | { readonly kind: 'failed'; readonly request: SipRequest; readonly error: Error; readonly flow?: Flow };

/** Parts of a response that a handler adds. */
export interface AnswerInit {
  readonly reason?: string;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: Buffer | string;
  readonly contentType?: string;
}

/** A request that arrived: well-formed, not seen before, its `Require` understood. */
export interface Incoming {
  readonly request: SipRequest;
  /** The flow it came by; the response goes back on it. */
  readonly flow: Flow;
  /**
   * Answers; a second final response is ignored, but for the 2xx of an INVITE, which is to be repeated until the ACK
   * comes. Tags the To header. Does nothing for an ACK.
   */
  respond(status: number, init?: AnswerInit): void;
  /** Sends this very response (a proxy's, for instance). */
  respondWith(response: SipResponse): void;
  /** True as soon as a final response was given. */
  readonly responded: boolean;
  /** The To tag that `respond` uses; the same for every response to this request. */
  readonly toTag: string;
  /** Calls when a CANCEL has ended this INVITE; its 487 went out already (RFC 3261 §9.2). */
  onCancel(listener: () => void): void;
}

/** May be asynchronous. What it throws, now or later, answers the request: 400 for a malformed header, else 500. */
export type Handler = (incoming: Incoming) => void | Promise<void>;

/** Sees every message. `bytes` are those on the wire. */
export type TraceListener = (
  direction: 'in' | 'out',
  flow: Flow,
  message: SipRequest | SipResponse,
  bytes: Buffer,
) => void;

/** A SIP element: transports, transactions, digest retry and the dispatch of requests. */
export interface Stack {
  start(): Promise<void>;
  /** Ends all transactions (their outcomes are `failed`), closes the transports. */
  stop(): Promise<void>;
  /** An open flow to that target, or a new one. Throws a `SipFlowError` when no transport speaks its protocol. */
  flow(target: Target): Flow;
  /** Targets of a SIP URI, best first (RFC 3263); empty when there are none. Never rejects. */
  locate(uri: string): Promise<readonly Target[]>;
  /**
   * For users that choose among `locate`'s targets themselves: tells what became of one, so that the next `locate`
   * puts a server that failed behind the others. `send` does so by itself.
   */
  report(target: Target, verdict: Verdict): void;
  /** Sends a request and waits for its final response; completes Via, Max-Forwards, CSeq, Call-ID, From tag. */
  send(request: SipRequest, options?: SendOptions): Promise<Outcome>;
  /**
   * Sends an ACK of a 2xx, which is nobody's transaction (RFC 3261 §13.2.2.4): Via and Max-Forwards are completed.
   * Resolves with a function that sends the same bytes again, for the next copy of the 2xx. Rejects when it could be
   * sent nowhere.
   */
  acknowledge(ack: SipRequest, options?: Pick<SendOptions, 'flow' | 'target'>): Promise<() => Promise<void>>;
  /** Takes requests of that method (`'*'`: of any other). A later handler shadows an earlier one until removed. */
  on(method: string, handler: Handler): () => void;
  /** Takes the requests of one dialog: those with this Call-ID and this To tag, before any method handler. */
  claim(callId: string, localTag: string, handler: Handler): () => void;
  onFlowClosed(listener: (flow: Flow, cause: Error | undefined) => void): () => void;
  /**
   * This machine has an address that it had not before: a link came up, or another network. What waits for the network
   * may be tried again at once. Told within 5 s or so; flows that left by an address that is gone were closed before.
   */
  onAddress(listener: () => void): () => void;
  /** Called once by `stop`, when all transactions have ended: for machines that would wait for nothing. */
  onStop(listener: () => void): () => void;
  onTrace(listener: TraceListener): () => void;
  /** Adds a table of the caller to `counts`; several of one name are added up. Answers how to take it out again. */
  tally(name: string, read: () => number): () => void;
  /** Table sizes (`transactions.client`, `transactions.server`, `dialogs`) and totals, by name. */
  counts(): Record<string, number>;
  /** One timer for everybody: coarse (the wheel's tick, late never early) from a second on, exact below. */
  after(ms: number, run: () => void): Timer;
  /** A new tag, Call-ID or branch part: at least 64 random bits in characters of a token. */
  token(): string;
  readonly timers: TimerValues;
  readonly methods: readonly string[];
  readonly userAgent: string | undefined;
}

/** What the machines above the stack (registration, publication, subscription, notifier) are given. */
export interface EventDeps {
  readonly stack: Stack;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}
