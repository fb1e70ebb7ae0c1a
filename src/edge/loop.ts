import { createHash } from 'node:crypto';
import type { SipRequest } from 'tiny-sip';

/** Finds out whether a request that a proxy is about to forward has been there before (RFC 5393 §4.2). */
export interface LoopDetector {
  /** Branch for a forwarded request: a unique part, and one that names where the request was to go. */
  branch(request: SipRequest): string;
  looped(request: SipRequest): boolean;
}

/**
 * @param secret keeps strangers from making requests look looped
 * @param token makes unique parts of a branch
 */
export function createLoopDetector(secret: Uint8Array, token: () => string): LoopDetector {
  // All that decides about the way of a request, and what tells it from the next try; never the method (§4.2.1).
  const mark = (request: SipRequest): string =>
    createHash('sha256')
      .update(secret)
      .update(
        [
          request.uri,
          ...request.lines('Route'),
          request.callId ?? '',
          request.fromTag ?? '',
          request.toTag ?? '',
          String(request.cseq?.number ?? 0),
        ].join('\n'),
      )
      .digest('hex')
      .slice(0, 16);

  return {
    branch: (request) => `z9hG4bK${token()}.${mark(request)}`,
    looped(request) {
      const vias = request.vias;
      if (vias.length < 2) return false;
      const end = `.${mark(request)}`;
      return vias.some((via) => via.branch?.endsWith(end));
    },
  };
}
