import { type PatchCondition, patchErrors } from './errors.ts';
import { type IdTest, type Located, type LocateOptions, locate, type Spot, scopeAt } from './locate.ts';
import { adopt, choosePrefix, rebind, usesPrefix } from './mangle.ts';
import { parseAddType, parseSelector, type Selector, type SelectorName } from './selector.ts';
import { insert, removeNode, replaceElement, replaceNode } from './splice.ts';
import {
  attributeOf,
  isBlank,
  type Scope,
  scopeWithin,
  textOf,
  XML_NS,
  XMLNS_NS,
  type XmlDocument,
  type XmlElement,
  type XmlNode,
} from './tree.ts';

export interface PatchOptions {
  /** Namespace of `add`, `replace` and `remove`. Default: the namespace of the patch's root. */
  readonly ns?: string;
  /** Namespaces declared around the patch element, where it is part of a larger document. */
  readonly scope?: Scope;
  /**
   * Which attributes are of type ID, for selectors with id(): `xml:id` always is. `false`: id() is refused as
   * `<unsupported-id-function>`.
   */
  readonly ids?: IdTest | false;
  /** Another name that the root element answers to in selectors. */
  readonly rootAlias?: LocateOptions['rootAlias'];
  /** The most operations that are carried out. Default 1024. */
  readonly operations?: number;
}

/** One operation while it is carried out. */
interface Context {
  readonly document: XmlDocument;
  readonly operation: XmlElement;
  /** Namespaces in scope at the operation, in the patch. */
  readonly scope: Scope;
  readonly options: PatchOptions;
  readonly fail: (condition: PatchCondition, why: string) => Error;
}

const OPERATIONS = 1024;

/**
 * Applies a patch (RFC 5261): its operations one after the other, each on what the one before left. Either all of them
 * are applied or none: the document given is never changed.
 * @throws CodedError one of `patchErrors`; its field `at` says which operation, from 1
 */
export function applyPatch(
  document: XmlDocument,
  patch: XmlElement,
  options: PatchOptions = {},
): XmlDocument {
  const ns = options.ns ?? patch.ns;
  const scope = scopeWithin(options.scope ?? new Map([['xml', XML_NS]]), patch);
  const limit = options.operations ?? OPERATIONS;
  let at = 0;
  let patched = document;
  const fail = (condition: PatchCondition, why: string): Error => patchErrors[condition]({ at, why });
  for (const operation of patch.children) {
    if (operation.kind === 'text' && !isBlank(operation)) {
      throw fail('INVALID_DIFF_FORMAT', 'text stands between the operations');
    }
    if (operation.kind !== 'element') continue;
    at += 1;
    if (at > limit) throw fail('INVALID_DIFF_FORMAT', `a patch may have ${limit} operations`);
    const inner = scopeWithin(scope, operation);
    patched = run({ document: patched, operation, scope: inner, options, fail }, ns);
  }
  return patched;
}

const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  add: ['sel', 'pos', 'type'],
  replace: ['sel'],
  remove: ['sel', 'ws'],
};

function run(context: Context, ns: string): XmlDocument {
  const { operation, fail } = context;
  const allowed = operation.ns === ns ? ALLOWED[operation.local] : undefined;
  if (allowed === undefined) throw fail('INVALID_PATCH_DIRECTIVE', `<${operation.local}> is no operation`);
  const stray = operation.attributes.find((one) => one.ns === '' && !allowed.includes(one.local));
  if (stray) throw fail('INVALID_DIFF_FORMAT', `<${operation.local}> has no attribute ${stray.local}`);
  const target = find(context);
  switch (operation.local) {
    case 'add':
      return add(context, target);
    case 'replace':
      return replace(context, target);
    default:
      return remove(context, target);
  }
}

function find(context: Context): Located {
  const { document, operation, options, fail } = context;
  const text = attributeOf(operation, 'sel');
  if (text === undefined) throw fail('INVALID_DIFF_FORMAT', `<${operation.local}> has no sel`);
  const selector = parseSelector(text);
  if (selector === undefined) throw fail('INVALID_ATTRIBUTE_VALUE', `sel="${text}"`);
  checkSelector(selector, context, text);
  const { ids } = options;
  const found = locate(document, selector, {
    elementNs: (name) => resolve(context, name, true),
    attributeNs: (name) => resolve(context, name, false),
    isId: (element, attribute) =>
      (attribute.local === 'id' && attribute.ns === XML_NS) ||
      (typeof ids === 'function' && ids(element, attribute)),
    rootAlias: options.rootAlias,
  });
  const [only] = found;
  if (only === undefined || found.length > 1) {
    throw fail('UNLOCATED_NODE', `sel="${text}" selects ${found.length === 0 ? 'nothing' : found.length}`);
  }
  return only;
}

function checkSelector(selector: Selector, { operation, options, fail }: Context, text: string): void {
  if (selector.id !== undefined && options.ids === false) {
    throw fail('UNSUPPORTED_ID_FUNCTION', `sel="${text}"`);
  }
  const leaf = selector.leaf?.kind;
  // xpath-add of RFC 5261 §8: an attribute or a namespace has no place beside it.
  if (operation.local === 'add' && (leaf === 'attribute' || leaf === 'namespace')) {
    throw fail('INVALID_ATTRIBUTE_VALUE', `sel="${text}" of an <add> selects no node`);
  }
}

function resolve({ scope, fail }: Context, { prefix, local }: SelectorName, element: boolean): string {
  // RFC 5261 §4.2.2: unlike in XPath, an element name without a prefix is in the patch's default namespace.
  if (prefix === '') return element ? (scope.get('') ?? '') : '';
  const ns = prefix === 'xml' ? XML_NS : scope.get(prefix);
  if (ns === undefined) throw fail('INVALID_NAMESPACE_PREFIX', `${prefix}:${local}`);
  return ns;
}

/** The text that an operation carries, or undefined when it carries anything else. */
function textContent(operation: XmlElement): string | undefined {
  if (operation.children.some((child) => child.kind !== 'text')) return undefined;
  return textOf(operation);
}

function add(context: Context, target: Located): XmlDocument {
  const { document, operation, fail } = context;
  const pos = attributeOf(operation, 'pos');
  const type = attributeOf(operation, 'type');
  if (pos !== undefined && pos !== 'before' && pos !== 'after' && pos !== 'prepend') {
    throw fail('INVALID_ATTRIBUTE_VALUE', `pos="${pos}"`);
  }
  if (target.kind !== 'node') throw fail('INVALID_PATCH_DIRECTIVE', 'nothing can be added there');
  const { spot } = target;
  if (type !== undefined) return addNamed(context, spot, type);

  if (pos === 'before' || pos === 'after') {
    if (spot.parent === undefined) checkTop(context, spot);
    const content = adopt(operation.children, { element: spot.parent?.node, scope: scopeAt(spot.parent) });
    return insert(document, spot.parent, spot.index + (pos === 'after' ? 1 : 0), content);
  }
  if (!isElementSpot(spot)) {
    throw fail(
      'INVALID_PATCH_DIRECTIVE',
      `a ${spot.node.kind} node has no children; say pos="before" or "after"`,
    );
  }
  const content = adopt(operation.children, { element: spot.node, scope: scopeAt(spot) });
  return insert(document, spot, pos === 'prepend' ? 0 : spot.node.children.length, content);
}

/** Beside the root element only comments and instructions may stand; white space there is not part of the tree. */
function checkTop({ operation, fail }: Context, beside: Spot): void {
  for (const node of operation.children) {
    if (node.kind === 'element')
      throw fail('INVALID_ROOT_ELEMENT_OPERATION', `<${node.local}> beside the root`);
    if (node.kind !== 'text' || isBlank(node)) continue;
    if (beside.node.kind === 'element') throw fail('INVALID_ROOT_ELEMENT_OPERATION', 'text beside the root');
    throw fail('INVALID_XML_PROLOG_OPERATION', 'text in the prolog');
  }
}

function addNamed(context: Context, spot: Spot, type: string): XmlDocument {
  const { document, operation, fail } = context;
  const named = parseAddType(type);
  if (named === undefined) throw fail('INVALID_ATTRIBUTE_VALUE', `type="${type}"`);
  if (!isElementSpot(spot)) {
    throw fail('INVALID_PATCH_DIRECTIVE', `a ${spot.node.kind} node has no attributes`);
  }
  const value = textContent(operation);
  if (value === undefined) throw fail('INVALID_ATTRIBUTE_VALUE', `${type} can only have text`);
  const element = spot.node;
  if (named.kind === 'attribute') {
    return replaceElement(document, spot, addAttribute(context, spot, named.name, value));
  }
  const { prefix } = named;
  checkNamespace(context, prefix, value);
  const declared = element.declarations.find((one) => one.prefix === prefix);
  if (declared?.ns === value) return document;
  if (declared !== undefined) throw fail('INVALID_NAMESPACE_PREFIX', `${prefix} is declared there already`);
  if (scopeAt(spot).get(prefix) !== value && usesPrefix(element, prefix, false)) {
    throw fail('INVALID_NAMESPACE_PREFIX', `${prefix} is in use there for another namespace`);
  }
  const declarations = [...element.declarations, { prefix, ns: value }];
  return replaceElement(document, spot, { ...element, declarations });
}

function addAttribute(
  context: Context,
  spot: Spot<XmlElement>,
  name: SelectorName,
  value: string,
): XmlElement {
  const { fail } = context;
  const element = spot.node;
  const ns = resolve(context, name, false);
  const { local } = name;
  if (attributeOf(element, local, ns) !== undefined) {
    throw fail('INVALID_PATCH_DIRECTIVE', `the attribute ${local} is there already`);
  }
  if (ns === '' || ns === XML_NS) {
    const prefix = ns === '' ? '' : 'xml';
    return { ...element, attributes: [...element.attributes, { prefix, local, ns, value }] };
  }
  const found = choosePrefix(name.prefix, ns, { element, scope: scopeAt(spot) }, new Map(), true);
  const prefix = found ?? name.prefix;
  const attributes = [...element.attributes, { prefix, local, ns, value }];
  if (found !== undefined) return { ...element, attributes };
  if (usesPrefix(element, prefix, false) || element.declarations.some((one) => one.prefix === prefix)) {
    throw fail('INVALID_NAMESPACE_URI', `the document has no prefix for ${ns}`);
  }
  return { ...element, attributes, declarations: [...element.declarations, { prefix, ns }] };
}

function checkNamespace({ fail }: Context, prefix: string, ns: string): void {
  if (prefix === 'xml' || prefix === 'xmlns') throw fail('INVALID_NAMESPACE_PREFIX', `${prefix} is reserved`);
  if (ns.trim() === '' || ns === XML_NS || ns === XMLNS_NS) {
    throw fail('INVALID_NAMESPACE_URI', ns === '' ? 'it is empty' : `${ns} is reserved`);
  }
}

function replace(context: Context, target: Located): XmlDocument {
  const { document, operation, fail } = context;
  if (target.kind === 'node' && target.spot.node.kind !== 'text') {
    const { spot } = target;
    const [content, ...more] = operation.children;
    if (content === undefined || more.length > 0 || content.kind !== spot.node.kind) {
      throw fail('INVALID_NODE_TYPES', `one ${spot.node.kind} node can only be replaced by one other`);
    }
    const place = { element: spot.parent?.node, scope: scopeAt(spot.parent) };
    return replaceNode(document, spot, adopt([content], place));
  }
  const value = textContent(operation);
  if (value === undefined) throw fail('INVALID_NODE_TYPES', 'a value can only be replaced by text');
  if (target.kind === 'node') return replaceNode(document, target.spot, [{ kind: 'text', text: value }]);
  const { owner, index } = target;
  const element = owner.node;
  if (target.kind === 'attribute') {
    const attributes = element.attributes.map((one, n) => (n === index ? { ...one, value } : one));
    return replaceElement(document, owner, { ...element, attributes });
  }
  const prefix = element.declarations[index]?.prefix ?? '';
  checkNamespace(context, prefix, value);
  const declarations = element.declarations.map((one, n) => (n === index ? { prefix, ns: value } : one));
  return replaceElement(document, owner, { ...rebind(element, prefix, value), declarations });
}

function remove(context: Context, target: Located): XmlDocument {
  const { document, operation, fail } = context;
  const ws = attributeOf(operation, 'ws');
  if (ws !== undefined && ws !== 'before' && ws !== 'after' && ws !== 'both') {
    throw fail('INVALID_ATTRIBUTE_VALUE', `ws="${ws}"`);
  }
  if (
    operation.children.some((child) => child.kind === 'element' || (child.kind === 'text' && !isBlank(child)))
  ) {
    throw fail('INVALID_DIFF_FORMAT', '<remove> has content');
  }
  if (target.kind === 'node' && target.spot.node.kind !== 'text') {
    const { spot } = target;
    if (spot.parent === undefined && spot.node.kind === 'element') {
      throw fail('INVALID_ROOT_ELEMENT_OPERATION', 'the root cannot be removed');
    }
    return removeWithBlanks(context, spot, ws);
  }
  if (ws !== undefined)
    throw fail('INVALID_PATCH_DIRECTIVE', 'ws goes with elements, comments and instructions');
  if (target.kind === 'node') return removeNode(document, target.spot, 0, 0);
  const { owner, index } = target;
  const element = owner.node;
  if (target.kind === 'attribute') {
    const attributes = element.attributes.filter((_one, n) => n !== index);
    return replaceElement(document, owner, { ...element, attributes });
  }
  const gone = element.declarations[index];
  const declarations = element.declarations.filter((_one, n) => n !== index);
  // RFC 5261 §4.5.3: the prefix must not be in use, unless an outer declaration gives it the same meaning.
  const outer = gone === undefined ? undefined : scopeAt(owner.parent).get(gone.prefix);
  if (gone !== undefined && outer !== gone.ns && usesPrefix(element, gone.prefix, false)) {
    throw fail('INVALID_NAMESPACE_PREFIX', `${gone.prefix} is still in use`);
  }
  return replaceElement(document, owner, { ...element, declarations });
}

function removeWithBlanks(context: Context, spot: Spot, ws: string | undefined): XmlDocument {
  const { document, fail } = context;
  const siblings = spot.parent === undefined ? document.children : spot.parent.node.children;
  const before = ws === 'before' || ws === 'both' ? 1 : 0;
  const after = ws === 'after' || ws === 'both' ? 1 : 0;
  if (before === 1 && !isBlank(siblings[spot.index - 1])) {
    throw fail('INVALID_WHITESPACE_DIRECTIVE', 'no white space stands before');
  }
  if (after === 1 && !isBlank(siblings[spot.index + 1])) {
    throw fail('INVALID_WHITESPACE_DIRECTIVE', 'no white space stands after');
  }
  return removeNode(document, spot, before, after);
}

function isElementSpot(spot: Spot<XmlNode>): spot is Spot<XmlElement> {
  return spot.node.kind === 'element';
}
