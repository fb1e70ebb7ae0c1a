/**
 * The tree that documents are read into. Nodes are never changed: a change makes new nodes along the way to the root
 * and shares all others, so a stored document costs nothing to keep while a patch is tried on it, and what was derived
 * from an untouched child stays true.
 */

/** An attribute that is no namespace declaration. */
export interface XmlAttribute {
  readonly prefix: string;
  readonly local: string;
  /** Namespace name; empty for an attribute without a prefix. */
  readonly ns: string;
  readonly value: string;
}

/** `xmlns:prefix="ns"`, or `xmlns="ns"` where the prefix is empty. */
export interface XmlDeclaration {
  readonly prefix: string;
  readonly ns: string;
}

export interface XmlElement {
  readonly kind: 'element';
  readonly prefix: string;
  readonly local: string;
  /** Namespace name; empty for an element in no namespace. */
  readonly ns: string;
  readonly attributes: readonly XmlAttribute[];
  /** The namespace declarations written on this very element. */
  readonly declarations: readonly XmlDeclaration[];
  /** Never two text nodes side by side, never an empty one. */
  readonly children: readonly XmlNode[];
}

export interface XmlText {
  readonly kind: 'text';
  readonly text: string;
}

export interface XmlComment {
  readonly kind: 'comment';
  readonly text: string;
}

export interface XmlInstruction {
  readonly kind: 'instruction';
  readonly target: string;
  readonly text: string;
}

export type XmlNode = XmlElement | XmlText | XmlComment | XmlInstruction;

export interface XmlDocument {
  readonly kind: 'document';
  /** Exactly one element, with the comments and processing instructions around it. */
  readonly children: readonly XmlNode[];
  readonly root: XmlElement;
}

/** Which namespace a prefix stands for; the empty prefix is the default namespace. */
export type Scope = ReadonlyMap<string, string>;

export const XML_NS = 'http://www.w3.org/XML/1998/namespace';
export const XMLNS_NS = 'http://www.w3.org/2000/xmlns/';

/** Shared by all nodes that have none of a thing. */
export const NONE: readonly never[] = Object.freeze([]);

/** A document from its top-level nodes, of which exactly one is an element. */
export function makeDocument(children: readonly XmlNode[]): XmlDocument {
  const root = children.find((child) => child.kind === 'element');
  if (root === undefined) throw new TypeError('a document needs a root element');
  return { kind: 'document', children, root };
}

/** The child elements of a node, in order. */
export function elementsOf(parent: XmlElement): XmlElement[] {
  return parent.children.filter((child) => child.kind === 'element');
}

/** The first child element of that name. */
export function childOf(parent: XmlElement, ns: string, local: string): XmlElement | undefined {
  for (const child of parent.children) {
    if (child.kind === 'element' && child.local === local && child.ns === ns) return child;
  }
  return undefined;
}

/** All child elements of that name. */
export function childrenOf(parent: XmlElement, ns: string, local: string): XmlElement[] {
  return elementsOf(parent).filter((child) => child.local === local && child.ns === ns);
}

/** The value of an attribute, by default one without a namespace. */
export function attributeOf(element: XmlElement, local: string, ns = ''): string | undefined {
  for (const attribute of element.attributes) {
    if (attribute.local === local && attribute.ns === ns) return attribute.value;
  }
  return undefined;
}

/** XPath's string value: all text within, in order. */
export function textOf(node: XmlNode): string {
  if (node.kind !== 'element') return node.text;
  const [only] = node.children;
  if (only === undefined) return '';
  if (node.children.length === 1 && only.kind === 'text') return only.text;
  let text = '';
  for (const child of node.children) {
    if (child.kind === 'text' || child.kind === 'element') text += textOf(child);
  }
  return text;
}

/** Whether a node is a text node of white space only (XML 1.0 §2.3). */
export function isBlank(node: XmlNode | undefined): boolean {
  return node !== undefined && node.kind === 'text' && /^[ \t\r\n]*$/.test(node.text);
}

/** Children with neighbouring text nodes made one and empty ones dropped, as the XPath data model wants them. */
export function joinText(children: readonly XmlNode[]): readonly XmlNode[] {
  const joined: XmlNode[] = [];
  for (const child of children) {
    const last = joined.at(-1);
    if (child.kind === 'text' && child.text === '') continue;
    if (child.kind === 'text' && last?.kind === 'text') {
      joined[joined.length - 1] = { kind: 'text', text: last.text + child.text };
    } else joined.push(child);
  }
  return joined;
}

/** A scope with the declarations of an element added; the scope itself where there are none. */
export function scopeWithin(scope: Scope, element: XmlElement): Scope {
  if (element.declarations.length === 0) return scope;
  const inner = new Map(scope);
  for (const { prefix, ns } of element.declarations) inner.set(prefix, ns);
  return inner;
}
