import type { DigestRound } from '../auth/client.ts';
import type { Clock, Log, Timer } from '../deps.ts';
import { SipError } from '../errors.ts';
import { createResponse } from '../message/create.ts';
import type { SipRequest, SipResponse } from '../message/message.ts';
import { formatNameAddr, parseNameAddr } from '../message/name-addr.ts';
import { serialise } from '../message/serialise.ts';
import { formatVia } from '../message/via.ts';
import type { Verdict } from '../resolve/health.ts';
import type { Target } from '../resolve/target.ts';
import type { ClientHandle, ClientTransactions } from '../transaction/client-table.ts';
import { magicCookie } from '../transaction/key.ts';
import { unscoped } from '../transport/address.ts';
import type { Flow, Protocol } from '../transport/transport.ts';
import { type Cancel, createCancel } from './cancel.ts';
import { type Attempt, type Candidate, failedOutcome, tryEach } from './failover.ts';
import type { Outcome, SendOptions } from './user-agent.ts';

/** What the sending half of a stack is given. */
export interface UacDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly transactions: ClientTransactions;
  readonly compact: boolean;
  readonly userAgent: string | undefined;
  /** Bytes from which on a request avoids datagrams. */
  readonly datagram: number;
  token(): string;
  /** The flow to a target. Throws a SipError when no transport speaks its protocol. */
  flow(target: Target): Flow;
  has(protocol: Protocol): boolean;
  /** The port at which other connections like that flow can reach us; 0: none. */
  listening(flow: Flow): number;
  locate(uri: string): Promise<readonly Target[]>;
  /** Tells the locator what became of a request to one of its targets. */
  report(target: Target, verdict: Verdict): void;
  trace(direction: 'out', flow: Flow, message: SipRequest, bytes: Buffer): void;
  /** Coarse from a second on. */
  after(ms: number, run: () => void): Timer;
  /** 64 × T1, ms. */
  readonly lifetime: number;
  /** The bytes of a request that leaves as it is; traced. */
  pack(request: SipRequest, flow: Flow): Buffer;
}

/** The sending half of a stack: RFC 3261 §8.1, with digest retry, failover and the size rule of §18.1.1. */
export interface Uac {
  send(request: SipRequest, options: SendOptions): Promise<Outcome>;
  /** See `Stack.acknowledge`. */
  acknowledge(ack: SipRequest, options: Pick<SendOptions, 'flow' | 'target'>): Promise<() => Promise<void>>;
  readonly totals: UacTotals;
}

export interface UacTotals {
  requests: number;
  challenged: number;
  oversize: number;
}

/** How often one request may go out for the sake of digest: two answers each to a proxy and to the server. */
const rounds = 5;

/** How long to remember that a host takes no TCP, ms, and of how many hosts. */
const refusalLife = 600_000;
const refusalsKept = 256;

/** How long a TCP connection may take when only the size of a request asks for it, ms. */
const tcpPatience = 3_000;

export function createUac(deps: UacDeps): Uac {
  const totals: UacTotals = { requests: 0, challenged: 0, oversize: 0 };
  /** Hosts that refused TCP, and until when that is believed. */
  const refusals = new Map<string, number>();

  /** RFC 3261 §8.1.1: what a request must have and its maker left out. */
  const complete = (request: SipRequest): void => {
    if (!request.has('Max-Forwards')) request.set('Max-Forwards', 70);
    if (!request.has('To')) request.set('To', formatNameAddr({ uri: request.uri }));
    const from = request.get('From');
    if (from === undefined)
      request.set(
        'From',
        formatNameAddr({ uri: 'sip:anonymous@anonymous.invalid', params: { tag: deps.token() } }),
      );
    else if (parseNameAddr(from, 'From').tag === undefined)
      request.set('From', `${from};tag=${deps.token()}`);
    if (!request.has('Call-ID')) request.set('Call-ID', deps.token());
    if (!request.has('CSeq')) request.set('CSeq', `1 ${request.method}`);
    if (deps.userAgent !== undefined && !request.has('User-Agent')) request.set('User-Agent', deps.userAgent);
  };

  const via = (flow: Flow, branch: string): string => {
    const { host, port } = flow.local;
    const listening = flow.reliable ? deps.listening(flow) : 0;
    // RFC 3581 is about datagrams; on a stream the answer comes back by the connection. RFC 5923 §8.1: who listens for
    // TLS offers the connections that it opened for the other way.
    const more = flow.reliable
      ? flow.protocol === 'tls' && listening > 0
        ? { alias: '' }
        : {}
      : { rport: '' };
    return formatVia({
      transport: flow.protocol.toUpperCase(),
      host: unscoped(host),
      // Answers on a connection of their own go to this port (RFC 3261 §18.2.2), so it is the listening one.
      port: listening || port,
      params: { branch, ...more },
    });
  };

  /** One request over one flow: one transaction. `signal` is looked at before, and listened to meanwhile. */
  const transact = async (request: SipRequest, flow: Flow, options: SendOptions): Promise<Outcome> => {
    const branch = options.forward?.branch ?? `${magicCookie}${deps.token()}`;
    let bytes: Buffer;
    try {
      await unlessAborted(flow.ready(), options.signal);
      request.prepend('Via', via(flow, branch));
      bytes = serialise(request, { compact: deps.compact });
      if (options.signal?.aborted) throw abandoned(options.signal);
    } catch (error) {
      return failedOutcome(request, error, flow);
    }
    return new Promise<Outcome>((resolve) => {
      let handle: ClientHandle | undefined;
      const giveUp = (): void => handle?.abandon(abandoned(options.signal));
      const cancel: Cancel | undefined =
        request.method === 'INVITE' ? createCancel(deps, { branch, request, flow, giveUp }) : undefined;
      const stop = (): void => (cancel === undefined ? giveUp() : cancel.want());
      const done = (outcome: Outcome): void => {
        options.signal?.removeEventListener('abort', stop);
        cancel?.over();
        resolve(outcome);
      };
      totals.requests += 1;
      deps.trace('out', flow, request, bytes);
      options.onSend?.(request, flow);
      handle = deps.transactions.begin(branch, request, bytes, flow, {
        provisional(response) {
          cancel?.provisional();
          options.onProvisional?.(response);
        },
        final(response) {
          done({ kind: 'response', response, request, flow });
          if (cancel !== undefined && response.status < 300) options.onAccepted?.(response, request, flow);
        },
        another: (response) => options.onAccepted?.(response, request, flow),
        timeout: () => done({ kind: 'timeout', request, flow }),
        failed: (error) =>
          done(
            cancel?.expired
              ? { kind: 'response', response: createResponse(request, 487), request, flow }
              : failedOutcome(request, error, flow),
          ),
      });
      if (handle === undefined)
        done(
          failedOutcome(
            request,
            new SipError('TABLE_FULL', { count: deps.transactions.size, what: 'client transactions' }),
            flow,
          ),
        );
      else options.signal?.addEventListener('abort', stop, { once: true });
    });
  };

  /** RFC 3261 §18.1.1: what is too long for a datagram goes by TCP, and back to UDP when that is refused. */
  const roomy = async (
    request: SipRequest,
    flow: Flow,
    options: SendOptions,
    target: Target | undefined,
  ): Promise<Outcome> => {
    if (flow.protocol !== 'udp' || !deps.has('tcp') || !oversize(request, flow, options))
      return transact(request, flow, options);
    totals.oversize += 1;
    const { host, port } = flow.remote;
    const key = `${host} ${port}`;
    if ((refusals.get(key) ?? Number.NEGATIVE_INFINITY) > deps.clock.now())
      return transact(request, flow, options);
    const stream = await tcp({ protocol: 'tcp', host, port, name: target?.name ?? host }, request.method);
    if (stream !== undefined) {
      // A copy, since this try leaves its Via behind.
      const outcome = await transact(request.copy(), stream, options);
      if (!(outcome.kind === 'failed' && wasRefused(outcome.error))) return outcome;
    }
    deps.log.warn('too long for a datagram, and tcp is refused: sent by udp all the same', {
      to: `${host}:${port}`,
      method: request.method,
    });
    refusals.set(key, deps.clock.now() + refusalLife);
    for (const oldest of refusals.keys()) {
      if (refusals.size <= refusalsKept) break;
      refusals.delete(oldest);
    }
    return transact(request, flow, options);
  };

  /** An open connection to that address, if it can be had soon. */
  const tcp = async (target: Target, method: string): Promise<Flow | undefined> => {
    try {
      const stream = deps.flow(target);
      await within(deps.clock, tcpPatience, stream.ready());
      return stream;
    } catch (error) {
      deps.log.debug('no tcp for a long request', { method, cause: String(error) });
      return undefined;
    }
  };

  /** One try to send an ACK. By TCP when it is too long for a datagram and TCP can be had. */
  const writeAck = async (ack: SipRequest, candidate: Candidate): Promise<() => Promise<void>> => {
    let flow = candidate.open();
    if (flow.protocol === 'udp' && deps.has('tcp') && oversize(ack, flow, {})) {
      const { host, port } = flow.remote;
      const name = candidate.target?.name ?? host;
      flow = (await tcp({ protocol: 'tcp', host, port, name }, ack.method)) ?? flow;
    }
    await flow.ready();
    ack.prepend('Via', via(flow, `${magicCookie}${deps.token()}`));
    const bytes = deps.pack(ack, flow);
    await flow.send(bytes);
    return () => flow.send(bytes);
  };

  const oversize = (request: SipRequest, flow: Flow, options: SendOptions): boolean => {
    // The Via is not there yet; a body alone may already decide.
    if (request.body.length > deps.datagram) return true;
    const draft = request.copy();
    try {
      draft.prepend('Via', via(flow, options.forward?.branch ?? `${magicCookie}${deps.token()}`));
      return serialise(draft, { compact: deps.compact }).length > deps.datagram;
    } catch {
      return false;
    }
  };

  /** One try of `anywhere`: a new transaction with a Via of its own. */
  const attempt = async (
    request: SipRequest,
    candidate: Candidate,
    options: SendOptions,
  ): Promise<Attempt> => {
    let heard = false;
    const onProvisional = (response: SipResponse): void => {
      heard = true;
      options.onProvisional?.(response);
    };
    try {
      const flow = candidate.open();
      const outcome = await roomy(request, flow, { ...options, onProvisional }, candidate.target);
      return { outcome, heard };
    } catch (error) {
      return { outcome: failedOutcome(request, error), heard };
    }
  };

  const candidatesOf = async (request: SipRequest, options: SendOptions): Promise<readonly Candidate[]> => {
    const { flow, target } = options;
    if (flow !== undefined && flow.state !== 'closed') return [{ open: () => flow }];
    if (target !== undefined) return [{ open: () => deps.flow(target) }];
    if (flow !== undefined)
      throw new SipError('FLOW_CLOSED', { protocol: flow.protocol, remote: flow.remote.host });
    // RFC 3261 §8.1.2: the topmost Route, else the Request-URI.
    const first = request.routes[0];
    const targets = await deps.locate(first === undefined ? request.uri : first.uri);
    if (targets.length === 0) throw new SipError('NOT_LOCATED', { uri: request.uri, why: 'no target' });
    return targets.map((one) => ({ target: one, open: () => deps.flow(one) }));
  };

  const anywhere = async (
    request: SipRequest,
    candidates: readonly Candidate[],
    options: SendOptions,
  ): Promise<{ readonly outcome: Outcome; readonly at: number }> => {
    const tried = await tryEach(
      candidates,
      (candidate, last) => attempt(last ? request : request.copy(), candidate, options),
      deps.report,
      options.signal,
    );
    if (tried !== undefined) return tried;
    const none = new SipError('NOT_LOCATED', { uri: request.uri, why: 'no target' });
    return { outcome: failedOutcome(request, none), at: 0 };
  };

  const challenge = (response: SipResponse, round: DigestRound | undefined): boolean =>
    (response.status === 401 || response.status === 407) && round !== undefined && round.challenged(response);

  return {
    async send(request, options) {
      let candidates: readonly Candidate[];
      try {
        if (options.forward === undefined) complete(request);
        candidates = await candidatesOf(request, options);
      } catch (error) {
        return failedOutcome(request, error, options.flow);
      }
      if (options.forward !== undefined) return (await anywhere(request, candidates, options)).outcome;
      const round = options.credentials?.begin();
      for (let left = rounds; ; left -= 1) {
        // The next round starts from the request as it was, without Via and credentials.
        const copy = round === undefined ? request : request.copy();
        try {
          round?.authorize(copy);
        } catch (error) {
          return failedOutcome(copy, error);
        }
        const { outcome, at } = await anywhere(copy, candidates, options);
        if (outcome.kind !== 'response') return outcome;
        const { response, flow } = outcome;
        if (response.status >= 200 && response.status < 300 && round?.learn(response) === false)
          return failedOutcome(copy, new SipError('NOT_MUTUAL', { remote: flow.remote.host }), flow);
        if (left <= 1 || options.signal?.aborted || !challenge(response, round)) return outcome;
        totals.challenged += 1;
        // RFC 3261 §8.1.3.5: same Call-ID, From and To, CSeq one higher.
        const { number } = request.cseq ?? { number: 0 };
        request.set('CSeq', `${number + 1} ${request.method}`);
        // The nonce is that server's, so the answer goes to it; and to those after it should it fail meanwhile.
        candidates = candidates.slice(at);
        const asker = candidates[0];
        if (flow.state !== 'closed' && asker !== undefined)
          candidates = [
            { ...asker, open: () => (flow.state === 'closed' ? asker.open() : flow) },
            ...candidates.slice(1),
          ];
      }
    },
    async acknowledge(ack, options) {
      complete(ack);
      let cause: unknown;
      for (const candidate of await candidatesOf(ack, options)) {
        try {
          return await writeAck(ack.copy(), candidate);
        } catch (error) {
          cause = error;
        }
      }
      throw cause;
    },
    totals,
  };
}

function abandoned(signal: AbortSignal | undefined): Error {
  return new SipError('ABANDONED', { cause: signal?.reason ?? 'aborted' });
}

/** Rejects at the abort, so that whoever gives up need not wait for a connection. */
function unlessAborted(ready: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return ready;
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(abandoned(signal));
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
    ready.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}

/** Nothing was delivered: the connection never stood. */
function wasRefused(error: Error): boolean {
  return error instanceof SipError && error.code === 'SIP_FLOW_REFUSED';
}

/** Rejects when `promise` has not settled in time. */
function within(clock: Clock, ms: number, promise: Promise<void>): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = clock.after(ms, () => reject(new Error(`no connection within ${ms / 1000} s`)));
    promise.then(resolve, reject).finally(() => timer.cancel());
  });
}
