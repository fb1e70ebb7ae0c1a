import { defineErrors } from '../base/errors.ts';

/** What can be wrong with a document that somebody sent. */
export const xmlErrors = defineErrors('XML', {
  MALFORMED: {
    text: 'the document is not well-formed XML: {what}',
    remedy: 'Send well-formed XML 1.0 with namespaces.',
    sip: 400,
  },
  ENCODING: {
    text: 'the document is not readable as {encoding}',
    remedy: 'Send the document as UTF-8 (or UTF-16 with a byte order mark) and declare no other encoding.',
    sip: 400,
  },
  DOCTYPE: {
    text: 'the document carries a DOCTYPE',
    remedy: 'Send the document without a document type declaration; none is ever read.',
    sip: 400,
  },
  ENTITY: {
    text: 'the document refers to an entity that nothing declares',
    remedy: 'Use character references or the five predefined entities only.',
    sip: 400,
  },
  PREFIX: {
    text: 'a namespace prefix is not bound: {what}',
    remedy: 'Declare every namespace prefix that the document uses.',
    sip: 400,
  },
  TOO_LONG: {
    text: 'the document has more than {limit} bytes',
    remedy: 'Split the document, or raise the limit where it is read.',
    sip: 413,
  },
  TOO_DEEP: {
    text: 'the document is nested deeper than {limit} elements',
    remedy: 'Send a flatter document.',
    sip: 413,
  },
  TOO_MANY_ATTRIBUTES: {
    text: 'an element has more than {limit} attributes',
    remedy: 'Send fewer attributes and namespace declarations on one element.',
    sip: 413,
  },
  TOO_MANY_NODES: {
    text: 'the document has more than {limit} nodes',
    remedy: 'Split the document, or raise the limit where it is read.',
    sip: 413,
  },
});

/**
 * The error conditions of RFC 5261 §5.1, named as there: the code `PATCH_UNLOCATED_NODE` is the element
 * `<unlocated-node>`. `at` is the operation's place in the patch, from 1; 0 means the patch as a whole.
 */
export const patchErrors = defineErrors('PATCH', {
  INVALID_ATTRIBUTE_VALUE: {
    text: 'operation {at} of the patch has an attribute value that is not allowed: {why}',
    remedy: 'Keep to the values and the selector grammar of RFC 5261 §8.',
    sip: 400,
  },
  INVALID_CHARACTER_SET: {
    text: 'the patch (operation {at}) uses another character set than the document: {why}',
    remedy: 'Send patches in UTF-8.',
    sip: 400,
  },
  INVALID_DIFF_FORMAT: {
    text: 'operation {at} of the patch is not as the schema has it: {why}',
    remedy: 'Send a well-formed patch that is valid against the schema of its media type.',
    sip: 400,
  },
  INVALID_ENTITY_DECLARATION: {
    text: 'the patch (operation {at}) refers to an entity that is not declared: {why}',
    remedy: 'Use character references or the five predefined entities only.',
    sip: 400,
  },
  INVALID_NAMESPACE_PREFIX: {
    text: 'operation {at} of the patch uses a namespace prefix that cannot be used here: {why}',
    remedy: 'Declare the prefix in the patch; do not add, change or remove one that is in use otherwise.',
    sip: 400,
  },
  INVALID_NAMESPACE_URI: {
    text: 'operation {at} of the patch has a namespace that cannot be used here: {why}',
    remedy: 'Give a namespace name that is not empty and not reserved, and is declared in the document.',
    sip: 400,
  },
  INVALID_NODE_TYPES: {
    text: 'operation {at} of the patch replaces one kind of node by another: {why}',
    remedy: 'Replace a node by exactly one node of its own kind.',
    sip: 400,
  },
  INVALID_PATCH_DIRECTIVE: {
    text: 'operation {at} of the patch cannot be carried out as it stands: {why}',
    remedy: 'Use add, replace and remove with the directives that their target allows.',
    sip: 400,
  },
  INVALID_ROOT_ELEMENT_OPERATION: {
    text: 'operation {at} of the patch would leave the document without exactly one root element: {why}',
    remedy: 'Replace the root element, or send the whole document.',
    sip: 400,
  },
  INVALID_XML_PROLOG_OPERATION: {
    text: 'operation {at} of the patch touches the prolog in a way that XML does not allow: {why}',
    remedy: 'Only comments and processing instructions may stand beside the root element.',
    sip: 400,
  },
  INVALID_WHITESPACE_DIRECTIVE: {
    text: 'operation {at} of the patch removes white space that is not there: {why}',
    remedy: 'Leave out the ws attribute, or apply the patch to the document that it was made for.',
    sip: 400,
  },
  UNLOCATED_NODE: {
    text: 'operation {at} of the patch does not select exactly one node: {why}',
    remedy: 'Apply the patch to the document that it was made for, or send the whole document.',
    sip: 400,
  },
  UNSUPPORTED_ID_FUNCTION: {
    text: 'operation {at} of the patch uses id(), which is not supported here: {why}',
    remedy: 'Select by an attribute predicate such as *[@id="x"].',
    sip: 400,
  },
  UNSUPPORTED_XML_ID: {
    text: 'operation {at} of the patch needs xml:id, which is not supported here: {why}',
    remedy: 'Select by an attribute predicate such as *[@xml:id="x"].',
    sip: 400,
  },
});

/** Name of one of the error conditions of RFC 5261. */
export type PatchCondition = keyof typeof patchErrors;
