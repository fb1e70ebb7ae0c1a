/**
 * Builds what is published of tiny-sip, `node targets/tiny-sip/build.mjs [FOLDER]`: built JavaScript and its types, since
 * Node refuses TypeScript inside node_modules. One module per source file, comments kept: a stack trace leads to code that
 * can be read, and a bundler drops what is not used.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '../..');
const source = join(root, 'src/tiny-sip');
const out = process.argv[2] === undefined ? join(root, 'build/tiny-sip') : resolve(process.argv[2]);
const lib = join(out, 'lib');

rmSync(out, { recursive: true, force: true });
mkdirSync(lib, { recursive: true });

const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
execFileSync(process.execPath, [tsc, '-p', join(here, 'tsconfig.json'), '--outDir', lib], {
  stdio: 'inherit',
});

// The compiler rewrites the endings of relative imports in JavaScript, but leaves them in declarations.
for (const name of readdirSync(lib, { recursive: true, encoding: 'utf8' })) {
  if (!name.endsWith('.d.ts')) continue;
  const file = join(lib, name);
  const text = readFileSync(file, 'utf8').replace(
    /((?:from|import)\s*\(?\s*['"]\.[^'"\n]*)\.ts(['"])/g,
    '$1.js$2',
  );
  // TypeScript 6 takes in no types by itself, and the declarations speak of Buffer and sockets.
  const head = name === 'index.d.ts' ? '/// <reference types="node" />\n' : '';
  writeFileSync(file, head + text);
}

// The folder of the source is private, so that nobody publishes TypeScript by mistake.
const { private: _, ...own } = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8'));
const entry = { types: './lib/index.d.ts', default: './lib/index.js' };
const published = {
  ...own,
  main: entry.default,
  types: entry.types,
  exports: { '.': entry, './package.json': './package.json' },
  files: ['lib'],
  peerDependencies: { '@types/node': '>=20' },
  peerDependenciesMeta: { '@types/node': { optional: true } },
};
writeFileSync(join(out, 'package.json'), `${JSON.stringify(published, null, 2)}\n`);
for (const name of ['README.md', 'LICENSE']) copyFileSync(join(source, name), join(out, name));
