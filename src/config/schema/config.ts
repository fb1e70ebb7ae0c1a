import * as v from 'valibot';
import { accountSchema } from './account.ts';
import { commandSchema, usersSchema } from './commands.ts';
import { controlSchema, logSchema } from './daemon.ts';
import { deviceSchema } from './device.ts';
import { edgeSchema } from './edge.ts';
import { defaulted, named, optional, required, section } from './field.ts';
import { name, path } from './scalars.ts';
import { sourceSchema } from './source.ts';

/** The whole file. What it says about each key is what `explain` shows. */
export const configSchema = section({
  version: required(v.pipe(v.literal(1), v.metadata({ expects: '1' })), 'The version of this format.'),
  data: defaulted(path, '/var/lib/presentity', 'The directory for what must outlive a power cut.'),
  runtime: defaulted(
    path,
    '/run/presentity',
    'The directory for what need not outlive a reboot; best in memory.',
  ),
  accounts: defaulted(named(name, accountSchema), {}, 'Identities at SIP servers.'),
  sources: defaulted(
    named(name, sourceSchema),
    {},
    'Where readings come from: MQTT brokers and serial ports.',
  ),
  devices: defaulted(named(name, deviceSchema), {}, 'What has presence.'),
  commands: defaulted(v.array(commandSchema), [], 'Who may send which commands.'),
  users: defaulted(usersSchema, {}, 'Senders of commands that prove themselves by digest.'),
  edge: optional(edgeSchema, 'The built-in presence server, in the same process.'),
  log: defaulted(logSchema, {}, 'What is logged, to standard error.'),
  control: defaulted(controlSchema, {}, 'How tools reach the running process.'),
});

/** What the schema makes of a file, before the blocks are put together for the rooms below. */
export type ParsedConfig = v.InferOutput<typeof configSchema>;
