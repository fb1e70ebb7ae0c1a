/** What one change costs on the wire: whole PUBLISHes as they left, digest included. */
import type { Algorithm } from 'tiny-sip';
import * as assert from 'uvu/assert';
import type { PublishKind } from '../../src/agent/events.ts';
import { suite } from '../support/harness.ts';
import { createWorld, GATEWAY, type World } from './world.ts';

const test = suite('bytes of a change');

/** As the issue sets them, for MD5; of SHA-256 the figures are only shown. */
const BUDGETS = [
  { detail: 'lean', publish: 'diff', kind: 'diff', most: 720 },
  { detail: 'lean', publish: 'segments', kind: 'segment', most: 950 },
  { detail: 'full', publish: 'diff', kind: 'diff', most: 1_000 },
  { detail: 'full', publish: 'segments', kind: 'segment', most: 1_150 },
] as const;

/** The largest PUBLISH of several changes of one value among twenty devices. */
async function measure(
  detail: 'lean' | 'full',
  publish: 'diff' | 'segments',
  kind: PublishKind,
  algorithm: Algorithm,
): Promise<number> {
  const devices = Array.from({ length: 20 }, (_, n) => `freezer${n + 1}`);
  const world: World = createWorld({
    devices,
    protocol: 'udp',
    single: true,
    account: { detail, publish },
    agent: { userAgent: 'presentity/0.1.0' },
    // What takes diffs is our edge, what takes segments Kamailio.
    script: publish === 'diff' ? { lists: true, diffs: 'applied' } : {},
    users: { gateway7: 'secret' },
    algorithms: [algorithm],
  });
  await world.start();
  for (const id of devices) {
    world.read(id, 'temp', -18.5);
  }
  await world.clock.advance(20_000);
  const before = world.events.length;
  for (const value of [-18.4, -17.9, -18.1, 4.25]) {
    world.read('freezer7', 'temp', value);
    await world.clock.advance(2_000);
  }
  assert.is(world.sees('freezer7')?.note, '4.25 °C');
  const sizes = world.events
    .slice(before)
    .flatMap((event) => (event.type === 'publish' && event.status === 200 ? [event] : []));
  assert.is(sizes.length, 4);
  for (const event of sizes) assert.is(event.kind, kind);
  assert.is(world.server.seen(GATEWAY).size, 20);
  return Math.max(...sizes.map(({ bytes }) => bytes));
}

for (const { detail, publish, kind, most } of BUDGETS)
  test(`one value of 20 changed, ${detail}, ${kind}: at most ${most} bytes`, async () => {
    const md5 = await measure(detail, publish, kind, 'MD5');
    const sha256 = await measure(detail, publish, kind, 'SHA-256');
    console.log(`${detail} ${kind}: ${md5} bytes with MD5 (at most ${most}), ${sha256} with SHA-256`);
    assert.ok(md5 <= most, `${md5} bytes`);
  });
