import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { matchAt, REQUEST_LINE, VIA_VALUE } from '../../../src/tiny-sip/message/patterns.ts';
import { corpus } from '../../bench/corpus.ts';
import { readOurs } from '../../bench/read.ts';
import { suite } from '../../support/harness.ts';
import { startProgram } from '../../support/peers/program.ts';

const test = suite('a Node that compiles nothing', { timeout: 60_000 });

/** Runs a file, named from this folder, in such a Node; answers its exit status and what it printed. */
async function interpreted(
  file: string,
  {
    flags = ['--lite-mode', '--no-expose-wasm'],
    args = [],
  }: { flags?: readonly string[]; args?: readonly string[] } = {},
): Promise<{ status: unknown; lines: readonly string[] }> {
  const program = startProgram({
    command: process.execPath,
    args: ['--no-warnings', ...flags, '--import', 'tsx', join(import.meta.dirname, file), ...args],
  });
  const status = await program.ended;
  return { status, lines: program.lines };
}

test('such a Node is told from one that compiles', async () => {
  const patterns = join(import.meta.dirname, '../../../src/tiny-sip/message/patterns.ts');
  const shown = async (flags: readonly string[]): Promise<readonly string[]> => {
    const code = `import(${JSON.stringify(patterns)}).then((room) => console.log('compiled', room.compiled))`;
    const program = startProgram({
      command: process.execPath,
      args: ['--no-warnings', ...flags, '--import', 'tsx', '-e', code],
    });
    await program.ended;
    return program.lines;
  };
  assert.ok((await shown(['--lite-mode'])).includes('compiled false'));
  assert.ok((await shown(['--jitless'])).includes('compiled false'));
  assert.ok((await shown([])).includes('compiled true'));
});

const files = [
  'parse.test.ts',
  'values.test.ts',
  'check.test.ts',
  'create.test.ts',
  '../torture/torture.test.ts',
  '../torture/reads.test.ts',
];

for (const file of files) {
  test(`${file} passes there, by the patterns`, async () => {
    const { status, lines } = await interpreted(file);
    assert.is(status, 0, lines.slice(-20).join('\n'));
  });
}

test('torture messages and mutated ones are read, marked and written alike in both kinds of Node', async () => {
  const args = ['12'];
  const [patterns, loops] = await Promise.all([
    interpreted('readings.ts', { args }),
    interpreted('readings.ts', { args, flags: [] }),
  ]);
  assert.is(patterns.status, 0, patterns.lines.join('\n'));
  assert.is(loops.status, 0, loops.lines.join('\n'));
  assert.is(patterns.lines[0], 'compiled false');
  assert.is(loops.lines[0], 'compiled true');
  assert.is(loops.lines.length, 14);
  assert.equal(patterns.lines.slice(1), loops.lines.slice(1));
});

test('the usual messages are read by the patterns, not with care', () => {
  for (const bytes of corpus) {
    const head = bytes.toString('latin1');
    if (!head.startsWith('SIP/')) assert.ok(matchAt(REQUEST_LINE, head, 0), head);
    assert.ok(matchAt(VIA_VALUE, head, head.indexOf('\nVia:') + 5), head);
    assert.ok(readOurs(bytes) > 0);
  }
});
