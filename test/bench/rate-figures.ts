/** What is measured in a program of its own, with and without the flags of the launcher. */
import { join } from 'node:path';
import { startProgram } from '../support/peers/program.ts';
import type { Figure } from './figure.ts';
import { middle } from './figure.ts';
import { leanFlags } from './flags.ts';
import { compilePeers } from './peers.ts';
import type { ScaleResult } from './scale.ts';
import type { StateResult } from './state.ts';

const root = join(import.meta.dirname, '..', '..');

/** The largest size may cost so many times what the smallest does and still count as flat. */
const FLAT = 1.5;

/** Runs one of the programs beside this one; what it prints is JSON. */
async function measured<T>(name: string, flags: readonly string[], args: readonly string[] = []): Promise<T> {
  const program = startProgram({
    command: process.execPath,
    args: [...flags, '--import', 'tsx', join(import.meta.dirname, name), ...args],
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

/** What is shown of a live thing of the stack, by the names of `state.ts`. */
const LIVE = [
  ['serverTransaction', 'server transaction, answered, until timer J'],
  ['clientTransaction', 'client transaction, unanswered'],
  ['registration', 'registration'],
  ['subscriber', "subscription, the subscriber's side"],
  ['notifier', "subscription, the notifier's side"],
] as const;

/** Memory of what the stack keeps, each of 2,000 on the average. */
export async function stateFigures(say: (text: string) => void): Promise<Figure[]> {
  const all: Figure[] = [];
  for (const [variant, flags] of VARIANTS) {
    say(`bytes per transaction, registration and subscription, ${variant}`);
    const result = await measured<StateResult>('state.ts', [...flags(), '--expose-gc']);
    for (const [key, name] of LIVE)
      all.push({ name: `memory of a ${name}, ${variant}`, unit: 'bytes', ours: result[key], as: 'alone' });
  }
  return all;
}

/** Over npm `sip`, the parser that people take in Node when they want it fast, and over that of jssip. */
const SIP_GOAL = 5;
const JSSIP_GOAL = 60;
const OURS = 'ours';
/** The readers of parse.ts, with the names that are shown. */
const READERS = [
  ['ours', OURS],
  ['sip', 'npm sip'],
  ['jssip', 'jssip'],
] as const;
/** How often all take their turn. */
const TURNS = 3;

/** Messages read and checked per CPU second, over the parsers of npm and, where they are installed, those in C. */
export async function parseFigures(say: (text: string) => void): Promise<Figure[]> {
  const peers = await compilePeers();
  for (const { name, why } of peers.missing) say(`parse rate: ${name} is left out: ${why}`);
  try {
    const all: Figure[] = [];
    for (const [variant, flags] of VARIANTS) {
      say(`parse rate, ${variant}`);
      const rates = new Map<string, number[]>();
      const note = (name: string, rate: number): void =>
        void rates.set(name, [...(rates.get(name) ?? []), rate]);
      for (let turn = 0; turn < TURNS; turn += 1) {
        for (const [reader, name] of READERS)
          note(name, (await measured<{ rate: number }>('parse.ts', flags(), [reader, '1000'])).rate);
        for (const peer of peers.found) note(peer.name, await peer.measure(700));
      }
      const ours = middle(rates.get(OURS) ?? []);
      rates.delete(OURS);
      const goals = new Map([
        ['npm sip', SIP_GOAL],
        ['jssip', JSSIP_GOAL],
      ]);
      // C has no lite mode: there its figures are shown, and nothing is demanded.
      if (variant === 'plain node')
        for (const { name, goal } of peers.found) if (goal !== undefined) goals.set(name, goal);
      for (const [name, rate] of rates) {
        const goal = goals.get(name);
        all.push({
          name: `messages parsed a CPU second over ${name}, ${variant}`,
          unit: '',
          ours,
          base: { value: middle(rate), of: name },
          as: 'ratio',
          ...(goal === undefined ? {} : { goal: { atLeast: goal } }),
        });
      }
    }
    return all;
  } finally {
    await peers.remove();
  }
}
