import type { Timer } from '../deps.ts';
import type { Ending, Reply, ServerMachine, ServerTotals, ServerTransaction } from './server.ts';
import { inviteTrying, lifetime, type Timing } from './timers.ts';

/** An INVITE transaction has a second timer, G, and its present length. */
interface InviteTransaction extends ServerTransaction {
  interval: number;
  retransmit: Timer | undefined;
}

type State = 'proceeding' | 'accepted' | 'completed' | 'confirmed' | 'terminated';

type Input =
  | { readonly kind: 'request' | 'ack' | 'slow' | 'G' | 'H' | 'I' | 'L' }
  | { readonly kind: 'reply'; readonly reply: Reply };

/**
 * INVITE server transactions, RFC 3261 §17.2.1 figure 7 as corrected by RFC 6026 §7.1:
 *
 *                 |INVITE: to TU; 100 after 200 ms
 *                 V
 *         +------------+  INVITE: send 1xx again
 *         | proceeding |---+ 1xx: send
 *         +------------+<--+
 *           | 300-699: send    | 2xx: send
 *           V                  V
 *    +-----------+        +----------+ INVITE: nothing
 *    | completed |--+     | accepted |---+ 2xx: send; ACK: to TU
 *    +-----------+  | G,  +----------+<--+
 *       | ACK   ^   | INVITE:     | Timer L
 *       V       +---+ send again  V
 *    +-----------+             terminated
 *    | confirmed |---> Timer I     ^
 *    +-----------+-----------------+    (completed: Timer H without ACK ends it too)
 */
export function createInviteServerMachine(
  timing: Timing,
  totals: ServerTotals,
  ended: (transaction: ServerTransaction, how: Ending) => void,
): ServerMachine<InviteTransaction> {
  const { t1, t2, t4 } = timing.values;

  const send = (transaction: InviteTransaction): void => {
    if (transaction.last === undefined) return;
    transaction.user?.send(transaction.last).catch(() => {
      totals.unsent += 1;
    });
  };
  const again = (transaction: InviteTransaction): void => {
    totals.absorbed += 1;
    send(transaction);
  };
  const give = (transaction: InviteTransaction, reply: Reply): State => {
    transaction.last = reply.bytes;
    send(transaction);
    return reply.status < 200 ? 'proceeding' : reply.status < 300 ? 'accepted' : 'completed';
  };
  const armG = (transaction: InviteTransaction): void => {
    transaction.retransmit = timing.exact(transaction.interval, () => step(transaction, { kind: 'G' }));
  };

  const machine: Readonly<Record<State, (transaction: InviteTransaction, input: Input) => State>> = {
    proceeding(transaction, input) {
      switch (input.kind) {
        case 'reply':
          return give(transaction, input.reply);
        case 'slow': {
          const reply = transaction.last === undefined ? transaction.user?.trying?.() : undefined;
          return reply === undefined ? 'proceeding' : give(transaction, reply);
        }
        case 'request':
          again(transaction);
          return 'proceeding';
        case 'H':
          return 'terminated';
        case 'ack':
        case 'G':
        case 'I':
        case 'L':
          return 'proceeding';
      }
    },
    accepted(transaction, input) {
      switch (input.kind) {
        case 'reply':
          // RFC 6026 §7.1: a 2xx of the TU goes straight to the transport; the TU repeats it itself.
          if (input.reply.status >= 200 && input.reply.status < 300) give(transaction, input.reply);
          return 'accepted';
        case 'request':
          totals.absorbed += 1;
          return 'accepted';
        case 'L':
          return 'terminated';
        default:
          return 'accepted';
      }
    },
    completed(transaction, input) {
      switch (input.kind) {
        case 'request':
          again(transaction);
          return 'completed';
        case 'G':
          send(transaction);
          transaction.interval = Math.min(2 * transaction.interval, t2);
          armG(transaction);
          return 'completed';
        case 'ack':
          return 'confirmed';
        case 'H':
          return 'terminated';
        default:
          return 'completed';
      }
    },
    // Swallows more ACKs.
    confirmed: (_, input) => (input.kind === 'I' ? 'terminated' : 'confirmed'),
    terminated: () => 'terminated',
  };

  function step(transaction: InviteTransaction, input: Input): void {
    const before = transaction.state as State;
    const next = machine[before](transaction, input);
    if (next === before) return;
    transaction.state = next;
    if (transaction.user) transaction.user.trying = undefined;
    switch (next) {
      case 'accepted':
        rearm(transaction, lifetime(timing.values), 'L');
        return;
      case 'completed':
        rearm(transaction, lifetime(timing.values), 'H');
        if (!transaction.user?.reliable) armG(transaction);
        return;
      case 'confirmed':
        // RFC 3261 §17.2.1: I is T4 on datagrams and zero on streams.
        if (transaction.user?.reliable) end(transaction, 'done');
        else rearm(transaction, t4, 'I');
        return;
      case 'terminated':
        end(transaction, input.kind === 'H' ? 'unanswered' : 'done');
        return;
      case 'proceeding':
        return;
    }
  }

  function rearm(transaction: InviteTransaction, ms: number, kind: 'H' | 'I' | 'L'): void {
    transaction.retransmit?.cancel();
    transaction.timer?.cancel();
    transaction.retransmit = undefined;
    transaction.timer = timing.coarse(ms, () => step(transaction, { kind }));
  }

  function end(transaction: InviteTransaction, how: Ending): void {
    transaction.retransmit?.cancel();
    transaction.timer?.cancel();
    transaction.state = 'terminated';
    transaction.retransmit = transaction.timer = transaction.last = transaction.user = undefined;
    ended(transaction, how);
  }

  return {
    begin({ key, merge, method }, user) {
      const transaction: InviteTransaction = {
        key,
        merge,
        method,
        state: 'proceeding',
        user,
        last: undefined,
        timer: undefined,
        interval: t1,
        retransmit: undefined,
      };
      transaction.retransmit = timing.exact(inviteTrying, () => step(transaction, { kind: 'slow' }));
      // Not in the figure: a TU that never answers must not keep the transaction for ever.
      transaction.timer = timing.coarse(lifetime(timing.values), () => step(transaction, { kind: 'H' }));
      return transaction;
    },
    repeated: (transaction) => step(transaction, { kind: 'request' }),
    reply(transaction, reply) {
      const open = transaction.state === 'proceeding' || transaction.state === 'accepted';
      if (open) step(transaction, { kind: 'reply', reply });
      return open;
    },
    ack: (transaction) => step(transaction, { kind: 'ack' }),
    end: (transaction) => end(transaction, 'done'),
  };
}
