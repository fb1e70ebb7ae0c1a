import { SipSyntaxError } from '../errors.ts';

/** tel URIs (RFC 3966): the grammar of numbers and of the parameters that it defines, and what makes two the same. */

/** The part of a parsed URI that matters here; `user` is the number, parameter names are in lower case. */
export interface TelParts {
  readonly user?: string;
  readonly params: ReadonlyMap<string, string>;
}

const SEPARATORS = /[-.()]/g;
/** `"+" *phonedigit DIGIT *phonedigit`, told apart from separators alone by the digit. */
const GLOBAL = /^\+[-.()]*\d[-.()\d]*$/;
/** `*phonedigit-hex (HEXDIG / "*" / "#") *phonedigit-hex`; `#` comes escaped as well, since other URIs end there. */
const LOCAL = /^[-.()]*(?:[0-9A-Fa-f*#]|%23)(?:[-.()0-9A-Fa-f*#]|%23)*$/;
/** domainname: labels of letters, digits and hyphens, the last one beginning with a letter. */
const DOMAIN = /^(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)*[A-Za-z](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.?$/;
const EXTENSION = /^[-.()]*\d[-.()\d]*$/;
const NAME = /^[A-Za-z0-9-]+$/;
/** pvalue; that of isub may have any character of a URI. */
const VALUE = /^[A-Za-z0-9\-_.!~*'()[\]/:&+$%]*$/;

/** Checks what follows `tel:` in `text`: the number, which ends at `stop`, and the parameters, each after a `;`. */
export function checkTel(text: string, from: number, stop: number): void {
  const number = text.slice(from, stop);
  if (!GLOBAL.test(number) && !LOCAL.test(number))
    throw new SipSyntaxError('uri', 'a tel URI without a number');
  if (stop === text.length) return;
  const seen = new Set<string>();
  for (const pair of text.slice(stop + 1).split(';')) {
    const equals = pair.indexOf('=');
    const name = (equals < 0 ? pair : pair.slice(0, equals)).toLowerCase();
    const value = equals < 0 ? undefined : pair.slice(equals + 1);
    if (!NAME.test(name) || value === '')
      throw new SipSyntaxError('uri', 'a tel URI with a malformed parameter');
    if (value?.includes('#') || (name !== 'isub' && !VALUE.test(value ?? '')))
      throw new SipSyntaxError('uri', `a tel URI whose ${name} has a character that it cannot have`);
    if (seen.has(name)) throw new SipSyntaxError('uri', `a tel URI with two parameters ${name}`);
    seen.add(name);
    if (name === 'phone-context' && !(GLOBAL.test(value ?? '') || DOMAIN.test(value ?? '')))
      throw new SipSyntaxError('uri', 'a phone-context that is neither a number nor a domain');
    if (name === 'ext' && !EXTENSION.test(value ?? ''))
      throw new SipSyntaxError('uri', 'a telephone extension that is no number');
  }
  // RFC 3966 §5.3: at most one of them.
  if (seen.has('ext') && seen.has('isub')) throw new SipSyntaxError('uri', 'a tel URI with ext and isub');
}

/** Whether the number is the same wherever one dials it: `+` and digits. Others mean something in their context only. */
export function isGlobalNumber(number: string): boolean {
  return number.startsWith('+');
}

/**
 * Throws when a local number lacks its context (RFC 3966 §5.1.5). Only for what is written: on the wire there are many
 * that lack it.
 */
export function checkContext({ user = '', params }: TelParts): void {
  if (!isGlobalNumber(user) && !params.has('phone-context'))
    throw new SipSyntaxError('uri', 'a local telephone number without phone-context');
}

/**
 * The same text for all equal tel URIs, and different ones for all others (RFC 3966 §4): separators do not count, nor
 * does case or the order of parameters, but every parameter counts.
 */
export function telKey({ user = '', params }: TelParts): string {
  const parts = [...params].map(
    ([name, value]) => `;${name}${value === '' ? '' : `=${paramKey(name, value)}`}`,
  );
  return `${digits(user)}${parts.sort().join('')}`;
}

function paramKey(name: string, value: string): string {
  if (name === 'ext') return digits(value);
  if (name !== 'phone-context') return decoded(value).toLowerCase();
  return isGlobalNumber(value) ? digits(value) : value.toLowerCase().replace(/\.$/, '');
}

function digits(number: string): string {
  return number.replaceAll('%23', '#').replace(SEPARATORS, '').toLowerCase();
}

/** `%HH` of unreserved characters undone, others in upper case. */
function decoded(value: string): string {
  return value.replace(/%([0-9A-Fa-f]{2})/g, (whole, hex: string) => {
    const char = String.fromCharCode(Number.parseInt(hex, 16));
    return /[A-Za-z0-9\-_.!~*'()]/.test(char) ? char : whole.toUpperCase();
  });
}
