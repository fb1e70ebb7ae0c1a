/**
 * Modules that a library loads in a ring and nobody here uses cannot be left out: the order in which they load each
 * other must stay. They are hollowed instead: the lines that load and export remain, functions lose their bodies and
 * classes their members, except for those that are named. What is called after all throws.
 */
const words = (text) => text.split(' ');

const GONE = '{ throw Error("left out of the bundle"); }';

/**
 * Of the DOM below xmlbuilder2: what serves events, ranges, observers, shadow trees, custom elements, walkers and live
 * collections; and of xmlbuilder2 what reads, moves and removes nodes. `but` names the functions of a module, and
 * `members` the methods of its classes, that stay.
 *
 * @type {readonly { readonly what: RegExp, readonly but?: readonly string[], readonly members?: readonly string[] }[]}
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
  {
    what: /@oozcitak\/infra\/lib\/(Base64|Byte|ByteSequence|CodePoints|JSON|List|Map|Queue|Set|Stack|String)\.js$/,
  },
  {
    what: /@oozcitak\/dom\/lib\/dom\/ElementImpl\.js$/,
    members: words('namespaceURI prefix localName attributes setAttribute setAttributeNS shadowRoot _create'),
  },
  {
    what: /@oozcitak\/dom\/lib\/dom\/DocumentImpl\.js$/,
    members: words(
      '_nodeDocument doctype documentElement createElement createElementNS createDocumentFragment createTextNode',
    ),
  },
  {
    what: /@oozcitak\/dom\/lib\/dom\/NodeImpl\.js$/,
    members: words(
      '_childNodes _nodeDocument nodeType ownerDocument parentNode parentElement hasChildNodes childNodes ' +
        'lookupNamespaceURI appendChild replaceChild removeChild',
    ),
  },
  { what: /@oozcitak\/dom\/lib\/dom\/CharacterDataImpl\.js$/, members: words('data') },
  { what: /@oozcitak\/dom\/lib\/dom\/DocumentFragmentImpl\.js$/, members: words('_create') },
  {
    what: /xmlbuilder2\/lib\/builder\/XMLBuilderImpl\.js$/,
    members: words(
      'node ele att txt up toString _serialize _extractNamespace _updateNamespace _doc _options',
    ),
  },
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
      return { code: emptied(code, this.parse(code).body, found), map: null };
    },
  };
}

/** @param {readonly import('estree').Node[]} statements those at the top of a module */
function emptied(code, statements, { but = [], members }) {
  let text = '';
  let at = 0;
  const replace = ({ start, end }, by) => {
    text += code.slice(at, start) + by;
    at = end;
  };
  for (const one of statements) {
    if (members !== undefined) {
      for (const member of one.type === 'ClassDeclaration' ? one.body.body : []) {
        const stays = member.type !== 'MethodDefinition' || member.kind === 'constructor';
        if (stays || members.includes(member.key.name)) continue;
        // A property that is not there would be undefined and go unnoticed.
        if (member.kind === 'method') replace(member, '');
        else replace(member.value.body, GONE);
      }
      continue;
    }
    if (one.type === 'FunctionDeclaration' && !but.includes(one.id.name)) replace(one.body, GONE);
    if (one.type === 'ClassDeclaration') replace(one.body, '{}');
    // Constants put on the classes, which are of no use without what reads them.
    if (one.type === 'ExpressionStatement' && /^\(0, WebIDLAlgorithm_\d\.idl_/.test(code.slice(one.start)))
      replace(one, '');
  }
  return text + code.slice(at);
}
