import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The flags that `run` and `edge` start Node with. */
export function leanFlags(): string[] {
  const file = join(import.meta.dirname, '..', '..', 'targets', 'node.flags');
  return readFileSync(file, 'utf8').split('\n').filter(Boolean);
}
