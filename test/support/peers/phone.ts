/** A phone for tests: registers, watches, chats. It speaks for itself over raw sockets and shares no code with us. */
import { randomBytes } from 'node:crypto';
import { digestAnswer, header, headers, type Link, openLink, type WireMessage } from './phone-wire.ts';
import { within } from './program.ts';
import { watched } from './watched.ts';

export interface PhoneOptions {
  user: string;
  password: string;
  domain: string;
  /** Of the server, on 127.0.0.1. */
  port: number;
  protocol?: 'udp' | 'tcp';
  /** What it answers to a MESSAGE. */
  answer?: (message: WireMessage) => number;
}

export interface Notification {
  aor: string;
  body: string;
  contentType: string | undefined;
  state: string;
  /** process.hrtime milliseconds at arrival. */
  at: number;
  message: WireMessage;
}

export interface Chat {
  from: string;
  text: string;
  contentType: string | undefined;
  message: WireMessage;
}

export interface Phone {
  readonly aor: string;
  readonly localPort: number;
  readonly notifications: readonly Notification[];
  readonly chats: readonly Chat[];
  /** All of these answer with the final response. */
  register(expires?: number): Promise<WireMessage>;
  subscribe(aor: string, options?: { expires?: number; accept?: string }): Promise<WireMessage>;
  message(
    aor: string,
    text: string,
    extra?: { headers?: readonly string[]; contentType?: string; callId?: string; cseq?: number },
  ): Promise<WireMessage>;
  publish(
    body: string,
    options?: { tag?: string; expires?: number; contentType?: string; aor?: string },
  ): Promise<WireMessage>;
  options(uri: string): Promise<WireMessage>;
  /** The first notification, of the past or the future, that satisfies. */
  notified(satisfies: (one: Notification) => boolean, ms?: number): Promise<Notification>;
  chatted(satisfies: (one: Chat) => boolean, ms?: number): Promise<Chat>;
  close(): void;
}

const RETRANSMIT = 500;

export async function createPhone(options: PhoneOptions): Promise<Phone> {
  const { user, password, domain, port, protocol = 'udp' } = options;
  const aor = `sip:${user}@${domain}`;
  const token = (): string => randomBytes(6).toString('hex');
  const registerCallId = `${token()}@phone`;
  const waiting = new Map<string, (response: WireMessage) => void>();
  const notifications = watched<Notification>();
  const chats = watched<Chat>();
  const challenges = new Map<string, { value: string; header: string; count: number }>();
  const dialogs = new Map<string, string>();
  let cseq = Math.floor(Math.random() * 1000) + 1;

  const link: Link = await openLink(protocol, port, (message) => {
    if (message.status !== undefined) {
      if (message.status < 200) return;
      waiting.get(header(message, 'via')?.match(/branch=([^;,\s]+)/)?.[1] ?? '')?.(message);
      return;
    }
    serve(message);
  });
  const contact = `<sip:${user}@127.0.0.1:${link.localPort};transport=${protocol}>`;

  const serve = (message: WireMessage): void => {
    const respond = (status: number, extra: readonly string[] = []): void => {
      const to = header(message, 'to') ?? '';
      link.send(
        [
          `SIP/2.0 ${status} ${status < 300 ? 'OK' : 'No'}`,
          ...headers(message, 'via').map((via) => `Via: ${via}`),
          ...headers(message, 'record-route').map((route) => `Record-Route: ${route}`),
          `From: ${header(message, 'from')}`,
          `To: ${/;\s*tag=/.test(to) ? to : `${to};tag=${user}`}`,
          `Call-ID: ${header(message, 'call-id')}`,
          `CSeq: ${header(message, 'cseq')}`,
          ...extra,
          'Content-Length: 0',
          '',
          '',
        ].join('\r\n'),
      );
    };
    if (message.method === 'NOTIFY') {
      const watchedAor = dialogs.get(header(message, 'call-id') ?? '');
      if (watchedAor === undefined) {
        respond(481);
        return;
      }
      respond(200);
      notifications.add({
        aor: watchedAor,
        body: message.body,
        contentType: header(message, 'content-type'),
        state: header(message, 'subscription-state') ?? '',
        at: performance.now(),
        message,
      });
    } else if (message.method === 'MESSAGE') {
      respond(options.answer?.(message) ?? 200);
      chats.add({
        from: /sip:[^>;]+/.exec(header(message, 'from') ?? '')?.[0] ?? '',
        text: message.body,
        contentType: header(message, 'content-type'),
        message,
      });
    } else {
      respond(message.method === 'OPTIONS' ? 200 : 405);
    }
  };

  interface Ask {
    method: string;
    uri: string;
    to: string;
    callId?: string;
    fromTag?: string;
    cseq?: number;
    lines?: readonly string[];
    body?: string;
  }

  const exchange = async (ask: Ask, authorization?: string): Promise<WireMessage> => {
    const branch = `z9hG4bK${token()}`;
    cseq = Math.max(cseq + 1, ask.cseq ?? 0);
    const body = ask.body ?? '';
    const text = [
      `${ask.method} ${ask.uri} SIP/2.0`,
      `Via: SIP/2.0/${protocol.toUpperCase()} 127.0.0.1:${link.localPort};rport;branch=${branch}`,
      'Max-Forwards: 70',
      `From: <${aor}>;tag=${ask.fromTag ?? token()}`,
      `To: <${ask.to}>`,
      `Call-ID: ${ask.callId ?? `${token()}@phone`}`,
      `CSeq: ${ask.cseq ?? cseq} ${ask.method}`,
      `Contact: ${contact}`,
      ...(ask.lines ?? []),
      ...(authorization === undefined ? [] : [authorization]),
      `Content-Length: ${Buffer.byteLength(body)}`,
      '',
      body,
    ].join('\r\n');
    const answer = new Promise<WireMessage>((resolve) => waiting.set(branch, resolve));
    link.send(text);
    const again = protocol === 'udp' ? setInterval(() => link.send(text), RETRANSMIT) : undefined;
    try {
      return await within(answer, 5_000, `the answer to ${ask.method} ${ask.uri}`);
    } finally {
      clearInterval(again);
      waiting.delete(branch);
    }
  };

  const request = async (ask: Ask): Promise<WireMessage> => {
    const fixed: Ask = { callId: `${token()}@phone`, fromTag: token(), ...ask };
    const known = challenges.get(ask.method === 'REGISTER' ? '401' : '407');
    const credentials = (one: NonNullable<typeof known>): string => {
      one.count += 1;
      const answer = digestAnswer(one.value, { user, password }, { ...ask, count: one.count });
      return `${one.header}: ${answer}`;
    };
    const first = await exchange(fixed, known && credentials(known));
    if (first.status !== 401 && first.status !== 407) return first;
    const proxy = first.status === 407;
    const value = header(first, proxy ? 'proxy-authenticate' : 'www-authenticate') ?? '';
    const challenge = { value, header: proxy ? 'Proxy-Authorization' : 'Authorization', count: 0 };
    challenges.set(String(first.status), challenge);
    return exchange(
      { ...fixed, ...(ask.cseq === undefined ? {} : { cseq: ask.cseq + 1 }) },
      credentials(challenge),
    );
  };

  return {
    aor,
    localPort: link.localPort,
    notifications: notifications.seen,
    chats: chats.seen,
    register: (expires = 300) =>
      request({
        method: 'REGISTER',
        uri: `sip:${domain}`,
        to: aor,
        callId: registerCallId,
        lines: [`Expires: ${expires}`],
      }),
    subscribe(target, { expires = 300, accept = 'application/pidf+xml' } = {}) {
      const callId = `${token()}@phone`;
      dialogs.set(callId, target);
      return request({
        method: 'SUBSCRIBE',
        uri: target,
        to: target,
        callId,
        lines: ['Event: presence', `Accept: ${accept}`, `Expires: ${expires}`],
      });
    },
    message: (target, text, extra = {}) =>
      request({
        method: 'MESSAGE',
        uri: target,
        to: target,
        ...(extra.callId === undefined ? {} : { callId: extra.callId, fromTag: `tag-${extra.callId}` }),
        ...(extra.cseq === undefined ? {} : { cseq: extra.cseq }),
        lines: [`Content-Type: ${extra.contentType ?? 'text/plain'}`, ...(extra.headers ?? [])],
        body: text,
      }),
    publish: (body, { tag, expires = 120, contentType = 'application/pidf+xml', aor: target = aor } = {}) =>
      request({
        method: 'PUBLISH',
        uri: target,
        to: target,
        lines: [
          'Event: presence',
          `Expires: ${expires}`,
          ...(tag === undefined ? [] : [`SIP-If-Match: ${tag}`]),
          ...(body === '' ? [] : [`Content-Type: ${contentType}`]),
        ],
        body,
      }),
    options: (uri) => request({ method: 'OPTIONS', uri, to: uri }),
    notified: (satisfies, ms = 5_000) =>
      notifications.until(satisfies, ms, () => {
        const last = notifications.seen.at(-1);
        return `a notification at ${aor}; of ${notifications.seen.length} the last: ${last?.state} ${last?.body}`;
      }),
    chatted: (satisfies, ms = 5_000) =>
      chats.until(
        satisfies,
        ms,
        () => `a message at ${aor}; so far: ${JSON.stringify(chats.seen.map((one) => one.text))}`,
      ),
    close: () => link.close(),
  };
}
