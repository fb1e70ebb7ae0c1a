import { resolve } from 'node:path';
import * as v from 'valibot';
import { asError } from '../base/errors.ts';
import { domain as domainSchema, parseListen } from '../config/schema/scalars.ts';
import type { EdgeOptions, Listen } from '../edge/options.ts';
import { cliErrors } from './errors.ts';
import { parseUser } from './identity.ts';
import { parseLevel } from './levels.ts';
import { serve } from './serve.ts';
import { defineVerb } from './verb.ts';

export const edge = defineVerb({
  name: 'edge',
  summary: 'Runs a SIP registrar and presence server on this machine until SIGTERM or SIGINT.',
  usage: '--listen udp:127.0.0.1:5070 --domain test.local --user alice:secret',
  description:
    'Without a configuration file, to try things out. What is to last belongs into the edge section of a configuration,\nwhere passwords lie in files.',
  flags: {
    listen: { value: 'PROTOCOL:ADDRESS:PORT', many: true, help: 'Where to listen, udp or tcp.' },
    domain: { value: 'NAME', many: true, help: 'A domain to serve; what stands after the @ of its users.' },
    user: {
      value: 'NAME:PASSWORD',
      many: true,
      help: 'A user. Everybody on this machine can see the password.',
    },
    data: { value: 'DIR', help: 'Where its state outlives a restart. Default: nowhere.' },
    'notify-interval': {
      value: 'SECONDS',
      help: 'A watcher is notified at most once in this time, after the first. Default: 5.',
    },
    'log-level': { value: 'LEVEL', help: 'debug, info, warn or error. Default: info.' },
  },
  words: [0, 0],
  async run(surroundings, values) {
    const { clock, random, files, version, io } = surroundings;
    const options = edgeOptions(values);
    const abort = surroundings.interruptible();
    const log = surroundings.log({ level: parseLevel(values['log-level']) ?? 'info', json: values.json });
    if (values.user.length > 0) {
      log.warn('passwords on the command line can be seen by everybody on this machine');
    }
    const { createEdgeOnly } = await import('../daemon/edge-only.ts');
    const service = createEdgeOnly({ clock, random, log, files, version }, options);
    return serve(surroundings, service, abort, log, () => {
      // With port 0 only the program knows where it listens; whoever started it may read that here.
      if (values.json) {
        io.out(JSON.stringify({ listen: service.addresses(), domains: options.domains, pid: process.pid }));
      }
    });
  },
});

interface EdgeValues {
  readonly listen: readonly string[];
  readonly domain: readonly string[];
  readonly user: readonly string[];
  readonly data: string | undefined;
  readonly 'notify-interval': string | undefined;
}

/** @throws CodedError with exit 64 for what cannot be used */
function edgeOptions(values: EdgeValues): EdgeOptions {
  const needs = (flag: string, all: readonly string[]) => {
    if (all.length === 0) throw cliErrors.TOO_FEW({ what: flag, usage: `presentity edge ${USAGE}` });
  };
  needs('--listen', values.listen);
  needs('--domain', values.domain);
  needs('--user', values.user);
  return {
    listen: values.listen.map(readListen),
    domains: values.domain.map((value) => {
      const parsed = v.safeParse(domainSchema, value);
      if (parsed.success) return parsed.output;
      throw cliErrors.BAD_FLAG({
        flag: '--domain',
        value,
        why: '',
        expected: 'a domain name such as test.local',
      });
    }),
    users: Object.fromEntries(values.user.map((value) => parseUser('--user', value))),
    ...(values.data !== undefined && { data: resolve(values.data) }),
    ...(values['notify-interval'] !== undefined && {
      notifyInterval: readSeconds(values['notify-interval']),
    }),
  };
}

const USAGE = '--listen udp:127.0.0.1:5070 --domain test.local --user alice:secret';

function readListen(value: string): Listen {
  let why = '';
  try {
    const listen = parseListen(value);
    if (listen) return listen;
  } catch (error) {
    why = `: ${asError(error).message}`;
  }
  throw cliErrors.BAD_FLAG({
    flag: '--listen',
    value,
    why,
    expected: 'udp:ADDRESS:PORT or tcp:ADDRESS:PORT, such as udp:127.0.0.1:5070',
  });
}

function readSeconds(value: string): number {
  const seconds = /^\d{1,5}(\.\d{1,3})?$/.test(value) ? Number(value) : Number.NaN;
  if (Number.isNaN(seconds)) {
    throw cliErrors.BAD_FLAG({
      flag: '--notify-interval',
      value,
      why: '',
      expected: 'a number of seconds such as 5 or 0.5',
    });
  }
  return Math.round(seconds * 1000);
}
