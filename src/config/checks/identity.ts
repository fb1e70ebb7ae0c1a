import { aorOf, parseUri } from 'tiny-sip';
import { nearest } from '../../base/nearest.ts';
import { configErrors } from '../errors.ts';
import { listNames } from '../problem.ts';
import type { Check } from './context.ts';

/** More would make a document that no phone and few servers take. */
const MOST_PER_AOR = 128;

/** Who is who: addresses-of-record, credentials, senders of commands. */
export const checkIdentity: Check = (context) => {
  const { config } = context;

  const owners = new Map<string, string>();
  const own = (aor: string, owner: string, path: (string | number)[]) => {
    const key = aorOf(aor);
    const before = owners.get(key);
    if (before === undefined) owners.set(key, owner);
    else {
      context.error(
        configErrors.CONFLICT({
          what: `${aor} is already the address-of-record of ${before}`,
          expected: 'each address-of-record once; two publishers of one would overwrite each other',
        }),
        path,
      );
    }
  };
  for (const [id, account] of Object.entries(config.accounts))
    own(account.aor, `accounts.${id}`, ['accounts', id, 'aor']);
  for (const [id, device] of Object.entries(config.devices)) {
    if (device.aor !== undefined) own(device.aor, `devices.${id}`, ['devices', id, 'aor']);
  }

  const crowd = new Map<string, string[]>();
  const only = Object.keys(config.accounts)[0];
  for (const [id, device] of Object.entries(config.devices)) {
    const account = device.account ?? only;
    if (device.aor === undefined && account !== undefined)
      crowd.set(account, [...(crowd.get(account) ?? []), id]);
  }
  for (const [account, devices] of crowd) {
    if (devices.length <= MOST_PER_AOR) continue;
    context.error(
      configErrors.TOO_MANY({
        what: `devices that share the address-of-record of accounts.${account}`,
        count: devices.length,
        limit: MOST_PER_AOR,
        expected: 'an aor of their own for some of them, or a second account',
      }),
      ['devices', devices[MOST_PER_AOR] ?? ''],
      { at: 'key' },
    );
  }

  for (const [id, device] of Object.entries(config.devices)) {
    if (device.user !== undefined && device.aor === undefined) {
      context.warning(
        configErrors.MISPLACED_KEY({
          key: 'user',
          why: 'the device has no aor of its own',
          expected: 'give it an aor, or remove the user',
        }),
        ['devices', id, 'user'],
        { at: 'key' },
      );
    }
  }
  if (context.names.devices.size > 0 && context.names.accounts.size === 0) {
    context.error(
      configErrors.MISSING_KEY({
        where: 'the file',
        key: 'accounts',
        expected: 'an account that publishes the devices',
      }),
      ['devices'],
      { at: 'key' },
    );
  }

  checkSenders(context);
};

const checkSenders: Check = ({ config, warning, error }) => {
  for (const [id, account] of Object.entries(config.accounts)) {
    const [key, uri] =
      account.outboundProxy === undefined
        ? (['registrar', account.registrar] as const)
        : (['outbound_proxy', account.outboundProxy] as const);
    if (config.commands.length === 0 || account.identity === 'digest' || !uri || !meansUdp(uri)) continue;
    warning(
      configErrors.RISKY({
        what: `commands to accounts.${id} will be refused: over UDP anybody could vouch for a sender in the name of the server`,
        expected: 'add ;transport=tcp here, or set identity: digest and name the users',
      }),
      ['accounts', id, key],
    );
  }
  const digest = Object.entries(config.accounts).filter(([, account]) => account.identity === 'digest');
  const users = new Map(Object.keys(config.users).map((user) => [aorOf(user), user]));
  for (const [user, { password }] of Object.entries(config.users)) {
    if (password !== undefined) continue;
    error(
      configErrors.MISSING_KEY({
        where: `users.${user}`,
        key: 'password_file',
        expected: 'the file with the password of the user',
      }),
      ['users', user],
      { at: 'key' },
    );
  }
  if (digest.length === 0) {
    if (users.size > 0 && Object.keys(config.accounts).length > 0) {
      warning(
        configErrors.MISPLACED_KEY({
          key: 'users',
          why: 'every account lets the server vouch for senders',
          expected: 'identity: digest in the account whose senders prove themselves',
        }),
        ['users'],
        { at: 'key' },
      );
    }
    return;
  }
  for (const [index, rule] of config.commands.entries()) {
    const senders = typeof rule.from === 'string' ? [rule.from] : rule.from;
    for (const [at, from] of senders.entries()) {
      if (users.has(aorOf(from)) || digest.length < Object.keys(config.accounts).length) continue;
      error(
        configErrors.UNKNOWN_NAME({
          kind: 'user',
          name: from,
          expected: `${listNames(Object.keys(config.users), 'an entry under users')}, since identity is digest`,
        }),
        typeof rule.from === 'string' ? ['commands', index, 'from'] : ['commands', index, 'from', at],
        { meant: nearest(from, Object.keys(config.users)) },
      );
    }
  }
};

/** Whether a URI leads to UDP without a look into the DNS (RFC 3263 §4.1). */
function meansUdp(text: string): boolean {
  const { host, port, params } = parseUri(text);
  const transport = params.get('transport');
  if (transport) return transport.toLowerCase() === 'udp';
  return port !== undefined || host.includes(':') || /^[\d.]+$/.test(host);
}

/** The built-in presence server and the accounts that live on it. */
export const checkEdge: Check = ({ config, error, warning }) => {
  const { edge } = config;
  if (!edge) return;
  const seen = new Set<string>();
  for (const [index, { protocol, host, port }] of edge.listen.entries()) {
    const key = `${protocol}:${host}:${port}`;
    if (port !== 0 && seen.has(key)) {
      error(configErrors.CONFLICT({ what: `${key} is listed twice`, expected: 'each address once' }), [
        'edge',
        'listen',
        index,
      ]);
    }
    seen.add(key);
  }
  if (edge.minExpires > edge.maxExpires) {
    error(
      configErrors.CONFLICT({
        what: 'min_expires is above max_expires',
        expected: 'the shorter one as min_expires',
      }),
      ['edge', 'min_expires'],
    );
  }
  for (const [user, { password }] of Object.entries(edge.users)) {
    if (password !== undefined) continue;
    error(
      configErrors.MISSING_KEY({
        where: `edge.users.${user}`,
        key: 'password_file',
        expected: 'the file with the password of the user',
      }),
      ['edge', 'users', user],
      { at: 'key' },
    );
  }
  for (const [id, account] of Object.entries(config.accounts)) {
    const uri = parseUri(account.aor);
    if (!edge.domains.includes(uri.host) || Object.hasOwn(edge.users, account.user ?? uri.user ?? ''))
      continue;
    warning(
      configErrors.UNKNOWN_NAME({
        kind: 'user of the edge',
        name: account.user ?? uri.user ?? '',
        expected: `${listNames(Object.keys(edge.users))}, since the edge serves ${uri.host}`,
      }),
      ['accounts', id, 'aor'],
    );
  }
};
