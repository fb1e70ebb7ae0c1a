import type { Clock } from '../deps.ts';
import type { Limits } from '../message/limits.ts';
import type { Address, Protocol, Transport } from './transport.ts';

/** What happens to one packet: the delays (ms) of its copies. [] loses it, [0, 0] doubles it. */
export type Fate = (packet: {
  readonly from: Address;
  readonly to: Address;
  readonly bytes: Buffer;
  readonly number: number;
}) => readonly number[];

export interface MemoryOptions {
  /** What the flows say they are; `udp` makes them unreliable. Default `memory`, reliable. */
  readonly protocol?: Protocol | undefined;
  /** Only for unreliable networks. Delays need a clock. */
  readonly fate?: Fate | undefined;
  readonly limits?: Partial<Limits> | undefined;
}

export interface MemoryNetwork {
  transport(local: Address): Transport;
}

/** Transports that reach each other inside this process. */
export function createMemoryNetwork(_deps: { clock: Clock }, _options?: MemoryOptions): MemoryNetwork {
  throw new Error('not built yet');
}
