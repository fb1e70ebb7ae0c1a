/**
 * A SIP server inside the process: a transport whose every request is answered 200 in the next turn of the loop, so
 * that a figure holds the agent's work and hardly anything else.
 */
import { createHash } from 'node:crypto';
import { type Address, type Flow, parseMessage, type Receiver, type Transport } from 'tiny-sip';

export interface Stub {
  readonly transport: Transport;
  /** Hears each request the moment it is handed to the transport. */
  onSent(listener: (method: string, bytes: Buffer) => void): void;
}

export interface StubOptions {
  /** Challenges requests that carry no credentials; any credentials will do. */
  digest?: 'MD5' | 'SHA-256';
}

const SERVER: Address = { host: '127.0.0.1', port: 5060 };
const CLIENT: Address = { host: '127.0.0.1', port: 40_000 };

export function createStub(options: StubOptions = {}): Stub {
  const listeners: ((method: string, bytes: Buffer) => void)[] = [];
  let receiver: Receiver | undefined;
  let flows = 0;
  let tags = 0;

  const answerTo = (text: string): Buffer => {
    const line = (names: string): string =>
      new RegExp(`^(?:${names})\\s*:\\s*(.*)$`, 'im').exec(text)?.[1]?.trim() ?? '';
    const method = text.slice(0, text.indexOf(' '));
    const challenged = options.digest !== undefined && !/^(?:proxy-)?authorization\s*:/im.test(text);
    const to = line('to|t');
    const more: string[] = [];
    if (challenged) {
      const nonce = createHash('md5').update(String(tags)).digest('base64');
      more.push(
        `Proxy-Authenticate: Digest realm="test.local", nonce="${nonce}", qop="auth", algorithm=${options.digest}`,
      );
    } else if (method === 'PUBLISH') {
      tags += 1;
      more.push(`SIP-ETag: a.1795231859.11258.${tags}.0`, `Expires: ${line('expires') || '120'}`);
    } else if (method === 'REGISTER') {
      more.push(`Contact: ${line('contact|m')};expires=3600`);
    } else if (method === 'OPTIONS') {
      more.push('Accept: application/pidf+xml, application/pidf-diff+xml');
    }
    const lines = [
      challenged ? 'SIP/2.0 407 Proxy Authentication Required' : 'SIP/2.0 200 OK',
      `Via: ${line('via|v')}`,
      `From: ${line('from|f')}`,
      `To: ${/;\s*tag=/.test(to) ? to : `${to};tag=stub`}`,
      `Call-ID: ${line('call-id|i')}`,
      `CSeq: ${line('cseq')}`,
      ...more,
      'Content-Length: 0',
      '',
      '',
    ];
    return Buffer.from(lines.join('\r\n'));
  };

  const open = (): Flow => {
    flows += 1;
    const flow: Flow = {
      id: flows,
      protocol: 'tcp',
      reliable: true,
      local: CLIENT,
      remote: SERVER,
      opened: true,
      state: 'open',
      ready: () => Promise.resolve(),
      send(bytes) {
        const end = bytes.indexOf(' ');
        const method = bytes.toString('latin1', 0, end);
        for (const listener of listeners) listener(method, bytes);
        if (method !== 'SIP/2.0') {
          setImmediate(() => {
            const answer = answerTo(bytes.toString('latin1'));
            receiver?.message(flow, answer, parseMessage(answer));
          });
        }
        return Promise.resolve();
      },
      keepAlive: () => () => undefined,
      onClose: () => () => {},
      close() {},
    };
    return flow;
  };

  let flow: Flow | undefined;
  return {
    transport: {
      protocol: 'tcp',
      local: CLIENT,
      start(one) {
        receiver = one;
        return Promise.resolve();
      },
      connect() {
        flow ??= open();
        return flow;
      },
      stop: () => Promise.resolve(),
      counts: () => ({}),
    },
    onSent: (listener) => void listeners.push(listener),
  };
}
