import { ipFamily } from '../message/ip.ts';
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

/**
 * Whether two hosts are the same address: IPv6 is written in more than one way (`2001:db8::1`, `2001:DB8:0:0::1`), and
 * IPv4 inside IPv6 is IPv4.
 */
export function sameHost(one: string, other: string): boolean {
  return one === other || canonicalHost(one) === canonicalHost(other);
}

/** RFC 5952: the one way in which to write an IPv6 address. Anything else only loses its upper case. */
export function canonicalHost(host: string): string {
  const bare = host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host;
  if (ipFamily(bare) !== 6) return bare.toLowerCase();
  // A zone (`fe80::1%eth0`) is no part of the address, but says which of its networks is meant.
  const [address = '', zone] = bare.split('%');
  const short = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const mapped = /^::ffff:([\da-f]{1,4}):([\da-f]{1,4})$/.exec(short);
  if (mapped === null) return zone === undefined ? short : `${short}%${zone}`;
  const [high, low] = [Number.parseInt(mapped[1] ?? '0', 16), Number.parseInt(mapped[2] ?? '0', 16)];
  return [high >> 8, high & 255, low >> 8, low & 255].join('.');
}

/** Without the zone of a link-local address: it means something on this machine only (RFC 4007 §11.2). */
export function unscoped(host: string): string {
  const zone = host.indexOf('%');
  return zone < 0 ? host : host.slice(0, zone);
}

/** Whom a connection is counted for: an IPv4 address, or a /64 of IPv6, of which anybody has a whole one. */
export function sourceOf(host: string): string {
  if (ipFamily(host) !== 6) return host;
  const [head = '', tail = ''] = canonicalHost(host).split('%')[0]?.split('::') ?? [];
  const left = head === '' ? [] : head.split(':');
  const right = tail === '' ? [] : tail.split(':');
  const missing = Math.max(0, 8 - left.length - right.length);
  return [...left, ...Array<string>(missing).fill('0'), ...right].slice(0, 4).join(':');
}
