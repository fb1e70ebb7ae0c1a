import type { Path } from './document.ts';
import type { Schema } from './schema/field.ts';
import { childSchema, fitting, isRecord, knownKeys } from './shape.ts';

/** What in the data the schema has no place for. */
export type Misfit =
  /** A key that is none of `known`. */
  | { readonly kind: 'key'; readonly path: Path; readonly known: readonly string[] }
  /** A list where a block is expected, which a schema takes for a block whose keys are numbers. */
  | { readonly kind: 'list'; readonly path: Path; readonly schema: Schema };

/** Walks data and schema side by side. Does not look into what has no schema. */
export function findMisfits(schema: Schema, data: unknown, path: Path = []): Misfit[] {
  const found: Misfit[] = [];
  if (Array.isArray(data)) {
    const { core } = fitting(schema, data);
    if (core.entries || core.type === 'record' || core.type === 'variant')
      return [{ kind: 'list', path, schema }];
    for (const [index, item] of data.entries()) {
      const inner = childSchema(schema, data, index);
      if (inner) found.push(...findMisfits(inner, item, [...path, index]));
    }
  } else if (isRecord(data)) {
    const known = knownKeys(schema, data);
    for (const [key, value] of Object.entries(data)) {
      const inner = childSchema(schema, data, key);
      if (inner) found.push(...findMisfits(inner, value, [...path, key]));
      else if (known) found.push({ kind: 'key', path: [...path, key], known });
    }
  }
  return found;
}
