import { type ChildProcess, spawn as spawnProcess } from 'node:child_process';
import { join } from 'node:path';
import type { Ran } from './inside.ts';

const root = join(import.meta.dirname, '..', '..');

export interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ran>;
  /** Waits until the output so far matches; fails when the program ends before. */
  until(pattern: RegExp): Promise<RegExpExecArray>;
}

/** Starts the real program from its source. */
export function start(args: readonly string[], env: Readonly<Record<string, string>> = {}): Running {
  const child = spawnProcess(process.execPath, ['--import', 'tsx', 'src/cli/main.ts', ...args], {
    cwd: root,
    env: { ...process.env, NO_COLOR: '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  const waiting = new Set<() => void>();
  const note = (): void => {
    for (const look of waiting) look();
  };
  child.stdout?.on('data', (chunk) => {
    stdout += chunk;
    note();
  });
  child.stderr?.on('data', (chunk) => {
    stderr += chunk;
    note();
  });
  const ended = new Promise<Ran>((resolve) => {
    child.on('close', (code, signal) => {
      resolve({ status: code ?? (signal === null ? -1 : -2), stdout, stderr });
      note();
    });
  });
  return {
    child,
    ended,
    until: (pattern) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          const found = pattern.exec(stdout + stderr);
          if (found) resolve(found);
          else if (child.exitCode !== null || child.signalCode !== null) {
            reject(new Error(`ended before ${pattern}:\n${stdout}${stderr}`));
          } else return;
          waiting.delete(look);
        };
        waiting.add(look);
        look();
      }),
  };
}

/** Runs the real program to its end. */
export function run(args: readonly string[], env?: Readonly<Record<string, string>>): Promise<Ran> {
  return start(args, env).ended;
}
