import type { Timer } from '../deps.ts';
import type { SipResponse } from '../message/message.ts';
import type { Flow } from '../transport/transport.ts';
import { clientKey, responseKey } from './key.ts';
import { lifetime, type Timing } from './timers.ts';

/** Who started a client transaction. Exactly one of `final`, `timeout` and `failed` is called, once. */
export interface ClientUser {
  provisional(response: SipResponse): void;
  final(response: SipResponse): void;
  timeout(): void;
  failed(error: Error): void;
}

type State = 'trying' | 'proceeding' | 'completed' | 'terminated';

type Input =
  | { readonly kind: 'E' | 'F' | 'K' }
  | { readonly kind: 'response'; readonly response: SipResponse }
  | { readonly kind: 'broken'; readonly error: Error };

/** The data of one transaction; what it does is in `machine`. */
interface Transaction {
  readonly key: string;
  readonly flow: Flow;
  state: State;
  /** Released when the transaction completes: it then only waits for stray responses. */
  user: ClientUser | undefined;
  bytes: Buffer | undefined;
  /** Present length of timer E. */
  interval: number;
  retransmit: Timer | undefined;
  end: Timer | undefined;
  unlisten: (() => void) | undefined;
}

export interface ClientHandle {
  /** Ends the transaction; its user hears `failed`. */
  abandon(error: Error): void;
}

export interface ClientTransactions {
  /** Sends the bytes and watches over them. Undefined: the table is full. */
  begin(
    branch: string,
    method: string,
    bytes: Buffer,
    flow: Flow,
    user: ClientUser,
  ): ClientHandle | undefined;
  /** False: no transaction for that response; drop it (a late one, or somebody else's). */
  receive(response: SipResponse): boolean;
  stop(error: Error): void;
  readonly size: number;
  readonly retransmissions: number;
}

/**
 * Non-INVITE client transactions, RFC 3261 §17.1.2 figure 6:
 *
 *                    |Request from TU: send
 *        Timer E     V                      Timer F or transport error: inform TU
 *        send  +-----------+                   +------------+
 *          +-->|  trying   |------------------>| terminated |
 *          +---+-----------+                   +------------+
 *                |   | 1xx: to TU                   ^   ^
 *      200-699:  |   V            Timer F, error    |   |
 *      to TU     | +------------+-------------------+   |
 *                | | proceeding |<--+ E: send; 1xx: to TU
 *                | +------------+---+                   |
 *                V   V 200-699: to TU                   |
 *              +-----------+       Timer K              |
 *              | completed |----------------------------+
 *              +-----------+
 */
export function createClientTransactions(timing: Timing, limit: () => number): ClientTransactions {
  const table = new Map<string, Transaction>();
  const { t1, t2, t4 } = timing.values;
  let retransmissions = 0;

  const send = (transaction: Transaction): void => {
    if (transaction.bytes === undefined) return;
    transaction.flow
      .send(transaction.bytes)
      .catch((error: Error) => step(transaction, { kind: 'broken', error }));
  };

  /** Timer E: send again, and wait `next` ms for the time after. */
  const resend = (transaction: Transaction, next: number): void => {
    retransmissions += 1;
    send(transaction);
    transaction.interval = next;
    transaction.retransmit = timing.exact(next, () => step(transaction, { kind: 'E' }));
  };

  const respond = (transaction: Transaction, response: SipResponse): State => {
    if (response.status < 200) {
      transaction.user?.provisional(response);
      return transaction.state === 'trying' ? 'proceeding' : transaction.state;
    }
    return 'completed';
  };

  const machine: Readonly<Record<State, (transaction: Transaction, input: Input) => State>> = {
    trying(transaction, input) {
      switch (input.kind) {
        case 'E':
          resend(transaction, Math.min(2 * transaction.interval, t2));
          return 'trying';
        case 'response':
          return respond(transaction, input.response);
        case 'F':
        case 'broken':
          return 'terminated';
        case 'K':
          return 'trying';
      }
    },
    proceeding(transaction, input) {
      switch (input.kind) {
        case 'E':
          resend(transaction, t2);
          return 'proceeding';
        case 'response':
          return respond(transaction, input.response);
        case 'F':
        case 'broken':
          return 'terminated';
        case 'K':
          return 'proceeding';
      }
    },
    // Only swallows retransmitted responses; the TU has had its answer.
    completed: (_, input) => (input.kind === 'K' ? 'terminated' : 'completed'),
    terminated: () => 'terminated',
  };

  const release = (transaction: Transaction): ClientUser | undefined => {
    const user = transaction.user;
    transaction.retransmit?.cancel();
    transaction.end?.cancel();
    transaction.unlisten?.();
    transaction.retransmit = transaction.end = transaction.unlisten = undefined;
    transaction.user = transaction.bytes = undefined;
    return user;
  };

  function step(transaction: Transaction, input: Input): void {
    const before = transaction.state;
    const next = machine[before](transaction, input);
    // A callback of the TU may have ended the transaction meanwhile.
    if (transaction.state !== before || next === before) return;
    transaction.state = next;
    if (next === 'proceeding') return;
    const user = release(transaction);
    // RFC 3261 §17.1.2.2: K is T4 on datagrams and zero on streams.
    if (next === 'completed' && !transaction.flow.reliable)
      transaction.end = timing.coarse(t4, () => step(transaction, { kind: 'K' }));
    else {
      transaction.state = 'terminated';
      table.delete(transaction.key);
    }
    if (input.kind === 'response') user?.final(input.response);
    else if (input.kind === 'broken') user?.failed(input.error);
    else if (input.kind === 'F') user?.timeout();
  }

  return {
    begin(branch, method, bytes, flow, user) {
      if (table.size >= limit()) return undefined;
      const transaction: Transaction = {
        key: clientKey(branch, method),
        flow,
        state: 'trying',
        user,
        bytes,
        interval: t1,
        retransmit: undefined,
        end: timing.coarse(lifetime(timing.values), () => step(transaction, { kind: 'F' })),
        unlisten: undefined,
      };
      table.set(transaction.key, transaction);
      if (flow.reliable)
        transaction.unlisten = flow.onClose((cause) =>
          step(transaction, { kind: 'broken', error: cause ?? new Error('the connection was closed') }),
        );
      else transaction.retransmit = timing.exact(t1, () => step(transaction, { kind: 'E' }));
      send(transaction);
      return { abandon: (error) => step(transaction, { kind: 'broken', error }) };
    },
    receive(response) {
      const key = responseKey(response);
      const transaction = key === undefined ? undefined : table.get(key);
      if (transaction === undefined) return false;
      step(transaction, { kind: 'response', response });
      return true;
    },
    stop(error) {
      for (const transaction of [...table.values()]) {
        step(transaction, { kind: 'broken', error });
        transaction.end?.cancel();
      }
      table.clear();
    },
    get size() {
      return table.size;
    },
    get retransmissions() {
      return retransmissions;
    },
  };
}
