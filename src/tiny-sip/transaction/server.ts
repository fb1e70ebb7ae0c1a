import type { Timer } from '../deps.ts';
import { type Figure, step, to } from './figure.ts';
import { lifetime, type Timing, untilTrying } from './timers.ts';

/** A response on its way out, as the transaction sees it. */
export interface Reply {
  readonly status: number;
  readonly bytes: Buffer;
}

/** What a server transaction needs from the stack. */
export interface ServerUser {
  /** Responses travel on a stream. */
  readonly reliable: boolean;
  /** Sends the way that responses to this request take (RFC 3261 §18.2.2), and counts what went by none. */
  send(bytes: Buffer): void;
  /** A 100 for this request: the transaction sends one itself when the TU is slow. Let go with the final response. */
  trying: (() => Reply | undefined) | undefined;
  /** INVITE only: nothing was heard of the TU for too long; to be answered for it, or never. */
  late?: (() => void) | undefined;
}

/** The data of one server transaction; what it does is in the machine that made it. */
export interface ServerTransaction {
  readonly key: string;
  /** Its merge key, unless the request had a To tag. */
  readonly merge: string | undefined;
  readonly method: string;
  state: 'trying' | 'proceeding' | 'accepted' | 'completed' | 'confirmed' | 'terminated';
  user: ServerUser | undefined;
  /** What is sent again when the request comes again. */
  last: Buffer | undefined;
  timer: Timer | undefined;
}

export type Identity = Pick<ServerTransaction, 'key' | 'merge' | 'method'>;

/** One kind of server transaction: RFC 3261 §17.2.1 or §17.2.2. */
export interface ServerMachine<T extends ServerTransaction = ServerTransaction> {
  begin(identity: Identity, user: ServerUser): T;
  /** The request came again. */
  repeated(transaction: T): void;
  /** A second final response does nothing. Answers whether this one went out. */
  reply(transaction: T, reply: Reply): boolean;
  /** INVITE only. Answers whether the ACK is the TU's: that of a 2xx. */
  ack(transaction: T): boolean;
  /** Ends at once, without a word. A transaction ends only once. */
  end(transaction: T): void;
}

/** Totals over all transactions. */
export interface ServerTotals {
  /** Retransmissions that were absorbed. */
  absorbed: number;
  /** Responses that the transport did not take. */
  unsent: number;
  /** No final response was given in time. */
  unanswered: number;
  /** The ACK of a refused INVITE never came. */
  unacknowledged: number;
}

/** True once a final response was given, or may not be given any more. */
export function isAnswered(transaction: ServerTransaction): boolean {
  return transaction.state !== 'trying' && transaction.state !== 'proceeding';
}

type State = Extract<ServerTransaction['state'], 'trying' | 'proceeding' | 'completed' | 'terminated'>;
type Input = 'request' | '1xx' | '200-699' | 'slow' | 'expiry' | 'J';
type Told = Reply | undefined;

/**
 * As `ServerTransaction`, in the states of figure 8. A class and no literal: what a literal makes, and lives long, V8
 * comes to put among the old objects at once, and with it whatever it is made with, down to the request; there a request
 * that nobody needs any more stays until all of the memory is searched.
 */
class Transaction implements ServerTransaction {
  readonly key: string;
  readonly merge: string | undefined;
  readonly method: string;
  state: State;
  user: ServerUser | undefined;
  last: Buffer | undefined;
  timer: Timer | undefined;

  constructor({ key, merge, method }: Identity, user: ServerUser) {
    this.key = key;
    this.merge = merge;
    this.method = method;
    this.state = 'trying';
    this.user = user;
    this.last = undefined;
    this.timer = undefined;
  }
}

/**
 * Non-INVITE server transactions, RFC 3261 §17.2.2 figure 8, with RFC 4320 §4: 100 is sent by itself after 3.5 s, and
 * after 64 × T1 without a final response none is sent any more.
 *
 * Where the RFC ends a transaction because the transport did not take a response, this one stays: the request
 * comes again, and must not be executed again.
 */
export function createServerMachine(
  timing: Timing,
  totals: ServerTotals,
  ended: (transaction: ServerTransaction) => void,
): ServerMachine<Transaction> {
  const { values } = timing;
  const on = (transaction: Transaction, input: Input, told?: Told): void =>
    step(figure8, transaction, input, told);

  const wait = (transaction: Transaction, ms: number, input: 'slow' | 'expiry' | 'J'): void => {
    transaction.timer?.cancel();
    transaction.timer = timing.coarse(ms, () => on(transaction, input));
  };
  const send = (transaction: Transaction, reply: Told): void => sendReply(transaction, reply);
  const sendAgain = (transaction: Transaction): void => {
    absorb();
    sendLast(transaction);
  };
  const absorb = (): void => {
    totals.absorbed += 1;
  };
  const sendTrying = (transaction: Transaction): void => send(transaction, transaction.user?.trying?.());
  const startExpiry = (transaction: Transaction): void =>
    wait(transaction, lifetime(values) - untilTrying(values), 'expiry');
  const countUnanswered = (): void => {
    totals.unanswered += 1;
  };
  // RFC 3261 §17.2.2: J is 64 × T1 on datagrams and zero on streams.
  const startJ = (transaction: Transaction): void => {
    if (transaction.user?.reliable) on(transaction, 'J');
    else wait(transaction, lifetime(values), 'J');
  };
  const stop = (transaction: Transaction): void => release(transaction);

  const figure8: Figure<State, Input, Transaction, Told> = {
    trying: {
      request: to('trying', absorb),
      slow: to('proceeding', sendTrying, startExpiry),
      '1xx': to('proceeding', send),
      '200-699': to('completed', send, startJ),
    },
    proceeding: {
      request: to('proceeding', sendAgain),
      slow: to('proceeding', startExpiry),
      '1xx': to('proceeding', send),
      '200-699': to('completed', send, startJ),
      expiry: to('terminated', countUnanswered, stop, ended),
    },
    completed: {
      request: to('completed', sendAgain),
      J: to('terminated', stop, ended),
    },
    terminated: {},
  };

  return {
    begin(identity, user) {
      const transaction = new Transaction(identity, user);
      wait(transaction, untilTrying(values), 'slow');
      return transaction;
    },
    repeated: (transaction) => on(transaction, 'request'),
    reply(transaction, reply) {
      if (isAnswered(transaction)) return false;
      on(transaction, reply.status < 200 ? '1xx' : '200-699', reply);
      return true;
    },
    ack: () => false,
    end(transaction) {
      transaction.state = 'terminated';
      stop(transaction);
      ended(transaction);
    },
  };
}

/** What the two server machines do alike. */

/** Sends a reply, and keeps it to be sent again; nothing when there is none. */
export function sendReply(transaction: ServerTransaction, reply: Told): void {
  if (reply === undefined) return;
  transaction.last = reply.bytes;
  // Once it is final, nothing but its bytes is needed of the request any more.
  if (reply.status >= 200 && transaction.user !== undefined)
    transaction.user.trying = transaction.user.late = undefined;
  sendLast(transaction);
}

export function sendLast(transaction: ServerTransaction): void {
  if (transaction.last === undefined) return;
  transaction.user?.send(transaction.last);
}

/** Stops its timer and lets go of all that it holds. */
export function release(transaction: ServerTransaction): void {
  transaction.timer?.cancel();
  transaction.timer = transaction.last = transaction.user = undefined;
}
