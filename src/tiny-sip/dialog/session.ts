import { SipError } from '../errors.ts';
import type { HeaderInit, SipRequest, SipResponse } from '../message/message.ts';
import type { SessionDescription } from '../message/sdp.ts';
import type { Flow } from '../transport/transport.ts';
import { answerError, handTo } from './answer-error.ts';
import { createConfirmations } from './confirmation.ts';
import type { Dialog } from './dialog.ts';
import { createInvites } from './invites.ts';
import type { Negotiation, OfferedMedia } from './offer-answer.ts';
import { createReoffers } from './reoffer.ts';
import { SDP } from './session-body.ts';
import { described, type SessionCore } from './session-core.ts';
import type {
  InviteSession,
  ReofferOutcome,
  SessionEnd,
  SessionHooks,
  SessionRequestInit,
  SessionState,
} from './session-options.ts';
import type { EventDeps, Incoming, Outcome, Way } from './user-agent.ts';
import { contactUri, contactValue, sendByWay } from './way.ts';

/** What a session is made of once its dialog is there. */
export interface SessionInit {
  readonly dialog: Dialog;
  readonly negotiation: Negotiation;
  /** Our side made the Call-ID (RFC 3261 §14.1). */
  readonly owner: boolean;
  /** The flow that in-dialog requests keep to while it is open; else the route set and the target decide. */
  readonly flow: Flow | undefined;
  /** User part of our Contact. */
  readonly user: string | undefined;
  readonly hooks: SessionHooks;
  /** Called once, when it has ended and nothing of it is left to be said. */
  released(): void;
}

/** A session with its dialog, whichever side began it. */
export interface Session extends InviteSession {
  readonly remoteTag: string;
  /** A request in its dialog. */
  handle(incoming: Incoming): void;
  /** Server: answers the INVITE with that description, and awaits the ACK. Throws when it cannot be written. */
  accept(incoming: Incoming, description: SessionDescription): void;
  /** Client: a 2xx to an INVITE of ours, as often as it comes; the first time its description is looked at. */
  succeeded(request: SipRequest, response: SipResponse, early?: SessionDescription): void;
  /** Ends it without BYE. */
  end(cause: SessionEnd): void;
}

/** Methods that are answered here, for Allow. PRACK and UPDATE are none: 405. */
const own = ['INVITE', 'ACK', 'CANCEL', 'BYE', 'OPTIONS'] as const;

export function createSession(deps: EventDeps, init: SessionInit): Session {
  const { stack, log } = deps;
  const { dialog, negotiation, hooks } = init;

  let state: SessionState = { kind: 'inviting' };
  /** Who waits for the ACK, to say BYE after it. */
  let goodbye: (() => void) | undefined;
  let released = false;
  let leaving: Promise<void> | undefined;

  const isOver = (): boolean => state.kind === 'ended';
  const enter = (next: SessionState): void => {
    if (isOver()) return;
    state = next;
    hooks.onState?.(next);
  };
  const establish = (): void => {
    if (negotiation.agreed !== undefined && state.kind !== 'ending')
      enter({ kind: 'established', parameters: negotiation.agreed });
  };
  const release = (): void => {
    if (released) return;
    released = true;
    untally();
    unstop();
    init.released();
  };
  const untally = stack.tally('sessions', () => 1);
  const unstop = stack.onStop(() => {
    end({ kind: 'failed', error: new SipError('STOPPED') });
    release();
  });

  const allow = (): string =>
    [...new Set([...own, ...(hooks.onRequest === undefined ? [] : stack.methods)])].join(', ');

  const contact = (flow: Flow): string => {
    const uri = contactUri(flow, init.user);
    // RFC 3261 §12.1.1: a dialog of sips URIs has a sips Contact.
    const secure = /^sips:/i.test(dialog.remoteTarget) || /^<?sips:/i.test(dialog.routeSet[0] ?? '');
    return contactValue(secure ? uri.replace(/^sip:/, 'sips:').replace(/;transport=tls/, '') : uri);
  };

  const openFlow = (): { readonly flow?: Flow } =>
    init.flow !== undefined && init.flow.state !== 'closed' ? { flow: init.flow } : {};
  const wayNow = (): Way => {
    const { flow } = openFlow();
    return flow === undefined ? { route: dialog.routeSet } : { flow };
  };

  const request = (
    method: string,
    build: (flow: Flow) => {
      headers: Record<string, HeaderInit[string]>;
      body?: Buffer | string | undefined;
    },
    options: { signal?: AbortSignal; onAccepted?: (response: SipResponse, request: SipRequest) => void } = {},
  ): Promise<Outcome> =>
    sendByWay(
      stack,
      wayNow(),
      dialog.remoteTarget,
      (flow) => {
        const { headers, body } = build(flow);
        return dialog.request(method, headers, body);
      },
      {
        ...(hooks.credentials && { credentials: hooks.credentials }),
        ...options,
        onSend: (sent) => dialog.used(sent.cseq?.number),
      },
    );

  /** Ends it here and now; says nothing. */
  const end = (cause: SessionEnd): void => {
    if (isOver()) return;
    invites.end();
    negotiation.abandon();
    enter({ kind: 'ended', cause });
    reoffers.end();
    const go = goodbye;
    goodbye = undefined;
    if (go === undefined && leaving === undefined) release();
    go?.();
  };

  const sendBye = async (): Promise<void> => {
    try {
      await request('BYE', () => ({ headers: {} }));
    } catch (error) {
      // Nobody waits for this promise in most cases, and the session is over all the same.
      log.error('a BYE could not be sent', { callId: dialog.callId, error: String(error) });
    } finally {
      release();
    }
  };

  /** Ends it with BYE. RFC 3261 §15: a callee waits for the ACK first. */
  const leave = (cause: SessionEnd): Promise<void> => {
    if (leaving !== undefined) return leaving;
    if (isOver()) return Promise.resolve();
    if (invites.unacknowledged && state.kind !== 'ending') {
      leaving = new Promise<void>((resolve) => {
        goodbye = resolve;
      }).then(async () => {
        // The peer may have ended it meanwhile.
        if (state.kind === 'ended' && state.cause.kind === 'bye' && state.cause.by === 'peer') release();
        else await bid(cause);
      });
      enter({ kind: 'ending' });
      return leaving;
    }
    leaving = bid(cause);
    return leaving;
  };

  const bid = (cause: SessionEnd): Promise<void> => {
    const said = sendBye();
    leaving ??= said;
    end(cause);
    return said;
  };

  const core: SessionCore = {
    dialog,
    negotiation,
    hooks,
    get state() {
      return state;
    },
    enter,
    establish,
    leave,
    contact,
    allow,
  };

  const confirmations = createConfirmations(deps, core, openFlow);

  const invites = createInvites(deps, core, {
    ours: () => reoffers.pending,
    done: () => reoffers.next(),
    goodbye() {
      const go = goodbye;
      goodbye = undefined;
      go?.();
      return go !== undefined;
    },
  });

  const reoffers = createReoffers(deps, {
    owner: init.owner,
    negotiation,
    mayBegin: () => !invites.pending && state.kind === 'established',
    isOver: () => isOver() || state.kind === 'ending',
    invite: (description, signal) =>
      request(
        'INVITE',
        (flow) => {
          const { headers, body } = described(description);
          return { headers: { Contact: contact(flow), Allow: allow(), ...headers }, body };
        },
        { signal, onAccepted: (response, sent) => confirmations.succeeded(sent, response) },
      ),
    lost: (status) => void leave({ kind: 'lost', status }),
  });

  return {
    get state() {
      return state;
    },
    get parameters() {
      return negotiation.agreed;
    },
    callId: dialog.callId,
    remoteTag: dialog.remoteTag,
    accept: invites.accept,
    succeeded: confirmations.succeeded,
    end,
    reoffer: (media?: OfferedMedia): Promise<ReofferOutcome> => reoffers.offer(media),
    bye: () => leave({ kind: 'bye', by: 'us' }),
    async send(method: string, extra: SessionRequestInit = {}) {
      if (isOver() || state.kind === 'ending') {
        const gone = dialog.request(method, {});
        return {
          kind: 'failed',
          request: gone,
          error: new SipError('ABANDONED', { cause: 'the session ended' }),
        };
      }
      const outcome = await request(
        method,
        () => ({ headers: { ...extra.headers }, body: extra.body }),
        extra.signal && { signal: extra.signal },
      );
      // RFC 3261 §12.2.1.2: a peer that does not know the dialog, or is silent, ends it.
      const status = outcome.kind === 'response' ? outcome.response.status : undefined;
      if (status === 481 || status === 408 || outcome.kind === 'timeout')
        void leave({ kind: 'lost', status: status === 481 ? 481 : 408 });
      return outcome;
    },
    handle(incoming) {
      const { method } = incoming.request;
      if (method === 'ACK') {
        invites.acknowledged(incoming.request);
        return;
      }
      if (isOver()) {
        // Both said BYE at once.
        incoming.respond(method === 'BYE' ? 200 : 481);
        return;
      }
      if (!dialog.inOrder(incoming.request)) {
        incoming.respond(500, { reason: 'CSeq out of order' });
        return;
      }
      switch (method) {
        case 'BYE':
          incoming.respond(200);
          end({ kind: 'bye', by: 'peer' });
          return;
        case 'INVITE':
          invites
            .invited(incoming)
            .catch((error) => answerError(incoming, error, log, 'a re-INVITE was not handled'));
          return;
        case 'OPTIONS':
          incoming.respond(200, { headers: { Allow: allow(), Accept: SDP } });
          return;
        case 'NOTIFY':
          // No subscription shares this dialog.
          incoming.respond(481);
          return;
        case 'PRACK':
        case 'UPDATE':
          incoming.respond(405, { headers: { Allow: allow() } });
          return;
        default:
          if (hooks.onRequest !== undefined) handTo(hooks.onRequest, incoming, log);
          else incoming.respond(405, { headers: { Allow: allow() } });
      }
    },
  };
}
