import * as v from 'valibot';
import type { Path } from './document.ts';
import type { Facts, Schema } from './schema/field.ts';

/** What a valibot schema looks like from inside, as far as this room builds them. */
interface Inside {
  readonly type: string;
  readonly entries?: Readonly<Record<string, Schema>>;
  readonly options?: readonly unknown[];
  readonly item?: Schema;
  readonly items?: readonly Schema[];
  readonly value?: Schema;
  readonly key?: unknown;
  readonly wrapped?: Schema;
  readonly pipe?: readonly Schema[];
}

/** A schema without what merely wraps it, and what was said about it on the way. */
export interface Shape {
  readonly core: Inside;
  readonly facts: Facts;
}

/** Takes off optional and pipe, collecting what they say; the outermost word wins. */
export function shapeOf(schema: Schema): Shape {
  let inside = schema as unknown as Inside;
  let facts: Facts = {};
  for (;;) {
    if (inside.pipe) facts = { ...(v.getMetadata(inside as never) as Facts), ...facts };
    if (inside.wrapped) {
      inside = inside.wrapped as unknown as Inside;
    } else if (inside.pipe?.[0] && (inside.pipe[0] as unknown) !== inside) {
      inside = inside.pipe[0] as unknown as Inside;
    } else {
      return { core: inside, facts };
    }
  }
}

/**
 * The schema that judges `value`: of several alternatives the one that the value's own `type` names, else the one
 * that is made as the value is.
 */
export function fitting(schema: Schema, value: unknown): Shape {
  const shape = shapeOf(schema);
  const { core } = shape;
  if (core.type !== 'variant' && core.type !== 'union') return shape;
  const options = (core.options ?? []) as Schema[];
  if (core.type === 'variant' && isRecord(value)) {
    const key = String(core.key);
    const chosen = options.find((option) => {
      const entry = shapeOf(option).core.entries?.[key];
      const literal = entry && (shapeOf(entry).core as { literal?: unknown }).literal;
      return literal !== undefined && literal === value[key];
    });
    if (chosen) return { ...fitting(chosen, value), facts: shape.facts };
  }
  const kind = kindOf(value);
  const chosen = options.find((option) => kindOfSchema(fitting(option, value).core) === kind);
  if (core.type === 'union' && chosen) {
    const inner = fitting(chosen, value);
    return { ...inner, facts: { ...inner.facts, ...shape.facts } };
  }
  return shape;
}

/** The schema for one key or index of `value`, or `undefined` when there is none. */
export function childSchema(schema: Schema, value: unknown, step: string | number): Schema | undefined {
  const { core } = fitting(schema, value);
  if (core.entries) return Object.hasOwn(core.entries, step) ? core.entries[step] : undefined;
  if (core.type === 'record') return core.value;
  if (core.type === 'array') return core.item;
  if (core.type === 'tuple') return core.items?.[Number(step)];
  return undefined;
}

/** The schema at a path, as far as the data lead there. */
export function schemaAt(root: Schema, data: unknown, path: Path): Schema | undefined {
  let schema: Schema | undefined = root;
  let value = data;
  for (const step of path) {
    if (!schema) return undefined;
    schema = childSchema(schema, value, step);
    value = valueAt(value, [step]);
  }
  return schema;
}

/** The value at a path of plain data. */
export function valueAt(data: unknown, path: Path): unknown {
  let value = data;
  for (const step of path) {
    if (Array.isArray(value)) value = value[Number(step)];
    else if (isRecord(value) && Object.hasOwn(value, step)) value = value[step];
    else return undefined;
  }
  return value;
}

/** The keys that a block may have; `undefined` where the user chooses them or where it is no block. */
export function knownKeys(schema: Schema, value: unknown): string[] | undefined {
  const { core } = fitting(schema, value);
  return core.entries && Object.keys(core.entries);
}

/** Completes "expected …" for a value of this schema. */
export function expectation(schema: Schema): string {
  const { core, facts } = shapeOf(schema);
  if (facts.expects) return facts.expects;
  switch (core.type) {
    case 'string':
      return 'a text';
    case 'number':
      return 'a number';
    case 'boolean':
      return 'true or false';
    case 'literal':
      return String((core as { literal?: unknown }).literal);
    case 'picklist':
      return alternatives((core.options ?? []).map(String));
    case 'array':
      return core.item ? `a list, each item ${expectation(core.item)}` : 'a list';
    case 'tuple':
      return `a list of ${core.items?.length ?? 0}`;
    case 'record':
      return 'a block of named entries';
    case 'variant':
      return `a block with a ${String(core.key)}`;
    case 'union':
      return alternatives(((core.options ?? []) as Schema[]).map(expectation));
    default:
      return core.entries
        ? `a block with ${Object.keys(core.entries).slice(0, 4).join(', ')} …`
        : 'something else';
  }
}

function alternatives(words: readonly string[]): string {
  if (words.length < 2) return words.join('');
  return `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
}

/** Kinds of plain data, as people name them. */
export function kindOf(
  value: unknown,
): 'nothing' | 'a list' | 'a block' | 'a text' | 'a number' | 'true or false' | 'something else' {
  if (value === null || value === undefined) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (isRecord(value)) return 'a block';
  if (typeof value === 'string') return 'a text';
  if (typeof value === 'number') return 'a number';
  return typeof value === 'boolean' ? 'true or false' : 'something else';
}

function kindOfSchema(core: Inside): ReturnType<typeof kindOf> {
  if (core.entries || core.type === 'record' || core.type === 'variant') return 'a block';
  if (core.type === 'array' || core.type === 'tuple') return 'a list';
  if (core.type === 'string' || core.type === 'picklist') return 'a text';
  if (core.type === 'number') return 'a number';
  if (core.type === 'literal') return kindOf((core as { literal?: unknown }).literal);
  return core.type === 'boolean' ? 'true or false' : 'something else';
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
