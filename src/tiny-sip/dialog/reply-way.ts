import { ipFamily } from '../message/ip.ts';
import type { SipRequest } from '../message/message.ts';
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
}

/** The way of the responses to one request. Rejects when every way failed. */
export type ReplyWay = (bytes: Buffer) => Promise<void>;

/**
 * RFC 3261 §18.2.2 and RFC 3581 §4: the connection that the request came by; on UDP `maddr`, else the source address,
 * and its port where rport asks for it, else the port in Via. Where that fails, RFC 3263 §5: a connection to the source
 * and the port in Via, then what the DNS says of the `sent-by`.
 */
export function createReplyWay(deps: ReplyWayDeps, request: SipRequest, flow: Flow): ReplyWay {
  const via = readable(request) ? request.topVia : undefined;
  const { protocol } = flow;
  if (via === undefined || protocol === 'memory') return (bytes) => flow.send(bytes);
  const first = protocol === 'udp' ? datagramWay(deps, via, flow) : flow;

  const others = async (): Promise<readonly Target[]> => {
    const port = via.port ?? defaultPort(protocol);
    const { host } = flow.remote;
    // By TLS only to whom the certificate names as sent-by does (RFC 5922 §7.3).
    const back: Target = { protocol, host, port, name: via.host };
    const found = await deps.locateReply({ protocol, host: via.host, port: via.port });
    const known = [
      // What has just failed is not tried again; a connection that is gone is made anew.
      ...(protocol === 'udp' ? [] : [back]),
      ...found.slice(0, MOST_WAYS),
    ];
    return known.filter(
      (one, at) =>
        !(protocol === 'udp' && one.host === first.remote.host && one.port === first.remote.port) &&
        known.findIndex((other) => other.host === one.host && other.port === one.port) === at,
    );
  };

  return async (bytes) => {
    let failure: unknown;
    try {
      await first.send(bytes);
      return;
    } catch (error) {
      failure = error;
    }
    for (const target of await others()) {
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
  };
}

/** Whether the top Via can be read. Where it cannot, the answer goes back to where the request came from. */
function readable(request: SipRequest): boolean {
  try {
    void request.topVia;
    return true;
  } catch {
    return false;
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
