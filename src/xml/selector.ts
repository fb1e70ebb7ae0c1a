import { NCNAME } from './names.ts';

/** A name in a selector: its prefix is looked up in the patch, never in the document (RFC 5261 §4.2.1). */
export interface SelectorName {
  readonly prefix: string;
  readonly local: string;
}

export type Predicate =
  | { readonly kind: 'position'; readonly position: number }
  | { readonly kind: 'attribute'; readonly name: SelectorName; readonly value: string }
  | { readonly kind: 'child'; readonly name: SelectorName; readonly value: string }
  | { readonly kind: 'self'; readonly value: string };

/** `*` where `name` is absent. */
export interface ElementStep {
  readonly kind: 'element';
  readonly name?: SelectorName;
  readonly predicates: readonly Predicate[];
}

/** What the last step of a selector may select beside elements. */
export type LeafStep =
  | { readonly kind: 'text' | 'comment'; readonly position?: number }
  | { readonly kind: 'instruction'; readonly target?: string; readonly position?: number }
  | { readonly kind: 'attribute'; readonly name: SelectorName }
  | { readonly kind: 'namespace'; readonly prefix: string };

/** A selector read: `id("x")` or the document's root node, then elements, then perhaps a leaf. */
export interface Selector {
  readonly id?: string;
  readonly steps: readonly ElementStep[];
  readonly leaf?: LeafStep;
}

const QNAME = new RegExp(`(?:(${NCNAME}):)?(${NCNAME})`, 'uy');
const INSTRUCTION = new RegExp(`processing-instruction\\((?:'(${NCNAME})'|"(${NCNAME})")?\\)`, 'uy');
const ID = new RegExp(`id\\((?:'(${NCNAME})'|"(${NCNAME})")?\\)`, 'uy');
const NAMESPACE = new RegExp(`namespace::(${NCNAME})`, 'uy');
const LEAF_TEST = /(text|comment)\(\)/uy;
const POSITION = /\[(\d{1,9})\]/uy;
const LITERAL = /'([^']*)'|"([^"]*)"/uy;

/**
 * Reads a selector of the grammar of RFC 5261 §8, which is a small part of XPath 1.0: nothing else is let through, so
 * a patch cannot smuggle in an expression (§11).
 * @returns the selector, or undefined when the text is none
 */
export function parseSelector(text: string): Selector | undefined {
  let at = 0;
  const take = (pattern: RegExp): RegExpExecArray | undefined => {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (match === null) return undefined;
    at = pattern.lastIndex;
    return match;
  };
  const skip = (token: string): boolean => {
    if (!text.startsWith(token, at)) return false;
    at += token.length;
    return true;
  };
  const position = (): { position?: number } => {
    const match = take(POSITION);
    return match === undefined ? {} : { position: Number(match[1]) };
  };

  const leaf = (): LeafStep | undefined => {
    const test = take(LEAF_TEST);
    if (test !== undefined) return { kind: test[1] === 'text' ? 'text' : 'comment', ...position() };
    const instruction = take(INSTRUCTION);
    if (instruction !== undefined) {
      const target = instruction[1] ?? instruction[2];
      return { kind: 'instruction', ...(target === undefined ? {} : { target }), ...position() };
    }
    const namespace = take(NAMESPACE);
    if (namespace !== undefined) return { kind: 'namespace', prefix: namespace[1] ?? '' };
    if (!skip('@')) return undefined;
    const name = take(QNAME);
    return name === undefined ? undefined : { kind: 'attribute', name: nameOf(name) };
  };

  const predicate = (): Predicate | undefined => {
    const whole = take(POSITION);
    if (whole !== undefined) return { kind: 'position', position: Number(whole[1]) };
    if (!skip('[')) return undefined;
    const attribute = skip('@');
    const self = !attribute && skip('.');
    const name = self ? undefined : take(QNAME);
    if (!self && name === undefined) return undefined;
    if (!skip('=')) return undefined;
    const literal = take(LITERAL);
    if (literal === undefined || !skip(']')) return undefined;
    const value = literal[1] ?? literal[2] ?? '';
    if (name === undefined) return { kind: 'self', value };
    return { kind: attribute ? 'attribute' : 'child', name: nameOf(name), value };
  };

  const step = (): ElementStep | undefined => {
    const name = skip('*') ? undefined : take(QNAME);
    if (name === undefined && text[at - 1] !== '*') return undefined;
    const predicates: Predicate[] = [];
    while (text[at] === '[') {
      const next = predicate();
      if (next === undefined) return undefined;
      predicates.push(next);
    }
    return { kind: 'element', ...(name === undefined ? {} : { name: nameOf(name) }), predicates };
  };

  skip('/');
  const steps: ElementStep[] = [];
  const start = take(ID);
  const id = start === undefined ? {} : { id: start[1] ?? start[2] ?? '' };
  if (start !== undefined) {
    if (at === text.length) return { ...id, steps };
    if (!skip('/')) return undefined;
  }
  for (;;) {
    const last = leaf();
    if (last !== undefined) return at === text.length ? { ...id, steps, leaf: last } : undefined;
    const next = step();
    if (next === undefined) return undefined;
    steps.push(next);
    if (at === text.length) return { ...id, steps };
    if (!skip('/')) return undefined;
  }
}

const TYPE = new RegExp(`^(?:@(?:(${NCNAME}):)?(${NCNAME})|namespace::(${NCNAME}))$`, 'u');

/** The `type` of an `<add>`: the attribute or the namespace prefix to add (RFC 5261 §4.3). */
export function parseAddType(
  text: string,
): { kind: 'attribute'; name: SelectorName } | { kind: 'namespace'; prefix: string } | undefined {
  const match = TYPE.exec(text);
  if (match === null) return undefined;
  const [, prefix = '', local, declared] = match;
  if (local !== undefined) return { kind: 'attribute', name: { prefix, local } };
  return { kind: 'namespace', prefix: declared ?? '' };
}

function nameOf(match: RegExpExecArray): SelectorName {
  return { prefix: match[1] ?? '', local: match[2] ?? '' };
}
