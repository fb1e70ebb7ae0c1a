import type { Verb } from './verb.ts';

/** A verb, its code loaded only when it is wanted: `presentity version` must not load a SIP stack. */
export interface VerbEntry {
  readonly name: string;
  readonly summary: string;
  load(): Promise<Verb>;
}

export const VERBS: readonly VerbEntry[] = [
  {
    name: 'run',
    summary: 'run the gateway of a configuration file',
    load: async () => (await import('./run.ts')).run,
  },
  {
    name: 'edge',
    summary: 'run a SIP registrar and presence server',
    load: async () => (await import('./edge.ts')).edge,
  },
  {
    name: 'config',
    summary: 'check a configuration file',
    load: async () => (await import('./config.ts')).config,
  },
  {
    name: 'status',
    summary: 'tell how the running gateway is',
    load: async () => (await import('./status.ts')).status,
  },
  {
    name: 'tail',
    summary: 'show what happens in the running gateway',
    load: async () => (await import('./tail.ts')).tail,
  },
  {
    name: 'watch',
    summary: 'watch the presence of somebody',
    load: async () => (await import('./watch.ts')).watch,
  },
  {
    name: 'send',
    summary: 'send a message and wait for the answer',
    load: async () => (await import('./send.ts')).send,
  },
  {
    name: 'ports',
    summary: 'list the serial ports of this machine',
    load: async () => (await import('./ports.ts')).ports,
  },
  {
    name: 'demo',
    summary: 'run a demonstration on this machine alone',
    load: async () => (await import('./demo.ts')).demo,
  },
  { name: 'version', summary: 'tell the version', load: async () => (await import('./version.ts')).version },
];
