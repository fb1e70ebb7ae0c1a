/** Certificate authorities, certificates and revocation lists for tests, made of DER by hand (RFC 5280). */
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';

export interface CertificateInit {
  /** Common name of the subject. */
  readonly cn?: string;
  readonly dns?: readonly string[];
  readonly uris?: readonly string[];
  /** IPv4 addresses. */
  readonly addresses?: readonly string[];
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  /** Extended key usages, as dotted numbers. */
  readonly usages?: readonly string[];
}

export interface Issued {
  /** PEM. */
  readonly cert: string;
  readonly key: string;
  readonly serial: number;
}

export interface Authority {
  /** PEM of its own certificate. */
  readonly cert: string;
  issue(init: CertificateInit): Issued;
  /** An authority below this one; what it issues comes with its own certificate behind it. */
  authority(name: string, init?: Pick<CertificateInit, 'notBefore' | 'notAfter'>): Authority;
  /** PEM of a list that names those. */
  revoke(serials: readonly number[]): string;
}

const DAY = 86_400_000;

let serials = 1;

export function createAuthority(name = 'Test Authority'): Authority {
  const keys = newKeys();
  const subject = nameOf(name);
  const cert = signed(keys.privateKey, subject, subject, keys.publicKey, {}, true).pem;
  return authorityOf(name, keys.privateKey, cert, '');
}

function authorityOf(name: string, key: KeyObject, cert: string, chain: string): Authority {
  const issuer = nameOf(name);
  return {
    cert,
    issue(init) {
      const own = newKeys();
      const made = signed(key, issuer, nameOf(init.cn), own.publicKey, init, false);
      return { cert: made.pem + chain, key: pemOf(own.privateKey), serial: made.serial };
    },
    authority(below, init = {}) {
      const own = newKeys();
      const made = signed(key, issuer, nameOf(below), own.publicKey, init, true);
      return authorityOf(below, own.privateKey, made.pem, made.pem + chain);
    },
    revoke(serials) {
      const entries = serials.map((serial) => seq(int(serial), time(new Date(Date.now() - DAY))));
      const body = seq(
        int(1),
        ECDSA,
        issuer,
        time(new Date(Date.now() - DAY)),
        time(new Date(Date.now() + DAY)),
        ...(entries.length > 0 ? [seq(...entries)] : []),
      );
      return pem('X509 CRL', seq(body, ECDSA, bits(sign('sha256', body, key))));
    },
  };
}

function newKeys(): { publicKey: KeyObject; privateKey: KeyObject } {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' });
}

function pemOf(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

function signed(
  key: KeyObject,
  issuer: Buffer,
  subject: Buffer,
  publicKey: KeyObject,
  init: CertificateInit,
  authority: boolean,
): { pem: string; serial: number } {
  const serial = serials++;
  const names = [
    ...(init.dns ?? []).map((one) => der(0x82, Buffer.from(one, 'latin1'))),
    ...(init.uris ?? []).map((one) => der(0x86, Buffer.from(one, 'latin1'))),
    ...(init.addresses ?? []).map((one) => der(0x87, Buffer.from(one.split('.').map(Number)))),
  ];
  const extensions = [
    ...(authority ? [extension('2.5.29.19', seq(der(0x01, Buffer.from([255]))), true)] : []),
    ...(names.length > 0 ? [extension('2.5.29.17', seq(...names))] : []),
    ...(init.usages ? [extension('2.5.29.37', seq(...init.usages.map(oid)))] : []),
  ];
  const body = seq(
    der(0xa0, int(2)),
    int(serial),
    ECDSA,
    issuer,
    seq(
      time(init.notBefore ?? new Date(Date.now() - 2 * DAY)),
      time(init.notAfter ?? new Date(Date.now() + 2 * DAY)),
    ),
    subject,
    publicKey.export({ type: 'spki', format: 'der' }),
    ...(extensions.length > 0 ? [der(0xa3, seq(...extensions))] : []),
  );
  return { pem: pem('CERTIFICATE', seq(body, ECDSA, bits(sign('sha256', body, key)))), serial };
}

function extension(id: string, value: Buffer, critical = false): Buffer {
  return seq(oid(id), ...(critical ? [der(0x01, Buffer.from([255]))] : []), der(0x04, value));
}

function nameOf(cn: string | undefined): Buffer {
  return cn === undefined ? seq() : seq(der(0x31, seq(oid('2.5.4.3'), der(0x0c, Buffer.from(cn)))));
}

function der(tag: number, content: Buffer): Buffer {
  const { length } = content;
  const head =
    length < 128
      ? [tag, length]
      : length < 256
        ? [tag, 0x81, length]
        : [tag, 0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from(head), content]);
}

function seq(...parts: readonly Buffer[]): Buffer {
  return der(0x30, Buffer.concat(parts));
}

function int(value: number): Buffer {
  const hex = value.toString(16);
  const bytes = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex');
  return der(0x02, (bytes[0] ?? 0) > 127 ? Buffer.concat([Buffer.from([0]), bytes]) : bytes);
}

function bits(value: Buffer): Buffer {
  return der(0x03, Buffer.concat([Buffer.from([0]), value]));
}

function oid(text: string): Buffer {
  const [first = 0, second = 0, ...rest] = text.split('.').map(Number);
  const bytes = [first * 40 + second];
  for (const part of rest) {
    const groups = [part & 127];
    for (let left = part >> 7; left > 0; left >>= 7) groups.unshift((left & 127) | 128);
    bytes.push(...groups);
  }
  return der(0x06, Buffer.from(bytes));
}

function time(date: Date): Buffer {
  const digits = date.toISOString().replace(/[-:T]|\.\d+/g, '');
  return date.getUTCFullYear() < 2050
    ? der(0x17, Buffer.from(digits.slice(2)))
    : der(0x18, Buffer.from(digits));
}

function pem(label: string, bytes: Buffer): string {
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

/** ecdsa-with-SHA256 */
const ECDSA = seq(oid('1.2.840.10045.4.3.2'));
