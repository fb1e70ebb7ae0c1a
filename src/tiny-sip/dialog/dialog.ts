import { SipSyntaxError } from '../errors.ts';
import { createRequest } from '../message/create.ts';
import type { HeaderInit, SipHeaders, SipRequest, SipResponse } from '../message/message.ts';
import { formatNameAddr } from '../message/name-addr.ts';
import { detach } from '../message/text.ts';
import { parseUri, requestUriOf } from '../message/uri.ts';

/** A dialog's state (RFC 3261 §12) as plain JSON. */
export interface DialogRecord {
  /** Call-ID of every request in it. */
  readonly callId: string;
  /** Tag of this side. */
  readonly localTag: string;
  /** Tag of the peer. */
  readonly remoteTag: string;
  /** From and To of our requests, as URIs: from the dialog, never from a Contact. */
  readonly localUri: string;
  /** To of our requests. */
  readonly remoteUri: string;
  /** Request-URI of our requests: the peer's Contact. */
  readonly remoteTarget: string;
  /** Route values in the order of our requests. */
  readonly routeSet: readonly string[];
  /** The last CSeq number that we used. */
  readonly localSeq: number;
  /** The last CSeq number of the peer; undefined while it has sent nothing. */
  readonly remoteSeq: number | undefined;
}

/** A dialog, or one that becomes one. */
export interface Dialog {
  /** A request within the dialog; CSeq rises (RFC 3261 §12.2.1.1). */
  request(
    method: string,
    headers: Readonly<Record<string, HeaderInit[string]>>,
    body?: Buffer | string,
  ): SipRequest;
  /** A request went out with this number after a challenge: later ones are higher. */
  used(seq: number | undefined): void;
  /**
   * A request came: false when its CSeq does not rise, which is answered 500 (RFC 3261 §12.2.2). Takes over the
   * peer's new Contact.
   */
  take(request: SipRequest): boolean;
  /** The first half of `take`: notes the CSeq when it rises, and says whether it does. */
  inOrder(request: SipRequest): boolean;
  /** The other half: the peer's new Contact, from a request that was accepted or a 2xx (RFC 3261 §12.2.1.2). */
  retarget(message: SipHeaders): void;
  /** The ACK of the INVITE with that number, for its 2xx (RFC 3261 §13.2.2.4). */
  ack(seq: number, headers: Readonly<Record<string, HeaderInit[string]>>, body?: Buffer): SipRequest;
  /** Call-ID of every request in it. */
  readonly callId: string;
  /** Tag of this side. */
  readonly localTag: string;
  /** Tag of the peer. */
  readonly remoteTag: string;
  /** The last CSeq number that this side used. */
  readonly localSeq: number;
  /** Request-URI of our requests: the Contact that the peer named last. */
  readonly remoteTarget: string;
  /** Route values in the order of our requests. */
  readonly routeSet: readonly string[];
  /** Its present state, to be written down. */
  record(): DialogRecord;
}

/** From what was written down. */
export function restoreDialog(record: DialogRecord): Dialog {
  return new KeptDialog(record);
}

/**
 * A class, since a notifier holds ten thousands: an object of closures with getters takes some two kilobytes more, for
 * V8 keeps a table of names for each one.
 */
class KeptDialog implements Dialog {
  localSeq: number;
  remoteTarget: string;
  private remoteSeq: number | undefined;
  /** What does not change; its three values that do are those above. */
  private readonly fixed: DialogRecord;

  constructor(record: DialogRecord) {
    this.fixed = record;
    this.localSeq = record.localSeq;
    this.remoteSeq = record.remoteSeq;
    this.remoteTarget = record.remoteTarget;
  }

  get callId(): string {
    return this.fixed.callId;
  }

  get localTag(): string {
    return this.fixed.localTag;
  }

  get remoteTag(): string {
    return this.fixed.remoteTag;
  }

  get routeSet(): readonly string[] {
    return this.fixed.routeSet;
  }

  request(method: string, ...rest: BuildRest): SipRequest {
    this.localSeq += 1;
    return this.build(method, this.localSeq, ...rest);
  }

  ack(seq: number, ...rest: BuildRest): SipRequest {
    return this.build('ACK', seq, ...rest);
  }

  used(seq: number | undefined): void {
    if (seq !== undefined && seq > this.localSeq) this.localSeq = seq;
  }

  take(request: SipRequest): boolean {
    if (!this.inOrder(request)) return false;
    this.retarget(request);
    return true;
  }

  inOrder(request: SipRequest): boolean {
    const seq = request.cseq?.number ?? 0;
    if (this.remoteSeq !== undefined && seq <= this.remoteSeq) return false;
    this.remoteSeq = seq;
    return true;
  }

  retarget(message: SipHeaders): void {
    const contact = contactOf(message);
    if (contact !== undefined) this.remoteTarget = contact;
  }

  record(): DialogRecord {
    const { localSeq, remoteSeq, remoteTarget } = this;
    return { ...this.fixed, localSeq, remoteSeq, remoteTarget };
  }

  private build(method: string, seq: number, ...[headers, body]: BuildRest): SipRequest {
    const { localUri, localTag, remoteUri, remoteTag, callId, routeSet } = this.fixed;
    const route = routed(this.remoteTarget, routeSet);
    return createRequest({
      method,
      uri: route.uri,
      headers: {
        Route: route.values,
        From: formatNameAddr({ uri: localUri, params: { tag: localTag } }),
        To: formatNameAddr({ uri: remoteUri, params: remoteTag === '' ? {} : { tag: remoteTag } }),
        'Call-ID': callId,
        CSeq: `${seq} ${method}`,
        ...headers,
      },
      body,
    });
  }
}

/**
 * The dialog that a request makes at its receiver (RFC 3261 §12.1.1): its Record-Routes in their order, its Contact as
 * target. `localSeq`: the last number that we used towards the peer, where there was one.
 * Without a usable Contact there is none. Throws SipSyntaxError on what our requests could not repeat.
 */
export function acceptDialog(request: SipRequest, localTag: string, localSeq = 0): Dialog | undefined {
  const { from, to, callId, cseq } = request;
  const target = contactOf(request);
  if (from === undefined || to === undefined || callId === undefined || target === undefined)
    return undefined;
  return restoreDialog({
    callId: detach(callId),
    localTag,
    remoteTag: tagOf(from.tag, 'From'),
    localUri: detach(to.uri),
    remoteUri: detach(from.uri),
    remoteTarget: target,
    routeSet: request.recordRoutes.map((one) => detach(formatNameAddr(one))),
    localSeq,
    remoteSeq: cseq?.number,
  });
}

/**
 * The dialog that a response makes at the sender of its request (RFC 3261 §12.1.2): the Record-Routes in reverse order,
 * its Contact as target. One without a usable Contact is reached where the request went. Throws SipSyntaxError on what
 * our requests could not repeat.
 */
export function establishDialog(request: SipRequest, response: SipResponse): Dialog {
  return restoreDialog({
    callId: detach(request.callId ?? ''),
    localTag: detach(request.fromTag ?? ''),
    remoteTag: tagOf(response.toTag, 'To'),
    localUri: detach(request.from?.uri ?? ''),
    remoteUri: detach(request.to?.uri ?? ''),
    remoteTarget: contactOf(response) ?? detach(request.uri),
    routeSet: response.recordRoutes.map((one) => detach(formatNameAddr(one))).reverse(),
    localSeq: request.cseq?.number ?? 0,
    remoteSeq: undefined,
  });
}

type BuildRest = [headers: Readonly<Record<string, HeaderInit[string]>>, body?: Buffer | string | undefined];

/** The peer's Contact URI, as far as it can be a Request-URI; undefined when there is none. */
export function contactOf(message: SipHeaders): string | undefined {
  const { contacts } = message;
  const first = contacts === '*' ? undefined : contacts[0];
  return first === undefined || !/^sips?:/i.test(first.uri) ? undefined : detach(requestUriOf(first.uri));
}

/** The peer's tag. A quoted one may hold an escaped NUL, which no request of ours could repeat. */
function tagOf(tag: string | undefined, what: 'From' | 'To'): string {
  if (tag?.includes('\0')) throw new SipSyntaxError(what, 'a NUL in the tag');
  return detach(tag ?? '');
}

/** RFC 3261 §12.2.1.1: a first route without `lr` is a strict router and wants to be the Request-URI. */
function routed(
  target: string,
  routes: readonly string[],
): { uri: string; values: readonly string[] | undefined } {
  const [first, ...others] = routes;
  if (first === undefined) return { uri: target, values: undefined };
  const uri = /<([^>]*)>/.exec(first)?.[1] ?? first;
  let loose = true;
  try {
    loose = parseUri(uri).params.has('lr');
  } catch {
    // A route that cannot be read is left to the next hop.
  }
  return loose ? { uri: target, values: routes } : { uri, values: [...others, `<${target}>`] };
}
