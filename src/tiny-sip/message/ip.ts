import { isIPv4 } from 'node:net';

/**
 * Whether a host is an IP literal, and of which family: 4, 6 (without brackets, perhaps with a zone), or 0 for a name.
 *
 * As `net.isIP` says, without its pattern for IPv6: where Node compiles nothing, that pattern alone takes 100 KB from
 * the first look at any name or IPv6 address on, and is slow.
 */
export function ipFamily(host: string): 0 | 4 | 6 {
  if (!host.includes(':')) return isIPv4(host) ? 4 : 0;
  const zone = host.indexOf('%');
  if (zone >= 0 && !/^%[0-9a-zA-Z.:-]+$/.test(host.slice(zone))) return 0;
  const address = zone < 0 ? host : host.slice(0, zone);
  // The parser of URLs takes an address in brackets apart; what else a URL could hold there is kept away from it.
  return /^[0-9a-fA-F:.]+$/.test(address) && URL.canParse(`http://[${address}]`) ? 6 : 0;
}
