import type { Agent } from '../agent/agent.ts';
import type { Clock } from '../base/clock.ts';
import { isoTime } from '../base/iso.ts';
import type { Health } from '../base/part.ts';
import type { Config } from '../config/assemble.ts';
import type {
  DeviceStatus,
  EdgeStatus,
  SignalStatus,
  SourceStatus,
  State,
  StatusReport,
} from '../control/status.ts';
import type { Devices } from '../device/device.ts';
import type { SourceState } from '../device/reading.ts';
import type { DeviceState, SignalState } from '../device/state.ts';
import type { Edge } from '../edge/edge.ts';
import type { SourceEntry } from './sources.ts';

/** What a report is made from. */
export interface ReportSources {
  readonly clock: Clock;
  readonly version: string;
  readonly pid: number;
  /** Resident memory in bytes. */
  readonly memory: number;
  readonly config: Config;
  /** Monotonic milliseconds. */
  readonly startedAt: number;
  readonly devices: Devices;
  readonly sources: readonly SourceEntry[];
  readonly sourceStates: ReadonlyMap<string, SourceState>;
  readonly agent: Agent | undefined;
  readonly edge: Edge | undefined;
  /** Health of the parts that have no section of their own. */
  readonly others: readonly Health[];
}

/** Puts together what `status` tells. */
export function makeReport(from: ReportSources): StatusReport {
  const { clock, config } = from;
  const now = clock.now();
  const wall = clock.wall();
  const accounts = [...(from.agent?.status() ?? [])];
  const sources = from.sources.map((entry) => describeSource(entry, from.sourceStates.get(entry.id)));
  const published = publishedDevices(config);
  const devices = from.devices.list().map((device) => describeDevice(device, published.get(device.id), now));
  const edge = from.edge && describeEdge(from.edge, config);
  const states: State[] = [
    ...accounts.map((account) => account.state),
    // Up, but a refused subscription or a resting pattern makes a source degraded all the same.
    ...from.sources.map(({ part }): State => (part.health().state === 'ok' ? 'ok' : 'degraded')),
    ...devices.map((device): State => (device.reach === 'unknown' ? 'degraded' : 'ok')),
    ...(edge ? [edge.state] : []),
    ...from.others.map((health) => health.state),
  ];
  return {
    report: 1,
    version: from.version,
    // The process answers, so it is not down: what is down in it makes the whole degraded.
    state: states.every((state) => state === 'ok') ? 'ok' : 'degraded',
    pid: from.pid,
    uptime: seconds(now - from.startedAt),
    ...(wall !== undefined && { time: isoTime(wall) }),
    config: config.file,
    memory: from.memory,
    accounts,
    sources,
    devices,
    ...(edge && { edge }),
    counts: {
      ...named('devices', { ...from.devices.counts() }),
      ...named('agent', from.agent?.counts() ?? {}),
    },
  };
}

function describeSource(entry: SourceEntry, state: SourceState | undefined): SourceStatus {
  const { id, type, where, part } = entry;
  const { state: health, code, detail } = part.health();
  return {
    id,
    type,
    where,
    state: state?.state ?? 'starting',
    ...(health !== 'ok' && code !== undefined && { code }),
    ...(health !== 'ok' && detail !== undefined && { cause: detail }),
    counts: { ...part.counts() } as Record<string, number>,
  };
}

interface Published {
  readonly account: string;
  readonly aor: string;
}

function publishedDevices(config: Config): Map<string, Published> {
  return new Map(
    config.accounts.flatMap((account) =>
      account.devices.map((device): [string, Published] => [
        device.id,
        { account: account.id, aor: device.own?.aor ?? account.aor },
      ]),
    ),
  );
}

function describeDevice(device: DeviceState, published: Published | undefined, now: number): DeviceStatus {
  const signals = [...device.signals.values()];
  const youngest = Math.max(...signals.map((signal) => signal.at ?? Number.NEGATIVE_INFINITY));
  return {
    id: device.id,
    name: device.name,
    ...published,
    reach: device.reach,
    note: device.note,
    ...(device.activity !== undefined && { activity: device.activity }),
    since: seconds(now - device.since),
    ...(Number.isFinite(youngest) && { age: seconds(now - youngest) }),
    ...(device.cause && { code: device.cause.code, cause: device.cause.text }),
    signals: Object.fromEntries(signals.map((signal) => [signal.name, describeSignal(signal, now)])),
  };
}

function describeSignal(signal: SignalState, now: number): SignalStatus {
  return {
    ...(signal.value !== undefined && { value: signal.value }),
    ...(signal.unit !== undefined && { unit: signal.unit }),
    ...(signal.cause && { cause: signal.cause.text }),
    ...(signal.at !== undefined && { age: seconds(now - signal.at) }),
  };
}

/** An edge as `status` shows it. */
export function describeEdge(
  edge: Edge,
  config: { readonly edge?: { readonly domains: readonly string[] } },
): EdgeStatus {
  const { state, code, detail } = edge.health();
  return {
    state,
    ...(code !== undefined && { code }),
    ...(detail !== undefined && { detail }),
    domains: [...(config.edge?.domains ?? [])],
    listen: edge.addresses().map(({ protocol, host, port }) => `${protocol}:${host}:${port}`),
    counts: edge.counts(),
  };
}

function named(prefix: string, counts: Record<string, number>): Record<string, number> {
  return Object.fromEntries(Object.entries(counts).map(([name, value]) => [`${prefix}.${name}`, value]));
}

function seconds(ms: number): number {
  return Math.round(ms / 100) / 10;
}
