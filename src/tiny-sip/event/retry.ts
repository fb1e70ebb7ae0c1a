import { retryAfter } from '../dialog/retry-after.ts';
import type { Outcome } from '../dialog/user-agent.ts';
import type { SipResponse } from '../message/message.ts';

/**
 * What each failure means, in one table per request. The state machines beside it only carry out what is said here.
 */

/** Why something did not work, as states and logs tell it. */
export interface Failure {
  /** Final status, when there was one. */
  readonly status?: number;
  /** Reason phrase, or what the transport said. */
  readonly reason: string;
  /** Refused by a response, not answered in time, or not sent. */
  readonly kind: 'response' | 'timeout' | 'failed';
}

/** Why an outcome is no success. */
export function failureOf(outcome: Outcome): Failure {
  switch (outcome.kind) {
    case 'response':
      return { kind: 'response', status: outcome.response.status, reason: outcome.response.reason };
    case 'timeout':
      return { kind: 'timeout', reason: 'no answer' };
    case 'failed':
      return { kind: 'failed', reason: outcome.error.message };
  }
}

/** `Min-Expires` in seconds, when it asks for more than was offered and for no more than a day. */
export function minExpires(response: SipResponse, offered: number): number | undefined {
  const value = /^\s*(\d{1,9})/.exec(response.get('Min-Expires') ?? '')?.[1];
  const seconds = value === undefined ? 0 : Number(value);
  return seconds > offered && seconds <= 86_400 ? seconds : undefined;
}

/** The essences of `Accept`, lower case. Empty: there was none. */
export function acceptOf(message: { all(name: string): readonly string[] }): readonly string[] {
  return message.all('Accept').map((value) => (value.split(';')[0] ?? '').trim().toLowerCase());
}

/** What to do after a request that asks for soft state did not succeed. */
export type Advice =
  /** The server does not know our state: begin anew, once, at once. */
  | { readonly kind: 'anew' }
  /** Ask for this many seconds, at once. */
  | { readonly kind: 'longer'; readonly expires: number }
  /** Come again after the back-off, and not before `seconds`. */
  | { readonly kind: 'wait'; readonly seconds: number }
  /** Something has to change first: come again slowly. */
  | { readonly kind: 'refused'; readonly seconds: number }
  /** Other content is wanted (PUBLISH only). */
  | { readonly kind: 'unsuitable'; readonly status: 413 | 415 };

const wait = (response?: SipResponse): Advice => ({
  kind: 'wait',
  seconds: (response && retryAfter(response)) ?? 0,
});

const refused = (response: SipResponse): Advice => ({ kind: 'refused', seconds: retryAfter(response) ?? 0 });

/** What was sent, as far as the answer's meaning depends on it. */
export interface Sent {
  /** It carried SIP-If-Match. */
  readonly conditional: boolean;
  /** It carried a body. */
  readonly body: boolean;
  /** Seconds asked for. */
  readonly expires: number;
}

/** RFC 3903 §4 and §5, with what Kamailio does besides. */
export function adviseForPublish(outcome: Outcome, sent: Sent): Advice {
  if (outcome.kind !== 'response') return wait();
  const { response } = outcome;
  switch (response.status) {
    case 412:
      return { kind: 'anew' };
    case 400:
      // A body-less refresh is only malformed to a server that does not know the tag any more.
      return sent.conditional && !sent.body ? { kind: 'anew' } : refused(response);
    case 413:
      // With Retry-After it is a matter of time (RFC 3261 §21.4.11), without it one of size.
      return retryAfter(response) === undefined ? { kind: 'unsuitable', status: 413 } : wait(response);
    case 415:
      return { kind: 'unsuitable', status: 415 };
    case 423: {
      const expires = minExpires(response, sent.expires);
      return expires === undefined ? wait(response) : { kind: 'longer', expires };
    }
    case 500:
      // Kamailio answers 500 to a tag of another instance; any other server gets the benefit of a fresh start.
      return sent.conditional ? { kind: 'anew' } : wait(response);
    case 404:
    case 408:
    case 410:
    case 480:
    case 491:
      return wait(response);
    default:
      return response.status >= 500 && response.status < 600 && ![501, 505, 513].includes(response.status)
        ? wait(response)
        : refused(response);
  }
}

/** RFC 3261 §10.2 and RFC 5626 §4.5. */
export function adviseForRegister(outcome: Outcome, sent: Pick<Sent, 'expires'>): Advice {
  if (outcome.kind !== 'response') return wait();
  const { response } = outcome;
  switch (response.status) {
    case 423: {
      const expires = minExpires(response, sent.expires);
      return expires === undefined ? wait(response) : { kind: 'longer', expires };
    }
    case 439:
      // RFC 5626 §6: the first hop lacks outbound; again without reg-id.
      return { kind: 'anew' };
    case 408:
    case 480:
    case 491:
    case 500:
    case 502:
    case 503:
    case 504:
      return wait(response);
    default:
      return refused(response);
  }
}

/** Statuses that end a subscription or its dialog usage at both ends (RFC 6665 §4.1.2.2, §4.2.2; RFC 5057). */
export function endsUsage(status: number): boolean {
  return [404, 405, 410, 416, 489, 501, 604].includes(status) || (status >= 480 && status <= 485);
}

/** An initial SUBSCRIBE (RFC 6665 §4.1.2.1). */
export function adviseForSubscribe(outcome: Outcome, sent: Pick<Sent, 'expires'>): Advice {
  if (outcome.kind !== 'response') return wait();
  const { response } = outcome;
  switch (response.status) {
    case 423: {
      const expires = minExpires(response, sent.expires);
      return expires === undefined ? wait(response) : { kind: 'longer', expires };
    }
    case 404:
    case 408:
    case 410:
    case 413:
    case 480:
    case 481:
    case 486:
    case 491:
      return wait(response);
    default:
      return response.status >= 500 && response.status < 600 && ![501, 505, 513].includes(response.status)
        ? wait(response)
        : refused(response);
  }
}

/**
 * What becomes of a subscription after its NOTIFY.
 * `drop`: it is over, without another word. `spare`: it stays; the state goes with the next change.
 * `again`: it stays, the state is due again after `seconds`; too many of these in a row end it.
 */
export type NotifyAdvice =
  | { readonly kind: 'delivered' | 'drop' | 'spare' }
  | { readonly kind: 'again'; readonly seconds: number };

/** RFC 6665 §4.2.2. */
export function adviseForNotify(outcome: Outcome): NotifyAdvice {
  if (outcome.kind !== 'response') return { kind: 'again', seconds: 30 };
  const { status } = outcome.response;
  if (status < 300) return { kind: 'delivered' };
  if (endsUsage(status)) return { kind: 'drop' };
  switch (status) {
    case 408:
    case 500:
    case 502:
    case 503:
    case 504:
      return { kind: 'again', seconds: Math.max(30, retryAfter(outcome.response) ?? 0) };
    default:
      // 401 and 407 say that we lack credentials, 415 that the body did not please: the watcher is there.
      return { kind: 'spare' };
  }
}

/** Why a notifier ended a subscription, and what a subscriber does then (RFC 6665 §4.1.3). */
export function adviseForTermination(
  reason: string | undefined,
  after: number | undefined,
): { readonly kind: 'anew' | 'final' } | { readonly kind: 'wait'; readonly seconds: number } {
  switch (reason) {
    case 'deactivated':
    case 'timeout':
      return { kind: 'anew' };
    case 'rejected':
    case 'noresource':
    case 'invariant':
      return { kind: 'final' };
    default:
      return { kind: 'wait', seconds: after ?? 0 };
  }
}
