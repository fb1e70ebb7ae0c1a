import type { Clock, Log } from '../deps.ts';
import type { Limits } from '../message/limits.ts';
import type { Transport } from './transport.ts';

export interface UdpOptions {
  readonly host: string;
  readonly port: number;
  readonly limits?: Partial<Limits> | undefined;
  /** Remote addresses remembered; the least recently used is forgotten. */
  readonly maxFlows?: number | undefined;
}

export function createUdpTransport(_deps: { clock: Clock; log: Log }, _options: UdpOptions): Transport {
  throw new Error('not built yet');
}
