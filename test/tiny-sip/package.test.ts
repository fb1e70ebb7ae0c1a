/**
 * The published package, as its user has it: built, packed, installed into an empty folder without a network, and used
 * there by plain Node and by a compiler.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { preProcessFile } from 'typescript';
import * as assert from 'uvu/assert';
import { suite } from '../support/harness.ts';

const test = suite('tiny-sip package', { timeout: 300_000 });

const run = promisify(execFile);
const root = join(import.meta.dirname, '../..');
const source = join(root, 'src/tiny-sip');
const readme = readFileSync(join(source, 'README.md'), 'utf8');
/** Packed bytes at most: beyond it something got in that does not belong there. */
const PACKED = 600_000;

interface Packed {
  readonly filename: string;
  readonly size: number;
  readonly unpackedSize: number;
  readonly files: readonly { readonly path: string }[];
}

let folder = '';
let user = '';
let packed: Packed;
const installed = (...path: readonly string[]): string => join(user, 'node_modules/tiny-sip', ...path);

/** npm with a cache of its own, so that nothing comes from what an earlier run had fetched. */
async function npm(cwd: string, ...args: readonly string[]): Promise<string> {
  const env = { ...process.env, npm_config_cache: join(folder, 'cache'), npm_config_offline: 'true' };
  return (await run('npm', [...args, '--offline', '--no-audit', '--no-fund'], { cwd, env })).stdout;
}

test.before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tiny-sip-package-'));
  user = join(folder, 'user');
  const built = join(folder, 'built');
  await run(process.execPath, [join(root, 'targets/tiny-sip/build.mjs'), built]);
  const told = JSON.parse(await npm(built, 'pack', '--json', '--pack-destination', folder)) as unknown;
  // npm 12 tells it by name, those before in a list.
  packed = Object.values(told as Record<string, Packed>)[0] as Packed;
  mkdirSync(user);
  writeFileSync(join(user, 'package.json'), '{ "private": true, "type": "module" }\n');
  await npm(user, 'install', join(folder, packed.filename));
});

test.after(() => rmSync(folder, { recursive: true, force: true }));

test('the tarball holds a module and its types for every source file, and nothing else', () => {
  const paths = packed.files.map((file) => file.path).sort();
  const modules = readdirSync(source, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => name.replace(/\.ts$/, ''));
  assert.equal(
    paths,
    [
      'LICENSE',
      'README.md',
      'package.json',
      ...modules.flatMap((name) => [`lib/${name}.d.ts`, `lib/${name}.js`]),
    ].sort(),
  );
  assert.ok(modules.length > 50);
});

test('the tarball is small', () => {
  console.log(`${packed.size} bytes packed, ${packed.unpackedSize} unpacked, ${packed.files.length} files`);
  assert.ok(packed.size < PACKED, `${packed.size} bytes`);
});

test('it stands alone: every import is a file of it, or of Node', () => {
  const wrong: string[] = [];
  let relative = 0;
  for (const { path } of packed.files) {
    if (!/\.(js|d\.ts)$/.test(path)) continue;
    for (const { fileName: target } of preProcessFile(readFileSync(installed(path), 'utf8')).importedFiles) {
      if (target.startsWith('node:')) continue;
      relative += 1;
      const file = installed(dirname(path), target);
      const there = existsSync(path.endsWith('.d.ts') ? file.replace(/\.js$/, '.d.ts') : file);
      if (!target.startsWith('.') || !target.endsWith('.js') || !there) wrong.push(`${path}: ${target}`);
    }
  }
  assert.equal(wrong, []);
  assert.ok(relative > 100, `${relative} imports were seen`);
});

test('its manifest says what it is, and installs nothing besides it', () => {
  const manifest = JSON.parse(readFileSync(installed('package.json'), 'utf8')) as Record<string, unknown>;
  const own = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8')) as Record<string, unknown>;
  for (const field of ['name', 'version', 'description', 'license', 'type', 'engines', 'sideEffects'])
    assert.equal(manifest[field], own[field], field);
  for (const field of ['dependencies', 'devDependencies', 'scripts', 'private', 'workspaces'])
    assert.is(manifest[field], undefined, field);
  const names = readdirSync(join(user, 'node_modules')).filter((name) => !name.startsWith('.'));
  assert.equal(names, ['tiny-sip']);
});

// uac process                                  uas process
//      |  MESSAGE sip:bob@127.0.0.1:port            |
//      |-------------------------------------------->|  prints who says what
//      |                                   200 OK   |
//      |<--------------------------------------------|
//   prints 200, ends by itself
test('the two examples of the README run as they stand, each in a process of its own', async () => {
  const port = String(await freePort());
  const program = (name: string, more = ''): string => {
    const file = join(user, `${name}.mjs`);
    writeFileSync(file, `${example(name).replaceAll('5060', port)}${more}`);
    return file;
  };
  const uas = start(program('uas', "\nconsole.log('listening');\n"));
  try {
    await uas.line('listening');
    const uac = await run(process.execPath, [program('uac')], { cwd: user });
    assert.equal(uac.stderr, '');
    assert.equal(uac.stdout, '200\n');
    await uas.line('hello');
  } finally {
    await uas.end();
  }
  assert.equal(uas.errors(), '');
});

test('what throws points at a module by its name', async () => {
  const file = join(user, 'trace.mjs');
  writeFileSync(
    file,
    "import { parseUri } from 'tiny-sip';\ntry { parseUri('no uri'); } catch (e) { console.log(e.stack); }\n",
  );
  const { stdout } = await run(process.execPath, [file], { cwd: user });
  assert.match(stdout, /^SipSyntaxError/);
  assert.match(stdout, /tiny-sip\/lib\/message\/[a-z-]+\.js:\d+:\d+/);
});

test('everything that the source exports is there, and nothing behind the face can be reached', async () => {
  const file = join(user, 'face.mjs');
  writeFileSync(
    file,
    `import * as face from 'tiny-sip';
const inside = await import('tiny-sip/lib/stack.js').catch((error) => error.code);
console.log(JSON.stringify({ names: Object.keys(face).sort(), inside }));\n`,
  );
  const { stdout } = await run(process.execPath, [file], { cwd: user });
  const face = await import('tiny-sip');
  assert.equal(JSON.parse(stdout), {
    names: Object.keys(face).sort(),
    inside: 'ERR_PACKAGE_PATH_NOT_EXPORTED',
  });
});

test('a program in CommonJS can require it where Node can', async () => {
  const file = join(user, 'old.cjs');
  writeFileSync(
    file,
    `console.log(process.features.require_module ? typeof require('tiny-sip').createStack : 'function');\n`,
  );
  assert.equal((await run(process.execPath, [file], { cwd: user })).stdout, 'function\n');
});

test('a bundler takes only what is used', async () => {
  const bundle = async (contents: string): Promise<string> => {
    const made = await build({
      stdin: { contents, resolveDir: user },
      bundle: true,
      write: false,
      format: 'esm',
      platform: 'node',
    });
    return made.outputFiles[0]?.text ?? '';
  };
  const small = await bundle(
    "import { parseUri } from 'tiny-sip'; console.log(parseUri('sip:a@example.com'));",
  );
  const whole = await bundle("export * from 'tiny-sip';");
  assert.match(whole, 'node:dgram');
  assert.not.match(small, 'node:');
  assert.ok(small.length * 5 < whole.length, `${small.length} of ${whole.length}`);
});

test("a user's program compiles against its types, strictly, and what is wrong in it does not", async () => {
  const program = join(root, 'test/tiny-sip/types.check.ts');
  copyFileSync(program, join(user, 'program.ts'));
  // Without the directives every wrong line is an error of its own.
  const text = readFileSync(program, 'utf8');
  const directive = /^\s*\/\/ @ts-expect-error.*$/gm;
  writeFileSync(join(user, 'wrong.ts'), text.replace(directive, ''));
  mkdirSync(join(user, 'node_modules/@types'), { recursive: true });
  symlinkSync(join(root, 'node_modules/@types/node'), join(user, 'node_modules/@types/node'));

  for (const errors of await Promise.all([compile('nodenext'), compile('bundler')])) {
    assert.equal(
      errors.filter((error) => !error.startsWith('wrong.ts')),
      [],
    );
    const lines = new Set(errors.map((error) => /\((\d+),/.exec(error)?.[1]));
    assert.is(lines.size, [...text.matchAll(directive)].length);
  }
});

/** Compiles both programs of the user and answers the errors. The declarations themselves are checked too. */
async function compile(resolution: 'nodenext' | 'bundler'): Promise<readonly string[]> {
  const config = join(user, `${resolution}.json`);
  writeFileSync(
    config,
    JSON.stringify({
      compilerOptions: {
        target: 'es2022',
        module: resolution === 'nodenext' ? 'nodenext' : 'esnext',
        moduleResolution: resolution,
        strict: true,
        exactOptionalPropertyTypes: true,
        skipLibCheck: false,
        noEmit: true,
        types: [],
      },
      files: ['program.ts', 'wrong.ts'],
    }),
  );
  const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
  const told = await run(process.execPath, [tsc, '-p', config], { cwd: user }).then(
    ({ stdout }) => stdout,
    (error: { stdout?: string }) => error.stdout || String(error),
  );
  return told.split('\n').filter((line) => line !== '' && !line.startsWith(' '));
}

/** An example of the README by its mark. */
function example(name: string): string {
  const found = new RegExp(`<!-- example: ${name} -->\\s*\`\`\`js\\n([\\s\\S]*?)\`\`\``).exec(readme);
  assert.ok(found?.[1], `the README has the example ${name}`);
  return found[1];
}

/** A running program, its lines waited for. */
function start(file: string): { line(text: string): Promise<void>; end(): Promise<void>; errors(): string } {
  const child: ChildProcess = spawn(process.execPath, [file], {
    cwd: user,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let printed = '';
  let errors = '';
  let look = (): void => undefined;
  child.stdout?.on('data', (chunk: Buffer) => {
    printed += chunk.toString();
    look();
  });
  child.stderr?.on('data', (chunk: Buffer) => {
    errors += chunk.toString();
  });
  const ended = once(child, 'close');
  return {
    async line(text) {
      const seen = new Promise<void>((resolve) => {
        look = () => {
          if (
            printed
              .split('\n')
              .slice(0, -1)
              .some((line) => line.includes(text))
          )
            resolve();
        };
        look();
      });
      const early = ended.then(() => {
        throw new Error(`${file} ended before it printed "${text}":\n${printed}${errors}`);
      });
      await Promise.race([seen, early]);
    },
    async end() {
      child.kill();
      await ended;
    },
    errors: () => errors,
  };
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const bound = server.address();
      server.close(() => resolve(typeof bound === 'object' && bound !== null ? bound.port : 0));
    });
  });
}
