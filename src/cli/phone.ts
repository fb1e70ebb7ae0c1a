import {
  createDigestClient,
  createLocator,
  createStack,
  createSystemDns,
  createTcpTransport,
  createUdpTransport,
  type DigestClient,
  type EventDeps,
  type Failure,
  formatUri,
  type Locator,
  type Outcome,
  type Stack,
  type Target,
} from 'tiny-sip';
import { asError, type CodedError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { cliErrors } from './errors.ts';
import type { Identity } from './identity.ts';
import type { Surroundings } from './io.ts';

/** A user agent for one errand: speaks to one server as one user, and listens for what comes back. */
export interface Phone {
  readonly stack: Stack;
  /** For the state machines of tiny-sip. */
  readonly deps: EventDeps;
  /** The server. */
  readonly target: Target;
  readonly credentials: DigestClient | undefined;
  close(): Promise<void>;
}

/** Flags of verbs that reach a server. */
export const SERVER_FLAGS = {
  server: {
    value: 'tcp:HOST:PORT',
    help: 'The server, udp or tcp. Default: looked up in DNS by the domain of the address.',
  },
} as const;

/**
 * Finds the server and makes the user agent.
 * @param server value of `--server`
 * @param uri whose domain is looked up without it
 * @throws CodedError with exit 64 or 69
 */
export async function openPhone(
  { clock, random, version }: Surroundings,
  log: Log,
  server: string | undefined,
  uri: string,
  identity: Identity | undefined,
): Promise<Phone> {
  const locator = createLocator({ clock, random, log, dns: createSystemDns });
  const target = await findServer(locator, server === undefined ? uri : serverUri(server));
  // A socket of the server's family: an IPv4 socket cannot reach an IPv6 server.
  const anywhere = target.host.includes(':') ? '::' : '0.0.0.0';
  const stack = createStack(
    { clock, random, log, locator },
    {
      transports: [
        createUdpTransport({ clock, log }, { host: anywhere, port: 0 }),
        createTcpTransport({ clock, random, log }, { listen: false }),
      ],
      userAgent: `presentity/${version}`,
    },
  );
  await stack.start();
  return {
    stack,
    deps: { stack, clock, random, log },
    target,
    credentials:
      identity?.password === undefined
        ? undefined
        : createDigestClient({ random }, { username: identity.username, password: identity.password }),
    close: () => stack.stop(),
  };
}

/** `tcp:127.0.0.1:5070` as the URI that RFC 3263 resolves. */
function serverUri(value: string): string {
  const found = /^(udp|tcp):(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.-]+))(?::(\d{1,5}))?$/.exec(value);
  if (!found || Number(found[4] ?? 1) < 1 || Number(found[4] ?? 1) > 65_535) {
    throw cliErrors.BAD_FLAG({
      flag: '--server',
      value,
      why: '',
      expected: 'udp:HOST:PORT or tcp:HOST:PORT, such as tcp:127.0.0.1:5070',
    });
  }
  const [, protocol = 'udp', ipv6, name, port] = found;
  return formatUri({
    scheme: 'sip',
    host: ipv6 ?? name ?? '',
    ...(port !== undefined && { port: Number(port) }),
    params: new Map([['transport', protocol]]),
  });
}

async function findServer(locator: Locator, uri: string): Promise<Target> {
  let cause = 'there is no address for it';
  try {
    const [first] = await locator.locate(uri, { protocols: ['udp', 'tcp'] });
    if (first) return first;
  } catch (error) {
    cause = asError(error).message;
  }
  throw cliErrors.UNREACHABLE({ uri, cause });
}

/** Statuses that mean "not you" rather than "not now". */
const REFUSALS: ReadonlySet<number> = new Set([401, 403, 407, 603]);

/** A failure as an error with its exit status: 77 when refused, else 69. */
export function failureError(uri: string, failure: Failure): CodedError {
  const { status, reason } = failure;
  const cause = status === undefined ? reason : `${status} ${reason}`;
  return status !== undefined && REFUSALS.has(status)
    ? cliErrors.REFUSED({ uri, cause })
    : cliErrors.UNREACHABLE({ uri, cause });
}

/** Why an outcome is no success, as an error. */
export function outcomeError(uri: string, outcome: Outcome): CodedError {
  if (outcome.kind === 'response') {
    const { status, reason } = outcome.response;
    return failureError(uri, { kind: 'response', status, reason });
  }
  const reason = outcome.kind === 'timeout' ? 'no answer' : outcome.error.message;
  return failureError(uri, { kind: outcome.kind, reason });
}
