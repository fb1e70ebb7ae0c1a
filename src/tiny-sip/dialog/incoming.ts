import { createHmac } from 'node:crypto';
import type { Log } from '../deps.ts';
import { quickAnswer } from '../message/answer.ts';
import { createResponse } from '../message/create.ts';
import { isClean } from '../message/header-lines.ts';
import type { SipRequest, SipResponse } from '../message/message.ts';
import { serialise } from '../message/serialise.ts';
import { stored } from '../message/stored.ts';
import { serverKey } from '../transaction/key.ts';
import type { Reply, ServerTransaction, ServerUser } from '../transaction/server.ts';
import type { ServerTransactions } from '../transaction/server-table.ts';
import { sameHost, unscoped } from '../transport/address.ts';
import type { Flow } from '../transport/transport.ts';
import { createReplyWay, type ReplyWayDeps } from './reply-way.ts';
import type { AnswerInit, Incoming } from './user-agent.ts';

/** What a UDP datagram over IPv4 holds at most, bytes. */
const longestDatagram = 65_507;

/** What answering needs. */
export interface ReplierDeps extends Omit<ReplyWayDeps, 'unsent'> {
  readonly log: Log;
  readonly transactions: ServerTransactions;
  /** Random bytes that stateless To tags are derived from. */
  readonly salt: Uint8Array;
  readonly compact: boolean;
  readonly server: string | undefined;
  token(): string;
  /** Whether anybody wants to see messages. */
  traced(): boolean;
  trace(direction: 'out', flow: Flow, message: SipResponse, bytes: Buffer): void;
}

/** A request with its server transaction; `transaction` is undefined when the table is full. */
export interface Opened {
  readonly incoming: Incoming;
  readonly transaction: ServerTransaction | undefined;
  /** Refuses an INVITE with 487 because a CANCEL came, and tells whoever handles it. */
  cancel(): void;
}

/** Makes requests answerable: statefully as an `Incoming`, or statelessly. Nothing here throws. */
export interface Replier {
  /** Begins its server transaction. */
  open(
    request: SipRequest,
    flow: Flow,
    /** The To tag of its answers; default the request's own, or a new one. */
    tag?: string,
  ): Opened;
  /** An ACK: nothing that is said to it goes anywhere. */
  mute(request: SipRequest, flow: Flow): Incoming;
  /** RFC 3261 §8.2.7. */
  stateless(
    request: SipRequest,
    flow: Flow,
    status: number,
    reason: string | undefined,
    headers?: Record<string, string>,
  ): void;
  readonly totals: {
    /** Answers given without a transaction. */
    refused: number;
    /** What could not even be answered. */
    stray: number;
    /** Responses that could not be made or written. */
    unmade: number;
  };
}

export function createReplier(deps: ReplierDeps): Replier {
  const { transactions, log } = deps;
  const totals = { refused: 0, stray: 0, unmade: 0 };
  const ways: ReplyWayDeps = {
    connect: deps.connect,
    locateReply: deps.locateReply,
    unsent() {
      transactions.totals.unsent += 1;
    },
  };
  /** What every answer carries; undefined when that has to be looked at. */
  const standing =
    deps.server === undefined ? '' : isClean(deps.server) ? `Server: ${deps.server}\r\n` : undefined;

  /** An answer with nothing of its own, straight out of the request; undefined when it has to be made the long way. */
  const quick = (request: SipRequest, flow: Flow, status: number, toTag: string): Reply | undefined => {
    if (standing === undefined || deps.compact || deps.traced()) return undefined;
    if (!Number.isInteger(status) || status < 200 || status > 699) return undefined;
    const bytes = quickAnswer(request, status, toTag, standing);
    return bytes === undefined || (flow.protocol === 'udp' && bytes.length > longestDatagram)
      ? undefined
      : { status, bytes };
  };

  const pack = (response: SipResponse, flow: Flow): Reply => {
    if (deps.server !== undefined && !response.has('Server')) response.set('Server', deps.server);
    const bytes = serialise(response, { compact: deps.compact });
    // Nothing longer leaves by UDP, and whoever asked would wait for it in vain: a 500 goes in its place.
    if (flow.protocol === 'udp' && bytes.length > longestDatagram)
      throw new Error(`${bytes.length} bytes are too long for a datagram`);
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

  /** RFC 3261 §8.2.7: the same tag for every copy of the request, without remembering any. */
  const statelessTag = (request: SipRequest): string =>
    createHmac('sha256', deps.salt).update(identity(request)).digest('hex').slice(0, 16);

  const stateless: Replier['stateless'] = (request, flow, status, reason, headers = {}) => {
    totals.refused += 1;
    if (request.method === 'ACK') return;
    try {
      const response = createResponse(request, status, { reason, headers, toTag: statelessTag(request) });
      const { bytes } = pack(response, flow);
      createReplyWay(ways, request, flow)(bytes);
    } catch {
      // Too broken to be answered: without Via or CSeq nobody could match the answer.
      totals.stray += 1;
    }
  };

  const open: Replier['open'] = (request, flow, tag) => {
    let transaction: ServerTransaction | undefined;
    let accepted = false;
    let cancelled: (() => void) | undefined;
    const invite = request.method === 'INVITE';
    const toTag = request.toTag ?? tag ?? deps.token();

    /** Whether an answer with that status may still be given; notes that it is. */
    const goesOut = (status: number): boolean => {
      const success = status >= 200 && status < 300;
      // RFC 6026 §7.1: the 2xx of an INVITE comes again from its TU.
      if (incoming.responded && !(accepted && success)) return false;
      // RFC 4320 §4.1: nothing between 100 and 200 for these, and §4.2: never a 408.
      if (!invite && status > 100 && status < 200) return false;
      if (status >= 200) incoming.responded = true;
      accepted = invite && success;
      return invite || status !== 408;
    };

    const respondWith = (response: SipResponse): void => {
      if (transaction === undefined || !goesOut(response.status)) return;
      const reply = write(response, flow) ?? write(make(request, 500, toTag, {}), flow);
      if (reply !== undefined) transactions.reply(transaction, reply);
    };

    const incoming = new Arrived(request, flow, toTag);
    incoming.respond = (status, init) => {
      const reply = init === undefined ? quick(request, flow, status, toTag) : undefined;
      if (reply !== undefined) {
        if (transaction !== undefined && goesOut(status)) transactions.reply(transaction, reply);
        return;
      }
      const response = make(request, status, toTag, init ?? {}) ?? make(request, 500, toTag, {});
      if (response !== undefined) respondWith(response);
    };
    incoming.respondWith = respondWith;
    incoming.onCancel = (listener) => {
      cancelled = listener;
    };
    const user = new User(flow.reliable, createReplyWay(ways, request, flow));
    // RFC 3261 §8.2.6.1: a 100 carries no To tag of ours.
    user.trying = () => write(make(request, 100, toTag, {}), flow);
    if (invite) user.late = () => incoming.respond(408);
    transaction = transactions.begin(request, user);
    const cancel = (): void => {
      if (incoming.responded) return;
      incoming.respond(487);
      cancelled?.();
    };
    return { incoming, transaction, cancel };
  };

  const mute: Replier['mute'] = (request, flow) => ({
    request,
    flow,
    toTag: request.toTag ?? '',
    responded: true,
    respond: () => undefined,
    respondWith: () => undefined,
    onCancel: () => undefined,
  });

  return { open, mute, stateless, totals };
}

/**
 * What handlers get. A class and no literal, as the transaction is, and for its reasons; and `responded` is no getter,
 * since V8 would make a shape of its own for each request, which outlives it and keeps it alive.
 */
class Arrived implements Incoming {
  readonly request: SipRequest;
  readonly flow: Flow;
  readonly toTag: string;
  responded: boolean;
  respond: Incoming['respond'];
  respondWith: Incoming['respondWith'];
  onCancel: Incoming['onCancel'];

  constructor(request: SipRequest, flow: Flow, toTag: string) {
    this.request = request;
    this.flow = flow;
    this.toTag = toTag;
    this.responded = false;
    this.respond = nothing;
    this.respondWith = nothing;
    this.onCancel = nothing;
  }
}

const nothing = (): void => undefined;

/** The same. */
class User implements ServerUser {
  readonly reliable: boolean;
  readonly send: (bytes: Buffer) => void;
  trying: ServerUser['trying'];
  late: ServerUser['late'];

  constructor(reliable: boolean, send: (bytes: Buffer) => void) {
    this.reliable = reliable;
    this.send = send;
    this.trying = undefined;
    this.late = undefined;
  }
}

/** What is the same in every copy of a request: its transaction, or the lines themselves where those are malformed. */
function identity(request: SipRequest): string {
  try {
    return serverKey(request);
  } catch {
    return ['Via', 'From', 'Call-ID', 'CSeq'].flatMap((name) => request.lines(name)).join('\n');
  }
}

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
export function mark(request: SipRequest, flow: Flow): void {
  const via = request.topVia;
  if (via === undefined) return;
  const { port } = flow.remote;
  const host = unscoped(flow.remote.host);
  const asked = via.rport !== undefined;
  // RFC 5923 §8.2: the port in sent-by is where that side listens.
  if (flow.peer !== undefined && via.params.has('alias')) flow.alias?.(via.port ?? 5061);
  // RFC 4291 §2.2: an IPv6 address in another spelling is the same address.
  if (!asked && sameHost(via.host, host)) return;
  stored(request).markVia(host, asked ? port : undefined);
}
