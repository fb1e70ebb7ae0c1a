/** The bundle leaves out parts of libraries. What it is to say about a device must not depend on that. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { rollup } from 'rollup';
import * as assert from 'uvu/assert';
import type { DevicePresence } from '../../src/presence/model.ts';
import * as source from '../../src/presence/render.ts';
import config from '../../targets/rollup.config.mjs';
import { suite } from '../support/harness.ts';

const test = suite('the lean bundle', { timeout: 120_000 });

const home = mkdtempSync(join(tmpdir(), 'presentity-lean-'));
test.after(() => rmSync(home, { recursive: true, force: true }));

/** One module of ours, bundled as the product is; what the configuration does to the output folder is left out. */
async function bundled<T>(module: string): Promise<T> {
  const plugins = config.plugins.filter(({ name }) => !['clean', 'beside', 'terser'].includes(name));
  const bundle = await rollup({
    ...config,
    plugins,
    input: join(import.meta.dirname, '..', '..', module),
    onwarn() {},
  });
  const file = join(home, 'module.cjs');
  await bundle.write({ file, format: 'cjs', exports: 'named', interop: 'default' });
  await bundle.close();
  return createRequire(import.meta.url)(file) as T;
}

// Texts as the model hands them on: without characters that XML cannot hold.
const text = fc
  .string({ unit: 'grapheme', maxLength: 20 })
  .map((value) => value.replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd]/g, ''));
const name = fc.stringMatching(/^[a-z][a-z0-9]{0,8}$/);
const device: fc.Arbitrary<DevicePresence> = fc.record(
  {
    id: name,
    basic: fc.constantFrom('open', 'closed'),
    note: text,
    contact: name.map((user) => `sip:${user}@example.com`),
    timestamp: fc.integer({ min: 0, max: 4e12 }),
    deviceId: name.map((id) => `urn:dev:ops:${id}`),
    name: text,
    activity: fc.oneof(fc.constantFrom('busy', 'away', 'sleeping'), name),
    values: fc.array(
      fc.oneof(
        fc.record({ n: name, u: fc.constant('Cel'), v: fc.double({ noNaN: true }) }),
        fc.record({ n: name, vb: fc.boolean() }),
        fc.record({ n: name, vs: text, t: fc.integer() }),
      ),
      { maxLength: 3 },
    ),
  },
  { requiredKeys: ['id'] },
) as fc.Arbitrary<DevicePresence>;

test('renders every device as the whole libraries do', async () => {
  const lean = await bundled<typeof source>('src/presence/render.ts');
  fc.assert(
    fc.property(device, (one) => {
      assert.equal(lean.render(one), source.render(one));
      assert.is(lean.renderTuple(one), source.renderTuple(one));
      assert.is(lean.renderDevice(one), source.renderDevice(one));
      assert.is(lean.renderPerson(one), source.renderPerson(one));
      assert.is(lean.renderStatus(one), source.renderStatus(one));
      for (const part of ['contact', 'note', 'timestamp', 'deviceID'] as const)
        assert.is(lean.renderText(part, one.note ?? ''), source.renderText(part, one.note ?? ''));
      for (const record of one.values ?? [])
        assert.is(lean.renderRecord(record), source.renderRecord(record));
      assert.is(lean.renderActivity(one.id), source.renderActivity(one.id));
    }),
    { seed: 5262, numRuns: 400 },
  );
});
