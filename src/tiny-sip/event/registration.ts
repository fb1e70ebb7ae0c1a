import type { Timer } from '../deps.ts';
import type { EventDeps, Outcome } from '../dialog/user-agent.ts';
import { contactUri, contactValue, sendByWay, userOf } from '../dialog/way.ts';
import { createRequest } from '../message/create.ts';
import type { HeaderInit, SipRequest, SipResponse } from '../message/message.ts';
import type { NameAddr } from '../message/name-addr.ts';
import { detach } from '../message/text.ts';
import { parseUri } from '../message/uri.ts';
import { equalUri } from '../message/uri-compare.ts';
import type { Flow, KeepAlive } from '../transport/transport.ts';
import {
  hopeless,
  hurried,
  network,
  patient,
  refreshIn,
  resetDelay,
  takeDelay,
  takeJittered,
} from './delay.ts';
import { createKeeper, keepAliveDefaults } from './keeper.ts';
import { createProbe, observedIn } from './probe.ts';
import type {
  Registered,
  Registration,
  RegistrationOptions,
  RegistrationState,
} from './registration-options.ts';
import { adviseForRegister, type Failure, failureOf } from './retry.ts';

/** How long a registration must stand before failures count from the beginning again, ms. */
const stable = 60_000;

/** One binding of one AOR (RFC 3261 §10, RFC 5626): registers, refreshes, and comes back when its flow is lost. */
export function createRegistration(deps: EventDeps, options: RegistrationOptions): Registration {
  const { stack, clock, random, log } = deps;
  const registrar = options.registrar ?? registrarOf(options.aor);
  const user = options.contactUser ?? userOf(options.aor);
  // RFC 3261 §10.2.1: who is reached in safety under the AOR must be so under the Contact.
  const scheme = /^sips:/i.test(options.aor) ? 'sips' : 'sip';
  const patience = patient();
  const slowly = hopeless();
  const flapping = network();
  const identity = { callId: stack.token(), fromTag: stack.token() };

  let state: RegistrationState = { kind: 'idle' };
  let wanted = false;
  let ended = false;
  let expires = options.expires ?? 600;
  let outbound = options.instance !== undefined;
  let pongs = true;
  let mayAskLonger = true;
  let cseq = 0;
  let since = Number.POSITIVE_INFINITY;
  let inFlight: AbortController | undefined;
  let again = false;
  let timer: Timer | undefined;
  /** The network came back while a request was under way: if that fails, the next one does not wait. */
  let hurry = false;
  let deaf: (() => void) | undefined;

  const enter = (next: RegistrationState): void => {
    if (ended) return;
    state = next;
    options.onState?.(next);
  };

  const plan = (ms: number): void => {
    timer?.cancel();
    timer = stack.after(ms, () => {
      timer = undefined;
      run();
    });
  };

  const run = (): void => {
    if (ended || !wanted) return;
    if (inFlight !== undefined) {
      again = true;
      return;
    }
    timer?.cancel();
    timer = undefined;
    attempt().catch((error: unknown) => {
      log.error('registering failed', { aor: options.aor, error: String(error) });
      if (!ended) pause(takeDelay(patience, random), { kind: 'failed', reason: String(error) }, 'waiting');
    });
  };

  const build = (flow: Flow, route: readonly string[] | undefined, seconds: number): SipRequest => {
    cseq += 1;
    const instance = options.instance === undefined ? '' : `;+sip.instance="<${options.instance}>"`;
    const regId = outbound ? `;reg-id=${options.regId ?? 1}` : '';
    const headers: Record<string, HeaderInit[string]> = {
      Route: route,
      From: `<${options.aor}>;tag=${identity.fromTag}`,
      To: `<${options.aor}>`,
      // RFC 3261 §10.2: one Call-ID for all registrations of this binding, CSeq rising.
      'Call-ID': identity.callId,
      CSeq: `${cseq} REGISTER`,
      Contact: contactValue(
        contactUri(flow, user, scheme),
        `${instance}${regId}${options.contactParams ?? ''}`,
      ),
      Expires: seconds,
      Supported: options.instance === undefined ? 'path' : outbound ? 'outbound, path, gruu' : 'path, gruu',
      ...options.headers,
    };
    return createRequest({ method: 'REGISTER', uri: registrar, headers });
  };

  const send = async (seconds: number): Promise<Outcome | undefined> => {
    const way = options.way === undefined ? {} : options.way();
    if (way === undefined) return undefined;
    const abort = new AbortController();
    inFlight = abort;
    try {
      const outcome = await sendByWay(stack, way, registrar, (flow) => build(flow, way.route, seconds), {
        ...(options.credentials && { credentials: options.credentials }),
        signal: abort.signal,
      });
      cseq = Math.max(cseq, outcome.request.cseq?.number ?? 0);
      return outcome;
    } finally {
      if (inFlight === abort) inFlight = undefined;
    }
  };

  const attempt = async (): Promise<void> => {
    // A refresh does not show: the registration stands until it fails.
    if (state.kind !== 'registered') enter({ kind: 'registering' });
    const asked = expires;
    const outcome = await send(asked);
    if (ended || !wanted) return;
    if (outcome?.kind === 'response') hurry = false;
    if (outcome === undefined) enter({ kind: 'blocked' });
    else if (outcome.kind === 'response' && outcome.response.status < 300) registered(outcome, asked);
    else failed(outcome, asked);
    if (again) {
      again = false;
      run();
    }
  };

  const registered = (outcome: Outcome & { kind: 'response' }, asked: number): void => {
    const { response, request, flow } = outcome;
    const sent = request.contacts === '*' ? undefined : request.contacts[0];
    const own = ownContact(response, sent, options.instance, outbound ? (options.regId ?? 1) : undefined);
    const told = Number(own?.param('expires') ?? Number.NaN);
    const seconds = Math.min(Number.isFinite(told) ? told : (response.expires ?? asked), asked);
    if (state.kind !== 'registered') since = clock.now();
    resetDelay(patience);
    resetDelay(slowly);
    mayAskLonger = true;
    const observed = observedIn(response.topVia, flow);
    const gruu = own?.param('pub-gruu');
    const tempGruu = own?.param('temp-gruu');
    const info: Registered = {
      expiresAt: clock.now() + seconds * 1000,
      serviceRoute: response.all('Service-Route').map(detach),
      ...(observed && { observed }),
      flow,
      contact: contactUri(flow, user, scheme),
      associated: response.all('P-Associated-URI').map(detach),
      ...(gruu && { gruu: detach(gruu) }),
      ...(tempGruu && { tempGruu: detach(tempGruu) }),
      outbound: isOutbound(response),
    };
    const wish = wishFor(flow, response);
    keeper.keep(flow, wish);
    if (wish && probe && flow.protocol === 'udp' && !wish.stun) probe.start(flow, observed);
    else probe?.stop();
    plan(refreshIn(seconds, random));
    enter({ kind: 'registered', ...info });
  };

  /** How to keep open a flow that this side opened. */
  const wishFor = (flow: Flow, response: SipResponse): KeepAlive | undefined => {
    if (options.keepAlive === false || !flow.opened) return undefined;
    const { datagram, stream, pong } = options.keepAlive ?? keepAliveDefaults;
    const timer = Number(response.get('Flow-Timer') ?? Number.NaN);
    // RFC 5626 §4.4.1: the server's Flow-Timer is the longest time it waits, and so ours less a tenth.
    const interval = timer > 0 ? timer * 900 : flow.reliable ? stream : datagram;
    const promised = timer > 0 || isOutbound(response) || hasOutboundEdge(response);
    // RFC 5626 §8: never STUN to who has not said that it knows it.
    const stun = flow.protocol === 'udp' && promised;
    return { interval, ...((pongs || promised) && { pong }), ...(stun && { stun }) };
  };

  const { keepAlive = keepAliveDefaults } = options;
  const probe =
    keepAlive !== false && keepAlive.probe
      ? createProbe(deps, {
          aor: options.aor,
          server: registrar,
          interval: keepAlive.datagram,
          patience: keepAlive.pong,
        })
      : undefined;

  /** RFC 5626 §4.4: the binding is worth as much as its flow. */
  const keeper = createKeeper((flow, cause) => {
    probe?.stop();
    if (ended || !wanted) return;
    // A server that never promised to answer pings may just not know them: its silence proves nothing twice.
    const silent = (cause as { code?: string } | undefined)?.code === 'SIP_FLOW_SILENT';
    if (silent && flow.reliable) pongs = false;
    if (inFlight === undefined) retry({ kind: 'failed', reason: cause?.message ?? 'the flow was closed' });
  });

  const failed = (outcome: Outcome, asked: number): void => {
    const cause = failureOf(outcome);
    const advice = adviseForRegister(outcome, { expires: asked });
    if (advice.kind === 'longer' && mayAskLonger) {
      mayAskLonger = false;
      expires = advice.expires;
      again = true;
      return;
    }
    if (advice.kind === 'anew' && outbound) {
      outbound = false;
      again = true;
      return;
    }
    // A flow that does not answer is no use, even if it still looks open.
    if (outcome.kind === 'timeout' && outcome.flow?.opened && outcome.flow.reliable) {
      keeper.release();
      probe?.stop();
      outcome.flow.close(new Error('no answer to REGISTER'));
    }
    if (outcome.kind !== 'response') {
      retry(cause);
      return;
    }
    const refused = advice.kind === 'refused' || advice.kind === 'anew';
    const seconds = advice.kind === 'wait' || advice.kind === 'refused' ? advice.seconds : 0;
    pause(takeDelay(refused ? slowly : patience, random, seconds), cause, refused ? 'refused' : 'waiting');
  };

  /** The network failed. The first try comes at once or nearly so; a registration that stood for a minute resets. */
  const retry = (cause: Failure): void => {
    if (clock.now() - since >= stable) resetDelay(flapping);
    pause(hurry ? hurried(random) : takeJittered(flapping, random), cause, 'waiting');
    hurry = false;
  };

  /** S29: a network that comes is not waited for by the back-off, which may have grown to minutes. */
  const reconnected = (): void => {
    if (ended || !wanted) return;
    if (inFlight !== undefined) hurry = true;
    else if (state.kind === 'waiting' && state.cause.kind !== 'response')
      pause(hurried(random), state.cause, 'waiting');
  };

  const pause = (ms: number, cause: Failure, kind: 'waiting' | 'refused'): void => {
    since = Number.POSITIVE_INFINITY;
    plan(ms);
    enter({ kind, retryAt: clock.now() + ms, cause });
  };

  const end = (): void => {
    ended = true;
    wanted = false;
    timer?.cancel();
    keeper.release();
    probe?.stop();
    deaf?.();
    timer = deaf = undefined;
    inFlight?.abort('stopped');
    inFlight = undefined;
  };

  return {
    aor: options.aor,
    get state() {
      return state;
    },
    start() {
      if (ended || wanted) return;
      wanted = true;
      deaf = stack.onAddress(reconnected);
      run();
    },
    wake() {
      if (state.kind === 'blocked' || (state.kind === 'waiting' && state.cause.kind !== 'response')) run();
    },
    refresh: run,
    async remove() {
      if (ended) return;
      wanted = false;
      const bound = state.kind === 'registered' || state.kind === 'registering';
      timer?.cancel();
      timer = undefined;
      inFlight?.abort('removed');
      keeper.release();
      probe?.stop();
      // One try: what does not answer is left to its expiry.
      if (bound) await send(0);
      enter({ kind: 'removed' });
      end();
    },
    stop: end,
  };
}

/** `sip:domain` of an AOR, with its port and no user (RFC 3261 §10.2). */
function registrarOf(aor: string): string {
  const { scheme, host, port } = parseUri(aor);
  const name = host.includes(':') ? `[${host}]` : host;
  return `${scheme === 'sips' ? 'sips' : 'sip'}:${port === undefined ? name : `${name}:${port}`}`;
}

/** RFC 5626 §4.2.1: the registrar has done outbound. */
function isOutbound(response: SipResponse): boolean {
  return response.all('Require').some((tag) => tag.toLowerCase() === 'outbound');
}

/** RFC 5626 §8: the first proxy says so of itself in the Path that comes back. */
function hasOutboundEdge(response: SipResponse): boolean {
  return response.all('Path').some((one) => /;ob(?=[;>=]|$)/i.test(one));
}

/** RFC 3261 §10.2.4 and RFC 5626 §4.2.1: our binding among all those of the AOR. */
function ownContact(
  response: SipResponse,
  sent: NameAddr | undefined,
  instance: string | undefined,
  regId: number | undefined,
): NameAddr | undefined {
  const { contacts } = response;
  if (contacts === '*' || sent === undefined) return undefined;
  const same = (one: NameAddr): boolean => {
    try {
      return equalUri(one.uri, sent.uri);
    } catch {
      return false;
    }
  };
  const mine = contacts.filter(
    (one) =>
      instance !== undefined &&
      one.param('+sip.instance')?.toLowerCase() === `<${instance.toLowerCase()}>` &&
      (regId === undefined || one.param('reg-id') === undefined || one.param('reg-id') === String(regId)),
  );
  return mine.find(same) ?? contacts.find(same) ?? mine[0];
}
