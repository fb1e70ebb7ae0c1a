import type { Timer } from '../deps.ts';
import type { Dialog } from '../dialog/dialog.ts';
import type { Flow } from '../transport/transport.ts';
import type { NotifierSubscription, SubscriptionRecord } from './notifier-options.ts';
import { hasRates, type RateHistory, type Rates } from './rate.ts';

/** One subscription as the notifier keeps it. */
export interface Entry extends NotifierSubscription {
  readonly id: string;
  readonly resource: string;
  readonly watcher: string;
  state: 'active' | 'pending' | 'terminated';
  reason: string | undefined;
  accept: readonly string[];
  eventParams: ReadonlyMap<string, string>;
  rates: Rates;
  /** Its last SUBSCRIBE asked for rates. */
  rated: boolean;
  /** Suppress-If-Match of the last SUBSCRIBE, for as long as it has held since. */
  condition: string | undefined;
  expiresAt: number;
  data: unknown;
  readonly dialog: Dialog;
  /** From tag, Call-ID and Event id of the SUBSCRIBE that began it. */
  readonly origin: string;
  /** The way the last SUBSCRIBE came, where NOTIFYs may go back by it. */
  flow: Flow | undefined;
  from: SubscriptionRecord['from'];
  /** Takes the dialog's requests away from us. */
  unclaim: (() => void) | undefined;
  /** Lets go of the connection that is held open for it. */
  unhold: (() => void) | undefined;
  /** The end of the subscription. */
  end: Timer | undefined;
  /** Waits for the interval, or for another try. */
  pause: Timer | undefined;
  /** Waits for the time when the state is told again, changed or not. */
  beat: Timer | undefined;
  /** What was sent lately; only kept where an adaptive rate was agreed. */
  history: RateHistory | undefined;
  /** Monotonic ms of the last NOTIFY. */
  sentAt: number;
  inFlight: Promise<void> | undefined;
  /** The state is to be sent again when the NOTIFY in flight is answered: `urgent` at once and whatever it is. */
  due: 'no' | 'later' | 'urgent';
  /** Failures in a row. */
  failures: number;
  /** CSeq numbers up to this one are written down. */
  reserved: number;
}

/** What is known of a subscription when it begins; the rest has no choice. */
export type EntryInit = Pick<
  Entry,
  | 'id'
  | 'resource'
  | 'watcher'
  | 'state'
  | 'accept'
  | 'eventParams'
  | 'condition'
  | 'expiresAt'
  | 'dialog'
  | 'origin'
  | 'flow'
  | 'from'
  | 'reserved'
>;

export function createEntry(init: EntryInit): Entry {
  return {
    ...init,
    reason: undefined,
    data: undefined,
    unclaim: undefined,
    unhold: undefined,
    end: undefined,
    pause: undefined,
    beat: undefined,
    rates: {},
    rated: hasRates(init.eventParams),
    history: undefined,
    sentAt: Number.NEGATIVE_INFINITY,
    inFlight: undefined,
    due: 'no',
    failures: 0,
  };
}

export interface SubscriptionTable {
  add(entry: Entry): void;
  /** Takes it out and stops its timers; false when it was out already. */
  remove(entry: Entry): boolean;
  has(entry: Entry): boolean;
  get(id: string): Entry | undefined;
  byOrigin(origin: string): Entry | undefined;
  byResource(resource: string): ReadonlySet<Entry>;
  /** How many subscriptions this watcher has. */
  ofWatcher(watcher: string): number;
  all(): readonly Entry[];
  clear(): void;
  counts(): { subscriptions: number; resources: number; watchers: number };
}

const none: ReadonlySet<Entry> = new Set();

/** Subscriptions, found by every key that a request or a change comes with. */
export function createSubscriptionTable(): SubscriptionTable {
  const byId = new Map<string, Entry>();
  const byOrigin = new Map<string, Entry>();
  const byResource = new Map<string, Set<Entry>>();
  const perWatcher = new Map<string, number>();

  const halt = (entry: Entry): void => {
    entry.unclaim?.();
    entry.unhold?.();
    entry.end?.cancel();
    entry.pause?.cancel();
    entry.beat?.cancel();
    entry.unclaim = entry.unhold = entry.end = entry.pause = entry.beat = undefined;
  };

  return {
    add(entry) {
      byId.set(entry.id, entry);
      byOrigin.set(entry.origin, entry);
      const watchers = byResource.get(entry.resource) ?? new Set();
      byResource.set(entry.resource, watchers.add(entry));
      perWatcher.set(entry.watcher, (perWatcher.get(entry.watcher) ?? 0) + 1);
    },
    remove(entry) {
      if (byId.get(entry.id) !== entry) return false;
      byId.delete(entry.id);
      if (byOrigin.get(entry.origin) === entry) byOrigin.delete(entry.origin);
      const watchers = byResource.get(entry.resource);
      watchers?.delete(entry);
      if (watchers?.size === 0) byResource.delete(entry.resource);
      const left = (perWatcher.get(entry.watcher) ?? 1) - 1;
      if (left > 0) perWatcher.set(entry.watcher, left);
      else perWatcher.delete(entry.watcher);
      halt(entry);
      return true;
    },
    has: (entry) => byId.get(entry.id) === entry,
    get: (id) => byId.get(id),
    byOrigin: (origin) => byOrigin.get(origin),
    byResource: (resource) => byResource.get(resource) ?? none,
    ofWatcher: (watcher) => perWatcher.get(watcher) ?? 0,
    all: () => [...byId.values()],
    clear() {
      for (const entry of byId.values()) halt(entry);
      byId.clear();
      byOrigin.clear();
      byResource.clear();
      perWatcher.clear();
    },
    counts: () => ({ subscriptions: byId.size, resources: byResource.size, watchers: perWatcher.size }),
  };
}
