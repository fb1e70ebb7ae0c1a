import { createSocket, type Socket } from 'node:dgram';
import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import { canonicalHost, plainHost } from './address.ts';
import type { Address } from './transport.ts';

/** The part of node:dgram that is used; tests put failing ones in its place. */
export type Datagrams = (options: {
  type: 'udp4' | 'udp6';
  lookup: (
    host: string,
    options: unknown,
    done: (error: Error | null, address: string, family: number) => void,
  ) => void;
  recvBufferSize?: number;
  ipv6Only?: boolean;
}) => Socket;

/** In place of dns.lookup: addresses only. */
export function literalOnly(
  host: string,
  _options: unknown,
  done: (error: Error | null, address: string, family: number) => void,
): void {
  const family = isIP(host);
  done(family === 0 ? new Error(`${host} is no IP address`) : null, host, family === 0 ? 4 : family);
}

/**
 * The own address that the system would use towards a peer: that of a socket connected to it. Sends nothing. Undefined
 * when there is no way to it.
 */
export function localTowards(
  remote: Address,
  datagrams: Datagrams = (options) => createSocket(options),
): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = datagrams({ type: remote.host.includes(':') ? 'udp6' : 'udp4', lookup: literalOnly });
    const done = (host: string | undefined): void => {
      socket.close();
      resolve(host);
    };
    socket.once('error', () => done(undefined));
    try {
      socket.connect(remote.port === 0 ? 5060 : remote.port, remote.host, () =>
        done(plainHost(socket.address().address)),
      );
    } catch {
      // A port that is none.
      done(undefined);
    }
  });
}

/** The addresses of this machine on links that are up; undefined when the system does not tell. */
export function localAddresses(): readonly string[] | undefined {
  try {
    return Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map((one) => one.address));
  } catch {
    return undefined;
  }
}

/** What a machine lost of its addresses since the start. */
export interface AddressBook {
  /** Looks again: the addresses that were there once and are not now. */
  gone(): ReadonlySet<string>;
}

export function createAddressBook(list: () => readonly string[] | undefined): AddressBook {
  const known = new Set<string>();
  const missing = new Set<string>();
  return {
    gone() {
      const present = list();
      if (present === undefined) return missing;
      const now = new Set(present.map((one) => canonicalHost(one.split('%')[0] ?? one)));
      for (const one of known) {
        if (now.has(one)) continue;
        known.delete(one);
        missing.add(one);
      }
      for (const one of now) {
        known.add(one);
        missing.delete(one);
      }
      // IPv6 privacy addresses come and go for years; what left long ago has no flow any more.
      for (const oldest of missing) {
        if (missing.size <= MOST_MISSING) break;
        missing.delete(oldest);
      }
      return missing;
    },
  };
}

const MOST_MISSING = 256;
