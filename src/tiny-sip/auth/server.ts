import type { Clock, Random } from '../deps.ts';
import type { SipRequest } from '../message/message.ts';
import type { Algorithm } from './algorithm.ts';
import type { PasswordHashes } from './client.ts';

/** What the owner knows of a user: the password, or hashes of it. */
export type UserSecret = { readonly password: string } | { readonly ha1: PasswordHashes };

export interface DigestServerOptions {
  readonly realm: string;
  /** Challenges in this order, the preferred first (RFC 8760 §2.4). Default SHA-256 then MD5. */
  readonly algorithms?: readonly Algorithm[];
  readonly lookup: (username: string, realm: string) => UserSecret | undefined;
  /** How long a nonce is good for, ms. Default 300,000. */
  readonly nonceLife?: number;
  /** Offer `auth-int` too. Default false. */
  readonly integrity?: boolean;
  /** Nonces whose counts are remembered. Beyond it the oldest are forgotten and challenged anew. Default 10,000. */
  readonly nonces?: number;
  /** Wrong passwords per user and source address within `failureWindow` before 403 without a look. Default 10. */
  readonly failures?: number;
  /** ms. Default 60,000. */
  readonly failureWindow?: number;
}

export type DigestVerdict =
  | {
      readonly ok: true;
      readonly user: string;
      readonly headers: Readonly<Record<string, readonly string[]>>;
    }
  | {
      readonly ok: false;
      /** 401 or 407 with challenges; 400 malformed credentials; 403 too many failures. */
      readonly status: 400 | 401 | 403 | 407;
      readonly reason: string;
      readonly headers: Readonly<Record<string, readonly string[]>>;
      /** Why, for the log: `none`, `stale`, `replay`, `wrong`, `unknown`, `malformed`, `limited`. */
      readonly cause: 'none' | 'stale' | 'replay' | 'wrong' | 'unknown' | 'malformed' | 'limited';
    };

export interface DigestServer {
  /** Checks the credentials of a request. `proxy`: Proxy-Authorization and 407. `source`: who is counted for failures. */
  check(request: SipRequest, options?: { readonly proxy?: boolean; readonly source?: string }): DigestVerdict;
  counts(): Record<string, number>;
}

export declare function createDigestServer(
  deps: { readonly clock: Clock; readonly random: Random },
  options: DigestServerOptions,
): DigestServer;
