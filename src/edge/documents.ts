import type { XmlDocument } from '../xml/tree.ts';

/** A publication as it is written down. */
export interface DocumentRecord {
  readonly id: number;
  /** Grows with each document that is published: the newest wins where two speak of the same thing. */
  readonly order: number;
  readonly resource: string;
  readonly tag: string;
  readonly body: string;
  /** Monotonic milliseconds. */
  readonly expiresAt: number;
}

/** One publication: what one entity-tag stands for (RFC 3903 §4). */
export interface Published {
  readonly id: number;
  readonly order: number;
  readonly resource: string;
  readonly tag: string;
  readonly expiresAt: number;
  readonly document: XmlDocument;
  /** Ids of its tuples. */
  readonly tuples: readonly string[];
  /** Bytes of the document as text. */
  readonly size: number;
}

/** A publication that nobody refreshed: its tuples are shown as closed for a while. */
export interface Expired extends Published {
  /** Ids that no later publication has spoken of. */
  readonly closed: ReadonlySet<string>;
}

/** The publications of all presentities, live and expired. Bounded by who puts them in. */
export interface Documents {
  live(resource: string): Iterable<Published>;
  expired(resource: string): Iterable<Expired>;
  find(resource: string, tag: string): Published | undefined;
  put(published: Published, previous: Published | undefined): void;
  remove(published: Published): void;
  /** Turns a live publication into an expired one; false when it has nothing to show. */
  expire(published: Published): boolean;
  /** Forgets an expired publication; false when it was forgotten before. */
  forget(resource: string, id: number): boolean;
  all(): Iterable<Published>;
  readonly publications: number;
  readonly tuples: number;
  readonly bytes: number;
}

interface Presentity {
  readonly live: Map<string, Published>;
  readonly expired: Map<number, Expired>;
}

/** @param forgotten told when an expired publication has nothing left to show */
export function createDocuments(forgotten: (published: Published) => void): Documents {
  const table = new Map<string, Presentity>();
  const totals = { publications: 0, tuples: 0, bytes: 0 };

  const count = (published: Published, sign: 1 | -1): void => {
    totals.publications += sign;
    totals.tuples += sign * published.tuples.length;
    totals.bytes += sign * published.size;
  };

  const at = (resource: string): Presentity => {
    const known = table.get(resource);
    if (known) return known;
    const made: Presentity = { live: new Map(), expired: new Map() };
    table.set(resource, made);
    return made;
  };

  const tidy = (resource: string, { live, expired }: Presentity): void => {
    if (live.size === 0 && expired.size === 0) table.delete(resource);
  };

  const drop = (resource: string, presentity: Presentity, old: Expired): void => {
    presentity.expired.delete(old.id);
    totals.bytes -= old.size;
    tidy(resource, presentity);
    forgotten(old);
  };

  /** A later word about a tuple ends what an expired publication said of it. */
  const supersede = (resource: string, presentity: Presentity, tuples: readonly string[]): void => {
    for (const old of [...presentity.expired.values()]) {
      const closed = new Set([...old.closed].filter((id) => !tuples.includes(id)));
      if (closed.size === old.closed.size) continue;
      if (closed.size === 0) drop(resource, presentity, old);
      else presentity.expired.set(old.id, { ...old, closed });
    }
  };

  return {
    live: (resource) => table.get(resource)?.live.values() ?? [],
    expired: (resource) => table.get(resource)?.expired.values() ?? [],
    find: (resource, tag) => table.get(resource)?.live.get(tag),
    put(published, previous) {
      const presentity = at(published.resource);
      if (previous && presentity.live.delete(previous.tag)) count(previous, -1);
      presentity.live.set(published.tag, published);
      count(published, 1);
      if (published.document !== previous?.document)
        supersede(published.resource, presentity, published.tuples);
    },
    remove(published) {
      const presentity = table.get(published.resource);
      if (!presentity?.live.delete(published.tag)) return;
      count(published, -1);
      tidy(published.resource, presentity);
    },
    expire(published) {
      const presentity = table.get(published.resource);
      if (!presentity?.live.delete(published.tag)) return false;
      count(published, -1);
      const alive = new Set([...presentity.live.values()].flatMap((one) => one.tuples));
      const closed = published.tuples.filter((id) => !alive.has(id));
      if (closed.length > 0) {
        supersede(published.resource, presentity, closed);
        presentity.expired.set(published.id, { ...published, closed: new Set(closed) });
        totals.bytes += published.size;
      }
      tidy(published.resource, presentity);
      return closed.length > 0;
    },
    forget(resource, id) {
      const presentity = table.get(resource);
      const old = presentity?.expired.get(id);
      if (!presentity || !old) return false;
      drop(resource, presentity, old);
      return true;
    },
    *all() {
      for (const { live, expired } of table.values()) {
        yield* live.values();
        yield* expired.values();
      }
    },
    get publications() {
      return totals.publications;
    },
    get tuples() {
      return totals.tuples;
    },
    get bytes() {
      return totals.bytes;
    },
  };
}
