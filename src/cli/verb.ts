import type { Surroundings } from './io.ts';

/** One flag of a verb. */
export interface Flag {
  /** A letter for short. */
  readonly short?: string;
  /** How the value is called in the help; without it the flag takes none. */
  readonly value?: string;
  /** It may come several times. */
  readonly many?: boolean;
  readonly help: string;
}

export type Flags = Readonly<Record<string, Flag>>;

/** The values of flags: text where one was declared, a list where many were. */
export type Values<Spec extends Flags> = {
  readonly [Name in keyof Spec]: Spec[Name]['many'] extends true
    ? readonly string[]
    : Spec[Name]['value'] extends string
      ? string | undefined
      : boolean;
};

/** What every verb is told. */
export interface Common {
  readonly json: boolean;
}

export interface Verb<Spec extends Flags = Flags> {
  readonly name: string;
  /** One line. */
  readonly summary: string;
  /** After `presentity NAME`: `sip:USER@DOMAIN [flags]`. */
  readonly usage: string;
  /** More than the summary, for `--help`. */
  readonly description?: string;
  readonly flags: Spec;
  /** Words besides flags: least and most. */
  readonly words: readonly [number, number];
  /** @returns the exit status */
  run(surroundings: Surroundings, values: Values<Spec> & Common, words: readonly string[]): Promise<number>;
}

/** Declares a verb with the types of its flags. */
export function defineVerb<const Spec extends Flags>(verb: Verb<Spec>): Verb {
  // The parser fills values as the spec says, so the narrower type is what `run` really gets.
  return verb as unknown as Verb;
}

/** Flags that every verb has. */
export const COMMON: Flags = {
  json: { help: 'JSON for programs instead of text for people.' },
  help: { short: 'h', help: 'This text.' },
};
