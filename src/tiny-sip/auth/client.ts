import type { Random } from '../deps.ts';
import type { SipRequest, SipResponse } from '../message/message.ts';
import type { Algorithm } from './algorithm.ts';

/** Hashes of one user's password in one realm, by algorithm. */
export type PasswordHashes = Readonly<Partial<Record<Algorithm, string>>>;

/** Who we are towards a realm: a password, or the hashes of one (then `realm` must be given). */
export interface DigestCredentials {
  readonly username: string;
  readonly password?: string;
  readonly ha1?: PasswordHashes;
  /** Answer this realm only. Absent: any realm that challenges. */
  readonly realm?: string;
}

/** Answers digest challenges and remembers nonces, so that later requests carry credentials at once. */
export interface DigestClient {
  /** Adds Authorization and Proxy-Authorization from what is remembered for this server. */
  authorize(request: SipRequest): void;
  /**
   * Learns from a 401 or 407. True: `authorize` on a fresh copy of the request has new credentials to offer;
   * false: no challenge that can be answered (unknown algorithm, realm, or none at all).
   */
  challenged(request: SipRequest, response: SipResponse): boolean;
  /** Learns nextnonce from (Proxy-)Authentication-Info of a 2xx. */
  learn(request: SipRequest, response: SipResponse): void;
}

export declare function createDigestClient(
  deps: { readonly random: Random },
  credentials: DigestCredentials | readonly DigestCredentials[],
): DigestClient;
