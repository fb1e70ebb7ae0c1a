import type { DigestRound } from '../auth/client.ts';
import type { Clock, Log, Timer } from '../deps.ts';
import { SipError } from '../errors.ts';
import { createResponse } from '../message/create.ts';
import type { SipRequest, SipResponse } from '../message/message.ts';
import { formatNameAddr, parseNameAddr } from '../message/name-addr.ts';
import { serialise } from '../message/serialise.ts';
import { formatVia } from '../message/via.ts';
import type { Target } from '../resolve/resolve.ts';
import type { ClientHandle, ClientTransactions } from '../transaction/client-table.ts';
import { magicCookie } from '../transaction/key.ts';
import type { Flow, Protocol } from '../transport/transport.ts';
import { type Cancel, createCancel } from './cancel.ts';
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
  /** The port that other connections of that protocol can reach us at; 0: none. */
  listening(protocol: Protocol): number;
  locate(uri: string): Promise<readonly Target[]>;
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
    return formatVia({
      transport: flow.protocol.toUpperCase(),
      host,
      // Answers on a connection of their own go to this port (RFC 3261 §18.2.2), so it is the listening one.
      port: flow.reliable ? deps.listening(flow.protocol) || port : port,
      // RFC 3581 is about datagrams; on a stream the answer comes back by the connection.
      params: flow.reliable ? { branch } : { branch, rport: '' },
    });
  };

  const failed = (request: SipRequest, error: unknown, flow?: Flow): Outcome => ({
    kind: 'failed',
    request,
    error: error instanceof Error ? error : new Error(String(error)),
    ...(flow && { flow }),
  });

  /** One request over one flow: one transaction. `signal` is looked at before, and listened to meanwhile. */
  const transact = async (request: SipRequest, flow: Flow, options: SendOptions): Promise<Outcome> => {
    const branch = options.forward?.branch ?? `${magicCookie}${deps.token()}`;
    let bytes: Buffer;
    try {
      await flow.ready();
      request.prepend('Via', via(flow, branch));
      bytes = serialise(request, { compact: deps.compact });
      if (options.signal?.aborted) throw abandoned(options.signal);
    } catch (error) {
      return failed(request, error, flow);
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
              : failed(request, error, flow),
          ),
      });
      if (handle === undefined)
        done(
          failed(
            request,
            new SipError('TABLE_FULL', { count: deps.transactions.size, what: 'client transactions' }),
            flow,
          ),
        );
      else options.signal?.addEventListener('abort', stop, { once: true });
    });
  };

  /** RFC 3261 §18.1.1: what is too long for a datagram goes by TCP, and back to UDP when that is refused. */
  const roomy = async (request: SipRequest, flow: Flow, options: SendOptions): Promise<Outcome> => {
    if (flow.protocol !== 'udp' || !deps.has('tcp') || !oversize(request, flow, options))
      return transact(request, flow, options);
    totals.oversize += 1;
    const { host, port } = flow.remote;
    const key = `${host} ${port}`;
    if ((refusals.get(key) ?? Number.NEGATIVE_INFINITY) > deps.clock.now())
      return transact(request, flow, options);
    const stream = await tcp(host, port, request.method);
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
  const tcp = async (host: string, port: number, method: string): Promise<Flow | undefined> => {
    try {
      const stream = deps.flow({ protocol: 'tcp', host, port, name: host });
      await within(deps.clock, tcpPatience, stream.ready());
      return stream;
    } catch (error) {
      deps.log.debug('no tcp for a long request', { method, cause: String(error) });
      return undefined;
    }
  };

  /** One try to send an ACK. By TCP when it is too long for a datagram and TCP can be had. */
  const writeAck = async (ack: SipRequest, first: Flow): Promise<() => Promise<void>> => {
    let flow = first;
    if (flow.protocol === 'udp' && deps.has('tcp') && oversize(ack, flow, {}))
      flow = (await tcp(flow.remote.host, flow.remote.port, ack.method)) ?? flow;
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

  /** RFC 3263 §4.3: the next target when one fails, is silent or answers 503. */
  const anywhere = async (
    request: SipRequest,
    ways: readonly (() => Flow)[],
    options: SendOptions,
  ): Promise<Outcome> => {
    let outcome: Outcome | undefined;
    for (const [index, way] of ways.entries()) {
      const last = index === ways.length - 1;
      // Each try is a new transaction with a Via of its own.
      const copy = last ? request : request.copy();
      try {
        outcome = await roomy(copy, way(), options);
      } catch (error) {
        outcome = failed(copy, error);
      }
      const over = outcome.kind === 'response' && outcome.response.status !== 503;
      if (over || options.signal?.aborted) return outcome;
    }
    return outcome ?? failed(request, new SipError('NOT_LOCATED', { uri: request.uri, why: 'no target' }));
  };

  const waysOf = async (request: SipRequest, options: SendOptions): Promise<readonly (() => Flow)[]> => {
    const { flow, target } = options;
    if (flow !== undefined && flow.state !== 'closed') return [() => flow];
    if (target !== undefined) return [() => deps.flow(target)];
    if (flow !== undefined)
      throw new SipError('FLOW_CLOSED', { protocol: flow.protocol, remote: flow.remote.host });
    // RFC 3261 §8.1.2: the topmost Route, else the Request-URI.
    const first = request.routes[0];
    const targets = await deps.locate(first === undefined ? request.uri : first.uri);
    if (targets.length === 0) throw new SipError('NOT_LOCATED', { uri: request.uri, why: 'no target' });
    return targets.map((one) => () => deps.flow(one));
  };

  const challenge = (response: SipResponse, round: DigestRound | undefined): boolean =>
    (response.status === 401 || response.status === 407) && round !== undefined && round.challenged(response);

  return {
    async send(request, options) {
      let outcome: Outcome;
      let ways: readonly (() => Flow)[];
      try {
        if (options.forward === undefined) complete(request);
        ways = await waysOf(request, options);
      } catch (error) {
        return failed(request, error, options.flow);
      }
      if (options.forward !== undefined) return anywhere(request, ways, options);
      const round = options.credentials?.begin();
      for (let left = rounds; ; left -= 1) {
        // The next round starts from the request as it was, without Via and credentials.
        const attempt = round === undefined ? request : request.copy();
        try {
          round?.authorize(attempt);
        } catch (error) {
          return failed(attempt, error);
        }
        outcome = await anywhere(attempt, ways, options);
        if (outcome.kind !== 'response') return outcome;
        const { response, flow } = outcome;
        if (response.status >= 200 && response.status < 300) round?.learn(response);
        if (left <= 1 || options.signal?.aborted || !challenge(response, round)) return outcome;
        totals.challenged += 1;
        // RFC 3261 §8.1.3.5: same Call-ID, From and To, CSeq one higher.
        const { number } = request.cseq ?? { number: 0 };
        request.set('CSeq', `${number + 1} ${request.method}`);
        // The nonce is that server's, so the answer goes to it.
        if (flow.state !== 'closed') ways = [() => flow];
      }
    },
    async acknowledge(ack, options) {
      complete(ack);
      let cause: unknown;
      for (const way of await waysOf(ack, options)) {
        try {
          return await writeAck(ack.copy(), way());
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
