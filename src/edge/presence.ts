import {
  createNotifier,
  type EventDeps,
  type Flow,
  type Incoming,
  type Notifier,
  type NotifyBody,
  type SubscriptionRecord,
  type SubscriptionVerdict,
} from 'tiny-sip';
import { PIDF_TYPE } from '../presence/namespaces.ts';
import type { Accounts } from './accounts.ts';
import type { Domain } from './domain.ts';
import { type Gate, refuse } from './gate.ts';
import { inSeconds, type Lifetimes } from './options.ts';

/** What a watcher may see of a presentity. */
export type WatchVerdict = 'allow' | 'pending' | 'block';

/** Tells watchers the presence of the addresses of record of this edge (RFC 3856). */
export function createPresence(
  deps: EventDeps & { gate: Gate; domain: Domain; accounts: () => Accounts },
  options: {
    expires?: Lifetimes | undefined;
    interval?: number | undefined;
    subscriptions: number;
    perWatcher: number;
    perResource: number;
    /** The presence document of an address of record. */
    document: (resource: string) => string;
    /** Who may watch whom; absent: every user of the domain may watch every presentity in it. */
    policy?: ((watcher: string, resource: string) => WatchVerdict) | undefined;
    /** The flow to a contact that is a GRUU of ours (RFC 5627). */
    reach: (contact: string) => Flow | undefined;
    save: (record: SubscriptionRecord) => void;
    drop: (id: string) => void;
  },
): Notifier {
  const { gate, domain, accounts } = deps;

  const authorise = (incoming: Incoming): SubscriptionVerdict => {
    const { request } = incoming;
    // Within a dialog the Request-URI is our Contact; the dialog's To still names the presentity.
    const aor = domain.aor(request.toTag === undefined ? request.uri : (request.to?.uri ?? ''));
    if (aor === undefined) return refuse(404);
    // RFC 6665 §4.2.1.3: a notifier is a user agent, so it challenges with 401.
    const watcher = gate.identify(incoming);
    if (!watcher.ok) return watcher;
    if (!accounts().known(aor)) return refuse(404);
    const verdict = options.policy?.(watcher.aor, aor) ?? 'allow';
    if (verdict === 'block') return refuse(403);
    return {
      ok: true,
      resource: aor,
      watcher: watcher.aor,
      state: verdict === 'allow' ? 'active' : 'pending',
      ...(watcher.headers && { headers: watcher.headers }),
    };
  };

  return createNotifier(deps, {
    event: 'presence',
    types: [PIDF_TYPE],
    expires: inSeconds(options.expires),
    ...(options.interval !== undefined && { interval: options.interval }),
    subscriptions: options.subscriptions,
    perWatcher: options.perWatcher,
    perResource: options.perResource,
    authorise,
    body: (subscription): NotifyBody => ({
      contentType: PIDF_TYPE,
      content: options.document(subscription.resource),
    }),
    reach: options.reach,
    save: options.save,
    drop: options.drop,
  });
}
