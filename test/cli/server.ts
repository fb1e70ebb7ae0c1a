import {
  createRequest,
  createStack,
  createTcpTransport,
  createUdpTransport,
  type Flow,
  type Incoming,
  type SipRequest,
  type Stack,
} from 'tiny-sip';
import { createSystemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { createSystemRandom } from '../../src/base/random.ts';

/** A SIP server that does what a test says. */
export interface ScriptedServer {
  readonly stack: Stack;
  /** For `--server`. */
  readonly tcp: string;
  readonly udp: string;
  /** Port of both. */
  readonly port: number;
  /** Requests that came, by method. */
  readonly seen: SipRequest[];
  on(method: string, handler: (incoming: Incoming) => void): void;
  /** Answers REGISTER as a registrar does. */
  registers(): void;
  /** Sends a NOTIFY within the dialog that this SUBSCRIBE made. */
  notify(incoming: Incoming, state: string, body?: string, contentType?: string): Promise<number>;
  /** Sends a MESSAGE to whoever is at the other end of a flow. */
  message(flow: Flow, from: string, to: string, text: string, contentType?: string): Promise<number>;
  stop(): Promise<void>;
}

export async function startServer(): Promise<ScriptedServer> {
  const deps = { clock: createSystemClock(), random: createSystemRandom(), log: silentLog };
  const tcp = createTcpTransport(deps, { host: '127.0.0.1', port: 0 });
  const udp = createUdpTransport(deps, { host: '127.0.0.1', port: 0 });
  const stack = createStack(deps, { transports: [tcp, udp], timers: { t1: 50, t2: 200 } });
  await stack.start();
  const seen: SipRequest[] = [];
  const contact = `<sip:127.0.0.1:${tcp.local.port};transport=tcp>`;
  let cseq = 0;

  const sendOn = async (flow: Flow, request: SipRequest): Promise<number> => {
    const outcome = await stack.send(request, { flow });
    return outcome.kind === 'response' ? outcome.response.status : 0;
  };

  const on = (method: string, handler: (incoming: Incoming) => void): void => {
    stack.on(method, (incoming) => {
      seen.push(incoming.request);
      handler(incoming);
    });
  };

  return {
    stack,
    seen,
    tcp: `tcp:127.0.0.1:${tcp.local.port}`,
    udp: `udp:127.0.0.1:${udp.local.port}`,
    port: udp.local.port,
    on,
    registers() {
      on('REGISTER', (incoming) => {
        const bound = incoming.request.get('Contact') ?? '';
        const gone = incoming.request.expires === 0;
        incoming.respond(200, gone ? {} : { headers: { Contact: `${bound};expires=120` } });
      });
    },
    notify({ request, flow, toTag }, state, body = '', contentType = 'application/pidf+xml') {
      cseq += 1;
      const [target] = request.contacts === '*' ? [] : request.contacts;
      return sendOn(
        flow,
        createRequest({
          method: 'NOTIFY',
          uri: target?.uri ?? '',
          headers: {
            From: `${request.get('To')};tag=${toTag}`,
            To: request.get('From'),
            'Call-ID': request.callId,
            CSeq: `${cseq} NOTIFY`,
            Contact: contact,
            Event: 'presence',
            'Subscription-State': state,
            ...(body !== '' && { 'Content-Type': contentType }),
          },
          body,
        }),
      );
    },
    message: (flow, from, to, text, contentType = 'text/plain') =>
      sendOn(
        flow,
        createRequest({
          method: 'MESSAGE',
          uri: to,
          headers: { From: `<${from}>`, To: `<${to}>`, 'Content-Type': contentType },
          body: text,
        }),
      ),
    stop: () => stack.stop(),
  };
}
