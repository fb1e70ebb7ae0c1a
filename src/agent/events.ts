import type { SipRequest, Stack } from 'tiny-sip';
import type { Clock } from '../base/clock.ts';
import { PIDF_DIFF_TYPE } from '../presence/namespaces.ts';

/** What passes through the agent, for people who look on. */
export type AgentEvent =
  | {
      readonly type: 'publish';
      readonly account: string;
      readonly aor: string;
      readonly kind: PublishKind;
      /** Bytes of the whole request. */
      readonly bytes: number;
      readonly status: number | 'timeout';
      readonly tookMs: number;
    }
  | {
      readonly type: 'command';
      readonly from: string;
      readonly text: string;
      readonly outcome: 'done' | 'refused' | 'failed' | 'unknown' | 'ignored';
      readonly answer?: string | undefined;
    }
  | {
      readonly type: 'account';
      readonly account: string;
      readonly aor: string;
      readonly state: string;
      readonly detail?: string | undefined;
    };

/** `whole`, `segment` and `diff` carry a document, the others none. */
export type PublishKind = 'whole' | 'diff' | 'segment' | 'refresh' | 'remove';

/** Requests and bytes by kind. */
export type PublishCounts = Readonly<
  Record<PublishKind, { readonly requests: number; readonly bytes: number }>
>;

export interface Traffic {
  counts(): PublishCounts;
  stop(): void;
}

/** PUBLISHes that wait for their answer are remembered up to here. */
const REMEMBERED = 2_000;
/** After this many milliseconds without an answer there will be none (RFC 3261, timer F). */
const GIVEN_UP = 32_000;

/**
 * Counts what PUBLISHes go out and tells of each that was answered. A retransmission is the same request; one that is
 * sent again with credentials is another.
 *
 * @param segmented whether an AOR is published in segments now, and of which account it is
 */
export function watchTraffic(
  deps: { readonly stack: Stack; readonly clock: Clock },
  owner: (aor: string) => { readonly account: string; readonly segmented: boolean },
  onEvent?: (event: AgentEvent) => void,
): Traffic {
  const { stack, clock } = deps;
  const kinds: PublishKind[] = ['whole', 'diff', 'segment', 'refresh', 'remove'];
  const counts = new Map(kinds.map((kind) => [kind, { requests: 0, bytes: 0 }]));
  const waiting = new Map<
    string,
    { aor: string; account: string; kind: PublishKind; bytes: number; at: number }
  >();

  const giveUp = (key: string): void => {
    const asked = waiting.get(key);
    if (!asked || !waiting.delete(key)) return;
    const { at, ...rest } = asked;
    onEvent?.({ type: 'publish', ...rest, status: 'timeout', tookMs: clock.now() - at });
  };

  const sent = (request: SipRequest, bytes: number): void => {
    const key = keyOf(request);
    if (waiting.has(key)) return;
    const { account, segmented } = owner(request.uri);
    const kind = kindOf(request, segmented);
    const count = counts.get(kind);
    if (count) {
      count.requests += 1;
      count.bytes += bytes;
    }
    waiting.set(key, { aor: request.uri, account, kind, bytes, at: clock.now() });
    for (const [oldest, { at }] of waiting) {
      if (waiting.size <= REMEMBERED && clock.now() - at < GIVEN_UP) break;
      giveUp(oldest);
    }
  };

  const stop = stack.onTrace((direction, _flow, message, bytes) => {
    if (message.cseq?.method !== 'PUBLISH') return;
    if (message.kind === 'request') {
      if (direction === 'out') sent(message, bytes.length);
      return;
    }
    if (direction === 'out' || message.status < 200) return;
    const asked = waiting.get(keyOf(message));
    if (!asked || !waiting.delete(keyOf(message))) return;
    const { at, ...rest } = asked;
    onEvent?.({ type: 'publish', ...rest, status: message.status, tookMs: clock.now() - at });
  });

  return {
    counts: () =>
      Object.fromEntries([...counts].map(([kind, count]) => [kind, { ...count }])) as PublishCounts,
    stop,
  };
}

function keyOf(message: { callId: string | undefined; cseq: { number: number } | undefined }): string {
  return `${message.callId} ${message.cseq?.number}`;
}

function kindOf(request: SipRequest, segmented: boolean): PublishKind {
  if (request.expires === 0) return 'remove';
  if (request.body.length === 0) return 'refresh';
  if (request.contentType?.essence === PIDF_DIFF_TYPE)
    return /<(?:[\w.-]+:)?pidf-diff\b/.test(request.text()) ? 'diff' : 'whole';
  return segmented ? 'segment' : 'whole';
}
