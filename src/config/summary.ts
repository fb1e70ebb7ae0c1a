import type { Config } from './assemble.ts';
import { formatDuration } from './units.ts';

/** What a checked configuration amounts to, and how old the truth can get in the worst case. */
export interface Summary {
  readonly accounts: number;
  readonly sources: number;
  readonly devices: number;
  readonly signals: number;
  readonly staleness: Staleness;
}

/** All times are milliseconds. */
export interface Staleness {
  /** By account: how long its last state can outlive a dead gateway. */
  readonly gateway: Readonly<Record<string, number>>;
  /** How much later the built-in presence server may tell a watcher; absent without it. */
  readonly notify?: number;
  /** By device and signal: how long the last value can outlive a silent sensor. */
  readonly signals: Readonly<Record<string, Readonly<Record<string, number | 'never' | 'observed'>>>>;
}

export function summarise(config: Config): Summary {
  const signals = Object.fromEntries(
    config.devices.map((device) => [
      device.id,
      Object.fromEntries(
        Object.entries(device.signals).map(([id, signal]) => [id, signal.stale ?? ('observed' as const)]),
      ),
    ]),
  );
  return {
    accounts: config.accounts.length,
    sources: config.mqtt.length + config.serial.length,
    devices: config.devices.length,
    signals: Object.values(signals).reduce((sum, one) => sum + Object.keys(one).length, 0),
    staleness: {
      gateway: Object.fromEntries(config.accounts.map(({ id, expires }) => [id, expires])),
      ...(config.edge?.notifyInterval !== undefined && { notify: config.edge.notifyInterval }),
      signals,
    },
  };
}

/** More devices than this are counted instead of listed. */
const MOST_LISTED = 40;

/** The summary as `config check` prints it. */
export function formatSummary(summary: Summary): string {
  const { staleness } = summary;
  const rows = [
    `${count(summary.accounts, 'account')}, ${count(summary.sources, 'source')}, ${count(summary.devices, 'device')}, ${count(summary.signals, 'signal')}`,
  ];
  const accounts = Object.entries(staleness.gateway);
  if (accounts.length > 0) {
    rows.push('', 'When the gateway dies, its last state is still shown for at most');
    for (const [id, expires] of accounts) {
      const parts = [`expires ${formatDuration(expires)}`];
      if (staleness.notify) parts.push(`notify_interval ${formatDuration(staleness.notify)}`);
      const total = formatDuration(expires + (staleness.notify ?? 0));
      rows.push(`  ${id}: ${total} (${parts.join(' + ')}; a server may insist on a longer expires)`);
    }
  }
  const devices = Object.entries(staleness.signals);
  if (devices.length > 0) {
    rows.push('', 'When a sensor falls silent, its device is unknown after at most');
    for (const [id, signals] of devices.slice(0, MOST_LISTED)) {
      const limits = Object.entries(signals).map(([signal, stale]) => `${signal} ${formatStale(stale)}`);
      rows.push(`  ${id}: ${limits.join(', ')}`);
    }
    if (devices.length > MOST_LISTED) rows.push(`  and ${devices.length - MOST_LISTED} more devices`);
  }
  return rows.join('\n');
}

function formatStale(stale: number | 'never' | 'observed'): string {
  if (stale === 'never') return 'never';
  return stale === 'observed' ? 'three times its interval' : formatDuration(stale);
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}
