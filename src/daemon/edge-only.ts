import { createLocator, createSystemDns } from 'tiny-sip';
import type { Clock } from '../base/clock.ts';
import type { Files } from '../base/file.ts';
import type { Log } from '../base/log.ts';
import type { Part } from '../base/part.ts';
import type { Random } from '../base/random.ts';
import { createEdge } from '../edge/edge.ts';
import type { EdgeEvent } from '../edge/events.ts';
import type { EdgeOptions } from '../edge/options.ts';
import { prepareDirectories } from './directories.ts';

export interface EdgeOnlyDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly files: Files;
  readonly version: string;
  readonly onEvent?: (event: EdgeEvent) => void;
}

/** A presence server and nothing else. */
export interface EdgeOnly extends Part {
  /** Where it listens, with the ports that the system chose: `udp:127.0.0.1:5070`. */
  addresses(): string[];
  counts(): Record<string, number>;
}

/** The edge by itself, as `presentity edge` runs it. */
export function createEdgeOnly(deps: EdgeOnlyDeps, options: EdgeOptions): EdgeOnly {
  const { clock, random, log, files, version, onEvent } = deps;
  const locator = createLocator({ clock, random, log: log.child('dns'), dns: createSystemDns });
  const edge = createEdge(
    { clock, random, log, files, locator, ...(onEvent && { onEvent }) },
    { ...options, userAgent: `presentity/${version}` },
  );
  return {
    async start(abort) {
      if (options.data !== undefined) await prepareDirectories(files, [options.data]);
      await edge.start(abort);
    },
    stop: (deadline) => edge.stop(deadline),
    health: () => edge.health(),
    addresses: () => edge.addresses().map(({ protocol, host, port }) => `${protocol}:${host}:${port}`),
    counts: () => edge.counts(),
  };
}
