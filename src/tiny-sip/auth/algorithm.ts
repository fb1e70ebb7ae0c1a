import { createHash } from 'node:crypto';

/** Digest algorithms of RFC 8760, each also as a session variant. */
export type Algorithm = 'MD5' | 'SHA-256' | 'SHA-512-256';

/** What a challenge may name: the hash, or its session variant, whose key is bound to one nonce and cnonce. */
export type AlgorithmName = Algorithm | `${Algorithm}-sess`;

/** The names that node:crypto gives them. */
const hashes: Readonly<Record<Algorithm, string>> = {
  'SHA-512-256': 'sha512-256',
  'SHA-256': 'sha256',
  MD5: 'md5',
};

/** Every algorithm that is known here, strongest first. */
export const algorithms: readonly Algorithm[] = ['SHA-512-256', 'SHA-256', 'MD5'];

/** An `algorithm` parameter: the hash, and whether the session variant is meant. */
export interface NamedAlgorithm {
  readonly algorithm: Algorithm;
  readonly session: boolean;
}

/** Reads an `algorithm` parameter. Absent means MD5 (RFC 7616 §3.3); undefined: not known. */
export function readAlgorithm(name: string | undefined): NamedAlgorithm | undefined {
  if (name === undefined) return { algorithm: 'MD5', session: false };
  const upper = name.toUpperCase();
  const session = upper.endsWith('-SESS');
  const plain = session ? upper.slice(0, -5) : upper;
  for (const algorithm of algorithms) if (algorithm === plain) return { algorithm, session };
  return undefined;
}

/** H(data) of RFC 7616 §3.4.1: lower case hexadecimal. A string is wire text: one char, one byte. */
export function hash(algorithm: Algorithm, data: string | Buffer): string {
  const state = createHash(hashes[algorithm]);
  return (typeof data === 'string' ? state.update(data, 'latin1') : state.update(data)).digest('hex');
}

/**
 * H(A1) of RFC 7616 §3.4.2 without session: what a password file may hold instead of the password.
 * All three texts are Unicode.
 */
export function hashPassword(
  algorithm: Algorithm,
  username: string,
  realm: string,
  password: string,
): string {
  return hash(algorithm, Buffer.from(`${username}:${realm}:${password}`, 'utf8'));
}

/** H(A1) of a session variant (RFC 7616 §3.4.2), from that of the plain one. It lasts until the next challenge. */
export function sessionKey(algorithm: Algorithm, ha1: string, nonce: string, cnonce: string): string {
  return hash(algorithm, `${ha1}:${nonce}:${cnonce}`);
}

/** What goes into a response value besides the password; all wire text. */
export interface DigestInput {
  readonly algorithm: Algorithm;
  /** `-sess`: A1 is bound to the first nonce and cnonce (RFC 7616 §3.4.2). */
  readonly session: boolean;
  readonly ha1: string;
  readonly nonce: string;
  readonly method: string;
  readonly uri: string;
  readonly body: Buffer;
  /** Absent: the RFC 2069 form, for servers that send no qop. */
  readonly qop: 'auth' | 'auth-int' | undefined;
  readonly nc: string;
  readonly cnonce: string;
}

/** The `response` value of RFC 7616 §3.4.1. */
export function digestResponse(input: DigestInput): string {
  const { algorithm, nonce, cnonce, qop } = input;
  const ha1 = input.session ? sessionKey(algorithm, input.ha1, nonce, cnonce) : input.ha1;
  const a2 = `${input.method}:${input.uri}`;
  // RFC 8760 §2.6 rule 7: without a body the hash of the empty string.
  const ha2 = hash(algorithm, qop === 'auth-int' ? `${a2}:${hash(algorithm, input.body)}` : a2);
  return hash(
    algorithm,
    qop === undefined ? `${ha1}:${nonce}:${ha2}` : `${ha1}:${nonce}:${input.nc}:${cnonce}:${qop}:${ha2}`,
  );
}
