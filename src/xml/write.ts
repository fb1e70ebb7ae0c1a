import { xmlErrors } from './errors.ts';
import { type Scope, scopeWithin, type XmlDocument, type XmlElement, type XmlNode } from './tree.ts';

const EMPTY: Scope = new Map();

/**
 * A document or node as compact text, without an XML declaration. Nothing is laid out and nothing is tidied up: the
 * declarations of each element stay where they are. `scope` holds the namespaces that the place where the text will
 * stand has already; what the node needs beyond them is declared on it, so a piece of one document can be put into
 * another.
 */
export function writeXml(node: XmlDocument | XmlNode, scope: Scope = EMPTY): string {
  switch (node.kind) {
    case 'document':
      return node.children.map((child) => writeXml(child, scope)).join('');
    case 'element':
      return writeElement(node, scope);
    case 'text':
      return escapeText(node.text);
    case 'comment':
      return `<!--${node.text}-->`;
    case 'instruction':
      return node.text === '' ? `<?${node.target}?>` : `<?${node.target} ${node.text}?>`;
  }
}

function writeElement(element: XmlElement, outer: Scope): string {
  const name = element.prefix === '' ? element.local : `${element.prefix}:${element.local}`;
  let scope = scopeWithin(outer, element);
  let text = `<${name}`;
  for (const { prefix, ns } of element.declarations) text += declaration(prefix, ns);

  const need = (prefix: string, ns: string): void => {
    if (prefix === 'xml' || (scope.get(prefix) ?? '') === ns) return;
    if (element.declarations.some((one) => one.prefix === prefix)) {
      throw xmlErrors.PREFIX({ what: `"${prefix}" stands for two namespaces on one element` });
    }
    text += declaration(prefix, ns);
    scope = new Map(scope).set(prefix, ns);
  };
  need(element.prefix, element.ns);
  for (const { prefix, ns } of element.attributes) {
    if (prefix !== '') need(prefix, ns);
  }

  for (const { prefix, local, value } of element.attributes) {
    text += ` ${prefix === '' ? local : `${prefix}:${local}`}="${escapeAttribute(value)}"`;
  }
  if (element.children.length === 0) return `${text}/>`;
  text += '>';
  for (const child of element.children) text += writeXml(child, scope);
  return `${text}</${name}>`;
}

function declaration(prefix: string, ns: string): string {
  return prefix === '' ? ` xmlns="${escapeAttribute(ns)}"` : ` xmlns:${prefix}="${escapeAttribute(ns)}"`;
}

const TEXT: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '\r': '&#xD;' };

/** Text as it stands between tags. */
export function escapeText(text: string): string {
  return /[&<>\r]/.test(text) ? text.replace(/[&<>\r]/g, (character) => TEXT[character] ?? character) : text;
}

const ATTRIBUTE: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '"': '&quot;',
  // A reader turns these into plain spaces unless they are references (XML 1.0 §3.3.3).
  '\t': '&#9;',
  '\n': '&#10;',
  '\r': '&#13;',
};

/** Text as it stands within double quotes. */
export function escapeAttribute(text: string): string {
  return /[&<"\t\n\r]/.test(text)
    ? text.replace(/[&<"\t\n\r]/g, (character) => ATTRIBUTE[character] ?? character)
    : text;
}
