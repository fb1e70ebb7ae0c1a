import type { Protocol } from '../message/protocol.ts';

/** Where a message can be sent. */
export interface Target {
  /** The transport to send by. */
  readonly protocol: Protocol;
  /** An IP literal, IPv6 without brackets; a link-local one with its zone (`fe80::1%eth0`). */
  readonly host: string;
  /** Port of that host. */
  readonly port: number;
  /** The domain that was asked for: what a certificate must name (RFC 5922). */
  readonly name: string;
}
