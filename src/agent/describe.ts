import type { Clock } from '../base/clock.ts';
import type { DeviceState, SignalState } from '../device/state.ts';
import { deviceUrn, tupleId } from '../presence/ids.ts';
import type { DevicePresence, SenmlRecord } from '../presence/model.ts';

/** What the description of one device needs besides its state; the same for its whole life. */
export interface Described {
  /** Id of its tuple. */
  readonly id: string;
  readonly deviceId: string;
  /** It is a presentity of its own, so its activity is the presentity's. */
  readonly own: boolean;
  /** Only its state and note are told, whatever the document could hold. */
  readonly lean: boolean;
}

/**
 * The names by which a device goes in documents.
 *
 * @param aor the AOR under which it is published
 */
export function nameDevice(aor: string, device: string, own: boolean, lean = false): Described {
  return { id: tupleId(aor, device), deviceId: deviceUrn(aor, device), own, lean };
}

/**
 * A device's state as a presence document says it. It has no contact: that would be the presentity's own address (S12),
 * which is the document's entity, and whoever watches has just used it. Time stamps are left out while the wall clock is not set. */
export function describe(clock: Clock, state: DeviceState, names: Described): DevicePresence {
  const { id, deviceId, own, lean } = names;
  const seen: DevicePresence = {
    id,
    note: state.note,
    ...(state.reach === 'reachable' && { basic: 'open' as const }),
    ...(state.reach === 'unreachable' && { basic: 'closed' as const }),
    ...(own && state.activity !== undefined && { activity: state.activity }),
  };
  if (lean) return seen;
  const values = [...state.signals.values()].flatMap(describeSignal);
  const wall = clock.wall();
  return {
    ...seen,
    deviceId,
    name: state.name,
    ...(wall !== undefined && { timestamp: wholeSecond(wall - (clock.now() - state.changedAt)) }),
    ...(values.length > 0 && { values }),
  };
}

/** A fraction of a second tells a person nothing and costs four bytes with every change. */
function wholeSecond(ms: number): number {
  return Math.floor(ms / 1_000) * 1_000;
}

function describeSignal(signal: SignalState): SenmlRecord[] {
  const { name, known, value, unit, time } = signal;
  // What is not known is not told: a watcher cannot see how old a value is.
  if (!known || value === undefined) return [];
  const head = {
    n: name,
    ...(unit !== undefined && { u: unit }),
    ...(time !== undefined && { t: Math.floor(time / 1_000) }),
  };
  switch (typeof value) {
    case 'number':
      return [{ ...head, v: value }];
    case 'boolean':
      return [{ ...head, vb: value }];
    case 'string':
      return [{ ...head, vs: value }];
  }
}
