import {
  type Binding,
  createResponse,
  type Flow,
  formatNameAddr,
  formatUri,
  type Incoming,
  parseChallenge,
  type SipRequest,
  type SipResponse,
  type SipUri,
  type Stack,
} from 'tiny-sip';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Accounts } from './accounts.ts';
import { type Domain, read } from './domain.ts';
import { type Gate, type Identity, type Refusal, refuse } from './gate.ts';
import { createLoopDetector } from './loop.ts';
import type { Registrar } from './registrar.ts';
import { createResponseContext } from './response-context.ts';

export interface SipProxy {
  /** Takes a request for a registered user, and forwards it to all its contacts (RFC 3261 §16). */
  handle(incoming: Incoming): void;
  counts(): Record<string, number>;
}

/** A sender gives up after 32 s; before that it deserves an answer, which may not be a 408 (RFC 4320 §4.2). */
const PATIENCE = 28_000;

/** RFC 5393 §5.3.3. */
const MAX_BREADTH = 60;

/** RFC 3261 §16.6 step 3. */
const MAX_FORWARDS = 70;

export function createProxy(
  deps: {
    clock: Clock;
    log: Log;
    stack: Stack;
    registrar: Pick<Registrar, 'resolve'>;
    gate: Gate;
    domain: Domain;
    accounts: () => Accounts;
    /** The flow to a binding, opened again where that can be; undefined: it is gone. */
    reach: (binding: Binding) => Flow | undefined;
    secret: Uint8Array;
  },
  options: { forwarding: number },
): SipProxy {
  const { clock, log, stack, registrar, gate, domain, accounts, reach } = deps;
  const loops = createLoopDetector(deps.secret, () => stack.token());
  const counts = { forwarded: 0, full: 0, looped: 0, relayRefused: 0 };
  let running = 0;

  /** RFC 3261 §16.3 and §16.4: what is wrong with forwarding it at all. */
  const validate = (request: SipRequest): Refusal | undefined => {
    const uri = read(request.uri);
    if (!uri || !['sip', 'pres', 'im'].includes(uri.scheme)) return refuse(416);
    if (request.maxForwards === 0) return refuse(483);
    const extensions = request.all('Proxy-Require');
    if (extensions.length > 0) return refuse(420, undefined, { Unsupported: extensions.join(', ') });
    if (loops.looped(request)) {
      counts.looped += 1;
      return refuse(482);
    }
    if (domain.serves(uri.host, uri.port) && request.routes.every((route) => isOurs(route.uri)))
      return undefined;
    // Whoever could send through us to anywhere would have an open relay.
    counts.relayRefused += 1;
    return refuse(403, 'Not A Relay');
  };

  const isOurs = (text: string): boolean => {
    const uri = read(text);
    return uri !== undefined && domain.serves(uri.host, uri.port);
  };

  /** The request as it goes to one contact (RFC 3261 §16.6 steps 1 to 6). */
  const prepare = (request: SipRequest, sender: Identity, binding: Binding, breadth: number): SipRequest => {
    const copy = request.copy();
    copy.uri = requestUri(binding.contact);
    copy.set('Max-Forwards', (request.maxForwards ?? MAX_FORWARDS + 1) - 1);
    copy.set('Max-Breadth', breadth);
    copy.remove('Route');
    if (binding.path.length > 0) copy.set('Route', binding.path);
    removeOwnCredentials(copy, domain.name);
    // RFC 3325 §5: what a client asserts about itself is worth nothing; what we found out is.
    copy.remove('P-Asserted-Identity').remove('P-Preferred-Identity');
    if (!wantsPrivacy(request)) copy.set('P-Asserted-Identity', formatNameAddr({ uri: sender.aor }));
    return copy;
  };

  /** One user agent: its flows one after the other, the newest first (RFC 5626 §7). Undefined: none worked. */
  const ask = async (
    request: SipRequest,
    sender: Identity,
    bindings: readonly Binding[],
    breadth: number,
    signal: AbortSignal,
  ): Promise<SipResponse | undefined> => {
    for (const binding of [...bindings].sort((a, b) => b.expiresAt - a.expiresAt)) {
      const flow = binding.byFlow ? reach(binding) : undefined;
      if (binding.byFlow && !flow) continue;
      const outcome = await stack.send(prepare(request, sender, binding, breadth), {
        forward: { branch: loops.branch(request) },
        signal,
        ...(flow && { flow }),
      });
      if (outcome.kind === 'timeout' || signal.aborted) return undefined;
      if (outcome.kind === 'failed' || outcome.response.status === 430) continue;
      return returned(request, outcome.response);
    }
    return undefined;
  };

  const forward = async (
    incoming: Incoming,
    sender: Identity,
    agents: readonly Binding[][],
    breadth: number,
  ) => {
    const abort = new AbortController();
    const context = createResponseContext();
    const patience = clock.after(PATIENCE, () => abort.abort());
    running += 1;
    try {
      const share = Math.max(1, Math.floor(breadth / agents.length));
      await Promise.all(
        agents.map(async (bindings) => {
          const response = await ask(incoming.request, sender, bindings, share, abort.signal);
          if (!response) return;
          context.add(response);
          // RFC 3261 §16.7 step 5: a success goes back at once; the other branches' answers no longer matter.
          if (response.status < 300 && !incoming.responded) incoming.respondWith(response);
        }),
      );
    } finally {
      running -= 1;
      patience.cancel();
    }
    if (incoming.responded) return;
    const best = context.best();
    if (!best) incoming.respond(480);
    // RFC 3261 §16.7 step 6: a 503 would speak of this server, which can serve other requests well.
    else if (best.status === 503) incoming.respond(500);
    else incoming.respondWith(best);
  };

  return {
    handle(incoming) {
      const { request } = incoming;
      const wrong = validate(request);
      if (wrong) return incoming.respond(wrong.status, wrong);
      const sender = gate.identify(incoming, true);
      if (!sender.ok) return incoming.respond(sender.status, sender);
      // RFC 5627 §6.1: a GRUU means one instance of an address of record.
      const destination = registrar.resolve(request.uri);
      if (destination === undefined || !accounts().known(destination.aor)) return incoming.respond(404);
      const agents = byAgent(destination.bindings);
      if (agents.length === 0) return incoming.respond(480);
      const breadth = Math.min(MAX_BREADTH, breadthOf(request));
      if (agents.length > breadth) return incoming.respond(440, { reason: 'Max-Breadth Exceeded' });
      if (running >= options.forwarding) {
        counts.full += 1;
        log.warn('too many requests are being forwarded', { most: options.forwarding });
        return incoming.respond(503, { headers: { 'Retry-After': '5' } });
      }
      counts.forwarded += 1;
      void forward(incoming, sender, agents, breadth);
    },
    counts: () => ({ ...counts, forwarding: running }),
  };
}

/** RFC 5626 §7: never two flows of one user agent at a time. */
function byAgent(bindings: readonly Binding[]): Binding[][] {
  const agents = new Map<string, Binding[]>();
  for (const binding of bindings) {
    const key = binding.instance ?? binding.key;
    const flows = agents.get(key);
    if (flows) flows.push(binding);
    else agents.set(key, [binding]);
  }
  return [...agents.values()];
}

/** RFC 3261 §16.6 step 2 and §19.1.1: no headers and no method parameter in a Request-URI. */
function requestUri(contact: string): string {
  const uri = read(contact);
  if (!uri || (uri.headers.size === 0 && !uri.params.has('method'))) return contact;
  const params = new Map(uri.params);
  params.delete('method');
  const { headers: _headers, ...rest } = uri satisfies SipUri;
  return formatUri({ ...rest, params });
}

/** RFC 3261 §22.3: credentials for this realm have done their work; those for others travel on. */
function removeOwnCredentials(request: SipRequest, realm: string): void {
  const lines = request.lines('Proxy-Authorization');
  if (lines.length === 0) return;
  request.remove('Proxy-Authorization');
  for (const line of lines) if (realmOf(line) !== realm) request.add('Proxy-Authorization', line);
}

function realmOf(line: string): string | undefined {
  try {
    return parseChallenge(line).params.get('realm');
  } catch {
    return undefined;
  }
}

/** RFC 3325 §7. */
function wantsPrivacy(request: SipRequest): boolean {
  return request.lines('Privacy').some((line) => /(^|[;,\s])id($|[;,\s])/i.test(line));
}

function breadthOf(request: SipRequest): number {
  const value = Number(request.get('Max-Breadth') ?? MAX_BREADTH);
  return Number.isInteger(value) && value >= 0 ? value : MAX_BREADTH;
}

/** The answer of a user agent as it goes back: without our Via, and without identities that it asserts. */
function returned(request: SipRequest, response: SipResponse): SipResponse {
  const copy = response.copy();
  copy.removeFirst('Via');
  copy.remove('P-Asserted-Identity');
  // A user agent that mangled the Vias would send the answer astray.
  return copy.vias.length === request.vias.length ? copy : createResponse(request, 502);
}
