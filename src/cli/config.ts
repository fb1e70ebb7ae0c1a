import { nearest } from '../base/nearest.ts';
import { loadConfig } from '../config/load.ts';
import { countProblems, formatProblem, plainProblem } from '../config/problem.ts';
import { formatSummary, summarise } from '../config/summary.ts';
import { cliErrors, exits } from './errors.ts';
import type { Surroundings } from './io.ts';
import { defineVerb } from './verb.ts';

export const config = defineVerb({
  name: 'config',
  summary: 'Checks a configuration file. Starts nothing and changes nothing.',
  usage: 'check FILE',
  description:
    'Tells every mistake with its line and column, what was expected and the nearest valid name, and of a good file\nhow old the shown state can get in the worst case. Exit status 78 when there is an error; warnings do not count.',
  flags: {
    config: { short: 'c', value: 'FILE', help: 'The configuration, as the other verbs name it.' },
  },
  words: [1, 2],
  async run(surroundings, { json, config }, [action = '', word]) {
    if (action === 'assemble') return assemble(surroundings, word ?? '');
    if (action !== 'check') {
      const meant = nearest(action, ['check']);
      throw cliErrors.UNKNOWN_VERB({
        verb: `config ${action}`,
        guess: meant ? '; did you mean "config check"?' : '',
      });
    }
    const file = word ?? config;
    if (file === undefined) throw cliErrors.TOO_FEW({ what: 'FILE', usage: 'presentity config check FILE' });
    if (word !== undefined && config !== undefined)
      throw cliErrors.TOO_MANY({ word: config, verb: 'config' });
    return check(surroundings, file, json);
  },
});

/**
 * What `run` reads from its child process (see apart.ts): everything, secrets included, so it is not for eyes.
 */
async function assemble({ io, files }: Surroundings, file: string): Promise<number> {
  if (io.terminal)
    throw cliErrors.UNKNOWN_VERB({ verb: 'config assemble', guess: '; did you mean "config check"?' });
  const loaded = await loadConfig({ files }, { file, mode: 'run' });
  io.out(JSON.stringify(loaded));
  return loaded.ok ? exits.ok : loaded.exit;
}

async function check({ io, files }: Surroundings, file: string, json: boolean): Promise<number> {
  const loaded = await loadConfig({ files }, { file, mode: 'check' });
  const { problems } = loaded;
  if (json) {
    io.out(
      JSON.stringify({
        ok: loaded.ok,
        file,
        problems: problems.map(plainProblem),
        ...(loaded.ok && { summary: summarise(loaded.config) }),
      }),
    );
    return loaded.ok ? exits.ok : loaded.exit;
  }
  for (const one of problems) io.err(formatProblem(one));
  if (loaded.ok) {
    io.out(formatSummary(summarise(loaded.config)));
    io.out('');
  }
  const count = countProblems(problems);
  const verdict = loaded.ok ? 'ok' : 'not usable';
  io.out(`${file}: ${verdict}${count === '' ? '' : `, ${count}`}`);
  return loaded.ok ? exits.ok : loaded.exit;
}
