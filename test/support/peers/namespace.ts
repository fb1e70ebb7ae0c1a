/** A network of its own for some programs: no interface but a loopback that is down, and a resolv.conf of its own. */
import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Program, type ProgramOptions, startProgram } from './program.ts';

/** The names under which `needs` looks for them. */
export const NAMESPACE: readonly string[] = ['unshare', 'nsenter', 'ip', 'mount'];

export interface Namespace {
  /** Of the process that keeps it: what `ip link set … netns` takes. */
  readonly pid: number;
  /** Runs `ip` inside. */
  ip(...args: readonly string[]): Promise<void>;
  /** Starts a program inside. */
  start(options: ProgramOptions): Program;
  /** Brings the loopback interface up. */
  linkUp(): Promise<void>;
  linkDown(): Promise<void>;
  /** What programs inside read as /etc/resolv.conf from now on. */
  resolvConf(text: string): void;
  stop(): Promise<void>;
}

/** Whether this machine lets us make one; containers often do not. */
export function namespacesWork(): boolean {
  try {
    execFileSync('unshare', [...rights(), '-n', '-m', 'mount', '--make-rprivate', '/'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Makes one whose resolv.conf is empty. */
export async function startNamespace(): Promise<Namespace> {
  const home = mkdtempSync(join(tmpdir(), 'presentity-network-'));
  const resolv = join(home, 'resolv.conf');
  writeFileSync(resolv, '');
  const keeper = startProgram({
    command: 'unshare',
    args: [
      ...rights(),
      ...[
        '-n',
        '-m',
        'sh',
        '-c',
        'mount --bind "$0" /etc/resolv.conf && echo ready && exec sleep 600',
        resolv,
      ],
    ],
  });
  await keeper.line(/^ready$/);
  const enter = [
    // Entering a mount namespace would otherwise start in its root directory.
    ...['-t', String(keeper.pid), '-n', '-m', `--wd=${process.cwd()}`],
    ...(rights().length > 0 ? ['-U', '--preserve-credentials'] : []),
    '--',
  ];
  const ip = async (...args: readonly string[]): Promise<void> => {
    await promisify(execFile)('nsenter', [...enter, 'ip', ...args]);
  };
  return {
    pid: keeper.pid,
    ip,
    start: (options) =>
      startProgram({ ...options, command: 'nsenter', args: [...enter, options.command, ...options.args] }),
    linkUp: () => ip('link', 'set', 'lo', 'up'),
    linkDown: () => ip('link', 'set', 'lo', 'down'),
    // The file is bound by its inode, so it is written in place.
    resolvConf: (text) => writeFileSync(resolv, text),
    async stop() {
      await keeper.stop();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

function rights(): readonly string[] {
  return process.getuid?.() === 0 ? [] : ['-r'];
}
