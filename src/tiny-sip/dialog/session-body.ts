import { SipSyntaxError } from '../errors.ts';
import type { SipHeaders } from '../message/message.ts';
import { parseParamValue } from '../message/params.ts';
import { parseSdp, type SessionDescription } from '../message/sdp.ts';
import type { AnswerInit } from './user-agent.ts';

/** What a message says about the session in its body. */
export type SessionBody =
  | { readonly kind: 'none' }
  | { readonly kind: 'sdp'; readonly description: SessionDescription }
  /** A request with this body gets that answer; a response with it cannot be used. */
  | { readonly kind: 'unusable'; readonly status: number; readonly init: AnswerInit; readonly why: string };

/** The media type of all session descriptions here. */
export const SDP = 'application/sdp';

/**
 * Reads the session description of a message (RFC 3261 §13.2.1): a body of type application/sdp whose disposition is
 * `session`, said or not. Other bodies that need not be handled are passed over.
 */
export function readSessionBody(message: SipHeaders): SessionBody {
  if (message.body.length === 0) return { kind: 'none' };
  try {
    return read(message);
  } catch (error) {
    if (!(error instanceof SipSyntaxError)) throw error;
    return unusable(400, { reason: `Malformed ${error.what}` }, error.message);
  }
}

function read(message: SipHeaders): SessionBody {
  const { contentType } = message;
  const disposition = message.get('Content-Disposition');
  const shown = disposition === undefined ? undefined : parseParamValue(disposition, 'Content-Disposition');
  if (contentType?.essence !== SDP || (shown !== undefined && shown.value.toLowerCase() !== 'session')) {
    // RFC 3261 §20.11: handling is required unless it says otherwise.
    if (shown?.param('handling')?.toLowerCase() === 'optional') return { kind: 'none' };
    return unusable(415, { headers: { Accept: SDP } }, `a body of type ${contentType?.essence ?? 'unknown'}`);
  }
  const encodings = message.all('Content-Encoding').filter((one) => one.toLowerCase() !== 'identity');
  if (encodings.length > 0)
    return unusable(415, { headers: { Accept: SDP, 'Accept-Encoding': 'identity' } }, 'an encoded body');
  return { kind: 'sdp', description: parseSdp(message.body) };
}

/** RFC 3261 §13.3.1.3, §20.43: why an offer is refused. */
export const notAcceptable: AnswerInit = {
  headers: { Warning: '304 tiny-sip "Media type not available"', Accept: SDP },
};

function unusable(status: number, init: AnswerInit, why: string): SessionBody {
  return { kind: 'unusable', status, init, why };
}
