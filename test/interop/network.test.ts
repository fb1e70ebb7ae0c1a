/** The built agent on a machine whose network is not there yet: real namespaces, a real name server. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { installed, suite } from '../support/harness.ts';
import { PRESENTITY, presentity } from '../support/peers/gateway.ts';
import { NAMESPACE, namespacesWork, startNamespace } from '../support/peers/namespace.ts';
import type { Program } from '../support/peers/program.ts';

const test = suite('network', { timeout: 60_000 });

const CONFIG = `version: 1
accounts:
  main: { aor: "sip:gateway7@plant.example", password_file: secret }
sources:
  plant: { type: mqtt, url: "mqtt://broker.plant.example:1883" }
devices:
  freezer:
    signals:
      temperature: { source: plant, topic: cold/freezer2, path: temp, stale: 5m }
`;

const ready = NAMESPACE.every(installed) && namespacesWork();

test.needs(
  ready ? [] : ['network namespaces'],
  'G30, G31: starts without network or name server, and registers within 10 s of both',
  async () => {
    const home = mkdtempSync(join(tmpdir(), 'presentity-island-'));
    const config = join(home, 'presentity.yaml');
    mkdirSync(join(home, 'run'));
    writeFileSync(join(home, 'secret'), 'pump\n', { mode: 0o600 });
    writeFileSync(config, `${CONFIG}data: ${home}\nruntime: ${join(home, 'run')}\n`);
    const network = await startNamespace();
    let agent: Program | undefined;
    let island: Program | undefined;
    try {
      agent = network.start({ command: PRESENTITY, args: ['run', '-c', config] });
      // It runs and answers for itself, network or not.
      await eventually(() => presentity(['status', '--json', '-c', config]), 10_000);
      // A few tries go wrong.
      await new Promise((resolve) => setTimeout(resolve, 3_000));

      await network.linkUp();
      island = network.start({
        command: process.execPath,
        args: ['--import', 'tsx', join(import.meta.dirname, 'island.ts')],
      });
      await island.line(/^island is up$/);
      network.resolvConf('nameserver 127.0.0.1\n');
      const filled = performance.now();
      await island.line(/^heard REGISTER$/, 20_000);
      const took = performance.now() - filled;
      assert.ok(took < 10_000, `${took} ms`);
      await island.line(/^heard PUBLISH$/, 10_000);
    } finally {
      await agent?.stop();
      await island?.stop();
      await network.stop();
      rmSync(home, { recursive: true, force: true });
    }
  },
);

async function eventually(run: () => Promise<unknown>, ms: number): Promise<void> {
  const end = performance.now() + ms;
  for (;;) {
    try {
      await run();
      return;
    } catch (error) {
      if (performance.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}
