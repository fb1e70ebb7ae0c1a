import type { Address } from './transport.ts';

/** An address as a socket tells it: IPv4 inside IPv6 (`::ffff:192.0.2.1`) is shown as IPv4. */
export function addressOf(host: string | undefined, port: number | undefined): Address {
  return { host: plainHost(host ?? ''), port: port ?? 0 };
}

export function plainHost(host: string): string {
  return host.startsWith('::ffff:') && host.includes('.') ? host.slice(7) : host;
}

/** `host:port`, IPv6 in brackets: the key of a table of flows, and what errors show. */
export function showAddress(address: Address): string {
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

/** Without the zone of a link-local address: it means something on this machine only (RFC 4007 §11.2). */
export function unscoped(host: string): string {
  const zone = host.indexOf('%');
  return zone < 0 ? host : host.slice(0, zone);
}
