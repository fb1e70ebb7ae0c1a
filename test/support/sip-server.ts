/**
 * A registrar and presence server whose behaviour a test scripts: it composes like this or that server, forgets,
 * refuses, is silent. It keeps what it was sent and what a watcher would have seen after each step.
 */
import {
  type Algorithm,
  createDigestServer,
  createRequest,
  createStack,
  type DigestServer,
  type Flow,
  type Incoming,
  type Outcome,
  parseNameAddr,
  type SipRequest,
  type Stack,
  type Transport,
} from 'tiny-sip';
import type { Clock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import type { Random } from '../../src/base/random.ts';
import { applyPresence } from '../../src/presence/apply.ts';
import type { DevicePresence } from '../../src/presence/model.ts';
import { readPresence } from '../../src/presence/read.ts';
import type { XmlDocument } from '../../src/xml/tree.ts';
import { writeXml } from '../../src/xml/write.ts';

/** How several publications of one AOR become one document. */
export type Composing =
  /** All of them; of two with one id the newer one. */
  | 'all'
  /** As Kamailio: of two documents that share an id the older one vanishes whole. */
  | 'clash'
  /** Only the newest document counts. */
  | 'newest';

export interface ServerScript {
  composing: Composing;
  /** Lists pidf-diff in Accept. */
  lists: boolean;
  /** What becomes of a pidf-diff: applied, refused with 415, or taken with a 200 and ruined. */
  diffs: 'applied' | 'refused' | 'ruined';
  readBack: 'shown' | 'forbidden' | 'empty' | 'silent';
  /** Overrules the answer to a request; `silence` gives none. */
  answer?: ((request: SipRequest, nth: number) => ScriptedAnswer | undefined) | undefined;
  /** Does what is asked, but the answer never comes. */
  mute?: ((request: SipRequest, nth: number) => boolean) | undefined;
  /** Requests to registered users reach them. */
  forwards: boolean;
  /** Asserts the identity of senders. */
  asserts: boolean;
  serviceRoute?: string | undefined;
}

export type ScriptedAnswer = 'silence' | { status: number; headers?: Record<string, string> };

export interface Published {
  readonly tag: string;
  readonly document: XmlDocument;
  /** The body as it was sent, and what it came to. */
  readonly text: string;
  readonly order: number;
  /** Monotonic milliseconds. */
  readonly expiresAt: number;
}

export interface ScriptedServer {
  readonly stack: Stack;
  readonly script: ServerScript;
  /** Every request, as it arrived; challenged ones too. */
  readonly requests: SipRequest[];
  /** Requests of one method that were not challenged. */
  done(method: string): SipRequest[];
  readonly publications: Map<string, Map<string, Published>>;
  readonly bindings: Map<string, { flow: Flow; contact: string }>;
  /** What a watcher of the AOR sees now, by tuple id. */
  seen(aor: string): Map<string, DevicePresence>;
  /** Tuple ids that a watcher saw after each PUBLISH, oldest first. */
  readonly views: Map<string, string[][]>;
  /** MESSAGEs that registered nobody was there for: the answers of an agent. */
  readonly inbox: SipRequest[];
  /** Forgets all publications, as a restart does. */
  forget(): void;
  /** Sends a MESSAGE to a registered AOR, as from a user of the server. */
  message(to: string, text: string | Buffer, init?: MessageInit): Promise<Outcome>;
  start(): Promise<void>;
  stop(): Promise<void>;
}

export interface MessageInit {
  readonly from?: string;
  /** `null`: none is asserted. */
  readonly asserted?: string | null;
  readonly contentType?: string;
  readonly headers?: Record<string, string>;
}

export interface ServerOptions {
  readonly transport: Transport;
  readonly domain: string;
  /** User name to password; absent: nobody is challenged. */
  readonly users?: Record<string, string>;
  readonly algorithms?: readonly Algorithm[];
  readonly nonceLife?: number;
}

export function createScriptedServer(
  deps: { clock: Clock; random: Random },
  options: ServerOptions,
  script: Partial<ServerScript> = {},
): ScriptedServer {
  const { users } = options;
  const stack = createStack({ ...deps, log: silentLog }, { transports: [options.transport], proxy: true });
  const digest: DigestServer | undefined =
    users &&
    createDigestServer(deps, {
      realm: options.domain,
      ...(options.algorithms && { algorithms: options.algorithms }),
      ...(options.nonceLife !== undefined && { nonceLife: options.nonceLife }),
      lookup: (name) => {
        const password = users[name];
        return password === undefined ? undefined : { password };
      },
    });
  let counter = 0;
  let nth = 0;

  const server: ScriptedServer = {
    stack,
    script: {
      composing: 'all',
      lists: false,
      diffs: 'refused',
      readBack: 'shown',
      forwards: true,
      asserts: true,
      ...script,
    },
    requests: [],
    done: (method) =>
      server.requests.filter((request) => request.method === method && !challenged.has(request)),
    publications: new Map(),
    bindings: new Map(),
    views: new Map(),
    inbox: [],
    seen(aor) {
      for (const [tag, one] of server.publications.get(aor) ?? [])
        if (one.expiresAt <= deps.clock.now()) server.publications.get(aor)?.delete(tag);
      const all = [...(server.publications.get(aor)?.values() ?? [])].sort((a, b) => a.order - b.order);
      const read = all.map((one) => readPresence(one.document).devices);
      const { composing } = server.script;
      if (composing === 'newest') return byId(read.at(-1) ?? []);
      if (composing === 'all') return byId(read.flat());
      const kept = read.filter((devices, n) => {
        const ids = new Set(devices.map(({ id }) => id));
        return !read.slice(n + 1).some((newer) => newer.some(({ id }) => ids.has(id)));
      });
      return byId(kept.flat());
    },
    forget() {
      server.publications.clear();
    },
    async message(to, text, init = {}) {
      const from = init.from ?? 'sip:alice@example.com';
      const binding = server.bindings.get(to);
      if (!binding) throw new Error(`${to} is not registered`);
      const request = createRequest({
        method: 'MESSAGE',
        uri: binding.contact,
        headers: {
          From: `<${from}>`,
          To: `<${to}>`,
          'Content-Type': init.contentType ?? 'text/plain',
          ...init.headers,
        },
        body: text,
      });
      const asserted = init.asserted === undefined ? (server.script.asserts ? from : null) : init.asserted;
      if (asserted !== null) request.set('P-Asserted-Identity', `<${asserted}>`);
      return stack.send(request, { flow: binding.flow });
    },
    async start() {
      await stack.start();
    },
    stop: () => stack.stop(),
  };
  const challenged = new Set<SipRequest>();

  const byId = (devices: readonly DevicePresence[]): Map<string, DevicePresence> =>
    new Map(devices.map((device) => [device.id, device]));

  const handlers: Record<string, (incoming: Incoming, mute: boolean) => void> = {
    REGISTER(incoming, mute) {
      const { request, flow } = incoming;
      const aor = request.to?.uri ?? '';
      const contact = request.contacts === '*' ? undefined : request.contacts[0];
      if (request.expires === 0 || !contact) server.bindings.delete(aor);
      else server.bindings.set(aor, { flow, contact: contact.uri });
      if (mute) return;
      incoming.respond(200, {
        headers: {
          ...(contact &&
            request.expires !== 0 && { Contact: `${request.get('Contact')};expires=${request.expires}` }),
          ...(server.script.serviceRoute && { 'Service-Route': server.script.serviceRoute }),
          Expires: String(request.expires ?? 600),
        },
      });
    },

    PUBLISH(incoming, mute) {
      const { request } = incoming;
      const aor = request.uri;
      server.seen(aor);
      const all = server.publications.get(aor) ?? new Map<string, Published>();
      server.publications.set(aor, all);
      const match = request.get('SIP-If-Match');
      const before = match === undefined ? undefined : all.get(match);
      const answer = (status: number, headers: Record<string, string> = {}): void => {
        if (!mute) incoming.respond(status, { headers });
        const seen = [...server.seen(aor).keys()];
        server.views.set(aor, [...(server.views.get(aor) ?? []), seen]);
      };
      if (match !== undefined && !before) return answer(412);
      if (request.expires === 0) {
        if (match !== undefined) all.delete(match);
        return answer(200, { Expires: '0' });
      }
      counter += 1;
      // As long as our edge's, or as Kamailio's, for the tests that count bytes.
      const tag = server.script.lists
        ? `t${String(counter).padStart(10, '0')}`
        : `a.1763697123.20751.${counter}.0`;
      const expires = String(request.expires ?? 3600);
      const expiresAt = deps.clock.now() + (request.expires ?? 3600) * 1_000;
      if (request.body.length === 0) {
        if (!before || match === undefined) return answer(400);
        all.delete(match);
        all.set(tag, { ...before, tag, expiresAt });
        return answer(200, { 'SIP-ETag': tag, Expires: expires });
      }
      const type = request.contentType?.essence ?? '';
      const partial = type === 'application/pidf-diff+xml';
      const { diffs, lists } = server.script;
      const accept = lists ? 'application/pidf+xml, application/pidf-diff+xml' : 'application/pidf+xml';
      if (partial && diffs === 'refused') return answer(415, { Accept: accept });
      if (type !== 'application/pidf+xml' && !partial) return answer(415, { Accept: accept });
      const text = request.text();
      let document: XmlDocument;
      try {
        document =
          partial && diffs === 'ruined'
            ? applyPresence(undefined, {
                contentType: 'application/pidf+xml',
                body: `<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="${aor}"/>`,
              })
            : applyPresence(before?.document, { contentType: type, body: text });
      } catch {
        return answer(400);
      }
      if (match !== undefined) all.delete(match);
      all.set(tag, { tag, document, text, order: counter, expiresAt });
      return answer(200, { 'SIP-ETag': tag, Expires: expires });
    },

    SUBSCRIBE(incoming) {
      const { request, flow } = incoming;
      const { readBack } = server.script;
      if (readBack === 'forbidden') return incoming.respond(403);
      if (readBack === 'silent') return;
      const contact = `<sip:presence@${options.transport.local.host}:${options.transport.local.port}>`;
      incoming.respond(200, { headers: { Expires: String(request.expires ?? 0), Contact: contact } });
      const remote = request.contacts === '*' ? undefined : request.contacts[0];
      const aor = request.uri;
      const notify = createRequest({
        method: 'NOTIFY',
        uri: remote?.uri ?? aor,
        headers: {
          From: `<${request.to?.uri}>;tag=${incoming.toTag}`,
          To: `<${request.from?.uri}>;tag=${request.fromTag}`,
          'Call-ID': request.callId,
          CSeq: '1 NOTIFY',
          Contact: contact,
          Event: 'presence',
          'Subscription-State': 'terminated;reason=timeout',
          ...(readBack === 'shown' && { 'Content-Type': 'application/pidf+xml' }),
        },
        body: readBack === 'shown' ? compose(aor) : '',
      });
      void stack.send(notify, { flow });
    },

    OPTIONS(incoming) {
      const { request } = incoming;
      const binding = server.bindings.get(request.uri);
      if (request.uri === `sip:${options.domain}`) {
        const accept = server.script.lists ? 'application/pidf+xml, application/pidf-diff+xml' : '*/*';
        return incoming.respond(200, { headers: { Accept: accept } });
      }
      if (!binding || !server.script.forwards) return incoming.respond(480);
      void forward(incoming, binding);
    },

    MESSAGE(incoming) {
      const binding = server.bindings.get(incoming.request.uri);
      if (!binding) {
        server.inbox.push(incoming.request);
        return incoming.respond(202);
      }
      void forward(incoming, binding);
    },
  };

  const compose = (aor: string): string => {
    // Each tuple as the newest document that has it says.
    const seen = server.seen(aor);
    const bodies = [...(server.publications.get(aor)?.values() ?? [])].sort((a, b) => b.order - a.order);
    const tuples: string[] = [];
    const done = new Set<string>();
    for (const { document } of bodies) {
      for (const device of readPresence(document).devices) {
        if (done.has(device.id) || !seen.has(device.id)) continue;
        done.add(device.id);
        tuples.push(tupleOf(writeXml(document), device.id));
      }
    }
    return `<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="${aor}">${tuples.join('')}</presence>`;
  };

  const forward = async (incoming: Incoming, to: { flow: Flow; contact: string }): Promise<void> => {
    const { request } = incoming;
    const copy = request.copy();
    copy.uri = to.contact;
    copy.remove('Authorization').remove('Proxy-Authorization').remove('Route').remove('P-Asserted-Identity');
    copy.set('Max-Forwards', String((request.maxForwards ?? 70) - 1));
    if (server.script.asserts && request.method === 'MESSAGE')
      copy.set('P-Asserted-Identity', `<${request.from?.uri}>`);
    const outcome = await stack.send(copy, { flow: to.flow, forward: {} });
    if (outcome.kind !== 'response') return incoming.respond(408);
    const answer = outcome.response.copy();
    answer.removeFirst('Via');
    incoming.respondWith(answer);
  };

  stack.on('*', (incoming) => {
    const { request } = incoming;
    server.requests.push(request);
    if (digest && !(request.method === 'OPTIONS')) {
      const verdict = digest.check(request, { proxy: request.method !== 'REGISTER' });
      if (!verdict.ok) {
        challenged.add(request);
        return incoming.respond(verdict.status, { headers: verdict.headers });
      }
    }
    nth += 1;
    const scripted = server.script.answer?.(request, nth);
    if (scripted === 'silence') return;
    if (scripted) return incoming.respond(scripted.status, { headers: scripted.headers ?? {} });
    const mute = server.script.mute?.(request, nth) ?? false;
    const handler = handlers[request.method];
    if (handler) handler(incoming, mute);
    else incoming.respond(405);
  });

  return server;
}

function tupleOf(document: string, id: string): string {
  const start = document.indexOf(`<tuple id="${id}"`);
  return document.slice(start, document.indexOf('</tuple>', start) + '</tuple>'.length);
}

/** The AOR in a From, To or P-Asserted-Identity value. */
export function addressIn(value: string | undefined): string {
  return value === undefined ? '' : parseNameAddr(value).uri;
}
