import type { ElementStep, LeafStep, Predicate, Selector, SelectorName } from './selector.ts';
import {
  attributeOf,
  type Scope,
  scopeWithin,
  textOf,
  XML_NS,
  type XmlAttribute,
  type XmlDocument,
  type XmlElement,
  type XmlNode,
} from './tree.ts';

/** A node with the way to it: nodes do not know their parents. */
export interface Spot<Node extends XmlNode = XmlNode> {
  readonly node: Node;
  /** The node's place among its parent's children. */
  readonly index: number;
  /** Undefined for a child of the document itself. */
  readonly parent: Spot<XmlElement> | undefined;
}

/** What a selector can find. */
export type Located =
  | { readonly kind: 'node'; readonly spot: Spot }
  | { readonly kind: 'attribute'; readonly owner: Spot<XmlElement>; readonly index: number }
  | { readonly kind: 'namespace'; readonly owner: Spot<XmlElement>; readonly index: number };

/** Whether an attribute is of type ID, which only a schema or its name (`xml:id`) can tell. */
export type IdTest = (element: XmlElement, attribute: XmlAttribute) => boolean;

/** How names and ids in a selector are understood. */
export interface LocateOptions {
  /** Namespace of an element name. */
  readonly elementNs: (name: SelectorName) => string;
  /** Namespace of an attribute name. */
  readonly attributeNs: (name: SelectorName) => string;
  readonly isId: IdTest;
  /** Another name that the root element answers to. */
  readonly rootAlias?: { readonly ns: string; readonly local: string } | undefined;
}

/** Every node that a selector selects; a patch wants exactly one. */
export function locate(document: XmlDocument, selector: Selector, options: LocateOptions): Located[] {
  let spots: (Spot<XmlElement> | undefined)[] =
    selector.id === undefined ? [undefined] : findId(document, selector.id, options.isId);
  for (const step of selector.steps) {
    spots = spots.flatMap((spot) => stepInto(document, spot, step, options));
  }
  const { leaf } = selector;
  if (leaf !== undefined) return spots.flatMap((spot) => leavesOf(document, spot, leaf, options));
  return spots.flatMap((spot) => (spot === undefined ? [] : [{ kind: 'node' as const, spot }]));
}

/** The namespaces in scope at an element, outermost first, `xml` included. */
export function scopeAt(spot: Spot<XmlElement> | undefined): Scope {
  if (spot === undefined) return new Map([['xml', XML_NS]]);
  return scopeWithin(scopeAt(spot.parent), spot.node);
}

/** The children of a node, or of the document itself. */
export function childrenAt(document: XmlDocument, spot: Spot<XmlElement> | undefined): readonly XmlNode[] {
  return spot === undefined ? document.children : spot.node.children;
}

function stepInto(
  document: XmlDocument,
  parent: Spot<XmlElement> | undefined,
  step: ElementStep,
  options: LocateOptions,
): Spot<XmlElement>[] {
  const { name } = step;
  const ns = name === undefined ? '' : options.elementNs(name);
  const alias = parent === undefined ? options.rootAlias : undefined;
  let found: Spot<XmlElement>[] = [];
  for (const [index, node] of childrenAt(document, parent).entries()) {
    if (node.kind !== 'element') continue;
    const named = name === undefined || (node.local === name.local && node.ns === ns);
    const aliased =
      alias !== undefined && name !== undefined && alias.local === name.local && alias.ns === ns;
    if (named || aliased) found.push({ node, index, parent });
  }
  for (const predicate of step.predicates) found = filter(found, predicate, options);
  return found;
}

function filter(spots: Spot<XmlElement>[], predicate: Predicate, options: LocateOptions): Spot<XmlElement>[] {
  switch (predicate.kind) {
    case 'position': {
      const spot = spots[predicate.position - 1];
      return spot === undefined ? [] : [spot];
    }
    case 'attribute': {
      const { name, value } = predicate;
      const ns = options.attributeNs(name);
      return spots.filter(({ node }) => attributeOf(node, name.local, ns) === value);
    }
    case 'child': {
      const { name, value } = predicate;
      const ns = options.elementNs(name);
      return spots.filter(({ node }) =>
        node.children.some(
          (child) =>
            child.kind === 'element' &&
            child.local === name.local &&
            child.ns === ns &&
            textOf(child) === value,
        ),
      );
    }
    case 'self':
      return spots.filter(({ node }) => textOf(node) === predicate.value);
  }
}

function leavesOf(
  document: XmlDocument,
  owner: Spot<XmlElement> | undefined,
  leaf: LeafStep,
  options: LocateOptions,
): Located[] {
  switch (leaf.kind) {
    case 'attribute': {
      if (owner === undefined) return [];
      const ns = options.attributeNs(leaf.name);
      const index = owner.node.attributes.findIndex((one) => one.local === leaf.name.local && one.ns === ns);
      return index < 0 ? [] : [{ kind: 'attribute', owner, index }];
    }
    case 'namespace': {
      // The declaration has to stand on this very element (RFC 5261 §4.4.3); here the prefix is the document's own.
      if (owner === undefined) return [];
      const index = owner.node.declarations.findIndex((one) => one.prefix === leaf.prefix);
      return index < 0 ? [] : [{ kind: 'namespace', owner, index }];
    }
    case 'text':
    case 'comment':
    case 'instruction': {
      const found: Located[] = [];
      for (const [index, node] of childrenAt(document, owner).entries()) {
        if (node.kind !== leaf.kind) continue;
        if (leaf.kind === 'instruction' && leaf.target !== undefined) {
          if (node.kind !== 'instruction' || node.target !== leaf.target) continue;
        }
        found.push({ kind: 'node', spot: { node, index, parent: owner } });
      }
      if (leaf.position === undefined) return found;
      const one = found[leaf.position - 1];
      return one === undefined ? [] : [one];
    }
  }
}

function findId(document: XmlDocument, id: string, isId: IdTest): Spot<XmlElement>[] {
  const found: Spot<XmlElement>[] = [];
  const walk = (parent: Spot<XmlElement> | undefined): void => {
    for (const [index, node] of childrenAt(document, parent).entries()) {
      if (node.kind !== 'element') continue;
      const spot = { node, index, parent };
      if (node.attributes.some((one) => one.value === id && isId(node, one))) found.push(spot);
      walk(spot);
    }
  };
  walk(undefined);
  return found;
}
