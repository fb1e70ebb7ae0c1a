import type { Random } from '../deps.ts';
import type { Protocol } from '../message/protocol.ts';
import type { NaptrRecord, SrvRecord } from './dns.ts';

/**
 * SRV records in the order in which to try them: by priority, and within one by the draw of RFC 2782 ("Usage rules"),
 * where a record is as likely to come first as its weight says, and weight 0 has a small chance.
 */
export function orderSrv(records: readonly SrvRecord[], random: Random): SrvRecord[] {
  const ordered: SrvRecord[] = [];
  const priorities = [...new Set(records.map((record) => record.priority))].sort((a, b) => a - b);
  for (const priority of priorities) {
    // Those of weight 0 first, so that the draw can fall on them at all.
    const left = records.filter((record) => record.priority === priority).sort((a, b) => a.weight - b.weight);
    while (left.length > 0) {
      const sum = left.reduce((total, record) => total + record.weight, 0);
      const draw = Math.floor(random.float() * (sum + 1));
      let running = 0;
      const at = left.findIndex((record) => {
        running += record.weight;
        return running >= draw;
      });
      ordered.push(...left.splice(Math.max(0, at), 1));
    }
  }
  return ordered;
}

/** A way to a domain: a protocol and the name of its SRV records. */
export interface Service {
  readonly protocol: Protocol;
  readonly srv: string;
}

/** RFC 3263 §4.1: what the services of NAPTR records stand for. */
const SERVICES: Readonly<Record<string, Protocol>> = {
  'SIP+D2U': 'udp',
  'SIP+D2T': 'tcp',
  'SIPS+D2T': 'tls',
};

/** Ways that one domain's NAPTR records may offer; further ones are not followed. */
const MOST_SERVICES = 8;

/** The NAPTR records that we can use, in the order of the domain's preference. */
export function orderNaptr(records: readonly NaptrRecord[], protocols: readonly Protocol[]): Service[] {
  const services = [...records]
    .sort((a, b) => a.order - b.order || a.preference - b.preference)
    .flatMap((record) => {
      const protocol = SERVICES[record.service.toUpperCase()];
      // Only terminal records that lead to SRV, without a rewriting expression, are defined for SIP.
      const usable = record.flags.toLowerCase() === 's' && record.regexp === '' && record.replacement !== '';
      if (protocol === undefined || !usable || !protocols.includes(protocol)) return [];
      return [{ protocol, srv: record.replacement }];
    })
    .slice(0, MOST_SERVICES);
  // RFC 3263 §7: whoever can keep our TLS connections from being made must not bring us to talk in the clear.
  return services[0]?.protocol === 'tls' ? services.filter((one) => one.protocol === 'tls') : services;
}

/** Whether the domain says that it speaks TLS. */
export function offersTls(records: readonly NaptrRecord[]): boolean {
  return records.some((record) => SERVICES[record.service.toUpperCase()] === 'tls');
}
