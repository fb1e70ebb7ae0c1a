import * as v from 'valibot';
import { defaulted, flag, named, optional, required, scalar, section, text, whole } from './field.ts';
import { domain, durationOrZero, durationWithin, listen, path, sizeWithin } from './scalars.ts';
import { passwordOf } from './secret.ts';

const userName = scalar('the user part of an address-of-record, such as alice', (word) =>
  /^[A-Za-z0-9\-_.!~*'()&=+$,;?/%]{1,64}$/.test(word) ? word : undefined,
);

const userSchema = section({
  ...passwordOf('the user'),
  aors: optional(
    v.pipe(
      v.array(text),
      v.metadata({ expects: 'a list of addresses-of-record, * standing for any characters' }),
    ),
    'Further addresses-of-record that the user speaks for, such as those of the devices behind a gateway: [sip:*-plant3@example.com].',
  ),
});

const limitsSchema = section({
  bindings: optional(whole(1, 1_000_000), 'Registered contacts in all. Default: 20000.'),
  publications: optional(whole(1, 1_000_000), 'Publications in all. Default: 20000.'),
  subscriptions: optional(whole(1, 1_000_000), 'Subscriptions in all. Default: 10000.'),
  subscriptions_per_watcher: optional(whole(1, 100_000), 'Subscriptions of one watcher. Default: 1000.'),
  body_bytes: optional(sizeWithin('1kB', '1MiB'), 'The largest document that is taken. Default: 64KiB.'),
  document_bytes: optional(sizeWithin('64KiB', '1024MiB'), 'All documents together. Default: 32MiB.'),
});

/** Of registrations, publications and subscriptions alike. */
const lifetime = durationWithin('10s', '1d');

export const edgeSchema = section({
  domains: required(
    v.pipe(
      v.array(domain),
      v.minLength(1),
      v.metadata({ expects: 'a list of domain names such as [example.com]' }),
    ),
    'The domains that it serves: what stands after the @ of its users. The first is the realm of its challenges.',
  ),
  aliases: optional(
    v.pipe(v.array(text), v.metadata({ expects: 'a list of host names and addresses' })),
    'Host names and IP addresses by which clients may call it, as if they were the first domain.',
  ),
  listen: required(
    v.pipe(v.array(listen), v.minLength(1), v.metadata({ expects: 'a list of PROTOCOL:ADDRESS:PORT' })),
    'Where it listens, such as [udp:0.0.0.0:5060, tcp:0.0.0.0:5060].',
  ),
  users: required(
    v.pipe(named(userName, userSchema), v.metadata({ expects: 'a block of users' })),
    'Who may register, publish, subscribe and send, by the user part of the address-of-record.',
  ),
  data: optional(path, 'Where its state survives a restart. Default: edge in the data directory.'),
  durable: defaulted(
    flag,
    true,
    'Whether its state survives a power cut too: each write is flushed to the medium.',
  ),
  bytes_per_day: defaulted(
    sizeWithin('1MB', '100000MB'),
    '50MB',
    'How much it may write in a day, to spare flash cards.',
  ),
  notify_interval: defaulted(
    durationOrZero,
    '5s',
    'After the first, a watcher is notified at most once in this time (RFC 3856 §6.10).',
  ),
  linger: defaulted(
    durationOrZero,
    '5m',
    'How long the tuples of an expired publication stay visible, as closed.',
  ),
  min_expires: defaulted(lifetime, '1m', 'Whoever asks for a shorter lifetime gets 423.'),
  max_expires: defaulted(lifetime, '1h', 'The longest lifetime that it grants.'),
  limits: defaulted(limitsSchema, {}, 'Bounds of its tables. At a bound it answers 503, or 413 for a body.'),
});
