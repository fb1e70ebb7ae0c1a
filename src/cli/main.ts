import { createSystemClock } from '../base/clock.ts';
import { createSystemFiles } from '../base/file.ts';
import { isoTime } from '../base/iso.ts';
import { createLog, formatRecord, type LogRecord } from '../base/log.ts';
import { createSystemRandom } from '../base/random.ts';
import { exits } from './errors.ts';
import type { Style, Surroundings } from './io.ts';
import { runProgram } from './program.ts';
import { programVersion } from './version.ts';

const STYLES: Readonly<Record<Style, string>> = {
  bold: '1',
  dim: '2',
  good: '32',
  bad: '31',
  doubtful: '33',
};

/** Status of a process that a signal ended, as shells count it. */
const SIGNALLED = 128;
/** timeout(1) and make signal the process and then its group: within this time a second signal is the first; milliseconds. */
const ECHO = 250;
const NUMBERS = { SIGINT: 2, SIGTERM: 15 } as const;

function surroundings(): Surroundings {
  const { stdout, stderr, env } = process;
  const terminal = stdout.isTTY === true;
  // https://no-color.org
  const coloured = terminal && env.TERM !== 'dumb' && (env.NO_COLOR ?? '') === '';
  // journald says of its own stream which it is, and then understands priorities (systemd.exec(5)).
  const journal = env.JOURNAL_STREAM !== undefined && stderr.isTTY !== true;
  const clock = createSystemClock();

  // `presentity watch … | head -1`: the reader has enough, and that is no failure.
  stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 74));
  stderr.on('error', () => {
    // Nobody is left to be told.
  });

  return {
    io: {
      out: (line) => void stdout.write(`${line}\n`),
      write: (text) => void stdout.write(text),
      err: (line) => void stderr.write(`${line}\n`),
      terminal,
      columns: () => stdout.columns ?? 100,
      rows: () => stdout.rows ?? 40,
      style: (kind, text) => (coloured ? `\x1b[${STYLES[kind]}m${text}\x1b[0m` : text),
    },
    clock,
    random: createSystemRandom(),
    files: createSystemFiles(),
    version: programVersion(),
    interruptible() {
      const controller = new AbortController();
      let first = 0;
      for (const signal of ['SIGINT', 'SIGTERM'] as const) {
        process.on(signal, () => {
          if (!controller.signal.aborted) first = clock.now();
          else if (clock.now() - first > ECHO) process.exit(SIGNALLED + NUMBERS[signal]);
          controller.abort();
        });
      }
      return controller.signal;
    },
    log({ json, ...options }) {
      const write = (record: LogRecord): void => {
        stderr.write(`${json ? jsonLine(record, clock.wall()) : formatRecord(record, journal)}\n`);
      };
      return createLog({ clock, write }, options);
    },
  };
}

/** A line of the log as JSON; part of the interface of the command line. */
function jsonLine({ level, part, text, fields, repeated }: LogRecord, wall: number | undefined): string {
  const time = wall === undefined ? undefined : isoTime(wall);
  return JSON.stringify(
    { time, level, part: part || undefined, text, ...fields, ...(repeated > 0 && { repeated }) },
    (_key, value: unknown) => (value instanceof Error ? value.message : value),
  );
}

async function main(): Promise<void> {
  for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
    process.on(event, (thrown: unknown) => {
      // A defect: the state is not to be trusted any more. The stack is what its reporter can give us.
      process.stderr.write(`presentity: ${thrown instanceof Error ? thrown.stack : String(thrown)}\n`);
      process.exit(exits.software);
    });
  }
  const status = await runProgram(surroundings(), process.argv.slice(2));
  // What was written to a pipe must be out before the process goes.
  await Promise.all(
    [process.stdout, process.stderr].map((stream) => new Promise((done) => stream.write('', done))),
  );
  process.exit(status);
}

// No top-level await: in the bundle, chunks that are loaded later import from this file, and would wait for it for ever.
void main();
