import {
  NONE,
  type Scope,
  type XmlAttribute,
  type XmlDeclaration,
  type XmlElement,
  type XmlNode,
} from './tree.ts';

/** Where content of a patch goes: the evaluation context node of RFC 5261 §4.2.3. */
export interface Place {
  /** The element that becomes the parent; undefined beside the root. */
  readonly element: XmlElement | undefined;
  /** The namespaces in scope there. */
  readonly scope: Scope;
}

/**
 * Content of a patch as it has to stand in the document (RFC 5261 §4.2.3): a namespace that the patch declared outside
 * the content takes the prefix that the document has for it, one that the content declares itself is copied with its
 * prefix and everything, and one that the document does not have is declared on the outermost element that needs it.
 */
export function adopt(nodes: readonly XmlNode[], place: Place): XmlNode[] {
  return nodes.map((node) => (node.kind === 'element' ? adoptElement(node, place, new Map()) : node));
}

/** `local`: what the content itself declares around the element, by its own doing or by ours. */
function adoptElement(element: XmlElement, place: Place, outer: Scope): XmlElement {
  const local = new Map(outer);
  const declarations: XmlDeclaration[] = [...element.declarations];
  for (const { prefix, ns } of declarations) local.set(prefix, ns);
  const declare = (prefix: string, ns: string): void => {
    declarations.push({ prefix, ns });
    local.set(prefix, ns);
  };

  const prefix = elementPrefix(element, place, local, declare);
  const attributes = element.attributes.map((attribute): XmlAttribute => {
    if (attribute.prefix === '' || attribute.prefix === 'xml') return attribute;
    const found = choosePrefix(attribute.prefix, attribute.ns, place, local, true);
    if (found === undefined) declare(attribute.prefix, attribute.ns);
    return found === undefined || found === attribute.prefix ? attribute : { ...attribute, prefix: found };
  });
  return {
    ...element,
    prefix,
    attributes,
    declarations: declarations.length === 0 ? NONE : declarations,
    children: element.children.map((child) =>
      child.kind === 'element' ? adoptElement(child, place, local) : child,
    ),
  };
}

function elementPrefix(
  element: XmlElement,
  place: Place,
  local: Scope,
  declare: (prefix: string, ns: string) => void,
): string {
  const { prefix, ns } = element;
  if (ns === '') {
    const standard = local.get('') ?? place.scope.get('') ?? '';
    if (standard !== '') declare('', '');
    return '';
  }
  const found = choosePrefix(prefix, ns, place, local, false);
  if (found === undefined) declare(prefix, ns);
  return found ?? prefix;
}

/** The prefix to use for a namespace, or undefined when none is in scope. */
export function choosePrefix(
  wanted: string,
  ns: string,
  place: Place,
  local: Scope,
  attribute: boolean,
): string | undefined {
  if (local.get(wanted) === ns) return wanted;
  // A prefix of the document that the content declares anew means something else inside the content. An attribute
  // without a prefix is in no namespace, so the default namespace is not on the list for attributes.
  const usable = (prefix: string): boolean =>
    place.scope.get(prefix) === ns && !local.has(prefix) && !(attribute && prefix === '');
  if (usable(wanted)) return wanted;
  const own = place.element?.prefix;
  if (own !== undefined && usable(own)) return own;
  const candidates = [...place.scope.keys()].filter(usable).sort();
  // "the closest and just before the compared prefix if it were inserted into the list", else the first
  return (
    candidates.filter((prefix) => prefix < wanted).at(-1) ??
    candidates[0] ??
    localPrefix(ns, local, attribute)
  );
}

function localPrefix(ns: string, local: Scope, attribute: boolean): string | undefined {
  for (const [prefix, bound] of local) {
    if (bound === ns && !(attribute && prefix === '')) return prefix;
  }
  return undefined;
}

/** Whether anything in an element uses a prefix as bound outside it, or on it when `own` declarations are left out. */
export function usesPrefix(element: XmlElement, prefix: string, own: boolean): boolean {
  if (own && element.declarations.some((one) => one.prefix === prefix)) return false;
  if (element.prefix === prefix && (prefix !== '' || element.ns !== '')) return true;
  if (prefix !== '' && element.attributes.some((one) => one.prefix === prefix)) return true;
  return element.children.some((child) => child.kind === 'element' && usesPrefix(child, prefix, true));
}

/** An element whose names with that prefix, as far as they are not declared anew inside, are in another namespace. */
export function rebind(element: XmlElement, prefix: string, ns: string, own = false): XmlElement {
  if (own && element.declarations.some((one) => one.prefix === prefix)) return element;
  return {
    ...element,
    ns: element.prefix === prefix ? ns : element.ns,
    attributes: element.attributes.map((one) => (one.prefix === prefix ? { ...one, ns } : one)),
    children: element.children.map((child) =>
      child.kind === 'element' ? rebind(child, prefix, ns, true) : child,
    ),
  };
}
