import { SipSyntaxError } from '../errors.ts';
import type { SipRequest, SipResponse } from './message.ts';
import { LONG } from './names.ts';
import { holdsBareNul } from './nul.ts';
import { reasonOf } from './reasons.ts';
import { stored } from './stored.ts';
import { checkRequestUri } from './uri-grammar.ts';

/** How a request that cannot be taken is answered. */
export interface Refusal {
  /** A final status of 400 or more. */
  readonly status: number;
  /** Reason phrase: names what is wrong. */
  readonly reason: string;
}

/** RFC 3261 §8.1.1.7: what a branch of a later day than RFC 2543 begins with; by itself it identifies nothing. */
const COOKIE = 'z9hG4bK';

/**
 * Strict read of what a UAS relies on (RFC 3261 §8.1.1): Request-URI, top Via, From, To, Call-ID, CSeq that fits the
 * method, and of Max-Forwards, Contact, Event and Content-Type where they are there. What may come once only must.
 * A missing From tag, branch or Max-Forwards is let pass: RFC 2543 knew none (RFC 4475 §3.4.1).
 *
 * Everything else is read when it is used. That goes for the Vias below the top one too: they are for those who get
 * the response next, a UAS only copies them (RFC 3261 §8.2.6.2), and what is not needed to process a request should
 * be ignored where it is malformed (§8.2.2; §16.3 for a proxy).
 *
 * `knows` tells which methods the receiver has heard of: one that it has not gets 501 where CSeq names another, since
 * a method to come may have its reasons (RFC 4475 §3.1.2.18).
 */
export function checkRequest(request: SipRequest, knows?: (method: string) => boolean): Refusal | undefined {
  const message = stored(request);
  const repeated = message.headerLines.repeated();
  if (repeated !== 0) return { status: 400, reason: `Several ${LONG[repeated]} headers` };
  if (holdsBareNul(message.headerLines)) return { status: 400, reason: 'NUL in a header' };
  try {
    if (!message.checked) checkRequestUri(request.uri);
    const via = message.topVia;
    if (via === undefined) return missing('Via');
    if (via.branch === COOKIE) return { status: 400, reason: 'Via branch identifies nothing' };
    if (request.from === undefined) return missing('From');
    if (request.to === undefined) return missing('To');
    if (request.callId === undefined) return missing('Call-ID');
    const cseq = request.cseq;
    if (cseq === undefined) return missing('CSeq');
    if (cseq.method !== request.method)
      return { status: knows?.(request.method) === false ? 501 : 400, reason: 'CSeq is of another method' };
    void request.maxForwards;
    void request.contacts;
    void request.event;
    void request.contentType;
  } catch (error) {
    if (!(error instanceof SipSyntaxError)) throw error;
    return { status: error.status, reason: `Malformed ${error.what}` };
  }
  return undefined;
}

/** The same for a response; what fails it is dropped. Answers why. */
export function checkResponse(response: SipResponse): string | undefined {
  const lines = stored(response).headerLines;
  const repeated = lines.repeated();
  if (repeated !== 0) return `several ${LONG[repeated]} headers`;
  if (holdsBareNul(lines)) return 'NUL in a header';
  try {
    if (response.topVia === undefined) return 'no Via';
    if (response.from === undefined) return 'no From';
    if (response.to === undefined) return 'no To';
    if (response.callId === undefined) return 'no Call-ID';
    if (response.cseq === undefined) return 'no CSeq';
    void response.contacts;
  } catch (error) {
    if (!(error instanceof SipSyntaxError)) throw error;
    return error.message;
  }
  return undefined;
}

function missing(name: string): Refusal {
  return { status: 400, reason: `${reasonOf(400)}: no ${name}` };
}
