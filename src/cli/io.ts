import type { Clock } from '../base/clock.ts';
import type { Files } from '../base/file.ts';
import type { Level, Log } from '../base/log.ts';
import type { Random } from '../base/random.ts';

/** Where a verb writes, and what it knows of the other end. */
export interface Io {
  /** One line to standard output. */
  out(line: string): void;
  /** To standard output as it is, for what draws on a terminal. */
  write(text: string): void;
  /** One line to standard error. */
  err(line: string): void;
  /** Standard output is a terminal. */
  readonly terminal: boolean;
  /** Width of the terminal in columns. */
  columns(): number;
  /** Its height in lines. */
  rows(): number;
  /** Bold, dim and the like, where a terminal shows them; else the text as it is. */
  style(kind: Style, text: string): string;
}

export type Style = 'bold' | 'dim' | 'good' | 'bad' | 'doubtful';

/** What a verb is given. */
export interface Surroundings {
  readonly io: Io;
  readonly clock: Clock;
  readonly random: Random;
  readonly files: Files;
  /** Of the program. */
  readonly version: string;
  /** Follows SIGINT and SIGTERM: the first aborts the signal, the second ends the process at once. */
  interruptible(): AbortSignal;
  /** A log to standard error; with `json` one object a line. */
  log(options: { level: Level; quiet?: number; json?: boolean }): Log;
}
