/** Locating in a network of its own: one that is not there yet, and one of which nobody beyond the cable knows. */
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { installed, suite } from '../../support/harness.ts';
import { NAMESPACE, type Namespace, namespacesWork, startNamespace } from '../../support/peers/namespace.ts';
import type { Program } from '../../support/peers/program.ts';

const test = suite('resolve in a namespace', { timeout: 60_000 });

const needed = NAMESPACE.every(installed) && namespacesWork() ? [] : ['network namespaces'];

const run = (network: Namespace, task: string): Program =>
  network.start({
    command: process.execPath,
    args: ['--import', 'tsx', join(import.meta.dirname, 'island.ts'), task],
  });

test.needs(
  needed,
  'G30: started with an empty resolv.conf, names are found within 10 s of its being filled',
  async () => {
    const network = await startNamespace();
    let locating: Program | undefined;
    let dns: Program | undefined;
    try {
      locating = run(network, 'locate');
      await locating.line(/^failed/, 30_000);
      await network.linkUp();
      dns = run(network, 'dns');
      await dns.line(/^dns is up$/, 20_000);
      await locating.line(/^failed/, 10_000);
      network.resolvConf('nameserver 127.0.0.1\n');
      const filled = performance.now();
      await locating.line(/^located 127\.0\.0\.1:5070$/, 20_000);
      const took = performance.now() - filled;
      assert.ok(took < 10_000, `${took} ms`);
    } finally {
      await locating?.stop();
      await dns?.stop();
      await network.stop();
    }
  },
);

test.needs(needed, 'a link-local peer is reached by its zone, and the zone shows in no header', async () => {
  const network = await startNamespace();
  try {
    const ip = async (...args: string[]): Promise<void> => {
      await network.start({ command: 'ip', args }).ended;
    };
    await network.linkUp();
    // The loopback interface stands for a cable: it can have such an address, and every kernel has one.
    await ip('-6', 'addr', 'add', 'fe80::1/64', 'dev', 'lo', 'nodad');
    const talking = run(network, 'lo');
    const line = await talking.line(/^(?:answered|timeout|failed).*$/, 20_000);
    assert.is(line, 'answered 200 via fe80::1 received fe80::1');
  } finally {
    await network.stop();
  }
});
