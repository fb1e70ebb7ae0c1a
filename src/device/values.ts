import type { SignalOptions, ValueRules } from './options.ts';
import type { Value } from './reading.ts';

export type ValueResult = { ok: true; value: Value } | { ok: false; problem: string };

type Rules = Pick<SignalOptions, 'type' | 'values' | 'min' | 'max' | 'deadband' | 'hysteresis'>;

/** A text value longer than this is cut: it ends up in notes. */
const LONGEST_TEXT = 256;

const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;

const YES = new Set(['true', 'on', 'yes', '1']);
const NO = new Set(['false', 'off', 'no', '0']);

/** The typed value that a source's raw value stands for by the rules of its signal. */
export function readValue(raw: Value, rules: Rules): ValueResult {
  if (rules.values !== undefined) return pick(raw, rules.values);
  return typed(raw, kindOf(rules));
}

/**
 * The value that a person's text means: as `readValue`, but a value of a table may be given by what the source says or
 * by what it means, letters large or small, and a number must be in range.
 */
export function parseValue(text: string, rules: Rules): ValueResult {
  const { values, min, max } = rules;
  const word = text.trim();
  if (values !== undefined) {
    const exact = pick(word, values);
    if (exact.ok) return exact;
    const wanted = word.toLowerCase();
    const pairs = entriesOf(values);
    const found = pairs.find(
      ([said, meant]) => said.toLowerCase() === wanted || String(meant).toLowerCase() === wanted,
    );
    if (found) return { ok: true, value: found[1] };
    // Yes and no have many words; where the signal is a plain switch they all mean it.
    const meant = YES.has(wanted) ? true : NO.has(wanted) ? false : undefined;
    if (meant !== undefined && pairs.some(([, value]) => value === meant)) return { ok: true, value: meant };
    return { ok: false, problem: `${quote(word)} is none of ${allowed(values).join(', ')}` };
  }
  const result = typed(word, kindOf(rules));
  if (result.ok && typeof result.value === 'number' && !inRange(result.value, rules))
    return { ok: false, problem: `${word} is not in ${min ?? '…'} to ${max ?? '…'}` };
  return result;
}

/** Whether a number is within `min` and `max`. */
export function inRange(value: number, rules: Pick<Rules, 'min' | 'max'>): boolean {
  return (rules.min === undefined || value >= rules.min) && (rules.max === undefined || value <= rules.max);
}

/** What goes to the source for a value: the word of the table that stands for it, else the value as text. */
export function wireText(value: Value, values: ValueRules | undefined): string {
  if (values !== undefined && !isList(values)) {
    for (const [said, meant] of Object.entries(values)) if (meant === value) return said;
  }
  return String(value);
}

/** The values that a signal may have, as people write them. */
export function allowed(values: ValueRules): string[] {
  return [...new Set((isList(values) ? values : Object.values(values)).map(String))];
}

/** The kind that a signal's values have; undefined when any will do. */
function kindOf(rules: Rules): 'number' | 'boolean' | 'text' | undefined {
  if (rules.type !== undefined) return rules.type;
  const numeric = [rules.min, rules.max, rules.deadband, rules.hysteresis].some((rule) => rule !== undefined);
  return numeric ? 'number' : undefined;
}

function typed(raw: Value, kind: ReturnType<typeof kindOf>): ValueResult {
  if (typeof raw === 'number' && !Number.isFinite(raw)) return { ok: false, problem: `is ${raw}` };
  const text = typeof raw === 'string' ? raw.trim() : String(raw);
  switch (kind) {
    case 'number': {
      if (typeof raw === 'number') return { ok: true, value: raw };
      const value = NUMBER.test(text) ? Number(text) : Number.NaN;
      if (!Number.isFinite(value)) return { ok: false, problem: `is ${quote(text)}, not a number` };
      return { ok: true, value };
    }
    case 'boolean': {
      const word = text.toLowerCase();
      if (YES.has(word)) return { ok: true, value: true };
      if (NO.has(word)) return { ok: true, value: false };
      return { ok: false, problem: `is ${quote(text)}, neither true nor false` };
    }
    case 'text':
      return { ok: true, value: clean(text) };
    case undefined: {
      if (typeof raw !== 'string') return { ok: true, value: raw };
      if (text === '') return { ok: false, problem: 'is empty' };
      if (text === 'true' || text === 'false') return { ok: true, value: text === 'true' };
      const value = NUMBER.test(text) ? Number(text) : Number.NaN;
      return { ok: true, value: Number.isFinite(value) ? value : clean(text) };
    }
  }
}

function pick(raw: Value, values: ValueRules): ValueResult {
  const text = String(raw).trim();
  if (isList(values)) {
    const number = NUMBER.test(text) ? Number(text) : undefined;
    for (const value of values)
      if (value === raw || value === number || String(value) === text) return { ok: true, value };
  } else {
    const value = Object.hasOwn(values, text) ? values[text] : undefined;
    if (value !== undefined) return { ok: true, value };
  }
  return { ok: false, problem: `is ${quote(text)}, none of ${allowed(values).join(', ')}` };
}

function entriesOf(values: ValueRules): [string, Value][] {
  return isList(values) ? values.map((value) => [String(value), value]) : Object.entries(values);
}

function isList(values: ValueRules): values is readonly Value[] {
  return Array.isArray(values);
}

/** Text from outside, fit for a note and for XML: no control characters, no half surrogates, not long. */
export function clean(text: string): string {
  return text
    .slice(0, LONGEST_TEXT)
    .replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ')
    .replace(/[\ud800-\udfff\ufffe\uffff]/gu, '\ufffd')
    .trim();
}

function quote(text: string): string {
  const short = clean(text);
  return short.length > 40 ? `"${short.slice(0, 39)}…"` : `"${short}"`;
}
