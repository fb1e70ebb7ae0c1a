import { isUtf8 } from 'node:buffer';
import { type SaxesAttributeNS, SaxesParser, type XMLDecl } from 'saxes';
import { asError, type CodedError, isCoded } from '../base/errors.ts';
import { xmlErrors } from './errors.ts';
import {
  makeDocument,
  NONE,
  XML_NS,
  XMLNS_NS,
  type XmlAttribute,
  type XmlDeclaration,
  type XmlDocument,
  type XmlElement,
  type XmlNode,
} from './tree.ts';

/** How much of a document is read before it is refused. */
export interface XmlLimits {
  /** Bytes of the document as UTF-8. */
  readonly bytes: number;
  /** Elements inside one another, the root counted. */
  readonly depth: number;
  /** Attributes of one element, namespace declarations counted. */
  readonly attributes: number;
  /** Elements, texts, comments and processing instructions together. */
  readonly nodes: number;
}

/** Room for 128 devices with all their details; a full device is about 25 nodes and 600 bytes. */
export const XML_LIMITS: XmlLimits = { bytes: 262_144, depth: 32, attributes: 32, nodes: 16_384 };

interface Open {
  readonly prefix: string;
  readonly local: string;
  readonly ns: string;
  readonly attributes: readonly XmlAttribute[];
  readonly declarations: readonly XmlDeclaration[];
  readonly children: XmlNode[];
}

/**
 * Reads a document into a tree: namespace aware, no DTD, no entities but the predefined, CDATA sections as text.
 * @throws CodedError one of `xmlErrors`, whatever the input
 */
export function parseXml(input: string | Uint8Array, limits: Partial<XmlLimits> = {}): XmlDocument {
  const bounds = { ...XML_LIMITS, ...limits };
  const text = typeof input === 'string' ? checkText(input, bounds) : decode(input, bounds);
  try {
    return build(text.startsWith('\uFEFF') ? text.slice(1) : text, bounds);
  } catch (thrown) {
    throw isCoded(thrown) ? thrown : translate(asError(thrown));
  }
}

function build(text: string, bounds: XmlLimits): XmlDocument {
  const parser = new SaxesParser({ xmlns: true, position: false });
  const top: XmlNode[] = [];
  const stack: Open[] = [];
  let nodes = 0;
  let attributes = 0;

  const add = (node: XmlNode): void => {
    nodes += 1;
    if (nodes > bounds.nodes) throw xmlErrors.TOO_MANY_NODES({ limit: bounds.nodes });
    (stack.at(-1)?.children ?? top).push(node);
  };
  const addText = (more: string): void => {
    const children = stack.at(-1)?.children;
    if (children === undefined || more === '') return; // white space around the root is not part of the tree
    const last = children.at(-1);
    if (last?.kind === 'text') children[children.length - 1] = { kind: 'text', text: last.text + more };
    else add({ kind: 'text', text: more });
  };

  parser.on('attribute', () => {
    attributes += 1;
    if (attributes > bounds.attributes) throw xmlErrors.TOO_MANY_ATTRIBUTES({ limit: bounds.attributes });
  });
  parser.on('opentag', (tag) => {
    attributes = 0;
    if (stack.length >= bounds.depth) throw xmlErrors.TOO_DEEP({ limit: bounds.depth });
    const { own, declarations } = split(tag.attributes);
    const children: XmlNode[] = [];
    const { prefix, local, uri } = tag;
    stack.push({ prefix, local, ns: uri, attributes: own, declarations, children });
  });
  parser.on('closetag', () => {
    const open = stack.pop();
    if (open !== undefined) add(close(open));
  });
  parser.on('text', addText);
  // With more than six handlers V8 turns the parser into a dictionary and it runs at a sixth of its speed. What most
  // documents do not have is listened for only where it can occur.
  if (text.includes('<!DOCTYPE')) {
    parser.on('doctype', () => {
      throw xmlErrors.DOCTYPE();
    });
  }
  if (text.includes('<![CDATA[')) parser.on('cdata', addText);
  if (text.includes('<!--')) parser.on('comment', (comment) => add({ kind: 'comment', text: comment }));
  if (text.includes('<?', 1)) {
    parser.on('processinginstruction', ({ target, body }) =>
      add({ kind: 'instruction', target, text: body }),
    );
  }
  parser.write(text);
  checkDeclaration(parser.xmlDecl); // close() forgets it
  parser.close();
  return makeDocument(top);
}

function checkDeclaration({ version, encoding }: XMLDecl): void {
  // XML 1.1 allows control characters that a 1.0 document, as we write it, cannot carry.
  if (version !== undefined && version !== '1.0') {
    throw xmlErrors.MALFORMED({ what: `XML version ${version} is not supported` });
  }
  if (encoding !== undefined && !/^(utf-8|us-ascii|utf-16|utf-16le|utf-16be)$/i.test(encoding)) {
    throw xmlErrors.ENCODING({ encoding });
  }
}

function close(open: Open): XmlElement {
  const { prefix, local, ns, attributes, declarations } = open;
  const children = open.children.length === 0 ? NONE : open.children;
  return { kind: 'element', prefix, local, ns, attributes, declarations, children };
}

function split(attributes: Record<string, SaxesAttributeNS>): {
  own: readonly XmlAttribute[];
  declarations: readonly XmlDeclaration[];
} {
  let own: XmlAttribute[] | undefined;
  let declarations: XmlDeclaration[] | undefined;
  for (const name in attributes) {
    const attribute = attributes[name];
    if (attribute === undefined) continue;
    const { prefix, local, uri, value } = attribute;
    if (uri === XMLNS_NS) {
      const declared = prefix === 'xmlns' ? local : '';
      if (declared === 'xml' && value === XML_NS) continue; // allowed, and says nothing
      declarations ??= [];
      declarations.push({ prefix: declared, ns: value.trim() });
    } else {
      own ??= [];
      own.push({ prefix, local, ns: uri, value });
    }
  }
  return { own: own ?? NONE, declarations: declarations ?? NONE };
}

function checkText(text: string, bounds: XmlLimits): string {
  if (text.length > bounds.bytes || Buffer.byteLength(text) > bounds.bytes) {
    throw xmlErrors.TOO_LONG({ limit: bounds.bytes });
  }
  if (/[\ud800-\udfff]/u.test(text)) throw xmlErrors.ENCODING({ encoding: 'Unicode: half a surrogate pair' });
  return text;
}

/** XML 1.0 appendix F: UTF-16 shows by its byte order mark; everything else has to be UTF-8. */
function decode(bytes: Uint8Array, bounds: XmlLimits): string {
  if (bytes.length > bounds.bytes) throw xmlErrors.TOO_LONG({ limit: bounds.bytes });
  const mark = ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0);
  if (mark === 0xfeff || mark === 0xfffe) {
    const encoding = mark === 0xfeff ? 'utf-16be' : 'utf-16le';
    try {
      return new TextDecoder(encoding, { fatal: true }).decode(bytes);
    } catch (thrown) {
      throw xmlErrors.ENCODING({ encoding }, thrown);
    }
  }
  if (!isUtf8(bytes)) throw xmlErrors.ENCODING({ encoding: 'UTF-8' });
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
}

function translate(error: Error): CodedError {
  const what = error.message.replace(/\.$/, '');
  if (what === 'undefined entity') return xmlErrors.ENTITY();
  if (what.startsWith('unbound namespace prefix')) return xmlErrors.PREFIX({ what });
  return xmlErrors.MALFORMED({ what });
}
