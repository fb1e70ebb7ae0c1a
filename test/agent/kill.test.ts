/** Killed again and again, over a network that loses, repeats and delays: at rest a watcher sees the truth. */
import type { Fate } from 'tiny-sip';
import * as assert from 'uvu/assert';
import { createFakeRandom } from '../support/fake-random.ts';
import { suite } from '../support/harness.ts';
import type { ServerScript } from '../support/sip-server.ts';
import { createWorld, GATEWAY } from './world.ts';

const test = suite('killed again and again', { timeout: 60_000 });
const ids = ['freezer', 'lamp', 'pump', 'valve', 'door'];

const SERVERS: Record<string, Partial<ServerScript>> = {
  'composes as Kamailio does': { composing: 'clash' },
  'takes diffs': { lists: true, diffs: 'applied' },
  'shows the newest document only': { composing: 'newest' },
};

for (const [name, script] of Object.entries(SERVERS))
  test(`S3: S4: a server that ${name}`, async () => {
    const chance = createFakeRandom(name.length);
    let rough = false;
    const fate: Fate = () => {
      if (!rough) return [1];
      const dice = chance.float();
      if (dice < 0.1) return [];
      if (dice < 0.2) return [1, 200];
      return [chance.float() * 300];
    };
    const world = createWorld({ devices: ids, protocol: 'udp', fate, script, single: true });
    await world.start();
    const truth = new Map<string, number>();
    for (let life = 0; life < 12; life += 1) {
      rough = true;
      for (let n = 0; n < 15; n += 1) {
        const id = ids[Math.floor(chance.float() * ids.length)] ?? '';
        truth.set(id, life - n * 20);
        world.read(id, 'temp', life - n * 20);
        await world.clock.advance(chance.float() * 500);
      }
      await world.restart();
      await world.clock.advance(chance.float() * 3_000);
      rough = false;
      // Longer than a publication lives: what was lost sight of is gone by then.
      await world.clock.advance(200_000);
      for (const [id, value] of truth)
        assert.is(world.sees(id)?.note, `${value} °C`, `${id} in life ${life}`);
      assert.equal(
        [...world.server.seen(GATEWAY).keys()].sort(),
        ids.map((id) => world.id(id)).sort(),
        `life ${life}`,
      );
    }
  });
