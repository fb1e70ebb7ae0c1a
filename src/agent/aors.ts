import { aorOf, parseUri } from 'tiny-sip';
import { asError } from '../base/errors.ts';
import { agentErrors } from './errors.ts';
import { type AccountOptions, DEVICES_PER_AOR } from './options.ts';

/**
 * Checks the AORs and gives each a Contact user part of its own, so that a request tells by it whose it is.
 */
export function checkAors(accounts: readonly AccountOptions[]): ReadonlyMap<string, string> {
  const users = new Map<string, string>();
  const taken = new Set<string>();
  const add = (aor: string): void => {
    let key: string;
    let user: string;
    try {
      key = aorOf(aor);
      user = parseUri(aor).user ?? 'agent';
    } catch (error) {
      throw agentErrors.BAD_AOR({ aor, cause: asError(error) }, error);
    }
    if (users.has(key)) throw agentErrors.DUPLICATE_AOR({ aor });
    let free = user;
    for (let n = 2; taken.has(free); n += 1) free = `${user}-${n}`;
    taken.add(free);
    users.set(key, free);
  };
  for (const { aor, devices } of accounts) {
    add(aor);
    const shared = devices.filter(({ own }) => own === undefined).length;
    if (shared > DEVICES_PER_AOR)
      throw agentErrors.TOO_MANY_DEVICES({ aor, count: shared, most: DEVICES_PER_AOR });
    for (const { own } of devices) if (own) add(own.aor);
  }
  return users;
}
