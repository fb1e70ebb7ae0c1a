import type { EventDeps, Outcome } from '../dialog/user-agent.ts';
import { contactUri, contactValue, userOf } from '../dialog/way.ts';
import type { HeaderInit, SipRequest } from '../message/message.ts';
import type { Flow } from '../transport/transport.ts';
import type { NotifierOptions, NotifyBody } from './notifier-options.ts';
import type { Entry } from './notifier-table.ts';
import { adviseForNotify } from './retry.ts';

/** Failures in a row after which a watcher that answers nothing is let go. */
const patience = 3;

export interface NotifySender {
  /** Sends the present state at once, or as soon as the NOTIFY in flight is answered. */
  now(entry: Entry): void;
  /** RFC 6665 §5.4.10: not faster than the interval; the first after a lull at once, the last never lost. */
  paced(entry: Entry): void;
  /** The last NOTIFY of a subscription that is forgotten already. */
  last(entry: Entry, reason: string, body: 'with body' | 'without body'): void;
  /** Resolves when the last NOTIFYs are answered or given up. */
  drained(): Promise<void>;
  /** Sends nothing any more. */
  stop(): void;
  readonly totals: { notified: number; unanswered: number; dropped: number };
}

/** What the sender needs of the notifier. */
export interface NotifySenderHooks {
  has(entry: Entry): boolean;
  /** The watcher is gone: forget it without another word. */
  drop(entry: Entry, reason: string): void;
  /** CSeq numbers beyond those written down are in use. */
  save(entry: Entry): void;
}

/** Our Contact towards a watcher. */
export function notifierContact(flow: Flow | undefined, resource: string): string | undefined {
  return flow === undefined ? undefined : contactValue(contactUri(flow, userOf(resource)));
}

/** Makes and sends NOTIFYs: one in flight per subscription, paced, and judged by their answers (RFC 6665 §4.2.2). */
export function createNotifySender(
  deps: EventDeps,
  options: NotifierOptions,
  hooks: NotifySenderHooks,
): NotifySender {
  const { stack, clock, log } = deps;
  const interval = options.interval ?? 5_000;
  const totals = { notified: 0, unanswered: 0, dropped: 0 };
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

  const build = (
    entry: Entry,
    flow: Flow | undefined,
    state: string,
    body: NotifyBody | undefined,
  ): SipRequest => {
    const id = entry.eventParams.get('id');
    const headers: Record<string, HeaderInit[string]> = {
      // RFC 6665 §4.5.2: the id comes back, no other parameter does.
      Event: id === undefined ? options.event : `${options.event};id=${id}`,
      'Subscription-State': state,
      Contact: notifierContact(flow, entry.resource),
      'Content-Type': body?.contentType,
    };
    return entry.dialog.request('NOTIFY', headers, body?.content);
  };

  const send = async (entry: Entry, state: string, body: NotifyBody | undefined): Promise<Outcome> => {
    const flow = entry.flow?.state === 'closed' ? undefined : entry.flow;
    await flow?.ready().catch(() => undefined);
    let request: SipRequest;
    try {
      request = build(entry, flow, state, body);
    } catch (error) {
      // What the owner wrote may not go on the wire: the watcher still hears that it is subscribed.
      log.error('a notification could not be written', { resource: entry.resource, error: String(error) });
      request = build(entry, flow, state, undefined);
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

  const now = (entry: Entry): void => {
    if (stopped || !hooks.has(entry)) return;
    entry.pause?.cancel();
    entry.pause = undefined;
    if (entry.inFlight !== undefined) {
      entry.due = 'urgent';
      return;
    }
    entry.due = 'no';
    entry.sentAt = clock.now();
    const left = Math.max(0, Math.ceil((entry.expiresAt - clock.now()) / 1000));
    const body = entry.state === 'active' ? bodyOf(entry) : undefined;
    entry.inFlight = send(entry, `${entry.state};expires=${left}`, body)
      .then((outcome) => {
        entry.inFlight = undefined;
        if (hooks.has(entry)) answered(entry, outcome);
      })
      .catch((error: unknown) => {
        entry.inFlight = undefined;
        log.error('notifying failed', { resource: entry.resource, error: String(error) });
      });
  };

  const paced = (entry: Entry): void => {
    if (entry.inFlight !== undefined) {
      if (entry.due === 'no') entry.due = 'later';
      return;
    }
    if (entry.pause !== undefined) return;
    const wait = entry.sentAt + interval - clock.now();
    if (wait <= 0) now(entry);
    else entry.pause = stack.after(wait, () => now(entry));
  };

  const answered = (entry: Entry, outcome: Outcome): void => {
    const advice = adviseForNotify(outcome);
    switch (advice.kind) {
      case 'delivered':
      case 'spare':
        entry.failures = 0;
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
    last(entry, reason, what) {
      if (stopped) return;
      const body = what === 'with body' ? bodyOf(entry) : undefined;
      // RFC 3261 §12.2: numbers rise in the order of sending, so it waits for what is in flight.
      const last = (entry.inFlight ?? Promise.resolve())
        .then(() => send(entry, `terminated;reason=${reason}`, body))
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
