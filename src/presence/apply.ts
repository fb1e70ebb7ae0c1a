import { asError, type CodedError, isCoded } from '../base/errors.ts';
import { patchErrors, xmlErrors } from '../xml/errors.ts';
import { applyPatch } from '../xml/patch.ts';
import { parseXml, XML_LIMITS, type XmlLimits } from '../xml/read.ts';
import { writePatchError } from '../xml/report.ts';
import {
  attributeOf,
  elementsOf,
  makeDocument,
  type XmlAttribute,
  type XmlDocument,
  type XmlElement,
  type XmlNode,
} from '../xml/tree.ts';
import { presenceErrors } from './errors.ts';
import { DATA_MODEL_NS, PIDF_DIFF_NS, PIDF_DIFF_TYPE, PIDF_NS, PIDF_TYPE, RPID_NS } from './namespaces.ts';

/** What came in a PUBLISH or a partial NOTIFY. */
export interface IncomingPresence {
  /** Media type without parameters, in any case. */
  readonly contentType: string;
  readonly body: string | Uint8Array;
  /** Bounds of the body, and of the document that comes of it. */
  readonly limits?: Partial<XmlLimits>;
}

/**
 * The document that a publication leads to: the one sent, or the one stored with the changes sent (RFC 5264 §4.3). The
 * stored document is never changed, so after an error it is what it was. Its root is `<presence>` in any case. The
 * `version` of RFC 5262 is not looked at: in publication the entity-tag orders the changes (RFC 5264 §3.2). What the
 * schemas do not know is kept.
 * @param stored the document of the publication that is modified; undefined for an initial one
 * @throws CodedError with the SIP status to refuse it with: one of `xmlErrors`, `patchErrors`, `presenceErrors`
 */
export function applyPresence(stored: XmlDocument | undefined, incoming: IncomingPresence): XmlDocument {
  const { body, limits = {} } = incoming;
  const type = incoming.contentType.trim().toLowerCase();
  if (type !== PIDF_TYPE && type !== PIDF_DIFF_TYPE) throw presenceErrors.UNSUPPORTED_TYPE({ type });
  const partial = type === PIDF_DIFF_TYPE;
  const document = partial ? readPatch(body, limits) : parseXml(body, limits);
  const { root } = document;
  // RFC 5262 §3: <presence> is a PIDF document's root only, though the schema would let it stand here too.
  if (!partial) {
    if (root.ns !== PIDF_NS || root.local !== 'presence') {
      throw presenceErrors.NOT_PRESENCE({ why: `its root is <${root.local}>` });
    }
    return checked(document, limits);
  }
  if (root.ns === PIDF_DIFF_NS && root.local === 'pidf-full') return checked(asPidf(document), limits);
  if (root.ns !== PIDF_DIFF_NS || root.local !== 'pidf-diff') {
    throw patchErrors.INVALID_DIFF_FORMAT({ at: 0, why: `its root is <${root.local}>` });
  }
  if (stored === undefined) throw presenceErrors.NO_BASE();
  return checked(patched(stored, root), limits);
}

/**
 * The body of a 400 that says what was wrong with a pidf-diff (RFC 5264 §4.3.2), of type `PATCH_ERROR_TYPE`; undefined
 * when the error is none that RFC 5261 names.
 */
export function patchErrorBody(error: unknown, body: string | Uint8Array): string | undefined {
  if (!isCoded(error)) return undefined;
  try {
    return writePatchError(error, parseXml(body).root);
  } catch {
    return writePatchError(error);
  }
}

function readPatch(body: string | Uint8Array, limits: Partial<XmlLimits>): XmlDocument {
  try {
    return parseXml(body, limits);
  } catch (thrown) {
    throw asPatchError(asError(thrown));
  }
}

/** RFC 5261 §5.1 has names for what can be wrong with a patch as XML. */
function asPatchError(error: Error): Error {
  const fields = { at: 0, why: error.message };
  if (xmlErrors.ENCODING.is(error)) return patchErrors.INVALID_CHARACTER_SET(fields, error);
  if (xmlErrors.ENTITY.is(error)) return patchErrors.INVALID_ENTITY_DECLARATION(fields, error);
  if (isCoded(error) && (error as CodedError).sip === 413) return error;
  return patchErrors.INVALID_DIFF_FORMAT(fields, error);
}

function patched(stored: XmlDocument, diff: XmlElement): XmlDocument {
  const entity = attributeOf(diff, 'entity');
  // RFC 5262 §3.2, §11: the same URI as the document's; the attribute may be missing.
  if (entity !== undefined && entity !== attributeOf(stored.root, 'entity')) {
    throw patchErrors.INVALID_ATTRIBUTE_VALUE({ at: 0, why: `entity="${entity}" is another presentity` });
  }
  const document = applyPatch(stored, diff, {
    ns: PIDF_DIFF_NS,
    ids: isIdAttribute,
    rootAlias: { ns: PIDF_DIFF_NS, local: 'pidf-full' },
  });
  const { root } = document;
  return root.ns === PIDF_DIFF_NS && root.local === 'pidf-full' ? asPidf(document) : document;
}

/** RFC 5262 §3: attributes of type ID have to be known. In these schemas each one is called `id`. */
function isIdAttribute(element: XmlElement, attribute: XmlAttribute): boolean {
  const { ns } = element;
  return (
    attribute.local === 'id' &&
    attribute.ns === '' &&
    (ns === PIDF_NS || ns === DATA_MODEL_NS || ns === RPID_NS)
  );
}

/** A pidf-full document as the PIDF document that it stands for (RFC 5264 §4.3.1). */
function asPidf(document: XmlDocument): XmlDocument {
  const { root } = document;
  const declared = root.declarations.find(({ ns }) => ns === PIDF_NS);
  const taken = new Set(root.declarations.map(({ prefix }) => prefix));
  let prefix = declared?.prefix ?? '';
  while (declared === undefined && taken.has(prefix)) prefix += 'p';
  const presence: XmlElement = {
    ...root,
    prefix,
    local: 'presence',
    ns: PIDF_NS,
    attributes: root.attributes.filter(({ local, ns }) => !(local === 'version' && ns === '')),
    declarations:
      declared === undefined ? [...root.declarations, { prefix, ns: PIDF_NS }] : root.declarations,
  };
  return makeDocument(document.children.map((child) => (child === root ? presence : child)));
}

/** What composition relies on: a presence root with an entity, tuples with ids, no id twice, nothing outgrown. */
function checked(document: XmlDocument, limits: Partial<XmlLimits>): XmlDocument {
  const { root } = document;
  if (root.ns !== PIDF_NS || root.local !== 'presence') {
    throw presenceErrors.NOT_PRESENCE({ why: `its root is <${root.local}>` });
  }
  if (attributeOf(root, 'entity') === undefined) {
    throw presenceErrors.NOT_PRESENCE({ why: 'it names no entity' });
  }
  const ids = new Set<string>();
  for (const element of elementsOf(root)) {
    const id = attributeOf(element, 'id');
    if (id === undefined) {
      if (element.ns !== PIDF_NS || element.local !== 'tuple') continue;
      throw presenceErrors.NOT_PRESENCE({ why: 'a tuple has no id' });
    }
    if (ids.has(id)) throw presenceErrors.NOT_PRESENCE({ why: `the id ${id} is used twice` });
    ids.add(id);
  }
  const bounds = { ...XML_LIMITS, ...limits };
  const size = measure(document.children);
  if (size.nodes > bounds.nodes) throw presenceErrors.TOO_LARGE({ why: `more than ${bounds.nodes} nodes` });
  if (size.length > bounds.bytes) throw presenceErrors.TOO_LARGE({ why: `more than ${bounds.bytes} bytes` });
  return document;
}

/** Nodes, and about how many characters they take: one diff adds little, a thousand of them may add up. */
function measure(nodes: readonly XmlNode[], depth = 0): { nodes: number; length: number } {
  let count = nodes.length;
  let length = 0;
  for (const node of nodes) {
    if (node.kind !== 'element') {
      length += node.text.length + (node.kind === 'instruction' ? node.target.length : 0);
      continue;
    }
    length += 2 * (node.prefix.length + node.local.length) + 5;
    for (const { prefix, local, value } of node.attributes)
      length += prefix.length + local.length + value.length + 4;
    for (const { prefix, ns } of node.declarations) length += prefix.length + ns.length + 10;
    const inner = measure(node.children, depth + 1);
    count += inner.nodes;
    length += inner.length;
  }
  return { nodes: count, length };
}
