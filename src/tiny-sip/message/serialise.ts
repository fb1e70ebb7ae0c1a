import type { SipMessage } from './message.ts';

export interface SerialiseOptions {
  /** Registered one-letter header names. */
  readonly compact?: boolean | undefined;
}

/** The bytes. Content-Length is computed. Throws SipSyntaxError rather than write CR, LF or NUL in a value. */
export function serialise(_message: SipMessage, _options?: SerialiseOptions): Buffer {
  throw new Error('not built yet');
}
