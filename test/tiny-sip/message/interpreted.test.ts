import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { matchAt, REQUEST_LINE, VIA_VALUE } from '../../../src/tiny-sip/message/patterns.ts';
import { corpus } from '../../bench/corpus.ts';
import { readOurs } from '../../bench/read.ts';
import { suite } from '../../support/harness.ts';
import { startProgram } from '../../support/peers/program.ts';

const test = suite('a Node that compiles nothing', { timeout: 60_000 });

/** Runs a test file of this folder in such a Node; answers its exit status and what it printed. */
async function interpreted(file: string): Promise<{ status: unknown; lines: readonly string[] }> {
  const program = startProgram({
    command: process.execPath,
    args: ['--no-warnings', '--lite-mode', '--import', 'tsx', join(import.meta.dirname, file)],
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

for (const file of ['parse.test.ts', 'values.test.ts', 'check.test.ts']) {
  test(`${file} passes there, by the patterns`, async () => {
    const { status, lines } = await interpreted(file);
    assert.is(status, 0, lines.slice(-20).join('\n'));
  });
}

test('the usual messages are read by the patterns, not with care', () => {
  for (const bytes of corpus) {
    const head = bytes.toString('latin1');
    if (!head.startsWith('SIP/')) assert.ok(matchAt(REQUEST_LINE, head, 0), head);
    assert.ok(matchAt(VIA_VALUE, head, head.indexOf('\nVia:') + 5), head);
    assert.ok(readOurs(bytes) > 0);
  }
});
