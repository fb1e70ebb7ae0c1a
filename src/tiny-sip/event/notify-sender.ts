import type { Dialog } from '../dialog/dialog.ts';
import type { EventDeps, Outcome } from '../dialog/user-agent.ts';
import { contactUri, contactValue, userOf } from '../dialog/way.ts';
import type { HeaderInit, SipRequest, SipResponse } from '../message/message.ts';
import type { Flow } from '../transport/transport.ts';
import { createTagger, meets } from './entity-tag.ts';
import type { NotifierOptions, NotifyBody } from './notifier-options.ts';
import { intervalOf } from './notifier-rates.ts';
import type { Entry } from './notifier-table.ts';
import { beatOf, countNotify, formatRates, startHistory } from './rate.ts';
import { adviseForNotify } from './retry.ts';

/** Failures in a row after which a watcher that answers nothing is let go. */
const patienceDefault = 3;

export interface NotifySender {
  /** Sends the present state at once, or as soon as the NOTIFY in flight is answered. */
  now(entry: Entry): void;
  /**
   * RFC 6665 §5.4.10: not faster than the interval and the agreed rate; the first after a lull at once, the last never
   * lost. Nothing is sent while the watcher's condition holds (RFC 5839 §6.3).
   */
  paced(entry: Entry): void;
  /** Whether the watcher's condition holds for what it would be told now. */
  isKnown(entry: Entry): boolean;
  /** The agreed rates are others now: the time until the next NOTIFY is reckoned anew. */
  repace(entry: Entry): void;
  /** The last NOTIFY of a subscription that is forgotten already. `more`: parameters after the reason. */
  last(entry: Entry, reason: string, body: 'with body' | 'without body', more?: string): void;
  /** Resolves when the last NOTIFYs are answered or given up. */
  drained(): Promise<void>;
  /** Sends nothing any more. */
  stop(): void;
  readonly totals: { notified: number; suppressed: number; unanswered: number; dropped: number };
}

/** What a NOTIFY tells besides the state of the subscription. */
interface Content {
  /** Made when it is sent. */
  body(): NotifyBody | undefined;
  /** Entity-tag of what the body says, or would have said. */
  readonly tag: string | undefined;
}

const nothing: Content = { body: () => undefined, tag: undefined };

/** What the sender needs of the notifier. */
export interface NotifySenderHooks {
  has(entry: Entry): boolean;
  /** The watcher is gone: forget it without another word. */
  drop(entry: Entry, reason: string): void;
  /** CSeq numbers beyond those written down are in use. */
  save(entry: Entry): void;
  /** A 2xx to a NOTIFY: it may ask for other rates (RFC 6446 §4.1). */
  confirmed(entry: Entry, response: SipResponse): void;
}

/** Our Contact towards a watcher. */
export function notifierContact(
  options: NotifierOptions,
  flow: Flow | undefined,
  resource: string,
  secure: boolean,
): string | undefined {
  const own = options.contact?.(resource);
  if (own !== undefined) return contactValue(own);
  return flow === undefined
    ? undefined
    : contactValue(contactUri(flow, userOf(resource), secure ? 'sips' : 'sip'));
}

/** RFC 3261 §12.1.1: what began in safety goes on so. */
export function isSecure({ routeSet, remoteTarget }: Dialog): boolean {
  return /^<?sips:/i.test(routeSet[0] ?? remoteTarget);
}

/** Makes and sends NOTIFYs: one in flight per subscription, paced, and judged by their answers (RFC 6665 §4.2.2). */
export function createNotifySender(
  deps: EventDeps,
  options: NotifierOptions,
  hooks: NotifySenderHooks,
): NotifySender {
  const { stack, clock, log } = deps;
  const interval = intervalOf(options);
  const patience = options.unanswered ?? patienceDefault;
  const tagger = options.entityTags === false ? undefined : createTagger();
  const totals = { notified: 0, suppressed: 0, unanswered: 0, dropped: 0 };
  const farewells = new Set<Promise<void>>();
  let stopped = false;

  const bodyOf = (entry: Entry): NotifyBody | undefined => {
    try {
      return options.body(entry);
    } catch (error) {
      log.error('the state of a resource could not be written', {
        resource: entry.resource,
        error: String(error),
      });
      return undefined;
    }
  };

  const tagOf = (entry: Entry, make: NonNullable<NotifierOptions['tag']>): string | undefined => {
    try {
      return make(entry);
    } catch (error) {
      log.error('the entity-tag of a resource could not be made', {
        resource: entry.resource,
        error: String(error),
      });
      return undefined;
    }
  };

  /** RFC 6665 §4.5.2: the id comes back, no other parameter does. */
  const eventOf = (entry: Entry): string => {
    const id = entry.eventParams.get('id');
    return id === undefined ? options.event : `${options.event};id=${id}`;
  };

  const contentOf = (entry: Entry): Content => {
    if (tagger !== undefined && options.tag !== undefined)
      return { body: () => bodyOf(entry), tag: tagOf(entry, options.tag) };
    const body = bodyOf(entry);
    if (body === undefined) return nothing;
    return { body: () => body, tag: tagger?.(eventOf(entry), body) };
  };

  /** RFC 5839 §6.2: without the body that the watcher holds, but with its tag. */
  const withheld = ({ tag }: Content): Content => ({ body: () => undefined, tag });

  const build = (
    entry: Entry,
    flow: Flow | undefined,
    state: string,
    body: NotifyBody | undefined,
    tag: string | undefined,
  ): SipRequest => {
    const headers: Record<string, HeaderInit[string]> = {
      Event: eventOf(entry),
      'Subscription-State': state,
      Contact: notifierContact(options, flow, entry.resource, isSecure(entry.dialog)),
      'SIP-ETag': tag,
      'Content-Type': body?.contentType,
    };
    return entry.dialog.request('NOTIFY', headers, body?.content);
  };

  const send = async (entry: Entry, state: string, content: Content): Promise<Outcome> => {
    const open = entry.flow?.state === 'closed' ? undefined : entry.flow;
    const flow =
      open ?? (entry.dialog.routeSet.length === 0 ? options.reach?.(entry.dialog.remoteTarget) : undefined);
    await flow?.ready().catch(() => undefined);
    let request: SipRequest;
    try {
      request = build(entry, flow, state, content.body(), content.tag);
    } catch (error) {
      // What the owner wrote may not go on the wire: the watcher still hears that it is subscribed.
      log.error('a notification could not be written', { resource: entry.resource, error: String(error) });
      request = build(entry, flow, state, undefined, undefined);
    }
    totals.notified += 1;
    if (entry.dialog.localSeq > entry.reserved) hooks.save(entry);
    const outcome = await stack.send(request, {
      ...(flow && { flow }),
      ...(options.credentials && { credentials: options.credentials }),
    });
    entry.dialog.used(outcome.request.cseq?.number);
    return outcome;
  };

  /** Shortest time between two NOTIFYs of a subscription, ms. */
  const intervalFor = ({ rates }: Entry): number =>
    rates.max === undefined ? interval : Math.max(interval, 1000 / rates.max);

  const emit = (entry: Entry, why: 'state' | 'content'): void => {
    if (stopped || !hooks.has(entry)) return;
    entry.pause?.cancel();
    entry.pause = undefined;
    if (entry.inFlight !== undefined) {
      if (why === 'state') entry.due = 'urgent';
      else if (entry.due === 'no') entry.due = 'later';
      return;
    }
    entry.due = 'no';
    const at = clock.now();
    let content = entry.state === 'active' ? contentOf(entry) : nothing;
    if (meets(entry.condition, content.tag)) {
      if (why === 'content') {
        totals.suppressed += 1;
        beat(entry, at);
        return;
      }
      content = withheld(content);
      // A condition that has failed once is over: the watcher holds something newer then.
    } else if (content.tag !== undefined) entry.condition = undefined;
    entry.sentAt = at;
    const { adaptive } = entry.rates;
    if (adaptive !== undefined) {
      entry.history ??= startHistory(at);
      countNotify(entry.history, adaptive, at);
    }
    beat(entry, at);
    const left = Math.max(0, Math.ceil((entry.expiresAt - at) / 1000));
    entry.inFlight = send(entry, `${entry.state};expires=${left}${formatRates(entry.rates)}`, content)
      .then((outcome) => {
        entry.inFlight = undefined;
        if (hooks.has(entry)) answered(entry, outcome);
      })
      .catch((error: unknown) => {
        entry.inFlight = undefined;
        log.error('notifying failed', { resource: entry.resource, error: String(error) });
        // Of what its dialog cannot carry the next NOTIFY would be no better.
        if (hooks.has(entry)) hooks.drop(entry, 'giveup');
      });
  };

  const now = (entry: Entry): void => emit(entry, 'state');

  const paced = (entry: Entry): void => {
    if (entry.inFlight !== undefined) {
      if (entry.due === 'no') entry.due = 'later';
      return;
    }
    if (entry.pause !== undefined) return;
    const wait = entry.sentAt + intervalFor(entry) - clock.now();
    if (wait <= 0) emit(entry, 'content');
    else entry.pause = stack.after(wait, () => emit(entry, 'content'));
  };

  /** RFC 6446 §6.2 and §7.2: the state goes out again when nothing else did for so long. */
  const beat = (entry: Entry, from: number): void => {
    entry.beat?.cancel();
    entry.beat = undefined;
    const { rates } = entry;
    if (rates.min === undefined && rates.adaptive === undefined) return;
    if (rates.adaptive !== undefined) entry.history ??= startHistory(clock.now());
    const wait = beatOf(rates, entry.history ?? startHistory(clock.now()), clock.now());
    if (wait === undefined) return;
    const left = Math.max(0, from + Math.max(wait, intervalFor(entry)) - clock.now());
    entry.beat = stack.after(left, () => {
      entry.beat = undefined;
      // What is on its way, or waits for its time, is soon enough.
      if (entry.state === 'active' && entry.inFlight === undefined && entry.pause === undefined)
        emit(entry, 'content');
      else beat(entry, clock.now());
    });
  };

  const answered = (entry: Entry, outcome: Outcome): void => {
    const advice = adviseForNotify(outcome);
    switch (advice.kind) {
      case 'delivered':
      case 'spare':
        entry.failures = 0;
        if (advice.kind === 'delivered' && outcome.kind === 'response')
          hooks.confirmed(entry, outcome.response);
        if (entry.due === 'urgent') now(entry);
        else if (entry.due === 'later') paced(entry);
        return;
      case 'drop':
        totals.dropped += 1;
        hooks.drop(entry, 'noresource');
        return;
      case 'again':
        entry.failures += 1;
        totals.unanswered += 1;
        if (entry.failures >= patience) {
          totals.dropped += 1;
          hooks.drop(entry, 'giveup');
          return;
        }
        entry.pause?.cancel();
        entry.pause = stack.after(advice.seconds * 1000, () => now(entry));
        return;
    }
  };

  return {
    now,
    paced,
    isKnown(entry) {
      if (entry.condition === undefined) return false;
      return meets(entry.condition, entry.state === 'active' ? contentOf(entry).tag : undefined);
    },
    repace(entry) {
      if (entry.rates.adaptive === undefined) entry.history = undefined;
      beat(entry, entry.sentAt);
      // A change that waits for the old rate waits for the new one.
      if (entry.pause === undefined || entry.failures > 0) return;
      entry.pause.cancel();
      entry.pause = undefined;
      paced(entry);
    },
    last(entry, reason, what, more = '') {
      if (stopped) return;
      const whole = what === 'with body' ? contentOf(entry) : nothing;
      const content = meets(entry.condition, whole.tag) ? withheld(whole) : whole;
      // RFC 3261 §12.2: numbers rise in the order of sending, so it waits for what is in flight.
      const last = (entry.inFlight ?? Promise.resolve())
        .then(() => send(entry, `terminated;reason=${reason}${more}`, content))
        .then(
          () => undefined,
          (error: unknown) => log.error('a last notification failed', { error: String(error) }),
        )
        .finally(() => farewells.delete(last));
      farewells.add(last);
    },
    drained: async () => {
      await Promise.all(farewells);
    },
    stop() {
      stopped = true;
    },
    totals,
  };
}
