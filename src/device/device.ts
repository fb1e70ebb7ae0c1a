import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../base/clock.ts';
import { asError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { createDeadlines, notWaiting, type Waiting } from './deadlines.ts';
import type { DeviceOptions } from './options.ts';
import type { Reading, SourceSink, SourceState, Value } from './reading.ts';
import { dueAt, newSignal, type Signal, snapshotOf, takeReading, takeSource, takeTime } from './signal.ts';
import type { DeviceState, SignalState } from './state.ts';
import { createTables, judge, type Memory, type Table, type Verdict } from './table.ts';
import { parseValue } from './values.ts';

/** All devices: takes what sources read, tells what became of the devices. */
export interface Devices extends SourceSink {
  get(id: string): DeviceState | undefined;
  /** Ids in the order of the configuration. */
  ids(): readonly string[];
  list(): readonly DeviceState[];
  /**
   * Calls when reach, note, activity, cause or a signal's value or validity changed; not for a fresh reading that
   * changed nothing. `state` is undefined when the device was taken out of the configuration.
   * @returns what ends it
   */
  onChange(listener: (id: string, state: DeviceState | undefined) => void): () => void;
  /** Calls for every valid reading, changed or not, with the typed value: how a command reads back what it wrote. */
  onReading(listener: (reading: Reading) => void): () => void;
  /**
   * The value that a person's text means for a signal (`on`, `21.5`), by the signal's own rules; no reading comes of it.
   * @returns why not, where the signal cannot have that value, or there is no such device or signal
   */
  parse(
    device: string,
    signal: string,
    text: string,
  ): { ok: true; value: Value } | { ok: false; cause: string };
  /** Takes a new configuration: signals whose options did not change keep all that they know. */
  update(devices: readonly DeviceOptions[]): void;
  /** The last word: nothing changes after it (a late reading does not reopen what was shut down). */
  stop(): void;
  counts(): DeviceCounts;
}

export interface DeviceCounts {
  readonly devices: number;
  readonly readings: number;
  /** Readings for a device or signal that nobody configured. */
  readonly strays: number;
  /** Readings dropped because a later one by the source's own time had come before. */
  readonly late: number;
  /** Readings that were no value of their signal. */
  readonly bad: number;
  readonly changes: number;
}

interface Device extends Waiting {
  readonly options: DeviceOptions;
  readonly signals: ReadonlyMap<string, Signal>;
  readonly table: Table;
  readonly memory: Memory | undefined;
  state: DeviceState;
}

/**
 * Makes the devices. A reading costs work on its own device only, and one timer serves all of them.
 * @throws CodedError DEV_RULE_SYNTAX, DEV_TEMPLATE_SYNTAX for a rule that cannot be read
 */
export function createDevices(
  deps: { clock: Clock; log: Log },
  options: { devices: readonly DeviceOptions[] },
): Devices {
  const { clock, log } = deps;
  const devices = new Map<string, Device>();
  /** What each source feeds; made anew with the configuration. */
  let fed = new Map<string, [Device, Signal][]>();
  const sources = new Map<string, SourceState>();
  let tableOf = createTables();
  const changeListeners = new Set<(id: string, state: DeviceState | undefined) => void>();
  const readingListeners = new Set<(reading: Reading) => void>();
  const counts = { readings: 0, strays: 0, late: 0, bad: 0, changes: 0 };
  let stopped = false;

  const deadlines = createDeadlines<Device>(clock, (device, now) => {
    let changed = false;
    for (const signal of device.signals.values()) if (takeTime(signal, now)) changed = true;
    file(device);
    if (changed) refresh(device, now);
  });

  /** Puts a device where its earliest deadline belongs. */
  const file = (device: Device): void => {
    let first: number | undefined;
    for (const signal of device.signals.values()) {
      const due = dueAt(signal);
      if (due !== undefined && (first === undefined || due < first)) first = due;
    }
    deadlines.set(device, first);
  };

  const take = (reading: Reading, now: number, wall: number | undefined): Device | undefined => {
    counts.readings += 1;
    const device = devices.get(reading.device);
    const signal = device?.signals.get(reading.signal);
    if (!device || !signal) {
      counts.strays += 1;
      return undefined;
    }
    const before = signal.shown;
    const taken = takeReading(signal, reading, now, wall);
    if (taken === 'late') counts.late += 1;
    else if (taken === 'bad') counts.bad += 1;
    else if (
      readingListeners.size > 0 &&
      reading.age === 'fresh' &&
      signal.latest.known &&
      signal.latest.value !== undefined
    )
      tell(readingListeners, { ...reading, value: signal.latest.value });
    file(device);
    return signal.shown === before ? undefined : device;
  };

  /** Judges a device anew after what it shows of a signal has changed, and tells. */
  const refresh = (device: Device, now: number): void => {
    const { state } = device;
    const verdict = judge(device.table, device.signals, device.memory);
    const since = verdict.reach === state.reach ? state.since : now;
    device.state = newState(state, verdict, snapshots(device.signals), since, now);
    counts.changes += 1;
    tell(changeListeners, device.options.id, device.state);
  };

  const tell = <Args extends unknown[]>(listeners: Set<(...args: Args) => void>, ...args: Args): void => {
    for (const listener of listeners) {
      try {
        listener(...args);
      } catch (error) {
        // A source that is in the middle of its bytes has no use for the trouble of those who listen.
        log.error('listener failed', { cause: asError(error) });
      }
    }
  };

  const build = (one: DeviceOptions, old?: Device): Device => {
    const table = tableOf(one);
    const signals = new Map<string, Signal>();
    for (const [name, rules] of Object.entries(one.signals)) {
      const known = old?.signals.get(name);
      if (known && isDeepStrictEqual(known.options, rules)) {
        signals.set(name, known);
        continue;
      }
      const signal = newSignal(name, rules);
      const source = sources.get(rules.source);
      if (source) takeSource(signal, source);
      signals.set(name, signal);
    }
    const memory: Memory | undefined = table.hysteresis.length > 0 ? new Map() : undefined;
    const verdict = judge(table, signals, memory);
    const now = clock.now();
    const since = old && old.state.reach === verdict.reach ? old.state.since : now;
    const names = { id: one.id, name: one.name ?? one.id };
    const state = newState(names, verdict, snapshots(signals), since, now);
    return { ...notWaiting(), options: one, signals, table, memory, state };
  };

  const index = (): void => {
    fed = new Map();
    for (const device of devices.values()) {
      for (const signal of device.signals.values()) {
        const list = fed.get(signal.options.source);
        if (list) list.push([device, signal]);
        else fed.set(signal.options.source, [[device, signal]]);
      }
    }
  };

  const stateOf = (device: Device): DeviceState => {
    // A fresh reading that changed nothing still has a new time.
    for (const signal of device.signals.values()) {
      if (signal.snapshot && device.state.signals.get(signal.name) === signal.snapshot) continue;
      const { state } = device;
      device.state = newState(state, state, snapshots(device.signals), state.since, state.changedAt);
      break;
    }
    return device.state;
  };

  const readings = (list: readonly Reading[]): void => {
    if (stopped) return;
    const now = clock.now();
    const wall = clock.wall();
    const changed = new Set<Device>();
    for (const reading of list) {
      const device = take(reading, now, wall);
      if (device) changed.add(device);
    }
    for (const device of changed) refresh(device, now);
  };

  for (const one of options.devices) devices.set(one.id, build(one));
  index();

  return {
    reading(reading) {
      if (stopped) return;
      const now = clock.now();
      const device = take(reading, now, clock.wall());
      if (device) refresh(device, now);
    },
    readings,
    state(state) {
      if (stopped) return;
      sources.set(state.source, state);
      const changed = new Set<Device>();
      for (const [device, signal] of fed.get(state.source) ?? []) {
        if (!takeSource(signal, state)) continue;
        file(device);
        changed.add(device);
      }
      const now = clock.now();
      for (const device of changed) refresh(device, now);
    },
    get(id) {
      const device = devices.get(id);
      return device && stateOf(device);
    },
    ids: () => [...devices.keys()],
    list: () => Array.from(devices.values(), stateOf),
    onChange(listener) {
      changeListeners.add(listener);
      return () => void changeListeners.delete(listener);
    },
    onReading(listener) {
      readingListeners.add(listener);
      return () => void readingListeners.delete(listener);
    },
    parse(id, name, text) {
      const device = devices.get(id);
      if (!device) return { ok: false, cause: `no device ${id}` };
      const rules = device.options.signals[name];
      if (!rules || !device.signals.has(name)) return { ok: false, cause: `${id} has no signal ${name}` };
      const result = parseValue(text, rules);
      return result.ok ? result : { ok: false, cause: result.problem };
    },
    update(wanted) {
      if (stopped) return;
      const before = new Map(devices);
      tableOf = createTables();
      // Everything is built first, so that a rule that cannot be read leaves all as it was.
      const after = wanted.map((one): [string, Device] => {
        const known = before.get(one.id);
        return [one.id, known && isDeepStrictEqual(known.options, one) ? known : build(one, known)];
      });
      devices.clear();
      for (const [id, device] of after) devices.set(id, device);
      index();
      for (const [id, device] of before) {
        if (devices.get(id) === device) continue;
        deadlines.set(device, undefined);
        if (!devices.has(id)) tell(changeListeners, id, undefined);
      }
      for (const [id, device] of after) {
        if (before.get(id) === device) continue;
        file(device);
        tell(changeListeners, id, device.state);
      }
    },
    stop() {
      stopped = true;
      deadlines.stop();
      changeListeners.clear();
      readingListeners.clear();
    },
    counts: () => ({ devices: devices.size, ...counts }),
  };
}

/** Written out, since spreading is what would cost most in the whole way from a reading to a state. */
function newState(
  { id, name }: Pick<DeviceState, 'id' | 'name'>,
  { reach, note, activity, cause }: Verdict,
  signals: ReadonlyMap<string, SignalState>,
  since: number,
  changedAt: number,
): DeviceState {
  return { id, name, reach, note, activity, signals, since, changedAt, cause };
}

function snapshots(signals: ReadonlyMap<string, Signal>): Map<string, SignalState> {
  const map = new Map<string, SignalState>();
  for (const signal of signals.values()) map.set(signal.name, snapshotOf(signal));
  return map;
}
