import { randomBytes } from 'node:crypto';

/** The only source of randomness. */
export interface Random {
  /** `count` unpredictable bytes. */
  bytes(count: number): Uint8Array;
  /** A number in [0, 1), for jitter; not for secrets. */
  float(): number;
}

/** The randomness of the machine. */
export function createSystemRandom(): Random {
  return { bytes: (count) => randomBytes(count), float: () => Math.random() };
}
