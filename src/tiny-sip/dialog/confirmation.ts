import type { SipRequest, SipResponse } from '../message/message.ts';
import type { SessionDescription } from '../message/sdp.ts';
import { type Acknowledgement, acknowledge } from './acknowledgement.ts';
import { refuseAll } from './offer-answer.ts';
import { readSessionBody, type SessionBody } from './session-body.ts';
import { decide, described, type SessionCore } from './session-core.ts';
import type { EventDeps, SendOptions } from './user-agent.ts';

/** The 2xx that our INVITEs get: each is acknowledged, every time it comes (RFC 3261 §13.2.2.4). */
export interface Confirmations {
  /** `early`: a description that came before, with a provisional response. */
  succeeded(sent: SipRequest, response: SipResponse, early?: SessionDescription): void;
}

/** ACKs that are kept, in case their 2xx comes again. */
const kept = 4;

/** Until the ACK is made, copies of the 2xx go unanswered. */
const notYet: Acknowledgement = { again: () => undefined };

/** `by`: the flow that the ACK takes, else its Route and Request-URI decide. */
export function createConfirmations(
  deps: EventDeps,
  core: SessionCore,
  by: () => Pick<SendOptions, 'flow'>,
): Confirmations {
  const { log } = deps;
  const { dialog, negotiation } = core;
  /** By CSeq number. */
  const acks = new Map<number, Acknowledgement>();

  const succeeded = (sent: SipRequest, response: SipResponse, early?: SessionDescription): void => {
    const seq = sent.cseq?.number ?? 0;
    const known = acks.get(seq);
    if (known !== undefined) {
      known.again();
      return;
    }
    acks.set(seq, notYet);
    const awaited = negotiation.pending === 'ours';
    const confirm = (answer?: SessionDescription): void => {
      const { headers, body } = described(answer);
      const all = {
        // RFC 3261 §13.2.2.4: with the credentials of the INVITE.
        Authorization: sent.lines('Authorization'),
        'Proxy-Authorization': sent.lines('Proxy-Authorization'),
        ...headers,
      };
      acks.set(seq, acknowledge(deps, dialog.ack(seq, all, body), by));
      for (const oldest of acks.keys()) {
        if (acks.size <= kept) break;
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
      if (wrong !== undefined) void core.leave({ kind: 'unacceptable', why: wrong });
      else core.establish();
      return;
    }
    void answerIn2xx(body, response, confirm);
  };

  /** The offer came in the 2xx: the ACK carries the answer, a refusing one where it cannot be agreed to (§13.2.2.4). */
  const answerIn2xx = async (
    body: SessionBody,
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
          await core.leave({ kind: 'unacceptable', why: 'the offer was refused' });
          return;
        }
        confirm(answer);
        core.establish();
        return;
      }
    }
    confirm();
    log.debug('a 2xx could not be used', { callId: response.callId, why });
    await core.leave({ kind: 'unacceptable', why });
  };

  /** Our answer, agreed on; undefined when there is none, or when the session ended meanwhile. */
  const answerOrNone = async (offer: SessionDescription): Promise<SessionDescription | undefined> => {
    try {
      const media = await decide(core, offer);
      return media === undefined || core.state.kind === 'ended' ? undefined : negotiation.answer(media);
    } catch (error) {
      log.error('an offer could not be answered', { callId: dialog.callId, error: String(error) });
      return undefined;
    }
  };

  return { succeeded };
}
