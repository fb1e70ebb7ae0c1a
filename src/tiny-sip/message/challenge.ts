/** A challenge or credentials: scheme and parameters (RFC 3261 §25: WWW-Authenticate, Authorization, …). */
export interface Challenge {
  /** As on the wire; compare without case. */
  readonly scheme: string;
  /** Names in lower case, values unquoted. */
  readonly params: ReadonlyMap<string, string>;
}

/** Reads one header line. Throws SipSyntaxError. */
export function parseChallenge(_text: string): Challenge {
  throw new Error('not built yet');
}

/** Every challenge of a header line; some servers put several on one line, though §7.3.1 forbids it. */
export function parseChallenges(_text: string): readonly Challenge[] {
  throw new Error('not built yet');
}

/** Writes it; what RFC 7616 wants quoted is quoted, the rest (algorithm, qop in credentials, nc, stale) not. */
export function formatChallenge(
  _scheme: string,
  _params: Readonly<Record<string, string | undefined>>,
  _kind: 'challenge' | 'credentials',
): string {
  throw new Error('not built yet');
}

/** Authentication-Info: `name=value` pairs without a scheme, values unquoted. */
export function parseAuthInfo(_text: string): ReadonlyMap<string, string> {
  throw new Error('not built yet');
}
