import type { Timer } from '../deps.ts';
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
  /** Sends the way that responses to this request take (RFC 3261 §18.2.2). */
  send(bytes: Buffer): Promise<void>;
  /** A 100 for this request: the transaction sends one itself when the TU is slow. Let go with the final response. */
  trying: (() => Reply | undefined) | undefined;
}

/** How a transaction ended. `unanswered`: no final response went out in time, and now none may. */
export type Ending = 'done' | 'unanswered';

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
  /** INVITE only. */
  ack(transaction: T): void;
  /** Ends at once, without a word. A transaction ends only once. */
  end(transaction: T): void;
}

/** Totals over all transactions. */
export interface ServerTotals {
  /** Retransmissions that were absorbed. */
  absorbed: number;
  /** Responses that the transport did not take. */
  unsent: number;
}

/** True once a final response was given, or may not be given any more. */
export function isAnswered(transaction: ServerTransaction): boolean {
  return transaction.state !== 'trying' && transaction.state !== 'proceeding';
}

type Input =
  | { readonly kind: 'request' | 'J' | 'expiry' | 'slow' }
  | { readonly kind: 'reply'; readonly reply: Reply };

type State = 'trying' | 'proceeding' | 'completed' | 'terminated';

/**
 * Non-INVITE server transactions, RFC 3261 §17.2.2 figure 8 with RFC 4320 §4:
 *
 *                 |Request: to TU
 *                 V
 *          +-----------+ request: nothing
 *          |  trying   |---+  after 3.5 s: 100 by itself, then proceeding
 *          +-----------+   |
 *       1xx: send |        | 200-699: send
 *                 V        |
 *          +------------+  |
 *      +-->| proceeding |--+---+ request: send 1xx again
 *      +---+------------+  |
 *                 |        |
 *                 V        V
 *              +-----------+ request: send the final again
 *              | completed |---+
 *              +-----------+<--+
 *                 | Timer J
 *                 V
 *              terminated     (64 × T1 without a final: terminated, and nothing is sent any more)
 *
 * Where the RFC ends a transaction because the transport did not take a response, this one stays: the request
 * comes again, and must not be executed again.
 */
export function createServerMachine(
  timing: Timing,
  totals: ServerTotals,
  ended: (transaction: ServerTransaction, how: Ending) => void,
): ServerMachine {
  const send = (transaction: ServerTransaction): void => {
    if (transaction.last === undefined) return;
    transaction.user?.send(transaction.last).catch(() => {
      totals.unsent += 1;
    });
  };
  const again = (transaction: ServerTransaction): void => {
    totals.absorbed += 1;
    send(transaction);
  };
  const give = (transaction: ServerTransaction, reply: Reply): State => {
    transaction.last = reply.bytes;
    send(transaction);
    return reply.status < 200 ? 'proceeding' : 'completed';
  };

  const machine: Readonly<Record<State, (transaction: ServerTransaction, input: Input) => State>> = {
    trying(transaction, input) {
      switch (input.kind) {
        case 'reply':
          return give(transaction, input.reply);
        case 'slow': {
          const reply = transaction.user?.trying?.();
          return reply === undefined ? 'trying' : give(transaction, reply);
        }
        case 'expiry':
          return 'terminated';
        case 'request':
          totals.absorbed += 1;
          return 'trying';
        case 'J':
          return 'trying';
      }
    },
    proceeding(transaction, input) {
      switch (input.kind) {
        case 'reply':
          return give(transaction, input.reply);
        case 'request':
          again(transaction);
          return 'proceeding';
        case 'expiry':
          return 'terminated';
        case 'slow':
        case 'J':
          return 'proceeding';
      }
    },
    completed(transaction, input) {
      switch (input.kind) {
        case 'request':
          again(transaction);
          return 'completed';
        case 'J':
          return 'terminated';
        case 'reply':
        case 'slow':
        case 'expiry':
          return 'completed';
      }
    },
    terminated: () => 'terminated',
  };

  const wait = (transaction: ServerTransaction, ms: number, kind: 'J' | 'expiry' | 'slow'): void => {
    transaction.timer?.cancel();
    transaction.timer = timing.coarse(ms, () => step(transaction, { kind }));
  };

  function step(transaction: ServerTransaction, input: Input): void {
    const before = transaction.state as State;
    const next = machine[before](transaction, input);
    if (input.kind === 'slow')
      wait(transaction, lifetime(timing.values) - untilTrying(timing.values), 'expiry');
    if (next === before) return;
    transaction.state = next;
    if (next === 'completed') {
      if (transaction.user) transaction.user.trying = undefined;
      // RFC 3261 §17.2.2: J is 64 × T1 on datagrams and zero on streams.
      if (transaction.user?.reliable) end(transaction, 'done');
      else wait(transaction, lifetime(timing.values), 'J');
    } else if (next === 'terminated') end(transaction, input.kind === 'expiry' ? 'unanswered' : 'done');
  }

  function end(transaction: ServerTransaction, how: Ending): void {
    transaction.timer?.cancel();
    transaction.state = 'terminated';
    transaction.timer = transaction.last = transaction.user = undefined;
    ended(transaction, how);
  }

  return {
    begin({ key, merge, method }, user) {
      const transaction: ServerTransaction = {
        key,
        merge,
        method,
        state: 'trying',
        user,
        last: undefined,
        timer: undefined,
      };
      wait(transaction, untilTrying(timing.values), 'slow');
      return transaction;
    },
    repeated: (transaction) => step(transaction, { kind: 'request' }),
    reply(transaction, reply) {
      if (isAnswered(transaction)) return false;
      step(transaction, { kind: 'reply', reply });
      return true;
    },
    ack: () => undefined,
    end: (transaction) => end(transaction, 'done'),
  };
}
