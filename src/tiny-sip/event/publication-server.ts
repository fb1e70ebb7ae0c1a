import type { EventDeps, Incoming } from '../dialog/user-agent.ts';

/** What a PUBLISH left behind, without its document. */
export interface PublishedEntry {
  readonly resource: string;
  readonly event: string;
  readonly tag: string;
  /** Monotonic ms. */
  readonly expiresAt: number;
}

export interface PublishedDocument extends PublishedEntry {
  readonly contentType: string;
  readonly body: Buffer;
}

/** undefined: done. Otherwise the PUBLISH is refused so and nothing has changed. */
export type StoreAnswer =
  | undefined
  | {
      readonly status: number;
      readonly reason?: string;
      readonly headers?: Readonly<Record<string, string | readonly string[]>>;
      readonly body?: Buffer | string;
      readonly contentType?: string;
    };

/**
 * Where the documents live. Each call is one atomic step (RFC 3903 §6); PUBLISHes of one resource and
 * package come one after the other, the next when the promise of the last has settled.
 * A throw or a rejection is answered 500 and counts as "nothing changed".
 */
export interface PublicationStore {
  /** A document came. `previous`: the tag that it replaces; undefined: initial. */
  publish(document: PublishedDocument, previous: string | undefined): StoreAnswer | Promise<StoreAnswer>;
  /** Same document, new tag, new expiry. */
  refresh(entry: PublishedEntry, previous: string): StoreAnswer | Promise<StoreAnswer>;
  /** `removed` by its publisher, or `expired` (then the answer does not matter). */
  remove(entry: PublishedEntry, cause: 'removed' | 'expired'): StoreAnswer | Promise<StoreAnswer>;
}

export interface PublicationServerOptions {
  /** Event packages, each with the content types that it takes. */
  readonly events: Readonly<Record<string, { readonly accept: readonly string[] }>>;
  /** Seconds. Defaults: min 60, max 3600, default 3600. */
  readonly expires?: { readonly min?: number; readonly max?: number; readonly default?: number };
  readonly store: PublicationStore;
  /** Whose is it: the key of the resource, or a refusal (404, 403, 401 with a challenge). */
  readonly authorise: (incoming: Incoming) => PublishVerdict | Promise<PublishVerdict>;
  /** Live publications at most; beyond it 503. Default 50,000. */
  readonly publications?: number;
  /** Live publications of one resource and package at most; beyond it 503. Default 128. */
  readonly perResource?: number;
  /** Body bytes at most; beyond it 413. Default 65,536. */
  readonly bodyBytes?: number;
}

export type PublishVerdict =
  | {
      readonly ok: true;
      readonly resource: string;
      /** Headers for the answer (Authentication-Info). */
      readonly headers?: Readonly<Record<string, string | readonly string[]>>;
    }
  | {
      readonly ok: false;
      readonly status: number;
      readonly reason?: string;
      readonly headers?: Readonly<Record<string, string | readonly string[]>>;
    };

export interface PublicationServer {
  /** Takes a PUBLISH. */
  handle(incoming: Incoming): void;
  /** Takes back entries that the store kept over a restart; those past their time are expired at once. */
  restore(entries: Iterable<PublishedEntry>): void;
  /** Accept values over all packages, for OPTIONS. */
  readonly accept: readonly string[];
  readonly events: readonly string[];
  /** Live publications of a resource. */
  list(resource: string, event: string): readonly PublishedEntry[];
  /** Ends timers; the store keeps what it has. */
  stop(): void;
  counts(): Record<string, number>;
}

export declare function createPublicationServer(
  deps: EventDeps,
  options: PublicationServerOptions,
): PublicationServer;
