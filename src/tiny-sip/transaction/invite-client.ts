import type { SipRequest, SipResponse } from '../message/message.ts';
import type { Flow } from '../transport/transport.ts';
import { createAck } from './ack.ts';
import {
  type ClientMachine,
  type ClientTotals,
  type ClientTransaction,
  closed,
  isResponse,
  stopTimers,
  tellFailure,
  tellFinal,
  tellProvisional,
  tellTimeout,
} from './client.ts';
import { type Figure, step, to } from './figure.ts';
import { lifetime, type Timing, timerD } from './timers.ts';

type State = Exclude<ClientTransaction['state'], 'trying'>;
type Input = 'A' | 'B' | 'D' | 'M' | '1xx' | '2xx' | '300-699' | 'error';
type Told = SipResponse | Error | undefined;

interface Transaction extends ClientTransaction {
  state: State;
  /** What the ACK is made from. */
  readonly request: SipRequest;
}

/** Makes bytes of a message that leaves by that flow. */
export type Pack = (message: SipRequest, flow: Flow) => Buffer;

/**
 * INVITE client transactions, RFC 3261 §17.1.1 figure 5 as RFC 6026 §8.4 redraws it.
 *
 * Added to the figure: a connection that breaks while the call proceeds ends it, as silence would; no answer can come.
 */
export function createInviteClientMachine(
  timing: Timing,
  totals: ClientTotals,
  pack: Pack,
  ended: (transaction: ClientTransaction) => void,
): ClientMachine<Transaction> {
  const { t1 } = timing.values;
  const on = (transaction: Transaction, input: Input, told?: Told): void =>
    step(figure5, transaction, input, told);

  const write = (transaction: Transaction, bytes: Buffer): void => {
    transaction.flow.send(bytes).catch((error: Error) => on(transaction, 'error', error));
  };
  const send = (transaction: Transaction): void => {
    if (transaction.bytes !== undefined) write(transaction, transaction.bytes);
  };
  const sendAgain = (transaction: Transaction): void => {
    totals.retransmissions += 1;
    send(transaction);
  };
  /** §17.1.1.3; each copy of the response is acknowledged. */
  const sendAck = (transaction: Transaction, response: Told): void => {
    if (!isResponse(response)) return;
    try {
      write(transaction, pack(createAck(transaction.request, response), transaction.flow));
    } catch (error) {
      // A To that may not be written again; the user learns of the response all the same.
      on(transaction, 'error', error instanceof Error ? error : new Error(String(error)));
    }
  };
  const startA = (transaction: Transaction): void => {
    transaction.retransmit = timing.exact(transaction.interval, () => on(transaction, 'A'));
  };
  const doubleA = (transaction: Transaction): void => {
    transaction.interval *= 2;
    startA(transaction);
  };
  const stopAB = (transaction: Transaction): void => {
    transaction.retransmit?.cancel();
    transaction.end?.cancel();
    transaction.retransmit = transaction.end = transaction.bytes = undefined;
  };
  // RFC 6026 §8.4: D is 32 s or more on datagrams and zero on streams.
  const startD = (transaction: Transaction): void => {
    if (transaction.flow.reliable) on(transaction, 'D');
    else if (transaction.state === 'completed')
      transaction.end = timing.coarse(timerD(timing.values), () => on(transaction, 'D'));
  };
  const startM = (transaction: Transaction): void => {
    transaction.end = timing.coarse(lifetime(timing.values), () => on(transaction, 'M'));
  };
  const tellAccepted = (transaction: Transaction, response: Told): void => {
    if (isResponse(response)) transaction.user?.final(response);
  };
  const tellAnother = (transaction: Transaction, response: Told): void => {
    if (isResponse(response)) transaction.user?.another?.(response);
  };
  const stop = (transaction: Transaction): void => stopTimers(transaction);

  const figure5: Figure<State, Input, Transaction, Told> = {
    calling: {
      A: to('calling', sendAgain, doubleA),
      B: to('terminated', stop, ended, tellTimeout),
      error: to('terminated', stop, ended, tellFailure),
      '1xx': to('proceeding', stopAB, tellProvisional),
      '2xx': to('accepted', stopAB, startM, tellAccepted),
      '300-699': to('completed', stopAB, sendAck, startD, tellFinal),
    },
    proceeding: {
      error: to('terminated', stop, ended, tellFailure),
      '1xx': to('proceeding', tellProvisional),
      '2xx': to('accepted', stopAB, startM, tellAccepted),
      '300-699': to('completed', stopAB, sendAck, startD, tellFinal),
    },
    completed: {
      '300-699': to('completed', sendAck),
      D: to('terminated', stop, ended),
      error: to('terminated', stop, ended),
    },
    accepted: {
      // The ACK of a 2xx is the user's to send, of each one anew.
      '2xx': to('accepted', tellAnother),
      M: to('terminated', stop, ended),
    },
    terminated: {},
  };

  return {
    begin({ key, request, bytes, flow }, user) {
      const transaction: Transaction = {
        key,
        method: request.method,
        flow,
        request,
        state: 'calling',
        user,
        bytes,
        interval: t1,
        retransmit: undefined,
        end: timing.coarse(lifetime(timing.values), () => on(transaction, 'B')),
        unlisten: undefined,
      };
      if (flow.reliable)
        transaction.unlisten = flow.onClose((cause) => on(transaction, 'error', cause ?? closed()));
      else startA(transaction);
      send(transaction);
      return transaction;
    },
    receive(transaction, response) {
      const { status } = response;
      on(transaction, status < 200 ? '1xx' : status < 300 ? '2xx' : '300-699', response);
    },
    fail: (transaction, error) => on(transaction, 'error', error),
    end(transaction) {
      transaction.state = 'terminated';
      stop(transaction);
      ended(transaction);
    },
  };
}
