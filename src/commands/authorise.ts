import { aorOf } from 'tiny-sip';
import type { Verb } from './grammar.ts';

/** One line of the allow-list. */
export interface CommandRule {
  /** Senders, as SIP URIs; compared as addresses of record (no parameters, no password). */
  readonly from: string | readonly string[];
  readonly verbs: readonly Verb[];
  /** Ids of devices; without it all of them. */
  readonly devices?: readonly string[] | undefined;
}

/** What a sender may do with one verb: nothing, something, or everything. */
export type Grant = 'none' | 'all' | ReadonlySet<string>;

export interface Authoriser {
  /** Whether any rule names this sender. */
  knows(sender: string): boolean;
  /** On which devices the sender may use the verb. */
  grant(sender: string, verb: Verb): Grant;
  /** The sender's key: equal for all ways of writing one address of record; undefined when it is no URI. */
  key(sender: string): string | undefined;
}

/**
 * The allow-list. Nobody may do anything until a rule says so; who may do anything at all may ask for help.
 *
 * @throws SipSyntaxError when a rule's `from` is no URI: a rule that can never match is a mistake to be told
 */
export function createAuthoriser(rules: readonly CommandRule[]): Authoriser {
  const bySender = new Map<string, CommandRule[]>();
  for (const rule of rules) {
    for (const from of typeof rule.from === 'string' ? [rule.from] : rule.from) {
      const key = aorOf(from);
      bySender.set(key, [...(bySender.get(key) ?? []), rule]);
    }
  }

  const key = (sender: string): string | undefined => {
    try {
      return aorOf(sender);
    } catch {
      // Whatever this is, no rule can have named it.
      return undefined;
    }
  };
  const rulesOf = (sender: string): readonly CommandRule[] => bySender.get(key(sender) ?? '') ?? [];

  return {
    key,
    knows: (sender) => rulesOf(sender).length > 0,
    grant(sender, verb) {
      const all = rulesOf(sender);
      if (verb === 'help') return all.length > 0 ? 'all' : 'none';
      const rulesForVerb = all.filter((rule) => rule.verbs.includes(verb));
      if (rulesForVerb.length === 0) return 'none';
      if (rulesForVerb.some((rule) => rule.devices === undefined)) return 'all';
      return new Set(rulesForVerb.flatMap((rule) => rule.devices ?? []));
    },
  };
}
