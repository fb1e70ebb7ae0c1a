import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { loadConfig } from '../../src/config/load.ts';
import { countProblems, formatProblem } from '../../src/config/problem.ts';
import { suite } from '../support/harness.ts';
import { memoryFiles } from './files.ts';

const here = join(import.meta.dirname, 'broken');
const names = readdirSync(here)
  .filter((name) => name.endsWith('.yaml'))
  .sort();

/** UPDATE_GOLDEN=1 writes what the program says now; read the difference before committing it. */
const update = process.env.UPDATE_GOLDEN === '1';

const test = suite('broken configurations');

for (const name of names) {
  test(`G37: ${name} tells line, column, what is wrong and what was expected`, async () => {
    const text = readFileSync(join(here, name), 'utf8');
    const files = memoryFiles(
      { [name]: text, 'sip.secret': 'secret\n', 'open.secret': 'secret\n', 'empty.secret': '\n' },
      { 'open.secret': 0o644, 'sip.secret': 0o600 },
    );
    const loaded = await loadConfig({ files }, { file: name, mode: 'check' });
    const said = `${[...loaded.problems.map(formatProblem), countProblems(loaded.problems)].join('\n')}\n`;
    const golden = join(here, name.replace(/\.yaml$/, '.txt'));
    if (update) writeFileSync(golden, said);
    assert.is(loaded.ok, false, 'it is refused');
    assert.is(loaded.ok === false && loaded.exit, 78);
    assert.fixture(said, readFileSync(golden, 'utf8'));
  });
}

test('G37: there are at least thirty', () => {
  assert.ok(names.length >= 30);
});
