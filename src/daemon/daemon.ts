import { createLocator, createMemoryNetwork, createSystemDns, type Locator } from 'tiny-sip';
import type { Agent } from '../agent/agent.ts';
import type { AccountOptions } from '../agent/options.ts';
import type { Clock } from '../base/clock.ts';
import type { Files } from '../base/file.ts';
import type { Log } from '../base/log.ts';
import type { Part } from '../base/part.ts';
import type { Random } from '../base/random.ts';
import type { Config } from '../config/assemble.ts';
import type { DaemonEvent } from '../control/event.ts';
import { createControlServer } from '../control/server.ts';
import type { StatusReport } from '../control/status.ts';
import { createDevices } from '../device/device.ts';
import type { SourceSink, SourceState } from '../device/reading.ts';
import type { Edge } from '../edge/edge.ts';
import type { Listen } from '../edge/options.ts';
import type { OpenPort } from '../sources/serial/port.ts';
import { prepareDirectories } from './directories.ts';
import { createEventBus } from './events.ts';
import { makeReport } from './report.ts';
import { loadSources, type SourceEntry } from './sources.ts';
import { createSupervisor, type NamedPart, type Supervisor } from './supervisor.ts';

export interface DaemonDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly files: Files;
  /** Of the program; goes into User-Agent, Server and the status report. */
  readonly version: string;
  readonly openPort?: OpenPort | undefined;
  readonly locator?: Locator | undefined;
}

/** The running product: sources, devices, accounts, edge and control socket as one configuration names them. */
export interface Daemon {
  /**
   * Resolves when all parts run, whether or not their peers are there.
   * @throws what only a person can mend, such as EDGE_CANNOT_LISTEN; then nothing is left running
   */
  start(abort: AbortSignal): Promise<void>;
  /** Takes back publications and registrations, says goodbye to brokers, closes everything, by `deadline` at the latest. */
  stop(deadline: number): Promise<void>;
  status(): StatusReport;
  onEvent(listener: (event: DaemonEvent) => void): () => void;
  /** Calls when a tool asked for a stop over the control socket; whoever made the daemon then stops it. */
  onStopRequest(listener: () => void): () => void;
  /** Where the edge listens, with the ports that the system chose; empty without one. */
  edgeAddresses(): readonly Listen[];
}

/** The addresses that agent and edge have for each other inside this process. */
const EDGE_INSIDE = { host: 'edge.invalid', port: 5060 };
const AGENT_INSIDE = { host: 'agent.invalid', port: 5060 };

/** What the sources and the edge have after the agent said its goodbyes, in milliseconds. */
const LAST_STEPS = 500;

/** Joins the rooms: everything that a configuration names is made here, and nowhere else. */
export function createDaemon(deps: DaemonDeps, config: Config): Daemon {
  const { clock, random, log, files } = deps;
  const startedAt = clock.now();
  const userAgent = `presentity/${deps.version}`;
  const bus = createEventBus(clock);
  const devices = createDevices({ clock, log: log.child('devices') }, { devices: config.devices });
  devices.onChange((id, state) => bus.device(id, state));
  const stopListeners = new Set<() => void>();
  const sourceStates = new Map<string, SourceState>();
  const sink: SourceSink = {
    reading: (reading) => devices.reading(reading),
    readings: (readings) => devices.readings(readings),
    state(state) {
      sourceStates.set(state.source, state);
      devices.state(state);
      bus.source(state);
    },
  };

  let sources: SourceEntry[] = [];
  let agent: Agent | undefined;
  let edge: Edge | undefined;
  let control: Part | undefined;
  let supervisor: Supervisor | undefined;

  const status = (): StatusReport =>
    makeReport({
      clock,
      version: deps.version,
      pid: process.pid,
      memory: process.memoryUsage.rss(),
      config,
      startedAt,
      devices,
      sources,
      sourceStates,
      agent,
      edge,
      others: control ? [control.health()] : [],
    });

  const make = async (): Promise<NamedPart[]> => {
    const parts: NamedPart[] = [];
    const locator =
      deps.locator ?? createLocator({ clock, random, log: log.child('dns'), dns: createSystemDns });
    const inside = createMemoryNetwork({ clock });

    if (config.control) {
      control = createControlServer(
        {
          clock,
          log: log.child('control'),
          files,
          questions: {
            status,
            stop: () => {
              for (const listener of stopListeners) listener();
              return {};
            },
          },
          streams: { tail: (send) => bus.on(send) },
        },
        config.control,
      );
      parts.push({ name: 'control', part: control });
    }
    if (config.edge) {
      const { createEdge } = await import('../edge/edge.ts');
      edge = createEdge(
        {
          clock,
          random,
          log: log.child('edge'),
          files,
          locator,
          transports: [inside.transport(EDGE_INSIDE)],
          onEvent: bus.edge,
        },
        { ...config.edge, userAgent },
      );
      parts.push({ name: 'edge', part: edge });
    }
    sources = await loadSources({ clock, random, log, files, openPort: deps.openPort }, config, sink);
    for (const { id, type, part } of sources) parts.push({ name: `${type}/${id}`, part });

    if (config.accounts.length > 0) {
      const { createAgent } = await import('../agent/agent.ts');
      const feeds = new Map(
        config.devices.flatMap((device) =>
          Object.entries(device.signals).map(([signal, { source }]): [string, string] => [
            `${device.id}\0${signal}`,
            source,
          ]),
        ),
      );
      agent = createAgent(
        {
          clock,
          random,
          log: log.child('agent'),
          files,
          locator,
          devices,
          actuators: new Map(sources.map(({ id, part }) => [id, part])),
          sourceOf: (device, signal) => feeds.get(`${device}\0${signal}`),
          ...(config.edge && { transports: [inside.transport(AGENT_INSIDE)] }),
          onEvent: bus.agent,
        },
        {
          accounts: config.accounts.map((account) => reachEdgeInside(account, config)),
          commands: config.commands,
          users: config.users,
          data: config.data,
          runtime: config.runtime,
          userAgent,
        },
      );
      parts.push({ name: 'agent', part: agent });
    }
    return parts;
  };

  return {
    async start(abort) {
      const edgeData = config.edge?.data;
      await prepareDirectories(files, [
        config.data,
        config.runtime,
        ...(edgeData === undefined ? [] : [edgeData]),
      ]);
      supervisor = createSupervisor({ clock, log }, await make());
      await supervisor.start(abort);
    },
    async stop(deadline) {
      // The agent's goodbyes come first and may use most of the time; after them no device says anything any more.
      await agent?.stop(Math.max(clock.now(), deadline - LAST_STEPS));
      devices.stop();
      await supervisor?.stop(deadline);
    },
    status,
    onEvent: (listener) => bus.on(listener),
    onStopRequest(listener) {
      stopListeners.add(listener);
      return () => stopListeners.delete(listener);
    },
    edgeAddresses: () => edge?.addresses() ?? [],
  };
}

/** An account at the domain of the edge in this process needs no network to reach it. */
function reachEdgeInside(account: AccountOptions, config: Config): AccountOptions {
  const elsewhere = account.registrar !== undefined || account.outboundProxy !== undefined;
  const host = /@([^;?>]+)$/.exec(account.aor)?.[1]?.toLowerCase();
  const ours = config.edge?.domains.some((domain) => domain.toLowerCase() === host) ?? false;
  if (elsewhere || !ours) return account;
  return { ...account, target: { protocol: 'memory', ...EDGE_INSIDE, name: EDGE_INSIDE.host } };
}
