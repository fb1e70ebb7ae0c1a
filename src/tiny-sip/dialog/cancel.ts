import type { Timer } from '../deps.ts';
import type { SipRequest } from '../message/message.ts';
import { createCancel as cancelOf } from '../transaction/ack.ts';
import type { ClientTransactions } from '../transaction/client-table.ts';
import type { Flow } from '../transport/transport.ts';

/** Gives up one INVITE that is under way (RFC 3261 §9.1). */
export interface Cancel {
  /** A provisional response came: CANCEL may go now. */
  provisional(): void;
  /** It is wanted: at once, or with the first provisional response. */
  want(): void;
  /** The INVITE has its final response, or ended otherwise. */
  over(): void;
  /** No final response came within 64 × T1 after the CANCEL. */
  readonly expired: boolean;
}

export interface CancelDeps {
  readonly transactions: ClientTransactions;
  /** 64 × T1, ms. */
  readonly lifetime: number;
  after(ms: number, run: () => void): Timer;
  pack(request: SipRequest, flow: Flow): Buffer;
}

type State =
  /** Nobody wants it. `answered`: a provisional response has come. */
  | { readonly kind: 'idle'; readonly answered: boolean }
  /** Wanted; a CANCEL could overtake the INVITE, so it waits for a provisional response. */
  | { readonly kind: 'waiting' }
  | { readonly kind: 'sent'; readonly patience: Timer }
  | { readonly kind: 'over'; readonly expired: boolean };

/** `invite` is the request as it went out; `giveUp` ends its transaction. */
export function createCancel(
  deps: CancelDeps,
  invite: {
    readonly branch: string;
    readonly request: SipRequest;
    readonly flow: Flow;
    giveUp(): void;
  },
): Cancel {
  const { branch, request, flow } = invite;
  let state: State = { kind: 'idle', answered: false };

  const send = (): void => {
    const patience = deps.after(deps.lifetime, () => {
      state = { kind: 'over', expired: true };
      invite.giveUp();
    });
    state = { kind: 'sent', patience };
    const cancel = cancelOf(request);
    // Whatever it is answered, what counts is the final response of the INVITE.
    const ignore = (): void => undefined;
    deps.transactions.begin(branch, cancel, deps.pack(cancel, flow), flow, {
      provisional: ignore,
      final: ignore,
      timeout: ignore,
      failed: ignore,
    });
  };

  return {
    provisional() {
      if (state.kind === 'waiting') send();
      else if (state.kind === 'idle') state = { kind: 'idle', answered: true };
    },
    want() {
      if (state.kind !== 'idle') return;
      if (state.answered) send();
      else state = { kind: 'waiting' };
    },
    over() {
      if (state.kind === 'over') return;
      if (state.kind === 'sent') state.patience.cancel();
      state = { kind: 'over', expired: false };
    },
    get expired() {
      return state.kind === 'over' && state.expired;
    },
  };
}
