import type { DigestClient } from '../auth/client.ts';
import type { Way } from '../dialog/user-agent.ts';
import type { Lane } from './lane.ts';
import type { Failure } from './retry.ts';

/**
 * What a body is asked for.
 * `initial`: the server holds nothing of this publication. `modify`: it holds what was last `accepted`.
 * `replace`: it holds something that an earlier process sent (`stored`); the body must be whole.
 */
export type BodyKind = 'initial' | 'modify' | 'replace';

/** What is published, as asked for. */
export interface PublicationBody {
  /** Content-Type of the PUBLISH. */
  readonly contentType: string;
  /** A string is written as UTF-8. */
  readonly content: string | Buffer;
  /** Given back to `accepted` with the 2xx. */
  readonly token: unknown;
}

/** How a publication is made. */
export interface PublicationOptions {
  /** Request-URI, To and From. */
  readonly aor: string;
  /** Event package. Default `presence`. */
  readonly event?: string;
  /** Seconds asked for. Default 120. */
  readonly expires?: number;
  /** By which way; undefined: not yet (not registered, S5): call `wake()` when it changed. */
  readonly way: () => Way | undefined;
  /** Answers challenges. */
  readonly credentials?: DigestClient;
  /** Shared by all publications of one Request-URI; default one of its own. */
  readonly lane?: Lane;
  /**
   * Asked when the request leaves, so changes coalesce and the last state wins.
   * undefined: nothing to say (a `modify` without difference, or nothing to publish yet).
   */
  readonly body: (kind: BodyKind) => PublicationBody | undefined;
  /** A 2xx to a body. `expiresAt`: monotonic ms; `expires`: seconds granted. */
  readonly accepted?: (token: unknown, info: PublicationInfo) => void;
  /** A 2xx to a refresh: tag and expiry are new. */
  readonly refreshed?: (info: PublicationInfo) => void;
  /** The publication is gone at the server (412, removed): what was stored of its tag is void. */
  readonly forgotten?: () => void;
  /** Left by an earlier process: tried conditional first (S3). `expiresAt`: monotonic ms. */
  readonly stored?: { readonly tag: string; readonly expiresAt: number };
  /** Own headers, on every PUBLISH, refreshes too (S6). */
  readonly headers?: Readonly<Record<string, string>>;
  /** Called with every new state. */
  readonly onState?: (state: PublicationState) => void;
}

/** What the server granted. */
export interface PublicationInfo {
  /** The SIP-ETag under which it keeps the document. */
  readonly tag: string;
  /** Seconds granted by the server. */
  readonly expires: number;
  /** Monotonic ms. */
  readonly expiresAt: number;
}

/** Where a publication stands. `retryAt` is monotonic ms: when it is tried again by itself. */
export type PublicationState =
  | { readonly kind: 'idle' }
  /** Something is to be said, but `way()` is undefined. */
  | { readonly kind: 'blocked' }
  | { readonly kind: 'publishing' }
  | ({ readonly kind: 'published' } & PublicationInfo)
  | { readonly kind: 'waiting'; readonly retryAt: number; readonly cause: Failure }
  /**
   * 413 or 415: the owner must offer another body and call `changed()`.
   * `accept`: the Accept values of the response, parameters stripped, lower case.
   */
  | {
      readonly kind: 'unsuitable';
      readonly status: 413 | 415;
      readonly contentType: string;
      readonly accept: readonly string[];
      readonly cause: Failure;
    }
  /** 403, 405, 489, 501 and the like: permanent until someone changes something; tried again slowly. */
  | { readonly kind: 'refused'; readonly retryAt: number; readonly cause: Failure }
  | { readonly kind: 'removed' };

/** Keeps one document published (RFC 3903 §4). */
export interface Publication {
  /** Where it stands now. */
  readonly state: PublicationState;
  /** The tag of the live publication, if there is one. */
  readonly tag: string | undefined;
  /** The state to publish has changed. */
  changed(): void;
  /**
   * `way()` may have changed: what waited for it, or for the network to come back, is tried now. A back-off that
   * the server's answer caused goes on.
   */
  wake(): void;
  /** Sends a refresh now (body-less). */
  refresh(): void;
  /** Removes the publication (Expires 0); resolves when answered or given up. The machine stays usable: `changed()` publishes anew. */
  withdraw(): Promise<void>;
  /** `withdraw`, and final. */
  remove(): Promise<void>;
  /** Stops without a word to the server. Final. */
  stop(): void;
}
