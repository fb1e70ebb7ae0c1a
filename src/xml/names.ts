// NameStartChar and NameChar of XML 1.0 (fifth edition) §2.3, without the colon: NCName of Namespaces in XML §3.
const START =
  'A-Z_a-z\\u{C0}-\\u{D6}\\u{D8}-\\u{F6}\\u{F8}-\\u{2FF}\\u{370}-\\u{37D}\\u{37F}-\\u{1FFF}\\u{200C}-\\u{200D}' +
  '\\u{2070}-\\u{218F}\\u{2C00}-\\u{2FEF}\\u{3001}-\\u{D7FF}\\u{F900}-\\u{FDCF}\\u{FDF0}-\\u{FFFD}' +
  '\\u{10000}-\\u{EFFFF}';
const REST = `${START}\\-.0-9\\u{B7}\\u{300}-\\u{36F}\\u{203F}-\\u{2040}`;

/** Source of a regular expression (flag `u`) for an NCName. */
export const NCNAME = `[${START}][${REST}]*`;

const WHOLE = new RegExp(`^${NCNAME}$`, 'u');

/** Whether a text is an NCName, as a tuple id (xs:ID) has to be. */
export function isNcName(text: string): boolean {
  return WHOLE.test(text);
}

/** Characters that no XML 1.0 document can hold, not even as references (§2.2); lone surrogates among them. */
const NO_CHARACTER = /[\u{0}-\u{8}\u{B}\u{C}\u{E}-\u{1F}\u{FFFE}\u{FFFF}]|[\ud800-\udfff]/gu;

/** A text with every character that XML cannot hold replaced by U+FFFD. */
export function xmlSafe(text: string): string {
  return text.replace(NO_CHARACTER, '\uFFFD');
}
