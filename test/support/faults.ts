/**
 * Faults on demand: the n-th write, connection or DNS answer of one run fails. Only what the stack itself does is counted
 * and made to fail; what a test does with its own sockets is left alone. Outside of a run nothing is changed.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { Socket as UdpSocket } from 'node:dgram';
import { promises as dns } from 'node:dns';
import { Socket } from 'node:net';
import type { Dns, Flow, Receiver, Stack, Transport } from 'tiny-sip';
import type { FakeClock } from './fake-clock.ts';

export const faultKinds = ['write', 'connect', 'dns'] as const;
export type FaultKind = (typeof faultKinds)[number];

/** One run of one test: what it did, what of it is to fail, and what it left to look at. */
export interface FaultRun {
  readonly counts: Record<FaultKind, number>;
  readonly fail: { readonly kind: FaultKind; readonly n: number } | undefined;
  readonly clocks: FakeClock[];
  readonly stacks: Stack[];
  /** Requests whose outcome is not known yet. */
  readonly waiting: Set<{ readonly shown: string; readonly since: number; readonly clock: FakeClock }>;
  /** What failed was asked of a transport by the test itself, which then has to bear the consequences. */
  own: boolean;
}

const runs = new AsyncLocalStorage<FaultRun>();

export function createFaultRun(fail?: FaultRun['fail']): FaultRun {
  return {
    counts: { write: 0, connect: 0, dns: 0 },
    fail,
    clocks: [],
    stacks: [],
    waiting: new Set(),
    own: false,
  };
}

export function inFaultRun<T>(run: FaultRun, body: () => T): T {
  return runs.run(run, body);
}

/** What is thrown in place of what would have happened. */
export class InjectedFault extends Error {
  readonly code: string;
  constructor(kind: FaultKind) {
    super(`injected: ${kind}`);
    this.code = kind === 'write' ? 'EPIPE' : kind === 'connect' ? 'ECONNREFUSED' : 'ESERVFAIL';
  }
}

/** Counts one operation of the stack; answers whether it is the one that fails. */
function fails(kind: FaultKind): boolean {
  const run = runs.getStore();
  if (run === undefined) return false;
  const callers = (new Error().stack ?? '')
    .split('\n')
    .slice(1)
    .filter((line) => /\/(?:src|test)\//.test(line) && !line.includes('faults.ts'));
  // The nearest caller has to be the stack.
  if (!callers[0]?.includes('/src/tiny-sip/')) return false;
  run.counts[kind] += 1;
  if (run.fail?.kind !== kind || run.fail.n !== run.counts[kind]) return false;
  const test = callers.findIndex((line) => line.includes('/test/'));
  const inside = test < 0 ? callers : callers.slice(0, test);
  run.own = test >= 0 && inside.every((line) => line.includes('/src/tiny-sip/transport/'));
  return true;
}

/** A transport whose writes and connections can be made to fail. */
export function faultyTransport(transport: Transport): Transport {
  if (runs.getStore() === undefined) return transport;
  const wrapped = new WeakMap<Flow, Flow>();
  const wrap = (inner: Flow): Flow => {
    const known = wrapped.get(inner);
    if (known !== undefined) return known;
    const outer: Flow = Object.create(inner, {
      send: {
        value(bytes: Buffer): Promise<void> {
          if (!fails('write')) return inner.send(bytes);
          const fault = new InjectedFault('write');
          // A connection that cannot be written to is gone; a datagram is only lost.
          if (inner.reliable) inner.close(fault);
          return Promise.reject(fault);
        },
      },
    });
    Object.defineProperty(outer, 'post', {
      value: (bytes: Buffer, failed: (cause: unknown) => void): void => void outer.send(bytes).catch(failed),
    });
    wrapped.set(inner, outer);
    wrapped.set(outer, outer);
    return outer;
  };
  return Object.create(transport, {
    connect: {
      value(remote: { readonly host: string; readonly port: number }): Flow {
        const inner = transport.connect(remote);
        if (!wrapped.has(inner) && fails('connect')) inner.close(new InjectedFault('connect'));
        return wrap(inner);
      },
    },
    start: {
      value: (receiver: Receiver) =>
        transport.start({
          message: (flow, bytes, parsed) => receiver.message(wrap(flow), bytes, parsed),
          closed: (flow, cause) => receiver.closed(wrap(flow), cause),
          broken: (flow, why) => receiver.broken(wrap(flow), why),
        }),
    },
  });
}

/** Keeps an eye on a stack: which requests have no outcome yet. */
export function watchedStack(stack: Stack, clock: FakeClock): Stack {
  const run = runs.getStore();
  if (run === undefined) return stack;
  run.stacks.push(stack);
  if (!run.clocks.includes(clock)) run.clocks.push(clock);
  const { send } = stack;
  return Object.assign(stack, {
    send(...args: Parameters<typeof send>) {
      const one = { shown: `${args[0].method} ${args[0].uri}`, since: clock.now(), clock };
      run.waiting.add(one);
      return send(...args).finally(() => run.waiting.delete(one));
    },
  });
}

/** A DNS whose answers can be made to fail. */
export function faultyDns(inner: Dns): Dns {
  if (runs.getStore() === undefined) return inner;
  const faulty =
    <T>(ask: (name: string) => Promise<T>) =>
    (name: string): Promise<T> =>
      fails('dns') ? Promise.reject(new InjectedFault('dns')) : ask(name);
  const { soa, hosts } = inner;
  return {
    naptr: faulty(inner.naptr),
    srv: faulty(inner.srv),
    a: faulty(inner.a),
    aaaa: faulty(inner.aaaa),
    ...(soa && { soa: faulty(soa) }),
    ...(hosts && { hosts: faulty(hosts) }),
  };
}

/** From now on the sockets and resolvers of Node themselves fail where a run says so. For a process of its own. */
export function breakSockets(): void {
  const { write, connect } = Socket.prototype;
  const { send } = UdpSocket.prototype;
  const last = (args: readonly unknown[]): ((error: Error) => void) | undefined => {
    const end = args.at(-1);
    return typeof end === 'function' ? (end as (error: Error) => void) : undefined;
  };
  Object.assign(Socket.prototype, {
    write(this: Socket, ...args: never[]): boolean {
      if (!fails('write')) return (write as (...given: never[]) => boolean).apply(this, args);
      const fault = new InjectedFault('write');
      const done = last(args);
      this.destroy(fault);
      if (done !== undefined) process.nextTick(done, fault);
      return false;
    },
    connect(this: Socket, ...args: never[]): Socket {
      if (!fails('connect')) return (connect as (...given: never[]) => Socket).apply(this, args);
      process.nextTick(() => this.destroy(new InjectedFault('connect')));
      return this;
    },
  });
  Object.assign(UdpSocket.prototype, {
    send(this: UdpSocket, ...args: never[]): void {
      if (!fails('write')) {
        (send as (...given: never[]) => void).apply(this, args);
        return;
      }
      const done = last(args);
      const fault = new InjectedFault('write');
      if (done !== undefined) process.nextTick(done, fault);
      else process.nextTick(() => this.emit('error', fault));
    },
  });
  const resolver = dns.Resolver.prototype as unknown as Record<
    string,
    (...args: unknown[]) => Promise<unknown>
  >;
  for (const name of ['resolve4', 'resolve6', 'resolveSrv', 'resolveNaptr', 'resolveSoa']) {
    const resolve = resolver[name];
    if (resolve === undefined) continue;
    resolver[name] = function (this: unknown, ...args: unknown[]): Promise<unknown> {
      return fails('dns') ? Promise.reject(new InjectedFault('dns')) : resolve.apply(this, args);
    };
  }
}
