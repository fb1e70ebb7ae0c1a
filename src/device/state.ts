import type { Value } from './reading.ts';

/** Why something is unknown: a code for programs, a phrase for notes. */
export interface Cause {
  /** `DEV_STALE`, `DEV_OUT_OF_RANGE`, or the source's own code such as `SRC_PORT_GONE`. */
  readonly code: string;
  /** The chain in words, from the signal down to the root: "door: port /dev/ttyUSB0 is gone: bad file descriptor". */
  readonly text: string;
}

/** One signal as it stands. A snapshot: it never changes under its reader. */
export interface SignalState {
  readonly name: string;
  /** Whether the value is valid and fresh. */
  readonly known: boolean;
  /** The last valid value, even when it is no longer fresh; absent before the first one. */
  readonly value?: Value | undefined;
  /** Monotonic milliseconds of the last valid reading; absent when there was none or its age is unknown. */
  readonly at?: number | undefined;
  /** Milliseconds since 1970, where the reading carried its own time. */
  readonly time?: number | undefined;
  readonly unit?: string | undefined;
  readonly writable: boolean;
  /** Why it is not known. */
  readonly cause?: Cause | undefined;
}

/** One device as it stands. A snapshot: it never changes under its reader. */
export interface DeviceState {
  readonly id: string;
  readonly name: string;
  readonly reach: 'reachable' | 'unreachable' | 'unknown';
  /** For people: the note of the row that decided; for an unknown device the cause and what was last known. */
  readonly note: string;
  readonly activity?: string | undefined;
  /** In the order of the configuration. */
  readonly signals: ReadonlyMap<string, SignalState>;
  /** Monotonic milliseconds since when `reach` is what it is. */
  readonly since: number;
  /** Monotonic milliseconds of the last change of anything that listeners are told. */
  readonly changedAt: number;
  /** Why the device is unknown. */
  readonly cause?: Cause | undefined;
}
