import type { CodedError } from '../base/errors.ts';
import { nearest } from '../base/nearest.ts';
import type { DeviceState } from '../device/state.ts';
import { commandErrors } from './errors.ts';

/** A device, and one of its signals where the words name one. */
export interface Place {
  readonly device: DeviceState;
  readonly signal?: string;
}

/** One signal and the text of the value it is to have. */
export interface Change {
  readonly device: DeviceState;
  readonly signal: string;
  readonly value: string;
}

export type Resolved<Thing> =
  | { readonly ok: true; readonly found: Thing }
  | { readonly ok: false; readonly error: CodedError };

/** How many choices an answer lists. */
const LISTED = 5;

/**
 * What `get` is about. Devices go by id or name, in any case, names with spaces with or without quotation marks; a
 * signal that only one device has needs no device. The longest device name that fits wins.
 */
export function resolvePlace(words: readonly string[], devices: readonly DeviceState[]): Resolved<Place> {
  let known: DeviceState | undefined;
  for (let taken = words.length; taken >= 1; taken -= 1) {
    const name = join(words, 0, taken);
    const matches = devicesCalled(name, devices);
    if (matches.length > 1) return ambiguous(name, matches.map(describeDevice));
    const device = matches[0];
    if (!device) continue;
    known ??= device;
    if (taken === words.length) return { ok: true, found: { device } };
    const signal = signalCalled(join(words, taken), device);
    if (signal !== undefined) return { ok: true, found: { device, signal } };
  }
  const name = join(words, 0);
  const holders = devices.flatMap((device) => {
    const signal = signalCalled(name, device);
    return signal === undefined ? [] : [{ device, signal }];
  });
  if (holders.length > 1) return ambiguous(name, holders.map(describePlace));
  if (holders[0]) return { ok: true, found: holders[0] };
  return { ok: false, error: unknown(words, devices, known) };
}

/**
 * What `set` is about: device, signal and value; or, where it is clear, without the device (only one that can be
 * written has that signal) or without the signal (the device has only one that can be written).
 */
export function resolveChange(words: readonly string[], devices: readonly DeviceState[]): Resolved<Change> {
  let known: DeviceState | undefined;
  for (let taken = words.length - 1; taken >= 1; taken -= 1) {
    const name = join(words, 0, taken);
    const matches = devicesCalled(name, devices);
    if (matches.length > 1) return ambiguous(name, matches.map(describeDevice));
    const device = matches[0];
    if (!device) continue;
    known ??= device;
    for (let end = words.length - 1; end > taken; end -= 1) {
      const signal = signalCalled(join(words, taken, end), device);
      if (signal !== undefined) return { ok: true, found: { device, signal, value: join(words, end) } };
    }
  }

  const guesses: Change[] = [];
  for (let end = words.length - 1; end >= 1; end -= 1) {
    const name = join(words, 0, end);
    const value = join(words, end);
    const holders = devices.flatMap((device) => {
      const signal = signalCalled(name, device);
      return signal === undefined ? [] : [{ device, signal, value }];
    });
    const writable = holders.filter(({ device, signal }) => device.signals.get(signal)?.writable);
    guesses.push(...(writable.length > 0 ? writable : holders));
    for (const device of devicesCalled(name, devices)) {
      const only = soleWritable(device);
      if (only !== undefined) guesses.push({ device, signal: only, value });
    }
    if (guesses.length > 0) break;
  }
  const first = guesses[0];
  if (
    first &&
    guesses.every(({ device, signal }) => device.id === first.device.id && signal === first.signal)
  )
    return { ok: true, found: first };
  if (guesses.length > 1) return ambiguous(join(words, 0), guesses.map(describePlace));
  return { ok: false, error: unknown(words.slice(0, -1), devices, known) };
}

/** Devices that go by this id, or else by this name. */
function devicesCalled(name: string, devices: readonly DeviceState[]): DeviceState[] {
  const wanted = plain(name);
  const byId = devices.filter((device) => plain(device.id) === wanted);
  return byId.length > 0 ? byId : devices.filter((device) => plain(device.name) === wanted);
}

function signalCalled(name: string, device: DeviceState): string | undefined {
  if (device.signals.has(name)) return name;
  const wanted = plain(name);
  for (const signal of device.signals.keys()) if (plain(signal) === wanted) return signal;
  return undefined;
}

function soleWritable(device: DeviceState): string | undefined {
  const writable = [...device.signals.values()].filter((signal) => signal.writable);
  return writable.length === 1 ? writable[0]?.name : undefined;
}

function unknown(
  words: readonly string[],
  devices: readonly DeviceState[],
  known: DeviceState | undefined,
): CodedError {
  if (known) {
    const asked = join(words, 0);
    const called = [known.id, known.name].find((own) => plain(asked).startsWith(`${plain(own)} `));
    const name = called === undefined ? asked : asked.slice(called.length).trim();
    const near = nearest(name, known.signals.keys());
    const hint = near === undefined ? list('It has', [...known.signals.keys()]) : `Did you mean ${near}?`;
    return commandErrors.NO_SIGNAL({ device: known.name, name: shorten(name), hint });
  }
  const name = join(words, 0);
  const names = devices.flatMap((device) => [device.id, device.name, ...device.signals.keys()]);
  // The last word may be a signal: the nearest to what stands before it is a good guess too.
  const near = nearest(name, names) ?? (words.length > 1 ? nearest(join(words, 0, -1), names) : undefined);
  const hint =
    near === undefined
      ? list(
          'There is',
          devices.map((device) => device.id),
        )
      : `Did you mean ${near}?`;
  return commandErrors.NO_DEVICE({ name: shorten(name), hint });
}

function ambiguous(name: string, choices: readonly string[]): { ok: false; error: CodedError } {
  const shown = [...new Set(choices)];
  const more = shown.length > LISTED ? `, or ${shown.length - LISTED} more` : '';
  return {
    ok: false,
    error: commandErrors.AMBIGUOUS({
      name: shorten(name),
      choices: shown.slice(0, LISTED).join(' or ') + more,
    }),
  };
}

function list(lead: string, names: readonly string[]): string {
  if (names.length === 0) return 'There is none that you may use.';
  const more = names.length > LISTED ? ` and ${names.length - LISTED} more` : '';
  return `${lead}: ${names.slice(0, LISTED).join(', ')}${more}.`;
}

const describeDevice = (device: DeviceState): string => `"${device.name}" (${device.id})`;
const describePlace = ({ device, signal }: { device: DeviceState; signal: string }): string =>
  `${device.id} ${signal}`;
const join = (words: readonly string[], from: number, to?: number): string =>
  words.slice(from, to).join(' ').trim();
const plain = (text: string): string => text.normalize('NFC').toLowerCase().replace(/\s+/g, ' ').trim();
const shorten = (text: string): string => (text.length > 40 ? `${text.slice(0, 40)}…` : text);
