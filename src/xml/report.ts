import type { CodedError } from '../base/errors.ts';
import { patchErrors } from './errors.ts';
import { elementsOf, type Scope, scopeWithin, XML_NS, type XmlElement } from './tree.ts';
import { escapeAttribute, writeXml } from './write.ts';

/** Media type of what `writePatchError` writes (RFC 5261 §10.2). */
export const PATCH_ERROR_TYPE = 'application/patch-ops-error+xml';
const PATCH_ERROR_NS = 'urn:ietf:params:xml:ns:patch-ops-error';

/** Conditions whose element may not hold the operation (RFC 5261 §9, type patch-error-simple). */
const SIMPLE: ReadonlySet<string> = new Set(['invalid-character-set', 'invalid-diff-format']);

/** Name of the error element of RFC 5261 §5.1 for a patch error; undefined for any other error. */
export function patchCondition(error: CodedError): string | undefined {
  const known = Object.values(patchErrors).some((one) => one.is(error));
  return known
    ? error.code
        .replace(/^PATCH_/, '')
        .toLowerCase()
        .replaceAll('_', '-')
    : undefined;
}

/**
 * The error document of RFC 5261 §5.1: the condition, a phrase for people, and the operation that failed.
 * @param patch root of the patch, where it could be read
 * @returns undefined when the error is none of the patch engine's
 */
export function writePatchError(error: CodedError, patch?: XmlElement): string | undefined {
  const named = patchCondition(error);
  if (named === undefined) return undefined;
  const at = Number(error.fields.at);
  const operation = patch === undefined || at < 1 ? undefined : elementsOf(patch)[at - 1];
  // Every other condition has to hold the operation; without one, all that can be said is that the patch is no good.
  const condition = operation === undefined && !SIMPLE.has(named) ? 'invalid-diff-format' : named;
  const phrase = ` phrase="${escapeAttribute(error.message)}"`;
  const start = `<?xml version="1.0"?><patch-ops-error xmlns="${PATCH_ERROR_NS}"><${condition}${phrase}`;
  if (operation === undefined || patch === undefined || SIMPLE.has(condition)) {
    return `${start}/></patch-ops-error>`;
  }
  return `${start}>${writeXml(carry(operation, patch), HERE)}</${condition}></patch-ops-error>`;
}

const HERE: Scope = new Map([['', PATCH_ERROR_NS]]);

/** An operation with the declarations of the patch on it, so that its selectors still mean what they meant. */
function carry(operation: XmlElement, patch: XmlElement): XmlElement {
  const scope = scopeWithin(scopeWithin(new Map([['', '']]), patch), operation);
  const declarations = [...scope].filter(([, ns]) => ns !== XML_NS).map(([prefix, ns]) => ({ prefix, ns }));
  return { ...operation, declarations };
}
