/** The bundle: one program with code splitting, so that what a configuration does not name is never loaded. */
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import alias from '@rollup/plugin-alias';
import commonjs from '@rollup/plugin-commonjs';
import json from '@rollup/plugin-json';
import { nodeResolve } from '@rollup/plugin-node-resolve';
import terser from '@rollup/plugin-terser';
import esbuild from 'rollup-plugin-esbuild';
import { hollow } from './hollow.mjs';
import { lean } from './lean.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const dist = join(root, 'dist');
const builtins = new Set([...builtinModules, ...builtinModules.map((name) => `node:${name}`)]);
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

export default {
  input: { presentity: join(root, 'src/cli/main.ts') },
  external: (id) => builtins.has(id),
  output: {
    dir: dist,
    // CommonJS: Node's loader for ES modules costs 2.3 MiB of resident memory that a gateway has better uses for.
    format: 'cjs',
    exports: 'named',
    // Node's own modules too: one `import()` at run time brings that loader in after all.
    dynamicImportInCjs: false,
    entryFileNames: '[name].cjs',
    // The demo has a name of its own, since packages leave it out.
    chunkFileNames: ({ moduleIds }) =>
      moduleIds.some((id) => id.includes('/test/demo/')) ? 'chunks/demo-scene.cjs' : 'chunks/[name].cjs',
    generatedCode: 'es2015',
    interop: 'default',
  },
  treeshake: { moduleSideEffects: true },
  plugins: [
    clean(),
    lean(),
    hollow(),
    alias({ entries: [{ find: 'tiny-sip', replacement: join(root, 'src/tiny-sip/index.ts') }] }),
    nodeResolve({
      preferBuiltins: true,
      exportConditions: ['node', 'import', 'require'],
      extensions: ['.ts', '.mjs', '.js', '.json'],
    }),
    commonjs({ ignoreDynamicRequires: true }),
    json({ compact: true }),
    esbuild({ target: 'node20', define: { __VERSION__: JSON.stringify(version) } }),
    terser({
      ecma: 2022,
      module: true,
      compress: { passes: 2 }, // ASCII only: one character beyond Latin-1 makes V8 keep a whole chunk with two bytes a character.
      format: { comments: false, ascii_only: true },
    }),
    beside(),
  ],
  onwarn(warning, warn) {
    // Circular imports inside libraries are theirs to mend; ours are a gate in the tests.
    if (warning.code === 'CIRCULAR_DEPENDENCY' && warning.ids?.every((id) => id.includes('node_modules')))
      return;
    if (warning.code === 'THIS_IS_UNDEFINED') return;
    warn(warning);
  },
};

/** Empties the folder that is written to. */
function clean() {
  return { name: 'clean', renderStart: ({ dir }) => rmSync(dir, { recursive: true, force: true }) };
}

/** Lays the launcher, its flags and the serial port drivers beside the bundle. */
function beside() {
  return {
    name: 'beside',
    writeBundle({ dir }) {
      cpSync(join(root, 'targets/presentity.sh'), join(dir, 'presentity'));
      chmodSync(join(dir, 'presentity'), 0o755);
      for (const name of readdirSync(join(root, 'targets')))
        if (name.endsWith('.flags')) cpSync(join(root, 'targets', name), join(dir, name));
      const prebuilds = join(root, 'node_modules/@serialport/bindings-cpp/prebuilds');
      for (const name of existsSync(prebuilds) ? readdirSync(prebuilds) : []) {
        if (!name.startsWith('linux-') && name !== `${process.platform}-${process.arch}`) continue;
        mkdirSync(join(dir, 'prebuilds'), { recursive: true });
        cpSync(join(prebuilds, name), join(dir, 'prebuilds', name), { recursive: true });
      }
    },
  };
}
