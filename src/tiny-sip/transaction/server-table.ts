import type { SipRequest } from '../message/message.ts';
import { joined } from '../message/text.ts';
import { createInviteServerMachine } from './invite-server.ts';
import { mergeKey, serverKey } from './key.ts';
import {
  createServerMachine,
  type Reply,
  type ServerMachine,
  type ServerTotals,
  type ServerTransaction,
  type ServerUser,
} from './server.ts';
import type { Timing } from './timers.ts';

export interface ServerTransactions {
  /** The transaction that this request belongs to (RFC 3261 §17.2.3), if there is one. */
  find(request: SipRequest): ServerTransaction | undefined;
  /** The transaction that a CANCEL means (RFC 3261 §9.2). */
  cancelled(cancel: SipRequest): ServerTransaction | undefined;
  /** RFC 3261 §8.2.2.2: the same request has come by another path. Only for requests without a To tag. */
  merged(request: SipRequest): boolean;
  /** A new transaction, or undefined when the table is full. */
  begin(request: SipRequest, user: ServerUser): ServerTransaction | undefined;
  /** The request came again. */
  repeated(transaction: ServerTransaction): void;
  /** Answers whether the response went out: a second final one does not. */
  reply(transaction: ServerTransaction, reply: Reply): boolean;
  /** Answers whether the ACK is the TU's: that of a 2xx. */
  ack(transaction: ServerTransaction): boolean;
  stop(): void;
  readonly size: number;
  readonly totals: ServerTotals;
}

/** Methods whose transactions a CANCEL can name; CANCEL and ACK themselves cannot be cancelled. */
const cancellable = [
  'INVITE',
  'MESSAGE',
  'SUBSCRIBE',
  'NOTIFY',
  'PUBLISH',
  'REGISTER',
  'OPTIONS',
  'BYE',
  'INFO',
  'REFER',
  'UPDATE',
] as const;

/** Every live server transaction by its key; bounded. */
export function createServerTransactions(timing: Timing, limit: () => number): ServerTransactions {
  const totals: ServerTotals = { absorbed: 0, unsent: 0, unanswered: 0, unacknowledged: 0 };
  const table = new Map<string, ServerTransaction>();
  /** How many live transactions have this merge key. */
  const merges = new Map<string, number>();

  // The table outlives the message, so the keys must not hold on to its bytes. Several questions are asked about one
  // request, one after the other.
  let asked: SipRequest | undefined;
  let askedKey = '';
  const keyOf = (request: SipRequest): string => {
    if (request === asked) return askedKey;
    asked = request;
    askedKey = joined(serverKey(request));
    return askedKey;
  };

  const count = (key: string, by: 1 | -1): void => {
    const now = (merges.get(key) ?? 0) + by;
    if (now > 0) merges.set(key, now);
    else merges.delete(key);
  };

  const ended = (transaction: ServerTransaction): void => {
    table.delete(transaction.key);
    if (transaction.merge !== undefined) count(transaction.merge, -1);
  };

  const plain = createServerMachine(timing, totals, ended) as ServerMachine;
  const invite = createInviteServerMachine(timing, totals, ended) as ServerMachine;
  const machineOf = (method: string): ServerMachine => (method === 'INVITE' ? invite : plain);

  return {
    find: (request) => table.get(keyOf(request)),
    cancelled(cancel) {
      for (const method of cancellable) {
        const found = table.get(serverKey(cancel, method));
        if (found !== undefined) return found;
      }
      return undefined;
    },
    merged: (request) => request.toTag === undefined && merges.has(mergeKey(request)),
    begin(request, user) {
      if (table.size >= limit()) return undefined;
      const { method } = request;
      const key = keyOf(request);
      asked = undefined;
      const merge = request.toTag === undefined ? joined(mergeKey(request)) : undefined;
      const transaction = machineOf(method).begin({ key, merge, method }, user);
      table.set(transaction.key, transaction);
      if (merge !== undefined) count(merge, 1);
      return transaction;
    },
    repeated: (transaction) => machineOf(transaction.method).repeated(transaction),
    reply: (transaction, reply) => machineOf(transaction.method).reply(transaction, reply),
    ack: (transaction) => machineOf(transaction.method).ack(transaction),
    stop() {
      for (const transaction of [...table.values()]) machineOf(transaction.method).end(transaction);
    },
    get size() {
      return table.size;
    },
    totals,
  };
}
