/** An edge on real sockets of the loopback interface, for peers that are not ours. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSystemClock } from '../../src/base/clock.ts';
import { createSystemFiles } from '../../src/base/file.ts';
import { silentLog } from '../../src/base/log.ts';
import { createSystemRandom } from '../../src/base/random.ts';
import { createEdge, type Edge } from '../../src/edge/edge.ts';
import type { EdgeEvent } from '../../src/edge/events.ts';
import type { EdgeOptions } from '../../src/edge/options.ts';

export interface EdgeScene {
  readonly edge: Edge;
  readonly port: number;
  readonly events: EdgeEvent[];
}

export const DOMAIN = 'test.local';

/** Runs `body` with an edge that listens on UDP and TCP at the same port, and cleans up. */
export async function withEdge(
  body: (scene: EdgeScene) => Promise<void>,
  options: Partial<EdgeOptions> = {},
): Promise<void> {
  const data = mkdtempSync(join(tmpdir(), 'presentity-edge-'));
  const events: EdgeEvent[] = [];
  const clock = createSystemClock();
  const deps = {
    clock,
    random: createSystemRandom(),
    log: silentLog,
    files: createSystemFiles(),
    onEvent: (event: EdgeEvent) => void events.push(event),
  };
  const make = (port: number): Edge =>
    createEdge(deps, {
      domains: [DOMAIN],
      listen: [
        { protocol: 'udp', host: '127.0.0.1', port },
        { protocol: 'tcp', host: '127.0.0.1', port },
      ],
      users: {
        alice: 'secret',
        bob: 'secret',
        gateway7: { password: 'secret', aors: [`sip:*-7@${DOMAIN}`] },
      },
      data,
      ...options,
    });
  const { edge, port } = await startSomewhere(make);
  try {
    await body({ edge, port, events });
  } finally {
    await edge.stop(clock.now() + 1_000);
    rmSync(data, { recursive: true, force: true });
  }
}

/** Phones want one port for both protocols, so it has to be chosen beforehand; somebody else may be quicker. */
async function startSomewhere(make: (port: number) => Edge): Promise<{ edge: Edge; port: number }> {
  const { freePort } = await import('../support/peers/free-port.ts');
  for (let attempt = 0; ; attempt += 1) {
    const port = await freePort();
    const edge = make(port);
    try {
      await edge.start(new AbortController().signal);
      return { edge, port };
    } catch (error) {
      if (attempt === 5) throw error;
    }
  }
}

export function tuple(
  id: string,
  basic: 'open' | 'closed',
  note: string,
  aor = `sip:gateway7@${DOMAIN}`,
): string {
  return (
    `<?xml version="1.0"?><presence xmlns="urn:ietf:params:xml:ns:pidf" entity="${aor}"><tuple id="${id}">` +
    `<status><basic>${basic}</basic></status><note>${note}</note></tuple></presence>`
  );
}
