/**
 * SIP parsers in C, where they are installed: a small program for each (`peers/*.c`) is compiled into a folder of its
 * own and reads the same corpus, as far as the same values.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { installed } from '../support/harness.ts';
import { corpus } from './corpus.ts';

const run = promisify(execFile);

/** Its name, its source, what pkg-config calls it, and the goal for ours over it. */
interface Library {
  readonly name: string;
  readonly source: string;
  readonly module: string;
  /** What brings it on Debian; undefined where nothing does. */
  readonly debian?: string;
  readonly goal?: number;
}

const LIBRARIES: readonly Library[] = [
  { name: 'libosip2', source: 'osip.c', module: 'libosip2', debian: 'libosip2-dev', goal: 4 },
  { name: 'sofia-sip', source: 'sofia.c', module: 'sofia-sip-ua', debian: 'libsofia-sip-ua-dev' },
  { name: 'pjsip', source: 'pjsip.c', module: 'libpjproject', goal: 1 },
];

export interface Peer extends Pick<Library, 'name' | 'goal'> {
  /** Messages per CPU second, over so many milliseconds of it. */
  measure(milliseconds: number): Promise<number>;
}

export interface Peers {
  readonly found: readonly Peer[];
  /** What is not there, with the reason. */
  readonly missing: readonly { readonly name: string; readonly why: string }[];
  remove(): Promise<void>;
}

export async function compilePeers(): Promise<Peers> {
  const found: Peer[] = [];
  const missing: { name: string; why: string }[] = [];
  const folder = await mkdtemp(join(tmpdir(), 'sip-parsers-'));
  const file = join(folder, 'corpus');
  await writeFile(file, Buffer.concat(corpus.flatMap((bytes) => [lengthOf(bytes), bytes])));
  for (const library of LIBRARIES) {
    const made = await compiled(library, folder);
    if ('why' in made) {
      missing.push({ name: library.name, why: made.why });
      continue;
    }
    found.push({
      name: library.name,
      ...(library.goal === undefined ? {} : { goal: library.goal }),
      async measure(milliseconds) {
        const { stdout } = await run(made.program, [file, String(milliseconds)]);
        return (JSON.parse(stdout) as { rate: number }).rate;
      },
    });
  }
  return { found, missing, remove: () => rm(folder, { recursive: true, force: true }) };
}

async function compiled(library: Library, folder: string): Promise<{ program: string } | { why: string }> {
  if (!installed('gcc') || !installed('pkg-config')) return { why: 'gcc and pkg-config are needed' };
  let flags: string[];
  try {
    const { stdout } = await run('pkg-config', ['--cflags', '--libs', library.module]);
    flags = stdout.trim().split(/\s+/);
  } catch {
    const { debian } = library;
    return { why: debian === undefined ? 'not installed' : `not installed: apt-get install ${debian}` };
  }
  const program = join(folder, library.name);
  const source = join(import.meta.dirname, 'peers', library.source);
  await run('gcc', ['-O2', '-Wall', '-Wextra', '-Werror', '-o', program, source, ...flags]);
  return { program };
}

function lengthOf(bytes: Buffer): Buffer {
  const prefix = Buffer.alloc(4);
  prefix.writeUInt32LE(bytes.length);
  return prefix;
}
