/**
 * `make bench`: every figure as a ratio or difference to a base that was measured in the same run on the same machine.
 * `--json` prints the figures as one object; `--only WORD` runs what matches; `--seconds N` sets the length of the load.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { installed } from '../support/harness.ts';
import { startProgram } from '../support/peers/program.ts';
import { type Figure, met, outcome, table } from './figure.ts';
import { type LoadResult, runLoad } from './load.ts';
import { type Memory, median, memoryOf } from './memory.ts';

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
