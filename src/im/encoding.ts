import { gunzipSync, inflateRawSync, inflateSync } from 'node:zlib';
import { asError } from '../base/errors.ts';
import { imErrors } from './errors.ts';

/**
 * Undoes a Content-Encoding, in this very turn: what comes out is bounded to a few kilobytes, and a thread of the pool would
 * have to be waited for behind slow files and name look-ups (RFC 2616 §3.5: `deflate` is the zlib format; some send it raw).
 *
 * @param encodings values of Content-Encoding in order
 * @param most bytes that may come out: a few bytes may hold gigabytes
 * @returns undefined when a coding is not known
 * @throws CodedError `IM_TOO_LONG`, `IM_ENCODING`
 */
export function decode(bytes: Buffer, encodings: readonly string[], most: number): Buffer | undefined {
  let decoded = bytes;
  // The last coding was put on last.
  for (const encoding of [...encodings].reverse()) {
    const name = encoding.trim().toLowerCase();
    if (name === 'identity' || name === '') continue;
    const ways = CODINGS[name];
    if (!ways) return undefined;
    decoded = undo(decoded, name, ways, most);
  }
  if (decoded.length > most) throw imErrors.TOO_LONG({ most });
  return decoded;
}

type Way = typeof inflateSync;

const CODINGS: Readonly<Record<string, readonly Way[]>> = {
  deflate: [inflateSync, inflateRawSync],
  gzip: [gunzipSync],
  'x-gzip': [gunzipSync],
};

function undo(bytes: Buffer, encoding: string, ways: readonly Way[], most: number): Buffer {
  let first: Error | undefined;
  for (const way of ways) {
    try {
      return way(bytes, { maxOutputLength: most });
    } catch (thrown) {
      const error = asError(thrown);
      if ('code' in error && error.code === 'ERR_BUFFER_TOO_LARGE') throw imErrors.TOO_LONG({ most });
      first ??= error;
    }
  }
  throw imErrors.ENCODING({ encoding, cause: first ?? 'empty' }, first);
}
