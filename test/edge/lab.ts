/** An edge on a network in memory and a clock that the test moves, with phones that speak plain SIP to it. */
import {
  createDigestClient,
  createMemoryNetwork,
  createRequest,
  createStack,
  type Fate,
  type Incoming,
  type Outcome,
  type Protocol,
  type SipRequest,
  type SipResponse,
  type Stack,
} from 'tiny-sip';
import { silentLog } from '../../src/base/log.ts';
import { createEdge, type Edge, type EdgeDeps } from '../../src/edge/edge.ts';
import type { EdgeOptions } from '../../src/edge/options.ts';
import { readPresence } from '../../src/presence/read.ts';
import { createFakeClock, type FakeClock } from '../support/fake-clock.ts';
import { createFakeFiles, type FakeFiles } from '../support/fake-files.ts';
import { createFakeRandom } from '../support/fake-random.ts';

export const DOMAIN = 'test.local';
export const EDGE = { host: '192.0.2.1', port: 5060 };

export interface LabOptions {
  readonly protocol?: Protocol;
  readonly fate?: Fate;
  readonly options?: Partial<EdgeOptions>;
  readonly deps?: Partial<EdgeDeps>;
  readonly files?: FakeFiles;
}

export interface Lab {
  readonly clock: FakeClock;
  readonly files: FakeFiles;
  readonly edge: Edge;
  phone(user: string, more?: { password?: string; host?: string }): Promise<Phone>;
  /** Kills the edge without a word and starts it again on what it left behind. */
  crash(change?: (files: FakeFiles) => void): Promise<void>;
  /** Cuts the connections of the phone at that host. */
  drop(host: string): void;
  close(): Promise<void>;
}

/** What came in a NOTIFY. */
export interface Notified {
  readonly request: SipRequest;
  readonly state: string;
  readonly at: number;
  /** `id: basic note` of each tuple, sorted. */
  readonly tuples: readonly string[];
}

export interface Phone {
  readonly user: string;
  readonly aor: string;
  readonly stack: Stack;
  readonly notified: Notified[];
  readonly received: SipRequest[];
  /** How NOTIFYs and other requests are answered from now on; undefined: silence. */
  answer: (incoming: Incoming) => number | undefined;
  request(method: string, options?: RequestOptions): Promise<SipResponse>;
  outcome(method: string, options?: RequestOptions): Promise<Outcome>;
  register(headers?: Headers): Promise<SipResponse>;
  publish(body: string | undefined, headers?: Headers, aor?: string): Promise<SipResponse>;
  subscribe(resource: string, headers?: Headers, dialog?: Dialog): Promise<SipResponse>;
  close(): Promise<void>;
}

export type Headers = Readonly<Record<string, string | number | readonly string[] | undefined>>;

export interface Dialog {
  readonly callId: string;
  readonly to: string;
  readonly from: string;
  readonly target: string;
  cseq: number;
}

interface RequestOptions {
  readonly uri?: string;
  readonly headers?: Headers;
  readonly body?: string;
  readonly credentials?: boolean;
}

export const PIDF = 'application/pidf+xml';
export const PIDF_DIFF = 'application/pidf-diff+xml';

/** A PIDF document with these tuples, all open, with these notes. */
export function pidf(tuples: Readonly<Record<string, string>>, entity = `sip:gw@${DOMAIN}`): string {
  const inner = Object.entries(tuples).map(
    ([id, note]) => `<tuple id="${id}"><status><basic>open</basic></status><note>${note}</note></tuple>`,
  );
  return `<?xml version="1.0"?><presence xmlns="urn:ietf:params:xml:ns:pidf" entity="${entity}">${inner.join('')}</presence>`;
}

/** A pidf-diff that replaces the note of one tuple. */
export function noteDiff(id: string, note: string, entity = `sip:gw@${DOMAIN}`): string {
  return (
    `<p:pidf-diff xmlns="urn:ietf:params:xml:ns:pidf" xmlns:p="urn:ietf:params:xml:ns:pidf-diff" entity="${entity}">` +
    `<p:replace sel="*/tuple[@id='${id}']/note/text()">${note}</p:replace></p:pidf-diff>`
  );
}

export function tuplesOf(body: string): string[] {
  if (body === '') return [];
  return readPresence(body)
    .devices.map(({ id, basic, note }) => `${id}: ${basic} ${note ?? ''}`.trim())
    .sort();
}

export async function createLab(lab: LabOptions = {}): Promise<Lab> {
  const clock = createFakeClock();
  const files = lab.files ?? createFakeFiles();
  const network = createMemoryNetwork(
    { clock },
    { protocol: lab.protocol ?? 'udp', ...(lab.fate && { fate: lab.fate }) },
  );
  let seed = 1;
  const random = () => createFakeRandom(seed++);
  const phones: Phone[] = [];
  const signal = new AbortController().signal;

  const start = async (): Promise<Edge> => {
    const options: EdgeOptions = {
      domains: [DOMAIN],
      listen: [],
      users: { alice: 'a', bob: 'b', gw: { password: 'g', aors: [`sip:dev-*@${DOMAIN}`] } },
      data: '/run/edge',
      ...lab.options,
    };
    const transports = [network.transport(EDGE), ...(lab.deps?.transports ?? [])];
    const edge = createEdge(
      { clock, random: random(), log: silentLog, files, ...lab.deps, transports },
      options,
    );
    await edge.start(signal);
    return edge;
  };
  let edge = await start();

  const target = { protocol: lab.protocol ?? 'udp', host: EDGE.host, port: EDGE.port, name: DOMAIN } as const;

  const phone = async (user: string, more: { password?: string; host?: string } = {}): Promise<Phone> => {
    const host = more.host ?? `10.0.0.${phones.length + 1}`;
    const address = { host, port: 5060 };
    const stack = createStack(
      { clock, random: random(), log: silentLog },
      { transports: [network.transport(address)] },
    );
    await stack.start();
    const password = more.password ?? { alice: 'a', bob: 'b', gw: 'g' }[user] ?? user;
    const credentials = createDigestClient({ random: random() }, { username: user, password });
    const aor = `sip:${user}@${DOMAIN}`;
    const notified: Notified[] = [];
    const received: SipRequest[] = [];

    const outcome = (method: string, options: RequestOptions = {}): Promise<Outcome> => {
      const request = createRequest({
        method,
        uri: options.uri ?? `sip:${DOMAIN}`,
        headers: { From: `<${aor}>`, To: `<${options.uri ?? aor}>`, ...options.headers },
        ...(options.body !== undefined && { body: options.body }),
      });
      return stack.send(request, { target, ...(options.credentials !== false && { credentials }) });
    };
    const request = async (method: string, options: RequestOptions = {}): Promise<SipResponse> => {
      const pending = outcome(method, options);
      await clock.settle();
      const result = await pending;
      if (result.kind !== 'response') throw new Error(`${method}: ${result.kind}`);
      return result.response;
    };

    const self: Phone = {
      user,
      aor,
      stack,
      notified,
      received,
      answer: () => 200,
      outcome,
      request,
      register: (headers = {}) =>
        request('REGISTER', {
          headers: { To: `<${aor}>`, Contact: `<sip:${user}@${host}:5060>`, Expires: 600, ...headers },
        }),
      publish: (body, headers = {}, resource = aor) =>
        request('PUBLISH', {
          uri: resource,
          headers: {
            Event: 'presence',
            Expires: 600,
            ...(body !== undefined && { 'Content-Type': PIDF }),
            ...headers,
          },
          ...(body !== undefined && { body }),
        }),
      subscribe(resource, headers = {}, dialog) {
        // A challenge may raise the number inside `send`; numbers in a dialog only have to rise.
        if (dialog) dialog.cseq += 10;
        return request('SUBSCRIBE', {
          uri: dialog?.target ?? resource,
          headers: {
            Event: 'presence',
            Expires: 600,
            Contact: `<sip:${user}@${host}:5060>`,
            ...(dialog && {
              To: dialog.to,
              From: dialog.from,
              'Call-ID': dialog.callId,
              CSeq: `${dialog.cseq} SUBSCRIBE`,
            }),
            ...headers,
          },
        });
      },
      close: () => stack.stop(),
    };
    stack.on('NOTIFY', (incoming) => {
      const { request: came } = incoming;
      const status = self.answer(incoming);
      notified.push({
        request: came,
        state: came.get('Subscription-State') ?? '',
        at: clock.now(),
        tuples: tuplesOf(came.text()),
      });
      if (status !== undefined) incoming.respond(status);
    });
    stack.on('*', (incoming) => {
      received.push(incoming.request);
      const status = self.answer(incoming);
      if (status !== undefined) incoming.respond(status);
    });
    phones.push(self);
    return self;
  };

  return {
    clock,
    files,
    get edge() {
      return edge;
    },
    phone,
    drop: (host) => network.cut({ host, port: 5060 }),
    async crash(change) {
      await clock.settle();
      network.cut(EDGE);
      await edge.abandon();
      change?.(files);
      edge = await start();
      await clock.settle();
    },
    async close() {
      for (const one of phones) await one.close();
      const stopping = edge.stop(clock.now() + 1_000);
      await clock.advance(2_000);
      await stopping;
    },
  };
}

/** The dialog that a SUBSCRIBE made. */
export function dialogOf(response: SipResponse): Dialog {
  const [contact] = response.contacts === '*' ? [] : response.contacts;
  return {
    callId: response.callId ?? '',
    to: response.get('To') ?? '',
    from: response.get('From') ?? '',
    target: contact?.uri ?? '',
    cseq: response.cseq?.number ?? 1,
  };
}
