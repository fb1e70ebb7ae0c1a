import type { DaemonEvent } from '../../src/control/event.ts';
import type { DevicePresence } from '../../src/presence/model.ts';

export interface Sum {
  count: number;
  bytes: number;
}

/** What `demo --json` prints when it ends. */
export interface DemoReport {
  seconds: number;
  /** What carries the serial device: a real pty, or serialport's mock binding. */
  serial: 'pty' | 'mock';
  publications: { full: Sum; partial: Sum; refresh: Sum; removed: Sum };
  notifications: Sum;
  commands: { executed: number; refused: number; failed: number };
  devices: Record<string, { state: string; note: string }>;
}

export interface Tally {
  add(event: DaemonEvent): void;
  report(seconds: number, serial: 'pty' | 'mock', devices: Iterable<[string, DevicePresence]>): DemoReport;
}

/** Counts what happened; of the PUBLISHes those that the server took, not those that it challenged first. */
export function createTally(): Tally {
  const sum = (): Sum => ({ count: 0, bytes: 0 });
  const publications = { full: sum(), partial: sum(), refresh: sum(), removed: sum() };
  const notifications = sum();
  const commands = { executed: 0, refused: 0, failed: 0 };
  const kinds = {
    whole: publications.full,
    diff: publications.partial,
    segment: publications.partial,
    refresh: publications.refresh,
    remove: publications.removed,
  };

  const count = (into: Sum, bytes: number): void => {
    into.count += 1;
    into.bytes += bytes;
  };

  return {
    add(event) {
      if (event.type === 'publish' && event.side === 'agent' && event.status === 200)
        count(kinds[event.kind], event.bytes);
      if (event.type === 'notify') count(notifications, event.bytes);
      if (event.type !== 'command') return;
      if (event.outcome === 'done') commands.executed += 1;
      if (event.outcome === 'refused') commands.refused += 1;
      if (event.outcome === 'failed') commands.failed += 1;
    },
    report: (seconds, serial, devices) => ({
      seconds: Math.round(seconds * 10) / 10,
      serial,
      publications,
      notifications,
      commands,
      devices: Object.fromEntries(
        Array.from(devices, ([name, device]) => [
          name,
          { state: device.basic ?? 'unknown', note: device.note ?? '' },
        ]),
      ),
    }),
  };
}

/** One line of traffic for people; undefined for what the table shows already. */
export function describeEvent(event: DaemonEvent): string | undefined {
  const arrow = (what: string, kind: string, who: string, rest: string): string =>
    `${what.padEnd(9)} ${kind.padEnd(11)} ${who.padEnd(40)} ${rest}`;
  switch (event.type) {
    case 'publish':
      if (event.side === 'edge') return undefined;
      return arrow('PUBLISH', event.kind, event.aor, `${event.bytes} bytes → ${event.status}`);
    case 'notify':
      return arrow('NOTIFY', '', `${event.resource} → ${event.watcher}`, `  ${event.bytes} bytes`);
    case 'command':
      return arrow(
        'MESSAGE',
        event.outcome,
        event.from,
        `"${event.text}" → ${(event.answer ?? '').split('\n').join(' / ')}`,
      );
    case 'account':
      return arrow('account', event.state, event.aor, event.detail ?? '');
    case 'source':
      return arrow('source', event.state, event.source, event.cause ?? '');
    case 'device':
      return undefined;
  }
}
