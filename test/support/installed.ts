import { execFileSync } from 'node:child_process';

/** Whether a program is there; a path or a name on PATH. */
export function installed(program: string): boolean {
  try {
    // Debian puts servers where an ordinary user's PATH does not look.
    const path = `${process.env.PATH ?? ''}:/usr/sbin:/usr/local/sbin`;
    execFileSync('sh', ['-c', 'command -v "$0"', program], {
      stdio: 'ignore',
      env: { ...process.env, PATH: path },
    });
    return true;
  } catch {
    return false;
  }
}
