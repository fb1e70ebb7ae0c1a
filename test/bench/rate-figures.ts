/** What is measured in a program of its own, with and without the flags of the launcher. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { startProgram } from '../support/peers/program.ts';
import type { Figure } from './figure.ts';
import type { ScaleResult } from './scale.ts';

const root = join(import.meta.dirname, '..', '..');

/** The largest size may cost so many times what the smallest does and still count as flat. */
const FLAT = 1.5;

/** The flags that `run` and `edge` start Node with. */
function leanFlags(): string[] {
  const [major = ''] = process.versions.node.split('.');
  return ['node.flags', `node${major}.flags`]
    .map((name) => join(root, 'targets', name))
    .filter((path) => existsSync(path))
    .flatMap((path) => readFileSync(path, 'utf8').split('\n'))
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

export async function scaleFigures(say: (text: string) => void): Promise<Figure[]> {
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

/** npm `sip`: the parser that people take in Node when they want it fast. */
export async function parseFigures(say: (text: string) => void): Promise<Figure[]> {
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
