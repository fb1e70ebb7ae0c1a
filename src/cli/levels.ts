import type { Level } from '../base/log.ts';
import { nearest } from '../base/nearest.ts';
import { cliErrors } from './errors.ts';

const LEVELS = ['debug', 'info', 'warn', 'error'] as const;

/** The value of `--log-level`. */
export function parseLevel(value: string | undefined): Level | undefined {
  if (value === undefined) return undefined;
  const level = LEVELS.find((one) => one === value);
  if (level) return level;
  const meant = nearest(value, LEVELS);
  const why = meant === undefined ? '' : `; did you mean ${meant}?`;
  throw cliErrors.BAD_FLAG({ flag: '--log-level', value, why, expected: LEVELS.join(', ') });
}
