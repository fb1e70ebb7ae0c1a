/** What a message may cost. Each bound is checked before anything of that size is allocated. */
export interface Limits {
  /** Start line and headers, in bytes, with the empty line. */
  readonly headBytes: number;
  /** Header lines. */
  readonly headers: number;
  /** Body bytes. */
  readonly body: number;
  /** Request-URI, in bytes. */
  readonly uri: number;
}

/** Wide enough for any UDP datagram (65,535 bytes) and for the documents of presence servers. */
export const defaultLimits: Limits = { headBytes: 65_536, headers: 512, body: 1_048_576, uri: 4_096 };
