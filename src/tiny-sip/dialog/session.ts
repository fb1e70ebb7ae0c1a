import { SipError } from '../errors.ts';
import { createResponse } from '../message/create.ts';
import type { HeaderInit, SipRequest, SipResponse } from '../message/message.ts';
import { formatSdp, type SessionDescription } from '../message/sdp.ts';
import type { Flow } from '../transport/transport.ts';
import { type Acceptance, createAcceptance } from './acceptance.ts';
import { type Acknowledgement, acknowledge } from './acknowledgement.ts';
import { answerError } from './answer-error.ts';
import type { Dialog } from './dialog.ts';
import {
  type AnsweredMedia,
  keepAgreed,
  type Negotiation,
  type OfferedMedia,
  refuseAll,
} from './offer-answer.ts';
import { createReoffers } from './reoffer.ts';
import { notAcceptable, readSessionBody, SDP } from './session-body.ts';
import type {
  InviteSession,
  ReofferOutcome,
  SessionEnd,
  SessionHooks,
  SessionRequestInit,
  SessionState,
} from './session-options.ts';
import type { AnswerInit, EventDeps, Incoming, Outcome, Way } from './user-agent.ts';
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

/** RFC 3261 §14.2: Retry-After of an INVITE that came too early, at most, s. */
const overlap = 10;

export function createSession(deps: EventDeps, init: SessionInit): Session {
  const { stack, random, log } = deps;
  const { dialog, negotiation, hooks } = init;

  let state: SessionState = { kind: 'inviting' };
  /** The peer's INVITE: being answered, or answered and not acknowledged. */
  let theirs: { readonly incoming: Incoming; acceptance: Acceptance | undefined } | undefined;
  /** ACKs of our INVITEs, the last few, by CSeq number. */
  const acks = new Map<number, Acknowledgement>();
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
    init.released();
  };
  const untally = stack.tally('sessions', () => 1);

  const allow = (): string =>
    [...new Set([...own, ...(hooks.onRequest === undefined ? [] : stack.methods)])].join(', ');

  const contact = (flow: Flow): string => {
    const uri = contactUri(flow, init.user);
    // RFC 3261 §12.1.1: a dialog of sips URIs has a sips Contact.
    const secure = /^sips:/i.test(dialog.remoteTarget) || /^<?sips:/i.test(dialog.routeSet[0] ?? '');
    return contactValue(secure ? uri.replace(/^sip:/, 'sips:').replace(/;transport=tls/, '') : uri);
  };
  const described = (description: SessionDescription | undefined): { type?: string; body?: Buffer } =>
    description === undefined ? {} : { type: SDP, body: formatSdp(description) };

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
    const waiting = theirs;
    theirs = undefined;
    waiting?.acceptance?.stop();
    // RFC 3261 §15.1.2: what still waits for an answer gets 487.
    if (waiting !== undefined && !waiting.incoming.responded) waiting.incoming.respond(487);
    negotiation.abandon();
    enter({ kind: 'ended', cause });
    reoffers.end();
    const go = goodbye;
    goodbye = undefined;
    if (go === undefined && leaving === undefined) release();
    go?.();
  };

  const sendBye = async (): Promise<void> => {
    await request('BYE', () => ({ headers: {} }));
    release();
  };

  /** Ends it with BYE. RFC 3261 §15: a callee waits for the ACK first. */
  const leave = (cause: SessionEnd): Promise<void> => {
    if (leaving !== undefined) return leaving;
    if (isOver()) return Promise.resolve();
    if (theirs?.acceptance !== undefined && state.kind !== 'ending') {
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

  /** What the user answers to an offer; undefined: refused. */
  const decide = async (offer: SessionDescription): Promise<AnsweredMedia | undefined> => {
    if (negotiation.unchanged) return keepAgreed(negotiation.agreed, offer);
    if (hooks.onOffer === undefined) return keepAgreed(negotiation.agreed, offer);
    return hooks.onOffer(offer);
  };

  const accept = (incoming: Incoming, description: SessionDescription): void => {
    const { type, body } = described(description);
    const response = createResponse(incoming.request, 200, {
      toTag: incoming.toTag,
      headers: {
        'Record-Route': incoming.request.lines('Record-Route'),
        Contact: contact(incoming.flow),
        Allow: allow(),
        Accept: SDP,
        'Content-Type': type,
      },
      body,
    });
    const mine = { incoming, acceptance: undefined as Acceptance | undefined };
    theirs = mine;
    mine.acceptance = createAcceptance(deps, incoming, response, () => {
      // RFC 3261 §13.3.1.4: the dialog is confirmed all the same, and ended with BYE.
      if (theirs !== mine) return;
      theirs = undefined;
      void leaveUnacknowledged();
    });
    if (state.kind === 'inviting') enter({ kind: 'accepted', parameters: negotiation.agreed });
  };

  const leaveUnacknowledged = (): Promise<void> => {
    const go = goodbye;
    goodbye = undefined;
    if (go !== undefined) {
      go();
      return Promise.resolve();
    }
    return leave({ kind: 'unacknowledged' });
  };

  const acknowledged = (ack: SipRequest): void => {
    const waiting = theirs;
    if (waiting?.acceptance === undefined || ack.cseq?.number !== waiting.acceptance.seq) return;
    waiting.acceptance.stop();
    theirs = undefined;
    const awaited = negotiation.pending === 'ours';
    const body = awaited ? readSessionBody(ack) : undefined;
    const wrong =
      body === undefined
        ? undefined
        : body.kind === 'sdp'
          ? negotiation.answered(body.description)
          : body.kind === 'none'
            ? 'the ACK brought no answer'
            : body.why;
    const go = goodbye;
    goodbye = undefined;
    if (go !== undefined) go();
    else if (wrong !== undefined) void leave({ kind: 'unacceptable', why: wrong });
    else establish();
    reoffers.next();
  };

  /** A new INVITE of the peer's within the dialog (RFC 3261 §14.2). */
  const reinvited = async (incoming: Incoming): Promise<void> => {
    if (reoffers.pending) {
      incoming.respond(491);
      return;
    }
    if (theirs !== undefined || state.kind !== 'established') {
      const seconds = Math.floor(random.float() * (overlap + 1));
      incoming.respond(500, { headers: { 'Retry-After': String(seconds) } });
      return;
    }
    const body = readSessionBody(incoming.request);
    if (body.kind === 'unusable') {
      incoming.respond(body.status, body.init);
      return;
    }
    const mine = { incoming, acceptance: undefined };
    const isMine = (): boolean => theirs === mine && !incoming.responded;
    theirs = mine;
    incoming.onCancel(() => {
      if (theirs !== mine) return;
      theirs = undefined;
      negotiation.abandon();
      reoffers.next();
    });
    const refuse = (status: number, init = notAcceptable): void => {
      if (!isMine()) return;
      theirs = undefined;
      negotiation.abandon();
      incoming.respond(status, init);
      reoffers.next();
    };
    if (body.kind === 'none') {
      // RFC 3261 §14.2: the offer is in the 2xx, and overlaps with what is agreed: it is the same.
      answerWith(incoming, () => negotiation.offer(), refuse);
      return;
    }
    const wrong = negotiation.offered(body.description);
    if (wrong !== undefined) {
      refuse(488);
      return;
    }
    try {
      const media = await decide(body.description);
      if (!isMine()) return;
      if (media === undefined) refuse(488);
      else answerWith(incoming, () => negotiation.answer(media), refuse);
    } catch (error) {
      log.error('an offer could not be answered', { callId: dialog.callId, error: String(error) });
      refuse(500, {});
    }
  };

  const answerWith = (
    incoming: Incoming,
    describe: () => SessionDescription,
    refuse: (status: number, init?: AnswerInit) => void,
  ): void => {
    try {
      accept(incoming, describe());
    } catch (error) {
      log.error('a session description could not be written', {
        callId: dialog.callId,
        error: String(error),
      });
      refuse(500, {});
      return;
    }
    dialog.retarget(incoming.request);
    if (negotiation.pending === 'none') establish();
  };

  const succeeded = (sent: SipRequest, response: SipResponse, early?: SessionDescription): void => {
    const seq = sent.cseq?.number ?? 0;
    const known = acks.get(seq);
    if (known !== undefined) {
      known.again();
      return;
    }
    const awaited = negotiation.pending === 'ours';
    const confirm = (answer?: SessionDescription): void => {
      const { type, body } = described(answer);
      const headers = {
        // RFC 3261 §13.2.2.4: with the credentials of the INVITE.
        Authorization: sent.lines('Authorization'),
        'Proxy-Authorization': sent.lines('Proxy-Authorization'),
        'Content-Type': type,
      };
      acks.set(seq, acknowledge(deps, dialog.ack(seq, headers, body), openFlow));
      for (const oldest of acks.keys()) {
        if (acks.size <= 4) break;
        acks.delete(oldest);
      }
    };
    dialog.retarget(response);
    const body = readSessionBody(response);
    if (awaited) {
      confirm();
      // RFC 3261 §13.2.1: the first description is the answer, also one that came with a provisional response.
      const answer = early ?? (body.kind === 'sdp' ? body.description : undefined);
      const wrong =
        answer !== undefined
          ? negotiation.answered(answer)
          : body.kind === 'unusable'
            ? body.why
            : 'the 2xx brought no answer';
      if (wrong !== undefined) void leave({ kind: 'unacceptable', why: wrong });
      else establish();
      return;
    }
    void answerIn2xx(body, response, confirm);
  };

  /** The offer came in the 2xx: the ACK carries the answer, a refusing one where it cannot be agreed to (§13.2.2.4). */
  const answerIn2xx = async (
    body: ReturnType<typeof readSessionBody>,
    response: SipResponse,
    confirm: (answer?: SessionDescription) => void,
  ): Promise<void> => {
    let why = 'the 2xx brought no offer';
    if (body.kind === 'unusable') why = body.why;
    if (body.kind === 'sdp') {
      const wrong = negotiation.offered(body.description);
      if (wrong !== undefined) why = wrong;
      else {
        const answer = await answerOrNone(body.description);
        if (negotiation.pending === 'theirs') {
          confirm(negotiation.answer(refuseAll(negotiation.agreed?.local.origin.address ?? '0.0.0.0')));
          await leave({ kind: 'unacceptable', why: 'the offer was refused' });
          return;
        }
        confirm(answer);
        establish();
        return;
      }
    }
    confirm();
    log.debug('a 2xx could not be used', { callId: response.callId, why });
    await leave({ kind: 'unacceptable', why });
  };

  /** Our answer, agreed on; undefined when there is none, or when the session ended meanwhile. */
  const answerOrNone = async (offer: SessionDescription): Promise<SessionDescription | undefined> => {
    try {
      const media = await decide(offer);
      return media === undefined || isOver() ? undefined : negotiation.answer(media);
    } catch (error) {
      log.error('an offer could not be answered', { callId: dialog.callId, error: String(error) });
      return undefined;
    }
  };

  const reoffers = createReoffers(deps, {
    owner: init.owner,
    negotiation,
    mayBegin: () => theirs === undefined && state.kind === 'established',
    isOver: () => isOver() || state.kind === 'ending',
    invite: (description, signal) =>
      request(
        'INVITE',
        (flow) => {
          const { type, body } = described(description);
          return { headers: { Contact: contact(flow), Allow: allow(), 'Content-Type': type }, body };
        },
        { signal, onAccepted: (response, sent) => succeeded(sent, response) },
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
    accept,
    succeeded,
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
        acknowledged(incoming.request);
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
          reinvited(incoming).catch((error) =>
            answerError(incoming, error, log, 'a re-INVITE was not handled'),
          );
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
          if (hooks.onRequest !== undefined) hooks.onRequest(incoming);
          else incoming.respond(405, { headers: { Allow: allow() } });
      }
    },
  };
}
