import {
  attributeOf,
  childOf,
  elementsOf,
  type Scope,
  textOf,
  type XmlDocument,
  type XmlElement,
} from '../xml/tree.ts';
import { escapeAttribute, writeXml } from '../xml/write.ts';
import { DATA_MODEL_NS, PIDF_NS } from './namespaces.ts';
import { XML_DECLARATION } from './render.ts';

/** A tuple that nobody publishes any more, as it is to be notified once: closed, with nothing that was true before. */
export interface WithdrawnTuple {
  readonly id: string;
  readonly element: XmlElement;
}

/** The composed presence of one presentity (RFC 3903 §3, RFC 3856 §6.11). */
export interface Composition {
  /** How many publications there are. */
  readonly size: number;
  /**
   * Takes a publication, new or modified. It is now the newest, and what it says about an id counts. Returns the tuples
   * that vanished by it.
   */
  put(key: string, document: XmlDocument): WithdrawnTuple[];
  /** Drops a publication that was removed or expired. Returns the tuples that vanished with it. */
  remove(key: string): WithdrawnTuple[];
  /** Whether any publication has that id. */
  has(id: string): boolean;
  /**
   * The composed document. Every id occurs once, as the newest publication has it; the order is that in which the
   * publications first came. `closed`: withdrawn tuples to be told of, unless they are published again.
   */
  text(closed?: Iterable<WithdrawnTuple>): string;
}

interface Piece {
  readonly element: XmlElement;
  readonly id: string | undefined;
  /** What the element is for the order of the schema. */
  readonly kind: 'tuple' | 'note' | 'other';
  /** As text in the scope of its own document's root; made when first asked for. */
  text?: string;
}

interface Publication {
  readonly rank: number;
  readonly scope: Scope;
  readonly pieces: readonly Piece[];
}

const PIDF_SCOPE: Scope = new Map([['', PIDF_NS]]);

export function createComposition(options: { readonly entity: string }): Composition {
  const publications = new Map<string, Publication>();
  let rank = 0;

  const has = (id: string): boolean => {
    for (const { pieces } of publications.values()) {
      if (pieces.some((piece) => piece.id === id)) return true;
    }
    return false;
  };
  const vanished = (before: Publication | undefined): WithdrawnTuple[] =>
    (before?.pieces ?? []).flatMap(({ kind, id, element }) =>
      kind === 'tuple' && id !== undefined && !has(id) ? [{ id, element: closedTuple(element) }] : [],
    );

  return {
    get size() {
      return publications.size;
    },

    put(key, document) {
      const before = publications.get(key);
      rank += 1;
      publications.set(key, dissect(document, rank, before));
      return vanished(before);
    },

    remove(key) {
      const before = publications.get(key);
      publications.delete(key);
      return vanished(before);
    },

    has,

    text(closed = []) {
      const scope = sharedScope(publications.values());
      const winners = newest(publications);
      const parts = { tuple: '', note: '', other: '' };
      const plain = new Set<string>();
      for (const publication of publications.values()) {
        const fits = agrees(publication.scope, scope);
        for (const piece of publication.pieces) {
          if (piece.id !== undefined && winners.get(piece.id) !== publication) continue;
          const text = pieceText(piece, publication, fits ? undefined : scope);
          if (piece.id === undefined) {
            // The same note in every segment is one note.
            if (plain.has(text)) continue;
            plain.add(text);
          }
          parts[piece.kind] += text;
        }
      }
      const told = new Set<string>();
      for (const { id, element } of closed) {
        if (winners.has(id) || told.has(id)) continue;
        told.add(id);
        parts.tuple += writeXml(element, scope);
      }
      return frame(options.entity, scope, parts.tuple + parts.note + parts.other);
    },
  };
}

/** Keeps the pieces that a modified publication shares with what it was before: their text is there already. */
function dissect(document: XmlDocument, rank: number, before: Publication | undefined): Publication {
  const { root } = document;
  // Where a document has no default namespace the common root has PIDF's, which the writer undoes where it matters.
  const scope = new Map(PIDF_SCOPE);
  for (const { prefix, ns } of root.declarations) scope.set(prefix, ns);
  const same = before !== undefined && agrees(before.scope, scope) && before.scope.size === scope.size;
  const known = new Map(same ? before.pieces.map((piece) => [piece.element, piece]) : []);
  const pieces = elementsOf(root).map((element) => known.get(element) ?? makePiece(element));
  return { rank, scope, pieces };
}

function makePiece(element: XmlElement): Piece {
  const id = attributeOf(element, 'id');
  const pidf = element.ns === PIDF_NS;
  if (pidf && element.local === 'tuple') return { element, id, kind: 'tuple' };
  if (pidf && element.local === 'note') return { element, id: undefined, kind: 'note' };
  return { element, id, kind: 'other' };
}

/** For each id the publication that has the say: RFC 4479 §3.5 leaves ambiguity to the compositor; the newest wins. */
function newest(publications: ReadonlyMap<string, Publication>): Map<string, Publication> {
  const winners = new Map<string, Publication>();
  for (const publication of publications.values()) {
    for (const { id } of publication.pieces) {
      if (id === undefined) continue;
      const other = winners.get(id);
      if (other === undefined || other.rank < publication.rank) winners.set(id, publication);
    }
  }
  return winners;
}

/** Namespaces for the common root: PIDF as the default, and each prefix as the first publication has it. */
function sharedScope(publications: Iterable<Publication>): Scope {
  const scope = new Map(PIDF_SCOPE);
  for (const publication of publications) {
    for (const [prefix, ns] of publication.scope) {
      if (!scope.has(prefix)) scope.set(prefix, ns);
    }
  }
  return scope;
}

/** Whether every prefix of a document means the same under the common root. */
function agrees(own: Scope, shared: Scope): boolean {
  for (const [prefix, ns] of own) if (shared.get(prefix) !== ns) return false;
  return true;
}

function pieceText(piece: Piece, publication: Publication, shared: Scope | undefined): string {
  // An unprefixed element of a document without a default namespace is in none: the writer says so on it.
  if (shared !== undefined || !publication.scope.has(''))
    return writeXml(piece.element, shared ?? PIDF_SCOPE);
  piece.text ??= writeXml(piece.element, publication.scope);
  return piece.text;
}

function frame(entity: string, scope: Scope, content: string): string {
  let start = `${XML_DECLARATION}<presence`;
  for (const [prefix, ns] of scope) {
    start += ` xmlns${prefix === '' ? '' : `:${prefix}`}="${escapeAttribute(ns)}"`;
  }
  return `${start} entity="${escapeAttribute(entity)}">${content}</presence>`;
}

/**
 * A tuple that says `closed` and else only what it is: its id, device and contact. Note, time and values described a
 * state that is over.
 */
function closedTuple(tuple: XmlElement): XmlElement {
  const { prefix } = tuple;
  const own = { kind: 'element', prefix, ns: PIDF_NS, attributes: [], declarations: [] } as const;
  const basic: XmlElement = { ...own, local: 'basic', children: [{ kind: 'text', text: 'closed' }] };
  const status: XmlElement = { ...own, local: 'status', children: [basic] };
  const kept = [childOf(tuple, DATA_MODEL_NS, 'deviceID'), childOf(tuple, PIDF_NS, 'contact')];
  const children = [status, ...kept.filter((child) => child !== undefined && textOf(child) !== '')];
  return { ...tuple, children: children.filter((child) => child !== undefined) };
}
