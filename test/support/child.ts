/** Runs one test file in a process of its own and tells the runner what came of it on file descriptor 3. */
import { writeSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

Object.assign(globalThis, { UVU_DEFER: 1, UVU_QUEUE: [[null]], UVU_INDEX: 0 });

/** How long handles may stay open after the last test, in milliseconds, before that is a failure itself. */
const LINGER = 5_000;

const file = process.argv[2];
if (file === undefined) throw new Error('usage: child.ts FILE');

const { queueSuites, report } = await import('./harness.ts');
const { exec } = await import('uvu');

await import(pathToFileURL(file).href);
await queueSuites();
await exec();
const outcomes = report();

const lingering = setTimeout(() => {
  const left = process.getActiveResourcesInfo();
  tell([
    ...outcomes,
    {
      suite: file,
      name: 'leaves nothing behind',
      state: 'failed' as const,
      detail: `still open: ${left.join(', ')}`,
    },
  ]);
  process.exit(1);
}, LINGER);
lingering.unref();

process.on('exit', () => tell(outcomes));

let told = false;
function tell(what: unknown): void {
  if (told) return;
  told = true;
  writeSync(3, JSON.stringify(what));
}
