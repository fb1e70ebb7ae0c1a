import type { Clock } from '../deps.ts';
import { SipError } from '../errors.ts';
import type { Limits } from '../message/limits.ts';
import { parseMessage } from '../message/parse.ts';
import { showAddress } from './address.ts';
import { CloseListeners } from './close-listeners.ts';
import type { Address, Flow, KeepAlive, Protocol, Receiver, Transport } from './transport.ts';

/** What happens to one packet: the delays (ms) of its copies. [] loses it, [0, 0] doubles it. */
export type Fate = (packet: {
  readonly from: Address;
  readonly to: Address;
  readonly bytes: Buffer;
  /** Counted from 1 in the network. */
  readonly number: number;
}) => readonly number[];

/** How a network inside the process is made. */
export interface MemoryOptions {
  /** What the flows say they are; `udp` makes them unreliable. Default `memory`, reliable. */
  readonly protocol?: Protocol | undefined;
  /** Only for unreliable networks. Unless it says otherwise a packet arrives at the next microtask. */
  readonly fate?: Fate | undefined;
  /** Bounds of messages that differ from the defaults. */
  readonly limits?: Partial<Limits> | undefined;
}

/** Transports that reach each other and nobody else. */
export interface MemoryNetwork {
  /** A transport at that address; `start` rejects when the address is taken. */
  transport(local: Address): Transport;
  /** Cuts every flow to and from the address, as when a process dies. */
  cut(address: Address): void;
}

/**
 * Transports that reach each other inside this process: the edge and the agent when they run as one, and tests.
 * Packets arrive in a microtask of their own, so no call ever comes back while it is being made.
 */
export function createMemoryNetwork(
  deps: { readonly clock: Clock },
  options: MemoryOptions = {},
): MemoryNetwork {
  const { clock } = deps;
  const protocol = options.protocol ?? 'memory';
  const reliable = protocol !== 'udp';
  const ends = new Map<string, MemoryEnd>();
  let packets = 0;
  let nextId = 1;

  interface MemoryEnd {
    readonly address: Address;
    readonly receiver: Receiver;
    readonly flows: Map<string, MemoryFlow>;
    readonly counts: { messages: number; sent: number; lost: number };
  }

  interface MemoryFlow extends Flow {
    drop(cause: Error | undefined): void;
  }

  const flowOf = (end: MemoryEnd, remote: Address, opened: boolean): MemoryFlow => {
    const key = showAddress(remote);
    const known = end.flows.get(key);
    if (known !== undefined) return known;
    const flow = createFlow(end, remote, opened);
    end.flows.set(key, flow);
    return flow;
  };

  const deliver = (from: Address, to: Address, bytes: Buffer): void => {
    const end = ends.get(showAddress(to));
    if (end === undefined) return;
    end.counts.messages += 1;
    end.receiver.message(flowOf(end, from, false), bytes, parseMessage(bytes, options.limits));
  };

  const carry = (end: MemoryEnd, to: Address, bytes: Buffer): void => {
    packets += 1;
    const packet = { from: end.address, to, bytes, number: packets };
    const delays = reliable || options.fate === undefined ? ONCE : options.fate(packet);
    if (delays.length === 0) end.counts.lost += 1;
    for (const delay of delays) {
      // Each copy has bytes of its own, as on a wire: what one side does with its buffer is not seen by the other.
      const copy = Buffer.from(bytes);
      if (delay <= 0) queueMicrotask(() => deliver(end.address, to, copy));
      else clock.after(delay, () => deliver(end.address, to, copy));
    }
  };

  const createFlow = (end: MemoryEnd, remote: Address, opened: boolean): MemoryFlow => {
    const id = nextId++;
    let state: 'open' | 'closed' = 'open';
    let why: Error | undefined;
    const listeners = new CloseListeners();
    const named = { protocol, remote: showAddress(remote) };

    const drop = (cause: Error | undefined): void => {
      if (state === 'closed') return;
      state = 'closed';
      why = cause;
      end.flows.delete(showAddress(remote));
      end.receiver.closed(flow, cause);
      listeners.tell(cause);
    };

    const flow: MemoryFlow = {
      id,
      protocol,
      reliable,
      local: end.address,
      remote,
      opened,
      get state() {
        return state;
      },
      ready: () =>
        state === 'open' ? Promise.resolve() : Promise.reject(new SipError('FLOW_CLOSED', named)),
      send(bytes) {
        if (state === 'closed') return Promise.reject(new SipError('FLOW_CLOSED', named));
        if (reliable && !ends.has(showAddress(remote))) {
          const cause = new SipError('FLOW_REFUSED', { ...named, cause: new Error('nobody is there') });
          queueMicrotask(() => drop(cause));
          return Promise.reject(cause);
        }
        end.counts.sent += bytes.length;
        carry(end, remote, bytes);
        return Promise.resolve();
      },
      // Nothing on the way forgets a binding here.
      keepAlive: (_options: KeepAlive) => () => undefined,
      onClose: (listener) => (state === 'closed' ? listeners.late(listener, why) : listeners.add(listener)),
      close(cause) {
        if (state === 'closed') return;
        drop(cause);
        // The other side of a connection sees it close; a datagram flow has no other side.
        if (reliable)
          queueMicrotask(() =>
            ends.get(showAddress(remote))?.flows.get(showAddress(end.address))?.drop(undefined),
          );
      },
      drop,
    };
    return flow;
  };

  /** Where a transport that does not run makes its flows, which are closed at once. */
  const nowhere = (address: Address): MemoryEnd => ({
    address,
    receiver: { message: () => undefined, closed: () => undefined, broken: () => undefined },
    flows: new Map(),
    counts: { messages: 0, sent: 0, lost: 0 },
  });

  const leave = (end: MemoryEnd): void => {
    ends.delete(showAddress(end.address));
    for (const flow of [...end.flows.values()]) flow.close();
  };

  return {
    transport(local) {
      let end: MemoryEnd | undefined;
      return {
        protocol,
        local,
        start(receiver) {
          if (ends.has(showAddress(local)))
            return Promise.reject(
              new SipError('CANNOT_LISTEN', {
                protocol,
                local: showAddress(local),
                cause: new Error('taken'),
              }),
            );
          end = { address: local, receiver, flows: new Map(), counts: { messages: 0, sent: 0, lost: 0 } };
          ends.set(showAddress(local), end);
          return Promise.resolve();
        },
        connect(remote) {
          const flow = flowOf(end ?? nowhere(local), remote, true);
          if (end === undefined) flow.close();
          return flow;
        },
        stop() {
          if (end !== undefined) leave(end);
          end = undefined;
          return Promise.resolve();
        },
        counts: () => ({ messages: 0, sent: 0, lost: 0, ...end?.counts, flows: end?.flows.size ?? 0 }),
      };
    },
    cut(address) {
      const end = ends.get(showAddress(address));
      for (const flow of [...(end?.flows.values() ?? [])]) flow.close(new Error('cut'));
    },
  };
}

const ONCE: readonly number[] = [0];
