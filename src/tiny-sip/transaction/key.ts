import type { SipRequest, SipResponse } from '../message/message.ts';

/** RFC 3261 §8.1.1.7: branches that begin so are unique in space and time. */
export const magicCookie = 'z9hG4bK';

/** RFC 3261 §17.1.3: a response belongs to the transaction with its top Via's branch and its CSeq method. */
export function responseKey(response: SipResponse): string | undefined {
  const branch = response.topVia?.branch;
  const method = response.cseq?.method;
  return branch === undefined || method === undefined ? undefined : clientKey(branch, method);
}

export const clientKey = (branch: string, method: string): string => `${method} ${branch}`;

/**
 * RFC 3261 §17.2.3: which server transaction a request belongs to. An ACK belongs to its INVITE.
 * `method` overrides the request's own, to find what a CANCEL means.
 */
export function serverKey(request: SipRequest, method: string = request.method): string {
  const via = request.topVia;
  const of = method === 'ACK' ? 'INVITE' : method;
  if (via?.branch?.startsWith(magicCookie)) return `${of} ${via.branch} ${via.sentBy}`;
  // RFC 2543 clients: no unique branch, so the whole set of fields decides.
  return `${of} ${request.uri} ${request.fromTag ?? ''} ${request.callId ?? ''} ${request.cseq?.number ?? ''} ${
    via === undefined ? '' : `${via.transport} ${via.sentBy} ${via.branch ?? ''}`
  }`;
}

/** RFC 3261 §8.2.2.2: requests with one such key but different transactions came by several paths. */
export function mergeKey(request: SipRequest): string {
  return `${request.callId ?? ''} ${request.fromTag ?? ''} ${request.cseq?.number ?? ''} ${request.cseq?.method ?? ''}`;
}
