import { isIP } from 'node:net';
import { parseUri, type SipUri } from 'tiny-sip';
import * as v from 'valibot';
import { asError, isCoded } from '../../base/errors.ts';
import { parsePath } from '../../sources/mqtt/path.ts';
import { checkFilter, checkTopic } from '../../sources/mqtt/topics.ts';
import { parseDuration, parseSize } from '../units.ts';
import { scalar } from './field.ts';

/** A name that the user chooses for an account, a source or a device. Becomes part of XML ids and of commands. */
export const name = scalar('a name: a letter, then letters, digits, "-" or "_", 64 at most', (text) =>
  /^[A-Za-z][A-Za-z0-9_-]{0,63}$/.test(text) ? text : undefined,
);

/** Milliseconds; zero only where the schema says so by `durationOrZero`. */
export const duration = scalar('a duration with its unit, such as 500ms, 30s, 5m, 1h or 1h30m', (text) => {
  const milliseconds = parseDuration(text);
  return milliseconds === 0 ? undefined : milliseconds;
});

/** Milliseconds, `0s` allowed. */
export const durationOrZero = scalar('a duration with its unit, such as 0s, 500ms, 30s or 5m', parseDuration);

/** Milliseconds within limits. */
export function durationWithin(least: string, most: string) {
  const [from = 0, to = 0] = [parseDuration(least), parseDuration(most)];
  return scalar(`a duration from ${least} to ${most}`, (text) => {
    const milliseconds = parseDuration(text);
    return milliseconds !== undefined && milliseconds >= from && milliseconds <= to
      ? milliseconds
      : undefined;
  });
}

/** Bytes within limits. */
export function sizeWithin(least: string, most: string) {
  const [from = 0, to = 0] = [parseSize(least), parseSize(most)];
  return scalar(`a size from ${least} to ${most}, such as 64kB or 1MiB`, (text) => {
    const bytes = parseSize(text);
    return bytes !== undefined && bytes >= from && bytes <= to ? bytes : undefined;
  });
}

function parsed(text: string): SipUri {
  try {
    return parseUri(text);
  } catch (error) {
    // "uri is malformed: no host" says twice what the caret shows.
    throw new Error(asError(error).message.replace(/^.* is malformed: /, ''));
  }
}

function sip(text: string): SipUri {
  const uri = parsed(text);
  if (uri.scheme !== 'sip' && uri.scheme !== 'sips') throw new Error(`its scheme is "${uri.scheme}"`);
  if (uri.password !== undefined) throw new Error('a password does not belong into a URI');
  if (uri.headers.size > 0) throw new Error('it has headers (from "?" on)');
  return uri;
}

/** Who is reached under it: user and domain, nothing else (RFC 3261 §10). */
export const aor = scalar('an address-of-record such as sip:gateway7@example.com', (text) => {
  const uri = sip(text);
  if (!uri.user) throw new Error('it has no user before the @');
  if (uri.params.size > 0) throw new Error(`it has a parameter (";${[...uri.params.keys()][0]}")`);
  return text;
});

/** Where requests go: a SIP URI, whose `transport` parameter chooses UDP or TCP. */
export const sipUri = scalar(
  'a SIP URI such as sip:example.com or "sip:10.0.0.5:5060;transport=tcp"',
  (text) => {
    const uri = sip(text);
    const transport = uri.params.get('transport')?.toLowerCase();
    if (transport !== undefined && transport !== 'udp' && transport !== 'tcp') {
      throw new Error(`its transport is "${transport}", and only udp and tcp are spoken`);
    }
    return text;
  },
);

/** A path; what is relative is relative to the file that says it. */
export const path = scalar('a path', (text) =>
  text.trim() !== '' && !text.includes('\0') ? text : undefined,
);

export const mqttUrl = scalar('a URL such as mqtt://127.0.0.1:1883 or mqtts://broker.example.com', (text) => {
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  if (url.protocol !== 'mqtt:' && url.protocol !== 'mqtts:')
    throw new Error(`its scheme is "${url.protocol.slice(0, -1)}"`);
  if (url.hostname === '') throw new Error('it names no host');
  if (url.username !== '' || url.password !== '')
    throw new Error('credentials belong into username and password_file');
  if (url.pathname.length > 1 || url.search !== '' || url.hash !== '')
    throw new Error('something follows the port');
  return text;
});

/** What a room below says of a text that it refuses, without what the caret shows anyway. */
function orProblem<Result>(read: () => Result): Result {
  try {
    return read();
  } catch (error) {
    const problem = isCoded(error) ? error.fields.problem : undefined;
    throw typeof problem === 'string' ? new Error(problem) : error;
  }
}

export const topicFilter = scalar(
  'a topic such as cold/freezer2, or with wildcards cold/+/temp or cold/#',
  (text) => {
    if (text.startsWith('$share/')) throw new Error('shared subscriptions scatter the messages of one topic');
    orProblem(() => checkFilter(text));
    return text;
  },
);

/** A topic to publish to. */
export const topicName = scalar('a topic without wildcards, such as lamp/set', (text) => {
  if (text.startsWith('$')) throw new Error('topics that begin with $ belong to the broker');
  orProblem(() => checkTopic(text));
  return text;
});

/** Where something is in a JSON payload. */
export const jsonPath = scalar('a path such as temp, a.b[2].c or ["odd name"].x', (text) => {
  orProblem(() => parsePath(text));
  return text;
});

export const pattern = scalar(
  "a regular expression in single quotes, such as '^DOOR=(open|shut)$'",
  (text) => {
    if (text === '' || text.length > 1000) return undefined;
    try {
      new RegExp(text);
    } catch (error) {
      throw new Error(asError(error).message.replace(/^.*: /, ''));
    }
    return text;
  },
);

/** A host name, or an IPv4 or IPv6 address without brackets. */
export const domain = scalar('a domain name such as example.com', (text) =>
  /^(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$/.test(
    text,
  )
    ? text.toLowerCase()
    : undefined,
);

/** Where to listen. */
export interface Listen {
  readonly protocol: 'udp' | 'tcp';
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
}

/**
 * Reads `udp:127.0.0.1:5070` or `tcp:[::1]:5070`.
 * @returns `undefined` when the text is something else
 * @throws Error when a name stands where the address of an interface belongs
 */
export function parseListen(text: string): Listen | undefined {
  const found = /^(udp|tcp):(?:\[([0-9A-Fa-f:.]+)\]|([^\s:[\]]+)):(\d{1,5})$/.exec(text);
  if (!found) return undefined;
  const port = Number(found[4]);
  if (port > 65_535) return undefined;
  const host = found[2] ?? found[3] ?? '';
  if (isIP(host) === 0) throw new Error(`${host} is no address of this machine`);
  return { protocol: found[1] === 'tcp' ? 'tcp' : 'udp', host, port };
}

export const listen = scalar(
  'PROTOCOL:ADDRESS:PORT such as udp:127.0.0.1:5070 or tcp:[::1]:5070',
  parseListen,
);

/** A plain value of a signal. */
export const plainValue = v.pipe(
  v.union([v.string(), v.number(), v.boolean()]),
  v.metadata({ expects: 'a text, a number, true or false' }),
);
