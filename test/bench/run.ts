/**
 * `make bench`: every figure as a ratio or difference to a base that was measured in the same run on the same machine.
 * `--json` prints the figures as one object; `--only WORD` runs what matches; `--seconds N` sets the length of the load.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { installed } from '../support/harness.ts';
import { startProgram } from '../support/peers/program.ts';
import { type Figure, met, outcome, table } from './figure.ts';
import { type LoadResult, runLoad } from './load.ts';
import { type Memory, median, memoryOf } from './memory.ts';
import type { ScaleResult } from './scale.ts';

const root = join(import.meta.dirname, '..', '..');
const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true },
    seconds: { type: 'string', default: '24' },
  },
});
const wanted = (part: string): boolean =>
  values.only === undefined || values.only.some((word) => part.includes(word));
const say = (text: string): void => void process.stderr.write(`${text}\n`);

const figures: Figure[] = [];
if (wanted('parse')) figures.push(...(await parseFigures()));
if (wanted('scale')) figures.push(...(await scaleFigures()));
if (wanted('load')) figures.push(...(await loadFigures(Number(values.seconds))));

if (values.json)
  console.log(
    JSON.stringify(
      {
        node: process.version,
        arch: process.arch,
        figures: figures.map((one) => ({ ...one, outcome: outcome(one), met: met(one) })),
      },
      null,
      2,
    ),
  );
else console.log(table(figures));

/** Bare node, idle, while the rest runs: what every Node program costs here. */
async function bareNode(): Promise<{ end(): Promise<Memory> }> {
  const program = startProgram({ command: process.execPath, args: ['-e', 'setInterval(() => {}, 1 << 30)'] });
  return {
    async end() {
      const samples = [memoryOf(program.pid), memoryOf(program.pid), memoryOf(program.pid)];
      await program.stop();
      return median(samples);
    },
  };
}

async function loadFigures(seconds: number): Promise<Figure[]> {
  const program = join(root, 'dist', 'presentity');
  if (!existsSync(program)) {
    const missing = 'not built: npm run build';
    return [{ name: 'memory and latency under load', unit: '', ours: Number.NaN, as: 'alone', missing }];
  }
  const serial = installed('socat');
  if (!serial) say('socat is not installed: the load has no serial half');
  const bare = await bareNode();
  say(`load: ${seconds} s, MQTT 10/s, ${serial ? 'serial 10/s, ' : ''}20 tuples, whole documents`);
  const whole = await runLoad({ seconds, publish: 'full', detail: 'full', program, serial });
  say(`load: ${seconds} s, the same as pidf-diff, lean`);
  const diff = await runLoad({ seconds, publish: 'diff', detail: 'lean', program, serial });
  const base = await bare.end();
  return [...memoryFigures('whole documents', whole, base), ...memoryFigures('diffs', diff, base)].concat(
    latencyFigures('whole documents', whole),
    latencyFigures('diffs', diff),
  );
}

/** FACTS of the goal: all packages loaded and used, MiB over bare node. */
const RSS_GOAL = 10;
const ANON_GOAL = 6;

function memoryFigures(kind: string, result: LoadResult, base: Memory): Figure[] {
  const bare = (value: number): NonNullable<Figure['base']> => ({ value, of: 'bare node' });
  const note =
    `peak RSS ${result.memory.peak.toFixed(1)}, ${(result.cpu * 100).toFixed(1)} % CPU, ` +
    `${result.publications} PUBLISH for ${result.readings} readings, ${Math.round(result.bytes / Math.max(1, result.publications))} bytes each`;
  return [
    {
      name: `RSS, ${kind}`,
      unit: 'MiB',
      ours: result.memory.rss,
      base: bare(base.rss),
      as: 'difference',
      goal: { atMost: RSS_GOAL },
      note,
    },
    {
      name: `RssAnon, ${kind}`,
      unit: 'MiB',
      ours: result.memory.anon,
      base: bare(base.anon),
      as: 'difference',
      goal: { atMost: ANON_GOAL },
    },
  ];
}

/** Milliseconds from a reading's departure at its source to the datagram's arrival. */
const LATENCY_GOAL = 5;

function latencyFigures(kind: string, result: LoadResult): Figure[] {
  const figures: Figure[] = [];
  for (const source of ['mqtt', 'serial'] as const) {
    const all = result.latencies[source];
    if (all.length === 0) continue;
    const at = (share: number): number =>
      all[Math.min(all.length - 1, Math.floor(all.length * share))] ?? Number.NaN;
    figures.push({
      name: `${source} reading to datagram, p99, ${kind}`,
      unit: 'ms',
      ours: at(0.99),
      as: 'alone',
      goal: { atMost: LATENCY_GOAL },
      note: `p50 ${at(0.5).toFixed(2)}, max ${at(1).toFixed(2)}, ${all.length} readings`,
    });
  }
  return figures;
}

/** The flags that `run` and `edge` start Node with. */
function leanFlags(): string[] {
  return readFileSync(join(root, 'targets', 'node.flags'), 'utf8')
    .split('\n')
    .filter(Boolean);
}

/** Runs one of the programs beside this one; what it prints is JSON. */
async function measured<T>(name: string, flags: readonly string[]): Promise<T> {
  const program = startProgram({
    command: process.execPath,
    args: [...flags, '--import', 'tsx', join(import.meta.dirname, name)],
    cwd: root,
  });
  const status = await program.ended;
  const last = program.lines.findLast((line) => /^[[{]/.test(line));
  if (status !== 0 || last === undefined)
    throw new Error(`${name} ended with ${status}:\n${program.lines.slice(-20).join('\n')}`);
  return JSON.parse(last) as T;
}

const VARIANTS: readonly (readonly [name: string, flags: () => string[]])[] = [
  ['plain node', () => []],
  ['lean flags', leanFlags],
];

/** The largest size may cost so many times what the smallest does and still count as flat. */
const FLAT = 1.5;

async function scaleFigures(): Promise<Figure[]> {
  const all: Figure[] = [];
  for (const [variant, flags] of VARIANTS) {
    say(`cost per change at 10 to 10,000 devices, ${variant}`);
    const results = await measured<ScaleResult[]>('scale.ts', flags());
    const [first] = results;
    if (!first) continue;
    for (const result of results)
      all.push({
        name: `reading to datagram, ${result.devices.toLocaleString('en')} devices, ${variant}`,
        unit: 'µs',
        ours: result.median,
        base: { value: first.median, of: '10 devices' },
        as: 'ratio',
        ...(result === first ? {} : { goal: { atMost: FLAT } }),
        note: `${Math.round(result.cpu)} µs CPU with answer`,
      });
  }
  return all;
}

/** FACTS of npm `sip`: the parser that people take in Node when they want it fast. */
async function parseFigures(): Promise<Figure[]> {
  const all: Figure[] = [];
  for (const [variant, flags] of VARIANTS) {
    say(`parse rate, ${variant}`);
    const { ours, sip } = await measured<{ ours: number; sip: number }>('parse.ts', flags());
    all.push({
      name: `messages parsed a CPU second, ${variant}`,
      unit: '',
      ours,
      base: { value: sip, of: 'npm sip' },
      as: 'ratio',
      goal: { atLeast: 1 },
    });
  }
  return all;
}
