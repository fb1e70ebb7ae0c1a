import { canonicalHost, showAddress, sourceOf } from './address.ts';
import { proves } from './certificate.ts';
import type { StreamFlow } from './stream-flow.ts';
import type { Address } from './transport.ts';

/** The connections of one transport, and which of them may be used for whom. */
export interface Pool {
  readonly size: number;
  add(flow: StreamFlow): void;
  remove(flow: StreamFlow): void;
  all(): IterableIterator<StreamFlow>;
  /** The connection that may carry what is meant for that name at that address. */
  find(remote: Address, name: string): StreamFlow | undefined;
  /** A certificate was verified, or the other side told where else it listens (RFC 5923 §8.2). */
  alias(flow: StreamFlow, remote: Address): void;
  /** How many connections that source opened. */
  fromSource(host: string): number;
  /** Of those, the one that was quiet longest and on which nobody relies; `since`: it was used after that time. */
  idlest(host: string, since: number): StreamFlow | undefined;
}

/**
 * @param verified the protocol verifies names (TLS): a connection then counts for a name only when it was opened for
 * it or the certificate proves it (RFC 5922 §7.3, RFC 5923 §8). Otherwise the address alone counts.
 */
export function createPool(verified: boolean): Pool {
  const flows = new Set<StreamFlow>();
  const byKey = new Map<string, StreamFlow>();
  /** By address: connections whose certificate may prove more names than the one that was asked for. */
  const proved = new Map<string, Set<StreamFlow>>();
  /** Where a connection stands in `proved`, to find it again when it closes. */
  const places = new Map<StreamFlow, string[]>();
  const sources = new Map<string, Set<StreamFlow>>();

  const keyOf = (remote: Address, name: string | undefined): string =>
    verified && name !== undefined ? `${showAddress(remote)} ${name}` : showAddress(remote);

  const usable = (flow: StreamFlow | undefined): flow is StreamFlow =>
    flow !== undefined && flow.state !== 'closed';

  return {
    get size() {
      return flows.size;
    },
    add(flow) {
      flows.add(flow);
      if (flow.opened || !verified) byKey.set(keyOf(flow.remote, flow.name), flow);
      if (flow.opened) return;
      const source = sourceOf(flow.remote.host);
      const same = sources.get(source);
      if (same === undefined) sources.set(source, new Set([flow]));
      else same.add(flow);
    },
    remove(flow) {
      flows.delete(flow);
      const key = keyOf(flow.remote, flow.name);
      if (byKey.get(key) === flow) byKey.delete(key);
      for (const place of places.get(flow) ?? []) {
        const there = proved.get(place);
        there?.delete(flow);
        if (there?.size === 0) proved.delete(place);
      }
      places.delete(flow);
      if (flow.opened) return;
      const source = sourceOf(flow.remote.host);
      const same = sources.get(source);
      same?.delete(flow);
      if (same?.size === 0) sources.delete(source);
    },
    all: () => flows.values(),
    find(remote, name) {
      const own = byKey.get(keyOf(remote, name));
      if (usable(own)) return own;
      if (!verified) return undefined;
      for (const flow of proved.get(showAddress(remote)) ?? [])
        if (usable(flow) && flow.peer !== undefined && proves(flow.peer, name)) return flow;
      return undefined;
    },
    alias(flow, remote) {
      if (!verified || flow.peer === undefined || !usable(flow)) return;
      const place = showAddress({ host: canonicalHost(remote.host), port: remote.port });
      const had = places.get(flow) ?? [];
      // One connection stands for one listening port beside its own: what more it claims is not believed.
      if (had.includes(place) || had.length >= 2) return;
      places.set(flow, [...had, place]);
      const there = proved.get(place);
      if (there === undefined) proved.set(place, new Set([flow]));
      else there.add(flow);
    },
    fromSource: (host) => sources.get(sourceOf(host))?.size ?? 0,
    idlest(host, since) {
      let found: StreamFlow | undefined;
      for (const flow of sources.get(sourceOf(host)) ?? [])
        if (flow.active < (found?.active ?? since) && !flow.wanted) found = flow;
      return found;
    },
  };
}
