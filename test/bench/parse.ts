/**
 * How fast messages are read: the start line, the top Via, From, To, Call-ID, CSeq, Contact, Expires, Event,
 * Max-Forwards and Content-Length of each, all of them strictly checked. Beside it npm `sip`, which decodes as it
 * parses and checks nothing. Both take turns, so that what else the machine does hits both; rates are per second of
 * CPU time. Ours is bundled first, since that is how it ships. Run alone it prints one JSON object.
 */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { corpus } from './corpus.ts';

export type Reader = (bytes: Buffer) => number;

interface OldMessage {
  readonly headers: Readonly<Record<string, unknown>>;
}
const old = createRequire(import.meta.url)('sip') as { parse(bytes: Buffer): OldMessage | undefined };

/** Our reader as one bundle. */
export async function bundled(): Promise<Reader> {
  const result = await build({
    entryPoints: [join(import.meta.dirname, 'read.ts')],
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    minify: true,
  });
  const code = Buffer.from(result.outputFiles[0]?.contents ?? []).toString('base64');
  const module = (await import(`data:text/javascript;base64,${code}`)) as { readOurs: Reader };
  return module.readOurs;
}

/** The same with npm `sip`, where parsing is all that there is to do. */
export function readOld(bytes: Buffer): number {
  const message = old.parse(bytes);
  if (message === undefined) throw new Error('not parsed');
  return Object.keys(message.headers).length;
}

/** CPU microseconds of this process. */
function cpu(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

/** Messages per CPU second of each reader, measured in turns of the whole corpus. */
export function parseRates(readers: readonly Reader[], seconds: number): number[] {
  const spent = readers.map(() => 0);
  const read = readers.map(() => 0);
  let sum = 0;
  const turn = (at: number, rounds: number): number => {
    const reader = readers[at] as Reader;
    const start = cpu();
    for (let round = 0; round < rounds; round += 1) for (const bytes of corpus) sum += reader(bytes);
    return cpu() - start;
  };
  for (const at of readers.keys()) turn(at, 4);
  const deadline = cpu() + seconds * 1_000_000;
  while (cpu() < deadline) {
    for (const at of readers.keys()) {
      // The slower gets fewer rounds, so that turns are of about the same length.
      const rounds = at === 0 ? 16 : 4;
      spent[at] = (spent[at] as number) + turn(at, rounds);
      read[at] = (read[at] as number) + rounds * corpus.length;
    }
  }
  if (!Number.isFinite(sum)) throw new Error('nothing was read');
  return readers.map((_reader, at) => ((read[at] as number) * 1_000_000) / (spent[at] as number));
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [ours, sip] = parseRates([await bundled(), readOld], 4);
  console.log(JSON.stringify({ ours, sip }));
}
