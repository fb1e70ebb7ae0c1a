import type { Clock, Log, Random } from '../deps.ts';
import type { Limits } from '../message/limits.ts';
import type { Transport } from './transport.ts';

export interface StreamOptions {
  readonly limits?: Partial<Limits> | undefined;
  readonly maxConnections?: number | undefined;
  /** Milliseconds without a byte in either direction before a connection is closed; keep-alive counts. */
  readonly idle?: number | undefined;
  /** Milliseconds for the connection to be made. */
  readonly connectTimeout?: number | undefined;
  /** Bytes that may wait for a slow reader. */
  readonly queueBytes?: number | undefined;
}

export type TcpOptions = StreamOptions &
  ({ readonly listen?: true; readonly host: string; readonly port: number } | { readonly listen: false });

export function createTcpTransport(
  _deps: { clock: Clock; log: Log; random: Random },
  _options: TcpOptions,
): Transport {
  throw new Error('not built yet');
}
