import { defineErrors } from '../base/errors.ts';

/** EX_CANTCREAT of sysexits(3). */
const CANNOT_CREATE = 73;

export const daemonErrors = defineErrors('DMN', {
  NO_DIRECTORY: {
    text: 'the directory {path} cannot be used: {cause}',
    remedy: 'Make it and give it to the user that runs this, or name another one.',
    exit: CANNOT_CREATE,
  },
});
