import { createRequest, type DigestClient, type Flow, type Stack, type Way } from 'tiny-sip';

/** Tells when a request of ours with this Call-ID comes back in; answers how to leave. */
export type OnEcho = (callId: string, came: (flow: Flow) => void) => () => void;

export interface Asking {
  /** Content types that the server says it takes; undefined when it does not say. Never rejects. */
  accept(way: Way | undefined, credentials: DigestClient | undefined): Promise<readonly string[] | undefined>;
  /** Whether a request to the own AOR comes back to us. `unknown`: the server answers for us. Never rejects. */
  reach(
    way: Way | undefined,
    credentials: DigestClient | undefined,
  ): Promise<'reached' | 'unknown' | { readonly why: string }>;
}

/** Statuses that say that a request was not delivered: not found, timed out, flow failed (RFC 5626 §11.5), not there. */
const UNDELIVERED: ReadonlySet<number> = new Set([404, 408, 430, 480]);

/**
 * What the agent finds out by OPTIONS (RFC 3261 §11).
 *
 * @param domain URI of the server itself
 */
export function createAsking(
  deps: { readonly stack: Stack; readonly onEcho: OnEcho },
  aor: string,
  domain: string,
): Asking {
  const { stack, onEcho } = deps;

  const ask = async (uri: string, way: Way | undefined, credentials: DigestClient | undefined) => {
    const request = createRequest({
      method: 'OPTIONS',
      uri,
      headers: {
        Route: way?.route,
        From: `<${aor}>`,
        To: `<${uri}>`,
        'Call-ID': stack.token(),
        // RFC 3261 §11.1: it should have one, though no body is wanted.
        Accept: 'application/sdp',
      },
    });
    let echo = false;
    const leave = onEcho(request.callId ?? '', () => {
      echo = true;
    });
    const outcome = await stack.send(request, {
      ...(way?.flow && { flow: way.flow }),
      ...(way?.target && { target: way.target }),
      ...(credentials && { credentials }),
    });
    leave();
    return { response: outcome.kind === 'response' ? outcome.response : undefined, echo };
  };

  return {
    async accept(way, credentials) {
      const { response, echo } = await ask(domain, way, credentials);
      // An OPTIONS that came to ourselves tells what we take, not what the server takes.
      if (!response || response.status >= 300 || echo) return undefined;
      return response.all('Accept').map((value) => (value.split(';')[0] ?? '').trim().toLowerCase());
    },
    async reach(way, credentials) {
      const { response, echo } = await ask(aor, way, credentials);
      if (echo) return 'reached';
      if (!response) return { why: 'an OPTIONS to it got no answer' };
      const { status } = response;
      return UNDELIVERED.has(status) ? { why: `an OPTIONS to it got ${status}` } : 'unknown';
    },
  };
}
