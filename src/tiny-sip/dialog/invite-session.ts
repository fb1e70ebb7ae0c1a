import type { Timer } from '../deps.ts';
import { createRequest } from '../message/create.ts';
import type { SipRequest, SipResponse } from '../message/message.ts';
import { formatNameAddr } from '../message/name-addr.ts';
import { formatSdp, type SessionDescription } from '../message/sdp.ts';
import { detach } from '../message/text.ts';
import type { Flow } from '../transport/transport.ts';
import { establishDialog } from './dialog.ts';
import { createNegotiation } from './offer-answer.ts';
import { retryAfter } from './retry-after.ts';
import { createSession, type Session } from './session.ts';
import { readSessionBody, SDP } from './session-body.ts';
import type { InviteSession, InviteSessionOptions, SessionEnd, SessionState } from './session-options.ts';
import type { EventDeps, Incoming, Outcome } from './user-agent.ts';
import { contactUri, contactValue, sendByWay, userOf } from './way.ts';

/** Seconds for an answer when the user names none. */
const patience = 180;

/** Branches of a fork that are told apart; a server that invents more of them is not followed. */
const branchesKept = 16;

/** In-dialog methods of a caller. */
const allow = 'INVITE, ACK, CANCEL, BYE, OPTIONS';

/** How the call goes before it is a session. */
type Call =
  | { readonly kind: 'calling' }
  /** `cause`: what it ends with, unless the answer says otherwise. */
  | { readonly kind: 'giving up'; readonly cause: SessionEnd }
  | { readonly kind: 'answered'; readonly session: Session }
  | { readonly kind: 'over' };

/**
 * Calls somebody and keeps the session that comes of it (RFC 3261 §13.2). The INVITE leaves at once.
 *
 *     INVITE --> early dialogs --> the first 2xx: ACK, session     other 2xx: ACK, BYE
 *        |            |
 *        V            V
 *     3xx to 6xx, time-out, CANCEL: ended
 *
 * Throws SipSyntaxError when the offer cannot be written.
 */
export function createInviteSession(deps: EventDeps, options: InviteSessionOptions): InviteSession {
  const { stack, log } = deps;
  const callId = stack.token();
  const fromTag = stack.token();
  const user = options.contactUser ?? userOf(options.from);
  const negotiation = createNegotiation(sessionId(deps));
  const offer = options.offer === undefined ? undefined : negotiation.offer(options.offer);
  const abort = new AbortController();

  let call: Call = { kind: 'calling' };
  let state: SessionState = { kind: 'inviting' };
  /** What the INVITE reached, by To tag: descriptions that came early, and sessions that are only ended. */
  const early = new Map<string, SessionDescription | undefined>();
  const branches = new Map<string, Session>();
  let waiting: (() => void)[] = [];
  let forget: Timer | undefined;

  const untally = stack.tally('invitations', () =>
    call.kind === 'calling' || call.kind === 'giving up' ? 1 : 0,
  );
  const unclaim = stack.claim(callId, fromTag, (incoming) => within(incoming));

  const enter = (next: SessionState): void => {
    state = next;
    options.onState?.(next);
  };

  /** Nothing of it is left: the table forgets it. */
  const leave = (): void => {
    const done = waiting;
    waiting = [];
    for (const one of done) one();
    if (branches.size > 0) return;
    forget?.cancel();
    unclaim();
    untally();
  };

  const over = (cause: SessionEnd): void => {
    expiry.cancel();
    call = { kind: 'over' };
    enter({ kind: 'ended', cause });
    leave();
  };

  const giveUp = (cause: SessionEnd): void => {
    if (call.kind !== 'calling') return;
    call = { kind: 'giving up', cause };
    enter({ kind: 'ending' });
    abort.abort('given up');
  };

  const expiry = stack.after((options.expires ?? patience) * 1000, () => giveUp({ kind: 'expired' }));

  const build = (flow: Flow): SipRequest => {
    const contact = contactUri(flow, user);
    return createRequest({
      method: 'INVITE',
      uri: options.to,
      headers: {
        Route: options.way?.route,
        From: formatNameAddr({ display: options.displayName, uri: options.from, params: { tag: fromTag } }),
        To: formatNameAddr({ uri: options.to }),
        'Call-ID': callId,
        CSeq: '1 INVITE',
        // RFC 3261 §8.1.1.8: a sips Request-URI makes a sips Contact.
        Contact: contactValue(/^sips:/i.test(options.to) ? contact.replace(/^sip:/, 'sips:') : contact),
        Allow: allow,
        Accept: SDP,
        Expires: options.expires,
        'Content-Type': offer === undefined ? undefined : SDP,
        ...options.headers,
      },
      body: offer === undefined ? undefined : formatSdp(offer),
    });
  };

  const provisional = (response: SipResponse): void => {
    const { status, toTag } = response;
    if (status === 100 || call.kind !== 'calling') return;
    if (toTag !== undefined && (early.has(toTag) || early.size < branchesKept)) {
      const body = offer === undefined ? undefined : readSessionBody(response);
      // RFC 3261 §13.2.1: the first description is the answer; what follows is passed over.
      if (early.get(toTag) === undefined)
        early.set(detach(toTag), body?.kind === 'sdp' ? body.description : undefined);
    }
    enter({ kind: 'early', status, reason: response.reason });
  };

  /** A 2xx: the first one makes the session; the others' are ended as soon as they are there (§13.2.2.4). */
  const accepted = (response: SipResponse, request: SipRequest, flow: Flow): void => {
    const tag = response.toTag ?? '';
    const known = branches.get(tag);
    if (known !== undefined) {
      known.succeeded(request, response);
      return;
    }
    if (branches.size >= branchesKept) {
      log.warn('an INVITE was accepted by too many', { callId, branches: branches.size });
      return;
    }
    const first = branches.size === 0;
    const wanted = first && call.kind === 'calling';
    const session: Session = createSession(deps, {
      dialog: establishDialog(request, response),
      negotiation: first ? negotiation : another(),
      owner: true,
      flow: options.way === undefined && !flow.reliable ? undefined : flow,
      user,
      hooks: wanted ? { ...options, onState: followed } : {},
      released: () => drop(tag),
    });
    branches.set(detach(tag), session);
    if (forget === undefined) forget = stack.after(64 * stack.timers.t1, settled);
    if (wanted) {
      expiry.cancel();
      call = { kind: 'answered', session };
      session.succeeded(request, response, early.get(tag));
      return;
    }
    session.succeeded(request, response, early.get(tag));
    // An offer of the peer's is refused in the ACK, and BYE follows by itself.
    if (offer !== undefined) void session.bye();
  };

  /** Another branch answers the same offer in a dialog, and an exchange, of its own. */
  const another = (): ReturnType<typeof createNegotiation> => {
    const fresh = createNegotiation(sessionId(deps));
    if (options.offer !== undefined) fresh.offer(options.offer);
    return fresh;
  };

  const followed = (next: SessionState): void => enter(next);

  /** Sessions stay in the table until no copy of their 2xx can come any more. */
  const ended = new Set<string>();
  let copies = true;
  const drop = (tag: string): void => {
    if (call.kind === 'giving up') over(call.cause);
    if (copies) ended.add(tag);
    else {
      branches.delete(tag);
      if (branches.size === 0) leave();
    }
  };
  const settled = (): void => {
    copies = false;
    early.clear();
    for (const tag of ended) branches.delete(tag);
    ended.clear();
    if (branches.size === 0) leave();
  };

  const within = (incoming: Incoming): void => {
    const { request } = incoming;
    const session = branches.get(request.fromTag ?? '');
    if (session !== undefined) session.handle(incoming);
    else if (request.method === 'PRACK' || request.method === 'UPDATE')
      incoming.respond(405, { headers: { Allow: allow } });
    else incoming.respond(481);
  };

  const finish = (outcome: Outcome): void => {
    if (outcome.kind === 'response' && outcome.response.status < 300) {
      // `accepted` has seen it, unless it could not be read.
      if (branches.size === 0) over({ kind: 'unacceptable', why: 'the 2xx could not be read' });
      return;
    }
    if (call.kind === 'giving up') {
      // A refusal in spite of the CANCEL is one all the same.
      const { cause } = call;
      const status = outcome.kind === 'response' ? outcome.response.status : 0;
      over(status === 487 || outcome.kind !== 'response' ? cause : endOf(outcome));
    } else if (call.kind === 'calling') over(endOf(outcome));
  };

  options.onState?.(state);
  sendByWay(stack, options.way ?? {}, options.to, build, {
    ...(options.credentials && { credentials: options.credentials }),
    signal: abort.signal,
    onProvisional: provisional,
    onAccepted: accepted,
  })
    .then(finish)
    .catch((error: unknown) => {
      log.error('a call failed', { to: options.to, error: String(error) });
      if (call.kind !== 'over')
        over({ kind: 'failed', error: error instanceof Error ? error : new Error(String(error)) });
    });

  const sessionNow = (): Session | undefined => (call.kind === 'answered' ? call.session : undefined);
  return {
    get state() {
      return state;
    },
    get parameters() {
      return sessionNow()?.parameters;
    },
    callId,
    async reoffer(media) {
      const session = sessionNow();
      if (session !== undefined) return session.reoffer(media);
      return call.kind === 'over' ? { kind: 'ended' } : { kind: 'busy' };
    },
    bye() {
      const session = sessionNow();
      if (session !== undefined) return session.bye();
      if (call.kind === 'over') return Promise.resolve();
      const gone = new Promise<void>((resolve) => waiting.push(resolve));
      giveUp({ kind: 'cancelled', by: 'us' });
      return gone;
    },
    async send(method, init) {
      const session = sessionNow();
      if (session !== undefined) return session.send(method, init);
      const request = createRequest({ method, uri: options.to });
      return { kind: 'failed', request, error: new Error('there is no session yet') };
    },
  };
}

/** The number of a session in its `o=`: unique for this host (RFC 4566 §5.2), and 53 bits at most. */
export function sessionId({ random }: Pick<EventDeps, 'random'>): string {
  return String(Buffer.from(random.bytes(6)).readUIntBE(0, 6));
}

function endOf(outcome: Outcome): SessionEnd {
  if (outcome.kind === 'timeout') return { kind: 'timeout' };
  if (outcome.kind === 'failed') return { kind: 'failed', error: outcome.error };
  const { response } = outcome;
  const { status, reason, contacts } = response;
  if (status < 400) {
    const found = contacts === '*' ? [] : contacts;
    const q = (value: string | undefined): number => (value === undefined ? 1 : Number(value) || 0);
    const best = [...found].sort((a, b) => q(b.param('q')) - q(a.param('q')));
    return { kind: 'redirected', status, contacts: best.map((one) => detach(one.uri)) };
  }
  const after = retryAfter(response);
  return { kind: 'refused', status, reason, ...(after !== undefined && { retryAfter: after }) };
}
