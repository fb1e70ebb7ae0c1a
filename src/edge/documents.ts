import { type Composition, createComposition, type WithdrawnTuple } from '../presence/compose.ts';
import { PIDF_NS } from '../presence/namespaces.ts';
import { attributeOf, elementsOf, type XmlDocument, type XmlElement, type XmlNode } from '../xml/tree.ts';

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
  /** Of one that expired: the tuples that are shown as closed. */
  readonly closed?: readonly string[];
}

/** One publication: what one entity-tag stands for (RFC 3903 §4). */
export interface Published {
  readonly id: number;
  readonly order: number;
  readonly resource: string;
  readonly tag: string;
  readonly expiresAt: number;
  readonly document: XmlDocument;
  /** Bytes of the document as text. */
  readonly size: number;
}

/** The publications of all presentities, and what they come to together. Bounded by who puts them in. */
export interface Documents {
  find(resource: string, tag: string): Published | undefined;
  put(published: Published, previous: Published | undefined): void;
  remove(published: Published): void;
  /**
   * Takes a publication out; those of its tuples that nobody else publishes are shown as closed from now on.
   * @param only as known from an earlier expiry: no others are shown
   * @returns their ids
   */
  expire(published: Published, only?: readonly string[]): string[];
  /** Shows the tuples of an expired publication no longer; false when that was so before. */
  forget(published: Published): boolean;
  /** The presence document of an address of record, as watchers get it. */
  text(resource: string): string;
  /** All publications; of the expired ones with the tuples that are still shown. */
  all(): Iterable<{ readonly published: Published; readonly closed?: readonly string[] }>;
  readonly publications: number;
  readonly tuples: number;
  readonly bytes: number;
}

interface Presentity {
  readonly composition: Composition;
  readonly live: Map<string, Published>;
  readonly expired: Map<number, { published: Published; tuples: Map<string, WithdrawnTuple> }>;
  /** Composed when somebody asked, until something changes. */
  text: string | undefined;
}

/**
 * What is told of a presentity that nobody publishes. RFC 3856 §6.6.2 leaves it open; a tuple that is closed reads as
 * offline on every phone, whereas a document without tuples is "unknown" on some and an error on others.
 */
const OFFLINE: WithdrawnTuple = {
  id: 'offline',
  element: {
    kind: 'element',
    prefix: '',
    local: 'tuple',
    ns: PIDF_NS,
    attributes: [{ prefix: '', local: 'id', ns: '', value: 'offline' }],
    declarations: [],
    children: [pidf('status', pidf('basic', { kind: 'text', text: 'closed' }))],
  },
};

export function createDocuments(hooks: {
  /** An expired publication shows fewer tuples than before. */
  readonly narrowed: (published: Published, closed: readonly string[]) => void;
  /** An expired publication has nothing left to show. */
  readonly forgotten: (published: Published) => void;
}): Documents {
  const table = new Map<string, Presentity>();
  const totals = { publications: 0, tuples: 0, bytes: 0 };

  const count = (published: Published, sign: 1 | -1): void => {
    totals.publications += sign;
    totals.tuples += sign * tupleIds(published.document).length;
    totals.bytes += sign * published.size;
  };

  const at = (resource: string): Presentity => {
    let presentity = table.get(resource);
    if (!presentity) {
      const composition = createComposition({ entity: resource });
      presentity = { composition, live: new Map(), expired: new Map(), text: undefined };
      table.set(resource, presentity);
    }
    presentity.text = undefined;
    return presentity;
  };

  const tidy = (resource: string, { live, expired }: Presentity): void => {
    if (live.size === 0 && expired.size === 0) table.delete(resource);
  };

  /** A later word about a tuple ends what an expired publication left of it. */
  const supersede = ({ expired }: Presentity, ids: Iterable<string>): void => {
    if (expired.size === 0) return;
    for (const id of ids) {
      for (const { published, tuples } of expired.values()) {
        if (!tuples.delete(id)) continue;
        if (tuples.size > 0) {
          hooks.narrowed(published, [...tuples.keys()]);
          continue;
        }
        expired.delete(published.id);
        totals.bytes -= published.size;
        hooks.forgotten(published);
      }
    }
  };

  const take = (
    published: Published,
  ): { presentity: Presentity; withdrawn: WithdrawnTuple[] } | undefined => {
    if (!table.get(published.resource)?.live.has(published.tag)) return undefined;
    const presentity = at(published.resource);
    presentity.live.delete(published.tag);
    count(published, -1);
    return { presentity, withdrawn: presentity.composition.remove(String(published.id)) };
  };

  return {
    find: (resource, tag) => table.get(resource)?.live.get(tag),
    put(published, previous) {
      const presentity = at(published.resource);
      if (previous && presentity.live.delete(previous.tag)) count(previous, -1);
      presentity.live.set(published.tag, published);
      count(published, 1);
      if (published.document === previous?.document) return;
      presentity.composition.put(String(published.id), published.document);
      supersede(presentity, tupleIds(published.document));
    },
    remove(published) {
      const taken = take(published);
      if (taken) tidy(published.resource, taken.presentity);
    },
    expire(published, only) {
      const taken = take(published);
      if (!taken) return [];
      const { presentity } = taken;
      const withdrawn = taken.withdrawn.filter(({ id }) => only?.includes(id) ?? true);
      const tuples = new Map(withdrawn.map((tuple) => [tuple.id, tuple]));
      if (tuples.size > 0) {
        supersede(presentity, tuples.keys());
        presentity.expired.set(published.id, { published, tuples });
        totals.bytes += published.size;
      }
      tidy(published.resource, presentity);
      return [...tuples.keys()];
    },
    forget(published) {
      if (!table.get(published.resource)?.expired.has(published.id)) return false;
      const presentity = at(published.resource);
      presentity.expired.delete(published.id);
      totals.bytes -= published.size;
      tidy(published.resource, presentity);
      hooks.forgotten(published);
      return true;
    },
    text(resource) {
      const presentity = table.get(resource);
      if (!presentity) return createComposition({ entity: resource }).text([OFFLINE]);
      if (presentity.text === undefined) {
        const closed = [...presentity.expired.values()].flatMap(({ tuples }) => [...tuples.values()]);
        presentity.text = presentity.composition.text(closed);
      }
      return presentity.text;
    },
    *all() {
      for (const { live, expired } of table.values()) {
        for (const published of live.values()) yield { published };
        for (const { published, tuples } of expired.values()) yield { published, closed: [...tuples.keys()] };
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

/** Ids of the tuples of a presence document. */
function tupleIds({ root }: XmlDocument): string[] {
  return elementsOf(root).flatMap((element) => {
    const id = element.ns === PIDF_NS && element.local === 'tuple' ? attributeOf(element, 'id') : undefined;
    return id === undefined ? [] : [id];
  });
}

function pidf(local: string, child: XmlNode): XmlElement {
  return {
    kind: 'element',
    prefix: '',
    local,
    ns: PIDF_NS,
    attributes: [],
    declarations: [],
    children: [child],
  };
}
