import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Clock, Random } from '../deps.ts';
import { detach } from '../message/text.ts';

export interface NonceOptions {
  /** ms. */
  readonly life: number;
  /** Nonces whose counts are remembered. */
  readonly capacity: number;
  /** What they are good for besides this process: the realm. */
  readonly bind: string;
}

export interface Nonces {
  /** A new nonce. Nothing is remembered of it until it is used. */
  issue(): string;
  /** True when this process made it, whatever its age. */
  issued(nonce: string): boolean;
  /**
   * Spends one count of a nonce. `stale`: not ours, too old, or forgotten; `replay`: this count was used.
   * Without a count (clients that know no qop) a nonce is good once. `cnonce`: what a session variant is bound to.
   */
  use(nonce: string, count: number | undefined, cnonce?: string): 'fresh' | 'stale' | 'replay';
  /** The cnonce that the nonce was first used with, where a session variant was. */
  cnonceOf(nonce: string): string | undefined;
  /** A nonce to go on with when this one nears its end. */
  successor(nonce: string): string | undefined;
  readonly size: number;
}

/** Time and salt, four bytes each, and the proof: 24 characters in all, since each request repeats them. */
const headBytes = 8;
const macBytes = 10;

/** Nonces tell their age to this many ms. */
const grain = 100;

/** Counts that may arrive out of order; anything older than this behind the highest is taken for a replay. */
const span = 32;

interface Use {
  readonly made: number;
  readonly cnonce: string | undefined;
  highest: number;
  /** Bit n: the count `highest - n` was used. */
  seen: number;
}

/** Nonces that carry their own proof (time, salt, HMAC), so that challenges cost no memory. */
export function createNonces(
  deps: { readonly clock: Clock; readonly random: Random },
  options: NonceOptions,
): Nonces {
  const secret = deps.random.bytes(32);
  /** In the order of first use. */
  const uses = new Map<string, Use>();
  /** Nonces made before this are stale: what was known of some of them has been forgotten. */
  let floor = Number.NEGATIVE_INFINITY;

  const sign = (head: Buffer): Buffer =>
    createHmac('sha256', secret).update(head).update(options.bind).digest().subarray(0, macBytes);

  const read = (nonce: string): number | undefined => {
    const bytes = Buffer.from(nonce, 'base64url');
    // Decoding passes over what is no base64: each nonce has one spelling, or the table would know it by several.
    if (bytes.length !== headBytes + macBytes || bytes.toString('base64url') !== nonce) return undefined;
    const head = bytes.subarray(0, headBytes);
    if (!timingSafeEqual(sign(head), bytes.subarray(headBytes))) return undefined;
    return head.readUInt32BE() * grain;
  };

  const forget = (now: number): void => {
    for (const [nonce, use] of uses) {
      if (now - use.made <= options.life && uses.size <= options.capacity) break;
      uses.delete(nonce);
      floor = Math.max(floor, use.made);
    }
  };

  const issue = (): string => {
    const head = Buffer.from(deps.random.bytes(headBytes));
    head.writeUInt32BE(Math.floor(deps.clock.now() / grain) % 2 ** 32);
    return Buffer.concat([head, sign(head)]).toString('base64url');
  };

  return {
    issue,
    issued: (nonce) => read(nonce) !== undefined,
    use(nonce, count, cnonce) {
      const made = read(nonce);
      const now = deps.clock.now();
      if (made === undefined || now - made > options.life) return 'stale';
      const known = uses.get(nonce);
      if (known === undefined) {
        if (made <= floor) return 'stale';
        // A first use far from 1 is no replay, but leaves no room to notice the ones before it.
        uses.set(detach(nonce), {
          made,
          highest: count ?? 0xffffffff,
          seen: 1,
          cnonce: cnonce === undefined ? undefined : detach(cnonce),
        });
        forget(now);
        return 'fresh';
      }
      if (count === undefined) return 'stale';
      const ahead = count - known.highest;
      if (ahead > 0) {
        known.seen = ahead >= span ? 1 : ((known.seen << ahead) | 1) >>> 0;
        known.highest = count;
        return 'fresh';
      }
      const bit = 2 ** -ahead;
      if (-ahead >= span || (known.seen & bit) !== 0) return 'replay';
      known.seen = (known.seen | bit) >>> 0;
      return 'fresh';
    },
    cnonceOf: (nonce) => uses.get(nonce)?.cnonce,
    successor(nonce) {
      const made = read(nonce);
      const use = uses.get(nonce);
      if (made === undefined || use === undefined) return undefined;
      const old = deps.clock.now() - made > options.life * 0.75;
      return old || use.highest > 0xfffffff0 ? issue() : undefined;
    },
    get size() {
      return uses.size;
    },
  };
}
