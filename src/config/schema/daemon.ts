import { choice, defaulted, flag, optional, section } from './field.ts';
import { durationWithin, path } from './scalars.ts';

export const logSchema = section({
  level: defaulted(
    choice(['debug', 'info', 'warn', 'error']),
    'info',
    'The least important lines that are written. Readings are never logged at info.',
  ),
  quiet: defaulted(
    durationWithin('0s', '1d'),
    '1m',
    'How long a line that repeats word for word is held back; the next one says how often it came.',
  ),
});

export const controlSchema = section({
  enabled: defaulted(flag, true, 'Whether `presentity status` and the like can reach the running process.'),
  socket: optional(path, 'The unix socket for it. Default: control.sock in the run-time directory.'),
});
