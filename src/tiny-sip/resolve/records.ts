import { ipFamily } from '../message/ip.ts';
import type { AddressRecord, NaptrRecord, SoaRecord, SrvRecord } from './dns.ts';

/**
 * What a name server says is input from outside like any other: whoever runs a domain, or sits on the way to its name
 * server, chooses every byte of it. Here it is brought within bounds before anything is kept or followed.
 */

export interface RecordsOf {
  readonly naptr: readonly NaptrRecord[];
  readonly srv: readonly SrvRecord[];
  readonly a: readonly AddressRecord[];
  readonly aaaa: readonly AddressRecord[];
  readonly soa: readonly SoaRecord[];
  readonly hosts: readonly string[];
}

export type RecordType = keyof RecordsOf;

/** Records of one answer that are kept; of those with an order the first. */
const MOST_RECORDS = 64;

/** RFC 1035 §2.3.4. A name with its final dot may be one longer. */
const LONGEST_NAME = 253;
const NAME = /^[a-z0-9_](?:[a-z0-9_-]{0,62})(?:\.[a-z0-9_](?:[a-z0-9_-]{0,62}))*\.?$/i;

/** Whether a name can be asked for: labels of 1 to 63 letters, digits, hyphens and underscores, 253 in all. */
export function isName(name: string): boolean {
  return name.length <= LONGEST_NAME + (name.endsWith('.') ? 1 : 0) && NAME.test(name);
}

/** Those records that follow their own format, as many as are kept. */
export function soundRecords<T extends RecordType>(type: T, records: RecordsOf[T]): RecordsOf[T] {
  const sound: { readonly [K in RecordType]: (given: RecordsOf[K]) => RecordsOf[K] } = {
    naptr: (given) =>
      given
        .filter(isNaptr)
        .sort((a, b) => a.order - b.order || a.preference - b.preference)
        .slice(0, MOST_RECORDS),
    srv: (given) =>
      given
        .filter(isSrv)
        .sort((a, b) => a.priority - b.priority)
        .slice(0, MOST_RECORDS),
    a: (given) => given.filter((one) => ipFamily(one.address) === 4).slice(0, MOST_RECORDS),
    aaaa: (given) => given.filter((one) => ipFamily(one.address) === 6).slice(0, MOST_RECORDS),
    soa: (given) => given.filter((one) => Number.isFinite(one.minttl) && one.minttl >= 0).slice(0, 1),
    hosts: (given) => given.filter((one) => ipFamily(one) !== 0).slice(0, MOST_RECORDS),
  };
  return sound[type](records);
}

const isShort = (value: unknown): boolean =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 0xffff;

function isNaptr(record: NaptrRecord): boolean {
  return (
    isShort(record.order) &&
    isShort(record.preference) &&
    [record.flags, record.service, record.regexp].every((text) => text.length <= 255) &&
    (record.replacement === '' || isName(record.replacement))
  );
}

/** RFC 2782: the target "." says that there is no such service; its port means nothing. */
export function isNoService(record: SrvRecord): boolean {
  return record.name === '' || record.name === '.';
}

function isSrv(record: SrvRecord): boolean {
  return (
    isShort(record.priority) &&
    isShort(record.weight) &&
    isShort(record.port) &&
    (isNoService(record) || (record.port > 0 && isName(record.name)))
  );
}
