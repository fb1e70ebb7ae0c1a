import type { Clock } from '../base/clock.ts';
import type { Files } from '../base/file.ts';
import type { Log } from '../base/log.ts';
import type { Part } from '../base/part.ts';
import type { Random } from '../base/random.ts';
import type { Config } from '../config/assemble.ts';
import type { SourceStatus } from '../control/status.ts';
import type { Actuator, SourceSink } from '../device/reading.ts';
import type { OpenPort } from '../sources/serial/port.ts';

/** One running source, as the daemon holds it. */
export interface SourceEntry {
  readonly id: string;
  readonly type: SourceStatus['type'];
  /** The URL without its password, or the port. */
  readonly where: string;
  readonly part: Pick<Part, 'start' | 'stop' | 'health'> & Actuator & { counts(): object };
}

export interface SourceDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly files: Files;
  /** How a serial port is opened; npm serialport unless a test or the demo brings another. */
  readonly openPort?: OpenPort | undefined;
}

/**
 * Makes the sources that a configuration names. Their modules are loaded here, so that a gateway without a serial port
 * never pays for serialport, nor one without a broker for mqtt.
 */
export async function loadSources(
  deps: SourceDeps,
  config: Config,
  sink: SourceSink,
): Promise<SourceEntry[]> {
  const entries: SourceEntry[] = [];
  if (config.mqtt.length > 0) {
    const { createMqttSource } = await import('../sources/mqtt/source.ts');
    for (const options of config.mqtt) {
      const log = deps.log.child(`mqtt/${options.id}`);
      const part = createMqttSource({ ...deps, log }, options, sink);
      entries.push({ id: options.id, type: 'mqtt', where: withoutPassword(options.url), part });
    }
  }
  if (config.serial.length > 0) {
    const { createSerialSource } = await import('../sources/serial/source.ts');
    for (const options of config.serial) {
      const log = deps.log.child(`serial/${options.id}`);
      const { openPort, ...rest } = deps;
      const part = createSerialSource({ ...rest, log, ...(openPort && { open: openPort }) }, options, sink);
      entries.push({ id: options.id, type: 'serial', where: options.port, part });
    }
  }
  return entries;
}

function withoutPassword(url: string): string {
  return url.replace(/\/\/[^/@]*@/, '//');
}
