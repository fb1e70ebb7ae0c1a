import { createRequest } from '../message/create.ts';
import type { SipRequest, SipResponse } from '../message/message.ts';

/** RFC 3261 §17.1.1.3: the ACK of a failure, made from the INVITE as it went out and the response. */
export function createAck(invite: SipRequest, response: SipResponse): SipRequest {
  return follow(invite, 'ACK', response.lines('To')[0]);
}

/** RFC 3261 §9.1: the CANCEL of an INVITE as it went out. */
export function createCancel(invite: SipRequest): SipRequest {
  return follow(invite, 'CANCEL', invite.lines('To')[0]);
}

/** A request that belongs to the INVITE's own transaction: its top Via with the same branch and no other, its Route. */
function follow(invite: SipRequest, method: string, to: string | undefined): SipRequest {
  return createRequest({
    method,
    uri: invite.uri,
    headers: {
      Via: invite.get('Via'),
      Route: invite.lines('Route'),
      'Max-Forwards': 70,
      From: invite.lines('From')[0],
      To: to,
      'Call-ID': invite.callId,
      CSeq: `${invite.cseq?.number ?? 0} ${method}`,
    },
  });
}
