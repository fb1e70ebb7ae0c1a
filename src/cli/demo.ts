import { asError } from '../base/errors.ts';
import { cliErrors } from './errors.ts';
import { parseCount } from './flags.ts';
import { defineVerb } from './verb.ts';

export const demo = defineVerb({
  name: 'demo',
  summary:
    'Runs a demonstration on this machine alone: devices, broker, presence server, gateway and watcher.',
  usage: '[--seconds N]',
  flags: {
    seconds: { value: 'N', help: 'End after so many seconds. Default: it runs until it is interrupted.' },
  },
  words: [0, 0],
  async run(surroundings, values) {
    const { io, version } = surroundings;
    const seconds = parseCount('--seconds', values.seconds);
    const runDemo = await loadDemo();
    return runDemo(
      {
        out: io.write,
        err: (text) => io.err(text.replace(/\n$/, '')),
        terminal: io.terminal,
        columns: io.columns,
        rows: io.rows,
        abort: surroundings.interruptible(),
        version,
      },
      { json: values.json, seconds },
    );
  },
});

/** The demo is a chunk of its own, with libraries that only development has; packages come without it. */
async function loadDemo() {
  try {
    return (await import('../../test/demo/demo.ts')).runDemo;
  } catch (error) {
    if ('code' in asError(error) && (error as { code?: unknown }).code === 'ERR_MODULE_NOT_FOUND') {
      throw cliErrors.NO_DEMO(error);
    }
    throw error;
  }
}
