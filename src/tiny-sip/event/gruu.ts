import { createCipheriv, createDecipheriv, createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { Random } from '../deps.ts';
import { formatUri, parseUri, type SipUri } from '../message/uri.ts';

/**
 * Globally routable user agent URIs (RFC 5627). The public one is the AOR with a `gr` parameter that names the instance.
 * A temporary one hides both: its user part is an encrypted and signed handle, after the example of RFC 5627 Appendix A.
 * Neither costs memory, however many are made.
 */
export interface GruuMint {
  /** The public GRUU of an instance of an AOR: the same for ever. */
  publicGruu(aor: string, instance: string): string;
  /** A new handle for the temporary GRUUs of one instance, from its first registration to its last. */
  handle(): string;
  /** Another temporary GRUU each time; which of them belong together only this mint can tell. */
  temporaryGruu(aor: string, handle: string): string;
  /**
   * Reads a URI with a `gr` parameter; undefined when it has none. `forged`: a temporary one that this mint did not make.
   */
  read(uri: SipUri): Gruu | undefined;
}

/** What a URI with `gr` stands for. */
export type Gruu =
  | { readonly kind: 'public'; readonly aor: string; readonly gr: string }
  | { readonly kind: 'temporary'; readonly handle: string }
  | { readonly kind: 'forged' };

/** In front of the user part of temporary ones (RFC 5627 Appendix A.2). */
const prefix = 'tgruu.';

/** Bytes of the handle and of what makes each GRUU another: together one block of the cipher. */
const handleBytes = 8;
const saltBytes = 8;
const proofBytes = 10;

/**
 * Makes GRUUs and reads its own (RFC 5627).
 *
 * @param key 32 bytes; temporary GRUUs are good as long as it is the same. Default: random, so until the process ends.
 */
export function createGruuMint(deps: { readonly random: Random }, key = deps.random.bytes(32)): GruuMint {
  const derive = (what: string): Buffer => createHmac('sha256', key).update(what).digest();
  const cipherKey = derive('gruu encryption').subarray(0, 16);
  const proofKey = derive('gruu proof');

  const prove = (block: Buffer): Buffer =>
    createHmac('sha256', proofKey).update(block).digest().subarray(0, proofBytes);

  // One block with a salt of its own in it: no two are alike, and ECB shows nothing.
  const encrypt = (block: Buffer): Buffer => {
    const cipher = createCipheriv('aes-128-ecb', cipherKey, null).setAutoPadding(false);
    return Buffer.concat([cipher.update(block), cipher.final()]);
  };
  const decrypt = (block: Buffer): Buffer => {
    const cipher = createDecipheriv('aes-128-ecb', cipherKey, null).setAutoPadding(false);
    return Buffer.concat([cipher.update(block), cipher.final()]);
  };

  return {
    publicGruu(aor, instance) {
      const uri = parseUri(aor);
      return formatUri({ ...uri, params: new Map([...uri.params, ['gr', grOf(instance)]]) });
    },
    handle: () => Buffer.from(deps.random.bytes(handleBytes)).toString('hex'),
    temporaryGruu(aor, handle) {
      const block = encrypt(Buffer.concat([deps.random.bytes(saltBytes), Buffer.from(handle, 'hex')]));
      const { scheme, host, port } = parseUri(aor);
      return formatUri({
        scheme,
        user: `${prefix}${Buffer.concat([block, prove(block)]).toString('base64url')}`,
        host,
        port,
        params: new Map([['gr', '']]),
      });
    },
    read(uri) {
      const gr = uri.params.get('gr');
      if (gr === undefined) return undefined;
      const { user = '' } = uri;
      if (!user.startsWith(prefix)) {
        const params = new Map(uri.params);
        params.delete('gr');
        return { kind: 'public', aor: formatUri({ ...uri, params, headers: undefined }), gr };
      }
      const text = user.slice(prefix.length);
      const bytes = Buffer.from(text, 'base64url');
      const block = bytes.subarray(0, saltBytes + handleBytes);
      const proof = bytes.subarray(saltBytes + handleBytes);
      if (proof.length !== proofBytes || bytes.toString('base64url') !== text) return { kind: 'forged' };
      if (!timingSafeEqual(prove(block), proof)) return { kind: 'forged' };
      return { kind: 'temporary', handle: decrypt(block).subarray(saltBytes).toString('hex') };
    },
  };
}

/** What stands in `gr` for an instance: the URN itself where it can stand there, else a hash of it. */
export function grOf(instance: string): string {
  const urn = instance.replace(/^<|>$/g, '');
  const lower = urn.toLowerCase();
  // RFC 8141 §3.1: of a UUID no letter's case counts.
  if (/^urn:uuid:[-0-9a-f]{1,64}$/.test(lower)) return lower;
  return createHash('sha256').update(urn).digest('base64url').slice(0, 22);
}
