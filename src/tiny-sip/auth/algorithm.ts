import { createHash } from 'node:crypto';

/** Digest algorithms of RFC 8760, each also as a session variant. */
export type Algorithm = 'MD5' | 'SHA-256' | 'SHA-512-256';

/** Algorithms, strongest first, with the name node:crypto gives them. */
const hashes: Readonly<Record<Algorithm, string>> = {
  'SHA-512-256': 'sha512-256',
  'SHA-256': 'sha256',
  MD5: 'md5',
};

/** Every algorithm that this implementation knows. */
export const algorithms: readonly Algorithm[] = ['SHA-512-256', 'SHA-256', 'MD5'];

/** An algorithm parameter, split into the hash and whether the session variant is meant. */
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

/** H(data) of RFC 7616 §3.4.1: lower case hexadecimal. */
export function hash(algorithm: Algorithm, data: string | Buffer): string {
  return createHash(hashes[algorithm]).update(data).digest('hex');
}

/** H(A1) of RFC 7616 §3.4.2 for the plain variant: what a password file may hold instead of the password. */
export function hashPassword(
  algorithm: Algorithm,
  username: string,
  realm: string,
  password: string,
): string {
  return hash(algorithm, `${username}:${realm}:${password}`);
}
