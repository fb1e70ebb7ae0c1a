import { allOf, TOKEN } from '../message/chars.ts';
import { checkRequest } from '../message/check.ts';
import type { SipRequest } from '../message/message.ts';
import { REQUIRE } from '../message/names.ts';
import type { ParseFailure } from '../message/parse.ts';
import { stored } from '../message/stored.ts';
import { knownMethods } from '../transaction/methods.ts';
import { isAnswered, type ServerTransaction } from '../transaction/server.ts';
import type { Flow } from '../transport/transport.ts';
import { handTo } from './answer-error.ts';
import { createReplier, mark, type Opened, type ReplierDeps } from './incoming.ts';
import type { Handler, Incoming } from './user-agent.ts';

/** What the receiving half of a stack is given. */
export interface UasDeps extends ReplierDeps {
  readonly supported: readonly string[];
  readonly proxy: boolean;
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
  const replier = createReplier(deps);
  const totals = { requests: 0, malformed: 0, merged: 0 };
  let full = false;

  const handlerOf = (method: string): Handler | undefined => handlers.get(method)?.at(-1);

  const knows = (method: string): boolean => knownMethods.has(method) || handlerOf(method) !== undefined;

  const methods = (): readonly string[] => {
    const own = new Set([...handlers.keys()].filter((one) => one !== '*' && handlerOf(one) !== undefined));
    // RFC 3261 §13.2.1: whoever takes calls takes what belongs to them.
    if (own.has('INVITE')) for (const method of ['ACK', 'CANCEL', 'BYE']) own.add(method);
    return [...own.add('OPTIONS')];
  };

  const refuse = (request: SipRequest, flow: Flow, why: { status: number; reason: string }): void => {
    totals.malformed += 1;
    try {
      mark(request, flow);
    } catch {
      // Without a Via that can be read the answer, if one can be made, goes back the way the request came.
    }
    replier.stateless(request, flow, why.status, why.reason);
  };

  /** RFC 3261 §9.2. */
  const cancel = (incoming: Incoming, target: ServerTransaction | undefined): void => {
    if (target === undefined) {
      incoming.respond(481);
      return;
    }
    incoming.respond(200);
    if (target.method === 'INVITE' && !isAnswered(target)) pending.get(target)?.cancel();
  };

  /** INVITEs, so that a CANCEL finds what to refuse. */
  const pending = new WeakMap<ServerTransaction, Opened>();

  /** Whose dialog a request is in. */
  const ownerOf = ({ callId, toTag }: SipRequest): Handler | undefined =>
    toTag === undefined ? undefined : claims.get(claimKey(callId ?? '', toTag));

  /** An ACK is never answered. That of a failure belongs to the transaction, that of a 2xx to the dialog. */
  const acknowledge = (ack: SipRequest, flow: Flow, invite: ServerTransaction | undefined): void => {
    if (invite !== undefined && !transactions.ack(invite)) return;
    const handler = ownerOf(ack) ?? handlerOf('ACK');
    if (handler === undefined) replier.totals.stray += 1;
    else handTo(handler, replier.mute(ack, flow), log);
  };

  const inspect = (incoming: Incoming): Handler | undefined => {
    const { request } = incoming;
    const { method } = request;
    const { uri } = request;
    if (!uri.startsWith('sip:') && !schemes.test(uri)) {
      incoming.respond(416);
      return undefined;
    }
    if (!deps.proxy) {
      const required = stored(request).headerLines.first(REQUIRE) === undefined ? [] : request.all('Require');
      const unknown = required.filter((tag) => !deps.supported.includes(tag.toLowerCase()));
      if (unknown.length > 0 && method !== 'CANCEL') {
        // What is no option tag cannot be named in the answer either.
        if (!unknown.every((tag) => allOf(TOKEN, tag))) {
          incoming.respond(400, { reason: 'Malformed Require' });
          return undefined;
        }
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

  return {
    request(request, flow) {
      totals.requests += 1;
      const refusal = checkRequest(request, knows);
      if (refusal !== undefined) {
        refuse(request, flow, refusal);
        return;
      }
      mark(request, flow);
      const known = transactions.find(request);
      if (request.method === 'ACK') {
        acknowledge(request, flow, known);
        return;
      }
      if (known !== undefined) {
        transactions.repeated(known);
        return;
      }
      if (!deps.proxy && request.method !== 'CANCEL' && transactions.merged(request)) {
        totals.merged += 1;
        replier.stateless(request, flow, 482, undefined);
        return;
      }
      const cancelled = request.method === 'CANCEL' ? transactions.cancelled(request) : undefined;
      // RFC 3261 §9.2: the answers to both carry one tag.
      const tag = cancelled === undefined ? undefined : pending.get(cancelled)?.incoming.toTag;
      const opened = replier.open(request, flow, tag);
      const { incoming, transaction } = opened;
      if (transaction === undefined) {
        if (!full) log.warn('the table of server transactions is full', { size: transactions.size });
        full = true;
        replier.stateless(request, flow, 503, undefined, { 'Retry-After': retryAfter });
        return;
      }
      full = false;
      if (request.method === 'CANCEL') {
        cancel(incoming, cancelled);
        return;
      }
      if (request.method === 'INVITE') pending.set(transaction, opened);
      const handler = inspect(incoming);
      if (handler === undefined) return;
      handTo(ownerOf(request) ?? handler, incoming, log);
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
    get totals() {
      return { ...totals, ...replier.totals };
    },
  };
}

const claimKey = (callId: string, tag: string): string => `${tag} ${callId}`;
