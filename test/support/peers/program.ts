/** Runs a program that is not ours for the length of a test: its output by line, its end, and no orphan left behind. */
import { type ChildProcess, spawn } from 'node:child_process';

export interface Program {
  readonly pid: number;
  /** Every line so far, standard output and standard error together, in the order of arrival. */
  readonly lines: readonly string[];
  /** The first line, of the past or the future, that matches. Rejects when the program ends before, or after `ms`. */
  line(pattern: RegExp, ms?: number): Promise<string>;
  /** Hears every line from now on. */
  onLine(listener: (line: string) => void): () => void;
  write(text: string): void;
  signal(signal: NodeJS.Signals): void;
  /** Exit status, or the name of the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals>;
  /** Asks it to end and waits; after `ms` it is killed. */
  stop(ms?: number): Promise<number | NodeJS.Signals>;
}

export interface ProgramOptions {
  command: string;
  args: readonly string[];
  cwd?: string;
  env?: Readonly<Record<string, string>>;
  /** How many lines are kept. */
  keep?: number;
  /** Kills its whole process group when it does not end by itself: for programs that fork. */
  group?: boolean;
}

export function startProgram(options: ProgramOptions): Program {
  const { command, args, keep = 20_000, group = false } = options;
  const child: ChildProcess = spawn(command, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: group,
  });
  const lines: string[] = [];
  const listeners = new Set<(line: string) => void>();
  let end: number | NodeJS.Signals | undefined;
  let startError: Error | undefined;

  const kill = (signal: NodeJS.Signals): void => {
    if (child.pid === undefined || end !== undefined) return;
    try {
      process.kill(group ? -child.pid : child.pid, signal);
    } catch {
      // It is gone already.
    }
  };
  const atExit = (): void => kill('SIGKILL');
  process.once('exit', atExit);

  const read = (stream: NodeJS.ReadableStream | null): void => {
    let rest = '';
    stream?.setEncoding('utf8');
    const emit = (line: string): void => {
      if (lines.length < keep) lines.push(line);
      for (const listener of [...listeners]) listener(line);
    };
    stream?.on('data', (chunk: string) => {
      const parts = (rest + chunk).split('\n');
      rest = parts.pop() ?? '';
      for (const part of parts) emit(part.replace(/\r$/, ''));
    });
    stream?.on('end', () => {
      if (rest !== '') emit(rest);
      rest = '';
    });
  };
  read(child.stdout);
  read(child.stderr);
  child.stdin?.on('error', () => {});

  const ended = new Promise<number | NodeJS.Signals>((resolve) => {
    child.on('error', (error) => {
      startError = error;
      end ??= 127;
      process.removeListener('exit', atExit);
      resolve(end);
    });
    child.on('close', (status, signal) => {
      end ??= status ?? signal ?? 0;
      process.removeListener('exit', atExit);
      resolve(end);
    });
  });

  const tail = (): string => lines.slice(-15).join('\n');

  return {
    pid: child.pid ?? -1,
    lines,
    line(pattern, ms = 10_000) {
      const past = lines.find((one) => pattern.test(one));
      if (past !== undefined) return Promise.resolve(past);
      const found = new Promise<string>((resolve, reject) => {
        const listener = (one: string): void => {
          if (!pattern.test(one)) return;
          listeners.delete(listener);
          resolve(one);
        };
        listeners.add(listener);
        void ended.then((status) => {
          listeners.delete(listener);
          reject(
            new Error(`${command} ended with ${startError?.message ?? status} before ${pattern}\n${tail()}`),
          );
        });
      });
      return within(found, ms, () => `${command}: no line matches ${pattern}; last lines:\n${tail()}`);
    },
    onLine(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    write: (text) => void child.stdin?.write(text),
    signal: kill,
    ended,
    async stop(ms = 5_000) {
      kill('SIGTERM');
      const timer = setTimeout(() => kill('SIGKILL'), ms);
      const status = await ended;
      clearTimeout(timer);
      return status;
    },
  };
}

/** The promise, or after `ms` an error that says what was missing. */
export async function within<T>(promise: Promise<T>, ms: number, what: string | (() => string)): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(
      () => reject(new Error(`not within ${ms} ms: ${typeof what === 'string' ? what : what()}`)),
      ms,
    );
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
