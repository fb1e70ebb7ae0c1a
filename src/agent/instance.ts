import { join } from 'node:path';
import type { Random } from 'tiny-sip';
import { asError } from '../base/errors.ts';
import { type Files, writeFileAtomic } from '../base/file.ts';
import type { Log } from '../base/log.ts';

/**
 * The agent's instance URN (RFC 5626 §4.1): made once, and the same after every restart, so that the registrar sees one
 * device that moved instead of two. Where it cannot be kept, one for this run is better than none.
 */
export async function readInstance(
  deps: { readonly files: Files; readonly random: Random; readonly log: Log },
  directory: string,
): Promise<string> {
  const { files, random, log } = deps;
  const path = join(directory, 'instance');
  try {
    if (await files.stat(path)) {
      const kept = (await files.read(path)).toString('utf8').trim();
      if (/^urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(kept)) return kept;
    }
    const made = makeUrn(random.bytes(16));
    await files.makeDirectory(directory);
    await writeFileAtomic(files, path, `${made}\n`);
    return made;
  } catch (error) {
    log.warn('instance id cannot be kept', { path, cause: asError(error) });
    return makeUrn(random.bytes(16));
  }
}

/** A version 4 UUID (RFC 9562 §5.4). */
function makeUrn(given: Uint8Array): string {
  const bytes = Buffer.from(given);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x40, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = bytes.toString('hex');
  const groups = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)];
  return `urn:uuid:${groups.join('-')}`;
}
