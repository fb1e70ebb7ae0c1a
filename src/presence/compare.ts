import { type DevicePresence, type Presence, sameDevice } from './model.ts';

/** How what is published differs from what should be. */
export interface PresenceDifference {
  /** Ids that should be there and are not. */
  readonly missing: string[];
  /** Ids that are there and should not be. */
  readonly extra: string[];
  /** Ids that say something else. */
  readonly changed: string[];
}

/**
 * Compares the devices of two documents by id, whatever their order: what a watcher sees, against what it should see.
 * Server and publisher may disagree about nothing here; compare ids alone to learn whether a server composes at all.
 */
export function comparePresence(
  wanted: readonly DevicePresence[],
  seen: Presence | readonly DevicePresence[],
): PresenceDifference {
  const found = new Map(('devices' in seen ? seen.devices : seen).map((device) => [device.id, device]));
  const missing: string[] = [];
  const changed: string[] = [];
  for (const device of wanted) {
    const other = found.get(device.id);
    if (other === undefined) missing.push(device.id);
    else if (!sameDevice(device, other)) changed.push(device.id);
    found.delete(device.id);
  }
  return { missing, extra: [...found.keys()], changed };
}

/** Whether two documents say the same about the same devices. */
export function samePresence(
  wanted: readonly DevicePresence[],
  seen: Presence | readonly DevicePresence[],
): boolean {
  const { missing, extra, changed } = comparePresence(wanted, seen);
  return missing.length + extra.length + changed.length === 0;
}
