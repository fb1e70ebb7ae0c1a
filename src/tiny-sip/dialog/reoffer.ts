import type { Timer } from '../deps.ts';
import type { SessionDescription } from '../message/sdp.ts';
import type { Negotiation, OfferedMedia } from './offer-answer.ts';
import { retryAfter } from './retry-after.ts';
import type { ReofferOutcome } from './session-options.ts';
import type { EventDeps, Outcome } from './user-agent.ts';

/** Our new offers within a session: re-INVITEs, one at a time (RFC 3261 §14.1). */
export interface Reoffers {
  offer(media: OfferedMedia | undefined): Promise<ReofferOutcome>;
  /** An INVITE of ours is under way. */
  readonly pending: boolean;
  /** The peer's INVITE is done with: what waits may go. */
  next(): void;
  /** The session ended. */
  end(): void;
}

export interface ReofferInit {
  /** The Call-ID is ours. */
  readonly owner: boolean;
  readonly negotiation: Negotiation;
  /** No INVITE of the peer's is under way. */
  mayBegin(): boolean;
  isOver(): boolean;
  invite(description: SessionDescription, signal: AbortSignal): Promise<Outcome>;
  /** The peer does not know the dialog. */
  lost(status: 408 | 481): void;
}

/** How often one new offer meets a new offer of the other side before it is refused with their 491. */
const glares = 5;

/** A 500 with Retry-After up to so many seconds means that our INVITE came too early (§14.2). */
const overlap = 10;

interface Waiting {
  readonly media: OfferedMedia | undefined;
  readonly resolve: (outcome: ReofferOutcome) => void;
  readonly reject: (error: unknown) => void;
  tries: number;
}

type State =
  | { readonly kind: 'idle' }
  /** The peer's INVITE goes first. */
  | { readonly kind: 'waiting'; readonly mine: Waiting }
  | { readonly kind: 'sent'; readonly mine: Waiting; readonly abort: AbortController }
  /** Both sides began at once; again after a while. */
  | { readonly kind: 'glare'; readonly mine: Waiting; readonly timer: Timer };

export function createReoffers(deps: EventDeps, init: ReofferInit): Reoffers {
  const { clock, random } = deps;
  const { negotiation } = init;
  let state: State = { kind: 'idle' };

  const begin = (mine: Waiting): void => {
    if (!init.mayBegin()) {
      state = { kind: 'waiting', mine };
      return;
    }
    let offer: SessionDescription;
    try {
      offer = negotiation.offer(mine.media);
    } catch (error) {
      state = { kind: 'idle' };
      mine.reject(error);
      return;
    }
    const abort = new AbortController();
    const sent: State = { kind: 'sent', mine, abort };
    state = sent;
    init.invite(offer, abort.signal).then(
      (outcome) => {
        if (state === sent) settle(mine, outcome);
      },
      (error: unknown) => {
        if (state === sent) finish(mine, { kind: 'failed', error: asError(error) });
      },
    );
  };

  const finish = (mine: Waiting, outcome: ReofferOutcome): void => {
    state = { kind: 'idle' };
    if (outcome.kind !== 'accepted') negotiation.abandon();
    mine.resolve(outcome);
  };

  const settle = (mine: Waiting, outcome: Outcome): void => {
    if (outcome.kind === 'failed') {
      finish(mine, { kind: 'failed', error: outcome.error });
      return;
    }
    const status = outcome.kind === 'timeout' ? 408 : outcome.response.status;
    if (outcome.kind === 'response' && status < 300) {
      // The ACK went out as the 2xx came; its answer decided.
      const { agreed } = negotiation;
      if (agreed === undefined || negotiation.pending !== 'none')
        finish(mine, { kind: 'refused', status: 488, reason: 'the answer cannot be used' });
      else finish(mine, { kind: 'accepted', parameters: agreed });
      return;
    }
    const again = outcome.kind === 'response' ? patience(status, retryAfter(outcome.response)) : undefined;
    if (again !== undefined && mine.tries < glares) {
      negotiation.abandon();
      mine.tries += 1;
      const timer = clock.after(again, () => begin(mine));
      state = { kind: 'glare', mine, timer };
      return;
    }
    finish(mine, {
      kind: 'refused',
      status,
      reason: outcome.kind === 'response' ? outcome.response.reason : 'no answer',
    });
    if (status === 408 || status === 481) init.lost(status);
  };

  /** In how many ms to try again after that answer; undefined: not at all. */
  const patience = (status: number, seconds: number | undefined): number | undefined => {
    // RFC 3261 §14.1, in steps of 10 ms.
    if (status === 491)
      return init.owner
        ? 2100 + 10 * Math.floor(random.float() * 191)
        : 10 * Math.floor(random.float() * 201);
    if (status === 500 && seconds !== undefined && seconds <= overlap) return seconds * 1000;
    return undefined;
  };

  return {
    offer(media) {
      if (init.isOver()) return Promise.resolve({ kind: 'ended' });
      if (state.kind !== 'idle') return Promise.resolve({ kind: 'busy' });
      return new Promise((resolve, reject) => begin({ media, resolve, reject, tries: 0 }));
    },
    get pending() {
      return state.kind === 'sent';
    },
    next() {
      if (state.kind === 'waiting') begin(state.mine);
    },
    end() {
      const { kind } = state;
      if (state.kind === 'idle') return;
      const { mine } = state;
      if (state.kind === 'sent') state.abort.abort('the session ended');
      if (state.kind === 'glare') state.timer.cancel();
      state = { kind: 'idle' };
      if (kind !== 'idle') mine.resolve({ kind: 'ended' });
    },
  };
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
