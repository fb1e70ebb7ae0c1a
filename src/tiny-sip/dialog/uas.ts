import { createHmac } from 'node:crypto';
import type { Log } from '../deps.ts';
import { checkRequest } from '../message/check.ts';
import { createResponse } from '../message/create.ts';
import type { SipRequest, SipResponse } from '../message/message.ts';
import type { ParseFailure } from '../message/parse.ts';
import { serialise } from '../message/serialise.ts';
import { formatVia } from '../message/via.ts';
import { serverKey } from '../transaction/key.ts';
import { knownMethods } from '../transaction/methods.ts';
import { isAnswered, type Reply, type ServerTransaction } from '../transaction/server.ts';
import type { ServerTransactions } from '../transaction/server-table.ts';
import type { Flow } from '../transport/transport.ts';
import { answerError } from './answer-error.ts';
import type { AnswerInit, Handler, Incoming } from './user-agent.ts';

/** What the receiving half of a stack is given. */
export interface UasDeps {
  readonly log: Log;
  readonly transactions: ServerTransactions;
  /** Random bytes that stateless To tags are derived from. */
  readonly salt: Uint8Array;
  readonly compact: boolean;
  readonly server: string | undefined;
  readonly supported: readonly string[];
  readonly proxy: boolean;
  token(): string;
  trace(direction: 'out', flow: Flow, message: SipResponse, bytes: Buffer): void;
  /** Opens a flow for responses that cannot go back the way the request came. */
  connect(protocol: Flow['protocol'], host: string, port: number): Flow | undefined;
}

/** The receiving half of a stack: from a parsed message to a handler, RFC 3261 §8.2. */
export interface Uas {
  request(request: SipRequest, flow: Flow): void;
  /** Something that was meant as a request, but could not be read. */
  broken(failure: ParseFailure, flow: Flow): void;
  on(method: string, handler: Handler): () => void;
  claim(callId: string, localTag: string, handler: Handler): () => void;
  methods(): readonly string[];
  readonly dialogs: number;
  readonly totals: UasTotals;
}

export interface UasTotals {
  requests: number;
  malformed: number;
  merged: number;
  refused: number;
  stray: number;
  /** Responses that could not be made or written. */
  unmade: number;
}

/** Request-URI schemes that a handler may get to see; others get 416 (RFC 3261 §8.2.2.1). */
const schemes = /^(?:sips?|tel|pres|im):/i;

/** A full table is told with 503; nobody should come back at once. Seconds. */
const retryAfter = '10';

export function createUas(deps: UasDeps): Uas {
  const { transactions, log } = deps;
  /** The last handler of a method is the one that counts. */
  const handlers = new Map<string, Handler[]>();
  const claims = new Map<string, Handler>();
  const totals: UasTotals = { requests: 0, malformed: 0, merged: 0, refused: 0, stray: 0, unmade: 0 };
  let full = false;

  const handlerOf = (method: string): Handler | undefined => handlers.get(method)?.at(-1);

  const methods = (): readonly string[] => {
    const own = [...handlers.keys()].filter((method) => method !== '*' && handlerOf(method) !== undefined);
    return own.includes('OPTIONS') ? own : [...own, 'OPTIONS'];
  };

  const pack = (response: SipResponse, flow: Flow): Reply => {
    if (deps.server !== undefined && !response.has('Server')) response.set('Server', deps.server);
    const bytes = serialise(response, { compact: deps.compact });
    deps.trace('out', flow, response, bytes);
    return { status: response.status, bytes };
  };

  /** A response as a handler describes it; undefined when that may not go on the wire. Never throws. */
  const make = (
    request: SipRequest,
    status: number,
    toTag: string,
    init: AnswerInit,
  ): SipResponse | undefined => {
    try {
      return answer(request, status, toTag, init);
    } catch (error) {
      totals.unmade += 1;
      log.error('a response could not be made', { status, error: String(error) });
      return undefined;
    }
  };

  const write = (response: SipResponse | undefined, flow: Flow): Reply | undefined => {
    try {
      return response && pack(response, flow);
    } catch (error) {
      totals.unmade += 1;
      log.error('a response could not be written', { error: String(error) });
      return undefined;
    }
  };

  /** RFC 3261 §18.2.2: the source address, and its port where rport asks for it, else the port in Via. */
  const way = (request: SipRequest, flow: Flow): Flow => {
    const via = request.topVia;
    if (flow.protocol !== 'udp' || via === undefined || via.rport !== undefined) return flow;
    const port = via.port ?? 5060;
    if (port === flow.remote.port) return flow;
    return deps.connect('udp', flow.remote.host, port) ?? flow;
  };

  const sender = (request: SipRequest, flow: Flow): ((bytes: Buffer) => Promise<void>) => {
    const back = way(request, flow);
    if (flow.protocol !== 'tcp') return (bytes) => back.send(bytes);
    const port = request.topVia?.port ?? 5060;
    // RFC 3261 §18.2.2: when the connection is gone, a new one to the address and the port in Via.
    return (bytes) =>
      back.send(bytes).catch((error: unknown) => {
        const other = deps.connect('tcp', flow.remote.host, port);
        if (other === undefined) throw error;
        return other.send(bytes);
      });
  };

  /** RFC 3261 §8.2.7: the same tag for every copy of the request, without remembering any. */
  const statelessTag = (request: SipRequest): string =>
    createHmac('sha256', deps.salt).update(serverKey(request)).digest('hex').slice(0, 16);

  const stateless = (
    request: SipRequest,
    flow: Flow,
    status: number,
    reason: string | undefined,
    headers: Record<string, string> = {},
  ): void => {
    totals.refused += 1;
    if (request.method === 'ACK') return;
    try {
      const response = createResponse(request, status, { reason, headers, toTag: statelessTag(request) });
      const { bytes } = pack(response, flow);
      way(request, flow)
        .send(bytes)
        .catch(() => {
          transactions.totals.unsent += 1;
        });
    } catch {
      // Too broken to be answered: without Via or CSeq nobody could match the answer.
      totals.stray += 1;
    }
  };

  const refuse = (request: SipRequest, flow: Flow, why: { status: number; reason: string }): void => {
    totals.malformed += 1;
    try {
      mark(request, flow);
    } catch {
      // Without a Via that can be read the answer, if one can be made, goes back the way the request came.
    }
    stateless(request, flow, why.status, why.reason);
  };

  const open = (request: SipRequest, flow: Flow): { incoming: Incoming; begun: boolean } => {
    let transaction: ServerTransaction | undefined;
    let responded = false;
    const toTag = request.toTag ?? deps.token();

    const incoming: Incoming = {
      request,
      flow,
      toTag,
      get responded() {
        return responded;
      },
      respond(status, init = {}) {
        const response = make(request, status, toTag, init) ?? make(request, 500, toTag, {});
        if (response !== undefined) incoming.respondWith(response);
      },
      respondWith(response) {
        if (responded || transaction === undefined) return;
        const { status } = response;
        // RFC 4320 §4.1: nothing between 100 and 200 for these, and §4.2: never a 408.
        if (request.method !== 'INVITE' && status > 100 && status < 200) return;
        if (status >= 200) responded = true;
        if (request.method !== 'INVITE' && status === 408) return;
        const reply = write(response, flow) ?? write(make(request, 500, toTag, {}), flow);
        if (reply !== undefined) transactions.reply(transaction, reply);
      },
    };
    transaction = transactions.begin(request, {
      reliable: flow.reliable,
      send: sender(request, flow),
      // RFC 3261 §8.2.6.1: a 100 carries no To tag of ours.
      trying: () => write(make(request, 100, toTag, {}), flow),
    });
    if (transaction !== undefined && request.method === 'INVITE') pending.set(transaction, incoming);
    return { incoming, begun: transaction !== undefined };
  };

  /** RFC 3261 §9.2. */
  const cancel = (incoming: Incoming): void => {
    const target = transactions.cancelled(incoming.request);
    if (target === undefined) {
      incoming.respond(481);
      return;
    }
    incoming.respond(200);
    if (target.method === 'INVITE' && !isAnswered(target)) pending.get(target)?.respond(487);
  };

  /** INVITEs that wait for an answer, so that a CANCEL finds what to refuse. */
  const pending = new WeakMap<ServerTransaction, Incoming>();

  const inspect = (incoming: Incoming): Handler | undefined => {
    const { request } = incoming;
    const { method } = request;
    if (!schemes.test(request.uri)) {
      incoming.respond(416);
      return undefined;
    }
    if (!deps.proxy) {
      const unknown = request.all('Require').filter((tag) => !deps.supported.includes(tag.toLowerCase()));
      if (unknown.length > 0 && method !== 'CANCEL') {
        incoming.respond(420, { headers: { Unsupported: unknown.join(', ') } });
        return undefined;
      }
    }
    return handlerOf(method) ?? handlerOf('*') ?? standard;
  };

  /** What happens to a request that nobody here handles. */
  const standard: Handler = (incoming) => {
    const { method } = incoming.request;
    if (method === 'OPTIONS') {
      // RFC 3261 §11.2.
      incoming.respond(200, {
        headers: { Allow: methods().join(', '), Supported: deps.supported.join(', ') },
      });
      return;
    }
    // RFC 6665 §4.1.3: a NOTIFY that fits no subscription; RFC 3261 §15.1.2: a BYE that fits no dialog.
    if (method === 'NOTIFY' || method === 'BYE') incoming.respond(481);
    else if (knownMethods.has(method)) incoming.respond(405, { headers: { Allow: methods().join(', ') } });
    else incoming.respond(501, { headers: { Allow: methods().join(', ') } });
  };

  const hand = (handler: Handler, incoming: Incoming): void => {
    try {
      handler(incoming);
    } catch (error) {
      answerError(incoming, error, log, 'a request handler threw');
    }
  };

  return {
    request(request, flow) {
      totals.requests += 1;
      const refusal = checkRequest(request);
      if (refusal !== undefined) {
        refuse(request, flow, refusal);
        return;
      }
      mark(request, flow);
      const known = transactions.find(request);
      if (request.method === 'ACK') {
        // An ACK is never answered. That of a failure belongs to the transaction, that of a 2xx to the dialog.
        if (known !== undefined) transactions.ack(known);
        else totals.stray += 1;
        return;
      }
      if (known !== undefined) {
        transactions.repeated(known);
        return;
      }
      if (!deps.proxy && request.method !== 'CANCEL' && transactions.merged(request)) {
        totals.merged += 1;
        stateless(request, flow, 482, undefined);
        return;
      }
      const { incoming, begun } = open(request, flow);
      if (!begun) {
        if (!full) log.warn('the table of server transactions is full', { size: transactions.size });
        full = true;
        stateless(request, flow, 503, undefined, { 'Retry-After': retryAfter });
        return;
      }
      full = false;
      if (request.method === 'CANCEL') {
        cancel(incoming);
        return;
      }
      const handler = inspect(incoming);
      if (handler === undefined) return;
      const { toTag, callId } = request;
      const owner = toTag === undefined ? undefined : claims.get(claimKey(callId ?? '', toTag));
      hand(owner ?? handler, incoming);
    },
    broken(failure, flow) {
      if (failure.partial === undefined) totals.malformed += 1;
      else refuse(failure.partial, flow, failure);
    },
    on(method, handler) {
      const list = handlers.get(method) ?? [];
      handlers.set(method, list);
      list.push(handler);
      return () => {
        const index = list.indexOf(handler);
        if (index >= 0) list.splice(index, 1);
      };
    },
    claim(callId, localTag, handler) {
      const key = claimKey(callId, localTag);
      claims.set(key, handler);
      return () => {
        if (claims.get(key) === handler) claims.delete(key);
      };
    },
    methods,
    get dialogs() {
      return claims.size;
    },
    totals,
  };
}

const claimKey = (callId: string, tag: string): string => `${tag} ${callId}`;

/** A response as handlers describe it. A value that may not go on the wire throws a SipSyntaxError. */
function answer(request: SipRequest, status: number, toTag: string, init: AnswerInit): SipResponse {
  const response = createResponse(request, status, {
    reason: init.reason,
    headers: init.headers,
    body: init.body,
    toTag: status === 100 ? undefined : toTag,
  });
  if (init.contentType !== undefined) response.set('Content-Type', init.contentType);
  return response;
}

/** RFC 3261 §18.2.1 and RFC 3581 §4: writes down in the top Via where the request really came from. */
function mark(request: SipRequest, flow: Flow): void {
  const via = request.topVia;
  if (via === undefined) return;
  const { host, port } = flow.remote;
  const asked = via.rport !== undefined;
  if (!asked && via.host === host) return;
  const params: Record<string, string | number> = {};
  for (const [name, value] of via.params) if (name !== 'received' && name !== 'rport') params[name] = value;
  params.received = host;
  if (asked) params.rport = port;
  request.removeFirst('Via');
  request.prepend('Via', formatVia({ transport: via.transport, host: via.host, port: via.port, params }));
}
