import { asError, type CodedError, isCoded } from '../base/errors.ts';
import { nearest } from '../base/nearest.ts';
import { cliErrors, exits } from './errors.ts';
import { parseFlags } from './flags.ts';
import { programHelp, verbHelp } from './help.ts';
import type { Io, Surroundings } from './io.ts';
import { printable } from './table.ts';
import { VERBS } from './verbs.ts';

/**
 * Runs one command line.
 * @param args what follows the program's name
 * @returns the exit status, after sysexits(3)
 */
export async function runProgram(surroundings: Surroundings, args: readonly string[]): Promise<number> {
  const { io } = surroundings;
  const end = args.indexOf('--');
  const json = args.slice(0, end < 0 ? args.length : end).includes('--json');
  try {
    return await dispatch(surroundings, args);
  } catch (thrown) {
    report(io, asError(thrown), json);
    return isCoded(thrown) ? thrown.exit : exits.software;
  }
}

async function dispatch(surroundings: Surroundings, args: readonly string[]): Promise<number> {
  const { io } = surroundings;
  const [first, ...rest] = args;
  if (first === undefined) {
    io.err(programHelp(VERBS));
    return exits.usage;
  }
  if (first === '--help' || first === '-h') return help(io, []);
  if (first === '--version' || first === '-V') return dispatch(surroundings, ['version', ...rest]);
  if (first === 'help') return help(io, rest);
  if (first.startsWith('-')) {
    throw cliErrors.UNKNOWN_FLAG({ flag: first, guess: '; a verb comes first', verb: 'VERB' });
  }
  const verb = await entryOf(first).load();
  const { values, words } = parseFlags(verb, rest);
  if (values.help === true) {
    io.out(verbHelp(verb));
    return exits.ok;
  }
  return verb.run(surroundings, values as never, words);
}

async function help(io: Io, words: readonly string[]): Promise<number> {
  const [name] = words.filter((word) => !word.startsWith('-'));
  io.out(name === undefined ? programHelp(VERBS) : verbHelp(await entryOf(name).load()));
  return exits.ok;
}

function entryOf(name: string) {
  const entry = VERBS.find((one) => one.name === name);
  if (entry) return entry;
  const meant = nearest(name, [...VERBS.map((one) => one.name), 'help']);
  throw cliErrors.UNKNOWN_VERB({
    verb: name,
    guess: meant === undefined ? '' : `; did you mean "${meant}"?`,
  });
}

/** An error as people or programs read it. */
function report(io: Io, error: Error | CodedError, json: boolean): void {
  const coded = isCoded(error);
  if (json) {
    const { message: text } = error;
    const rest = coded
      ? { code: error.code, text, remedy: error.remedy, exit: error.exit }
      : { text, exit: exits.software };
    io.err(JSON.stringify({ error: rest }));
  } else if (coded) {
    // A reason phrase of a stranger may be in it.
    io.err(`presentity: ${printable(error.message)} [${error.code}]`);
    if (error.remedy) io.err(`  ${printable(error.remedy)}`);
  } else {
    // Whatever has no code is a defect: its stack is what its reporter can give us.
    io.err(`presentity: ${error.stack ?? error.message}`);
  }
}
