import { nearest } from '../base/nearest.ts';
import { deviceErrors } from './errors.ts';
import type { Value } from './reading.ts';

/** A note with holes: text and names of signals in turn. */
export type Template = readonly (
  | string
  | { readonly signal: string; readonly decimals: number | undefined }
)[];

/**
 * Reads a template: `{temperature} °C`, `{temperature:1}` with one decimal, `{{` and `}}` for the braces themselves.
 * @throws CodedError DEV_TEMPLATE_SYNTAX with the column (from 1) and the nearest name
 */
export function parseTemplate(text: string, names: readonly string[]): Template {
  const parts: (string | { signal: string; decimals: number | undefined })[] = [];
  let plain = '';
  let at = 0;
  const fail = (column: number, problem: string): never => {
    throw deviceErrors.TEMPLATE_SYNTAX({ column, problem });
  };
  while (at < text.length) {
    const char = text[at] ?? '';
    if ((char === '{' || char === '}') && text[at + 1] === char) {
      plain += char;
      at += 2;
    } else if (char === '{') {
      const end = text.indexOf('}', at);
      if (end < 0) fail(at + 1, '{ is never closed');
      const hole = /^\s*([^:{}]+?)\s*(?::\s*(\d))?\s*$/.exec(text.slice(at + 1, end));
      const signal = hole?.[1];
      if (signal === undefined) return fail(at + 1, `"${text.slice(at, end + 1)}" names no signal`);
      if (!names.includes(signal)) {
        const near = nearest(signal, names);
        fail(
          at + 2,
          `no signal "${signal}"; ${near ? `did you mean "${near}"` : `the device has ${names.join(', ')}`}`,
        );
      }
      if (plain) parts.push(plain);
      plain = '';
      parts.push({ signal, decimals: hole?.[2] === undefined ? undefined : Number(hole[2]) });
      at = end + 1;
    } else if (char === '}') {
      fail(at + 1, '} without {');
    } else {
      plain += char;
      at += 1;
    }
  }
  if (plain) parts.push(plain);
  return parts;
}

/** Fills a template; `show` gives a signal's value as text. */
export function renderTemplate(
  template: Template,
  show: (signal: string, decimals: number | undefined) => string,
): string {
  return template
    .map((part) => (typeof part === 'string' ? part : show(part.signal, part.decimals)))
    .join('');
}

/** The signals that a template shows. */
export function namesIn(template: Template): string[] {
  return template.flatMap((part) => (typeof part === 'string' ? [] : [part.signal]));
}

/** How many digits of a number are more than the noise of binary fractions: 0.1 + 0.2 is to read 0.3. */
const DIGITS = 12;

/** A value for people. */
export function formatValue(value: Value, decimals: number | undefined): string {
  if (typeof value !== 'number') return String(value);
  const rounded =
    decimals === undefined ? Number(value.toPrecision(DIGITS)) : Number(value.toFixed(decimals));
  // A small negative number rounds to -0, which nobody wants to read.
  const plain = rounded === 0 ? 0 : rounded;
  return decimals === undefined ? String(plain) : plain.toFixed(decimals);
}

/** Units of SenML (RFC 8428 §12.1) that people write otherwise. */
const UNITS: Readonly<Record<string, string>> = { Cel: '°C', '%RH': '% RH', '%EL': '%', '/': '' };

/** A value with its unit, for people. */
export function formatMeasure(value: Value, decimals: number | undefined, unit: string | undefined): string {
  const text = formatValue(value, decimals);
  const shown = unit === undefined || typeof value !== 'number' ? '' : (UNITS[unit] ?? unit);
  return shown === '' ? text : `${text} ${shown}`;
}

const SPANS = [
  ['d', 86_400],
  ['h', 3_600],
  ['min', 60],
] as const;

/** A span for people: 45 s, 5 min, 1 h, 90 min, 3 d. */
export function formatSpan(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = Math.round(ms / 1000);
  for (const [unit, size] of SPANS)
    if (seconds >= 2 * size || seconds === size) return `${Math.round(seconds / size)} ${unit}`;
  return `${seconds} s`;
}
