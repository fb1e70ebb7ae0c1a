import { createResponse } from '../message/create.ts';
import type { SipRequest } from '../message/message.ts';
import type { SessionDescription } from '../message/sdp.ts';
import { type Acceptance, createAcceptance } from './acceptance.ts';
import { notAcceptable, readSessionBody, SDP } from './session-body.ts';
import { decide, described, type SessionCore } from './session-core.ts';
import type { AnswerInit, EventDeps, Incoming } from './user-agent.ts';

/** The peer's INVITEs: the first one once it is accepted, and those within the dialog (RFC 3261 §13.3, §14.2). */
export interface Invites {
  /** One is being answered, or answered and not acknowledged. */
  readonly pending: boolean;
  /** One is answered and not acknowledged. */
  readonly unacknowledged: boolean;
  /** Answers with 200 and that description until the ACK comes. Throws when it cannot be written. */
  accept(incoming: Incoming, description: SessionDescription): void;
  /** A new one within the dialog. */
  invited(incoming: Incoming): Promise<void>;
  acknowledged(ack: SipRequest): void;
  /** The session ended: what still waits gets 487, and no 2xx is sent any more. */
  end(): void;
}

export interface InvitesInit {
  /** An INVITE of ours is under way. */
  ours(): boolean;
  /** None of theirs is under way any more. */
  done(): void;
  /** The ACK is here, or will not come: somebody has waited to say BYE. Answers whether. */
  goodbye(): boolean;
}

/** RFC 3261 §14.2: Retry-After of an INVITE that came too early, at most, s. */
const overlap = 10;

export function createInvites(deps: EventDeps, core: SessionCore, init: InvitesInit): Invites {
  const { random, log } = deps;
  const { dialog, negotiation } = core;
  let theirs: { readonly incoming: Incoming; acceptance: Acceptance | undefined } | undefined;

  const accept = (incoming: Incoming, description: SessionDescription): void => {
    const { headers, body } = described(description);
    const response = createResponse(incoming.request, 200, {
      toTag: incoming.toTag,
      headers: {
        'Record-Route': incoming.request.lines('Record-Route'),
        Contact: core.contact(incoming.flow),
        Allow: core.allow(),
        Accept: SDP,
        ...headers,
      },
      body,
    });
    const mine = { incoming, acceptance: undefined as Acceptance | undefined };
    theirs = mine;
    mine.acceptance = createAcceptance(deps, incoming, response, () => {
      // RFC 3261 §13.3.1.4: the dialog is confirmed all the same, and ended with BYE.
      if (theirs !== mine) return;
      theirs = undefined;
      if (!init.goodbye()) void core.leave({ kind: 'unacknowledged' });
    });
    if (core.state.kind === 'inviting') core.enter({ kind: 'accepted', parameters: negotiation.agreed });
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
    if (!init.goodbye()) {
      if (wrong !== undefined) void core.leave({ kind: 'unacceptable', why: wrong });
      else core.establish();
    }
    init.done();
  };

  /** A new INVITE of the peer's within the dialog (RFC 3261 §14.2). */
  const invited = async (incoming: Incoming): Promise<void> => {
    if (init.ours()) {
      incoming.respond(491);
      return;
    }
    if (theirs !== undefined || core.state.kind !== 'established') {
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
      init.done();
    });
    const refuse = (status: number, answer: AnswerInit = notAcceptable): void => {
      if (!isMine()) return;
      theirs = undefined;
      negotiation.abandon();
      incoming.respond(status, answer);
      init.done();
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
      const media = await decide(core, body.description);
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
    if (negotiation.pending === 'none') core.establish();
  };

  return {
    get pending() {
      return theirs !== undefined;
    },
    get unacknowledged() {
      return theirs?.acceptance !== undefined;
    },
    accept,
    invited,
    acknowledged,
    end() {
      const waiting = theirs;
      theirs = undefined;
      waiting?.acceptance?.stop();
      // RFC 3261 §15.1.2: what still waits for an answer gets 487.
      if (waiting !== undefined && !waiting.incoming.responded) waiting.incoming.respond(487);
    },
  };
}
