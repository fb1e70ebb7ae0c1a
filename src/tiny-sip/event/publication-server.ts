import type { Timer } from '../deps.ts';
import { answerError } from '../dialog/answer-error.ts';
import type { AnswerInit, EventDeps, Incoming } from '../dialog/user-agent.ts';
import { detach } from '../message/text.ts';

/** What a PUBLISH left behind, without its document. */
export interface PublishedEntry {
  /** As the verdict said. */
  readonly resource: string;
  /** The package, without parameters. */
  readonly event: string;
  /** The SIP-ETag of the answer; one of its own for every PUBLISH. */
  readonly tag: string;
  /** Monotonic ms. */
  readonly expiresAt: number;
}

/** What a PUBLISH brought. */
export interface PublishedDocument extends PublishedEntry {
  /** Type and subtype, lower case. */
  readonly contentType: string;
  /** The exact bytes. */
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

/** How a publication server is made. */
export interface PublicationServerOptions {
  /** Event packages, each with the content types that it takes. */
  readonly events: Readonly<Record<string, { readonly accept: readonly string[] }>>;
  /** Seconds. Defaults: min 60, max 3600, default 3600. */
  readonly expires?: { readonly min?: number; readonly max?: number; readonly default?: number };
  /** Keeps the documents. */
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

/** Whether a PUBLISH is let in and for which resource, or with which status it is refused. */
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

/** Takes PUBLISH for one or more packages (RFC 3903 §6). */
export interface PublicationServer {
  /** Takes a PUBLISH. */
  handle(incoming: Incoming): void;
  /** Takes back entries that the store kept over a restart; those past their time are expired at once. */
  restore(entries: Iterable<PublishedEntry>): void;
  /** Accept values over all packages, for OPTIONS. */
  readonly accept: readonly string[];
  /** The packages it takes, for Allow-Events. */
  readonly events: readonly string[];
  /** Live publications of a resource. */
  list(resource: string, event: string): readonly PublishedEntry[];
  /** Ends timers; the store keeps what it has. */
  stop(): void;
  /** Live publications, and what was done since the start, by name. */
  counts(): Record<string, number>;
}

const expiryDefaults = { min: 60, max: 3600, default: 3600 };

/** Told with 503, seconds. */
const retryAfter = '30';

type Headers = Readonly<Record<string, string | readonly string[]>>;

/** How a PUBLISH ends. */
interface Answer extends AnswerInit {
  readonly status: number;
}

interface Live {
  readonly entry: PublishedEntry;
  readonly timer: Timer;
}

/** An event state compositor's front (RFC 3903 §6): tags, expiry and preconditions; the documents are the store's. */
export function createPublicationServer(
  deps: EventDeps,
  options: PublicationServerOptions,
): PublicationServer {
  const { stack, clock, log } = deps;
  const { store } = options;
  const range = { ...expiryDefaults, ...options.expires };
  const most = options.publications ?? 50_000;
  const mostOfOne = options.perResource ?? 128;
  const mostBytes = options.bodyBytes ?? 65_536;
  const events = Object.keys(options.events);
  const accept = [...new Set(Object.values(options.events).flatMap((one) => one.accept))];
  /** Live publications by package and resource, then by tag. */
  const table = new Map<string, Map<string, Live>>();
  /** The last PUBLISH under way for a package and resource, while there is one. */
  const tails = new Map<string, Promise<void>>();
  const totals = { published: 0, refreshed: 0, removed: 0, expired: 0, refused: 0, unknownTag: 0 };
  let size = 0;
  let stopped = false;

  const put = (entry: PublishedEntry): void => {
    take(entry);
    const key = keyOf(entry);
    const tags = table.get(key) ?? new Map<string, Live>();
    table.set(key, tags);
    const timer = stack.after(Math.max(0, entry.expiresAt - clock.now()), () => expire(entry));
    tags.set(entry.tag, { entry, timer });
    size += 1;
  };

  const take = (entry: PublishedEntry): void => {
    const key = keyOf(entry);
    const tags = table.get(key);
    const live = tags?.get(entry.tag);
    if (tags === undefined || live === undefined) return;
    live.timer.cancel();
    tags.delete(entry.tag);
    size -= 1;
    if (tags.size === 0) table.delete(key);
  };

  const expire = (entry: PublishedEntry): void =>
    inOrder(keyOf(entry), async () => {
      // A refresh that was under way may have replaced it meanwhile.
      if (stopped || table.get(keyOf(entry))?.get(entry.tag)?.entry !== entry) return;
      take(entry);
      totals.expired += 1;
      await store.remove(entry, 'expired');
    });

  /** One after the other for each resource and package (RFC 3903 §6), each as soon as it can. */
  const inOrder = (key: string, step: () => Promise<void>): void => {
    const before = tails.get(key);
    const tail = (before === undefined ? step() : before.then(step)).catch((error: unknown) =>
      log.error('a publication could not be stored', { error: String(error) }),
    );
    tails.set(key, tail);
    tail.then(() => {
      if (tails.get(key) === tail) tails.delete(key);
    });
  };

  const handle = async (incoming: Incoming): Promise<void> => {
    const verdict = await options.authorise(incoming);
    if (!verdict.ok) {
      totals.refused += 1;
      incoming.respond(verdict.status, answerOf(verdict));
      return;
    }
    const { request } = incoming;
    const event = request.event?.package;
    if (event === undefined || options.events[event] === undefined) {
      refuse(incoming, { status: 489, headers: { 'Allow-Events': events.join(', ') } }, verdict.headers);
      return;
    }
    inOrder(keyOf({ resource: verdict.resource, event }), async () => {
      if (stopped || incoming.responded) return;
      let answer: Answer;
      try {
        answer = await publish(incoming, verdict.resource, event);
      } catch (error) {
        totals.refused += 1;
        answerError(incoming, error, log, 'a publication failed');
        return;
      }
      if (answer.status < 300) incoming.respond(200, { headers: { ...verdict.headers, ...answer.headers } });
      else refuse(incoming, answer, verdict.headers);
    });
  };

  const refuse = (incoming: Incoming, answer: Answer, headers: Headers | undefined): void => {
    totals.refused += 1;
    incoming.respond(answer.status, { ...answer, headers: { ...headers, ...answer.headers } });
  };

  /** Steps 3 to 6 of RFC 3903 §6. */
  const publish = async ({ request }: Incoming, resource: string, event: string): Promise<Answer> => {
    const conditions = request.lines('SIP-If-Match');
    const previous = conditions[0];
    if (conditions.length > 1 || (previous !== undefined && !/^[^\s,;]+$/.test(previous)))
      return { status: 400, reason: 'One Entity-Tag Expected' };
    const key = keyOf({ resource, event });
    const old = previous === undefined ? undefined : table.get(key)?.get(previous)?.entry;
    if (previous !== undefined && (old === undefined || old.expiresAt <= clock.now())) {
      totals.unknownTag += 1;
      return { status: 412 };
    }

    const asked = request.expires ?? range.default;
    if (asked > 0 && asked < range.min) return { status: 423, headers: { 'Min-Expires': String(range.min) } };
    const seconds = Math.min(asked, range.max);
    const entry = { resource, event, tag: stack.token(), expiresAt: clock.now() + seconds * 1000 };
    const headers = { 'SIP-ETag': entry.tag, Expires: String(seconds) };

    if (seconds === 0) {
      if (old === undefined) return request.body.length > 0 ? { status: 200, headers } : { status: 400 };
      const answer = await store.remove(old, 'removed');
      if (answer !== undefined) return answer;
      take(old);
      totals.removed += 1;
      return { status: 200, headers };
    }

    if (request.body.length === 0) {
      if (old === undefined) return { status: 400, reason: 'Nothing Published' };
      const answer = await store.refresh(entry, old.tag);
      if (answer !== undefined) return answer;
      take(old);
      put(entry);
      totals.refreshed += 1;
      return { status: 200, headers };
    }

    const unfit = check(request, event);
    if (unfit !== undefined) return unfit;
    const ofOne = table.get(key)?.size ?? 0;
    if (old === undefined && (size >= most || ofOne >= mostOfOne))
      return { status: 503, headers: { 'Retry-After': retryAfter } };
    const document: PublishedDocument = {
      ...entry,
      contentType: detach(request.contentType?.essence ?? ''),
      // The store keeps it; the datagram or stream chunk that it came in should not be kept with it.
      body: Buffer.from(request.body),
    };
    const answer = await store.publish(document, old?.tag);
    if (answer !== undefined) return answer;
    if (old !== undefined) take(old);
    put(entry);
    totals.published += 1;
    return { status: 200, headers };
  };

  /** Step 5: can anything be done with this body? */
  const check = (request: Incoming['request'], event: string): Answer | undefined => {
    if (request.body.length > mostBytes) return { status: 413 };
    const encoding = request.get('Content-Encoding');
    if (encoding !== undefined && encoding.toLowerCase() !== 'identity')
      return { status: 415, headers: { 'Accept-Encoding': 'identity' } };
    const types = options.events[event]?.accept ?? [];
    const essence = request.contentType?.essence;
    return essence !== undefined && types.includes(essence)
      ? undefined
      : { status: 415, headers: { Accept: types.join(', ') } };
  };

  return {
    handle(incoming) {
      handle(incoming).catch((error: unknown) =>
        answerError(incoming, error, log, 'a publication could not be authorised'),
      );
    },
    restore(entries) {
      for (const entry of entries) put(entry);
    },
    accept,
    events,
    list: (resource, event) =>
      [...(table.get(keyOf({ resource, event }))?.values() ?? [])].map((live) => live.entry),
    stop() {
      stopped = true;
      for (const tags of table.values()) for (const live of tags.values()) live.timer.cancel();
      table.clear();
      size = 0;
    },
    counts: () => ({ publications: size, resources: table.size, ...totals }),
  };
}

const keyOf = ({ resource, event }: { resource: string; event: string }): string => `${event} ${resource}`;

function answerOf(verdict: PublishVerdict & { ok: false }): AnswerInit {
  return {
    ...(verdict.reason !== undefined && { reason: verdict.reason }),
    ...(verdict.headers && { headers: verdict.headers }),
  };
}
