import type { DigestClient } from '../auth/client.ts';
import type { HeaderInit } from '../message/message.ts';
import type { NameAddr } from '../message/name-addr.ts';
import type { MediaDescription, SessionDescription } from '../message/sdp.ts';
import type { AnsweredMedia, OfferedMedia, SessionParameters } from './offer-answer.ts';
import type { AnswerInit, Handler, Incoming, Outcome, Way } from './user-agent.ts';

/** Where a session stands. */
export type SessionState =
  /** The INVITE is out; nothing but 100 has come. */
  | { readonly kind: 'inviting' }
  /** A provisional response came, from one of perhaps several that the INVITE reached. */
  | { readonly kind: 'early'; readonly status: number; readonly reason: string }
  /** Our 2xx is out, its ACK has not come. */
  | { readonly kind: 'accepted'; readonly parameters: SessionParameters | undefined }
  /** Told again when the parameters change. */
  | { readonly kind: 'established'; readonly parameters: SessionParameters }
  /** It is being given up, and waits for the final response or the ACK that has to come first. */
  | { readonly kind: 'ending' }
  | { readonly kind: 'ended'; readonly cause: SessionEnd };

/** Why a session ended, or never came to be. */
export type SessionEnd =
  | { readonly kind: 'bye'; readonly by: 'us' | 'peer' }
  /** Before it was answered. */
  | { readonly kind: 'cancelled'; readonly by: 'us' | 'peer' }
  /** Nobody answered in time. */
  | { readonly kind: 'expired' }
  /** A final response of 400 and more, ours or the peer's. */
  | {
      readonly kind: 'refused';
      readonly status: number;
      readonly reason: string;
      readonly retryAfter?: number;
    }
  /** 3xx: where else to try (RFC 3261 §8.1.3.4); best first. Trying is up to the user. */
  | { readonly kind: 'redirected'; readonly status: number; readonly contacts: readonly string[] }
  /** The INVITE got no answer at all. */
  | { readonly kind: 'timeout' }
  | { readonly kind: 'failed'; readonly error: Error }
  /** What came as an answer, or as an offer, cannot be one. */
  | { readonly kind: 'unacceptable'; readonly why: string }
  /** The ACK of our 2xx never came (RFC 3261 §13.3.1.4). */
  | { readonly kind: 'unacknowledged' }
  /** The peer does not know the dialog any more, or is silent (RFC 3261 §12.2.1.2). */
  | { readonly kind: 'lost'; readonly status: 408 | 481 };

/** What became of a new offer within a session. Whatever it is but `accepted` and `ended`, the session stands. */
export type ReofferOutcome =
  | { readonly kind: 'accepted'; readonly parameters: SessionParameters }
  | { readonly kind: 'refused'; readonly status: number; readonly reason: string }
  | { readonly kind: 'failed'; readonly error: Error }
  /** Another new offer is already waiting for its turn. */
  | { readonly kind: 'busy' }
  | { readonly kind: 'ended' };

/** A session that INVITE makes, at either side. */
export interface InviteSession {
  /** The present state. */
  readonly state: SessionState;
  /** What both sides agreed on last. */
  readonly parameters: SessionParameters | undefined;
  /** Call-ID of the dialog. */
  readonly callId: string;
  /**
   * Offers anew by a re-INVITE; without `media` the same again, as a sign of life. Waits for an exchange that is under
   * way, and tries again where both sides began at once (491, RFC 3261 §14.1). Throws SipSyntaxError on media that
   * cannot be written.
   */
  reoffer(media?: OfferedMedia): Promise<ReofferOutcome>;
  /** Ends it: CANCEL before it is answered, BYE after. Resolves when the other side has answered, or never will. */
  bye(): Promise<void>;
  /** Any other request within the dialog (INFO, MESSAGE, …), with the dialog's CSeq. `failed` when there is none. */
  send(method: string, init?: SessionRequestInit): Promise<Outcome>;
}

/** A request within a session. */
export interface SessionRequestInit {
  /** Further headers. */
  readonly headers?: Readonly<Record<string, HeaderInit[string]>>;
  /** The body; its type stands in `headers`. */
  readonly body?: Buffer | string;
  /** Gives up waiting. */
  readonly signal?: AbortSignal;
}

/** What a session asks of its user, and tells it. */
export interface SessionHooks {
  /** Tells every new state, the last one included. */
  readonly onState?: (state: SessionState) => void;
  /**
   * A new offer of the peer's, or the one in its 2xx where we made none. Answers with our media, one entry for each of
   * the offer's, or undefined to refuse it (488). Default: what is agreed stays as it is, and new media are refused.
   */
  readonly onOffer?:
    | ((offer: SessionDescription) => AnsweredMedia | undefined | Promise<AnsweredMedia | undefined>)
    | undefined;
  /** Requests within the dialog that are not the session's own. Default: 405. */
  readonly onRequest?: Handler;
  /** Answers challenges within the session. */
  readonly credentials?: DigestClient;
  /** User part of our Contact. Default: that of our AOR. */
  readonly contactUser?: string;
}

/** A call to somebody. */
export interface InviteSessionOptions extends SessionHooks {
  /** Whom: Request-URI and To. */
  readonly to: string;
  /** Our AOR. */
  readonly from: string;
  /** Display name of From. */
  readonly displayName?: string;
  /** Our offer. Absent: the peer makes one in its 2xx, and `onOffer` has to answer it. */
  readonly offer?: OfferedMedia | undefined;
  /** By which way it leaves; default: the callee is looked up. */
  readonly way?: Way;
  /**
   * Seconds for the peer to answer in; then CANCEL. Sent as Expires (RFC 3261 §13.2.1) where it is given; without it
   * 180 s go by unsaid.
   */
  readonly expires?: number;
  /** More headers of the first INVITE: Subject, Accept-Contact, … */
  readonly headers?: Readonly<Record<string, HeaderInit[string]>>;
}

/** A call from somebody, before it is answered. */
export interface Invitation {
  /** The INVITE itself. */
  readonly incoming: Incoming;
  /** URI of the caller. */
  readonly from: NameAddr | undefined;
  /** Undefined: we are to make the offer, in `accept`. */
  readonly offer: SessionDescription | undefined;
  /** It has been answered, cancelled, or ran out. */
  readonly over: boolean;
  /** 101 to 199; sent again every minute, for proxies give up otherwise (RFC 3261 §13.3.1.1). */
  ring(status?: number): void;
  /**
   * Answers 200. With an offer: `media` has an entry for each of its media. Without: it is our offer. Undefined when
   * the call is over already. Throws SipSyntaxError on media that cannot be written, and then nothing was sent.
   */
  accept(media: AnsweredMedia, hooks?: SessionHooks): InviteSession | undefined;
  /** 300 and more. A redirection carries Contact in `init.headers`. */
  reject(status: number, init?: AnswerInit): void;
  /** Calls when it is over without having been accepted: rejected, cancelled, expired. */
  onEnd(listener: (cause: SessionEnd) => void): void;
}

/** How calls are taken. */
export interface InviteServerOptions {
  /** Takes each new call. May be asynchronous; what it throws rejects the invitation with 500. */
  readonly onInvite: (invitation: Invitation) => void | Promise<void>;
  /** Which media can be agreed on at all; an offer without any gets 488. Default: message sessions over MSRP. */
  readonly accepts?: (media: MediaDescription) => boolean;
  /** Sessions and invitations at a time; beyond it 503 with Retry-After. Default 1,000. */
  readonly limit?: number;
  /**
   * Seconds for the user to answer in; then 480. A shorter Expires of the INVITE counts instead (487). Default 180.
   * Whoever needs longer has to `ring`: after 200 s of silence the stack answers 408 by itself.
   */
  readonly patience?: number;
}

/** Takes calls. */
export interface InviteServer {
  /** For `stack.on('INVITE', …)`. */
  readonly handle: Handler;
  /** Sessions that are not ended. */
  readonly sessions: ReadonlySet<InviteSession>;
  /** Refuses what waits (480), says BYE to all others. Resolves when they have answered. */
  stop(): Promise<void>;
}
