import type { Timer } from '../deps.ts';
import type { EventDeps, Outcome, Way } from '../dialog/user-agent.ts';
import { createRequest } from '../message/create.ts';
import type { HeaderInit, SipRequest } from '../message/message.ts';
import { detach } from '../message/text.ts';
import { hopeless, hurried, patient, refreshIn, resetDelay, takeDelay } from './delay.ts';
import { createLane } from './lane.ts';
import type {
  Publication,
  PublicationBody,
  PublicationInfo,
  PublicationOptions,
  PublicationState,
} from './publication-options.ts';
import { acceptOf, adviseForPublish, type Failure, failureOf, type Sent } from './retry.ts';

/** How long after its end a tag is still tried, ms: the server's clock began later than ours. */
const grace = 32_000;

/** What leaves next, decided when it leaves. */
interface Plan {
  readonly what: 'initial' | 'modify' | 'replace' | 'refresh' | 'remove';
  readonly body?: PublicationBody;
}

/**
 * One publication of one event package (RFC 3903 §4), as a machine that is told that something changed and asks
 * for the document when the request leaves: so changes coalesce, the last state wins, and SIP-If-Match is never old.
 */
export function createPublication(deps: EventDeps, options: PublicationOptions): Publication {
  const { stack, clock, random, log } = deps;
  const lane = options.lane ?? createLane();
  const key = {};
  const event = options.event ?? 'presence';
  const patience = patient();
  const slowly = hopeless();
  // RFC 3261 §19.3 asks for 32 bits in a tag; here are 48. It stands in every PUBLISH.
  const identity = { callId: stack.token(), fromTag: stack.token().slice(0, 8) };

  let state: PublicationState = { kind: 'idle' };
  let expires = options.expires ?? 120;
  let tag = options.stored?.tag;
  let expiresAt = options.stored?.expiresAt ?? 0;
  /** The tag comes from an earlier process, so nobody knows here what the server holds under it. */
  let restored = tag !== undefined;
  /** What 412 may set off at once; a conditional request that succeeds gives it back. */
  let mayBeginAnew = true;
  let mayAskLonger = true;
  let cseq = 0;
  let dirty = false;
  let due = false;
  let withdrawing: (() => void)[] | undefined;
  let final = false;
  let ended = false;
  let inFlight: AbortController | undefined;
  let controller: AbortController | undefined;
  let waiting: Timer | undefined;
  let refreshing: Timer | undefined;
  let deaf: (() => void) | undefined;

  const enter = (next: PublicationState): void => {
    if (ended) return;
    state = next;
    options.onState?.(next);
  };

  const forget = (): void => {
    refreshing?.cancel();
    refreshing = undefined;
    due = false;
    if (tag === undefined) return;
    tag = undefined;
    restored = false;
    options.forgotten?.();
  };

  const settle = (): void => {
    const done = withdrawing ?? [];
    withdrawing = undefined;
    forget();
    enter({ kind: final ? 'removed' : 'idle' });
    if (final) end();
    for (const resolve of done) resolve();
    // Something changed while the removal was under way.
    if (dirty) go();
  };

  const end = (): void => {
    ended = true;
    lane.leave(key);
    unpause();
    refreshing?.cancel();
    refreshing = undefined;
    inFlight?.abort('stopped');
  };

  /** Queues for the lane whatever is to be said. */
  const go = (): void => {
    if (ended || inFlight !== undefined || waiting !== undefined) return;
    if (withdrawing !== undefined) {
      if (tag === undefined || options.way() === undefined) settle();
      else lane.enter(key, 'remove', run);
      return;
    }
    if (state.kind === 'unsuitable' && !dirty) return;
    if (!dirty && !due) return;
    if (options.way() === undefined) {
      if (state.kind !== 'blocked') enter({ kind: 'blocked' });
      return;
    }
    lane.enter(key, dirty ? 'change' : 'refresh', run);
  };

  const plan = (): Plan | undefined => {
    // Long past its end the server has nothing left to condition on.
    if (tag !== undefined && clock.now() > expiresAt + grace) {
      forget();
      if (withdrawing === undefined) dirty = true;
    }
    if (withdrawing !== undefined) return tag === undefined ? undefined : { what: 'remove' };
    if (dirty) {
      const what = tag === undefined ? 'initial' : restored ? 'replace' : 'modify';
      dirty = false;
      const body = options.body(what);
      if (body !== undefined) return { what, body };
    }
    return due && tag !== undefined ? { what: 'refresh' } : undefined;
  };

  /** Its turn in the lane has come. */
  const leave = async (): Promise<void> => {
    if (ended || inFlight !== undefined || waiting !== undefined) return;
    const way = options.way();
    if (way === undefined) {
      go();
      return;
    }
    const next = plan();
    if (next === undefined) {
      if (withdrawing !== undefined) settle();
      else if (tag === undefined && state.kind !== 'idle') enter({ kind: 'idle' });
      return;
    }
    const asked = next.what === 'remove' ? 0 : expires;
    if (next.body !== undefined) enter({ kind: 'publishing' });
    let request: SipRequest;
    try {
      request = build(next, way, asked);
    } catch (error) {
      // A header or content type of the owner's may not go on the wire.
      pause(takeDelay(slowly, random), { kind: 'failed', reason: String(error) }, 'refused');
      return;
    }
    // One serves request after request until it was used: each new one costs Node several hidden classes.
    if (controller === undefined || controller.signal.aborted) controller = new AbortController();
    const abort = controller;
    inFlight = abort;
    const outcome = await stack.send(request, {
      ...(way.flow && { flow: way.flow }),
      ...(way.target && { target: way.target }),
      ...(options.credentials && { credentials: options.credentials }),
      signal: abort.signal,
    });
    inFlight = undefined;
    if (ended) return;
    cseq = outcome.request.cseq?.number ?? cseq;
    if (outcome.kind === 'response' && outcome.response.status < 300) succeeded(outcome, next, asked);
    else if (next.what === 'remove') settle();
    else failed(outcome, next, asked);
    if (withdrawing !== undefined) unpause();
    go();
  };

  const run = (): Promise<void> =>
    leave().catch((error: unknown) => {
      // What the owner was told made it throw; the publication goes on.
      log.error('publishing failed', { aor: options.aor, error: String(error) });
      inFlight = undefined;
      if (!ended && waiting === undefined) rest({ kind: 'failed', reason: String(error) }, 0);
    });

  const build = (next: Plan, way: Way, asked: number): SipRequest => {
    cseq += 1;
    const headers: Record<string, HeaderInit[string]> = {
      Route: way.route,
      From: `<${options.aor}>;tag=${identity.fromTag}`,
      To: `<${options.aor}>`,
      'Call-ID': identity.callId,
      CSeq: `${cseq} PUBLISH`,
      Event: event,
      Expires: asked,
      'SIP-If-Match': tag,
      ...options.headers,
      'Content-Type': next.body?.contentType,
    };
    return createRequest({ method: 'PUBLISH', uri: options.aor, headers, body: next.body?.content });
  };

  const succeeded = (outcome: Outcome & { kind: 'response' }, next: Plan, asked: number): void => {
    const { response } = outcome;
    resetDelay(patience);
    resetDelay(slowly);
    mayAskLonger = true;
    if (next.what === 'remove') {
      settle();
      return;
    }
    if (next.what !== 'initial') mayBeginAnew = true;
    due = false;
    restored = false;
    const given = response.get('SIP-ETag');
    const seconds = Math.min(response.expires ?? asked, asked);
    if (given !== undefined) tag = detach(given);
    if (seconds === 0) {
      // Accepted for no time at all: to be said again, though not at once.
      forget();
      dirty = true;
      rest({ kind: 'response', status: response.status, reason: 'accepted for 0 s' }, 0);
      return;
    }
    if (tag === undefined) log.warn('a publication was accepted without an entity-tag', { aor: options.aor });
    expiresAt = clock.now() + seconds * 1000;
    refreshing?.cancel();
    refreshing = stack.after(refreshIn(seconds, random), () => {
      // RFC 3903 §4.1 demands a tag. Where there is none, nothing can be refreshed, only published anew.
      if (tag === undefined) dirty = true;
      else due = true;
      go();
    });
    const info: PublicationInfo = { tag: tag ?? '', expires: seconds, expiresAt };
    enter({ kind: 'published', ...info });
    if (next.body !== undefined) options.accepted?.(next.body.token, info);
    else options.refreshed?.(info);
  };

  const failed = (outcome: Outcome, next: Plan, asked: number): void => {
    const cause = failureOf(outcome);
    const sent: Sent = { conditional: tag !== undefined, body: next.body !== undefined, expires: asked };
    const advice = adviseForPublish(outcome, sent);
    // What was to be said has not been said; the next request asks for it again.
    if (withdrawing === undefined) dirty ||= next.body !== undefined;
    switch (advice.kind) {
      case 'anew':
        forget();
        if (withdrawing === undefined) dirty = true;
        if (!mayBeginAnew) rest(cause, 0);
        mayBeginAnew = false;
        return;
      case 'longer':
        if (mayAskLonger) expires = advice.expires;
        else rest(cause, 0);
        mayAskLonger = false;
        return;
      case 'unsuitable': {
        if (next.body === undefined) {
          rest(cause, 0);
          return;
        }
        const accept = outcome.kind === 'response' ? acceptOf(outcome.response).map(detach) : [];
        const { contentType } = next.body;
        dirty = false;
        enter({ kind: 'unsuitable', status: advice.status, contentType, accept, cause });
        return;
      }
      case 'wait':
        rest(cause, advice.seconds);
        return;
      case 'refused':
        pause(takeDelay(slowly, random, advice.seconds), cause, 'refused');
        return;
    }
  };

  const rest = (cause: Failure, seconds: number): void =>
    pause(takeDelay(patience, random, seconds), cause, 'waiting');

  const pause = (ms: number, cause: Failure, kind: 'waiting' | 'refused'): void => {
    unpause();
    // S29: a network that comes is not waited for by the back-off, which may have grown to half an hour.
    if (kind === 'waiting' && cause.kind !== 'response')
      deaf = stack.onAddress(() => pause(hurried(random), cause, kind));
    waiting = stack.after(ms, () => {
      unpause();
      // Only a refresh failed: it is still due. Anything else left its own mark.
      go();
    });
    enter({ kind, retryAt: clock.now() + ms, cause });
  };

  const unpause = (): void => {
    waiting?.cancel();
    deaf?.();
    waiting = deaf = undefined;
  };

  const withdraw = (): Promise<void> => {
    if (ended) return Promise.resolve();
    return new Promise((resolve) => {
      dirty = due = false;
      unpause();
      withdrawing = [...(withdrawing ?? []), resolve];
      go();
    });
  };

  return {
    get state() {
      return state;
    },
    get tag() {
      return tag;
    },
    changed() {
      dirty = true;
      go();
    },
    wake() {
      if (state.kind === 'waiting' && state.cause.kind !== 'response') unpause();
      go();
    },
    refresh() {
      if (tag === undefined) return;
      due = true;
      go();
    },
    withdraw,
    remove() {
      final = true;
      return withdraw();
    },
    stop() {
      if (ended) return;
      end();
      for (const resolve of withdrawing ?? []) resolve();
      withdrawing = undefined;
    },
  };
}
