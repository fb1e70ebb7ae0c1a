import type { Timer } from '../deps.ts';
import type { SipRequest, SipResponse } from '../message/message.ts';
import type { Flow } from '../transport/transport.ts';
import { type Figure, step, to } from './figure.ts';
import { lifetime, type Timing } from './timers.ts';

/** Who started a client transaction. Exactly one of `final`, `timeout` and `failed` is called, once. */
export interface ClientUser {
  provisional(response: SipResponse): void;
  final(response: SipResponse): void;
  timeout(): void;
  failed(error: Error): void;
  /** INVITE only: one more 2xx after the final one; the same again, or another branch's (RFC 6026 §7.2). */
  another?(response: SipResponse): void;
}

/** What is sent, and how. */
export interface Sending {
  readonly key: string;
  readonly request: SipRequest;
  readonly bytes: Buffer;
  readonly flow: Flow;
}

/** The data of one client transaction; what it does is in the machine that made it. */
export interface ClientTransaction {
  readonly key: string;
  readonly method: string;
  readonly flow: Flow;
  state: 'calling' | 'trying' | 'proceeding' | 'completed' | 'accepted' | 'terminated';
  /** Released with the final response: the transaction then only waits for stray ones. */
  user: ClientUser | undefined;
  /** What is sent again; let go with the final response. */
  bytes: Buffer | undefined;
  /** Present length of timer A or E. */
  interval: number;
  retransmit: Timer | undefined;
  end: Timer | undefined;
  unlisten: (() => void) | undefined;
}

/** One kind of client transaction: RFC 3261 §17.1.1 or §17.1.2. */
export interface ClientMachine<T extends ClientTransaction = ClientTransaction> {
  /** Sends the bytes. */
  begin(sending: Sending, user: ClientUser): T;
  receive(transaction: T, response: SipResponse): void;
  /** The connection broke, or the user gave it up: its user hears `failed`, unless it has had its answer. */
  fail(transaction: T, error: Error): void;
  /** Ends at once; nobody hears of it. */
  end(transaction: T): void;
}

/** Totals over all transactions. */
export interface ClientTotals {
  retransmissions: number;
}

type State = Exclude<ClientTransaction['state'], 'calling' | 'accepted'>;
type Input = 'E' | 'F' | 'K' | '1xx' | '200-699' | 'error';
type Told = SipResponse | Error | undefined;

/** As `ClientTransaction`, in the states of figure 6. */
interface Transaction extends ClientTransaction {
  state: State;
}

/** Non-INVITE client transactions, RFC 3261 §17.1.2 figure 6. `ended` lets go of one that is over. */
export function createClientMachine(
  timing: Timing,
  totals: ClientTotals,
  ended: (transaction: ClientTransaction) => void,
): ClientMachine<Transaction> {
  const { t1, t2, t4 } = timing.values;
  const on = (transaction: Transaction, input: Input, told?: Told): void =>
    step(figure6, transaction, input, told);

  const send = (transaction: Transaction): void => {
    if (transaction.bytes !== undefined)
      transaction.flow.send(transaction.bytes).catch((error: Error) => on(transaction, 'error', error));
  };
  const sendAgain = (transaction: Transaction): void => {
    totals.retransmissions += 1;
    send(transaction);
  };
  const startE = (transaction: Transaction, ms: number): void => {
    transaction.interval = ms;
    transaction.retransmit = timing.exact(ms, () => on(transaction, 'E'));
  };
  const doubleE = (transaction: Transaction): void =>
    startE(transaction, Math.min(2 * transaction.interval, t2));
  const slowE = (transaction: Transaction): void => startE(transaction, t2);
  const stop = (transaction: Transaction): void => stopTimers(transaction);
  // RFC 3261 §17.1.2.2: K is T4 on datagrams and zero on streams.
  const startK = (transaction: Transaction): void => {
    if (transaction.flow.reliable) on(transaction, 'K');
    else transaction.end = timing.coarse(t4, () => on(transaction, 'K'));
  };

  const figure6: Figure<State, Input, Transaction, Told> = {
    trying: {
      E: to('trying', sendAgain, doubleE),
      F: to('terminated', stop, ended, tellTimeout),
      error: to('terminated', stop, ended, tellFailure),
      '1xx': to('proceeding', tellProvisional),
      '200-699': to('completed', stop, startK, tellFinal),
    },
    proceeding: {
      E: to('proceeding', sendAgain, slowE),
      F: to('terminated', stop, ended, tellTimeout),
      error: to('terminated', stop, ended, tellFailure),
      '1xx': to('proceeding', tellProvisional),
      '200-699': to('completed', stop, startK, tellFinal),
    },
    completed: {
      // Retransmitted responses have no arrow: they are swallowed, the user has had its answer.
      K: to('terminated', stop, ended),
    },
    terminated: {},
  };

  return {
    begin({ key, request, bytes, flow }, user) {
      const transaction: Transaction = {
        key,
        method: request.method,
        flow,
        state: 'trying',
        user,
        bytes,
        interval: t1,
        retransmit: undefined,
        end: timing.coarse(lifetime(timing.values), () => on(transaction, 'F')),
        unlisten: undefined,
      };
      if (flow.reliable)
        transaction.unlisten = flow.onClose((cause) => on(transaction, 'error', cause ?? closed()));
      else startE(transaction, t1);
      send(transaction);
      return transaction;
    },
    receive: (transaction, response) => on(transaction, response.status < 200 ? '1xx' : '200-699', response),
    fail: (transaction, error) => on(transaction, 'error', error),
    end(transaction) {
      transaction.state = 'terminated';
      stop(transaction);
      ended(transaction);
    },
  };
}

/** What the two client machines do alike. */

export const closed = (): Error => new Error('the connection was closed');

/** Stops all timers and lets go of what was to be sent again. */
export function stopTimers(transaction: ClientTransaction): void {
  transaction.retransmit?.cancel();
  transaction.end?.cancel();
  transaction.unlisten?.();
  transaction.retransmit = transaction.end = transaction.unlisten = transaction.bytes = undefined;
}

export function tellProvisional(transaction: ClientTransaction, response: Told): void {
  if (isResponse(response)) transaction.user?.provisional(response);
}

export function tellFinal(transaction: ClientTransaction, response: Told): void {
  const user = takeUser(transaction);
  if (isResponse(response)) user?.final(response);
}

export function tellTimeout(transaction: ClientTransaction): void {
  takeUser(transaction)?.timeout();
}

export function tellFailure(transaction: ClientTransaction, error: Told): void {
  const user = takeUser(transaction);
  if (error instanceof Error) user?.failed(error);
}

export function isResponse(told: Told): told is SipResponse {
  return told !== undefined && !(told instanceof Error);
}

/** Once told how it ended, a user hears nothing more. */
function takeUser(transaction: ClientTransaction): ClientUser | undefined {
  const { user } = transaction;
  transaction.user = undefined;
  return user;
}
