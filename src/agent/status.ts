import type { PublicationState } from 'tiny-sip';
import type { Clock } from '../base/clock.ts';
import type { Account, Identity } from './account.ts';
import { sayTarget } from './link.ts';

/** One account, for people and programs. */
export interface AccountView {
  readonly id: string;
  readonly aor: string;
  /** `down`: not registered. `degraded`: registered, but something does not work. */
  readonly state: 'ok' | 'degraded' | 'down';
  /** `connecting`, `registering`, `registered`, `waiting`, `refused`, `removed`, `idle`. */
  readonly registration: string;
  /** Code of the last error that was not mended since, and what to do about it. */
  readonly code?: string;
  readonly detail?: string;
  readonly remedy?: string;
  /** `tcp 192.0.2.7:5060` */
  readonly server?: string;
  /** Seconds until the registration ends. */
  readonly expiresIn?: number;
  readonly publish: {
    readonly strategy: 'diff' | 'segments' | 'full' | 'undecided';
    readonly configured: string;
    /** Why this strategy. */
    readonly detail?: string;
  };
  /** Set when requests to the own address do not come back. */
  readonly nat?: string;
  /** Publications of all its AORs, by state. */
  readonly publications: Readonly<Record<string, number>>;
  /** AORs of devices: how many are registered, of how many. */
  readonly own: { readonly registered: number; readonly all: number };
}

/** What the server has of one device. */
export interface PublishedView {
  readonly account: string;
  readonly aor: string;
  /** `published`, `publishing`, `waiting`, `refused`, `unsuitable`, `blocked`, `idle`. */
  readonly state: string;
  /** Seconds since something about it was last accepted. */
  readonly ago?: number;
}

/** An account as it stands. */
export function viewAccount(clock: Clock, account: Account): AccountView {
  const { link, main, own, chooser, reach, error, options } = account;
  const registered = main.presentity.state;
  const unreached = typeof reach === 'string' ? undefined : reach.error;
  const trouble = error ?? (link.kind === 'waiting' ? link.cause : undefined) ?? unreached;
  const up = registered.kind === 'registered' && link.kind === 'up';
  const publications: Record<string, number> = {};
  for (const { publisher } of [main, ...own.values()])
    for (const { kind } of publisher.states().values()) publications[kind] = (publications[kind] ?? 0) + 1;
  return {
    id: account.id,
    aor: options.aor,
    state: !up ? 'down' : trouble ? 'degraded' : 'ok',
    registration: link.kind === 'up' ? registered.kind : link.kind,
    ...(trouble && { code: trouble.code, detail: trouble.message, remedy: trouble.remedy }),
    ...(link.kind === 'up' && { server: sayTarget(link.target) }),
    ...(up && { expiresIn: Math.max(0, Math.round((registered.expiresAt - clock.now()) / 1_000)) }),
    publish: { strategy: chooser.strategy, configured: options.publish ?? 'auto', detail: chooser.why },
    ...(unreached && { nat: unreached.message }),
    publications,
    own: {
      registered: [...own.values()].filter(({ presentity }) => presentity.state.kind === 'registered').length,
      all: own.size,
    },
  };
}

/** What the server has of a device, by its tuple id. */
export function viewPublished(clock: Clock, account: string, identity: Identity, id: string): PublishedView {
  const { publisher } = identity;
  const states = publisher.states();
  const state: PublicationState | undefined = states.get(id) ?? states.get('*');
  const at = publisher.acceptedAt(id);
  return {
    account,
    aor: publisher.aor,
    state: state?.kind ?? 'idle',
    ...(at !== undefined && { ago: Math.round((clock.now() - at) / 1_000) }),
  };
}

/** One line about an account, as `status` by message has it. */
export function sayAccount(view: AccountView): string {
  const why = view.detail ?? view.publish.detail ?? '';
  return `${view.aor}: ${view.registration}, publishing ${view.publish.strategy}${why === '' ? '' : ` (${why})`}`;
}
