import { createSystemClock } from '../../src/base/clock.ts';
import type { Files } from '../../src/base/file.ts';
import { createLog, formatRecord } from '../../src/base/log.ts';
import { createSystemRandom } from '../../src/base/random.ts';
import type { Surroundings } from '../../src/cli/io.ts';
import { runProgram } from '../../src/cli/program.ts';
import { createFakeFiles } from '../support/fake-files.ts';

export interface Ran {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Inside {
  readonly surroundings: Surroundings;
  /** As Ctrl-C does. */
  interrupt(): void;
  stdout(): string;
  stderr(): string;
}

/** Surroundings of a verb that runs in the process of the test: real time and network, files in memory. */
export function createInside(options: { files?: Files; columns?: number } = {}): Inside {
  const clock = createSystemClock();
  const controller = new AbortController();
  let stdout = '';
  let stderr = '';
  const err = (line: string): void => {
    stderr += `${line}\n`;
  };
  return {
    surroundings: {
      io: {
        out: (line) => {
          stdout += `${line}\n`;
        },
        write: (text) => {
          stdout += text;
        },
        err,
        terminal: options.columns !== undefined,
        columns: () => options.columns ?? 100,
        rows: () => 40,
        style: (_kind, text) => text,
      },
      clock,
      random: createSystemRandom(),
      files: options.files ?? createFakeFiles(),
      version: '1.2.3',
      interruptible: () => controller.signal,
      log: ({ level }) =>
        createLog({ clock, write: (record) => err(formatRecord(record, false)) }, { level }),
    },
    interrupt: () => controller.abort(),
    stdout: () => stdout,
    stderr: () => stderr,
  };
}

/** Runs one command line in this process, which is cheaper than a process of its own. */
export async function inside(
  args: readonly string[],
  options: Parameters<typeof createInside>[0] = {},
): Promise<Ran> {
  const it = createInside(options);
  const status = await runProgram(it.surroundings, args);
  return { status, stdout: it.stdout(), stderr: it.stderr() };
}
