import { createHash } from 'node:crypto';

/** Longest readable part of an id: it stands in every selector of a diff. */
const NAME_LIMIT = 16;
const HASH_DIGITS = 5;
/** Letters that every edition of XML 1.0 allows in a name: Latin, Greek, Cyrillic. */
const NO_NAME =
  /[^0-9A-Za-z_\u00C0-\u00D6\u00D8-\u00F6\u00F8-\u00FF\u0391-\u03A1\u03A3-\u03C9\u0410-\u044F\u0401\u0451]+/g;

/**
 * Id of a device's tuple, such as `freezer-2m6k9`: what can stay of the device's name, so that people recognise it, and
 * a hash of AOR and device. It is an NCName whatever the device is called (`2nd door` gives `_2nd-door-…`), the same
 * after every restart, and different in all segments of one AOR, since the device ids of a configuration are.
 * @param aor the AOR in the form in which it is published
 * @param device the device's id in the configuration
 */
export function tupleId(aor: string, device: string): string {
  const name = composed(device)
    .replace(NO_NAME, '-')
    .replace(/^-|-$/g, '')
    .slice(0, NAME_LIMIT)
    .replace(/-$/, '');
  const hash = digest('sha256', `${aor}\0${device}`).readUInt32BE(0) % 36 ** HASH_DIGITS;
  const tail = hash.toString(36).padStart(HASH_DIGITS, '0');
  if (name === '') return `t-${tail}`;
  return `${/^[0-9]/.test(name) ? '_' : ''}${name}-${tail}`;
}

/** In normalisation form C. ASCII is, and asking for it would load tables that most gateways never need. */
function composed(text: string): string {
  return ASCII.test(text) ? text : text.normalize('NFC');
}

const ASCII = /^[ -~]*$/;

/** The readable part of a tuple id of ours, or the id itself when it is somebody else's. */
export function labelOf(id: string): string {
  const match = /^(_(?=[0-9]))?(.+)-[0-9a-z]{5}$/.exec(id);
  return match?.[2] ?? id;
}

/** Id of the device element that belongs to a tuple; the dot is in no tuple id. */
export function deviceElementId(id: string): string {
  return `${id}.d`;
}

/** Id of the person element of a device with its own AOR. */
export function personElementId(id: string): string {
  return `${id}.p`;
}

/** UUID namespace for URLs (RFC 9562 §6.6). */
const URL_NAMESPACE = Buffer.from('6ba7b8119dad11d180b400c04fd430c8', 'hex');

/**
 * URN for a device that has no better one (a MAC address or serial number as `urn:dev:…`, RFC 9039): a version 5 UUID
 * of AOR and device, so the same after every restart.
 */
export function deviceUrn(aor: string, device: string): string {
  const bytes = digest('sha1', Buffer.concat([URL_NAMESPACE, Buffer.from(`${aor}#${device}`)]));
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x50, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = bytes.toString('hex');
  const groups = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)];
  return `urn:uuid:${groups.join('-')}`;
}

function digest(algorithm: string, data: string | Buffer): Buffer {
  return createHash(algorithm).update(data).digest();
}
