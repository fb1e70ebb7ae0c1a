import type { DeviceOptions } from './options.ts';
import type { Reading, SourceSink, Value } from './reading.ts';
import type { DeviceState } from './state.ts';

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
  /** Takes a new configuration: devices whose options did not change keep all that they know. */
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
