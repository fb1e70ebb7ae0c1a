import { isBlank, type XmlAttribute, type XmlDocument, type XmlElement, type XmlNode } from './tree.ts';
import { escapeAttribute, escapeText } from './write.ts';

/** What counts when documents are compared. */
export interface Comparison {
  /** Prefixes and namespace declarations count too, nearly as in Canonical XML. Default: only what they stand for. */
  readonly prefixes?: boolean;
  /** Comments count. Default: they do, as in Canonical XML with comments. */
  readonly comments?: boolean;
  /** Text nodes of white space only count. Default: they do. */
  readonly blanks?: boolean;
}

/**
 * Whether two documents say the same: the same elements, attributes, texts, comments and instructions in the same
 * order, whatever prefixes they use, however their attributes are ordered and their characters escaped.
 */
export function sameXml(a: XmlDocument | XmlNode, b: XmlDocument | XmlNode, what: Comparison = {}): boolean {
  return canonicalXml(a, what) === canonicalXml(b, what);
}

/** A text that is equal for two nodes exactly when they say the same. */
export function canonicalXml(node: XmlDocument | XmlNode, what: Comparison = {}): string {
  switch (node.kind) {
    case 'document':
      return content(node.children, what);
    case 'element':
      return element(node, what);
    case 'text':
      return escapeText(node.text);
    case 'comment':
      return `<!--${node.text}-->`;
    case 'instruction':
      return `<?${node.target} ${node.text}?>`;
  }
}

function element(node: XmlElement, what: Comparison): string {
  const name = what.prefixes === true ? qualified(node) : expanded(node);
  const attributes = [...node.attributes].sort(byName);
  let text = `<${name}`;
  if (what.prefixes === true) {
    for (const { prefix, ns } of [...node.declarations].sort((a, b) => compare(a.prefix, b.prefix))) {
      text += ` xmlns:${prefix}="${escapeAttribute(ns)}"`;
    }
  }
  for (const attribute of attributes) {
    text += ` ${what.prefixes === true ? qualified(attribute) : expanded(attribute)}="${escapeAttribute(attribute.value)}"`;
  }
  return `${text}>${content(node.children, what)}</${name}>`;
}

function content(children: readonly XmlNode[], what: Comparison): string {
  let text = '';
  for (const child of children) {
    if (child.kind === 'comment' && what.comments === false) continue;
    if (what.blanks === false && isBlank(child)) continue;
    text += canonicalXml(child, what);
  }
  return text;
}

const expanded = ({ ns, local }: { ns: string; local: string }): string => `{${ns}}${local}`;
const qualified = ({ prefix, ns, local }: { prefix: string; ns: string; local: string }): string =>
  `{${ns}}${prefix}:${local}`;
const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
const byName = (a: XmlAttribute, b: XmlAttribute): number => compare(a.ns, b.ns) || compare(a.local, b.local);
