import { readFileSync } from 'node:fs';
import { exits } from './errors.ts';
import { defineVerb } from './verb.ts';

declare const __VERSION__: string | undefined;

/** The version of the program: put in by the build, or that of the source when it runs unbuilt. */
export function programVersion(): string {
  if (typeof __VERSION__ === 'string') return __VERSION__;
  const file = new URL('../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}

export const version = defineVerb({
  name: 'version',
  summary: 'Tells the version of the program, of Node and of the machine.',
  usage: '[flags]',
  flags: {},
  words: [0, 0],
  async run({ io, version: own }, values) {
    const { versions, platform, arch } = process;
    if (values.json) {
      io.out(JSON.stringify({ presentity: own, node: versions.node, platform, arch }));
    } else {
      io.out(`presentity ${own} (Node ${versions.node}, ${platform} ${arch})`);
    }
    return exits.ok;
  },
});
