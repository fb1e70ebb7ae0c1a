import { SipError } from '../errors.ts';
import type { SipRequest, SipResponse } from '../message/message.ts';
import { formatNameAddr } from '../message/name-addr.ts';
import { formatUri, parseUri } from '../message/uri.ts';
import { unscoped } from '../transport/address.ts';
import type { Flow } from '../transport/transport.ts';
import { type Attempt, type Candidate, failedOutcome, tryEach } from './failover.ts';
import type { Outcome, SendOptions, Stack, Way } from './user-agent.ts';

/**
 * Sends a request whose Contact depends on the flow it takes: `build` is asked for it once the flow is open.
 * Goes through the targets as RFC 3263 §4.3 says: the next one after a failure, silence or 503.
 */
export async function sendByWay(
  stack: Stack,
  way: Way,
  uri: string,
  build: (flow: Flow) => SipRequest,
  options: Omit<SendOptions, 'flow' | 'target'>,
): Promise<Outcome> {
  // Made once, since each that is built takes a CSeq number.
  let unsent: SipRequest | undefined;
  const failed = (error: unknown): Outcome => {
    unsent ??= build(nowhere);
    return failedOutcome(unsent, error);
  };
  const attempt = async (candidate: Candidate): Promise<Attempt> => {
    let heard = false;
    const onProvisional = (response: SipResponse): void => {
      heard = true;
      options.onProvisional?.(response);
    };
    let flow: Flow;
    try {
      flow = candidate.open();
      // Contact and Via show our own address, which a wildcard socket learns only here.
      await flow.ready();
    } catch (error) {
      return { outcome: failed(error), heard };
    }
    return { outcome: await stack.send(build(flow), { ...options, flow, onProvisional }), heard };
  };
  const tried = await tryEach(await candidates(stack, way, uri), attempt, stack.report, options.signal);
  return tried?.outcome ?? failed(new SipError('NOT_LOCATED', { uri, why: 'no target' }));
}

async function candidates(stack: Stack, way: Way, uri: string): Promise<readonly Candidate[]> {
  const { flow, target } = way;
  if (flow !== undefined && flow.state !== 'closed') return [{ open: () => flow }];
  if (target !== undefined) return [{ open: () => stack.flow(target) }];
  if (flow !== undefined) return [];
  const first = way.route?.[0];
  const targets = await stack.locate(first === undefined ? uri : uriOf(first));
  return targets.map((one) => ({ target: one, open: () => stack.flow(one) }));
}

/** The URI in a Route value, which comes in angle brackets. */
function uriOf(route: string): string {
  return /<([^>]*)>/.exec(route)?.[1] ?? route;
}

/** Stands for the flow of a request that never had one. */
const nowhere: Flow = {
  id: 0,
  protocol: 'udp',
  reliable: false,
  local: { host: '0.0.0.0', port: 0 },
  remote: { host: '0.0.0.0', port: 0 },
  opened: true,
  state: 'closed',
  ready: () => Promise.reject(new SipError('FLOW_CLOSED', { protocol: 'udp', remote: 'nowhere' })),
  send: () => Promise.reject(new SipError('FLOW_CLOSED', { protocol: 'udp', remote: 'nowhere' })),
  keepAlive: () => () => undefined,
  onClose: () => () => undefined,
  close: () => undefined,
};

/**
 * Our Contact URI on a flow: where the peer reaches us, as far as this side knows.
 *
 * @param scheme `sips` where the Request-URI or the topmost Route is one (RFC 3261 §8.1.1.8); it means TLS by itself
 */
export function contactUri(flow: Flow, user: string | undefined, scheme: 'sip' | 'sips' = 'sip'): string {
  const told = scheme === 'sip' && flow.protocol !== 'udp';
  return formatUri({
    scheme,
    user,
    host: unscoped(flow.local.host),
    port: flow.local.port,
    params: told ? new Map([['transport', flow.protocol]]) : undefined,
  });
}

/** A Contact value with header parameters, each of which begins with a semicolon. */
export function contactValue(uri: string, params = ''): string {
  return `${formatNameAddr({ uri })}${params}`;
}

/** The user part of a URI; undefined when it has none or cannot be read. */
export function userOf(uri: string): string | undefined {
  try {
    return parseUri(uri).user;
  } catch {
    return undefined;
  }
}
