/**
 * How fast messages are read: the start line, the top Via, From, To, Call-ID, CSeq, Contact, Expires, Event,
 * Max-Forwards and Content-Length of each, all of them strictly checked. Beside it npm `sip`, which decodes as it
 * parses and checks nothing, and jssip, whose grammar is generated. One program is one turn of one reader, so that none
 * pays for the garbage of another; rates are per second of CPU time. Ours is bundled first, since that is how it ships.
 * The arguments are the reader and the CPU milliseconds to spend; what is printed is one JSON object.
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
interface BrowserMessage {
  readonly method: string;
  readonly via_branch: string;
  readonly call_id: string;
  readonly cseq: number;
  readonly from: { readonly uri: { readonly host: string } };
  readonly to: { readonly uri: { readonly host: string } };
  readonly from_tag: string | undefined;
  readonly to_tag: string | undefined;
  parseHeader(name: string): unknown;
}
const required = createRequire(import.meta.url);

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
export function oldReader(): Reader {
  const old = required('sip') as { parse(bytes: Buffer): OldMessage | undefined };
  return (bytes) => {
    const message = old.parse(bytes);
    if (message === undefined) throw new Error('not parsed');
    return Object.keys(message.headers).length;
  };
}

/** What jssip takes apart only when it is asked. */
const LATE = ['contact', 'expires', 'event', 'max-forwards', 'content-length'];

/** The same with jssip. Its transport hands it texts, so that the decoding is not counted. */
export function browserReader(): Reader {
  const { parseMessage } = required('jssip/lib/Parser') as {
    parseMessage(text: string, agent: object): BrowserMessage | undefined;
  };
  const texts = new Map(corpus.map((bytes) => [bytes, bytes.toString('utf8')]));
  return (bytes) => {
    const message = parseMessage(texts.get(bytes) ?? '', {});
    if (message === undefined) throw new Error('not parsed');
    let sum = message.method.length + message.via_branch.length + message.call_id.length + message.cseq;
    sum += message.from.uri.host.length + message.to.uri.host.length;
    sum += (message.from_tag?.length ?? 0) + (message.to_tag?.length ?? 0);
    for (const name of LATE) if (message.parseHeader(name) !== undefined) sum += 1;
    return sum;
  };
}

/** Rounds over the corpus that warm a reader up, and the CPU microseconds of the process after which it is warm. */
const WARM = 200;
const WARM_CPU = 3_000_000;

/** CPU microseconds of this process. */
function cpu(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

/** Messages per CPU second of a reader, over so many CPU milliseconds after it is warm. */
export function rateOf(reader: Reader, milliseconds: number): number {
  let sum = 0;
  const turn = (): number => {
    const start = cpu();
    for (const bytes of corpus) sum += reader(bytes);
    return cpu() - start;
  };
  for (let warm = 0; warm < 3 || (warm < WARM && sum > 0 && cpu() < WARM_CPU); warm += 1) turn();
  let spent = 0;
  let read = 0;
  while (spent < milliseconds * 1_000) {
    spent += turn();
    read += corpus.length;
  }
  if (!Number.isFinite(sum)) throw new Error('nothing was read');
  return (read * 1_000_000) / spent;
}

/** Each by its name. */
export const readers = { ours: bundled, sip: oldReader, jssip: browserReader } as const;

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [name = 'ours', milliseconds = '2000'] = process.argv.slice(2);
  const make = Object.entries(readers).find(([one]) => one === name)?.[1];
  if (make === undefined) throw new Error(`no reader is called ${name}`);
  console.log(JSON.stringify({ rate: rateOf(await make(), Number(milliseconds)) }));
}
