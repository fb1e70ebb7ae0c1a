import {
  type Address,
  createResponse,
  type Flow,
  type Incoming,
  type Protocol,
  parseMessage,
  type SipRequest,
  type SipResponse,
} from 'tiny-sip';

/** A flow that keeps what is sent over it. */
export interface FakeFlow extends Flow {
  readonly sent: Buffer[];
}

let flows = 0;

export function fakeFlow(
  protocol: Protocol = 'udp',
  remote: Address = { host: '192.0.2.1', port: 5070 },
): FakeFlow {
  const sent: Buffer[] = [];
  return {
    id: ++flows,
    protocol,
    reliable: protocol !== 'udp',
    local: { host: '192.0.2.254', port: 5060 },
    remote,
    opened: false,
    state: 'open',
    sent,
    ready: async () => {},
    send: async (bytes: Buffer) => void sent.push(bytes),
    keepAlive: () => () => {},
    onClose: () => () => {},
    close: () => {},
  };
}

/** A request as text; lines may be indented. */
export function request(text: string): SipRequest {
  const wire = `${text.trim().replace(/\n\s*/g, '\r\n')}\r\n\r\n`;
  const parsed = parseMessage(Buffer.from(wire));
  if (!parsed.ok || parsed.message.kind !== 'request')
    throw new Error(`no request: ${JSON.stringify(parsed)}`);
  return parsed.message;
}

/** A request that arrived, and the response that it got. */
export function arrive(
  message: SipRequest,
  flow: Flow = fakeFlow(),
): Incoming & { readonly response: SipResponse } {
  let final: SipResponse | undefined;
  return {
    request: message,
    flow,
    toTag: 'edge',
    onCancel: () => undefined,
    get responded() {
      return final !== undefined;
    },
    respond(status, init = {}) {
      final ??= createResponse(message, status, { ...init, toTag: 'edge' });
    },
    respondWith(response) {
      final ??= response;
    },
    get response() {
      if (!final) throw new Error('no response');
      return final;
    },
  };
}
