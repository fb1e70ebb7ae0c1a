import { formatProblem, plainProblem } from '../config/problem.ts';
import { loadApart } from './apart.ts';
import { parseLevel } from './levels.ts';
import { serve } from './serve.ts';
import { keepTidy } from './tidy.ts';
import { defineVerb } from './verb.ts';

export const run = defineVerb({
  name: 'run',
  summary: 'Runs the gateway of a configuration file until SIGTERM or SIGINT.',
  usage: '-c FILE',
  description:
    'On the first signal it withdraws its publications and its registration within 3 seconds and exits with 0; on the\nsecond it exits at once. Logs go to standard error, with --json as one object a line.',
  flags: {
    config: {
      short: 'c',
      value: 'FILE',
      help: 'The configuration. Default: /etc/presentity/presentity.yaml.',
    },
    'log-level': { value: 'LEVEL', help: 'debug, info, warn or error, instead of log.level of the file.' },
  },
  words: [0, 0],
  async run(surroundings, values) {
    const { io, files, version, clock, random } = surroundings;
    const file = values.config ?? DEFAULT_FILE;
    const level = parseLevel(values['log-level']);
    // SIGTERM must work from the first moment on.
    const abort = surroundings.interruptible();
    const loaded = await loadApart(surroundings, file);
    for (const one of loaded.problems) {
      io.err(values.json ? JSON.stringify({ problem: plainProblem(one) }) : formatProblem(one));
    }
    if (!loaded.ok) return loaded.exit;

    const { config } = loaded;
    const log = surroundings.log({ ...config.log, ...(level && { level }), json: values.json });
    const { createDaemon } = await import('../daemon/daemon.ts');
    const daemon = createDaemon({ clock, random, log, files, version }, config);
    return serve(surroundings, daemon, abort, log, () => {
      log.info('running', { version, config: file });
      keepTidy(clock);
    });
  },
});

/** Where packages put it. */
export const DEFAULT_FILE = '/etc/presentity/presentity.yaml';
