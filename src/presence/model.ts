import { isNcName, xmlSafe } from '../xml/names.ts';
import { presenceErrors } from './errors.ts';
import { labelOf } from './ids.ts';

/** One measurement (RFC 8428 §4): exactly one of `v`, `vb` and `vs`. */
export interface SenmlRecord {
  /** Name of the signal, relative to the device that the record stands in. */
  readonly n: string;
  /** Unit of RFC 8428 §12.1, such as `Cel`. */
  readonly u?: string;
  readonly v?: number;
  readonly vb?: boolean;
  readonly vs?: string;
  /** Seconds since 1970. */
  readonly t?: number;
}

/** What is said about one device. */
export interface DevicePresence {
  /** Id of its tuple: an NCName, unique among all tuples of the presentity. See `tupleId`. */
  readonly id: string;
  /** URN of the device (RFC 4479 §3.4). Without it there is no device element, and so no place for name and values. */
  readonly deviceId?: string;
  /** Absent: unknown. */
  readonly basic?: 'open' | 'closed';
  /** What people read. */
  readonly note?: string;
  /** Name of the device, for people. It is left out where the id shows it already. */
  readonly name?: string;
  /** URI at which the device, or the gateway for it, takes messages: the presentity's, never a watcher's. */
  readonly contact?: string;
  /** When the state last changed, in milliseconds since 1970. */
  readonly timestamp?: number;
  /** RPID activity (RFC 4480 §3.2). Only shown for a device with its own AOR: a person element is the presentity's. */
  readonly activity?: string;
  readonly values?: readonly SenmlRecord[];
}

/** `lean`: id, basic status and note (and an activity). `full`: everything. */
export type Detail = 'lean' | 'full';

/** What a presence document says, as `readPresence` gives it. */
export interface Presence {
  /** URI of the presentity. */
  readonly entity: string;
  readonly devices: readonly DevicePresence[];
  /** Notes about the presentity as a whole. */
  readonly notes: readonly string[];
  /** Activities of the presentity. */
  readonly activities: readonly string[];
}

/** Longest note that is sent, in UTF-16 units: a note is a line on a phone's display. */
const NOTE_LIMIT = 400;
/** Last millisecond of the year 9999, the last one that a timestamp can write with four digits. */
const LAST_TIME = 253_402_300_799_999;

/**
 * What will be sent of a device: without what the detail leaves out, texts on one line and without characters that XML
 * cannot hold, and values without those that SenML cannot hold. Two devices that look the same to a watcher are equal
 * after this.
 */
export function normalise(device: DevicePresence, detail: Detail, own: boolean): DevicePresence {
  if (!isNcName(device.id)) throw presenceErrors.BAD_ID({ id: device.id });
  const kept: { -readonly [Key in keyof DevicePresence]: DevicePresence[Key] } = { id: device.id };
  if (device.basic !== undefined) kept.basic = device.basic;
  const note = line(device.note);
  if (note !== '') kept.note = note;
  const activity = line(device.activity);
  if (own && activity !== '') kept.activity = activity;
  if (detail === 'lean') return kept;

  const contact = line(device.contact);
  if (contact !== '') kept.contact = contact;
  const { timestamp } = device;
  if (timestamp !== undefined && timestamp >= 0 && timestamp <= LAST_TIME)
    kept.timestamp = Math.floor(timestamp);
  const deviceId = line(device.deviceId);
  if (deviceId === '') return kept;
  kept.deviceId = deviceId;
  const name = line(device.name);
  if (name !== '' && letters(name) !== letters(labelOf(device.id))) kept.name = name;
  const values = (device.values ?? []).flatMap(normaliseRecord);
  if (values.length > 0) kept.values = values;
  return kept;
}

function normaliseRecord(record: SenmlRecord): SenmlRecord[] {
  const n = senmlName(record.n);
  const u = line(record.u);
  const head = u === '' ? { n } : { n, u };
  const time = record.t !== undefined && Number.isFinite(record.t) ? { t: record.t } : {};
  if (record.v !== undefined) {
    // JSON and CBOR SenML cannot say NaN or infinity, so neither do we.
    return Number.isFinite(record.v) ? [{ ...head, v: record.v === 0 ? 0 : record.v, ...time }] : [];
  }
  if (record.vb !== undefined) return [{ ...head, vb: record.vb, ...time }];
  if (record.vs !== undefined) return [{ ...head, vs: line(record.vs), ...time }];
  return [];
}

/** RFC 8428 §4.5.1: letters, digits and `-:./_`, starting with a letter or digit. */
function senmlName(text: string): string {
  const name = text.replace(/[^A-Za-z0-9\-:./_]/g, '_');
  return /^[A-Za-z0-9]/.test(name) ? name : `x${name}`;
}

/** What is left of a name without spaces, punctuation and case: `Freezer 2` and `freezer2` are the same to people. */
function letters(text: string): string {
  const lower = text.toLowerCase();
  // The tables of Unicode are loaded by the first look into them; most names never need one.
  return /^[ -~]*$/.test(lower) ? lower.replace(/[^a-z0-9]/g, '') : lower.replace(/[^\p{L}\p{N}]/gu, '');
}

function line(text: string | undefined): string {
  if (text === undefined || text === '') return '';
  const clean = xmlSafe(text)
    .replace(/[\s\u0085\u2028\u2029]+/g, ' ')
    .trim();
  if (clean.length <= NOTE_LIMIT) return clean;
  // Never cut a character outside the basic plane in two.
  return `${clean.slice(0, NOTE_LIMIT - 1).replace(/[\ud800-\udbff]$/, '')}…`;
}

/** Whether two devices, both normalised, say the same. */
export function sameDevice(a: DevicePresence, b: DevicePresence): boolean {
  return (
    a === b ||
    (a.id === b.id &&
      a.basic === b.basic &&
      a.note === b.note &&
      a.activity === b.activity &&
      a.contact === b.contact &&
      a.timestamp === b.timestamp &&
      a.deviceId === b.deviceId &&
      a.name === b.name &&
      sameValues(a.values, b.values))
  );
}

function sameValues(a: readonly SenmlRecord[] = [], b: readonly SenmlRecord[] = []): boolean {
  return a.length === b.length && a.every((record, n) => sameRecord(record, b[n]));
}

/** Whether two measurements say the same. */
export function sameRecord(a: SenmlRecord, b: SenmlRecord | undefined): boolean {
  return (
    b !== undefined &&
    a.n === b.n &&
    a.u === b.u &&
    a.v === b.v &&
    a.vb === b.vb &&
    a.vs === b.vs &&
    a.t === b.t
  );
}
