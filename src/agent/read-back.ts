import { createSubscription, type DigestClient, type EventDeps, type Failure, type Way } from 'tiny-sip';
import { asError } from '../base/errors.ts';
import type { Presence } from '../presence/model.ts';
import { PIDF_TYPE } from '../presence/namespaces.ts';
import type { Later } from './later.ts';

/** What a watcher would see, or why that cannot be known. */
export type ReadBack =
  | { readonly kind: 'seen'; readonly presence: Presence }
  /** The server does not show us our own presence, or not in a form that can be read. */
  | { readonly kind: 'refused'; readonly why: string }
  /** It did not answer in time, or the flow broke: ask again later. */
  | { readonly kind: 'lost'; readonly why: string };

export interface ReadBackOptions {
  readonly aor: string;
  readonly way: () => Way | undefined;
  readonly credentials?: DigestClient | undefined;
  readonly contactUser: string;
}

/** Milliseconds after which a fetch is given up. */
const LIMIT = 10_000;

/** Fetches the own presence once: a SUBSCRIBE with Expires 0 (RFC 6665 §4.4.3). Never rejects. */
export function readBack(
  deps: EventDeps & Pick<Later, 'reader'>,
  options: ReadBackOptions,
): Promise<ReadBack> {
  const { aor, way, credentials, contactUser } = options;
  return new Promise((resolve) => {
    let done = false;
    let seen: ReadBack | Told | undefined;
    const finish = (result: ReadBack | Told): void => {
      if (done) return;
      done = true;
      timer.cancel();
      subscription.stop();
      resolve(result.kind === 'told' ? understood(result, deps.reader) : result);
    };
    const subscription = createSubscription(deps, {
      resource: aor,
      from: aor,
      accept: [PIDF_TYPE],
      expires: 0,
      way,
      ...(credentials && { credentials }),
      contactUser,
      onNotify({ body, contentType, state }) {
        // Pending, or polite block: the server will not tell.
        if (body.length === 0) seen = { kind: 'refused', why: `a NOTIFY without a document (${state})` };
        else if (contentType !== PIDF_TYPE) seen = { kind: 'refused', why: `a NOTIFY with ${contentType}` };
        else seen = { kind: 'told', document: Buffer.from(body) };
        return undefined;
      },
      onState(state) {
        switch (state.kind) {
          case 'refused':
          case 'waiting':
            return finish(failed(state.cause, state.cause.reason));
          case 'terminated':
            return finish(seen ?? failed(state.cause, state.reason));
          case 'blocked':
            return finish({ kind: 'lost', why: 'not registered' });
          case 'idle':
          case 'subscribing':
          case 'pending':
          case 'active':
            return;
        }
      },
    });
    const timer = deps.clock.after(LIMIT, () => finish(seen ?? { kind: 'lost', why: 'no answer in time' }));
    subscription.start();
  });
}

/** A document, not yet read. */
interface Told {
  readonly kind: 'told';
  readonly document: Buffer;
}

async function understood({ document }: Told, reader: Later['reader']): Promise<ReadBack> {
  try {
    const { readPresence } = await reader();
    return { kind: 'seen', presence: readPresence(document) };
  } catch (error) {
    return { kind: 'refused', why: `a document that cannot be read: ${asError(error).message}` };
  }
}

/** What a server that is busy, or a path that is broken, answers; anything else is a no. */
const PASSING: ReadonlySet<number> = new Set([408, 480, 481, 491, 500, 502, 503, 504]);

function failed(cause: Failure | undefined, reason: string): ReadBack {
  if (cause?.status === undefined || PASSING.has(cause.status))
    return { kind: 'lost', why: cause?.reason ?? reason };
  return { kind: 'refused', why: `${cause.status} ${cause.reason}` };
}
