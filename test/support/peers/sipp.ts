/** SIPp plays a scenario file against us, once or many times, and says whether it went as written. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './free-port.ts';
import { startProgram, within } from './program.ts';

/** The name under which `needs` looks for it. */
export const SIPP = 'sipp';

export interface SippRun {
  /** Where it listens. */
  readonly port: number;
  /** Resolves when all calls went as written; else rejects with SIPp's own account of the error. */
  readonly done: Promise<void>;
  /** Its screen, line by line. */
  output(): readonly string[];
  stop(): Promise<void>;
}

export interface SippOptions {
  /** The scenario, XML. */
  scenario: string;
  /** `HOST:PORT` to play against; absent where SIPp waits to be called. */
  remote?: string;
  protocol?: 'udp' | 'tcp';
  calls?: number;
  /** Calls a second. */
  rate?: number;
  /** The user part of the Request-URI. */
  service?: string;
  /** Milliseconds until the run has failed. */
  limit?: number;
  port?: number;
}

/** Starts a run. One that waits to be called is ready when this resolves. */
export async function startSipp(options: SippOptions): Promise<SippRun> {
  const { scenario, remote, protocol = 'udp', calls = 1, rate = 100, limit = 20_000 } = options;
  const home = mkdtempSync(join(tmpdir(), 'presentity-sipp-'));
  const file = join(home, 'scenario.xml');
  const errors = join(home, 'errors.log');
  writeFileSync(file, scenario);
  const port = options.port ?? (await freePort());
  const program = startProgram({
    command: SIPP,
    args: [
      ...(remote === undefined ? [] : [remote]),
      ...['-sf', file, '-i', '127.0.0.1', '-p', String(port), '-t', protocol === 'udp' ? 'u1' : 't1'],
      ...['-m', String(calls), '-r', String(rate), '-l', String(Math.min(calls, 200))],
      ...['-s', options.service ?? 'gateway7', '-nostdin', '-trace_err', '-error_file', errors],
      ...['-timeout', `${Math.ceil(limit / 1000)}s`, '-timeout_error', '-cid_str', `%u-%p@sipp-${port}`],
    ],
    env: { TERM: 'dumb' },
    cwd: home,
  });
  const read = (): string => {
    try {
      return readFileSync(errors, 'utf8');
    } catch {
      return '';
    }
  };
  const done = within(program.ended, limit + 5_000, () => `sipp; ${read()}`).then((status) => {
    const account = read();
    rmSync(home, { recursive: true, force: true });
    if (status !== 0)
      throw new Error(`sipp ended with ${status}\n${account}\n${program.lines.slice(-30).join('\n')}`);
  });
  done.catch(() => {});
  // A datagram that comes too early comes again; a connection does not.
  if (remote === undefined && protocol === 'tcp') await listening(port);
  return {
    port,
    done,
    output: () => program.lines,
    async stop() {
      await program.stop();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

async function listening(port: number): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1');
      socket.once('connect', () => resolve(true));
      socket.once('error', () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });
    if (open) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`sipp does not listen on ${port}`);
}
