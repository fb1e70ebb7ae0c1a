import type { Timer } from '../deps.ts';
import { SipError } from '../errors.ts';
import { isMessageMedia } from '../message/message-media.ts';
import type { SessionDescription } from '../message/sdp.ts';
import { acceptDialog, type Dialog } from './dialog.ts';
import { sessionId } from './invite-session.ts';
import { createNegotiation, type Negotiation } from './offer-answer.ts';
import { createSession, type Session } from './session.ts';
import { notAcceptable, readSessionBody } from './session-body.ts';
import type {
  Invitation,
  InviteServer,
  InviteServerOptions,
  InviteSession,
  SessionEnd,
  SessionHooks,
} from './session-options.ts';
import type { AnswerInit, EventDeps, Incoming } from './user-agent.ts';
import { contactUri, contactValue, userOf } from './way.ts';

/** Seconds that the user may take for an answer. */
const patience = 180;

/** RFC 3261 §13.3.1.1: a provisional response every minute. */
const minute = 60_000;

/** Takes calls (RFC 3261 §13.3); put its `handle` on INVITE. */
export function createInviteServer(deps: EventDeps, options: InviteServerOptions): InviteServer {
  const { stack, log } = deps;
  const accepts = options.accepts ?? isMessageMedia;
  const limit = options.limit ?? 1_000;
  const sessions = new Set<Session>();
  const waiting = new Set<Invitation>();
  const untally = stack.tally('invitations', () => waiting.size);
  let stopped = false;

  const refuse = (incoming: Incoming, status: number, init: AnswerInit = {}): void =>
    incoming.respond(status, init);

  const invited = (incoming: Incoming, dialog: Dialog, offer: SessionDescription | undefined): Invitation => {
    const { request } = incoming;
    const negotiation = createNegotiation(sessionId(deps));
    let over = false;
    let told: SessionEnd | undefined;
    let listener: ((cause: SessionEnd) => void) | undefined;
    let again: Timer | undefined;

    const close = (): void => {
      over = true;
      again?.cancel();
      expiry.cancel();
      unstop();
      waiting.delete(invitation);
    };
    const end = (cause: SessionEnd): void => {
      if (over) return;
      close();
      told = cause;
      listener?.(cause);
    };
    // RFC 3261 §13.3.1: an invitation that expires is answered 487.
    const most = options.patience ?? patience;
    const seconds = Math.min(request.expires ?? most, most);
    const expiry = stack.after(seconds * 1000, () => {
      if (over) return;
      refuse(incoming, seconds === request.expires ? 487 : 480);
      end({ kind: 'expired' });
    });
    incoming.onCancel(() => end({ kind: 'cancelled', by: 'peer' }));
    const unstop = stack.onStop(() => end({ kind: 'failed', error: new SipError('STOPPED') }));

    const invitation: Invitation = {
      incoming,
      from: request.from,
      offer,
      get over() {
        return over;
      },
      ring(status = 180) {
        if (over || status <= 100 || status >= 200) return;
        again?.cancel();
        incoming.respond(status, {
          headers: {
            'Record-Route': request.lines('Record-Route'),
            Contact: contactValue(contactUri(incoming.flow, userOf(request.uri))),
          },
        });
        again = stack.after(minute, () => invitation.ring(status));
      },
      accept(media, hooks = {}) {
        if (over || incoming.responded) return undefined;
        const description = describe(negotiation, offer, media);
        const session = take(incoming, dialog, negotiation, hooks);
        try {
          session.accept(incoming, description);
        } catch (error) {
          session.end({ kind: 'failed', error: error instanceof Error ? error : new Error(String(error)) });
          throw error;
        }
        close();
        return session;
      },
      reject(status, init) {
        if (over || status < 300) return;
        refuse(incoming, status, init);
        end({ kind: 'refused', status, reason: init?.reason ?? '' });
      },
      onEnd(heard) {
        listener = heard;
        if (told !== undefined) heard(told);
      },
    };
    return invitation;
  };

  const take = (
    incoming: Incoming,
    dialog: Dialog,
    negotiation: Negotiation,
    hooks: SessionHooks,
  ): Session => {
    const { flow, request } = incoming;
    const session: Session = createSession(deps, {
      dialog,
      negotiation,
      owner: false,
      flow: flow.reliable ? flow : undefined,
      user: hooks.contactUser ?? userOf(request.uri),
      hooks,
      released() {
        unclaim();
        sessions.delete(session);
      },
    });
    sessions.add(session);
    const unclaim = stack.claim(dialog.callId, dialog.localTag, (within) => {
      if ((within.request.fromTag ?? '') === dialog.remoteTag) session.handle(within);
      else within.respond(481);
    });
    return session;
  };

  return {
    handle(incoming) {
      const { request } = incoming;
      // RFC 3261 §12.2.2: it is in no dialog of ours.
      if (request.toTag !== undefined) {
        refuse(incoming, 481);
        return;
      }
      if (stopped || sessions.size + waiting.size >= limit) {
        refuse(incoming, stopped ? 480 : 503, { headers: { 'Retry-After': '10' } });
        return;
      }
      // Made before anybody hears of the call: what no dialog can be made of gets 400 from whoever called this handler.
      const dialog = acceptDialog(request, incoming.toTag);
      if (dialog === undefined) {
        refuse(incoming, 400, { reason: 'Missing Contact' });
        return;
      }
      const body = readSessionBody(request);
      if (body.kind === 'unusable') {
        refuse(incoming, body.status, body.init);
        return;
      }
      const offer = body.kind === 'sdp' ? body.description : undefined;
      if (offer !== undefined && !offer.media.some((one) => one.port !== 0 && accepts(one))) {
        refuse(incoming, 488, notAcceptable);
        return;
      }
      const invitation = invited(incoming, dialog, offer);
      waiting.add(invitation);
      const failed = (error: unknown): void => {
        log.error('an invitation was not handled', { error: String(error) });
        invitation.reject(500);
      };
      try {
        options.onInvite(invitation)?.catch(failed);
      } catch (error) {
        failed(error);
      }
    },
    sessions: sessions as ReadonlySet<InviteSession>,
    async stop() {
      stopped = true;
      for (const invitation of [...waiting]) invitation.reject(480);
      await Promise.all([...sessions].map((session) => session.bye()));
      untally();
    },
  };
}

function describe(
  negotiation: Negotiation,
  offer: SessionDescription | undefined,
  media: Parameters<Invitation['accept']>[0],
): SessionDescription {
  negotiation.abandon();
  if (offer === undefined)
    return negotiation.offer({
      ...media,
      media: media.media.flatMap((one) => (one === undefined ? [] : [one])),
    });
  negotiation.offered(offer);
  return negotiation.answer(media);
}
