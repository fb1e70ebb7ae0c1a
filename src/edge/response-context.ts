import type { SipResponse } from 'tiny-sip';

/** The answers of all branches of one forwarded request (RFC 3261 §16.7), with our own Via taken off. */
export interface ResponseContext {
  add(response: SipResponse): void;
  /** The one to send back; undefined: nobody gave an answer that says anything about the request. */
  best(): SipResponse | undefined;
}

/** These tell the sender how to try again, so they win among the 4xx (RFC 3261 §16.7 step 6). */
const HELPFUL = [401, 407, 415, 420, 484];

/**
 * Not the word of the user agent: its flow is gone (RFC 5626 §11.5), or its time is over, which must not be
 * forwarded (RFC 4320 §4.2).
 */
const VOID = new Set([408, 430]);

export function createResponseContext(): ResponseContext {
  const responses: SipResponse[] = [];
  return {
    add(response) {
      if (!VOID.has(response.status)) responses.push(response);
    },
    best() {
      const [first] = [...responses].sort((a, b) => rank(a.status) - rank(b.status));
      if (!first || (first.status !== 401 && first.status !== 407)) return first;
      return withAllChallenges(first, responses);
    },
  };
}

/** 2xx, then 6xx, then the lowest class; among the 4xx the helpful ones first. */
function rank(status: number): number {
  if (status < 300) return 0;
  if (status >= 600) return 1;
  const klass = Math.floor(status / 100) * 100;
  const helpful = HELPFUL.indexOf(status);
  return klass + (helpful < 0 ? HELPFUL.length : helpful);
}

/** RFC 3261 §16.7 step 7: the sender has to answer the challenges of every branch. */
function withAllChallenges(chosen: SipResponse, all: readonly SipResponse[]): SipResponse {
  const whole = chosen.copy();
  for (const response of all) {
    if (response === chosen || (response.status !== 401 && response.status !== 407)) continue;
    for (const name of ['WWW-Authenticate', 'Proxy-Authenticate']) {
      for (const line of response.lines(name)) whole.add(name, line);
    }
  }
  return whole;
}
