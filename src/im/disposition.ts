/** Bodies that tell about other messages: accepted, never read as text, never answered. */
const TELLING: ReadonlySet<string> = new Set([
  // RFC 5438
  'message/imdn+xml',
  // RFC 3994
  'application/im-iscomposing+xml',
]);

/** Whether a content of this type (`type/subtype`, lower case) tells about a message instead of being one. */
export function isTelling(contentType: string): boolean {
  return TELLING.has(contentType);
}
