import * as v from 'valibot';

/** Any schema of this room: parsed at once, never asynchronous. */
export type Schema = v.GenericSchema<unknown, unknown>;

/** What a schema says about itself to people: errors and `explain` read it. */
export interface Facts {
  /** Completes "expected …". */
  readonly expects?: string;
  readonly doc?: string;
  /** The value is the path of a file whose content stands for the key without `_file`. */
  readonly include?: 'secret' | 'pem';
  /** Never to be shown. */
  readonly secret?: boolean;
}

/** A key that must be there. */
export function required<const S extends v.GenericSchema>(schema: S, doc: string) {
  return v.pipe(schema, v.metadata({ doc }));
}

/** A key that may be left out. */
export function optional<const S extends v.GenericSchema>(schema: S, doc: string) {
  return v.exactOptional(v.pipe(schema, v.metadata({ doc })));
}

/** A key with a default, written as people would write it in the file. This is the only place of the default. */
export function defaulted<const S extends v.GenericSchema, const D extends v.InferInput<S>>(
  schema: S,
  value: D,
  doc: string,
) {
  return v.exactOptional(v.pipe(schema, v.metadata({ doc })), value as never);
}

type Camel<Name> = Name extends `${infer Head}_${infer Tail}` ? `${Head}${Capitalize<Camel<Tail>>}` : Name;

/** The keys of the file, `outbound_proxy`, as those of the program, `outboundProxy`. */
export type CamelKeys<T> = { [Key in keyof T as Camel<Key>]: T[Key] };

function camelKeys<T extends object>(value: T): CamelKeys<T> {
  const entries = Object.entries(value).map(([key, inner]) => [
    key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()),
    inner,
  ]);
  return Object.fromEntries(entries) as CamelKeys<T>;
}

/** A block of known keys. Unknown ones are dropped here and reported by `unknown.ts`. */
export function section<const Entries extends v.ObjectEntries>(entries: Entries) {
  return v.pipe(
    v.object(entries),
    v.transform((value) => camelKeys(value)),
  );
}

/** A block whose keys are names that the user chose. */
export function named<const S extends v.GenericSchema>(name: v.GenericSchema<string, string>, schema: S) {
  return v.record(name, schema);
}

/** One of a few words. */
export function choice<const Words extends readonly string[]>(words: Words) {
  return v.picklist(words);
}

/** A text that `read` turns into something else, or refuses by `undefined` or by an error that says why. */
export function scalar<Output>(expects: string, read: (text: string) => Output | undefined) {
  return v.pipe(
    v.string(),
    v.rawTransform<string, Output>(({ dataset, addIssue, NEVER }) => {
      let why = '';
      try {
        const output = read(dataset.value);
        if (output !== undefined) return output;
      } catch (error) {
        why = error instanceof Error ? error.message : String(error);
      }
      // The message holds only the reason: `translate.ts` says the rest.
      addIssue({ message: why });
      return NEVER;
    }),
    v.metadata({ expects }),
  );
}

/** A number within limits, both allowed. */
export function number(least: number, most: number, what = 'a number') {
  const expects =
    most === Number.POSITIVE_INFINITY
      ? `${what} of at least ${least}`
      : least === Number.NEGATIVE_INFINITY
        ? what
        : `${what} from ${least} to ${most}`;
  return v.pipe(v.number(), v.finite(), v.minValue(least), v.maxValue(most), v.metadata({ expects }));
}

/** A whole number within limits, both allowed. */
export function whole(least: number, most: number) {
  return v.pipe(number(least, most, 'a whole number'), v.integer());
}

export const flag = v.pipe(v.boolean(), v.metadata({ expects: 'true or false' }));

/** A text with something in it, and no control characters. */
export const text = v.pipe(
  v.string(),
  v.check((value) => value.trim() !== ''),
  v.check((value) => !/[\u0000-\u0008\u000a-\u001f\u007f]/.test(value)),
  v.metadata({ expects: 'a text of one line' }),
);
