/**
 * The public face as a compiler sees it. `make check` compiles this against the source, and package.test.ts against
 * the declarations that are published, as a user's program. Nothing here runs: what is wrong does not compile, and a
 * `@ts-expect-error` over a line that is right does not either.
 */
import type {
  Algorithm,
  BodyKind,
  DigestClient,
  DigestVerdict,
  Dns,
  EventDeps,
  Failure,
  Flow,
  Incoming,
  LaneRank,
  NameAddr,
  NodeDeps,
  NotifierOptions,
  Notify,
  Outcome,
  ParseResult,
  Protocol,
  Publication,
  PublicationOptions,
  PublicationState,
  PublicationStore,
  PublishVerdict,
  Refusal,
  Registration,
  RegistrationOptions,
  RegistrationState,
  SendOptions,
  SipErrorCode,
  SipHeaders,
  SipMessage,
  SipRequest,
  SipResponse,
  SipUri,
  Stack,
  StackOptions,
  Subscription,
  SubscriptionOptions,
  SubscriptionState,
  SubscriptionVerdict,
  Target,
  TcpOptions,
  TimerValues,
  Transport,
  UserSecret,
  Via,
} from 'tiny-sip';
import {
  type algorithms,
  type checkRequest,
  createDigestClient,
  createDigestServer,
  createLocator,
  createMemoryNetwork,
  createNodeDeps,
  createNotifier,
  createPublication,
  createRegistration,
  createRequest,
  createResponse,
  createStack,
  createSubscription,
  createSystemDns,
  createTcpTransport,
  createUdpTransport,
  formatNameAddr,
  formatUri,
  formatVia,
  parseMessage,
  parseUri,
  SipError,
  SipSyntaxError,
  type serialise,
  type sipErrorKinds,
} from 'tiny-sip';

/** Exactly the same type; `any` is only itself, so a face that decayed to it does not pass. */
type Same<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : { not: [A, B] };
/** `A` may stand where `B` is asked for. */
type Fits<A, B> = [A] extends [B] ? true : { not: [A, B] };
type Is<Claim extends true> = Claim;
/** Keys that may be left out. */
type Optional<T> = { [K in keyof T]-?: object extends Pick<T, K> ? K : never }[keyof T];
type Required<T> = Exclude<keyof T, Optional<T>>;

/** Where a switch over every case must never arrive. */
function never(value: never): never {
  throw new TypeError(`a case that does not exist: ${String(value)}`);
}

// --- outcomes, verdicts and states are unions that a switch can exhaust -------------------------------------------

export function tellOutcome(outcome: Outcome): string {
  // The request that was sent is there in every case, the response only with 'response'.
  const method: string = outcome.request.method;
  // @ts-expect-error
  void outcome.response;
  switch (outcome.kind) {
    case 'response': {
      const flow: Flow = outcome.flow;
      // @ts-expect-error
      void outcome.error;
      return `${method} ${outcome.response.status} ${flow.protocol}`;
    }
    case 'timeout':
      return method;
    case 'failed':
      return outcome.error.message;
    default:
      return never(outcome);
  }
}

export function forgetsOne(outcome: Outcome): string {
  switch (outcome.kind) {
    case 'response':
      return 'response';
    case 'timeout':
      return 'timeout';
    default:
      // @ts-expect-error
      return never(outcome);
  }
}

export function tellParse(result: ParseResult): string {
  // @ts-expect-error
  void result.message;
  if (result.ok) {
    // @ts-expect-error
    void result.code;
    return tellMessage(result.message);
  }
  const partial: SipRequest | undefined = result.partial;
  return `${result.status} ${result.reason} ${result.framingLost} ${partial?.method ?? ''}`;
}

export function tellMessage(message: SipMessage): string {
  // @ts-expect-error
  void message.status;
  switch (message.kind) {
    case 'request':
      // @ts-expect-error
      void message.reason;
      return message.method;
    case 'response':
      // @ts-expect-error
      void message.method;
      return message.reason;
    default:
      return never(message);
  }
}

export function tellDigest(verdict: DigestVerdict): string {
  // @ts-expect-error
  void verdict.user;
  if (verdict.ok) return verdict.user;
  const status: 400 | 401 | 403 | 407 = verdict.status;
  switch (verdict.cause) {
    case 'none':
    case 'stale':
    case 'replay':
    case 'wrong':
    case 'malformed':
    case 'limited':
      return `${status} ${verdict.reason}`;
    default:
      return never(verdict.cause);
  }
}

export function tellRegistration(state: RegistrationState): number {
  switch (state.kind) {
    case 'idle':
    case 'blocked':
    case 'registering':
    case 'removed':
      // @ts-expect-error
      void state.retryAt;
      return 0;
    case 'registered': {
      const routes: readonly string[] = state.serviceRoute;
      return state.expiresAt + routes.length;
    }
    case 'waiting':
    case 'refused':
      return tellFailure(state.cause) + state.retryAt;
    default:
      return never(state);
  }
}

export function tellPublication(state: PublicationState): number {
  switch (state.kind) {
    case 'idle':
    case 'blocked':
    case 'publishing':
    case 'removed':
      return 0;
    case 'published':
      return state.expires + state.tag.length;
    case 'unsuitable':
      return state.status + state.accept.length;
    case 'waiting':
    case 'refused':
      return tellFailure(state.cause) + state.retryAt;
    default:
      return never(state);
  }
}

export function tellSubscription(state: SubscriptionState): number {
  switch (state.kind) {
    case 'idle':
    case 'blocked':
    case 'subscribing':
      return 0;
    case 'pending':
    case 'active':
      return state.expiresAt;
    case 'waiting':
    case 'refused':
      return tellFailure(state.cause) + state.retryAt;
    case 'terminated':
      // @ts-expect-error: there is not always a failure behind it
      return tellFailure(state.cause);
    default:
      return never(state);
  }
}

function tellFailure(failure: Failure): number {
  const kind: 'response' | 'timeout' | 'failed' = failure.kind;
  return (failure.status ?? 0) + kind.length;
}

export type Unions = [
  Is<Same<Outcome['kind'], 'response' | 'timeout' | 'failed'>>,
  Is<Same<SipMessage, SipRequest | SipResponse>>,
  Is<Same<BodyKind, 'initial' | 'modify' | 'replace'>>,
  Is<Same<LaneRank, 'remove' | 'change' | 'refresh'>>,
  Is<Same<Flow['state'], 'connecting' | 'open' | 'closed'>>,
  Is<Same<Notify['state'], 'active' | 'pending' | 'terminated'>>,
  Is<Fits<'udp' | 'tcp' | 'memory', Protocol>>,
  // A union of literals, not any string.
  Is<Same<Fits<string, Protocol> extends true ? 'open' : 'closed', 'closed'>>,
  Is<Fits<'MD5' | 'SHA-256' | 'SHA-512-256', Algorithm>>,
  Is<Fits<SipErrorCode, `SIP_${string}`>>,
  Is<Fits<'SIP_SYNTAX' | 'SIP_FLOW_CLOSED' | 'SIP_TABLE_FULL', SipErrorCode>>,
  Is<Same<SipErrorCode, `SIP_${keyof typeof sipErrorKinds}`>>,
];

// --- reading: absent is undefined, never a guess -----------------------------------------------------------------

export type Reading = [
  Is<Same<SipHeaders['from'], NameAddr | undefined>>,
  Is<Same<SipHeaders['contacts'], readonly NameAddr[] | '*'>>,
  Is<Same<SipHeaders['vias'], readonly Via[]>>,
  Is<Same<SipHeaders['topVia'], Via | undefined>>,
  Is<Same<SipHeaders['expires'], number | undefined>>,
  Is<Same<SipHeaders['body'], Buffer>>,
  Is<Same<ReturnType<SipHeaders['get']>, string | undefined>>,
  Is<Same<ReturnType<SipHeaders['all']>, readonly string[]>>,
  Is<Same<ReturnType<typeof parseUri>, SipUri>>,
  Is<Same<ReturnType<typeof parseMessage>, ParseResult>>,
  Is<Same<ReturnType<typeof checkRequest>, Refusal | undefined>>,
  Is<Same<ReturnType<typeof serialise>, Buffer>>,
  Is<Same<ReturnType<NameAddr['param']>, string | undefined>>,
];

export function reads(request: SipRequest): string {
  // @ts-expect-error: there may be no From
  void request.from.uri;
  // @ts-expect-error: `Contact: *` is no list
  void request.contacts.map;
  // @ts-expect-error: what was read is changed by setters
  request.callId = 'x';
  // @ts-expect-error
  request.method = 'BYE';
  // @ts-expect-error
  request.vias.push(request.topVia);
  // @ts-expect-error: a set of own methods, not a Map
  void request.headers;
  request.uri = 'sip:bob@example.com';
  const chained: SipRequest = request.set('Subject', 'x').add('Accept', ['a/b', 'c/d']).remove('Date').copy();
  return chained.from?.display ?? chained.fromTag ?? '';
}

// --- writing: what is no header value, URI part or status is refused ----------------------------------------------

export function writes(request: SipRequest): readonly SipMessage[] {
  const headers = { From: '<sip:a@example.com>', Expires: 60, Accept: ['a/b', 'c/d'], Subject: undefined };
  const made: SipRequest = createRequest({
    method: 'MESSAGE',
    uri: 'sip:b@example.com',
    headers,
    body: 'hi',
  });
  const bytes: SipRequest = createRequest({
    method: 'MESSAGE',
    uri: 'sip:b@example.com',
    body: Buffer.of(1),
  });
  // @ts-expect-error: a date is no header value
  createRequest({ method: 'MESSAGE', uri: 'sip:b@example.com', headers: { Date: new Date(0) } });
  // @ts-expect-error: nor is an object
  request.set('From', { uri: 'sip:a@example.com' });
  // @ts-expect-error: nor null
  request.set('Subject', null);
  // @ts-expect-error: nor a truth
  request.add('Subject', true);
  // @ts-expect-error: nor a list of numbers
  request.prepend('Via', [1, 2]);
  // @ts-expect-error: no Request-URI
  createRequest({ method: 'MESSAGE' });
  // @ts-expect-error: a parsed URI is not written by itself
  createRequest({ method: 'MESSAGE', uri: parseUri('sip:b@example.com') });
  // @ts-expect-error: a body is text or bytes
  createRequest({ method: 'MESSAGE', uri: 'sip:b@example.com', body: { hello: 1 } });
  // @ts-expect-error: an option that does not exist
  createRequest({ method: 'MESSAGE', uri: 'sip:b@example.com', heads: {} });
  // @ts-expect-error: a status is a number
  createResponse(request, '200');
  // @ts-expect-error: a response answers a request
  createResponse(createResponse(request, 200), 200);
  // @ts-expect-error: a port is a number
  formatUri({ host: 'example.com', port: '5060' });
  // @ts-expect-error: a Via needs its sent-by
  formatVia({ transport: 'UDP' });
  formatNameAddr({ uri: 'sip:a@example.com', params: { tag: 'x', lr: true, q: 1, none: undefined } });
  // @ts-expect-error
  formatNameAddr({ uri: 'sip:a@example.com', params: { lr: false } });
  // @ts-expect-error: bytes, not text
  parseMessage('OPTIONS sip:a@example.com SIP/2.0\r\n\r\n');
  return [made, bytes, createResponse(made, 200, { toTag: 'x', reason: 'Fine' })];
}

// --- making: what must be given, what may be -------------------------------------------------------------------

export type Options = [
  Is<Same<Required<StackOptions>, 'transports'>>,
  Is<Same<Required<SendOptions>, never>>,
  Is<Same<Required<RegistrationOptions>, 'aor'>>,
  Is<Same<Required<PublicationOptions>, 'aor' | 'way' | 'body'>>,
  Is<Same<Required<SubscriptionOptions>, 'resource' | 'from'>>,
  Is<Same<Required<NotifierOptions>, 'event' | 'types' | 'authorise' | 'body'>>,
  Is<Fits<NodeDeps, Parameters<typeof createStack>[0]>>,
  Is<Fits<EventDeps, Parameters<typeof createRegistration>[0]>>,
  Is<Fits<Partial<TimerValues>, NonNullable<StackOptions['timers']>>>,
  Is<Same<ReturnType<typeof createStack>, Stack>>,
  Is<Same<ReturnType<Stack['send']>, Promise<Outcome>>>,
  Is<Same<ReturnType<Stack['on']>, () => void>>,
  Is<Same<ReturnType<typeof createUdpTransport>, Transport>>,
  Is<Same<ReturnType<typeof createTcpTransport>, Transport>>,
  Is<Same<ReturnType<typeof createSystemDns>, Dns>>,
  Is<Same<ReturnType<typeof createDigestClient>, DigestClient>>,
  Is<Same<ReturnType<typeof createRegistration>, Registration>>,
  Is<Same<ReturnType<typeof createPublication>, Publication>>,
  Is<Same<ReturnType<typeof createSubscription>, Subscription>>,
  Is<Fits<Algorithm, (typeof algorithms)[number]>>,
  Is<Same<Parameters<Stack['on']>[1], (incoming: Incoming) => void | Promise<void>>>,
  Is<Fits<SipErrorCode, SipError['code']>>,
  Is<Fits<SipSyntaxError, Error>>,
  Is<Same<SipSyntaxError['status'], number>>,
];

export async function makes(store: PublicationStore): Promise<void> {
  const deps = createNodeDeps();
  const udp = createUdpTransport(deps, { host: '127.0.0.1', port: 0 });
  const tcp = createTcpTransport(deps, { listen: false });
  // @ts-expect-error: where to listen
  createTcpTransport(deps, {});
  // @ts-expect-error: a port without a host
  const half: TcpOptions = { port: 5060 };
  const memory = createMemoryNetwork(deps).transport({ host: 'a', port: 1 });
  const locator = createLocator({ ...deps, dns: createSystemDns });
  // @ts-expect-error: a resolver is made anew after a failure, so its maker is asked for
  createLocator({ ...deps, dns: createSystemDns() });
  const stack = createStack({ ...deps, locator }, { transports: [udp, tcp, memory], timers: { t1: 500 } });
  // @ts-expect-error: no transports
  createStack(deps, {});
  // @ts-expect-error: no clock
  createStack({ random: deps.random, log: deps.log }, { transports: [udp] });
  // @ts-expect-error: a limit is a number
  createStack(deps, { transports: [udp], limits: { datagram: '1300' } });

  const off: () => void = stack.on('MESSAGE', (incoming) => {
    incoming.respond(200, { headers: { Accept: ['text/plain'] } });
    // @ts-expect-error: a status is needed
    incoming.respond();
    // @ts-expect-error: a request is no answer
    incoming.respondWith(incoming.request);
  });
  off();

  const target: Target = { protocol: 'udp', host: '127.0.0.1', port: 5060, name: 'example.com' };
  // @ts-expect-error: a protocol that no transport has
  const carrier: Target = { ...target, protocol: 'pigeon' };
  const request = createRequest({ method: 'OPTIONS', uri: 'sip:example.com' });
  const outcome = await stack.send(request, { target, signal: AbortSignal.timeout(1000) });
  // @ts-expect-error: an outcome is no response
  void outcome.status;
  // @ts-expect-error: only requests are sent
  await stack.send(createResponse(request, 200));

  const credentials = createDigestClient(deps, { username: 'alice', password: 'secret' });
  // @ts-expect-error: whose password
  createDigestClient(deps, { password: 'secret' });
  // @ts-expect-error: hashes by algorithm
  createDigestClient(deps, { username: 'alice', ha1: { SHA1: '00' } });
  createDigestServer(deps, { realm: 'r', lookup: (): UserSecret | undefined => ({ ha1: { MD5: '00' } }) });
  // @ts-expect-error: a user has a password or hashes
  createDigestServer(deps, { realm: 'r', lookup: () => ({ name: 'alice' }) });

  const event: EventDeps = { stack, ...deps };
  createRegistration(event, {
    aor: 'sip:a@example.com',
    credentials,
    keepAlive: false,
    onState: tellRegistration,
  });
  // @ts-expect-error: all three or none
  createRegistration(event, { aor: 'sip:a@example.com', keepAlive: { datagram: 25_000 } });
  createPublication(event, {
    aor: 'sip:a@example.com',
    way: () => undefined,
    body: (kind) => (kind === 'modify' ? undefined : { contentType: 'a/b', content: '', token: kind }),
    onState: tellPublication,
  });
  createSubscription(event, {
    resource: 'sip:b@example.com',
    from: 'sip:a@example.com',
    onNotify: (notify) => (notify.body.length === 0 ? undefined : { status: 415 }),
    onState: tellSubscription,
  });
  createNotifier(event, {
    event: 'presence',
    types: ['application/pidf+xml'],
    authorise: async (): Promise<SubscriptionVerdict> => ({ ok: true, resource: 'a', watcher: 'b' }),
    body: (subscription) => ({ contentType: subscription.accept[0] ?? '', content: '' }),
  });
  createNotifier(event, {
    event: 'presence',
    types: ['application/pidf+xml'],
    // @ts-expect-error: a refusal has a status
    authorise: () => ({ ok: false }),
    body: () => undefined,
  });
  // @ts-expect-error: a verdict that grants names its resource
  const granted: PublishVerdict = { ok: true };
  await store.publish(
    { resource: 'a', event: 'presence', tag: 't', expiresAt: 0, contentType: 'a/b', body: Buffer.alloc(0) },
    undefined,
  );
  void [half, carrier, granted];
}

export function catches(error: unknown): string {
  if (error instanceof SipSyntaxError) return `${error.what} ${error.status}`;
  if (error instanceof SipError) {
    // @ts-expect-error: a code that does not exist
    if (error.code === 'SIP_NO_SUCH') return '';
    return `${error.code} ${error.remedy} ${error.sip ?? ''}`;
  }
  // @ts-expect-error
  new SipError('NO_SUCH');
  return '';
}
