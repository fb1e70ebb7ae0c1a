/** SIP as the phone of the tests speaks it: written apart from tiny-sip, so that no mistake is shared. */
import { createHash } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { connect } from 'node:net';

export interface WireMessage {
  /** Request line or status line. */
  first: string;
  method: string | undefined;
  status: number | undefined;
  headers: readonly (readonly [name: string, value: string])[];
  body: string;
}

/** One socket to one server. */
export interface Link {
  readonly protocol: 'udp' | 'tcp';
  readonly localPort: number;
  send(text: string): void;
  close(): void;
}

const LONG: Readonly<Record<string, string>> = {
  v: 'via',
  f: 'from',
  t: 'to',
  i: 'call-id',
  m: 'contact',
  l: 'content-length',
  c: 'content-type',
  o: 'event',
  e: 'content-encoding',
  k: 'supported',
};

export function header(message: WireMessage, name: string): string | undefined {
  return message.headers.find(([key]) => key === name)?.[1];
}

export function headers(message: WireMessage, name: string): string[] {
  return message.headers.filter(([key]) => key === name).map(([, value]) => value);
}

export function readWire(text: string): WireMessage {
  const split = text.indexOf('\r\n\r\n');
  const [first = '', ...lines] = text.slice(0, split).split('\r\n');
  const status = /^SIP\/2\.0 (\d{3})/.exec(first)?.[1];
  return {
    first,
    method: status === undefined ? first.split(' ')[0] : undefined,
    status: status === undefined ? undefined : Number(status),
    headers: lines.map((line) => {
      const colon = line.indexOf(':');
      const name = line.slice(0, colon).trim().toLowerCase();
      return [LONG[name] ?? name, line.slice(colon + 1).trim()] as const;
    }),
    body: text.slice(split + 4),
  };
}

export async function openLink(
  protocol: 'udp' | 'tcp',
  port: number,
  receive: (message: WireMessage) => void,
): Promise<Link> {
  if (protocol === 'udp') {
    const socket = createSocket('udp4');
    socket.on('message', (bytes) => {
      if (bytes.length > 4) receive(readWire(bytes.toString('utf8')));
    });
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.bind(0, '127.0.0.1', resolve);
    });
    socket.on('error', () => {});
    return {
      protocol,
      localPort: socket.address().port,
      send: (text) => socket.send(text, port, '127.0.0.1'),
      close: () => socket.close(),
    };
  }
  const socket = connect(port, '127.0.0.1');
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.once('connect', resolve);
  });
  socket.on('error', () => {});
  socket.on(
    'data',
    splitStream((bytes) => receive(readWire(bytes.toString('utf8')))),
  );
  return {
    protocol,
    localPort: socket.localPort ?? 0,
    send: (text) => void socket.write(text),
    close: () => socket.destroy(),
  };
}

/** Cuts a stream into messages by their Content-Length; keep-alive line ends are dropped. */
export function splitStream(message: (bytes: Buffer) => void): (chunk: Buffer) => void {
  let rest = Buffer.alloc(0);
  return (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    for (;;) {
      while (rest[0] === 13 || rest[0] === 10) rest = rest.subarray(1);
      const end = rest.indexOf('\r\n\r\n');
      if (end < 0) return;
      const head = rest.toString('latin1', 0, end);
      const length = Number(/^(?:content-length|l)\s*:\s*(\d+)/im.exec(head)?.[1] ?? 0);
      if (rest.length < end + 4 + length) return;
      const one = rest.subarray(0, end + 4 + length);
      rest = rest.subarray(end + 4 + length);
      message(one);
    }
  };
}

/** Answers a WWW-Authenticate or Proxy-Authenticate value (RFC 2617 with qop=auth, RFC 8760 SHA-256). */
export function digestAnswer(
  challenge: string,
  who: { user: string; password: string },
  what: { method: string; uri: string; count: number },
): string {
  const field = (name: string): string | undefined =>
    new RegExp(`\\b${name}=(?:"([^"]*)"|([^,\\s]*))`, 'i')
      .exec(challenge)
      ?.slice(1)
      .find((one) => one !== undefined);
  const realm = field('realm') ?? '';
  const nonce = field('nonce') ?? '';
  const algorithm = field('algorithm') ?? 'MD5';
  const opaque = field('opaque');
  const hash = (text: string): string =>
    createHash(algorithm.toUpperCase() === 'SHA-256' ? 'sha256' : 'md5')
      .update(text)
      .digest('hex');
  const cnonce = hash(`${nonce}${what.count}${what.method}`).slice(0, 16);
  const nc = what.count.toString(16).padStart(8, '0');
  const ha1 = hash(`${who.user}:${realm}:${who.password}`);
  const ha2 = hash(`${what.method}:${what.uri}`);
  const qop = field('qop') !== undefined;
  const response = hash(qop ? `${ha1}:${nonce}:${nc}:${cnonce}:auth:${ha2}` : `${ha1}:${nonce}:${ha2}`);
  return [
    `Digest username="${who.user}", realm="${realm}", nonce="${nonce}", uri="${what.uri}"`,
    `response="${response}", algorithm=${algorithm}`,
    ...(qop ? [`qop=auth, cnonce="${cnonce}", nc=${nc}`] : []),
    ...(opaque === undefined ? [] : [`opaque="${opaque}"`]),
  ].join(', ');
}
