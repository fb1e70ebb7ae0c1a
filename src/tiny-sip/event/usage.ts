import type { Timer } from '../deps.ts';
import { acceptDialog, type Dialog } from '../dialog/dialog.ts';
import type { EventDeps, Incoming, Outcome, Way } from '../dialog/user-agent.ts';
import { contactUri, contactValue, sendByWay, userOf } from '../dialog/way.ts';
import { createRequest } from '../message/create.ts';
import type { HeaderInit, SipRequest } from '../message/message.ts';
import { detach } from '../message/text.ts';
import type { Flow } from '../transport/transport.ts';
import { network, refreshIn, resetDelay, takeJittered } from './delay.ts';
import { meets } from './entity-tag.ts';
import { createKeeper, keepAliveDefaults } from './keeper.ts';
import type { Rates } from './rate.ts';
import type { Notify, NotifyVerdict, SubscriptionOptions } from './subscription-options.ts';
import { readSubscriptionState } from './subscription-state.ts';

/** RFC 6665 §4.1.2.4: Timer N is 64 × T1. */
const timerN = 32_000;

/** A flow that lasted this long was a good one: losing it is followed up as quickly as the first time, ms. */
const stable = 60_000;

/** Two ends of a subscription that are closer than this are the same, ms. */
const slack = 5_000;

/** How one try to be subscribed goes on. The owner decides when it is over, and abandons it then. */
export interface UsageHooks {
  /** A 2xx to a SUBSCRIBE. */
  accepted(): void;
  /** What the notifier says, and how long it lasts by now. */
  shown(kind: 'active' | 'pending' | undefined): void;
  /** A conditional SUBSCRIBE did not do what it should: do without conditions from now on (RFC 5839 §5.8). */
  unconditional(): void;
  /** A refresh did not succeed, which does not end it. Answers in how many ms to try again. */
  delayed(): number;
  /** A SUBSCRIBE was not accepted. After an initial one there is nothing; after a refresh the owner may let it stand. */
  refused(outcome: Outcome, how: 'initial' | 'refresh'): void;
  /** No NOTIFY came in time. */
  silent(): void;
  /** It ran out, unrefreshed. */
  expired(): void;
  /** The notifier ended it. */
  terminated(reason: string | undefined, retryAfter: number | undefined): void;
}

/** One try to be subscribed: a Call-ID and a From tag of its own, and a dialog once a NOTIFY came (RFC 6665 §4.4.1). */
export interface Usage {
  /** Monotonic ms. */
  readonly since: number;
  readonly expiresAt: number;
  /** A NOTIFY has made the dialog. */
  readonly established: boolean;
  /** What the notifier agreed to. */
  readonly rates: Rates;
  /**
   * SUBSCRIBE in the dialog; `seconds` 0 unsubscribes, and then a request under way is given up. `whole`: the state is
   * to be told whatever we hold. While another SUBSCRIBE is under way it waits for that one's end.
   */
  renew(seconds: number, whole?: 'whole'): void;
  /** The network or a way may be there again: a SUBSCRIBE that waits for that goes in so many ms. */
  wake(ms: number): void;
  /** Lets go: a NOTIFY gets 481 from now on (S22). Nothing is sent, no hook is called. */
  abandon(): void;
}

/** What may change from one SUBSCRIBE to the next. */
export interface UsageTerms {
  /** Value of the Event header, with the rates that are wished for. */
  event(): string;
  /** The condition to make, given the entity-tag that this usage was told last. */
  condition(tag: string | undefined): string | undefined;
}

/** Sends the initial SUBSCRIBE and keeps the subscription that comes of it. */
export function createUsage(
  deps: EventDeps,
  options: SubscriptionOptions,
  begin: { readonly way: Way; readonly seconds: number; readonly known: string | undefined },
  terms: UsageTerms,
  hooks: UsageHooks,
): Usage {
  const { stack, clock, random, log } = deps;
  const { eventPackage, eventId } = splitEvent(options.event ?? 'presence');
  // RFC 3261 §8.1.1.8.
  const scheme = /^<?sips:/i.test(begin.way.route?.[0] ?? options.resource) ? 'sips' : 'sip';
  const callId = stack.token();
  const fromTag = stack.token();
  const since = clock.now();

  let dialog: Dialog | undefined;
  /** The flow that reaches whoever notifies us, where it is known to. */
  let flow: Flow | undefined;
  let flowSince = 0;
  /** A SUBSCRIBE waits for the network. */
  let stalled = false;
  const flapping = network();
  /** CSeq of the last SUBSCRIBE before there was a dialog. */
  let seq = 1;
  let wanted = begin.seconds;
  let expiresAt = since + begin.seconds * 1000;
  /** A NOTIFY has said since the last SUBSCRIBE how long it lasts; its 2xx does not lengthen that. */
  let expiryTold = false;
  let over = false;
  let inFlight: AbortController | undefined;
  let noNotify: Timer | undefined;
  let refreshing: Timer | undefined;
  let expiry: Timer | undefined;
  /** Entity-tag of what was told last, as far as the owner took it. */
  let tag = begin.known;
  let rates: Rates = {};
  /** The condition of the SUBSCRIBE under way, or of the last one. */
  let condition = begin.known;
  /** A SUBSCRIBE is due when the one under way has its answer. */
  let again: 'whole' | 'plain' | undefined;

  const unclaim = stack.claim(callId, fromTag, (incoming) => within(incoming));

  const abandon = (): void => {
    if (over) return;
    over = true;
    unclaim();
    for (const timer of [noNotify, refreshing, expiry]) timer?.cancel();
    noNotify = refreshing = expiry = undefined;
    keeper.release();
    inFlight?.abort('over');
    inFlight = undefined;
  };

  /**
   * S24: a NOTIFY comes by the flow that we opened, so it is held for as long as the subscription lasts; when it is lost,
   * a refresh over another tells the notifier where we are.
   */
  const keeper = createKeeper((lost) => {
    if (flow === lost) flow = undefined;
    if (over || wanted === 0 || dialog === undefined || !lost.opened) return;
    stalled = true;
    if (clock.now() - flowSince >= stable) resetDelay(flapping);
    // What is under way has its own end, and is followed up by it.
    if (inFlight === undefined) renewIn(takeJittered(flapping, random));
  });

  const renewIn = (ms: number): void => {
    refreshing?.cancel();
    refreshing = stack.after(ms, () => renew(wanted));
  };

  const hold = (): void => {
    if (over || wanted === 0 || flow === undefined || flow.state === 'closed') return;
    const { datagram, stream } = keepAliveDefaults;
    const wish = flow.opened && options.keepAlive !== false;
    keeper.keep(flow, wish ? { interval: flow.reliable ? stream : datagram } : undefined);
  };

  const headers = (on: Flow): Record<string, HeaderInit[string]> => ({
    Contact: contactValue(
      options.contact?.() ?? contactUri(on, options.contactUser ?? userOf(options.from), scheme),
    ),
    Event: terms.event(),
    Expires: wanted,
    'Suppress-If-Match': condition,
    Accept: options.accept?.length ? options.accept.join(', ') : undefined,
    ...options.headers,
  });

  const send = (way: Way, uri: string, build: (on: Flow) => SipRequest): void => {
    const abort = new AbortController();
    const asked = wanted;
    inFlight = abort;
    sendByWay(stack, way, uri, build, {
      ...(options.credentials && { credentials: options.credentials }),
      signal: abort.signal,
      onSend(request) {
        if (inFlight !== abort) return;
        seq = Math.max(seq, request.cseq?.number ?? 0);
        dialog?.used(seq);
        expiryTold = false;
        noNotify?.cancel();
        noNotify = stack.after(timerN, () => {
          if (condition !== undefined) hooks.unconditional();
          hooks.silent();
        });
      },
    })
      .then((outcome) => {
        if (inFlight !== abort) return;
        inFlight = undefined;
        const next = again;
        again = undefined;
        if (outcome.kind === 'response' && outcome.response.status < 300) accepted(outcome, asked);
        else if (dialog === undefined) hooks.refused(outcome, 'initial');
        else notRenewed(outcome);
        if (next !== undefined && dialog !== undefined) renew(wanted, next === 'whole' ? next : undefined);
      })
      .catch((error: unknown) => {
        log.error('subscribing failed', { resource: options.resource, error: String(error) });
        if (!over) hooks.silent();
      });
  };

  const accepted = (outcome: Outcome & { kind: 'response' }, asked: number): void => {
    const { response } = outcome;
    // Where the owner said by which way, that way it stays.
    if (options.way !== undefined) reach(outcome.flow);
    hooks.accepted();
    // RFC 5839 §5.2 and §7.1: within a dialog it says that no NOTIFY will follow.
    if (response.status === 204 && dialog !== undefined) {
      noNotify?.cancel();
      noNotify = undefined;
      if (asked === 0) {
        hooks.terminated(undefined, undefined);
        return;
      }
    }
    const seconds = Math.min(response.expires ?? asked, asked);
    if (!expiryTold || clock.now() + seconds * 1000 < expiresAt) expireIn(seconds);
    hooks.shown(undefined);
  };

  /** S15: the time runs from the 2xx, or from what a NOTIFY says; not from every NOTIFY. */
  const expireIn = (seconds: number): void => {
    refreshing?.cancel();
    expiry?.cancel();
    refreshing = expiry = undefined;
    expiresAt = clock.now() + seconds * 1000;
    if (wanted === 0 || seconds === 0) return;
    renewIn(refreshIn(seconds, random));
    expiry = stack.after(seconds * 1000, hooks.expired);
  };

  /** RFC 6665 §4.1.2.2: only some answers end it; after any other it stands until it expires. */
  const notRenewed = (outcome: Outcome): void => {
    noNotify?.cancel();
    noNotify = undefined;
    if (condition !== undefined && isConfused(outcome)) hooks.unconditional();
    hooks.refused(outcome, 'refresh');
    if (over) return;
    // The NOTIFY came, but never the 2xx: it lasts as long as was asked for.
    if (expiry === undefined) expireIn(wanted);
    stalled = outcome.kind !== 'response';
    renewIn(outcome.kind === 'failed' ? takeJittered(flapping, random) : hooks.delayed());
  };

  /** SUBSCRIBE within the dialog: through its route set, to the notifier's Contact. */
  const renew = (seconds: number, whole?: 'whole'): void => {
    const inside = dialog;
    if (over || inside === undefined) return;
    if (inFlight !== undefined && seconds > 0) {
      again = whole ?? again ?? 'plain';
      return;
    }
    again = undefined;
    // A refresh in flight says the opposite of what is meant now.
    inFlight?.abort('unsubscribing');
    wanted = seconds;
    refreshing?.cancel();
    refreshing = undefined;
    if (seconds === 0) expiry?.cancel();
    const way = wayTo(inside);
    stalled = way === undefined;
    if (way === undefined) {
      // It lasts until it expires, or until `wake`.
      if (seconds === 0) hooks.terminated(undefined, undefined);
      return;
    }
    condition = whole === undefined ? terms.condition(tag) : undefined;
    send(way, inside.remoteTarget, (on) => inside.request('SUBSCRIBE', headers(on)));
  };

  /** By the flow that leads to the notifier; when it is gone, by the owner's way, or as the route set says. */
  const wayTo = (inside: Dialog): Way | undefined => {
    if (flow !== undefined && flow.state !== 'closed') return { flow };
    const way = options.way === undefined ? {} : options.way();
    if (way === undefined) return undefined;
    return way.flow !== undefined || way.target !== undefined ? way : { route: inside.routeSet };
  };

  /** The notifier is at the other end of this flow. */
  const reach = (found: Flow): void => {
    if (flow !== undefined && flow.state !== 'closed') return;
    if (flow !== found) flowSince = clock.now();
    flow = found;
    hold();
  };

  /** One Via: the notifier itself is at the other end of that flow. */
  const met = ({ request, flow: by }: Incoming): void => {
    if (by.reliable || request.vias.length === 1 || (dialog?.routeSet.length ?? 0) > 0) reach(by);
  };

  /** A request in our dialog, or the NOTIFY that makes it: it may come before the 2xx (S13). */
  const within = (incoming: Incoming): void => {
    const { request } = incoming;
    if (request.method !== 'NOTIFY') {
      incoming.respond(405, { headers: { Allow: 'NOTIFY' } });
      return;
    }
    const says = readSubscriptionState(request);
    if (says === undefined) incoming.respond(400, { reason: 'Missing Subscription-State' });
    else if (request.event?.package.toLowerCase() !== eventPackage.toLowerCase())
      incoming.respond(489, { headers: { 'Allow-Events': eventPackage } });
    // RFC 6665 §8.2.1: with another id it is of another subscription.
    else if (request.event.params.get('id') !== eventId) incoming.respond(481);
    else if (fits(incoming, says.state === 'terminated')) {
      noNotify?.cancel();
      noNotify = undefined;
      rates = says.rates;
      const told = request.get('SIP-ETag');
      const withheld = request.body.length === 0 && meets(condition, told);
      const verdict = deliver(request, says.state, says.reason, told, withheld);
      const status = verdict?.status ?? 200;
      incoming.respond(status, verdict);
      if (over) return;
      // What the owner did not take it does not hold; and of what was withheld it may hold something older.
      if (!withheld) tag = told !== undefined && status < 300 ? detach(told) : undefined;
      if (says.state === 'terminated') {
        hooks.terminated(says.reason, says.retryAfter);
        return;
      }
      if (says.expires !== undefined) {
        // Most only repeat what is left; that must not move the refresh.
        const end = clock.now() + says.expires * 1000;
        // The SUBSCRIBE under way has taken the old one away, though: its 2xx may come later than this.
        const planned = expiry !== undefined && refreshing !== undefined;
        if (!planned || Math.abs(end - expiresAt) > slack) expireIn(says.expires);
        expiryTold = true;
      }
      hooks.shown(says.state);
    }
  };

  /** Whether a NOTIFY belongs to the dialog, which the first one makes. If not, it has been answered. */
  const fits = (incoming: Incoming, last: boolean): boolean => {
    const { request } = incoming;
    if (dialog === undefined) {
      dialog = acceptDialog(request, fromTag, seq);
      if (dialog === undefined && !last) {
        incoming.respond(400, { reason: 'Missing Contact' });
        return false;
      }
      met(incoming);
      return true;
    }
    if ((request.fromTag ?? '') !== dialog.remoteTag) {
      // RFC 3856 §6.9: of a SUBSCRIBE that forked, one notifier is enough.
      incoming.respond(481);
      return false;
    }
    if (!dialog.take(request)) {
      incoming.respond(500, { reason: 'CSeq Out Of Order' });
      return false;
    }
    met(incoming);
    return true;
  };

  const deliver = (
    request: SipRequest,
    state: Notify['state'],
    reason: string | undefined,
    told: string | undefined,
    withheld: boolean,
  ): NotifyVerdict | undefined => {
    // Without a body, but not because there is no state. The owner only asks about what it brought along.
    const unchanged = withheld && told !== undefined && told === begin.known;
    if (withheld && !unchanged) return undefined;
    const contentType = request.body.length > 0 ? request.contentType?.essence : undefined;
    try {
      return options.onNotify?.({
        state,
        ...(reason !== undefined && { reason: detach(reason) }),
        ...(contentType !== undefined && { contentType }),
        body: request.body,
        ...(told !== undefined && { tag: detach(told) }),
        ...(unchanged && { unchanged }),
        request,
      });
    } catch (error) {
      log.error('a notification could not be used', { resource: options.resource, error: String(error) });
      return { status: 500 };
    }
  };

  send(begin.way, options.resource, (on) =>
    createRequest({
      method: 'SUBSCRIBE',
      uri: options.resource,
      headers: {
        Route: begin.way.route,
        From: `<${options.from}>;tag=${fromTag}`,
        To: `<${options.resource}>`,
        'Call-ID': callId,
        CSeq: '1 SUBSCRIBE',
        ...headers(on),
      },
    }),
  );

  return {
    since,
    get expiresAt() {
      return expiresAt;
    },
    get established() {
      return dialog !== undefined;
    },
    get rates() {
      return rates;
    },
    renew,
    wake(ms) {
      if (stalled && inFlight === undefined) renewIn(ms);
    },
    abandon,
  };
}

/** RFC 5839 §5.8: something on the way could not bear the condition. */
export function isConfused(outcome: Outcome): boolean {
  return outcome.kind === 'response' && [400, 412, 420].includes(outcome.response.status);
}

/** Package and id of an Event value. */
function splitEvent(event: string): { eventPackage: string; eventId: string | undefined } {
  const [name = '', ...params] = event.split(';').map((part) => part.trim());
  const id = params.map((part) => /^id\s*=\s*(.*)$/i.exec(part)?.[1]).find((one) => one !== undefined);
  return { eventPackage: name, eventId: id };
}
