import type { Timer } from '../deps.ts';
import { answerError } from '../dialog/answer-error.ts';
import { acceptDialog, type Dialog, restoreDialog } from '../dialog/dialog.ts';
import type { EventDeps, Incoming } from '../dialog/user-agent.ts';
import type { SipRequest, SipResponse } from '../message/message.ts';
import { detach, refuseBreaks } from '../message/text.ts';
import type { Flow, Protocol } from '../transport/transport.ts';
import { acceptable } from './accept.ts';
import { conditionOf } from './entity-tag.ts';
import { keepAliveDefaults } from './keeper.ts';
import type {
  Notifier,
  NotifierOptions,
  SubscriptionRecord,
  SubscriptionVerdict,
} from './notifier-options.ts';
import { agreedRates, confirmedRates } from './notifier-rates.ts';
import { createEntry, createSubscriptionTable, type Entry } from './notifier-table.ts';
import { createNotifySender, isSecure, notifierContact } from './notify-sender.ts';
import { hasRates } from './rate.ts';

const expiryDefaults = { min: 60, max: 3600, default: 3600 };

/** CSeq numbers that are written down ahead, so that one write covers many NOTIFYs. */
const reserve = 64;

/** Told with 503, seconds. */
const retryAfter = '30';

/** RFC 6665 §4.1.3 advises it with `invariant`, for watchers that do not know the reason, seconds. */
const year = 31_536_000;

type Granted = SubscriptionVerdict & { readonly ok: true };

/**
 * The notifier of one event package (RFC 6665 §4.2).
 *
 *     SUBSCRIBE --> 200, NOTIFY at once --> changed() --> NOTIFY, at most one per interval and one in flight
 *                                           refresh   --> 200, NOTIFY at once
 *                     Expires 0, no refresh, terminate() --> NOTIFY terminated, forgotten
 *                     NOTIFY refused (404, 481, …) or unanswered three times --> forgotten
 */
export function createNotifier(deps: EventDeps, options: NotifierOptions): Notifier {
  const { stack, clock, log } = deps;
  const range = { ...expiryDefaults, ...options.expires };
  const limits = {
    all: options.subscriptions ?? 10_000,
    watcher: options.perWatcher ?? Number.POSITIVE_INFINITY,
    resource: options.perResource ?? Number.POSITIVE_INFINITY,
  };
  const table = createSubscriptionTable();
  const totals = { subscribed: 0, fetched: 0, refreshed: 0, refused: 0 };
  let stopping = false;

  const add = (entry: Entry): void => {
    table.add(entry);
    const { callId, localTag } = entry.dialog;
    entry.unclaim = stack.claim(callId, localTag, (incoming) => within(entry, incoming));
    hold(entry);
    wait(entry);
  };

  /** S24: a watcher behind a NAT is reached by its own connection or not at all. */
  const hold = (entry: Entry): void => {
    const { flow, unhold } = entry;
    const interval = options.keepAlive ?? keepAliveDefaults.stream;
    entry.unhold = interval !== false && flow?.reliable ? flow.keepAlive({ interval }) : undefined;
    // After the new one, so that the timer of the flow goes on where it is the same.
    unhold?.();
  };

  const wait = (entry: Entry): void => {
    entry.end?.cancel();
    const left = Math.max(0, entry.expiresAt - clock.now());
    entry.end = stack.after(left, () => end(entry, 'timeout', 'without body'));
  };

  /** Forgets a subscription without a word. */
  const drop = (entry: Entry, reason: string): void => {
    if (!table.remove(entry)) return;
    entry.state = 'terminated';
    entry.reason = reason;
    options.drop?.(entry.id);
    options.onChange?.(entry, 'ended');
  };

  const end = (
    entry: Entry,
    reason: string,
    body: 'with body' | 'without body',
    after = reason === 'invariant' ? year : undefined,
  ): void => {
    const more = after === undefined ? '' : `;retry-after=${Math.max(0, Math.ceil(after))}`;
    sender.last(entry, reason, entry.state === 'active' ? body : 'without body', more);
    drop(entry, reason);
  };

  const agree = (entry: Entry): void => {
    entry.rates = agreedRates(entry, options, clock.now());
  };

  /** RFC 6446 §4.1: the answer to a NOTIFY may ask for other rates, where the SUBSCRIBE asked for some. */
  const confirmed = (entry: Entry, response: SipResponse): void => {
    const params = entry.rated ? confirmedRates(entry, options.event, response) : undefined;
    if (params === undefined) return;
    entry.eventParams = params;
    agree(entry);
    save(entry);
    sender.repace(entry);
  };

  const save = (entry: Entry): void => {
    if (entry.state === 'terminated' || !table.has(entry)) return;
    entry.reserved = entry.dialog.localSeq + reserve;
    options.save?.({
      id: entry.id,
      resource: entry.resource,
      watcher: entry.watcher,
      accept: entry.accept,
      eventParams: Object.fromEntries(entry.eventParams),
      state: entry.state,
      ...(entry.condition !== undefined && { condition: entry.condition }),
      expiresAt: entry.expiresAt,
      dialog: { ...entry.dialog.record(), localSeq: entry.reserved },
      origin: entry.origin,
      from: entry.from,
    });
  };

  const sender = createNotifySender(deps, options, { has: table.has, drop, save, confirmed });

  const refuse = (
    incoming: Incoming,
    status: number,
    headers: Readonly<Record<string, string>>,
  ): undefined => {
    totals.refused += 1;
    incoming.respond(status, { headers });
    return undefined;
  };

  const decide = async (incoming: Incoming, then: (verdict: Granted) => void): Promise<void> => {
    const verdict = await options.authorise(incoming);
    if (incoming.responded) return;
    if (stopping) refuse(incoming, 503, { 'Retry-After': retryAfter });
    else if (verdict.ok) then(verdict);
    else {
      totals.refused += 1;
      incoming.respond(verdict.status, {
        ...(verdict.reason !== undefined && { reason: verdict.reason }),
        ...(verdict.headers && { headers: verdict.headers }),
      });
    }
  };

  const guarded = (incoming: Incoming, work: Promise<void>): void => {
    work.catch((error: unknown) => answerError(incoming, error, log, 'a subscription could not be handled'));
  };

  /** Seconds to grant; undefined: refused. */
  const grant = (incoming: Incoming): number | undefined => {
    let asked: number;
    try {
      asked = incoming.request.expires ?? range.default;
    } catch {
      return refuse(incoming, 400, {});
    }
    // RFC 6665 §4.2.1.1: never when an hour or more is asked for, and 0 is a fetch.
    return asked > 0 && asked < range.min && asked < 3600
      ? refuse(incoming, 423, { 'Min-Expires': String(range.min) })
      : Math.min(asked, range.max);
  };

  const accepts = (incoming: Incoming): readonly string[] | undefined => {
    const types = acceptable(incoming.request, options.types);
    return types.length > 0 ? types : refuse(incoming, 406, { Accept: options.types.join(', ') });
  };

  const accepted = (
    incoming: Incoming,
    { resource, headers }: Granted,
    dialog: Dialog,
    seconds: number,
    status: 200 | 204 = 200,
  ): void => {
    const { request, flow } = incoming;
    const routes = request.lines('Record-Route');
    const contact = notifierContact(options, flow, resource, isSecure(dialog) || /^sips:/i.test(request.uri));
    incoming.respond(status, {
      headers: {
        ...headers,
        Expires: String(seconds),
        ...(contact !== undefined && { Contact: contact }),
        // RFC 3261 §12.1.1: the route set goes back to whoever makes the dialog.
        ...(routes.length > 0 && { 'Record-Route': routes }),
      },
    });
  };

  /** A SUBSCRIBE of no dialog that we know. */
  const begin = async (incoming: Incoming): Promise<void> => {
    const { request } = incoming;
    if (request.event?.package !== options.event) refuse(incoming, 489, { 'Allow-Events': options.event });
    // S23: after a restart without its dialogs the watcher learns that it has to begin again.
    else if (request.toTag !== undefined) refuse(incoming, 481, {});
    else await decide(incoming, (verdict) => create(incoming, verdict));
  };

  const isFull = (resource: string, watcher: string): boolean =>
    table.counts().subscriptions >= limits.all ||
    table.ofWatcher(watcher) >= limits.watcher ||
    table.byResource(resource).size >= limits.resource;

  const create = (incoming: Incoming, verdict: Granted): void => {
    const { request } = incoming;
    const { resource, watcher } = verdict;
    const seconds = grant(incoming);
    if (seconds === undefined) return;
    const accept = accepts(incoming);
    if (accept === undefined) return;
    const params = eventParams(request);
    const dialog = acceptDialog(request, incoming.toTag);
    if (dialog === undefined) {
      totals.refused += 1;
      incoming.respond(400, { reason: 'Missing Contact' });
      return;
    }
    const origin = `${watcher} ${resource} ${originOf(request)}`;
    const before = table.byOrigin(origin);
    if (before === undefined && isFull(resource, watcher)) {
      refuse(incoming, 503, { 'Retry-After': retryAfter });
      return;
    }
    // The same client began again because it lost our answer: the old dialog is dead, and two are one too many.
    if (before !== undefined) drop(before, 'timeout');
    const entry = createEntry({
      id: stack.token(),
      resource,
      watcher,
      state: verdict.state ?? 'active',
      accept,
      eventParams: params,
      condition: options.entityTags === false ? undefined : conditionOf(request),
      expiresAt: clock.now() + seconds * 1000,
      dialog,
      origin,
      flow: back(incoming, dialog),
      from: addressOf(incoming.flow),
      reserved: Number.POSITIVE_INFINITY,
    });
    agree(entry);
    accepted(incoming, verdict, dialog, seconds);
    if (seconds === 0) {
      // RFC 6665 §4.4.3: a fetch leaves nothing behind.
      totals.fetched += 1;
      sender.last(entry, 'timeout', entry.state === 'active' ? 'with body' : 'without body');
      return;
    }
    totals.subscribed += 1;
    add(entry);
    save(entry);
    options.onChange?.(entry, 'new');
    sender.now(entry);
  };

  /** A request of a dialog of ours. */
  const within = (entry: Entry, incoming: Incoming): void => {
    const { request } = incoming;
    if (request.method === 'NOTIFY') refuse(incoming, 481, {});
    else if (request.method !== 'SUBSCRIBE') refuse(incoming, 405, { Allow: 'SUBSCRIBE' });
    // RFC 6665 §4.5.2: no second usage in this dialog.
    else if (
      request.event?.package !== options.event ||
      request.event.params.get('id') !== entry.eventParams.get('id')
    ) {
      totals.refused += 1;
      incoming.respond(403, { reason: 'Dialog Sharing Not Supported' });
    } else
      guarded(
        incoming,
        decide(incoming, (verdict) => {
          // Whoever knows the tags is not yet whoever subscribed.
          if (verdict.watcher === entry.watcher && verdict.resource === entry.resource)
            refresh(entry, incoming, verdict);
          else refuse(incoming, 403, {});
        }),
      );
  };

  const refresh = (entry: Entry, incoming: Incoming, verdict: Granted): void => {
    const { request } = incoming;
    if (!table.has(entry)) {
      refuse(incoming, 481, {});
      return;
    }
    const seconds = grant(incoming);
    if (seconds === undefined) return;
    const accept = request.has('Accept') ? accepts(incoming) : entry.accept;
    if (accept === undefined) return;
    const params = eventParams(request);
    if (!entry.dialog.take(request)) {
      totals.refused += 1;
      incoming.respond(500, { reason: 'CSeq Out Of Order' });
      return;
    }
    entry.accept = accept;
    entry.flow = back(incoming, entry.dialog);
    entry.from = addressOf(incoming.flow);
    entry.failures = 0;
    entry.expiresAt = clock.now() + seconds * 1000;
    entry.eventParams = params;
    entry.rated = hasRates(entry.eventParams);
    entry.condition = options.entityTags === false ? undefined : conditionOf(request);
    agree(entry);
    totals.refreshed += 1;
    // RFC 5839 §6.3: the watcher holds the state already, so there is nothing to tell.
    const known = sender.isKnown(entry);
    accepted(incoming, verdict, entry.dialog, seconds, known ? 204 : 200);
    if (seconds === 0) {
      if (known) drop(entry, 'timeout');
      else end(entry, 'timeout', 'with body');
      return;
    }
    hold(entry);
    wait(entry);
    save(entry);
    options.onChange?.(entry, 'refreshed');
    if (known) sender.repace(entry);
    // RFC 6665 §4.2.1.2: at once, whatever the interval.
    else sender.now(entry);
  };

  /** A datagram needs no connection; a stream is gone with the process that had it. */
  const reopen = (from: SubscriptionRecord['from']): Flow | undefined => {
    if (from.protocol !== 'udp' && from.protocol !== 'memory') return undefined;
    try {
      return stack.flow({ ...from, protocol: from.protocol as Protocol, name: from.host });
    } catch {
      return undefined;
    }
  };

  return {
    event: options.event,
    handle(incoming) {
      guarded(incoming, begin(incoming));
    },
    changed(resource) {
      for (const entry of table.byResource(resource)) if (entry.state === 'active') sender.paced(entry);
    },
    watchers: (resource) => table.byResource(resource),
    setState(id, state) {
      const entry = table.get(id);
      if (entry === undefined || entry.state === state) return;
      entry.state = state;
      save(entry);
      options.onChange?.(entry, 'state');
      sender.now(entry);
    },
    terminate(which, reason, after) {
      const found = 'id' in which ? [table.get(which.id)] : [...table.byResource(which.resource)];
      for (const entry of found) if (entry !== undefined) end(entry, reason, 'without body', after);
    },
    restore(record) {
      if (stopping || record.expiresAt <= clock.now()) {
        options.drop?.(record.id);
        return;
      }
      const entry = createEntry({
        ...record,
        eventParams: new Map(Object.entries(record.eventParams)),
        condition: record.condition,
        dialog: restoreDialog(record.dialog),
        flow: reopen(record.from),
        reserved: record.dialog.localSeq,
      });
      agree(entry);
      add(entry);
      sender.now(entry);
    },
    async stop(deadline) {
      if (stopping) return;
      stopping = true;
      for (const entry of table.all()) end(entry, 'deactivated', 'without body');
      let timer: Timer | undefined;
      const late = new Promise<void>((resolve) => {
        timer = stack.after(Math.max(0, deadline - clock.now()), resolve);
      });
      await Promise.race([sender.drained(), late]);
      timer?.cancel();
      sender.stop();
    },
    abandon() {
      stopping = true;
      sender.stop();
      table.clear();
    },
    counts: () => ({ ...table.counts(), ...totals, ...sender.totals }),
  };
}

/**
 * NOTIFYs go back by the flow of the SUBSCRIBE when the peer on it is the watcher itself (one Via) or a proxy that
 * wants to be on the path (Record-Route); else to the Contact.
 */
function back(incoming: Incoming, dialog: Dialog): Flow | undefined {
  return incoming.request.vias.length <= 1 || dialog.routeSet.length > 0 ? incoming.flow : undefined;
}

function addressOf(flow: Flow): SubscriptionRecord['from'] {
  return { protocol: flow.protocol, host: flow.remote.host, port: flow.remote.port };
}

function originOf(request: SipRequest): string {
  return detach(`${request.fromTag ?? ''} ${request.callId ?? ''} ${request.event?.params.get('id') ?? ''}`);
}

/** Throws SipSyntaxError on what no NOTIFY could repeat. */
function eventParams(request: SipRequest): ReadonlyMap<string, string> {
  const params = new Map<string, string>();
  for (const [name, value] of request.event?.params ?? []) {
    refuseBreaks('Event', value);
    params.set(detach(name), detach(value));
  }
  return params;
}
