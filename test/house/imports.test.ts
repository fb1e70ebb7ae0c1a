/** Gates on the house itself: which room may import which, and where time, chance and the process may be touched. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import * as assert from 'uvu/assert';
import { suite } from '../support/harness.ts';

const test = suite('house');

const root = join(import.meta.dirname, '..', '..');

/** Rooms by floor. Imports go down, never up, and never sideways. */
const FLOORS: Record<string, number> = {
  cli: 7,
  daemon: 6,
  config: 5,
  agent: 4,
  edge: 4,
  control: 4,
  web: 4,
  sources: 3,
  commands: 3,
  device: 2,
  presence: 2,
  im: 2,
  'tiny-sip': 1,
  xml: 1,
  bridge: 1,
  http: 1,
  base: 0,
};

/** The floors inside tiny-sip; files at its top are above them all. */
const SIP_FLOORS: Record<string, number> = {
  message: 1,
  transport: 2,
  resolve: 2,
  transaction: 3,
  auth: 4,
  dialog: 5,
  event: 6,
};

interface Import {
  file: string;
  target: string;
}

const files = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts') && !name.includes('node_modules'))
  .map((name) => name.replaceAll('\\', '/'));
const source = new Map(files.map((file) => [file, readFileSync(join(root, 'src', file), 'utf8')]));

const imports: Import[] = [...source].flatMap(([file, text]) =>
  [...text.matchAll(/(?<!['.\w])(?:from\s+|import\s+|import\s*\(\s*)'([^'\n]+)'/g)].map((match) => ({
    file,
    target: match[1] ?? '',
  })),
);

const roomOf = (path: string): string => path.split('/')[0] ?? '';

test('every room has its floor', () => {
  const unknown = [...new Set(files.map(roomOf))].filter((room) => FLOORS[room] === undefined);
  assert.equal(unknown, []);
});

test('imports go down only, and never sideways', () => {
  const wrong: string[] = [];
  for (const { file, target } of imports) {
    const from = roomOf(file);
    const to = target.startsWith('.')
      ? roomOf(normalize(join(dirname(file), target)).replaceAll('\\', '/'))
      : target;
    if (FLOORS[to] === undefined || to === from) continue;
    if ((FLOORS[to] ?? 0) >= (FLOORS[from] ?? 0)) wrong.push(`${file} imports ${target}`);
    if (to === 'tiny-sip' && target !== 'tiny-sip')
      wrong.push(`${file} imports ${target}: use the public face 'tiny-sip'`);
  }
  assert.equal(wrong, []);
});

test('tiny-sip stands alone and its floors import downward', () => {
  const wrong: string[] = [];
  for (const { file, target } of imports) {
    if (roomOf(file) !== 'tiny-sip') continue;
    if (target.startsWith('node:')) continue;
    const path = normalize(join(dirname(file), target)).replaceAll('\\', '/');
    if (!target.startsWith('.') || roomOf(path) !== 'tiny-sip') {
      wrong.push(`${file} imports ${target}`);
      continue;
    }
    const from = SIP_FLOORS[file.split('/')[1] ?? ''];
    const to = SIP_FLOORS[path.split('/')[1] ?? ''];
    if (from === undefined || to === undefined) continue;
    const sameFolder = file.split('/')[1] === path.split('/')[1];
    if (!sameFolder && to >= from) wrong.push(`${file} imports ${target}`);
  }
  assert.equal(wrong, []);
});

test('G28: only the clock asks for the time, only random for chance', () => {
  const allowed = new Set(['base/clock.ts', 'base/random.ts', 'tiny-sip/deps.ts']);
  const banned =
    /\bDate\.now\b|\bnew Date\(\)|\bperformance\.now\b|\bsetTimeout\(|\bsetInterval\(|\bMath\.random\b|\bprocess\.hrtime\b/;
  assert.equal(
    offenders(banned, (file) => !allowed.has(file)),
    [],
  );
});

test('only the command line prints and reads the process', () => {
  const banned = /\bconsole\.|\bprocess\.(env|argv|exit|stdout|stderr|stdin)\b/;
  assert.equal(
    offenders(banned, (file) => roomOf(file) !== 'cli'),
    [],
  );
});

test('no default export, no file of more than 500 lines', () => {
  assert.equal(
    offenders(/^export default\b/m, () => true),
    [],
  );
  const long = [...source].filter(([, text]) => text.split('\n').length > 500).map(([file]) => file);
  assert.equal(long, []);
});

test('error codes are unique', () => {
  const prefixes = new Map<string, string[]>();
  for (const [file, text] of source) {
    for (const match of text.matchAll(/defineErrors\(\s*'(\w+)'/g)) {
      const prefix = match[1] ?? '';
      prefixes.set(prefix, [...(prefixes.get(prefix) ?? []), file]);
    }
  }
  assert.equal(
    [...prefixes].filter(([, where]) => where.length > 1),
    [],
  );
});

function offenders(banned: RegExp, applies: (file: string) => boolean): string[] {
  const found: string[] = [];
  for (const [file, text] of source) {
    if (!applies(file)) continue;
    for (const [n, line] of text.split('\n').entries()) {
      const code = line.replace(/^\s*(\/\/|\*|\/\*).*$/, '');
      if (banned.test(code)) found.push(`${file}:${n + 1}: ${line.trim()}`);
    }
  }
  return found;
}
