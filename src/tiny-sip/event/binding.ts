import type { SipRequest } from '../message/message.ts';
import { formatNameAddr, type NameAddr } from '../message/name-addr.ts';
import { detach } from '../message/text.ts';
import { parseUri, type SipUri } from '../message/uri.ts';
import { equalUri } from '../message/uri-compare.ts';
import type { Flow } from '../transport/transport.ts';
import type { Binding } from './location.ts';

/** Instance and reg-id of a contact that is tied to its flow (RFC 5626 §6). */
export interface FlowId {
  readonly instance: string;
  readonly regId: number;
}

/** reg-id without an instance is ignored (RFC 5626 §6). */
export function flowIdOf(contact: NameAddr): FlowId | undefined {
  const instance = contact.param('+sip.instance');
  const regId = Number(contact.param('reg-id') ?? Number.NaN);
  if (!instance || !Number.isInteger(regId) || regId < 1) return undefined;
  return { instance, regId };
}

/** What the registrar says of a contact, whatever its client says (RFC 5627 §5.1). */
const OURS: ReadonlySet<string> = new Set(['expires', 'pub-gruu', 'temp-gruu']);

/** How much a client prefers this contact, 0 to 1 (RFC 3261 §20.10). */
export function preferenceOf(binding: Pick<Binding, 'params'>): number {
  const text = binding.params.find(([name]) => name === 'q')?.[1];
  return text !== undefined && /^(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/.test(text) ? Number(text) : 1;
}

/** Makes the binding that a REGISTER asks for. What it keeps shares no memory with the message. */
export function createBinding(
  request: SipRequest,
  flow: Flow,
  wish: {
    readonly aor: string;
    readonly contact: NameAddr;
    readonly flowId: FlowId | undefined;
    readonly expiresAt: number;
    readonly gruu: string | undefined;
  },
): Binding {
  const { contact, flowId } = wish;
  const uri = detach(contact.uri);
  const instance = contact.param('+sip.instance');
  const params = [...contact.params]
    .filter(([name]) => !OURS.has(name))
    .map(([name, value]) => [detach(name), detach(value)] as const);
  const path = request.all('Path').map(detach);
  const byFlow = isByFlow(request, flow, read(uri), flowId !== undefined);
  return {
    aor: wish.aor,
    key: flowId ? `${detach(flowId.instance)};${flowId.regId}` : uri,
    contact: uri,
    params,
    ...(instance && { instance: detach(instance) }),
    ...(instance && wish.gruu !== undefined && { gruu: wish.gruu }),
    path,
    callId: detach(request.callId ?? ''),
    cseq: request.cseq?.number ?? 0,
    expiresAt: wish.expiresAt,
    byFlow,
    protocol: flow.protocol,
    local: flow.local,
    remote: flow.remote,
    flow: byFlow ? flow : undefined,
  };
}

/** Whether a Contact means a binding that is already there: by flow identity, else by URI (RFC 3261 §10.3 step 7). */
export function isSame(binding: Binding, contact: NameAddr, flowId: FlowId | undefined): boolean {
  if (flowId) return binding.key === `${flowId.instance};${flowId.regId}`;
  // A binding with a flow of its own is not to be found by its contact.
  if (binding.key !== binding.contact) return false;
  try {
    return equalUri(binding.contact, contact.uri);
  } catch {
    return false;
  }
}

/** The Contact value for a response, with the seconds that are left; `more`: parameters besides the client's. */
export function formatBinding(
  binding: Binding,
  now: number,
  more: Readonly<Record<string, string>> = {},
): string {
  const params = new Map([...binding.params, ...Object.entries(more)]);
  params.set('expires', String(Math.max(0, Math.ceil((binding.expiresAt - now) / 1000))));
  return formatNameAddr({ uri: binding.contact, params });
}

/**
 * Whether requests to the contact go back over the flow that registered it. RFC 5626 §7 demands it for outbound
 * clients; behind a NAT nothing else works. Only a contact that came by datagram, straight and untranslated, and that
 * names another socket than the sender's is taken by its word (RFC 3261 §10: a client may register another's address).
 */
function isByFlow(request: SipRequest, flow: Flow, contact: SipUri | undefined, outbound: boolean): boolean {
  if (request.vias.length > 1) return false;
  if (outbound || flow.reliable || !contact) return true;
  const via = request.topVia;
  const { remote } = flow;
  const translated = via?.host !== remote.host || (via.port ?? 5060) !== remote.port;
  const elsewhere = contact.host !== remote.host || (contact.port ?? 5060) !== remote.port;
  return translated || !elsewhere || !isNumeric(contact.host);
}

function read(text: string): SipUri | undefined {
  try {
    return parseUri(text);
  } catch {
    return undefined;
  }
}

function isNumeric(host: string): boolean {
  return /^\d+(\.\d+){3}$/.test(host) || host.includes(':');
}
