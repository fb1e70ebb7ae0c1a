import { labelOf } from '../presence/ids.ts';
import type { DevicePresence } from '../presence/model.ts';
import type { Io } from './io.ts';
import { formatAge, pad, printable, widthOf } from './table.ts';

/** What one NOTIFY said; `watch --json` prints it as it is, so it is part of the interface. */
export interface Seen {
  /** RFC 3339; absent while the wall clock is not set. */
  readonly time?: string;
  readonly resource: string;
  readonly subscription: 'active' | 'pending' | 'terminated';
  readonly reason?: string;
  readonly contentType?: string;
  /** Of the document. */
  readonly bytes: number;
  /** There is no document: nobody publishes any more. */
  readonly gone: boolean;
  readonly devices: readonly DevicePresence[];
  readonly notes: readonly string[];
  /** Why the document could not be read. */
  readonly error?: string;
}

export interface View {
  /** Prints what is new: all devices at first, then those that changed. */
  show(seen: Seen): void;
}

/** The states that a watcher knows, and how they look. */
const MOODS = { open: 'good', closed: 'bad', unknown: 'doubtful', gone: 'bad' } as const;
type Mood = keyof typeof MOODS;

/** Prints notifications as lines: time, device, state, note, age. */
export function createView(io: Io, wall: () => number | undefined): View {
  let known = new Map<string, string>();
  let width = 8;

  const line = (name: string, state: Mood, note: string, age: string): void => {
    width = Math.max(width, widthOf(name));
    const time = formatTime(wall());
    const parts = [
      time,
      pad(name, width),
      io.style(MOODS[state], pad(state, 7)),
      printable(note),
      age && io.style('dim', `(${age} ago)`),
    ];
    io.out(
      parts
        .filter((part) => part !== '')
        .join('  ')
        .trimEnd(),
    );
  };

  return {
    show(seen) {
      if (seen.error !== undefined) {
        io.err(`presentity: a notification was not understood: ${printable(seen.error)}`);
        return;
      }
      if (seen.subscription === 'pending') {
        line(seen.resource, 'unknown', 'the presentity has not yet allowed it', '');
        return;
      }
      if (seen.gone || (seen.subscription === 'terminated' && seen.bytes === 0)) {
        line(seen.resource, 'gone', seen.reason ?? '', '');
        known = new Map();
        return;
      }
      const now = new Map<string, string>();
      let changes = 0;
      for (const device of seen.devices) {
        const said = JSON.stringify(device);
        now.set(device.id, said);
        if (known.get(device.id) === said) continue;
        changes += 1;
        line(nameOf(device), device.basic ?? 'unknown', noteOf(device, seen.notes), ageOf(device, wall()));
      }
      for (const id of known.keys()) {
        if (now.has(id)) continue;
        changes += 1;
        line(printable(labelOf(id)), 'gone', '', '');
      }
      // The last notification of a subscription repeats what is known.
      if (changes === 0 && seen.subscription !== 'terminated')
        line(seen.resource, moodOf(seen.devices), 'nothing changed', '');
      known = now;
    },
  };
}

/** Of all devices together: open when one is. */
function moodOf(devices: readonly DevicePresence[]): Mood {
  if (devices.some(({ basic }) => basic === 'open')) return 'open';
  return devices[0]?.basic ?? 'unknown';
}

function nameOf({ id, name }: DevicePresence): string {
  const label = labelOf(id);
  return printable(name === undefined || name === label ? label : `${label} (${name})`);
}

function noteOf(device: DevicePresence, notes: readonly string[]): string {
  const note = device.note ?? notes[0] ?? '';
  return device.activity === undefined ? note : `${note} [${device.activity}]`.trim();
}

function ageOf({ timestamp }: DevicePresence, wall: number | undefined): string {
  return timestamp === undefined || wall === undefined ? '' : formatAge((wall - timestamp) / 1000);
}

/** `14:03:59`, in the time zone of the machine. */
function formatTime(wall: number | undefined): string {
  return wall === undefined ? '--:--:--' : new Date(wall).toTimeString().slice(0, 8);
}
