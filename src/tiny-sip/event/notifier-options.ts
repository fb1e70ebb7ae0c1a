import type { DigestClient } from '../auth/client.ts';
import type { DialogRecord } from '../dialog/dialog.ts';
import type { Incoming } from '../dialog/user-agent.ts';
import type { Flow } from '../transport/transport.ts';
import type { Rates } from './rate.ts';

/** How a notifier is made. */
export interface NotifierOptions {
  /** Event package, e.g. `presence`. */
  readonly event: string;
  /** Content types that `body` can make; the first is used for a SUBSCRIBE without Accept. */
  readonly types: readonly string[];
  /** Seconds. Defaults: min 60, max 3600, default 3600. */
  readonly expires?: { readonly min?: number; readonly max?: number; readonly default?: number };
  /** ms between two NOTIFYs of one subscription; the first of a lull goes at once. Default 5000 (RFC 3856 §6.10). */
  readonly interval?: number;
  /**
   * ms between two NOTIFYs that a watcher's `min-rate` or `adaptive-min-rate` (RFC 6446) may bring about although nothing
   * changed; never less than `interval`. Default 5000.
   */
  readonly beat?: number;
  /**
   * Entity-tags in NOTIFYs, and bodies or whole NOTIFYs left out for watchers that hold the state already (RFC 5839).
   * Default true.
   */
  readonly entityTags?: boolean;
  /**
   * ms between the CRLFs on connections by which watchers subscribed, which are held open for as long as a subscription
   * uses them. Default 90,000; false: they are left alone.
   */
  readonly keepAlive?: number | false;
  /**
   * NOTIFYs in a row that may stay unanswered, or be answered 408, 500, 502, 503 or 504, before a watcher is let go.
   * RFC 6665 §4.2.2 advises one for a time-out; but then one lost minute leaves a watcher without news until its next
   * refresh, which may be an hour off. Default 3, with 30 s and more between them.
   */
  readonly unanswered?: number;
  /** Subscriptions at most; beyond it 503. Default 10,000. */
  readonly subscriptions?: number;
  /** Of one watcher, and of one resource, at most; beyond it 503. Default no bound of its own. */
  readonly perWatcher?: number;
  /** The same for one resource. */
  readonly perResource?: number;
  /** Decides about an initial SUBSCRIBE, and again about refreshes. */
  readonly authorise: (incoming: Incoming) => SubscriptionVerdict | Promise<SubscriptionVerdict>;
  /**
   * The present state of a resource for one subscription; undefined: a NOTIFY without body. Where there is no `tag`, it
   * may be asked for only to find out that the watcher has it already.
   */
  readonly body: (subscription: NotifierSubscription) => NotifyBody | undefined;
  /**
   * Entity-tag of the whole present state: a token that no other state of the resource has. For packages whose bodies
   * are parts or differences (RFC 5839 §6.4) or count versions: `body` is asked for once for each NOTIFY that carries
   * one, and not otherwise. Default: made from the body.
   */
  readonly tag?: (subscription: NotifierSubscription) => string | undefined;
  /**
   * Called when a subscription came, was refreshed or changed its state, and when its reserved CSeq numbers are used
   * up. Whoever writes it down can `restore` it in a later process.
   */
  readonly save?: (record: SubscriptionRecord) => void;
  /** Called when a subscription ended. */
  readonly drop?: (id: string) => void;
  /** A subscription came, changed or ended (for winfo and logs). */
  readonly onChange?: (
    subscription: NotifierSubscription,
    what: 'new' | 'refreshed' | 'state' | 'ended',
  ) => void;
  /** Our Contact URI for a resource, such as a GRUU (RFC 5627 §4.4). Default, or undefined: that of the flow. */
  readonly contact?: (resource: string) => string | undefined;
  /** Answers challenges to NOTIFY. */
  readonly credentials?: DigestClient;
  /**
   * The flow to a watcher whose own is gone, by its Contact URI, where this side knows better than the DNS: a GRUU of our
   * own domain (RFC 5627) is a binding of our registrar. undefined: the URI is looked up.
   */
  readonly reach?: (contact: string) => Flow | undefined;
}

/** Whether a SUBSCRIBE is let in: to which resource and as whom, or with which status it is refused. */
export type SubscriptionVerdict =
  | {
      readonly ok: true;
      /** Key under which `changed` is called. */
      readonly resource: string;
      /** Who watches, as authenticated. */
      readonly watcher: string;
      /** `pending`: accepted, but NOTIFYs carry no body until `setState`. Default active. */
      readonly state?: 'active' | 'pending';
      /** Headers for the answer (Authentication-Info). */
      readonly headers?: Readonly<Record<string, string | readonly string[]>>;
    }
  | {
      readonly ok: false;
      readonly status: number;
      readonly reason?: string;
      readonly headers?: Readonly<Record<string, string | readonly string[]>>;
    };

/** A document as a NOTIFY carries it. */
export interface NotifyBody {
  /** One of those that the watcher takes. */
  readonly contentType: string;
  /** A string is written as UTF-8. */
  readonly content: string | Buffer;
}

/** One subscription, as its owner sees it. */
export interface NotifierSubscription {
  /** Names it in `setState`, `terminate` and `drop`, also after a restart. */
  readonly id: string;
  /** As the verdict said. */
  readonly resource: string;
  /** As the verdict said. */
  readonly watcher: string;
  /** `pending`: accepted, but not yet allowed to see anything. */
  readonly state: 'active' | 'pending' | 'terminated';
  /** Why it ended, once terminated (`noresource`, `timeout`, `rejected`, …). */
  readonly reason: string | undefined;
  /** Content types that the watcher takes, in our order; never empty. */
  readonly accept: readonly string[];
  /** Parameters of its Event header, as the last SUBSCRIBE gave them. */
  readonly eventParams: ReadonlyMap<string, string>;
  /** What was agreed about the rate of NOTIFYs (RFC 6446). */
  readonly rates: Rates;
  /** Monotonic ms. */
  readonly expiresAt: number;
  /** A place for the owner: what this watcher was sent last, for instance. Not saved. */
  data: unknown;
}

/** All that must outlive the process for the dialog to go on. Plain JSON. */
export interface SubscriptionRecord {
  /** The same as that of the subscription. */
  readonly id: string;
  /** As the verdict said. */
  readonly resource: string;
  /** As the verdict said. */
  readonly watcher: string;
  /** Content types that the watcher takes. */
  readonly accept: readonly string[];
  /** Parameters of its Event header. */
  readonly eventParams: Readonly<Record<string, string>>;
  /** Terminated ones are not written down. */
  readonly state: 'active' | 'pending';
  /** Suppress-If-Match of its last SUBSCRIBE, while it holds (RFC 5839). */
  readonly condition?: string;
  /** Monotonic ms. */
  readonly expiresAt: number;
  /** `localSeq` is a reserved ceiling: after `restore` numbers go on above everything that was ever sent. */
  readonly dialog: DialogRecord;
  /** Tells a SUBSCRIBE that begins the same subscription again. */
  readonly origin: string;
  /** Where the SUBSCRIBE came from; a datagram flow can be opened again. */
  readonly from: { readonly protocol: string; readonly host: string; readonly port: number };
}

/** The notifier's side of an event package (RFC 6665 §4.2). */
export interface Notifier {
  /** The package. */
  readonly event: string;
  /** Takes a SUBSCRIBE for this package (initial or of an unknown dialog). */
  handle(incoming: Incoming): void;
  /** The state of a resource changed: its watchers are told, as the interval allows. */
  changed(resource: string): void;
  /** Watchers of a resource. */
  watchers(resource: string): Iterable<NotifierSubscription>;
  /** Authorisation came or went. */
  setState(id: string, state: 'active' | 'pending'): void;
  /**
   * Ends one subscription, or all of a resource: a last NOTIFY with the reason (RFC 6665 §4.1.3). `retryAfter`: seconds
   * before the watcher should come again; by default a year for `invariant`, and nothing is said otherwise.
   */
  terminate(
    which: { readonly id: string } | { readonly resource: string },
    reason: string,
    retryAfter?: number,
  ): void;
  /** Takes back what `save` wrote. `expiresAt` must be on this process's clock. Sends a NOTIFY to each. */
  restore(record: SubscriptionRecord): void;
  /** Tells every watcher `terminated;reason=deactivated` and waits for the answers until `deadline` (monotonic ms). */
  stop(deadline: number): Promise<void>;
  /** Ends without a word and without `drop`: as a kill would. */
  abandon(): void;
  /** Subscriptions alive, and what was done since the start, by name. */
  counts(): Record<string, number>;
}
