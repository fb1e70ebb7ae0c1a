import type { Timer } from '../deps.ts';
import { type Figure, step, to } from './figure.ts';
import {
  type Reply,
  release,
  type ServerMachine,
  type ServerTotals,
  type ServerTransaction,
  sendLast,
  sendReply,
} from './server.ts';
import { inviteSilence, inviteTrying, lifetime, type Timing } from './timers.ts';

type State = Exclude<ServerTransaction['state'], 'trying'>;
type Input = 'INVITE' | 'ACK' | '1xx' | '2xx' | '300-699' | 'slow' | 'silence' | 'G' | 'H' | 'I' | 'L';
type Told = Reply | undefined;

/** An INVITE transaction has a second timer, G, and its present length. */
interface Transaction extends ServerTransaction {
  state: State;
  interval: number;
  retransmit: Timer | undefined;
}

/**
 * INVITE server transactions, RFC 3261 §17.2.1 figure 7 as RFC 6026 §8.6 redraws it.
 *
 * Added to the figure: a TU of which nothing is heard for minutes is answered for, lest the transaction stay for ever.
 * Transport errors end nothing (RFC 6026 §8.8): they are counted, and the next retransmission tries anew.
 */
export function createInviteServerMachine(
  timing: Timing,
  totals: ServerTotals,
  ended: (transaction: ServerTransaction) => void,
): ServerMachine<Transaction> {
  const { values } = timing;
  const on = (transaction: Transaction, input: Input, told?: Told): void =>
    step(figure7, transaction, input, told);

  const wait = (transaction: Transaction, ms: number, input: 'silence' | 'H' | 'I' | 'L'): void => {
    transaction.timer?.cancel();
    transaction.timer = timing.coarse(ms, () => on(transaction, input));
  };
  const stopSlow = (transaction: Transaction): void => {
    transaction.retransmit?.cancel();
    transaction.retransmit = undefined;
  };
  const send = (transaction: Transaction, reply: Told): void => sendReply(transaction, reply);
  const sendTrying = (transaction: Transaction): void => {
    if (transaction.last === undefined) send(transaction, transaction.user?.trying?.());
  };
  const absorb = (): void => {
    totals.absorbed += 1;
  };
  const sendAgain = (transaction: Transaction): void => {
    absorb();
    sendLast(transaction);
  };
  const resend = (transaction: Transaction): void => sendLast(transaction);
  const awaitTu = (transaction: Transaction): void => wait(transaction, inviteSilence, 'silence');
  const answerForTu = (transaction: Transaction): void => {
    totals.unanswered += 1;
    transaction.user?.late?.();
    if (transaction.state === 'proceeding') end(transaction);
  };
  const armG = (transaction: Transaction): void => {
    transaction.retransmit = timing.exact(transaction.interval, () => on(transaction, 'G'));
  };
  const startG = (transaction: Transaction): void => {
    if (!transaction.user?.reliable) armG(transaction);
  };
  const doubleG = (transaction: Transaction): void => {
    transaction.interval = Math.min(2 * transaction.interval, values.t2);
    armG(transaction);
  };
  const stopG = stopSlow;
  const startH = (transaction: Transaction): void => wait(transaction, lifetime(values), 'H');
  const startL = (transaction: Transaction): void => wait(transaction, lifetime(values), 'L');
  // RFC 3261 §17.2.1: I is T4 on datagrams and zero on streams.
  const startI = (transaction: Transaction): void => {
    if (transaction.user?.reliable) on(transaction, 'I');
    else wait(transaction, values.t4, 'I');
  };
  const countUnacknowledged = (): void => {
    totals.unacknowledged += 1;
  };
  const stop = (transaction: Transaction): void => {
    stopG(transaction);
    release(transaction);
  };

  const figure7: Figure<State, Input, Transaction, Told> = {
    proceeding: {
      INVITE: to('proceeding', sendAgain),
      slow: to('proceeding', sendTrying),
      '1xx': to('proceeding', stopSlow, send, awaitTu),
      '2xx': to('accepted', stopSlow, send, startL),
      '300-699': to('completed', stopSlow, send, startG, startH),
      silence: to('proceeding', answerForTu),
    },
    accepted: {
      INVITE: to('accepted', absorb),
      // The TU sends its 2xx again until the ACK, which is for the TU (see `ack` below).
      '2xx': to('accepted', send),
      ACK: to('accepted'),
      L: to('terminated', stop, ended),
    },
    completed: {
      INVITE: to('completed', sendAgain),
      G: to('completed', resend, doubleG),
      ACK: to('confirmed', stopG, startI),
      H: to('terminated', countUnacknowledged, stop, ended),
    },
    confirmed: {
      INVITE: to('confirmed', absorb),
      ACK: to('confirmed'),
      I: to('terminated', stop, ended),
    },
    terminated: {},
  };

  function end(transaction: Transaction): void {
    transaction.state = 'terminated';
    stop(transaction);
    ended(transaction);
  }

  return {
    begin({ key, merge, method }, user) {
      const transaction: Transaction = {
        key,
        merge,
        method,
        state: 'proceeding',
        user,
        last: undefined,
        timer: undefined,
        interval: values.t1,
        retransmit: undefined,
      };
      transaction.retransmit = timing.exact(inviteTrying, () => on(transaction, 'slow'));
      awaitTu(transaction);
      return transaction;
    },
    repeated: (transaction) => on(transaction, 'INVITE'),
    reply(transaction, reply) {
      const { state } = transaction;
      const { status } = reply;
      on(transaction, status < 200 ? '1xx' : status < 300 ? '2xx' : '300-699', reply);
      return state === 'proceeding' || (state === 'accepted' && status >= 200 && status < 300);
    },
    ack(transaction) {
      const ofSuccess = transaction.state === 'accepted';
      on(transaction, 'ACK');
      return ofSuccess;
    },
    end,
  };
}
