import type { Timer } from '../deps.ts';
import type { EventDeps } from '../dialog/user-agent.ts';
import { SipError } from '../errors.ts';
import { createRequest } from '../message/create.ts';
import { detach } from '../message/text.ts';
import type { Via } from '../message/via.ts';
import { sameHost, showAddress } from '../transport/address.ts';
import type { Address, Flow } from '../transport/transport.ts';

/** Asks over a flow at once whether anybody is at its other end, as long as it is told to. */
export interface Probe {
  /** From now on over this flow; `observed`: where its server sees us, as far as it told. Going on is as good as beginning. */
  start(flow: Flow, observed: Address | undefined): void;
  stop(): void;
}

export interface ProbeOptions {
  readonly aor: string;
  /** Whom to ask: `sip:domain`. */
  readonly server: string;
  /** ms between two questions; 80 to 100 % of it are used, at random. */
  readonly interval: number;
  /** ms in which something must be answered. */
  readonly patience: number;
}

/**
 * Finds out by OPTIONS whether a datagram's path is whole, for servers that say nothing of STUN (S30). Any answer is
 * good, for it came back; where it shows that a NAT gave us another address, what the server knows of us is worth
 * nothing. Of a server that has never answered, silence proves nothing: it is left alone.
 */
export function createProbe(deps: EventDeps, options: ProbeOptions): Probe {
  const { stack, random } = deps;
  let flow: Flow | undefined;
  let seen: Address | undefined;
  let answered = false;
  let timer: Timer | undefined;
  let inFlight: AbortController | undefined;

  const plan = (): void => {
    timer = stack.after(options.interval * (1 - 0.2 * random.float()), () => void ask());
  };

  const ask = async (): Promise<void> => {
    const asked = flow;
    if (asked === undefined) return;
    const abort = new AbortController();
    inFlight = abort;
    timer = stack.after(options.patience, () => abort.abort('no answer'));
    const outcome = await stack.send(
      createRequest({
        method: 'OPTIONS',
        uri: options.server,
        // RFC 3261 §11: the first hop answers such a request itself, and sends it to nobody.
        headers: { 'Max-Forwards': 0, From: `<${options.aor}>`, To: `<${options.server}>` },
      }),
      { flow: asked, signal: abort.signal },
    );
    if (inFlight !== abort) return;
    inFlight = undefined;
    timer?.cancel();
    if (outcome.kind === 'response') {
      answered = true;
      const now = observedIn(outcome.response.topVia, asked);
      if (seen !== undefined && now !== undefined && !same(seen, now)) {
        close(
          asked,
          new SipError('FLOW_MOVED', { ...named(asked), was: showAddress(seen), now: showAddress(now) }),
        );
        return;
      }
      seen ??= now;
    } else if (answered && asked.state !== 'closed') {
      close(asked, new SipError('FLOW_SILENT', { ...named(asked), seconds: options.patience / 1_000 }));
      return;
    }
    plan();
  };

  const close = (asked: Flow, cause: SipError): void => {
    stop();
    asked.close(cause);
  };

  const stop = (): void => {
    timer?.cancel();
    inFlight?.abort('stopped');
    flow = seen = timer = inFlight = undefined;
  };

  return {
    start(given, observed) {
      if (given === flow) {
        // What the registrar saw just now is what it sends to.
        seen = observed ?? seen;
        return;
      }
      stop();
      flow = given;
      seen = observed;
      plan();
    },
    stop,
  };
}

/** Where the other side sees us: received and rport of our Via (RFC 3581). */
export function observedIn(via: Via | undefined, flow: Flow): Address | undefined {
  const host = via?.received ?? (via?.rport ? via.host : undefined);
  return host === undefined ? undefined : { host: detach(host), port: via?.rport || flow.local.port };
}

function same(one: Address, other: Address): boolean {
  return one.port === other.port && sameHost(one.host, other.host);
}

function named({ protocol, remote }: Flow): { protocol: string; remote: string } {
  return { protocol, remote: showAddress(remote) };
}
