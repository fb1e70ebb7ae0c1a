import { isIPv4 } from 'node:net';
import { canonicalHost } from './address.ts';
import type { Address } from './transport.ts';

/** The part of STUN (RFC 5389) that keeps SIP flows open: binding requests and their answers (RFC 5626 §8). */
export interface StunMessage {
  readonly kind: 'request' | 'indication' | 'success' | 'error';
  /** 96 bits. */
  readonly transaction: Buffer;
  /** XOR-MAPPED-ADDRESS, else MAPPED-ADDRESS. */
  readonly mapped: Address | undefined;
  /** Of an error response; 0 where it has none that can be read. */
  readonly code: number;
  /** Attributes that must be understood and are not (RFC 5389 §15: types below 0x8000). */
  readonly unknown: readonly number[];
}

const HEADER = 20;
const COOKIE = 0x2112a442;
/** No binding message is longer; a datagram that is comes from something else. */
const LONGEST = 1_500;
const BINDING = { request: 0x0001, indication: 0x0011, success: 0x0101, error: 0x0111 } as const;
const MAPPED = 0x0001;
const ERROR_CODE = 0x0009;
const UNKNOWN_ATTRIBUTES = 0x000a;
const XOR_MAPPED = 0x0020;
/** Those of RFC 5389 §18.2 that a binding message may carry: understood, and of no use without a password. */
const understood = new Set([
  MAPPED,
  0x0006,
  0x0008,
  ERROR_CODE,
  UNKNOWN_ATTRIBUTES,
  0x0014,
  0x0015,
  XOR_MAPPED,
]);

/** Whether a datagram is meant as STUN and not as SIP: no SIP message begins with such a byte (RFC 5626 §8). */
export function looksLikeStun(bytes: Buffer): boolean {
  return bytes.length >= HEADER && (bytes[0] ?? 255) < 2;
}

/** Reads one datagram; undefined for what is no binding message as RFC 5389 §6 has it. */
export function parseStun(bytes: Buffer): StunMessage | undefined {
  if (bytes.length < HEADER || bytes.length > LONGEST || bytes.readUInt32BE(4) !== COOKIE) return undefined;
  const kind = kindOf(bytes.readUInt16BE(0));
  const length = bytes.readUInt16BE(2);
  if (kind === undefined || length % 4 !== 0 || HEADER + length !== bytes.length) return undefined;
  const transaction = bytes.subarray(8, HEADER);
  let xored: Address | undefined;
  let plain: Address | undefined;
  let code = 0;
  const unknown: number[] = [];
  for (let at = HEADER; at < bytes.length; ) {
    const type = bytes.readUInt16BE(at);
    const size = bytes.readUInt16BE(at + 2);
    const end = at + 4 + size;
    if (end > bytes.length) return undefined;
    const value = bytes.subarray(at + 4, end);
    // RFC 5389 §15: of an attribute that comes twice the first counts.
    if (type === XOR_MAPPED) xored ??= readAddress(value, bytes.subarray(4, HEADER));
    else if (type === MAPPED) plain ??= readAddress(value, undefined);
    else if (type === ERROR_CODE && size >= 4) code ||= ((value[2] ?? 0) & 7) * 100 + (value[3] ?? 0);
    else if (type < 0x8000 && !understood.has(type) && !unknown.includes(type)) unknown.push(type);
    // Padded to four bytes; the length of the whole is a multiple of four, so this does not pass its end.
    at = at + 4 + Math.ceil(size / 4) * 4;
  }
  return { kind, transaction, mapped: xored ?? plain, code, unknown };
}

function kindOf(type: number): StunMessage['kind'] | undefined {
  switch (type) {
    case BINDING.request:
      return 'request';
    case BINDING.indication:
      return 'indication';
    case BINDING.success:
      return 'success';
    case BINDING.error:
      return 'error';
    default:
      return undefined;
  }
}

/** @param mask cookie and transaction, for XOR-MAPPED-ADDRESS (RFC 5389 §15.2) */
function readAddress(value: Buffer, mask: Buffer | undefined): Address | undefined {
  const size = value[1] === 1 ? 4 : value[1] === 2 ? 16 : 0;
  if (size === 0 || value.length !== 4 + size) return undefined;
  const plain = Buffer.from(value);
  if (mask !== undefined) xor(plain, mask);
  const port = plain.readUInt16BE(2);
  if (size === 4) return { host: plain.subarray(4).join('.'), port };
  const groups = Array.from({ length: 8 }, (_, i) => plain.readUInt16BE(4 + i * 2).toString(16));
  return { host: canonicalHost(groups.join(':')), port };
}

/** Port and address are masked alike: the port by the first half of the cookie. */
function xor(value: Buffer, mask: Buffer): void {
  for (let i = 0; i < 2; i += 1) value[2 + i] = (value[2 + i] ?? 0) ^ (mask[i] ?? 0);
  for (let i = 4; i < value.length; i += 1) value[i] = (value[i] ?? 0) ^ (mask[i - 4] ?? 0);
}

/** @param transaction 12 random bytes */
export function formatBindingRequest(transaction: Uint8Array): Buffer {
  return format(BINDING.request, transaction, Buffer.alloc(0));
}

/** The answer to a binding request that came from that address. */
export function formatBindingSuccess(transaction: Uint8Array, address: Address): Buffer {
  const value = addressBytes(address);
  const head = Buffer.alloc(4);
  head.writeUInt16BE(XOR_MAPPED, 0);
  head.writeUInt16BE(value.length, 2);
  const message = format(BINDING.success, transaction, Buffer.concat([head, value]));
  xor(message.subarray(HEADER + 4), message.subarray(4, HEADER));
  return message;
}

/** RFC 5389 §7.3.1: 420, with what was not understood. */
export function formatUnknownAttributes(transaction: Uint8Array, types: readonly number[]): Buffer {
  // No more than fits: the answer must not be much longer than what was asked.
  const told = types.slice(0, 8);
  const padded = Math.ceil(told.length / 2) * 4;
  const attributes = Buffer.alloc(8 + 4 + padded);
  attributes.writeUInt16BE(ERROR_CODE, 0);
  attributes.writeUInt16BE(4, 2);
  attributes[6] = 4;
  attributes[7] = 20;
  attributes.writeUInt16BE(UNKNOWN_ATTRIBUTES, 8);
  attributes.writeUInt16BE(told.length * 2, 10);
  for (const [index, type] of told.entries()) attributes.writeUInt16BE(type, 12 + index * 2);
  return format(BINDING.error, transaction, attributes);
}

function format(type: number, transaction: Uint8Array, attributes: Buffer): Buffer {
  const message = Buffer.alloc(HEADER + attributes.length);
  message.writeUInt16BE(type, 0);
  message.writeUInt16BE(attributes.length, 2);
  message.writeUInt32BE(COOKIE, 4);
  message.set(transaction.subarray(0, 12), 8);
  message.set(attributes, HEADER);
  return message;
}

function addressBytes({ host, port }: Address): Buffer {
  const v4 = isIPv4(host);
  const bytes = Buffer.alloc(v4 ? 8 : 20);
  bytes[1] = v4 ? 1 : 2;
  bytes.writeUInt16BE(port, 2);
  if (v4) bytes.set(host.split('.').map(Number), 4);
  else for (const [index, group] of groupsOf(host).entries()) bytes.writeUInt16BE(group, 4 + index * 2);
  return bytes;
}

/** The eight groups of an IPv6 address. */
function groupsOf(host: string): readonly number[] {
  const [head = '', tail] = (canonicalHost(host).split('%')[0] ?? '').split('::');
  const read = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16));
  const left = read(head);
  const right = read(tail ?? '');
  return [...left, ...Array<number>(Math.max(0, 8 - left.length - right.length)).fill(0), ...right];
}
