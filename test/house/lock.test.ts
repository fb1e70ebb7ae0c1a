/** Gates on the lock file: a clean clone must install from it, on every platform, from whatever registry is set. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { suite } from '../support/harness.ts';

const test = suite('lock file');

interface Entry {
  version?: string;
  resolved?: string;
  link?: boolean;
  optionalDependencies?: Record<string, string>;
}

const text = readFileSync(join(import.meta.dirname, '..', '..', 'package-lock.json'), 'utf8');
const packages = (JSON.parse(text) as { packages: Record<string, Entry> }).packages;

test('has an entry for every optional dependency, those of other platforms too', () => {
  // npm leaves out what it could not look up, and `npm ci` then refuses the whole file.
  const missing = Object.values(packages).flatMap((entry) =>
    Object.keys(entry.optionalDependencies ?? {}).filter((name) => !packages[`node_modules/${name}`]),
  );
  assert.equal(missing, []);
});

test('names no registry host', () => {
  const resolved = Object.entries(packages).filter(([, entry]) => entry.resolved && !entry.link);
  assert.equal(
    resolved.map(([name]) => name),
    [],
  );
});
