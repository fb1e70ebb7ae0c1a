import * as v from 'valibot';
import { choice, named, number, optional, required, scalar, section, text, whole } from './field.ts';
import { aor, duration, jsonPath, name, pattern, plainValue, topicFilter, topicName } from './scalars.ts';
import { passwordOf } from './secret.ts';

const qos = v.pipe(v.picklist([0, 1, 2]), v.metadata({ expects: '0, 1 or 2' }));

const writeSchema = section({
  topic: required(topicName, 'Where the value is published. Never retained.'),
  payload: optional(text, 'What is published; {value} is replaced. Default: {value}.'),
  qos: optional(qos, 'The quality of service of MQTT. Default: 0.'),
});

/** What goes to a serial line may well hold control characters, such as the end of the line. */
const writeText = v.pipe(
  v.string(),
  v.check((value) => value !== ''),
  v.metadata({ expects: 'a text such as "LAMP={value}\\n"' }),
);

export const signalName = scalar(
  'a name: a letter or "_", then letters, digits, "-" or "_", 64 at most; none of and, or, not, true, false',
  (word) =>
    /^[A-Za-z_][A-Za-z0-9_-]{0,63}$/.test(word) && !['and', 'or', 'not', 'true', 'false'].includes(word)
      ? word
      : undefined,
);

export const signalSchema = section({
  source: required(name, 'The source that feeds it, one of those under sources.'),

  topic: optional(topicFilter, 'MQTT: the topic to read; + and # as usual.'),
  path: optional(
    jsonPath,
    'MQTT: where the value is in a JSON payload, such as temp or a.b[2].c. Without it the payload is the value.',
  ),
  time: optional(
    jsonPath,
    'MQTT: where the time is in a JSON payload: seconds or milliseconds since 1970, or RFC 3339.',
  ),
  qos: optional(qos, 'MQTT: the quality of service of the subscription.'),
  retained: optional(
    choice(['trust', 'distrust']),
    'MQTT: whether a value that the broker only remembered makes the device reachable. Default: distrust.',
  ),

  match: optional(
    pattern,
    'Serial: a regular expression for a whole line. The value is the group named "value", else the first group, else the match.',
  ),

  write: optional(
    v.union([writeText, writeSchema]),
    'How `set` writes it. Serial: the text that is sent, with {value} replaced. MQTT: a block with the topic. Without it the signal is read only.',
  ),

  type: optional(
    choice(['number', 'boolean', 'text']),
    'The kind of value. Default: what looks like a number is one, true and false are booleans, the rest is text.',
  ),
  values: optional(
    v.union([
      v.pipe(v.array(plainValue), v.minLength(1), v.metadata({ expects: 'a list with a value' })),
      v.record(v.string(), plainValue),
    ]),
    'The values that it may have: a list, or a table from what the source says to what it means ({ "1": open, "0": shut }). Anything else is a fault.',
  ),
  unit: optional(
    v.pipe(
      v.string(),
      v.regex(/^[A-Za-z0-9%/.:_+*-]{1,24}$/),
      v.metadata({ expects: 'a SenML unit such as Cel, %RH, V or W' }),
    ),
    'The unit after RFC 8428, such as Cel.',
  ),
  decimals: optional(whole(0, 9), 'Decimals in notes. Default: as many as the value has, 6 digits at most.'),
  min: optional(
    number(Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY),
    'A smaller value is a fault of the sensor.',
  ),
  max: optional(
    number(Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY),
    'A larger value is a fault of the sensor.',
  ),
  deadband: optional(
    number(0, Number.POSITIVE_INFINITY),
    'Smaller differences from the last value that counted do not count.',
  ),
  hysteresis: optional(
    number(0, Number.POSITIVE_INFINITY),
    'How far the value must come back over the threshold of a condition before the condition lets go.',
  ),
  min_interval: optional(duration, 'Changes come no closer together than this; the last value always comes.'),
  every: optional(duration, 'How often the sensor reports. Only `config check` uses it, to judge `stale`.'),
  stale: optional(
    v.union([v.literal('never'), duration]),
    'Without a valid reading for this long the signal is unknown. Default: three times the interval that was observed.',
  ),
});

/** RFC 4480 §3.2. */
const ACTIVITIES = [
  'appointment',
  'away',
  'breakfast',
  'busy',
  'dinner',
  'holiday',
  'in-transit',
  'looking-for-work',
  'meal',
  'meeting',
  'on-the-phone',
  'performance',
  'permanent-absence',
  'playing',
  'presentation',
  'shopping',
  'sleeping',
  'spectator',
  'steering',
  'travel',
  'tv',
  'unknown',
  'vacation',
  'working',
  'worship',
] as const;

export const rowSchema = section({
  when: optional(
    text,
    'A condition: comparisons of signals (temperature > -10, door == open) joined by and, or, not. A row without one always holds.',
  ),
  note: optional(text, 'What people read; {signal} is replaced by its value.'),
  activity: optional(
    choice(ACTIVITIES),
    'RPID activity; phones show it only for a device that has its own aor.',
  ),
  basic: optional(
    choice(['open', 'closed']),
    'Overrules reachability, for those who want a shut door to show as offline. Default: open.',
  ),
});

export const deviceSchema = section({
  name: optional(text, 'What people read. Default: the id.'),
  account: optional(name, 'The account that publishes it, where there are several.'),
  aor: optional(
    aor,
    'Its own address-of-record, so that it is a buddy of its own on a phone. Default: part of the presentity of its account.',
  ),
  user: optional(
    text,
    'The user name for digest authentication. Default: that of the account, or with a password the user of the aor.',
  ),
  ...passwordOf('the aor of the device'),
  detail: optional(
    choice(['lean', 'full']),
    'As of an account, for this device. Default: that of the account.',
  ),
  signals: required(
    v.pipe(named(signalName, signalSchema), v.metadata({ expects: 'a block of named signals' })),
    'Its values, each with its source and rules.',
  ),
  states: optional(
    v.pipe(
      v.array(rowSchema),
      v.minLength(1),
      v.metadata({ expects: 'a list of rows, each with when, note or both' }),
    ),
    'What the signals mean: the first row whose condition is true or unknown decides. Default: reachable while all signals are known.',
  ),
});
