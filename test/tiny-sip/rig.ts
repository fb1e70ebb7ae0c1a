/** What the tests of the upper half share: a fake clock, a network in memory, stacks on it, and scripted peers. */
import {
  type Address,
  createMemoryNetwork,
  createResponse,
  createStack,
  type Fate,
  type Flow,
  type HeaderInit,
  type Log,
  type MemoryNetwork,
  parseMessage,
  type SipMessage,
  type SipRequest,
  type SipResponse,
  type Stack,
  type StackOptions,
  serialise,
  type Transport,
} from 'tiny-sip';
import { createFakeClock, type FakeClock } from '../support/fake-clock.ts';
import { createFakeRandom } from '../support/fake-random.ts';
import { faultyTransport, watchedStack } from '../support/faults.ts';

/** Counts what is logged, by level; keeps the texts. */
export interface QuietLog extends Log {
  readonly lines: { readonly level: string; readonly text: string }[];
}

export function createQuietLog(): QuietLog {
  const lines: { level: string; text: string }[] = [];
  const at = (level: string) => (text: string) => void lines.push({ level, text });
  return { lines, debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

/** A peer without a stack: keeps what arrives, and says what the test tells it to. */
export interface Peer {
  readonly address: Address;
  readonly received: SipMessage[];
  /** Flow of the last message. */
  readonly flow: Flow;
  requests(method?: string): readonly SipRequest[];
  responses(status?: number): readonly SipResponse[];
  /** The last request of that method; fails when there is none. */
  last(method?: string): SipRequest;
  /** Answers a request by the flow it came by. */
  answer(request: SipRequest, status: number, headers?: HeaderInit, body?: string, toTag?: string): void;
  /** Sends raw text (LF becomes CRLF) or a message. */
  send(to: Address, message: string | SipMessage): void;
  /** Called for each request that arrives. */
  onRequest: ((request: SipRequest) => void) | undefined;
  readonly transport: Transport;
}

export interface Rig {
  readonly clock: FakeClock;
  readonly log: QuietLog;
  readonly network: MemoryNetwork;
  /** A started stack at that host, port 5060. */
  stack(host: string, options?: Partial<StackOptions>, transports?: readonly Transport[]): Promise<Stack>;
  peer(host: string, port?: number): Promise<Peer>;
  /** Another network on the same clock, e.g. for TCP beside UDP. */
  other(protocol: 'tcp' | 'udp'): MemoryNetwork;
  peerOn(network: MemoryNetwork, host: string, port?: number): Promise<Peer>;
}

let seed = 1;

export function createRig(options: { protocol?: 'udp' | 'tcp' | 'memory'; fate?: Fate } = {}): Rig {
  const clock = createFakeClock();
  const log = createQuietLog();
  const protocol = options.protocol ?? 'udp';
  const network = createMemoryNetwork({ clock }, { protocol, ...(options.fate && { fate: options.fate }) });

  const peerOn = async (on: MemoryNetwork, host: string, port = 5060): Promise<Peer> => {
    const transport = on.transport({ host, port });
    const flows = new Map<SipMessage, Flow>();
    let last: Flow | undefined;
    const peer: Peer = {
      address: { host, port },
      received: [],
      transport,
      onRequest: undefined,
      get flow() {
        if (last === undefined) throw new Error(`${host} has received nothing`);
        return last;
      },
      requests: (method) =>
        peer.received.filter(
          (one): one is SipRequest =>
            one.kind === 'request' && (method === undefined || one.method === method),
        ),
      responses: (status) =>
        peer.received.filter(
          (one): one is SipResponse =>
            one.kind === 'response' && (status === undefined || one.status === status),
        ),
      last(method) {
        const found = peer.requests(method).at(-1);
        if (found === undefined) throw new Error(`${host} has received no ${method ?? 'request'}`);
        return found;
      },
      answer(request, status, headers, body, toTag = 'peer') {
        const response = createResponse(request, status, {
          headers,
          body,
          toTag: status === 100 ? undefined : toTag,
        });
        flows.get(request)?.send(serialise(response));
      },
      send(to, message) {
        const bytes = typeof message === 'string' ? wire(message) : serialise(message);
        transport.connect(to).send(bytes);
      },
    };
    await transport.start({
      message(flow, _bytes, parsed) {
        if (!parsed.ok) throw new Error(`${host} got what it cannot read: ${parsed.reason}`);
        peer.received.push(parsed.message);
        flows.set(parsed.message, flow);
        last = flow;
        if (parsed.message.kind === 'request') peer.onRequest?.(parsed.message);
      },
      closed: () => undefined,
      broken: () => undefined,
    });
    return peer;
  };

  return {
    clock,
    log,
    network,
    async stack(host, stackOptions = {}, transports = []) {
      const stack = createStack(
        { clock, log, random: createFakeRandom(seed++) },
        {
          transports: [network.transport({ host, port: 5060 }), ...transports].map(faultyTransport),
          ...stackOptions,
        },
      );
      await stack.start();
      return watchedStack(stack, clock);
    },
    peer: (host, port) => peerOn(network, host, port),
    other: (wanted) => createMemoryNetwork({ clock }, { protocol: wanted }),
    peerOn,
  };
}

/** Text with LF line ends to bytes with CRLF; a body follows the empty line as it is. */
export function wire(text: string): Buffer {
  return Buffer.from(text.replace(/\r?\n/g, '\r\n'), 'utf8');
}

/** A request as it would arrive, for scripted peers. */
export function read(text: string): SipRequest {
  const parsed = parseMessage(wire(text));
  if (!parsed.ok || parsed.message.kind !== 'request') throw new Error(`not a request: ${text}`);
  return parsed.message;
}

/** A request text with the usual headers. `headers` come after them, each line without its end. */
export function text(
  method: string,
  uri: string,
  init: {
    readonly via?: string;
    readonly branch?: string;
    readonly from?: string;
    readonly to?: string;
    readonly callId?: string;
    readonly cseq?: number;
    readonly headers?: readonly string[];
    readonly body?: string;
  } = {},
): string {
  const body = init.body ?? '';
  return [
    `${method} ${uri} SIP/2.0`,
    init.via ?? `Via: SIP/2.0/UDP 10.0.0.9;branch=${init.branch ?? 'z9hG4bKtest'};rport`,
    'Max-Forwards: 70',
    `From: ${init.from ?? '<sip:alice@example.com>;tag=alice'}`,
    `To: ${init.to ?? `<${uri}>`}`,
    `Call-ID: ${init.callId ?? 'call-1'}`,
    `CSeq: ${init.cseq ?? 1} ${method}`,
    ...(init.headers ?? []),
    `Content-Length: ${Buffer.byteLength(body)}`,
    '',
    body,
  ].join('\n');
}
