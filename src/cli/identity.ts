import { parseUri } from 'tiny-sip';
import { asError } from '../base/errors.ts';
import type { Files } from '../base/file.ts';
import { cliErrors } from './errors.ts';
import type { Io } from './io.ts';

/** Reads `alice:secret`. */
export function parseUser(flag: string, value: string): [user: string, password: string] {
  const colon = value.indexOf(':');
  const [user, password] = [value.slice(0, colon), value.slice(colon + 1)];
  // The password is not repeated: error messages end up in logs.
  if (colon < 1 || password === '' || /[\s@<>"]/.test(user)) {
    throw cliErrors.BAD_FLAG({
      flag,
      value: colon < 1 ? value : `${user}:…`,
      why: '',
      expected: 'NAME:PASSWORD such as alice:secret',
    });
  }
  return [user, password];
}

/** A SIP URI of somebody, from the command line. */
export function parseAddress(
  flag: string,
  value: string,
): { uri: string; user: string | undefined; host: string } {
  let why = '';
  try {
    const { scheme, user, host, params, headers } = parseUri(value);
    if ((scheme === 'sip' || scheme === 'sips') && params.size === 0 && headers.size === 0) {
      return { uri: value, user, host };
    }
  } catch (error) {
    why = `: ${asError(error).message.replace(/^.* is malformed: /, '')}`;
  }
  throw cliErrors.BAD_FLAG({ flag, value, why, expected: 'an address such as sip:alice@example.com' });
}

/** Flags of verbs that speak as somebody. */
export const IDENTITY_FLAGS = {
  as: {
    value: 'sip:USER@DOMAIN',
    help: 'Who asks. Default: the user of --user, in the domain of the address.',
  },
  user: {
    value: 'NAME:PASSWORD',
    help: 'User name and password. Everybody on this machine can see it: better --password-file.',
  },
  'password-file': { value: 'FILE', help: 'A file with the password of --as on one line.' },
} as const;

export interface Identity {
  readonly aor: string;
  readonly username: string;
  readonly password: string | undefined;
}

interface IdentityValues {
  readonly as: string | undefined;
  readonly user: string | undefined;
  readonly 'password-file': string | undefined;
}

/**
 * Who speaks, of the flags; `undefined` when nobody was named.
 * @param domain of the address that is spoken to
 */
export async function readIdentity(
  deps: { files: Files; io: Io },
  verb: string,
  values: IdentityValues,
  domain: string,
): Promise<Identity | undefined> {
  const { as, user, 'password-file': file } = values;
  if (file !== undefined && user !== undefined) throw cliErrors.TWICE({ flag: 'a password' });
  if (file !== undefined && as === undefined)
    throw cliErrors.NEEDS({ flag: '--password-file', other: '--as', verb });
  const spoken = as === undefined ? undefined : parseAddress('--as', as);
  if (user !== undefined) {
    const [username, password] = parseUser('--user', user);
    deps.io.err('presentity: a password on the command line can be seen by everybody on this machine');
    return { aor: spoken?.uri ?? `sip:${username}@${domain}`, username, password };
  }
  if (!spoken) return undefined;
  if (spoken.user === undefined) {
    throw cliErrors.BAD_FLAG({
      flag: '--as',
      value: spoken.uri,
      why: '',
      expected: 'an address with a user, such as sip:alice@example.com',
    });
  }
  return {
    aor: spoken.uri,
    username: spoken.user,
    password: file === undefined ? undefined : await readPassword(deps.files, file),
  };
}

async function readPassword(files: Files, file: string): Promise<string> {
  let content: string;
  try {
    content = (await files.read(file)).toString('utf8').replace(/\r?\n$/, '');
  } catch (error) {
    throw cliErrors.BAD_SECRET({ file, cause: asError(error).message });
  }
  if (content === '' || /[\r\n]/.test(content)) {
    throw cliErrors.BAD_SECRET({
      file,
      cause: content === '' ? 'it is empty' : 'it holds more than one line',
    });
  }
  return content;
}
