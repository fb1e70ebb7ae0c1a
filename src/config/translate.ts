import type * as v from 'valibot';
import type { CodedError } from '../base/errors.ts';
import { nearest } from '../base/nearest.ts';
import type { Path } from './document.ts';
import { configErrors } from './errors.ts';
import { formatPath, listNames } from './problem.ts';
import type { Schema } from './schema/field.ts';
import { expectation, fitting, isRecord, kindOf, schemaAt, shapeOf, valueAt } from './shape.ts';

/** An issue of the schema in words, with the place where to look. */
export interface Translation {
  readonly error: CodedError;
  readonly path: Path;
  /** Whether the key or the value at `path` is meant. */
  readonly at: 'key' | 'value';
  readonly meant?: string | undefined;
}

/** What people read at the root instead of nothing. */
export const ROOT = 'the file';

/** Says in plain words what valibot found. The schema itself says what it expects. */
export function translateIssue(issue: v.BaseIssue<unknown>, root: Schema, data: unknown): Translation[] {
  // Of several alternatives the one that fits the kind of value got furthest: what it says is what is wrong.
  const prefix = issue.path;
  const deeper = issue.type === 'union' ? (issue.issues ?? []).filter((one) => one.path !== undefined) : [];
  if (prefix && deeper.length > 0) {
    return deeper.flatMap((one) => {
      const path = [...prefix, ...(one.path ?? [])] as unknown as NonNullable<typeof prefix>;
      return translateIssue({ ...one, path }, root, data);
    });
  }
  return [translateOne(issue, root, data)];
}

function translateOne(issue: v.BaseIssue<unknown>, root: Schema, data: unknown): Translation {
  const steps = issue.path ?? [];
  const path = steps.map((step) => step.key as string | number);
  const last = steps.at(-1);
  const key = path.at(-1);

  // An entry's own name is wrong: valibot marks the step as a key, with the name as input.
  if (last?.origin === 'key' && issue.input !== undefined) {
    const record = schemaAt(root, data, path.slice(0, -1));
    const names =
      record && (fitting(record, valueAt(data, path.slice(0, -1))).core.key as Schema | undefined);
    return {
      error: configErrors.BAD_NAME({
        name: String(key),
        what: `one of ${formatPath(path.slice(0, -1))}${issue.message ? ` (${issue.message})` : ''}`,
        expected: names ? expectation(names) : 'a name',
      }),
      path,
      at: 'key',
    };
  }

  const schema = schemaAt(root, data, path);
  const value = valueAt(data, path);
  // valibot says `("mqtt" | "serial")` of the key that chooses among several kinds of block.
  const kinds =
    issue.type === 'variant' && !schema
      ? [...(issue.expected ?? '').matchAll(/"([^"]+)"/g)].map((found) => found[1] ?? '')
      : [];
  const expected = schema ? expectation(schema) : listNames(kinds, 'something else');

  if (value === undefined && key !== undefined) {
    return {
      error: configErrors.MISSING_KEY({
        where: formatPath(path.slice(0, -1)) || ROOT,
        key,
        expected: missing(schema, expected),
      }),
      path: path.slice(0, -1),
      at: 'key',
    };
  }
  if (value === null) {
    return { error: configErrors.NO_VALUE({ key: key ?? ROOT, expected }), path, at: 'key' };
  }
  const why = reason(issue);
  return {
    error: configErrors.BAD_VALUE({ what: `${naming(path)} cannot be ${showValue(value)}${why}`, expected }),
    path,
    at: 'value',
    meant: typeof value === 'string' ? nearest(value, [...kinds, ...words(schema, value)]) : undefined,
  };
}

/** What a scalar said about the value, if it said anything. */
function reason(issue: v.BaseIssue<unknown>): string {
  const saying = issue.type === 'union' ? issue.issues?.find(({ kind }) => kind === 'transformation') : issue;
  return saying?.kind === 'transformation' && saying.message ? `: ${saying.message}` : '';
}

/** The doc of a key that is missing helps more than its type. */
function missing(schema: Schema | undefined, expected: string): string {
  const doc = schema && shapeOf(schema).facts.doc;
  return doc ? `${expected}. ${doc}` : expected;
}

function naming(path: Path): string {
  const key = path.at(-1);
  if (key === undefined) return ROOT;
  return typeof key === 'number' || /^\d+$/.test(key)
    ? formatPath([...path.slice(-2, -1), Number(key)])
    : key;
}

/** The words that a choice offers. */
function words(schema: Schema | undefined, value: unknown): string[] {
  if (!schema) return [];
  const { core } = fitting(schema, value);
  return core.type === 'picklist' ? (core.options ?? []).map(String) : [];
}

function showValue(value: unknown): string {
  if (isRecord(value) || Array.isArray(value)) return kindOf(value);
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value);
  return text.length > 60 ? `${text.slice(0, 59)}…` : text;
}
