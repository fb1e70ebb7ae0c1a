/** Memory of the agent under load over bare node, and how long a reading takes to become a datagram. */
import { existsSync } from 'node:fs';
import { installed } from '../support/harness.ts';
import { PRESENTITY } from '../support/peers/gateway.ts';
import { startProgram } from '../support/peers/program.ts';
import type { Figure } from './figure.ts';
import { type LoadResult, runLoad } from './load.ts';
import { type Memory, median, memoryOf } from './memory.ts';

/** Over bare node, MiB. */
const RSS_GOAL = 10;
const ANON_GOAL = 6;

/** Milliseconds from a reading's departure to the datagram's arrival, 99 of 100. */
const LATENCY_GOAL = 5;

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

/** Runs the load twice, with whole documents and with differences. */
export async function loadFigures(seconds: number, say: (text: string) => void): Promise<Figure[]> {
  if (!existsSync(PRESENTITY)) {
    const missing = 'not built: npm run build';
    return [{ name: 'memory and latency under load', unit: '', ours: Number.NaN, as: 'alone', missing }];
  }
  const serial = installed('socat');
  if (!serial) say('socat is not installed: the load has no serial half');
  const bare = await bareNode();
  say(`load: ${seconds} s, MQTT 10/s, ${serial ? 'serial 10/s, ' : ''}20 tuples, whole documents`);
  const whole = await runLoad({ seconds, publish: 'full', detail: 'full', program: PRESENTITY, serial });
  say(`load: ${seconds} s, the same as pidf-diff, lean`);
  const diff = await runLoad({ seconds, publish: 'diff', detail: 'lean', program: PRESENTITY, serial });
  const base = await bare.end();
  return [...memoryFigures('whole documents', whole, base), ...memoryFigures('diffs', diff, base)].concat(
    latencyFigures('whole documents', whole),
    latencyFigures('diffs', diff),
  );
}

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
