/**
 * `make bench`: every figure as a ratio or difference to a base that was measured in the same run on the same machine.
 * `--json` prints the figures as one object; `--only WORD` runs what matches; `--seconds N` sets the length of the load.
 */
import { parseArgs } from 'node:util';
import { type Figure, met, outcome, table } from './figure.ts';
import { loadFigures } from './load-figures.ts';
import { parseFigures, scaleFigures, stateFigures } from './rate-figures.ts';
import { uasFigures } from './uas-figures.ts';

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true },
    seconds: { type: 'string', default: '24' },
  },
});
const say = (text: string): void => void process.stderr.write(`${text}\n`);

const parts: readonly (readonly [name: string, run: () => Promise<Figure[]>])[] = [
  ['parse', () => parseFigures(say)],
  ['uas', () => uasFigures(say)],
  ['state', () => stateFigures(say)],
  ['scale', () => scaleFigures(say)],
  ['load', () => loadFigures(Number(values.seconds), say)],
];

const figures: Figure[] = [];
for (const [name, run] of parts) {
  if (values.only !== undefined && !values.only.some((word) => name.includes(word))) continue;
  try {
    figures.push(...(await run()));
  } catch (error) {
    const missing = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
    say(String(error));
    figures.push({ name, unit: '', ours: Number.NaN, as: 'alone', missing });
  }
}

if (values.json) {
  const rows = figures.map((one) => ({ ...one, outcome: outcome(one), met: met(one) }));
  console.log(JSON.stringify({ node: process.version, arch: process.arch, figures: rows }, null, 2));
} else {
  console.log(table(figures));
}
process.exitCode = figures.some(({ missing }) => missing !== undefined) ? 1 : 0;
