/** SIP-date (RFC 3261 §20.17), always GMT, to milliseconds since 1970. Undefined when it is no date. */
export function parseDate(_text: string): number | undefined {
  throw new Error('not built yet');
}

export function formatDate(_wall: number): string {
  throw new Error('not built yet');
}
