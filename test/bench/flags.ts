import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const targets = join(import.meta.dirname, '..', '..', 'targets');

/** The flags that `run` and `edge` start this Node with. */
export function leanFlags(): string[] {
  const [major = ''] = process.versions.node.split('.');
  return ['node.flags', `node${major}.flags`]
    .map((name) => join(targets, name))
    .filter((path) => existsSync(path))
    .flatMap((path) => readFileSync(path, 'utf8').split('\n'))
    .filter(Boolean);
}
