import type { DetailedPeerCertificate, PeerCertificate, TLSSocket } from 'node:tls';
import { domainToASCII } from 'node:url';
import { type Clock, machineTime } from '../deps.ts';
import { SipError } from '../errors.ts';
import { ipFamily } from '../message/ip.ts';
import { canonicalHost, plainHost, sameHost } from './address.ts';

/** What a verified certificate says of the other side. */
export interface Peer {
  /** SIP domain identities (RFC 5922 §7.1), lower case, internationalised ones in their ASCII form. */
  readonly names: readonly string[];
  /** iPAddress entries; they prove that address when it was itself asked for, and no domain. */
  readonly addresses: readonly string[];
  /** `user@domain` of sip URIs with a user part: individuals, which prove no domain (RFC 5922 §7.1). */
  readonly users: readonly string[];
  /** SHA-256 of the certificate, pairs of hexadecimal digits with colons. */
  readonly fingerprint: string;
  /** `TLSv1.2` or `TLSv1.3`. */
  readonly version: string;
}

/** RFC 5922 §7.2: whole names, whatever their case; no wildcard, no suffix. */
export function proves(peer: Peer, name: string): boolean {
  const wanted = asciiName(name);
  if (ipFamily(wanted) !== 0)
    return peer.names.includes(wanted) || peer.addresses.some((one) => sameHost(one, wanted));
  return peer.names.includes(wanted);
}

/** A domain as it stands in certificates: lower case, ASCII, without the dot of the root; IPv6 without brackets. */
export function asciiName(name: string): string {
  const bare = name.startsWith('[') && name.endsWith(']') ? name.slice(1, -1) : name;
  if (ipFamily(bare) !== 0) return canonicalHost(bare);
  const lower = bare.replace(/\.$/, '').toLowerCase();
  // A wildcard is no domain, and stands for itself alone.
  return domainToASCII(lower) || lower;
}

/**
 * RFC 5922 §7.1: what a certificate says of whom it is. URI entries of the scheme sip come before DNS entries, the
 * common name counts only where there is no subjectAltName at all.
 */
export function identitiesOf(
  certificate: Pick<PeerCertificate, 'subject' | 'subjectaltname' | 'fingerprint256'>,
  version: string,
): Peer {
  const uris: string[] = [];
  const dns: string[] = [];
  const addresses: string[] = [];
  const users: string[] = [];
  const { subjectaltname } = certificate;
  for (const [type, value] of splitAltNames(subjectaltname ?? '')) {
    if (type === 'DNS') dns.push(asciiName(value));
    else if (type === 'IP Address') addresses.push(plainHost(value.toLowerCase()));
    else if (type === 'URI') {
      const found = /^sip:(?:([^@]*)@)?(\[[\da-f:.]+\]|[\w.-]+)(?::\d+)?(?:[;?].*)?$/i.exec(value);
      const [, user, host] = found ?? [];
      if (host === undefined) continue;
      if (user === undefined) uris.push(asciiName(host));
      else users.push(`${user}@${asciiName(host)}`);
    }
  }
  return {
    names: uris.length > 0 ? uris : subjectaltname === undefined ? commonName(certificate) : dns,
    addresses,
    users,
    fingerprint: certificate.fingerprint256,
    version,
  };
}

function commonName({ subject }: Pick<PeerCertificate, 'subject'>): string[] {
  // More than one: which of them is meant is anybody's guess. The types know one only.
  const name: unknown = subject?.CN;
  return typeof name === 'string' && /^[a-z\d]([a-z\d-]*[a-z\d])?(\.[a-z\d]([a-z\d-]*[a-z\d])?)*$/i.test(name)
    ? [name.toLowerCase()]
    : [];
}

/** Node writes `type:value, type:value`; values that a comma or a quote could break are JSON strings. */
function splitAltNames(text: string): (readonly [type: string, value: string])[] {
  const found: (readonly [string, string])[] = [];
  const entry = /([^:,"]+):("(?:[^"\\]|\\.)*"|[^",]*)(?:, |$)/y;
  for (let match = entry.exec(text); match !== null; match = entry.exec(text)) {
    const [, type = '', value = ''] = match;
    found.push([type, value.startsWith('"') ? unquoted(value) : value]);
    if (entry.lastIndex >= text.length) break;
  }
  return found;
}

function unquoted(text: string): string {
  try {
    return String(JSON.parse(text));
  } catch {
    return '';
  }
}

/**
 * Judges the certificate of an established connection. Done for each connection by this side itself: Node skips its
 * check of the name for a resumed session.
 *
 * @param name the domain that the certificate must prove; undefined on the side that accepted
 */
export function judge(
  clock: Clock,
  socket: TLSSocket,
  name: string | undefined,
  remote: string,
): Peer | SipError {
  const certificate = socket.getPeerCertificate(true);
  if (!(certificate as DetailedPeerCertificate | undefined)?.raw)
    return new SipError('CERTIFICATE_UNTRUSTED', { remote, why: 'there is none' });
  if (!socket.authorized) {
    const why = String(socket.authorizationError ?? 'it was not verified');
    if (/^(?:CERT|CRL)_(?:NOT_YET_VALID|HAS_EXPIRED)$/.test(why))
      return outOfTime(clock, certificate, remote, why);
    return new SipError('CERTIFICATE_UNTRUSTED', { remote, why });
  }
  const peer = identitiesOf(certificate, socket.getProtocol() ?? '');
  if (name === undefined || proves(peer, name)) return peer;
  const shown = [...peer.names, ...peer.addresses].join(', ') || 'nobody';
  return new SipError('CERTIFICATE_NAME', { remote, name, names: shown });
}

/** The one in the chain whose dates do not fit, which need not be that of the peer itself. */
function outOfTime(clock: Clock, leaf: DetailedPeerCertificate, remote: string, why: string): SipError {
  const now = machineTime();
  const seen = new Set<string>();
  let found = leaf;
  for (
    let one: DetailedPeerCertificate | undefined = leaf;
    one?.raw && !seen.has(one.fingerprint256);
    one = one.issuerCertificate
  ) {
    seen.add(one.fingerprint256);
    if (now < Date.parse(one.valid_from) || now > Date.parse(one.valid_to)) {
      found = one;
      break;
    }
  }
  const early = why.endsWith('NOT_YET_VALID');
  return new SipError('CERTIFICATE_TIME', {
    remote,
    early,
    state: early ? 'not valid yet' : 'expired',
    subject: String(found.subject?.CN ?? '?'),
    notBefore: day(found.valid_from),
    notAfter: day(found.valid_to),
    now: day(now),
    // A clock that was never set makes this a matter of waiting, not of certificates.
    clockTrusted: clock.wall() !== undefined,
  });
}

function day(date: string | number): string {
  const time = typeof date === 'number' ? date : Date.parse(date);
  return Number.isFinite(time) ? new Date(time).toISOString().replace('.000', '') : String(date);
}
