import type { Clock, Timer } from '../deps.ts';
import type { Address, Flow, Protocol } from '../transport/transport.ts';

/** What a binding is apart from its connection: plain data that can be written down. */
export interface BindingRecord {
  /** The AOR that is bound. */
  readonly aor: string;
  /** What tells it from the other bindings of its AOR: instance and reg-id (RFC 5626 §6), else the contact. */
  readonly key: string;
  /** The Contact URI. */
  readonly contact: string;
  /** Header parameters of the Contact as they go back to the client, without `expires`. */
  readonly params: readonly (readonly [string, string])[];
  /** `+sip.instance`, with its angle brackets. */
  readonly instance?: string;
  /** What the temporary GRUUs of the instance are found by (RFC 5627). */
  readonly gruu?: string;
  /** Path values, to be the Route of requests to it (RFC 3327 §5.3). */
  readonly path: readonly string[];
  /** Call-ID of the last REGISTER. */
  readonly callId: string;
  /** CSeq number of the last REGISTER. */
  readonly cseq: number;
  /** Monotonic milliseconds. */
  readonly expiresAt: number;
  /** Whether requests go over the flow below, or are sent to the contact's own address. */
  readonly byFlow: boolean;
  /** Transport of the flow that it came by. */
  readonly protocol: Protocol;
  /** This side's address of that flow. */
  readonly local: Address;
  /** The other side's address of that flow. */
  readonly remote: Address;
}

export interface Binding extends BindingRecord {
  /** The flow that registered it, while it lives; a datagram flow can be opened again from the record. */
  readonly flow: Flow | undefined;
}

/** The location service (RFC 3261 §10): which contacts an address of record has now. */
export interface Location {
  /** Bindings of an AOR, the preferred first. */
  list(aor: string): readonly Binding[];
  /** The bindings of the instance whose temporary GRUUs have this handle. */
  byGruu(handle: string): readonly Binding[];
  /** Makes all changes to one address of record visible at once (RFC 3261 §10.3 step 7). */
  commit(aor: string, changes: { put: readonly Binding[]; remove: readonly string[] }): void;
  /** Takes back a binding from before a restart; it has no flow yet. `expiresAt` must be on this process's clock. */
  restore(record: BindingRecord): void;
  /** A flow is gone, and the bindings that used it with it (RFC 5626 §7). */
  flowClosed(flow: Flow): void;
  /** All bindings, to be written down. */
  records(): Iterable<BindingRecord>;
  /** Bindings in all. */
  readonly size: number;
  /** Addresses of record that have a binding. */
  readonly aors: number;
  /** Lets go of every timer. */
  stop(): void;
}

/**
 * Makes an empty table of bindings (RFC 3261 §10.3).
 *
 * @param deps `after`: a timer, which may be coarse (`stack.after`)
 * @param hooks what outlives the process is written down by them: each binding that came or changed, and each that went
 */
export function createLocation(
  deps: { clock: Clock; after: (ms: number, run: () => void) => Timer },
  hooks: { save: (record: BindingRecord) => void; drop: (aor: string, key: string) => void },
): Location {
  const table = new Map<string, Map<string, Binding>>();
  const timers = new Map<Binding, Timer>();
  // Streams only: the bindings that die with each.
  const byFlow = new Map<Flow, Set<Binding>>();
  // One entry for each instance that may have temporary GRUUs.
  const byGruu = new Map<string, Set<Binding>>();
  let size = 0;

  const unlink = (binding: Binding): void => {
    timers.get(binding)?.cancel();
    timers.delete(binding);
    leave(byFlow, binding.flow, binding);
    leave(byGruu, binding.gruu, binding);
  };

  const remove = (binding: Binding): void => {
    const bindings = table.get(binding.aor);
    if (bindings?.get(binding.key) !== binding) return;
    bindings.delete(binding.key);
    if (bindings.size === 0) table.delete(binding.aor);
    size -= 1;
    unlink(binding);
  };

  const put = (binding: Binding): void => {
    let bindings = table.get(binding.aor);
    if (!bindings) {
      bindings = new Map();
      table.set(binding.aor, bindings);
    }
    const old = bindings.get(binding.key);
    if (old) unlink(old);
    else size += 1;
    bindings.set(binding.key, binding);
    const expire = (): void => {
      remove(binding);
      hooks.drop(binding.aor, binding.key);
    };
    timers.set(binding, deps.after(Math.max(0, binding.expiresAt - deps.clock.now()), expire));
    if (binding.flow?.reliable) join(byFlow, binding.flow, binding);
    if (binding.gruu !== undefined) join(byGruu, binding.gruu, binding);
  };

  return {
    list: (aor) => [...(table.get(aor)?.values() ?? [])],
    byGruu: (handle) => [...(byGruu.get(handle) ?? [])],
    commit(aor, changes) {
      for (const key of changes.remove) {
        const binding = table.get(aor)?.get(key);
        if (!binding) continue;
        remove(binding);
        hooks.drop(aor, key);
      }
      for (const binding of changes.put) {
        put(binding);
        hooks.save(recordOf(binding));
      }
    },
    restore(record) {
      // A stream died with the process that held it; its client notices and registers anew.
      if (record.protocol !== 'udp') return hooks.drop(record.aor, record.key);
      if (record.expiresAt > deps.clock.now()) put({ ...record, flow: undefined });
      else hooks.drop(record.aor, record.key);
    },
    flowClosed(flow) {
      for (const binding of byFlow.get(flow) ?? []) {
        remove(binding);
        hooks.drop(binding.aor, binding.key);
      }
    },
    *records() {
      for (const bindings of table.values()) for (const binding of bindings.values()) yield recordOf(binding);
    },
    get size() {
      return size;
    },
    get aors() {
      return table.size;
    },
    stop() {
      for (const timer of timers.values()) timer.cancel();
      timers.clear();
      byFlow.clear();
      byGruu.clear();
    },
  };
}

function join<Key>(groups: Map<Key, Set<Binding>>, key: Key, binding: Binding): void {
  const mates = groups.get(key);
  if (mates) mates.add(binding);
  else groups.set(key, new Set([binding]));
}

function leave<Key>(groups: Map<Key, Set<Binding>>, key: Key | undefined, binding: Binding): void {
  const mates = key === undefined ? undefined : groups.get(key);
  if (key === undefined || !mates) return;
  mates.delete(binding);
  if (mates.size === 0) groups.delete(key);
}

function recordOf(binding: Binding): BindingRecord {
  const { flow: _flow, ...record } = binding;
  return record;
}
