/**
 * The tests of the stack again, each with one write, one connection and one DNS answer made to fail (`make soak`: every
 * one of them in turn). What the faults may not bring about is written in test/support/fault-child.ts.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { suite } from '../support/harness.ts';

const test = suite('tiny-sip under faults', { timeout: 580_000 });

const root = join(import.meta.dirname, '..', '..');

test('S7: one operation of each kind fails in each test: nothing throws, hangs or leaks', async () => {
  const { status, output } = await run(['test/support/soak.ts', 'sample']);
  assert.is(status, 0, output);
  const sums = [...output.matchAll(/"tests":(\d+),"runs":(\d+)/g)];
  const add = (at: 1 | 2): number => sums.reduce((sum, one) => sum + Number(one[at]), 0);
  assert.ok(add(1) > 200, `${add(1)} tests`);
  assert.ok(add(2) > 1.5 * add(1), `${add(2)} runs of ${add(1)} tests`);
});

async function run(args: readonly string[]): Promise<{ status: number | null; output: string }> {
  const child = spawn(process.execPath, ['--import', 'tsx', ...args], { cwd: root });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
  const status = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { status, output };
}
