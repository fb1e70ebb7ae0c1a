import { formatDate, type Incoming, type NameAddr, type SipRequest } from 'tiny-sip';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Accounts } from './accounts.ts';
import { createBinding, type FlowId, flowIdOf, formatBinding, isSame } from './binding.ts';
import { type Domain, read } from './domain.ts';
import { type Gate, type Headers, type Refusal, refuse } from './gate.ts';
import type { Binding, Location } from './location.ts';
import { inSeconds, type Lifetimes } from './options.ts';

export interface Registrar {
  /** Takes a REGISTER (RFC 3261 §10.3). */
  handle(incoming: Incoming): void;
  counts(): Record<string, number>;
}

/** Seconds that a refused client should wait where a table is full. */
const RETRY_AFTER = '60';

/** RFC 3261 §10.3 step 7: an hour and more is never too brief. */
const HOUR = 3600;

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
  readonly put: Binding[];
  readonly remove: string[];
}

export function createRegistrar(
  deps: {
    clock: Clock;
    log: Log;
    location: Location;
    gate: Gate;
    domain: Domain;
    accounts: () => Accounts;
  },
  options: { expires?: Lifetimes | undefined; bindings: number; bindingsPerAor: number },
): Registrar {
  const { clock, log, location, gate, domain, accounts } = deps;
  const expires = inSeconds(options.expires);
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
    const put: Binding[] = [];
    for (const { contact, flowId, expires: granted } of wishes) {
      const old = [...next.values()].find((binding) => isSame(binding, contact, flowId));
      if (old && !put.includes(old) && isLate(request, old)) return late();
      if (old) next.delete(old.key);
      if (granted === 0) continue;
      const expiresAt = clock.now() + granted * 1000;
      const binding = createBinding(request, flow, { aor, contact, flowId, expiresAt });
      next.set(binding.key, binding);
      put.push(binding);
    }
    const grown = next.size - current.length;
    if (grown > 0 && (next.size > options.bindingsPerAor || location.size + grown > options.bindings)) {
      counts.full += 1;
      log.warn('no room for another binding', { aor });
      return refuse(503, 'Too Many Contacts', { 'Retry-After': RETRY_AFTER });
    }
    return {
      ok: true,
      // The same contact twice in one request: the last word counts.
      put: put.filter((binding) => next.get(binding.key) === binding),
      remove: current.map((binding) => binding.key).filter((key) => !next.has(key)),
    };
  };

  const wishOf = (request: SipRequest, contact: NameAddr): Refusal | Wish => {
    const uri = read(contact.uri);
    if (uri?.scheme !== 'sip' || uri.host === '') return refuse(400, 'Contact Is No SIP URI');
    if (domain.serves(uri.host, uri.port)) return refuse(400, 'Contact Is This Server');
    const given = contact.param('expires');
    // RFC 3261 §10.2.1.1: a malformed value reads as 3600.
    const asked = given === undefined ? request.expires : /^\d{1,10}$/.test(given) ? Number(given) : HOUR;
    if (asked !== undefined && asked > 0 && asked < expires.min && asked < HOUR)
      return refuse(423, undefined, { 'Min-Expires': String(expires.min) });
    const flowId = flowIdOf(contact);
    if (flowId && request.vias.length > 1 && !hasOutboundPath(request)) {
      if (hasTag(request, 'outbound')) return refuse(439, 'First Hop Lacks Outbound Support');
      return {
        ok: true,
        contact,
        expires: Math.min(asked ?? expires.default, expires.max),
        flowId: undefined,
      };
    }
    return { ok: true, contact, expires: Math.min(asked ?? expires.default, expires.max), flowId };
  };

  const late = (): Refusal => {
    counts.late += 1;
    return refuse(500, 'CSeq Is Not Higher Than Before');
  };

  /** Step 8, with what RFC 3327 §5.3 and RFC 5626 §6 add. */
  const success = (request: SipRequest, aor: string): Headers => {
    const wall = clock.wall();
    const contacts = location.list(aor).map((binding) => formatBinding(binding, clock.now()));
    const path = request.all('Path');
    const outbound =
      request.contacts !== '*' &&
      request.contacts.some((contact) => flowIdOf(contact)) &&
      (request.vias.length === 1 || hasOutboundPath(request)) &&
      hasTag(request, 'outbound');
    return {
      ...(contacts.length > 0 && { Contact: contacts }),
      ...(path.length > 0 && { Path: path }),
      ...(outbound && { Require: 'outbound' }),
      Supported: 'path, outbound',
      ...(wall !== undefined && { Date: formatDate(wall) }),
    };
  };

  const check = (incoming: Incoming): Refusal | { ok: true; aor: string; headers?: Headers } => {
    const { request } = incoming;
    const target = read(request.uri);
    // Step 1. A registrar is named without a user part (RFC 3261 §10.2).
    if (!target || !domain.serves(target.host, target.port))
      return refuse(404, 'Not The Registrar Of That Domain');
    if (target.user !== undefined) return refuse(400, 'Request-URI Has A User Part');
    // RFC 3327 §5.3: a client that does not know Path is told that somebody put one in.
    if (request.has('Path') && !hasTag(request, 'path'))
      return refuse(420, undefined, { Unsupported: 'path' });
    const identity = gate.identify(incoming);
    if (!identity.ok) return identity;
    const aor = request.to && domain.aor(request.to.uri);
    if (aor === undefined || !accounts().known(aor)) return refuse(404);
    if (!accounts().owns(identity.user, aor)) return refuse(403);
    return { ok: true, aor, ...(identity.headers && { headers: identity.headers }) };
  };

  return {
    handle(incoming) {
      const { request } = incoming;
      const admitted = check(incoming);
      if (!admitted.ok) return incoming.respond(admitted.status, admitted);
      const changes = change(incoming, admitted.aor);
      if (!changes.ok) return incoming.respond(changes.status, changes);
      if (changes.put.length > 0 || changes.remove.length > 0) location.commit(admitted.aor, changes);
      incoming.respond(200, { headers: { ...success(request, admitted.aor), ...admitted.headers } });
    },
    counts: () => ({ ...counts }),
  };
}

/** RFC 3261 §10.3 steps 6 and 7: requests of one client that arrive out of order are not to undo each other. */
function isLate(request: SipRequest, binding: Binding): boolean {
  return request.callId === binding.callId && (request.cseq?.number ?? 0) <= binding.cseq;
}

function hasTag(request: SipRequest, tag: string): boolean {
  return request.all('Supported').some((one) => one.toLowerCase() === tag);
}

/** RFC 5626 §5.1: the first hop marks its Path with `ob`. */
function hasOutboundPath(request: SipRequest): boolean {
  return request.all('Path').some((one) => /;ob(?=[;>=]|$)/i.test(one));
}
