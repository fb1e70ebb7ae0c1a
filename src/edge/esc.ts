import {
  createPublicationServer,
  detach,
  type EventDeps,
  type Incoming,
  type PublicationServer,
  type PublicationStore,
  type PublishedDocument,
  type PublishVerdict,
  type StoreAnswer,
} from 'tiny-sip';
import type { Timer } from '../base/clock.ts';
import { asError, isCoded } from '../base/errors.ts';
import { applyPresence, patchErrorBody } from '../presence/apply.ts';
import { PIDF_DIFF_TYPE, PIDF_TYPE } from '../presence/namespaces.ts';
import { sameXml } from '../xml/compare.ts';
import { PATCH_ERROR_TYPE } from '../xml/report.ts';
import type { XmlDocument } from '../xml/tree.ts';
import { writeXml } from '../xml/write.ts';
import type { Accounts } from './accounts.ts';
import { createDocuments, type DocumentRecord, type Published } from './documents.ts';
import type { Domain } from './domain.ts';
import { type Gate, refuse } from './gate.ts';
import { inSeconds, type Lifetimes } from './options.ts';
import type { Store } from './store.ts';

/** The event state compositor for presence (RFC 3903 §6, RFC 5264 §4.3). */
export interface Esc {
  handle(incoming: Incoming): void;
  /** The presence document of an address of record, composed of all its publications. */
  document(resource: string): string;
  /** Content types that a PUBLISH may carry. */
  readonly accept: readonly string[];
  /** Takes back what the store kept. */
  restore(records: readonly DocumentRecord[]): void;
  records(): Iterable<DocumentRecord>;
  stop(): void;
  counts(): Record<string, number>;
}

const RETRY_AFTER = '60';

export function createEsc(
  deps: EventDeps & {
    gate: Gate;
    domain: Domain;
    accounts: () => Accounts;
    store: Store;
    /** The state of a presentity changed. */
    changed: (resource: string) => void;
  },
  options: {
    expires?: Lifetimes | undefined;
    /** Milliseconds. */
    linger: number;
    publications: number;
    perResource: number;
    bodyBytes: number;
    documentBytes: number;
  },
): Esc {
  const { stack, clock, gate, domain, accounts, store, changed, log } = deps;
  const vanishing = new Map<number, Timer>();
  const counts = { invalid: 0, unchanged: 0, expired: 0, full: 0 };
  let lastId = 0;
  let lastOrder = 0;

  const documents = createDocuments({
    narrowed: (published, closed) => store.saveDocument(recordOf(published, { closed }), 'tag'),
    forgotten(published) {
      vanishing.get(published.id)?.cancel();
      vanishing.delete(published.id);
      store.dropDocument(published.id);
    },
  });

  const authorise = (incoming: Incoming): PublishVerdict => {
    const aor = domain.aor(incoming.request.uri);
    // RFC 3903 §6 step 1.
    if (aor === undefined) return refuse(404);
    const identity = gate.identify(incoming);
    if (!identity.ok) return identity;
    if (!accounts().known(aor)) return refuse(404);
    if (!accounts().owns(identity.user, aor)) return refuse(403);
    return { ok: true, resource: aor, ...(identity.headers && { headers: identity.headers }) };
  };

  const publish = (given: PublishedDocument, previousTag: string | undefined): StoreAnswer => {
    const previous = previousTag === undefined ? undefined : documents.find(given.resource, previousTag);
    let document: XmlDocument;
    try {
      document = applyPresence(previous?.document, { contentType: given.contentType, body: given.body });
    } catch (error) {
      counts.invalid += 1;
      return refusal(error, given);
    }
    const text = writeXml(document);
    const size = Buffer.byteLength(text);
    if (documents.bytes - (previous?.size ?? 0) + size > options.documentBytes) {
      counts.full += 1;
      log.warn('no room for another document', { resource: given.resource });
      return { status: 503, headers: { 'Retry-After': RETRY_AFTER } };
    }
    const published: Published = {
      id: previous?.id ?? ++lastId,
      order: ++lastOrder,
      resource: given.resource,
      tag: detach(given.tag),
      expiresAt: given.expiresAt,
      document,
      size,
    };
    documents.put(published, previous);
    store.saveDocument(recordOf(published, { text }), 'document');
    if (previous && given.contentType === PIDF_TYPE && sameXml(previous.document, document))
      counts.unchanged += 1;
    else changed(given.resource);
    return undefined;
  };

  /** What nobody refreshed is shown as closed, and later not at all. */
  const lapse = (published: Published, only?: readonly string[]): void => {
    counts.expired += 1;
    const closed = documents.expire(published, only);
    if (closed.length === 0) store.dropDocument(published.id);
    else {
      store.saveDocument(recordOf(published, { closed }), 'tag');
      const vanish = (): void => {
        if (documents.forget(published)) changed(published.resource);
      };
      const left = published.expiresAt + options.linger - clock.now();
      vanishing.set(published.id, stack.after(Math.max(0, left), vanish));
    }
    changed(published.resource);
  };

  const esc: PublicationStore = {
    publish,
    refresh(entry, previousTag) {
      const previous = documents.find(entry.resource, previousTag);
      if (!previous) return { status: 412 };
      const published = { ...previous, tag: detach(entry.tag), expiresAt: entry.expiresAt };
      documents.put(published, previous);
      store.saveDocument(recordOf(published), 'tag');
      return undefined;
    },
    remove(entry, cause) {
      const published = documents.find(entry.resource, entry.tag);
      if (!published) return undefined;
      if (cause === 'expired') lapse(published);
      else {
        documents.remove(published);
        store.dropDocument(published.id);
        changed(published.resource);
      }
      return undefined;
    },
  };

  const server: PublicationServer = createPublicationServer(deps, {
    events: { presence: { accept: [PIDF_TYPE, PIDF_DIFF_TYPE] } },
    expires: inSeconds(options.expires),
    store: esc,
    authorise,
    publications: options.publications,
    perResource: options.perResource,
    bodyBytes: options.bodyBytes,
  });

  return {
    handle: (incoming) => server.handle(incoming),
    document: (resource) => documents.text(resource),
    accept: server.accept,
    restore(records) {
      const live: Published[] = [];
      const over: { published: Published; closed: readonly string[] | undefined }[] = [];
      for (const { body, closed, ...rest } of records) {
        let document: XmlDocument;
        try {
          document = applyPresence(undefined, { contentType: PIDF_TYPE, body });
        } catch (error) {
          log.warn('a kept document cannot be read, left out', {
            resource: rest.resource,
            cause: asError(error),
          });
          store.dropDocument(rest.id);
          continue;
        }
        const published = { ...rest, document, size: Buffer.byteLength(body) };
        documents.put(published, undefined);
        if (published.expiresAt > clock.now()) live.push(published);
        else over.push({ published, closed });
        lastId = Math.max(lastId, rest.id);
        lastOrder = Math.max(lastOrder, rest.order);
      }
      // What is over is so before anybody is told anything.
      over.sort((a, b) => a.published.expiresAt - b.published.expiresAt);
      for (const { published, closed } of over) lapse(published, closed);
      server.restore(
        live.map(({ resource, tag, expiresAt }) => ({ resource, tag, expiresAt, event: 'presence' })),
      );
    },
    *records() {
      for (const { published, closed } of documents.all()) yield recordOf(published, closed && { closed });
    },
    stop() {
      server.stop();
      for (const timer of vanishing.values()) timer.cancel();
      vanishing.clear();
    },
    counts: () => ({
      ...server.counts(),
      ...counts,
      publications: documents.publications,
      tuples: documents.tuples,
      bytes: documents.bytes,
    }),
  };
}

/** The text is made only when it is written. */
function recordOf(
  published: Published,
  known: { readonly text?: string; readonly closed?: readonly string[] } = {},
): DocumentRecord {
  const { id, order, resource, tag, expiresAt, document } = published;
  return {
    id,
    order,
    resource,
    tag,
    expiresAt,
    ...(known.closed && { closed: known.closed }),
    get body() {
      return known.text ?? writeXml(document);
    },
  };
}

/** RFC 5264 §4.3.2: 400 with what RFC 5261 calls the error, where it has a name for it. */
function refusal(error: unknown, given: PublishedDocument): StoreAnswer {
  if (!isCoded(error) || error.sip === undefined) throw error;
  const reason = error.message.replace(/[^\x20-\x7e]+/g, ' ').slice(0, 120);
  const body = given.contentType === PIDF_DIFF_TYPE ? patchErrorBody(error, given.body) : undefined;
  return {
    status: error.sip,
    reason,
    ...(body !== undefined && { body, contentType: PATCH_ERROR_TYPE }),
  };
}
