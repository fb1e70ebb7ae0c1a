import type { Value } from '../device/reading.ts';
import type { DeviceState, SignalState } from '../device/state.ts';
import { formOf, type Verb } from './grammar.ts';

/** What came of a command. `unknown`: it was sent on, and nobody can say whether it was done. */
export type Outcome = 'done' | 'refused' | 'failed' | 'unknown';

/** The result of a command, for programs and for people. */
export interface Answer {
  readonly verb: Verb | undefined;
  readonly outcome: Outcome;
  /** Code of the error, where it was not simply done. */
  readonly code?: string | undefined;
  /** Lines of plain text. */
  readonly text: string;
  readonly device?: string | undefined;
  readonly signal?: string | undefined;
  /** The value that was asked for. */
  readonly asked?: Value | undefined;
  /** The value that came back. */
  readonly value?: Value | undefined;
}

/** Units as people write them, by their SenML symbol (RFC 8428 §12.1). */
const UNITS: Readonly<Record<string, string>> = {
  Cel: '°C',
  '%RH': '% RH',
  Ohm: 'Ω',
  lx: 'lx',
  '/': '',
  count: '',
};

/** A value with its unit. */
export function sayValue(value: Value, unit?: string): string {
  if (typeof value !== 'number') return String(value);
  const number = String(Number(value.toPrecision(6)));
  const symbol = unit === undefined ? '' : (UNITS[unit] ?? unit);
  return symbol === '' ? number : `${number} ${symbol}`;
}

/** One line for a signal: its value and how old that is, or why it is not known. */
export function saySignal(signal: SignalState, now: number): string {
  const last = signal.value === undefined ? undefined : sayValue(signal.value, signal.unit);
  const age = signal.at === undefined ? '' : ` (${sayAge(now - signal.at)})`;
  if (signal.known && last !== undefined) return `${signal.name}: ${last}${age}`;
  const was = last === undefined ? '' : `, last ${last}${age}`;
  return `${signal.name}: unknown${was}${signal.cause ? `, ${signal.cause.text}` : ''}`;
}

/** One line for a device, as `status` has it. */
export function sayDevice(device: DeviceState): string {
  const note = device.note === '' ? '' : `, ${device.note}`;
  return `${device.name}: ${REACH[device.reach]}${note}`;
}

const REACH: Readonly<Record<DeviceState['reach'], string>> = {
  reachable: 'reachable',
  unreachable: 'not reachable',
  unknown: 'unknown',
};

/** A device with all its signals, as `get DEVICE` has it. */
export function sayWhole(device: DeviceState, now: number): string {
  const signals = [...device.signals.values()].map((signal) => `  ${saySignal(signal, now)}`);
  return [sayDevice(device), ...signals].join('\n');
}

/** What this sender can ask for. */
export function sayHelp(allowed: readonly Verb[], writable: readonly DeviceState[]): string {
  const forms = allowed.map((verb) => `  ${formOf(verb)}`);
  const examples = allowed.includes('set')
    ? writable.flatMap((device) =>
        [...device.signals.values()]
          .filter((signal) => signal.writable)
          .map((signal) => `  ${device.id} ${signal.name}`),
      )
    : [];
  const lines = ['You can ask:', ...forms];
  if (examples.length > 0) lines.push('What can be set:', ...examples);
  return lines.join('\n');
}

function sayAge(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  if (seconds < 1) return 'just now';
  if (seconds < 120) return `${seconds} s ago`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 172_800) return `${Math.round(seconds / 3_600)} h ago`;
  return `${Math.round(seconds / 86_400)} days ago`;
}
