import * as v from 'valibot';
import { optional, text } from './field.ts';
import { path } from './scalars.ts';

/** A text that nobody is shown. */
export const secret = v.pipe(text, v.metadata({ expects: 'a text', secret: true }));

/** The path of a file that holds one line, the secret. `includes.ts` reads it in place of the key without `_file`. */
export const secretFile = v.pipe(path, v.metadata({ expects: 'the path of a file', include: 'secret' }));

/** The path of a PEM file. `includes.ts` reads it in place of the key without `_file`. */
export const pemFile = v.pipe(path, v.metadata({ expects: 'the path of a PEM file', include: 'pem' }));

/** A PEM text. */
export const pem = v.pipe(
  v.string(),
  v.check((value) => value.includes('-----BEGIN ')),
  v.metadata({ expects: 'a PEM text with its BEGIN line', secret: true }),
);

/** `password` and `password_file`, of which one is enough. */
export function passwordOf(whom: string) {
  return {
    password: optional(secret, `The password of ${whom}, in clear. Better: password_file.`),
    password_file: optional(
      secretFile,
      `A file with the password of ${whom} on one line; only the user that runs presentity should be able to read it.`,
    ),
  };
}
