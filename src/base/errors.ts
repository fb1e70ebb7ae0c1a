/** What one kind of error means to the people who meet it. */
export interface ErrorSpec {
  /** What happened, with `{name}` where a field goes. */
  text: string;
  /** What to do about it, in one sentence; may use the same fields. */
  remedy: string;
  /** Exit status after sysexits(3); 70 (software) unless given. */
  exit?: number;
  /** Status that a SIP peer gets for it. */
  sip?: number;
}

type FieldNames<Text extends string> = Text extends `${string}{${infer Name}}${infer Rest}`
  ? Name | FieldNames<Rest>
  : never;

type FieldsOf<Spec extends ErrorSpec> = Readonly<
  Record<FieldNames<Spec['text']> | FieldNames<Spec['remedy']>, unknown>
>;

/** An error with a code that the manual explains. Codes are unique and never used again for something else. */
export interface CodedError extends Error {
  readonly code: string;
  readonly remedy: string;
  readonly exit: number;
  readonly sip: number | undefined;
  readonly fields: Readonly<Record<string, unknown>>;
}

export interface ErrorFactory<Spec extends ErrorSpec = ErrorSpec> {
  (
    ...args: [keyof FieldsOf<Spec>] extends [never]
      ? [cause?: unknown]
      : [fields: FieldsOf<Spec>, cause?: unknown]
  ): CodedError;
  readonly code: string;
  readonly spec: Spec;
  /** Whether `error` is of this kind. */
  is(error: unknown): error is CodedError;
}

export type ErrorRegistry<Specs extends Record<string, ErrorSpec>> = {
  readonly [Name in keyof Specs]: ErrorFactory<Specs[Name]>;
};

/** sysexits(3): an internal software error. */
const EX_SOFTWARE = 70;

/**
 * Defines the errors of one room. `prefix` and the names make the codes: `SRC` and `PORT_GONE` give `SRC_PORT_GONE`.
 * A field that a text names must be given; fields that hold an Error show its message.
 */
export function defineErrors<const Specs extends Record<string, ErrorSpec>>(
  prefix: string,
  specs: Specs,
): ErrorRegistry<Specs> {
  const made = Object.entries(specs).map(([name, spec]) => [name, defineError(`${prefix}_${name}`, spec)]);
  return Object.freeze(Object.fromEntries(made)) as ErrorRegistry<Specs>;
}

function defineError(code: string, spec: ErrorSpec): ErrorFactory {
  const named = /\{\w+\}/.test(spec.text + spec.remedy);
  const make = (...args: unknown[]): CodedError => {
    const fields = (named ? args[0] : {}) as Record<string, unknown>;
    const cause = named ? args[1] : args[0];
    const error = new Error(fill(spec.text, fields), cause === undefined ? {} : { cause });
    error.name = code;
    return Object.assign(error, {
      code,
      remedy: fill(spec.remedy, fields),
      exit: spec.exit ?? EX_SOFTWARE,
      sip: spec.sip,
      fields,
    });
  };
  const is = (error: unknown): error is CodedError => isCoded(error) && error.code === code;
  return Object.assign(make, { code, spec, is }) as ErrorFactory;
}

/** Whether `error` carries a code and a remedy. */
export function isCoded(error: unknown): error is CodedError {
  return error instanceof Error && 'code' in error && 'remedy' in error;
}

/** Any thrown value as an Error, since JavaScript lets people throw strings. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

function fill(text: string, fields: Record<string, unknown>): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = fields[name];
    if (value === undefined) return whole;
    return value instanceof Error ? value.message : String(value);
  });
}
