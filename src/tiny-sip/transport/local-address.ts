import { createSocket, type Socket } from 'node:dgram';
import { networkInterfaces } from 'node:os';
import type { Clock } from '../deps.ts';
import { ipFamily } from '../message/ip.ts';
import { canonicalHost, plainHost, unscoped } from './address.ts';
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

type Lookup = Parameters<Datagrams>[0]['lookup'];

/** In place of dns.lookup: addresses only. The one that is asked for again, as behind one proxy, is known at once. */
export function createLiteralLookup(): Lookup {
  let known = '';
  let knownFamily = 0;
  return (host, _options, done) => {
    if (host !== known) {
      const family = ipFamily(host);
      if (family === 0) {
        done(new Error(`${host} is no IP address`), host, 4);
        return;
      }
      known = host;
      knownFamily = family;
    }
    done(null, host, knownFamily);
  };
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
    const socket = datagrams({
      type: remote.host.includes(':') ? 'udp6' : 'udp4',
      lookup: createLiteralLookup(),
    });
    const done = (host: string | undefined): void => {
      socket.close();
      resolve(host);
    };
    socket.once('error', () => done(undefined));
    // As events: a callback would be called for an error too.
    socket.once('connect', () => done(plainHost(socket.address().address)));
    try {
      socket.connect(remote.port === 0 ? 5060 : remote.port, remote.host);
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

/** How long a list of addresses is taken for the present one, ms: asking for it takes longer than sending. */
const LIST_FRESH = 200;

/** Whether this machine has an address, asked for every message. Where nobody can tell, it has. */
export function createPresence(
  clock: Pick<Clock, 'now'>,
  list: () => readonly string[] | undefined,
): (host: string) => boolean {
  let known: ReadonlySet<string> | undefined;
  let at = Number.NEGATIVE_INFINITY;
  return (host) => {
    const now = clock.now();
    if (now - at >= LIST_FRESH) {
      const found = list();
      known = found && new Set(found.map((one) => canonicalHost(unscoped(one))));
      at = now;
    }
    return known?.has(canonicalHost(unscoped(host))) ?? true;
  };
}

/** What became of a machine's addresses. */
export interface AddressChange {
  /** Those that were there once and are not now. */
  readonly gone: ReadonlySet<string>;
  /** Whether there is one that was not there when it was last looked. */
  readonly appeared: boolean;
}

export interface AddressBook {
  /** Looks again. */
  look(): AddressChange;
}

export function createAddressBook(list: () => readonly string[] | undefined): AddressBook {
  const known = new Set<string>();
  const gone = new Set<string>();
  return {
    look() {
      const present = list();
      if (present === undefined) return { gone, appeared: false };
      const now = new Set(present.map((one) => canonicalHost(unscoped(one))));
      let appeared = false;
      for (const one of known) {
        if (now.has(one)) continue;
        known.delete(one);
        gone.add(one);
      }
      for (const one of now) {
        appeared ||= !known.has(one);
        known.add(one);
        gone.delete(one);
      }
      // IPv6 privacy addresses come and go for years; what left long ago has no flow any more.
      for (const oldest of gone) {
        if (gone.size <= MOST_GONE) break;
        gone.delete(oldest);
      }
      return { gone, appeared };
    },
  };
}

const MOST_GONE = 256;
