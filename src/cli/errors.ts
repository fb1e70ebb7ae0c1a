import { defineErrors } from '../base/errors.ts';

/** Exit statuses after sysexits(3), and the two that `status` adds for scripts. */
export const exits = {
  ok: 0,
  /** `status`: the process runs, but not everything in it works. */
  degraded: 1,
  /** `status`: the process runs, and nothing in it works. */
  down: 2,
  usage: 64,
  unavailable: 69,
  software: 70,
  cannotCreate: 73,
  again: 75,
  permission: 77,
  configuration: 78,
} as const;

/** What goes wrong at the command line itself. */
export const cliErrors = defineErrors('CLI', {
  UNKNOWN_VERB: {
    text: 'unknown verb "{verb}"{guess}',
    remedy: 'See "presentity --help".',
    exit: exits.usage,
  },
  NO_VERB: { text: 'no verb', remedy: 'See "presentity --help".', exit: exits.usage },
  UNKNOWN_FLAG: {
    text: 'unknown flag {flag}{guess}',
    remedy: 'See "presentity {verb} --help".',
    exit: exits.usage,
  },
  NEEDS_VALUE: {
    text: '{flag} needs a value: {value}',
    remedy: 'See "presentity {verb} --help".',
    exit: exits.usage,
  },
  NO_VALUE: { text: '{flag} takes no value', remedy: 'See "presentity {verb} --help".', exit: exits.usage },
  TWICE: { text: '{flag} is given twice', remedy: 'Give it once.', exit: exits.usage },
  BAD_FLAG: { text: '{flag} cannot be "{value}"{why}', remedy: 'Expected {expected}.', exit: exits.usage },
  TOO_MANY: {
    text: 'nothing is known to do with "{word}"',
    remedy: 'See "presentity {verb} --help".',
    exit: exits.usage,
  },
  TOO_FEW: { text: '{what} is missing', remedy: 'Usage: {usage}', exit: exits.usage },
  NEEDS: { text: '{flag} needs {other}', remedy: 'See "presentity {verb} --help".', exit: exits.usage },
  BAD_SECRET: {
    text: 'the password in {file} cannot be used: {cause}',
    remedy: 'The file holds one line, the password.',
    exit: exits.permission,
  },
  NO_DEMO: {
    text: 'the demo is not part of this package',
    remedy: 'It comes with the source: clone the repository and run "make run".',
    exit: exits.unavailable,
  },
  REFUSED: {
    text: '{uri} refused: {cause}',
    remedy: 'Check the user, the password and the address.',
    exit: exits.permission,
  },
  UNREACHABLE: {
    text: '{uri} cannot be reached: {cause}',
    remedy: 'Check the address; name the server with --server tcp:HOST:PORT.',
    exit: exits.unavailable,
  },
  NO_ANSWER: {
    text: '{uri} took the message and did not answer within {seconds} s',
    remedy: 'See that it is running and that you are allowed to command it; wait longer with --seconds.',
    exit: exits.unavailable,
  },
  NO_NOTIFY: {
    text: 'nothing was heard of {uri} within {seconds} s',
    remedy: 'Check the address and the server.',
    exit: exits.unavailable,
  },
});
