import { defineErrors } from '../base/errors.ts';

const EX_CONFIG = 78;
const EX_NOPERM = 77;

/** What can be wrong with a configuration. Warnings come from the same list; they do not stop anything. */
export const configErrors = defineErrors('CFG', {
  NO_FILE: {
    text: 'there is no file {file}',
    remedy: 'give the path of the configuration with -c FILE',
    exit: EX_CONFIG,
  },
  UNREADABLE: {
    text: '{file} cannot be read: {cause}',
    remedy: 'let the user that runs presentity read the file',
    exit: EX_NOPERM,
  },
  TOO_LARGE: {
    text: 'the file is larger than {limit}',
    remedy: 'split the gateway into several',
    exit: EX_CONFIG,
  },
  NOT_UTF8: {
    text: 'the file is not UTF-8 text (byte {offset})',
    remedy: 'save the file as UTF-8',
    exit: EX_CONFIG,
  },
  SYNTAX: { text: '{what}', remedy: 'expected {expected}', exit: EX_CONFIG },
  EMPTY: {
    text: 'the file holds nothing',
    remedy: 'expected version, accounts, sources and devices',
    exit: EX_CONFIG,
  },
  UNKNOWN_KEY: { text: 'unknown key "{key}" in {where}', remedy: '{expected}', exit: EX_CONFIG },
  MISSING_KEY: { text: '{where} lacks "{key}"', remedy: 'expected {expected}', exit: EX_CONFIG },
  NO_VALUE: { text: '"{key}" has no value', remedy: 'expected {expected}', exit: EX_CONFIG },
  BAD_VALUE: { text: '{what}', remedy: 'expected {expected}', exit: EX_CONFIG },
  BAD_NAME: { text: '"{name}" is no name for {what}', remedy: 'expected {expected}', exit: EX_CONFIG },
  UNKNOWN_NAME: { text: 'there is no {kind} "{name}"', remedy: 'expected {expected}', exit: EX_CONFIG },
  MISPLACED_KEY: { text: '"{key}" does nothing here: {why}', remedy: '{expected}', exit: EX_CONFIG },
  CONFLICT: { text: '{what}', remedy: '{expected}', exit: EX_CONFIG },
  BAD_WHEN: { text: 'the condition cannot be read: {cause}', remedy: 'expected {expected}', exit: EX_CONFIG },
  BAD_NOTE: { text: 'the note cannot be read: {cause}', remedy: 'expected {expected}', exit: EX_CONFIG },
  BAD_SECRET: { text: 'the secret in {file} cannot be used: {cause}', remedy: '{expected}', exit: EX_CONFIG },
  TOO_MANY: { text: '{what}: {count}, at most {limit}', remedy: '{expected}', exit: EX_CONFIG },
  NEVER_REACHED: { text: 'this row is never reached: {why}', remedy: '{expected}', exit: EX_CONFIG },
  RISKY: { text: '{what}', remedy: '{expected}', exit: EX_CONFIG },
});
