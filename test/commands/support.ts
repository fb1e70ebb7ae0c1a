import type { Actuator, Reading, Value } from '../../src/device/reading.ts';
import type { DeviceState, SignalState } from '../../src/device/state.ts';

export interface SignalInit {
  readonly value?: Value;
  readonly unit?: string;
  readonly writable?: boolean;
  readonly at?: number;
  readonly known?: boolean;
  readonly cause?: string;
}

/** A device's state, made by hand. */
export function device(
  id: string,
  name: string,
  signals: Record<string, SignalInit>,
  more: Partial<DeviceState> = {},
): DeviceState {
  return {
    id,
    name,
    reach: 'reachable',
    note: '',
    since: 0,
    changedAt: 0,
    signals: new Map(
      Object.entries(signals).map(([signal, init]): [string, SignalState] => [
        signal,
        {
          name: signal,
          known: init.known ?? init.value !== undefined,
          value: init.value,
          at: init.at ?? 0,
          unit: init.unit,
          writable: init.writable ?? false,
          ...(init.cause !== undefined && { cause: { code: 'SRC_PORT_GONE', text: init.cause } }),
        },
      ]),
    ),
    ...more,
  };
}

export interface FakeDevices {
  states: DeviceState[];
  list(): readonly DeviceState[];
  onReading(listener: (reading: Reading) => void): () => void;
  parse(
    device: string,
    signal: string,
    text: string,
  ): { ok: true; value: Value } | { ok: false; cause: string };
  /** A reading comes in. */
  read(device: string, signal: string, value: Value): void;
  readonly listeners: number;
}

/** Devices whose readings a test makes; `broken` is a value that no signal may have. */
export function fakeDevices(states: DeviceState[]): FakeDevices {
  const listeners = new Set<(reading: Reading) => void>();
  return {
    states,
    list() {
      return this.states;
    },
    onReading(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    parse(_device, _signal, text) {
      if (text === 'broken') return { ok: false, cause: 'it is none of on, off' };
      if (/^(on|true)$/i.test(text)) return { ok: true, value: true };
      if (/^(off|false)$/i.test(text)) return { ok: true, value: false };
      return { ok: true, value: /^-?[\d.]+$/.test(text) ? Number(text) : text };
    },
    read(id, signal, value) {
      for (const listener of [...listeners]) listener({ device: id, signal, value, at: 0, age: 'fresh' });
    },
    get listeners() {
      return listeners.size;
    },
  };
}

export interface FakeActuator extends Actuator {
  readonly writes: { device: string; signal: string; value: Value }[];
  /** What a write does; default resolves at once. */
  act: (target: { device: string; signal: string }, value: Value, abort: AbortSignal) => Promise<void>;
}

export function fakeActuator(): FakeActuator {
  const actuator: FakeActuator = {
    writes: [],
    act: async () => {},
    async write(target, value, abort) {
      actuator.writes.push({ ...target, value });
      await actuator.act(target, value, abort);
    },
  };
  return actuator;
}
