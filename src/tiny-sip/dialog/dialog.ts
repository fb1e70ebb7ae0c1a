import { createRequest } from '../message/create.ts';
import type { HeaderInit, SipRequest } from '../message/message.ts';
import { formatNameAddr } from '../message/name-addr.ts';
import { detach } from '../message/text.ts';
import { parseUri } from '../message/uri.ts';

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
  let { localSeq, remoteSeq, remoteTarget } = record;
  return {
    request(method, headers, body) {
      localSeq += 1;
      const route = routed(remoteTarget, record.routeSet);
      return createRequest({
        method,
        uri: route.uri,
        headers: {
          Route: route.values,
          From: formatNameAddr({ uri: record.localUri, params: { tag: record.localTag } }),
          To: formatNameAddr({
            uri: record.remoteUri,
            params: record.remoteTag === '' ? {} : { tag: record.remoteTag },
          }),
          'Call-ID': record.callId,
          CSeq: `${localSeq} ${method}`,
          ...headers,
        },
        body,
      });
    },
    used(seq) {
      if (seq !== undefined && seq > localSeq) localSeq = seq;
    },
    take(request) {
      const seq = request.cseq?.number ?? 0;
      if (remoteSeq !== undefined && seq <= remoteSeq) return false;
      remoteSeq = seq;
      const contact = contactOf(request);
      if (contact !== undefined) remoteTarget = contact;
      return true;
    },
    callId: record.callId,
    localTag: record.localTag,
    remoteTag: record.remoteTag,
    get localSeq() {
      return localSeq;
    },
    get remoteTarget() {
      return remoteTarget;
    },
    routeSet: record.routeSet,
    record: () => ({ ...record, localSeq, remoteSeq, remoteTarget }),
  };
}

/**
 * The dialog that a request makes at its receiver (RFC 3261 §12.1.1): its Record-Routes in their order, its Contact as
 * target. `localSeq`: the last number that we used towards the peer, where there was one.
 * Without a usable Contact there is none.
 */
export function acceptDialog(request: SipRequest, localTag: string, localSeq = 0): Dialog | undefined {
  const { from, to, callId, cseq } = request;
  const target = contactOf(request);
  if (from === undefined || to === undefined || callId === undefined || target === undefined)
    return undefined;
  return restoreDialog({
    callId: detach(callId),
    localTag,
    remoteTag: detach(from.tag ?? ''),
    localUri: detach(to.uri),
    remoteUri: detach(from.uri),
    remoteTarget: target,
    routeSet: request.recordRoutes.map((one) => detach(formatNameAddr(one))),
    localSeq,
    remoteSeq: cseq?.number,
  });
}

/** The peer's Contact URI, when there is exactly one that can be a Request-URI. */
export function contactOf(request: SipRequest): string | undefined {
  const { contacts } = request;
  const first = contacts === '*' ? undefined : contacts[0];
  return first === undefined || !/^sips?:/i.test(first.uri) ? undefined : detach(first.uri);
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
