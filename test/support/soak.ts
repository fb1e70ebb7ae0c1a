/**
 * The tests of the stack again, with faults: see fault-child.ts. `all` (as `make soak` has it) makes each operation fail
 * in turn, `sample` one of each kind for each test. Further words pick files. Ends with status 1 when anything was found.
 */
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..', '..');
const [scope = 'sample', ...words] = process.argv.slice(2);

/** Those that drive faults or processes of their own, and those in which the stack sends nothing. */
const APART = /(?:failure|faults|lean|readme|island|property|framer)\.test\.ts$|^message/;

export function faultFiles(picked: readonly string[]): readonly string[] {
  return readdirSync(join(root, 'test', 'tiny-sip'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts') && !APART.test(name))
    .filter((name) => picked.length === 0 || picked.some((word) => name.includes(word)))
    .sort();
}

const waiting = [...faultFiles(words)];
let failed = waiting.length === 0;
await Promise.all(
  Array.from({ length: Math.max(2, availableParallelism()) }, async () => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      const { status, lines } = await runFile(file);
      // A child that ends without its sum has not run its tests, whatever its status says.
      const good = status === 0 && (lines.at(-1) ?? '').startsWith('{"sum"');
      failed ||= !good;
      console.log(`${good ? 'ok  ' : 'FAIL'} ${file}  ${lines.at(-1) ?? ''}`);
      if (!good) for (const line of lines.slice(0, -1)) console.log(`     ${line}`);
    }
  }),
);
process.exitCode = failed ? 1 : 0;

function runFile(name: string): Promise<{ status: number; lines: string[] }> {
  return new Promise((resolve) => {
    const child = spawn(
      process.execPath,
      [
        '--import',
        'tsx',
        '--expose-gc',
        join('test', 'support', 'fault-child.ts'),
        join(root, 'test', 'tiny-sip', name),
        scope,
      ],
      {
        cwd: root,
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { ...process.env, FORCE_COLOR: '0', NO_COLOR: '1' },
      },
    );
    let output = '';
    const take = (chunk: Buffer): void => {
      output += chunk.toString();
    };
    child.stdout.on('data', take);
    child.stderr.on('data', take);
    child.on('close', (status) =>
      resolve({ status: status ?? 1, lines: output.split('\n').filter(Boolean) }),
    );
  });
}
