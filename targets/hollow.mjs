/**
 * Modules that a library loads in a ring and nobody here uses cannot be left out: the order in which they load each
 * other must stay. They are hollowed instead: the lines that load and export remain, functions lose their bodies and
 * classes their members. What is called after all throws and says so.
 */
const GONE = '{ throw Error("left out of the bundle"); }';

/**
 * Of the DOM below xmlbuilder2: what serves events, ranges, observers, shadow trees, custom elements, walkers and live
 * collections. `but` names the functions of a module that stay.
 *
 * @type {readonly { readonly what: RegExp, readonly but?: readonly string[] }[]}
 */
const HOLLOW = [
  {
    what: /@oozcitak\/dom\/lib\/algorithm\/(Abort|Attr|BoundaryPoint|CharacterData|CustomElement|DOM|DOMTokenList|Event|EventTarget|MutationObserver|NodeIterator|OrderedSet|ParentNode|Range|Selectors|ShadowTree|Text|Traversal|TreeWalker)Algorithm\.js$/,
  },
  {
    what: /@oozcitak\/dom\/lib\/algorithm\/TreeAlgorithm\.js$/,
    but: [
      '_getNextDescendantNode',
      '_emptyIterator',
      'tree_getFirstDescendantNode',
      'tree_getNextDescendantNode',
      'tree_isAncestorOf',
      'tree_isHostIncludingAncestorOf',
      'tree_rootNode',
    ],
  },
  { what: /@oozcitak\/dom\/lib\/algorithm\/NodeAlgorithm\.js$/, but: ['node_locateANamespace'] },
  {
    what: /@oozcitak\/dom\/lib\/algorithm\/ElementAlgorithm\.js$/,
    but: [
      'element_append',
      'element_createAnElement',
      'element_getAnAttributeByNamespaceAndLocalName',
      'element_setAnAttributeValue',
    ],
  },
  {
    what: /@oozcitak\/dom\/lib\/dom\/(AbortController|AbortSignal|AbstractRange|ChildNode|CustomEvent|DOMTokenList|Event|HTMLCollection|MutationObserver|MutationRecord|NodeFilter|NodeIterator|NodeListStatic|NonDocumentTypeChildNode|NonElementParentNode|ParentNode|Range|ShadowRoot|Slotable|StaticRange|Traverser|TreeWalker)Impl\.js$/,
  },
  { what: /@oozcitak\/infra\/lib\/(Base64|Byte|ByteSequence|CodePoints|JSON|List|Queue|Stack)\.js$/ },
  { what: /@oozcitak\/dom\/lib\/serializer\/LocalNameSet\.js$/ },
  { what: /@oozcitak\/util\/lib\/StringWalker\.js$/ },
];

/** @returns {import('rollup').Plugin} */
export function hollow() {
  return {
    name: 'hollow',
    transform(code, id) {
      const found = HOLLOW.find(({ what }) => what.test(id));
      if (found === undefined) return null;
      return { code: emptied(code, this.parse(code).body, found.but ?? []), map: null };
    },
  };
}

/** @param {readonly import('estree').Node[]} statements those at the top of a module */
function emptied(code, statements, but) {
  let text = '';
  let at = 0;
  const replace = ({ start, end }, by) => {
    text += code.slice(at, start) + by;
    at = end;
  };
  for (const one of statements) {
    if (one.type === 'FunctionDeclaration' && !but.includes(one.id.name)) replace(one.body, GONE);
    if (one.type === 'ClassDeclaration') replace(one.body, '{}');
    // Constants put on the classes, which are of no use without what reads them.
    if (one.type === 'ExpressionStatement' && /^\(0, WebIDLAlgorithm_\d\.idl_/.test(code.slice(one.start)))
      replace(one, '');
  }
  return text + code.slice(at);
}
