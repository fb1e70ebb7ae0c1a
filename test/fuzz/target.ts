/**
 * A running stack to be fuzzed: UDP and TCP on loopback, digest, an event state compositor and a notifier behind it, a
 * life of its own (see life.ts), and handlers that ask every question one can ask of a message. Whatever it wants to send goes back to the fuzzer, since
 * addresses in mutated messages are anybody's.
 */
import {
  aorOf,
  type Clock,
  createDigestServer,
  createNotifier,
  createPublicationServer,
  createStack,
  createTcpTransport,
  createUdpTransport,
  equalUri,
  formatUri,
  type Incoming,
  type Log,
  multipartOf,
  parseChallenges,
  parseDate,
  parseUri,
  type Random,
  type SipMessage,
  type Stack,
  serialise,
  type Transport,
} from 'tiny-sip';
import { createLife } from './life.ts';

export interface FuzzTarget {
  readonly stack: Stack;
  readonly udpPort: number;
  readonly tcpPort: number;
  /** Where everything goes that the stack sends by itself, or by an address that it read. */
  peer: { udp: number; tcp: number };
  /** Messages that the stack's transports handed up. */
  readonly seen: number;
  /** What should never happen: errors in the log, throws that are no SipSyntaxError. */
  readonly wrongs: readonly string[];
  /** Begins calls, subscriptions and the like towards the peer, and ends those of the last turn. */
  turn(protocol: 'udp' | 'tcp'): void;
  stop(): Promise<void>;
}

/**
 * Time that runs fifty times as fast, so that what a stack keeps for 32 s is gone in less than one, and a long run meets
 * tables that fill and empty.
 */
export function createFastClock(factor = 50): Clock {
  return {
    now: () => performance.now() * factor,
    wall: () => Date.now(),
    after(ms, run) {
      const handle = setTimeout(run, ms / factor);
      return { cancel: () => clearTimeout(handle) };
    },
  };
}

export async function createFuzzTarget(clock: Clock, random: Random): Promise<FuzzTarget> {
  const wrongs: string[] = [];
  const wrong = (text: string, error: unknown): void => {
    if (wrongs.length < 20)
      wrongs.push(`${text}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  };
  const log: Log = {
    debug: () => undefined,
    info: () => undefined,
    warn: () => undefined,
    error: (text, fields) => wrong(text, JSON.stringify(fields)),
  };
  const host = '127.0.0.1';
  const udp = createUdpTransport({ clock, log }, { host, port: 0 });
  const tcp = createTcpTransport({ clock, log, random }, { host, port: 0, queueBytes: 1_000_000 });
  const peer = { udp: 9, tcp: 9 };

  /** Sends to the fuzzer whatever the address. */
  const homing = (transport: Transport, port: () => number): Transport => ({
    protocol: transport.protocol,
    get local() {
      return transport.local;
    },
    start: (receiver) => transport.start(receiver),
    connect: () => transport.connect({ host, port: port() }),
    stop: () => transport.stop(),
    counts: () => transport.counts(),
  });

  const stack = createStack(
    { clock, log, random },
    { transports: [homing(udp, () => peer.udp), homing(tcp, () => peer.tcp)], supported: ['eventlist'] },
  );
  const digest = createDigestServer({ clock, random }, { realm: 'fuzz', lookup: () => ({ password: 'p' }) });
  const notifier = createNotifier(
    { stack, clock, random, log },
    {
      event: 'presence',
      types: ['application/pidf+xml'],
      subscriptions: 200,
      interval: 0,
      authorise: ({ request }) => ({ ok: true, resource: request.uri, watcher: request.from?.uri ?? '' }),
      body: () => ({ contentType: 'application/pidf+xml', content: '<presence/>' }),
    },
  );
  const esc = createPublicationServer(
    { stack, clock, random, log },
    {
      events: { presence: { accept: ['application/pidf+xml', 'text/plain'] } },
      publications: 200,
      authorise: ({ request }) => ({ ok: true, resource: request.uri }),
      store: {
        publish(document) {
          notifier.changed(document.resource);
          return undefined;
        },
        refresh: () => undefined,
        remove: () => undefined,
      },
    },
  );

  const life = createLife({ stack, clock, random, log });

  const asked = (message: SipMessage): void => {
    for (const question of QUESTIONS) {
      try {
        question(message);
      } catch (error) {
        if (!(error instanceof Error) || error.name !== 'SipSyntaxError') wrong('a question threw', error);
      }
    }
  };
  stack.onTrace((direction, _flow, message) => {
    if (direction === 'in') asked(message);
  });
  const answer =
    (status: number) =>
    (incoming: Incoming): void =>
      incoming.respond(status, {
        body: incoming.request.body,
        contentType: incoming.request.get('Content-Type') ?? 'a/b',
      });
  stack.on('MESSAGE', answer(200));
  stack.on('NOTIFY', answer(200));
  stack.on('SUBSCRIBE', notifier.handle);
  stack.on('PUBLISH', esc.handle);
  stack.on('REGISTER', (incoming) => {
    const verdict = digest.check(incoming.request);
    if (!verdict.ok) incoming.respond(verdict.status, { headers: verdict.headers });
    else life.register(incoming);
  });
  await stack.start();

  return {
    stack,
    udpPort: udp.local.port,
    tcpPort: tcp.local.port,
    peer,
    get seen() {
      return (udp.counts().messages ?? 0) + (tcp.counts().messages ?? 0);
    },
    wrongs,
    turn: (protocol) => life.turn({ target: { protocol, host, port: 5060, name: host } }),
    async stop() {
      life.stop();
      notifier.abandon();
      esc.stop();
      await stack.stop();
    },
  };
}

const QUESTIONS: readonly ((of: SipMessage) => unknown)[] = [
  (of) => of.topVia && [of.topVia.branch, of.topVia.received, of.topVia.rport, of.topVia.sentBy],
  (of) => of.vias.map((via) => [...via.params]),
  (of) => [of.from?.display, of.fromTag, of.from?.params, of.from && uri(of.from.uri)],
  (of) => [of.to?.display, of.toTag, of.to?.param('x'), of.to && uri(of.to.uri)],
  (of) => [of.callId, of.cseq, of.expires, of.maxForwards, of.contentLength],
  (of) => of.contacts !== '*' && of.contacts.map((one) => [one.display, one.params, uri(one.uri)]),
  (of) => [...of.routes, ...of.recordRoutes].map((one) => [one.uri, one.params]),
  (of) => [of.event?.params, of.contentType?.params, of.text().length],
  (of) => of.all('WWW-Authenticate').map((one) => parseChallenges(one)),
  (of) => of.all('Authorization').map((one) => parseChallenges(one)),
  (of) => parseDate(of.get('Date') ?? ''),
  (of) =>
    multipartOf(of)?.parts.map((part) => [part.text(), part.contentId, part.multipart()?.root?.content()]),
  (of) => (of.kind === 'request' ? uri(of.uri) : of.reason),
  (of) => [...of.headerNames()].map((name) => [of.get(name), of.all(name), of.lines(name)]),
  (of) => {
    const copy = of.copy();
    copy.removeFirst('Via');
    copy.set('Subject', 'x').add('Route', '<sip:a>').prepend('Via', 'SIP/2.0/UDP a;branch=z9hG4bK1');
    return serialise(copy, { compact: true });
  },
];

function uri(text: string): unknown {
  const parsed = parseUri(text);
  return [aorOf(parsed), equalUri(parsed, text), formatUri(parsed)];
}
