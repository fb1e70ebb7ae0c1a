import * as v from 'valibot';
import { verbs } from '../../commands/grammar.ts';
import { choice, named, optional, required, section } from './field.ts';
import { aor, name } from './scalars.ts';
import { passwordOf } from './secret.ts';

export const commandSchema = section({
  from: required(
    v.pipe(
      v.union([aor, v.pipe(v.array(aor), v.minLength(1))]),
      v.metadata({ expects: 'an address-of-record such as sip:alice@example.com, or a list of them' }),
    ),
    'Who: the addresses-of-record of the senders.',
  ),
  verbs: required(
    v.pipe(
      v.array(choice(verbs)),
      v.minLength(1),
      v.metadata({ expects: 'a list of verbs: help, status, get, set, refresh' }),
    ),
    'What they may do. Nobody may do anything that is not listed.',
  ),
  devices: optional(
    v.pipe(v.array(name), v.minLength(1), v.metadata({ expects: 'a list of device names' })),
    'With which devices. Default: all.',
  ),
});

/** Users that answer a digest challenge themselves, where an account says `identity: digest`. */
export const usersSchema = named(aor, section(passwordOf('the user')));
