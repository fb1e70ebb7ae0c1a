import { execFile } from 'node:child_process';
import type { Loaded } from '../config/load.ts';
import type { Surroundings } from './io.ts';

/** The largest answer: a configuration is at most a megabyte of YAML. */
const LARGEST = 16 * 1024 * 1024;
/** How long reading a file may take on the slowest gateway, in milliseconds. */
const LIMIT = 60_000;

/**
 * Loads a configuration in a short-lived process of its own. Reading YAML and checking it takes 3.6 MiB that a process
 * never gives back, and the daemon needs them once in its life. The answer comes over a pipe, secrets included, and
 * touches no disk. Where no process can be had, the file is read in this one.
 */
export async function loadApart({ files }: Pick<Surroundings, 'files'>, file: string): Promise<Loaded> {
  const answer = await askChild(file);
  if (answer !== undefined) return answer;
  const { loadConfig } = await import('../config/load.ts');
  return loadConfig({ files }, { file, mode: 'run' });
}

function askChild(file: string): Promise<Loaded | undefined> {
  const program = process.argv[1];
  if (program === undefined) return Promise.resolve(undefined);
  // The flags that keep the daemon small would only make the child slow; run from source it needs the loader.
  const flags = program.endsWith('.ts') ? process.execArgv : [];
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [...flags, program, 'config', 'assemble', file],
      { maxBuffer: LARGEST, timeout: LIMIT, encoding: 'utf8' },
      (_error, stdout) => {
        try {
          resolve(JSON.parse(stdout) as Loaded);
        } catch {
          // Killed, out of memory, or no such program: whatever it was, the file can still be read here.
          resolve(undefined);
        }
      },
    );
  });
}
