import { choice, defaulted, flag, optional, required, section, text } from './field.ts';
import { aor, durationWithin, sipUri } from './scalars.ts';
import { passwordOf } from './secret.ts';

export const accountSchema = section({
  aor: required(
    aor,
    'The address-of-record under which the gateway is known; also the Request-URI of its PUBLISH.',
  ),
  user: optional(
    text,
    'The user name for digest authentication. Default: the user of the address-of-record.',
  ),
  ...passwordOf('the account'),
  registrar: optional(
    sipUri,
    'Where REGISTER goes. Default: the domain of the address-of-record, looked up in DNS.',
  ),
  outbound_proxy: optional(sipUri, 'Every request goes here first. Default: none.'),
  presence_route: optional(sipUri, 'Where PUBLISH goes. Default: the way that every other request goes.'),
  identity: defaulted(
    choice(['server', 'digest']),
    'server',
    'Who vouches for the senders of commands: the server (P-Asserted-Identity on the flow that the agent opened), or each sender by digest.',
  ),
  publish: defaulted(
    choice(['auto', 'diff', 'segments', 'full']),
    'auto',
    'How changes are published: partial documents (RFC 5264), one publication per device, or the whole document. auto finds out what the server can do.',
  ),
  detail: defaulted(
    choice(['lean', 'full']),
    'lean',
    'What the documents hold: state and note, or also values, time stamps and device elements.',
  ),
  expires: defaulted(
    durationWithin('60s', '1h'),
    '2m',
    'Lifetime of a publication. When the gateway dies, its state disappears within this time.',
  ),
  register_expires: defaulted(
    durationWithin('60s', '1d'),
    '10m',
    'Lifetime of the registration that is asked for.',
  ),
  keep_alive: defaulted(
    durationWithin('5s', '15m'),
    '25s',
    'How often the path to the server is kept open (RFC 5626), so that NAT and firewalls do not forget it.',
  ),
  read_back: defaulted(
    flag,
    true,
    'Whether auto may subscribe to the own presence to see what the server made of it. Without it auto publishes whole documents.',
  ),
});
