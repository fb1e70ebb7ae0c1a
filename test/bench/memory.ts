/** Resident memory of a process, as the kernel counts it. */
import { readFileSync } from 'node:fs';

/** All in MiB. */
export interface Memory {
  rss: number;
  /** The private part: heap and malloc. */
  anon: number;
  /** Highest RSS so far. */
  peak: number;
}

export function memoryOf(pid: number): Memory {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const field = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? Number.NaN) / 1024;
  return { rss: field('VmRSS'), anon: field('RssAnon'), peak: field('VmHWM') };
}

/** The median of several looks: what the process needs, not what it just happened to touch. */
export function median(samples: readonly Memory[]): Memory {
  const middle = (pick: (one: Memory) => number): number =>
    samples.map(pick).sort((a, b) => a - b)[samples.length >> 1] ?? Number.NaN;
  return {
    rss: middle((one) => one.rss),
    anon: middle((one) => one.anon),
    peak: Math.max(...samples.map((one) => one.peak)),
  };
}

/** CPU seconds, user and system, since the process started. */
export function cpuOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}
