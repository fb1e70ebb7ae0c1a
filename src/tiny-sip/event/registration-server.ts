import type { Clock, Log } from '../deps.ts';
import { answerError } from '../dialog/answer-error.ts';
import type { Incoming } from '../dialog/user-agent.ts';
import { formatDate } from '../message/date.ts';
import type { SipRequest } from '../message/message.ts';
import type { NameAddr } from '../message/name-addr.ts';
import { parseUri, type SipUri } from '../message/uri.ts';
import { aorOf } from '../message/uri-compare.ts';
import { createBinding, type FlowId, flowIdOf, formatBinding, isSame, preferenceOf } from './binding.ts';
import { grOf } from './gruu.ts';
import type { Binding, Location } from './location.ts';
import type {
  Destination,
  RegisterVerdict,
  RegistrationServer,
  RegistrationServerOptions,
} from './registration-server-options.ts';

const expiryDefaults = { min: 60, max: 3600, default: 3600 };
const boundDefaults = { bindings: 20_000, bindingsPerAor: 10 };

/** Seconds that a refused client should wait where a table is full. */
const retryAfter = '60';

/** RFC 3261 §10.3 step 7: an hour and more is never too brief. */
const hour = 3600;

type Headers = Readonly<Record<string, string | readonly string[]>>;
type Refusal = Extract<RegisterVerdict, { ok: false }>;

function refuse(status: number, reason?: string, headers?: Headers): Refusal {
  return { ok: false, status, ...(reason !== undefined && { reason }), ...(headers && { headers }) };
}

/** What one Contact value asks for. */
interface Wish {
  readonly ok: true;
  readonly contact: NameAddr;
  /** Seconds granted; 0 removes. */
  readonly expires: number;
  readonly flowId: FlowId | undefined;
}

interface Changes {
  readonly ok: true;
  readonly put: readonly Binding[];
  readonly remove: readonly string[];
}

/**
 * A registrar: what RFC 3261 §10.3 says, with Path (RFC 3327), Service-Route (3608), outbound (5626) and GRUU (5627).
 * The bindings are the location service's.
 */
export function createRegistrationServer(
  deps: { readonly clock: Clock; readonly log: Log; readonly location: Location },
  options: RegistrationServerOptions,
): RegistrationServer {
  const { clock, log, location } = deps;
  const range = { ...expiryDefaults, ...options.expires };
  const limits = {
    bindings: options.bindings ?? boundDefaults.bindings,
    bindingsPerAor: options.bindingsPerAor ?? boundDefaults.bindingsPerAor,
  };
  const keyOf = options.aorOf ?? aorOf;
  const mint = options.gruu;
  const counts = { full: 0, late: 0 };

  /** Steps 6 and 7: all changes, or none. */
  const change = (incoming: Incoming, aor: string): Refusal | Changes => {
    const { contacts } = incoming.request;
    const current = location.list(aor);
    return contacts === '*' ? clear(incoming.request, current) : collect(incoming, aor, contacts, current);
  };

  const clear = (request: SipRequest, current: readonly Binding[]): Refusal | Changes => {
    if (request.expires !== 0) return refuse(400, 'Contact * Needs Expires 0');
    if (current.some((binding) => isLate(request, binding))) return late();
    return { ok: true, put: [], remove: current.map((binding) => binding.key) };
  };

  const collect = (
    { request, flow }: Incoming,
    aor: string,
    contacts: readonly NameAddr[],
    current: readonly Binding[],
  ): Refusal | Changes => {
    const wishes: Wish[] = [];
    for (const contact of contacts) {
      const wish = wishOf(request, contact);
      if (!wish.ok) return wish;
      wishes.push(wish);
    }
    const wanted = wishes.filter((wish) => wish.expires > 0);
    // RFC 5626 §6: one flow registers one instance.
    if (wanted.length > 1 && wanted.some((wish) => wish.flowId)) return refuse(400, 'One Contact Per Flow');

    const next = new Map(current.map((binding) => [binding.key, binding]));
    const put = new Set<Binding>();
    for (const { contact, flowId, expires: granted } of wishes) {
      const old = [...next.values()].find((binding) => isSame(binding, contact, flowId));
      if (old && !put.has(old) && isLate(request, old)) return late();
      const gruu = granted > 0 ? handleFor(request, contact, flowId, [...next.values()]) : undefined;
      if (old) next.delete(old.key);
      if (granted === 0) continue;
      const expiresAt = clock.now() + granted * 1000;
      const binding = createBinding(request, flow, { aor, contact, flowId, expiresAt, gruu });
      // A handle that is void is so for all flows of the instance.
      for (const mate of next.values())
        if (mate.instance !== undefined && mate.instance === binding.instance && mate.gruu !== gruu) {
          const renewed = { ...mate, ...(gruu !== undefined && { gruu }) };
          next.set(mate.key, renewed);
          put.delete(mate);
          put.add(renewed);
        }
      next.set(binding.key, binding);
      put.add(binding);
    }
    const grown = next.size - current.length;
    if (grown > 0 && (next.size > limits.bindingsPerAor || location.size + grown > limits.bindings)) {
      counts.full += 1;
      log.warn('no room for another binding', { aor });
      return refuse(503, 'Too Many Contacts', { 'Retry-After': retryAfter });
    }
    return {
      ok: true,
      // The same contact twice in one request: the last word counts.
      put: [...put].filter((binding) => next.get(binding.key) === binding),
      remove: current.map((binding) => binding.key).filter((key) => !next.has(key)),
    };
  };

  /**
   * RFC 5627 §5.1: the temporary GRUUs of an instance stay good while some contact of it is registered, and until a
   * client registers the same contact under another Call-ID.
   */
  const handleFor = (
    request: SipRequest,
    contact: NameAddr,
    flowId: FlowId | undefined,
    bindings: readonly Binding[],
  ): string | undefined => {
    const instance = contact.param('+sip.instance');
    if (mint === undefined || !instance) return undefined;
    const mates = bindings.filter((binding) => binding.instance === instance);
    const [latest] = mates
      .filter((binding) => flowId === undefined || binding.key === `${flowId.instance};${flowId.regId}`)
      .sort((a, b) => b.expiresAt - a.expiresAt);
    if (latest !== undefined && latest.callId !== request.callId) return mint.handle();
    return mates.find((binding) => binding.gruu !== undefined)?.gruu ?? mint.handle();
  };

  const wishOf = (request: SipRequest, contact: NameAddr): Refusal | Wish => {
    const uri = read(contact.uri);
    // RFC 5627 §5.1 wants 403 for an instance, where RFC 3261 leaves it open.
    const status = contact.param('+sip.instance') ? 403 : 400;
    if ((uri?.scheme !== 'sip' && uri?.scheme !== 'sips') || uri.host === '')
      return refuse(status, 'Contact Is No SIP URI');
    if (options.isOurs(uri)) return refuse(status, 'Contact Is This Server');
    const given = contact.param('expires');
    // RFC 3261 §10.2.1.1: a malformed value reads as 3600.
    const asked = given === undefined ? request.expires : /^\d{1,10}$/.test(given) ? Number(given) : hour;
    if (asked !== undefined && asked > 0 && asked < range.min && asked < hour)
      return refuse(423, undefined, { 'Min-Expires': String(range.min) });
    const expires = Math.min(asked ?? range.default, range.max);
    const flowId = flowIdOf(contact);
    if (flowId && !isFirstHopOutbound(request)) {
      if (hasTag(request, 'outbound')) return refuse(439, 'First Hop Lacks Outbound Support');
      return { ok: true, contact, expires, flowId: undefined };
    }
    return { ok: true, contact, expires, flowId };
  };

  const late = (): Refusal => {
    counts.late += 1;
    return refuse(500, 'CSeq Is Not Higher Than Before');
  };

  /** RFC 5627 §5.2: both kinds for each instance, where the client knows what they are. */
  const gruusOf = (binding: Binding, aor: string): Record<string, string> => {
    if (mint === undefined || binding.instance === undefined) return {};
    return {
      'pub-gruu': mint.publicGruu(aor, binding.instance),
      ...(binding.gruu !== undefined && { 'temp-gruu': mint.temporaryGruu(aor, binding.gruu) }),
    };
  };

  /** Step 8, with what RFC 3327 §5.3, RFC 3608 §6.3 and RFC 5626 §6 add. */
  const success = (request: SipRequest, aor: string): Headers => {
    const wall = clock.wall();
    const knowsGruu = hasTag(request, 'gruu');
    const contacts = location
      .list(aor)
      .map((binding) => formatBinding(binding, clock.now(), knowsGruu ? gruusOf(binding, aor) : {}));
    const path = request.all('Path');
    const routes = options.serviceRoute?.(aor) ?? [];
    const outbound =
      request.contacts !== '*' &&
      request.contacts.some((contact) => flowIdOf(contact)) &&
      isFirstHopOutbound(request) &&
      hasTag(request, 'outbound');
    const timer = outbound && request.vias.length === 1 ? options.flowTimer : undefined;
    return {
      ...(contacts.length > 0 && { Contact: contacts }),
      ...(path.length > 0 && { Path: path }),
      ...(routes.length > 0 && { 'Service-Route': routes }),
      ...(outbound && { Require: 'outbound' }),
      ...(timer !== undefined && { 'Flow-Timer': String(timer) }),
      Supported: 'path, outbound',
      ...(wall !== undefined && { Date: formatDate(wall) }),
    };
  };

  const carryOut = (incoming: Incoming, verdict: RegisterVerdict): void => {
    if (incoming.responded) return;
    if (!verdict.ok) {
      incoming.respond(verdict.status, verdict);
      return;
    }
    const { aor } = verdict;
    const changes = change(incoming, aor);
    if (!changes.ok) {
      // The credentials were good: whoever waits for the next nonce gets it with a refusal, too.
      incoming.respond(changes.status, { ...changes, headers: { ...verdict.headers, ...changes.headers } });
      return;
    }
    if (changes.put.length > 0 || changes.remove.length > 0) location.commit(aor, changes);
    incoming.respond(200, { headers: { ...success(incoming.request, aor), ...verdict.headers } });
  };

  const register = (incoming: Incoming): void | Promise<void> => {
    const { request } = incoming;
    // RFC 3327 §5.3: a client that does not know Path is told that somebody put one in.
    if (request.has('Path') && !hasTag(request, 'path')) {
      incoming.respond(420, { headers: { Unsupported: 'path' } });
      return;
    }
    const verdict = options.authorise(incoming);
    if (!(verdict instanceof Promise)) carryOut(incoming, verdict);
    else return verdict.then((one) => carryOut(incoming, one));
  };

  /** RFC 3261 §16.6 and RFC 5627 §6.1: by preference, and of equals the one that was refreshed last. */
  const ordered = (bindings: readonly Binding[]): readonly Binding[] =>
    [...bindings].sort((a, b) => preferenceOf(b) - preferenceOf(a) || b.expiresAt - a.expiresAt);

  const failed = (incoming: Incoming, error: unknown): void =>
    answerError(incoming, error, log, 'a registration failed');

  return {
    handle(incoming) {
      try {
        const work = register(incoming);
        work?.catch((error: unknown) => failed(incoming, error));
      } catch (error) {
        failed(incoming, error);
      }
    },
    resolve(text) {
      const uri = read(text);
      if (uri === undefined) return undefined;
      const gruu = mint?.read(uri);
      if (gruu === undefined) {
        const aor = keyOf(uri);
        return aor === undefined
          ? undefined
          : { aor, instance: false, bindings: ordered(location.list(aor)) };
      }
      if (gruu.kind === 'forged') return undefined;
      if (gruu.kind === 'temporary') {
        const bindings = location.byGruu(gruu.handle);
        const [first] = bindings;
        return first && { aor: first.aor, instance: true, bindings: ordered(bindings) };
      }
      const base = read(gruu.aor);
      const aor = base && keyOf(base);
      if (aor === undefined) return undefined;
      const named = [gruu.gr, gruu.gr.toLowerCase()];
      const bindings = location
        .list(aor)
        .filter(({ instance }) => instance !== undefined && named.includes(grOf(instance)));
      return { aor, instance: true, bindings: ordered(bindings) } satisfies Destination;
    },
    counts: () => ({ ...counts }),
  };
}

/** RFC 3261 §10.3 steps 6 and 7: requests of one client that arrive out of order are not to undo each other. */
function isLate(request: SipRequest, binding: Binding): boolean {
  return request.callId === binding.callId && (request.cseq?.number ?? 0) <= binding.cseq;
}

function hasTag(request: SipRequest, tag: string): boolean {
  return [...request.all('Supported'), ...request.all('Require')].some((one) => one.toLowerCase() === tag);
}

/**
 * RFC 5626 §6: the client is at the other end of the flow, or the first hop has put itself into Path, marked with `ob`.
 * Its value should be the last, but there are proxies that add theirs below it.
 */
function isFirstHopOutbound(request: SipRequest): boolean {
  if (request.vias.length === 1) return true;
  return request.all('Path').some((one) => /;ob(?=[;>=]|$)/i.test(one));
}

function read(text: string): SipUri | undefined {
  try {
    return parseUri(text);
  } catch {
    return undefined;
  }
}
