/** Changes to a tree: each makes new nodes from the place of the change up to the document and shares the rest. */
import type { Spot } from './locate.ts';
import {
  isBlank,
  joinText,
  makeDocument,
  NONE,
  type XmlDocument,
  type XmlElement,
  type XmlNode,
} from './tree.ts';

/** The document with another element at a spot. */
export function replaceElement(
  document: XmlDocument,
  spot: Spot<XmlElement>,
  element: XmlElement,
): XmlDocument {
  return replaceNode(document, spot, [element]);
}

/** The document with other nodes in place of one. */
export function replaceNode(document: XmlDocument, spot: Spot, nodes: readonly XmlNode[]): XmlDocument {
  return splice(document, spot.parent, spot.index, 1, nodes);
}

/** The document with nodes put before the child at `index`. */
export function insert(
  document: XmlDocument,
  parent: Spot<XmlElement> | undefined,
  index: number,
  nodes: readonly XmlNode[],
): XmlDocument {
  return splice(document, parent, index, 0, nodes);
}

/** The document without one node, and without so many of its neighbours. */
export function removeNode(document: XmlDocument, spot: Spot, before: number, after: number): XmlDocument {
  return splice(document, spot.parent, spot.index - before, 1 + before + after, NONE);
}

function splice(
  document: XmlDocument,
  parent: Spot<XmlElement> | undefined,
  index: number,
  count: number,
  nodes: readonly XmlNode[],
): XmlDocument {
  if (parent === undefined) {
    const top = document.children.toSpliced(index, count, ...nodes.filter((node) => !isBlank(node)));
    return makeDocument(top);
  }
  const children = joinText(parent.node.children.toSpliced(index, count, ...nodes));
  const element = { ...parent.node, children: children.length === 0 ? NONE : children };
  return splice(document, parent.parent, parent.index, 1, [element]);
}
