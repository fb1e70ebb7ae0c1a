import type { Timer } from '../deps.ts';
import { acceptDialog, type Dialog } from '../dialog/dialog.ts';
import type { EventDeps, Incoming, Outcome, Way } from '../dialog/user-agent.ts';
import { contactUri, contactValue, sendByWay, userOf } from '../dialog/way.ts';
import { createRequest } from '../message/create.ts';
import type { HeaderInit, SipRequest } from '../message/message.ts';
import { detach } from '../message/text.ts';
import type { Flow } from '../transport/transport.ts';
import { hopeless, patient, refreshIn, resetDelay, takeDelay } from './delay.ts';
import { adviseForSubscribe, adviseForTermination, endsUsage, type Failure, failureOf } from './retry.ts';
import type {
  Notify,
  NotifyVerdict,
  Subscription,
  SubscriptionOptions,
  SubscriptionState,
} from './subscription-options.ts';
import { readSubscriptionState } from './subscription-state.ts';

/** RFC 6665 §4.1.2.4: Timer N is 64 × T1. */
const timerN = 32_000;

/** Two ends of a subscription that are closer than this are the same, ms. */
const slack = 5_000;

/** A subscription that ended sooner than this is not begun anew at once, ms. */
const quick = 30_000;

/** One try to be subscribed: a Call-ID and From tag of its own, and a dialog once a NOTIFY came (RFC 6665 §4.4.1). */
interface Usage {
  readonly callId: string;
  readonly fromTag: string;
  readonly since: number;
  dialog: Dialog | undefined;
  /** The flow that reaches whoever notifies us, where it is known to. */
  flow: Flow | undefined;
  /** CSeq of the last SUBSCRIBE before there was a dialog. */
  seq: number;
  expiresAt: number;
  /** A NOTIFY has said since the last SUBSCRIBE how long it lasts; its 2xx does not lengthen that. */
  told: boolean;
  unclaim: () => void;
  /** Timer N. */
  noNotify: Timer | undefined;
  refresh: Timer | undefined;
  expiry: Timer | undefined;
  inFlight: AbortController | undefined;
}

/**
 * One subscription (RFC 6665 §4.1), kept up for as long as its owner wants it:
 *
 *     start --> SUBSCRIBE --> notify_wait --NOTIFY--> pending | active --refresh--> …
 *                  |              | Timer N               | terminated, 481, expired
 *                  V              V                       V
 *               waiting or refused, then a new Call-ID; or terminated for good
 */
export function createSubscription(deps: EventDeps, options: SubscriptionOptions): Subscription {
  const { stack, clock, random, log } = deps;
  const event = options.event ?? 'presence';
  const [eventPackage = 'presence'] = event.split(';').map((part) => part.trim());
  const fetching = options.expires === 0;
  const patience = patient();
  const slowly = hopeless();

  let state: SubscriptionState = { kind: 'idle' };
  let expires = options.expires ?? 3600;
  let wanted = false;
  let ended = false;
  let usage: Usage | undefined;
  let pause: Timer | undefined;
  let mayAskLonger = true;
  let leaving: (() => void) | undefined;

  const enter = (next: SubscriptionState): void => {
    if (ended) return;
    state = next;
    options.onState?.(next);
  };

  /** Lets go of the present dialog, if any; a NOTIFY in it gets 481 from now on (S22). */
  const abandon = (): void => {
    const old = usage;
    usage = undefined;
    old?.unclaim();
    old?.noNotify?.cancel();
    old?.refresh?.cancel();
    old?.expiry?.cancel();
    old?.inFlight?.abort('over');
  };

  const finish = (reason: string, cause?: Failure): void => {
    abandon();
    pause?.cancel();
    pause = undefined;
    wanted = false;
    enter({ kind: 'terminated', reason, ...(cause && { cause }) });
    const done = leaving;
    leaving = undefined;
    done?.();
  };

  const retry = (ms: number, cause: Failure, kind: 'waiting' | 'refused' = 'waiting'): void => {
    abandon();
    if (fetching || leaving !== undefined) {
      finish(leaving === undefined ? 'failed' : 'unsubscribed', cause);
      return;
    }
    pause?.cancel();
    pause = stack.after(ms, () => {
      pause = undefined;
      begin();
    });
    enter({ kind, retryAt: clock.now() + ms, cause });
  };

  /** Anew with a fresh Call-ID: at once, unless the last one ended soon after it began. */
  const anew = (cause: Failure): void => {
    const lasted = usage === undefined ? 0 : clock.now() - usage.since;
    if (lasted < quick) {
      retry(takeDelay(patience, random), cause);
      return;
    }
    abandon();
    if (fetching || leaving !== undefined) finish(leaving === undefined ? 'failed' : 'unsubscribed', cause);
    else begin();
  };

  const wayNow = (): Way | undefined => (options.way === undefined ? {} : options.way());

  const begin = (): void => {
    if (ended || !wanted || usage !== undefined) return;
    pause?.cancel();
    pause = undefined;
    const way = wayNow();
    if (way === undefined) {
      enter({ kind: 'blocked' });
      return;
    }
    const mine: Usage = {
      callId: stack.token(),
      fromTag: stack.token(),
      since: clock.now(),
      dialog: undefined,
      flow: undefined,
      seq: 1,
      expiresAt: clock.now() + expires * 1000,
      told: false,
      unclaim: () => undefined,
      noNotify: undefined,
      refresh: undefined,
      expiry: undefined,
      inFlight: undefined,
    };
    usage = mine;
    mine.unclaim = stack.claim(mine.callId, mine.fromTag, (incoming) => within(mine, incoming));
    enter({ kind: 'subscribing' });
    const headers = { 'Call-ID': mine.callId, CSeq: '1 SUBSCRIBE', Route: way.route };
    const build = (flow: Flow): SipRequest =>
      createRequest({
        method: 'SUBSCRIBE',
        uri: options.resource,
        headers: {
          From: `<${options.from}>;tag=${mine.fromTag}`,
          To: `<${options.resource}>`,
          ...headers,
          ...common(flow, expires),
        },
      });
    run(mine, (sendOptions) => sendByWay(stack, way, options.resource, build, sendOptions));
  };

  const common = (flow: Flow, seconds: number): Record<string, HeaderInit[string]> => ({
    Contact: contactValue(contactUri(flow, options.contactUser ?? userOf(options.from))),
    Event: event,
    Expires: seconds,
    Accept: options.accept?.length ? options.accept.join(', ') : undefined,
    ...options.headers,
  });

  type SendByWayOptions = Parameters<typeof sendByWay>[4];

  const run = (mine: Usage, send: (options: SendByWayOptions) => Promise<Outcome>): void => {
    const abort = new AbortController();
    const asked = leaving === undefined ? expires : 0;
    mine.inFlight = abort;
    send({
      ...(options.credentials && { credentials: options.credentials }),
      signal: abort.signal,
      onSend(request) {
        if (usage !== mine || mine.inFlight !== abort) return;
        mine.seq = Math.max(mine.seq, request.cseq?.number ?? 0);
        mine.dialog?.used(mine.seq);
        mine.told = false;
        mine.noNotify?.cancel();
        mine.noNotify = stack.after(timerN, () => silent(mine));
      },
    })
      .then((outcome) => {
        if (usage !== mine || mine.inFlight !== abort) return;
        mine.inFlight = undefined;
        if (outcome.kind === 'response' && outcome.response.status < 300) accepted(mine, outcome, asked);
        else if (mine.dialog === undefined) refused(outcome, asked);
        else refreshFailed(mine, outcome);
      })
      .catch((error: unknown) => {
        log.error('subscribing failed', { resource: options.resource, error: String(error) });
        if (usage === mine) retry(takeDelay(patience, random), { kind: 'failed', reason: String(error) });
      });
  };

  const accepted = (mine: Usage, outcome: Outcome & { kind: 'response' }, asked: number): void => {
    const { response, flow } = outcome;
    // Where the owner said by which way, that way it stays.
    if (options.way !== undefined) mine.flow ??= flow;
    if (clock.now() - mine.since >= quick) resetDelay(patience);
    resetDelay(slowly);
    mayAskLonger = true;
    // RFC 5839 §5.3: no NOTIFY will follow.
    if (response.status === 204) mine.noNotify?.cancel();
    const seconds = Math.min(response.expires ?? asked, asked);
    if (!mine.told || clock.now() + seconds * 1000 < mine.expiresAt) expireIn(mine, seconds);
    if (state.kind === 'active' || state.kind === 'pending') show(mine, state.kind);
  };

  /** S15: the time runs from the 2xx, or from what a NOTIFY says; not from every NOTIFY. */
  const expireIn = (mine: Usage, seconds: number): void => {
    mine.refresh?.cancel();
    mine.expiry?.cancel();
    mine.refresh = mine.expiry = undefined;
    mine.expiresAt = clock.now() + seconds * 1000;
    if (fetching || leaving !== undefined || seconds === 0) return;
    mine.refresh = stack.after(refreshIn(seconds, random), () => refresh(mine));
    mine.expiry = stack.after(seconds * 1000, () =>
      anew({ kind: 'timeout', reason: 'the subscription expired' }),
    );
  };

  const show = (mine: Usage, kind: 'active' | 'pending'): void => {
    if (leaving !== undefined || fetching) return;
    if (state.kind === kind && state.expiresAt === mine.expiresAt) return;
    enter({ kind, expiresAt: mine.expiresAt });
  };

  const refused = (outcome: Outcome, asked: number): void => {
    const cause = failureOf(outcome);
    const advice = adviseForSubscribe(outcome, { expires: asked });
    switch (advice.kind) {
      case 'longer':
        if (mayAskLonger && !fetching) {
          mayAskLonger = false;
          expires = advice.expires;
          abandon();
          begin();
        } else retry(takeDelay(patience, random), cause);
        return;
      case 'refused':
        retry(takeDelay(slowly, random, advice.seconds), cause, 'refused');
        return;
      default:
        retry(takeDelay(patience, random, advice.kind === 'wait' ? advice.seconds : 0), cause);
    }
  };

  /** RFC 6665 §4.1.2.2: only some answers end it; after any other it stands until it expires. */
  const refreshFailed = (mine: Usage, outcome: Outcome): void => {
    mine.noNotify?.cancel();
    mine.noNotify = undefined;
    if (leaving !== undefined) {
      finish('unsubscribed');
      return;
    }
    const cause = failureOf(outcome);
    if (outcome.kind === 'response' && endsUsage(outcome.response.status)) {
      if (outcome.response.status === 481) anew(cause);
      else refused(outcome, expires);
      return;
    }
    // The NOTIFY came, but never the 2xx: it lasts as long as was asked for.
    if (mine.expiry === undefined) expireIn(mine, expires);
    mine.refresh?.cancel();
    mine.refresh = stack.after(takeDelay(patience, random), () => refresh(mine));
  };

  const silent = (mine: Usage): void => {
    if (usage !== mine) return;
    mine.noNotify = undefined;
    const cause: Failure = { kind: 'timeout', reason: 'no notification came' };
    if (leaving !== undefined) finish('unsubscribed', cause);
    else retry(takeDelay(patience, random), cause);
  };

  /** SUBSCRIBE within the dialog: through its route set, to the notifier's Contact. */
  const refresh = (mine: Usage): void => {
    const { dialog } = mine;
    if (usage !== mine || dialog === undefined || mine.inFlight !== undefined) return;
    mine.refresh?.cancel();
    mine.refresh = undefined;
    const flow = mine.flow?.state === 'closed' ? undefined : mine.flow;
    const way: Way = flow !== undefined ? { flow } : { route: dialog.routeSet };
    run(mine, (sendOptions) =>
      sendByWay(
        stack,
        way,
        dialog.remoteTarget,
        (open) => dialog.request('SUBSCRIBE', common(open, leaving === undefined ? expires : 0)),
        sendOptions,
      ),
    );
  };

  /** A request in our dialog, or the NOTIFY that makes it: it may come before the 2xx (S13). */
  const within = (mine: Usage, incoming: Incoming): void => {
    const { request, flow } = incoming;
    if (usage !== mine) {
      incoming.respond(481);
      return;
    }
    if (request.method !== 'NOTIFY') {
      incoming.respond(405, { headers: { Allow: 'NOTIFY' } });
      return;
    }
    const told = readSubscriptionState(request);
    if (told === undefined) {
      incoming.respond(400, { reason: 'Missing Subscription-State' });
      return;
    }
    if (request.event?.package.toLowerCase() !== eventPackage.toLowerCase()) {
      incoming.respond(489, { headers: { 'Allow-Events': eventPackage } });
      return;
    }
    if (mine.dialog === undefined) {
      const dialog = acceptDialog(request, mine.fromTag, mine.seq);
      if (dialog === undefined && told.state !== 'terminated') {
        incoming.respond(400, { reason: 'Missing Contact' });
        return;
      }
      mine.dialog = dialog;
      // One Via: the notifier itself is at the other end of that flow.
      if (flow.reliable || request.vias.length === 1 || (dialog?.routeSet.length ?? 0) > 0)
        mine.flow ??= flow;
    } else if (request.fromTag !== undefined && request.fromTag !== mine.dialog.remoteTag) {
      // RFC 3856 §6.9: of a SUBSCRIBE that forked, one notifier is enough.
      incoming.respond(481);
      return;
    } else if (!mine.dialog.take(request)) {
      incoming.respond(500, { reason: 'CSeq Out Of Order' });
      return;
    }
    mine.noNotify?.cancel();
    mine.noNotify = undefined;
    const verdict = deliver(request, told.state, told.reason);
    incoming.respond(verdict?.status ?? 200, verdict);
    if (usage !== mine) return;
    if (told.state === 'terminated') terminated(told.reason, told.retryAfter);
    else {
      // Most only repeat what is left; that must not move the refresh.
      if (told.expires !== undefined) {
        const end = clock.now() + told.expires * 1000;
        if (mine.expiry === undefined || Math.abs(end - mine.expiresAt) > slack) expireIn(mine, told.expires);
        mine.told = true;
      }
      show(mine, told.state);
    }
  };

  const deliver = (
    request: SipRequest,
    kind: Notify['state'],
    reason: string | undefined,
  ): NotifyVerdict | undefined => {
    const contentType = request.body.length > 0 ? request.contentType?.essence : undefined;
    try {
      return options.onNotify?.({
        state: kind,
        ...(reason !== undefined && { reason: detach(reason) }),
        ...(contentType !== undefined && { contentType }),
        body: request.body,
        request,
      });
    } catch (error) {
      log.error('a notification could not be used', { resource: options.resource, error: String(error) });
      return { status: 500 };
    }
  };

  const terminated = (reason: string | undefined, after: number | undefined): void => {
    if (leaving !== undefined) {
      finish('unsubscribed');
      return;
    }
    if (fetching) {
      finish('fetched');
      return;
    }
    const cause: Failure = { kind: 'response', reason: `terminated: ${reason ?? 'no reason'}` };
    const advice = adviseForTermination(reason, after);
    switch (advice.kind) {
      case 'final':
        finish(reason ?? 'terminated', cause);
        return;
      case 'anew':
        anew(cause);
        return;
      case 'wait':
        retry(takeDelay(patience, random, advice.seconds), cause);
        return;
    }
  };

  return {
    get state() {
      return state;
    },
    start() {
      if (ended || wanted) return;
      wanted = true;
      begin();
    },
    wake() {
      if (state.kind === 'blocked' || (state.kind === 'waiting' && state.cause.kind !== 'response')) begin();
    },
    refresh() {
      if (usage !== undefined) refresh(usage);
    },
    unsubscribe() {
      if (ended || usage?.dialog === undefined) {
        if (!ended) finish('unsubscribed');
        return Promise.resolve();
      }
      const mine = usage;
      return new Promise((resolve) => {
        const before = leaving;
        leaving = () => {
          before?.();
          resolve();
        };
        if (before !== undefined) return;
        // A refresh in flight would say the opposite.
        mine.inFlight?.abort('unsubscribing');
        mine.inFlight = undefined;
        mine.expiry?.cancel();
        refresh(mine);
      });
    },
    stop() {
      abandon();
      pause?.cancel();
      pause = undefined;
      wanted = false;
      ended = true;
      leaving?.();
      leaving = undefined;
    },
  };
}
