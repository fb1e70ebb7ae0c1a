import type { SipRequest, SipResponse } from '../message/message.ts';
import type { Flow } from '../transport/transport.ts';
import {
  type ClientMachine,
  type ClientTransaction,
  type ClientUser,
  createClientMachine,
} from './client.ts';
import { createInviteClientMachine, type Pack } from './invite-client.ts';
import { clientKey, responseKey } from './key.ts';
import type { Timing } from './timers.ts';

export interface ClientHandle {
  /** Ends the transaction; its user hears `failed`. */
  abandon(error: Error): void;
}

export interface ClientTransactions {
  /** Sends the bytes of a request and watches over them. Undefined: the table is full. */
  begin(
    branch: string,
    request: SipRequest,
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

/** Every live client transaction by its key; bounded. `pack` makes bytes of the ACKs of failures. */
export function createClientTransactions(
  timing: Timing,
  limit: () => number,
  pack: Pack,
): ClientTransactions {
  const table = new Map<string, ClientTransaction>();
  const totals = { retransmissions: 0 };
  const ended = (transaction: ClientTransaction): void => void table.delete(transaction.key);

  const plain = createClientMachine(timing, totals, ended) as ClientMachine;
  const invite = createInviteClientMachine(timing, totals, pack, ended) as ClientMachine;
  const machineOf = (method: string): ClientMachine => (method === 'INVITE' ? invite : plain);

  return {
    begin(branch, request, bytes, flow, user) {
      if (table.size >= limit()) return undefined;
      const key = clientKey(branch, request.method);
      const machine = machineOf(request.method);
      const transaction = machine.begin({ key, request, bytes, flow }, user);
      // A connection may break as it is written to.
      if (transaction.state !== 'terminated') table.set(key, transaction);
      return { abandon: (error) => machine.fail(transaction, error) };
    },
    receive(response) {
      const key = responseKey(response);
      const transaction = key === undefined ? undefined : table.get(key);
      if (transaction === undefined) return false;
      machineOf(transaction.method).receive(transaction, response);
      return true;
    },
    stop(error) {
      for (const transaction of [...table.values()]) {
        const machine = machineOf(transaction.method);
        machine.fail(transaction, error);
        if (transaction.state !== 'terminated') machine.end(transaction);
      }
      table.clear();
    },
    get size() {
      return table.size;
    },
    get retransmissions() {
      return totals.retransmissions;
    },
  };
}
