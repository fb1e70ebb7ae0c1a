import { defineErrors } from '../base/errors.ts';

/** Why a device or one of its signals is unknown, and what can be wrong with a rule. */
export const deviceErrors = defineErrors('DEV', {
  NEVER_READ: {
    text: '{signal} not read yet',
    remedy: 'Check that the sensor sends, and that topic, path or match of the signal fit what it sends.',
  },
  WAITING: {
    text: '{signal} not read since {source} is back',
    remedy: 'Nothing, when the sensor sends soon; else check the sensor.',
  },
  STALE: {
    text: '{signal} silent for {limit}',
    remedy: 'Check the sensor; where it is meant to be that quiet, set a longer `stale`.',
  },
  OLD: {
    text: '{signal} was measured {age} ago by its own time',
    remedy: 'Check the clock of the sensor, and `stale` of the signal.',
  },
  AGE_UNKNOWN: {
    text: 'age of {signal} unknown',
    remedy:
      'The broker only remembered it. Wait for a live value, read a `time:` from the payload, or set `retained: trust`.',
  },
  OUT_OF_RANGE: {
    text: '{signal} out of range: {value}',
    remedy: 'Check the sensor and its wiring; the limits are `min` and `max` of the signal.',
  },
  BAD_VALUE: {
    text: '{signal} {problem}',
    remedy: 'Check what the sensor sends against `type` and `values` of the signal.',
  },
  SOURCE_DOWN: {
    text: '{signal}: {cause}',
    remedy: 'See the state of the source.',
  },
  NO_MATCH: {
    text: '{signal} is {value}, which cannot be compared with {other}',
    remedy: 'Compare numbers with numbers; `type: number` refuses what is none.',
  },
  NO_SIGNALS: {
    text: 'no signal feeds it',
    remedy: 'Give the device a signal.',
  },
  RULE_SYNTAX: {
    text: 'column {column}: {problem}',
    remedy: 'Write comparisons joined by and, or, not: `temperature > -10 and not door == open`.',
    exit: 78,
  },
  TEMPLATE_SYNTAX: {
    text: 'column {column}: {problem}',
    remedy: 'Write the name of a signal between braces, and a brace that is meant as such twice.',
    exit: 78,
  },
});
