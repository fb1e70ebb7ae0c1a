import type { DigestClient } from '../auth/client.ts';
import type { AnswerInit, Way } from '../dialog/user-agent.ts';
import type { SipRequest } from '../message/message.ts';
import type { Rates } from './rate.ts';
import type { Failure } from './retry.ts';

/** How a subscription is made. */
export interface SubscriptionOptions {
  /** Request-URI and To. */
  readonly resource: string;
  /** From: our own AOR. */
  readonly from: string;
  /** Event header value, parameters included. Default `presence`. */
  readonly event?: string;
  /**
   * How often to be notified (RFC 6446). A notifier that answers 489 to these parameters is asked again without them;
   * what it agreed to stands in the state.
   */
  readonly rates?: Rates;
  /**
   * Refresh and unsubscribe on the condition that the state is still the one that was told last (RFC 5839), so that a
   * notifier that gives entity-tags need not send it again. Given up where it does not work. Default true.
   */
  readonly conditional?: boolean;
  /**
   * Entity-tag of the state that the owner holds from before, asked for each SUBSCRIBE outside of a dialog (a fetch, a
   * subscription begun anew). Where the notifier still has that state, the NOTIFY comes with `unchanged` and no body.
   */
  readonly known?: () => string | undefined;
  /** Accepted content types; empty: no Accept header. */
  readonly accept?: readonly string[];
  /** Seconds; 0 fetches the state once (RFC 6665 §4.4.3). Default 3600. */
  readonly expires?: number;
  /** undefined: not yet; call `wake()` when it changed. Default: the resource is looked up. */
  readonly way?: () => Way | undefined;
  /** Answers challenges. */
  readonly credentials?: DigestClient;
  /** User part of the Contact; default that of `from`. */
  readonly contactUser?: string;
  /** Our Contact URI, such as the GRUU of a registration (RFC 5627 §4.4). Default, or undefined: that of the flow. */
  readonly contact?: () => string | undefined;
  /**
   * Keeps the flow open by which NOTIFYs come, if this side opened it: CRLF every 90 s on streams, every 25 s on UDP.
   * Default true; false: whoever made the flow does it.
   */
  readonly keepAlive?: boolean;
  /** Own headers, on every SUBSCRIBE. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Return a verdict to answer a NOTIFY otherwise than 200 (415 with Accept, 400, …). */
  readonly onNotify?: (notify: Notify) => NotifyVerdict | undefined;
  /** Called with every new state. */
  readonly onState?: (state: SubscriptionState) => void;
}

/** A NOTIFY, read. */
export interface Notify {
  /** What its Subscription-State says. */
  readonly state: 'active' | 'pending' | 'terminated';
  /** Why it ended or is pending, lower case; absent when the notifier did not tell. */
  readonly reason?: string;
  /** Essence, lower case; undefined: no body. */
  readonly contentType?: string;
  /** The exact bytes; empty without a body. */
  readonly body: Buffer;
  /** Entity-tag of this state, where the notifier gives one; for `known` later. */
  readonly tag?: string;
  /** The state is the one that `known` named: there is no body because the owner has it. */
  readonly unchanged?: true;
  /** The request itself, for what else it carries. */
  readonly request: SipRequest;
}

/** How a NOTIFY is answered in place of 200. */
export interface NotifyVerdict extends AnswerInit {
  /** A final status. */
  readonly status: number;
}

/** Where a subscription stands. `expiresAt` and `retryAt` are monotonic ms. */
export type SubscriptionState =
  | { readonly kind: 'idle' }
  | { readonly kind: 'blocked' }
  | { readonly kind: 'subscribing' }
  /** `rates`: what the notifier agreed to; empty where it knows none. */
  | { readonly kind: 'pending'; readonly expiresAt: number; readonly rates: Rates }
  | { readonly kind: 'active'; readonly expiresAt: number; readonly rates: Rates }
  | { readonly kind: 'waiting'; readonly retryAt: number; readonly cause: Failure }
  | { readonly kind: 'refused'; readonly retryAt: number; readonly cause: Failure }
  /** Over: fetched (`reason` `fetched`), unsubscribed, or ended by the notifier with a reason that forbids retrying. */
  | { readonly kind: 'terminated'; readonly reason: string; readonly cause?: Failure };

/** Keeps one subscription up, or fetches once (RFC 6665 §4.1). */
export interface Subscription {
  /** Where it stands now. */
  readonly state: SubscriptionState;
  /** Subscribes as soon as there is a way. */
  start(): void;
  /** `way()` may have changed: try now. */
  wake(): void;
  /** Asks for full state now (re-SUBSCRIBE in the dialog). */
  refresh(): void;
  /** Asks for other rates, now and from now on. */
  pace(rates: Rates): void;
  /**
   * Quiet: only changes of the subscription itself are told, not the state (RFC 5839 §5.2), where the notifier gives
   * entity-tags. Loud again: told at once if the state is another than before.
   */
  quiet(on: boolean): void;
  /** Ends it with Expires 0; resolves when the last NOTIFY came, was refused, or did not come in time. */
  unsubscribe(): Promise<void>;
  /** Stops without a word. */
  stop(): void;
}
