/**
 * The one test runner: every `*.test.ts` below `test/` (or those whose path holds one of the given words) in a process
 * of its own, two at a time. Its last line is `N passed, N failed` with `, N skipped` where any were. It fails when
 * there is no test at all, when a file declares none, and when one ends without a report.
 */
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, relative } from 'node:path';
import type { Outcome } from './harness.ts';

/** How long one file may take, in milliseconds. */
const FILE_LIMIT = 600_000;

const root = join(import.meta.dirname, '..', '..');
const words = process.argv.slice(2).filter((word) => !word.startsWith('--'));
const files = readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.test.ts'))
  .map((name) => join('test', name))
  .filter((name) => words.length === 0 || words.some((word) => name.includes(word)))
  .sort();

interface Result {
  file: string;
  outcomes: Outcome[];
  output: string;
  seconds: number;
}

const results: Result[] = [];
const waiting = [...files];
await Promise.all(
  Array.from({ length: Math.max(2, availableParallelism()) }, async () => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      const result = await runFile(file);
      results.push(result);
      print(result);
    }
  }),
);

const all = results.flatMap((result) => result.outcomes);
const count = (state: Outcome['state']): number => all.filter((outcome) => outcome.state === state).length;
const skipped = all.filter((outcome) => outcome.state === 'skipped');
if (skipped.length > 0) {
  const reasons = new Map<string, number>();
  for (const { detail = '' } of skipped) reasons.set(detail, (reasons.get(detail) ?? 0) + 1);
  for (const [reason, times] of reasons) console.log(`skipped ${times}: ${reason}`);
}
const failed = count('failed') + (files.length === 0 ? 1 : 0);
if (files.length === 0) console.log(`no test file matches: ${words.join(' ')}`);
console.log(
  `${count('passed')} passed, ${failed} failed${skipped.length > 0 ? `, ${skipped.length} skipped` : ''}`,
);
process.exitCode = failed === 0 ? 0 : 1;

function runFile(file: string): Promise<Result> {
  const started = performance.now();
  return new Promise((resolve) => {
    const child = spawn(
      process.execPath,
      ['--import', 'tsx', '--expose-gc', join('test', 'support', 'child.ts'), join(root, file)],
      {
        cwd: root,
        stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
        env: { ...process.env, FORCE_COLOR: '0', NO_COLOR: '1' },
      },
    );
    let output = '';
    let told = '';
    let late = false;
    child.stdout?.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    child.stderr?.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    (child.stdio[3] as NodeJS.ReadableStream).on('data', (chunk: Buffer) => {
      told += chunk.toString();
    });
    const timer = setTimeout(() => {
      late = true;
      child.kill('SIGKILL');
    }, FILE_LIMIT);
    child.on('close', (status, signal) => {
      clearTimeout(timer);
      const outcomes: Outcome[] = told ? (JSON.parse(told) as Outcome[]) : [];
      const fail = (name: string, detail: string): void => {
        outcomes.push({ suite: file, name, state: 'failed', detail });
      };
      if (late) fail('time', `took more than ${FILE_LIMIT / 1000} s`);
      else if (!told) fail('report', `ended without a report (${signal ?? status})\n${output}`);
      else if (outcomes.length === 0) fail('tests', 'declares no test');
      else if (status !== 0 && outcomes.every((one) => one.state !== 'failed'))
        fail('exit', `ended with ${signal ?? status}\n${output}`);
      resolve({ file, outcomes, output, seconds: (performance.now() - started) / 1000 });
    });
  });
}

function print(result: Result): void {
  const bad = result.outcomes.filter((one) => one.state === 'failed');
  const good = result.outcomes.filter((one) => one.state === 'passed').length;
  const mark = bad.length > 0 ? 'FAIL' : 'ok  ';
  console.log(`${mark} ${relative('test', result.file)}  ${good} in ${result.seconds.toFixed(1)} s`);
  for (const one of bad) console.log(`     ✘ ${one.suite}: ${one.name}\n${indent(one.detail ?? '')}`);
  if (process.argv.includes('--verbose')) console.log(indent(result.output));
}

function indent(text: string): string {
  return text
    .split('\n')
    .map((line) => `       ${line}`)
    .join('\n');
}
