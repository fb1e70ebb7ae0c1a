import type { decode } from '../im/encoding.ts';
import type { readPresence } from '../presence/read.ts';

/** What most agents never need, loaded when it is: every loaded module stays resident. */
export interface Later {
  /** Reads what the server made of a publication. */
  reader(): Promise<{ readonly readPresence: typeof readPresence }>;
  /** Undoes the encoding of a message. */
  decoder(): Promise<{ readonly decode: typeof decode }>;
}

export const later: Later = {
  reader: () => import('../presence/read.ts'),
  decoder: () => import('../im/encoding.ts'),
};
