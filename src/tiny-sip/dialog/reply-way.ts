import { ipFamily } from '../message/ip.ts';
import type { SipRequest } from '../message/message.ts';
import { parseMessage } from '../message/parse.ts';
import type { Via } from '../message/via.ts';
import type { SentBy } from '../resolve/resolve.ts';
import type { Target } from '../resolve/target.ts';
import type { Flow, Protocol } from '../transport/transport.ts';

/** What finding the way of a response needs. */
export interface ReplyWayDeps {
  /** A flow to there; undefined when there can be none. */
  connect(target: Target): Flow | undefined;
  /** RFC 3263 §5; [] when nobody can be found. Never rejects. */
  locateReply(sentBy: SentBy): Promise<readonly Target[]>;
  /** A response went by no way. */
  unsent(): void;
}

/** The way of the responses to one request; what goes by none is counted. Holds on to nothing of the request. */
export type ReplyWay = (bytes: Buffer) => void;

/**
 * RFC 3261 §18.2.2 and RFC 3581 §4: the connection that the request came by; on UDP `maddr`, else the source address,
 * and its port where rport asks for it, else the port in Via. Where that fails, RFC 3263 §5: a connection to the source
 * and the port in Via, then what the DNS says of the `sent-by`. That Via is the one in the response.
 */
export function createReplyWay(deps: ReplyWayDeps, request: SipRequest, flow: Flow): ReplyWay {
  const { protocol } = flow;
  const via = protocol === 'memory' ? undefined : readable(request);
  if (via === undefined) return (bytes) => post(flow, bytes, deps.unsent);
  const first = protocol === 'udp' ? datagramWay(deps, via, flow) : flow;
  return (bytes) =>
    post(first, bytes, () => {
      sendElsewhere(deps, bytes, first, flow).catch(deps.unsent);
    });
}

function post(flow: Flow, bytes: Buffer, failed: () => void): void {
  if (flow.post === undefined) flow.send(bytes).catch(failed);
  else flow.post(bytes, failed);
}

/** Rejects when every other way failed, too. */
async function sendElsewhere(deps: ReplyWayDeps, bytes: Buffer, first: Flow, from: Flow): Promise<void> {
  const { protocol } = from;
  const via = viaOf(bytes);
  // By TLS only to whom the certificate names as sent-by does (RFC 5922 §7.3).
  const back: Target = {
    protocol,
    host: from.remote.host,
    port: via.port ?? defaultPort(protocol),
    name: via.host,
  };
  const found = await deps.locateReply({ protocol, host: via.host, port: via.port });
  const known = [
    // What has just failed is not tried again; a connection that is gone is made anew.
    ...(protocol === 'udp' ? [] : [back]),
    ...found.slice(0, MOST_WAYS),
  ];
  const others = known.filter(
    (one, at) =>
      !(protocol === 'udp' && one.host === first.remote.host && one.port === first.remote.port) &&
      known.findIndex((other) => other.host === one.host && other.port === one.port) === at,
  );
  let failure: unknown = new Error('there is no other way');
  for (const target of others) {
    const other = deps.connect(target);
    if (other === undefined) continue;
    try {
      await other.ready();
      await other.send(bytes);
      return;
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

/** The top Via of a response that was written here, whatever its size. */
function viaOf(bytes: Buffer): Via {
  const most = bytes.length;
  const parsed = parseMessage(bytes, { headBytes: most, headers: most, body: most });
  const via = parsed.ok ? parsed.message.topVia : undefined;
  if (via === undefined) throw new Error('the response has no Via');
  return via;
}

/** The top Via. Where it cannot be read, the answer goes back to where the request came from. */
function readable(request: SipRequest): Via | undefined {
  try {
    return request.topVia;
  } catch {
    return undefined;
  }
}

/** Further places that one response is tried at. */
const MOST_WAYS = 4;

function datagramWay(deps: ReplyWayDeps, via: Via, flow: Flow): Flow {
  const { host, port } = flow.remote;
  const maddr = via.maddr?.replace(/^\[|\]$/g, '');
  if (maddr !== undefined && ipFamily(maddr) !== 0)
    return deps.connect({ protocol: 'udp', host: maddr, port: via.port ?? 5060, name: maddr }) ?? flow;
  if (via.rport !== undefined) return flow;
  const asked = via.port ?? 5060;
  if (asked === port) return flow;
  return deps.connect({ protocol: 'udp', host, port: asked, name: via.host }) ?? flow;
}

function defaultPort(protocol: Protocol): number {
  return protocol === 'tls' ? 5061 : 5060;
}
