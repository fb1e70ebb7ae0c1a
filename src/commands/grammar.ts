import { nearest } from '../base/nearest.ts';

/** What may be asked. */
export const verbs = ['help', 'status', 'get', 'set', 'refresh'] as const;

export type Verb = (typeof verbs)[number];

/** Verbs that change something; the others may be repeated without harm. */
export const acting: ReadonlySet<Verb> = new Set<Verb>(['set', 'refresh']);

export interface Command {
  readonly verb: Verb;
  /** What follows the verb, quotes taken off. */
  readonly words: readonly string[];
}

export type Parsed =
  | { readonly ok: true; readonly command: Command }
  /** The first word is no verb: talk, or another machine's answer. */
  | { readonly ok: false; readonly kind: 'talk'; readonly word: string; readonly meant?: Verb }
  /** It was meant as a command. */
  | { readonly ok: false; readonly kind: 'malformed'; readonly verb: Verb; readonly why: string };

/** Longer texts are no commands. In UTF-16 units. */
const LONGEST = 1_000;
const MOST_WORDS = 40;

/** Quotation marks and what closes them; phones turn typed ones into the curly kind by themselves. */
const QUOTES: Readonly<Record<string, string>> = {
  '"': '"',
  "'": "'",
  '\u201c': '\u201d',
  '\u201e': '\u201c\u201d',
  '\u201d': '\u201d',
  '\u00ab': '\u00bb',
};

/** How each verb is written. */
const FORMS: Readonly<Record<Verb, { form: string; least: number; most: number }>> = {
  help: { form: 'help', least: 0, most: 1 },
  status: { form: 'status', least: 0, most: 0 },
  get: { form: 'get DEVICE [SIGNAL]', least: 1, most: MOST_WORDS },
  set: { form: 'set [DEVICE] SIGNAL VALUE', least: 2, most: MOST_WORDS },
  refresh: { form: 'refresh', least: 0, most: 0 },
};

/** How a verb is written, for people. */
export function formOf(verb: Verb): string {
  return FORMS[verb].form;
}

/**
 * Reads one line of text as a command: a verb in any case, then words; a word with spaces goes in quotation marks.
 * Which device, signal and value the words mean is not decided here (`resolve.ts`).
 */
export function parseCommand(text: string): Parsed {
  const line = text.normalize('NFC').trim();
  const first = /^\S*/.exec(line)?.[0] ?? '';
  const verb = verbs.find((known) => known === first.toLowerCase());
  if (verb === undefined) {
    const word = first.length > 40 ? `${first.slice(0, 40)}…` : first;
    // Only a lone word or two is a mistyped verb; a sentence is talk.
    const meant = line.length <= 100 ? nearest(first, verbs) : undefined;
    return { ok: false, kind: 'talk', word, ...(meant !== undefined && { meant: meant as Verb }) };
  }
  const malformed = (why: string): Parsed => ({ ok: false, kind: 'malformed', verb, why });
  if (line.length > LONGEST) return malformed('the text is too long');
  // A second line may be a second command or a quoted mail: guessing which would be unsafe.
  if (/[\r\n]/.test(line)) return malformed('one line is one command, this text has several');
  if (/[\u0000-\u0008\u000b-\u001f\u007f]/.test(line)) return malformed('control characters');
  const words = split(line.slice(first.length));
  if (words === undefined) return malformed('a quotation mark is never closed');
  const { form, least, most } = FORMS[verb];
  if (words.length < least || words.length > most) return malformed(`it is written: ${form}`);
  return { ok: true, command: { verb, words } };
}

/** Words of a text; undefined when a quotation mark is never closed. */
function split(text: string): string[] | undefined {
  const words: string[] = [];
  let at = 0;
  while (at < text.length) {
    const char = text[at] ?? '';
    if (/\s/.test(char)) {
      at += 1;
      continue;
    }
    const closing = QUOTES[char];
    if (closing === undefined) {
      const word = /^\S+/.exec(text.slice(at))?.[0] ?? '';
      words.push(word);
      at += word.length;
      continue;
    }
    let word = '';
    at += 1;
    for (; at < text.length && !closing.includes(text[at] ?? ''); at += 1) {
      if (text[at] === '\\' && at + 1 < text.length) at += 1;
      word += text[at];
    }
    if (at >= text.length) return undefined;
    at += 1;
    words.push(word);
  }
  return words;
}
