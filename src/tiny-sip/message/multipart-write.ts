import { createHash } from 'node:crypto';
import { SipSyntaxError } from '../errors.ts';
import { allOf, TOKEN } from './chars.ts';
import type { HeaderInit } from './message.ts';
import { formatParams } from './params.ts';
import { refuseBreaks, toWire } from './text.ts';
import { encodeTransfer, type TransferEncoding } from './transfer-encoding.ts';
import { parseContentType } from './values.ts';

/** Writing multipart bodies (RFC 2046 §5.1, RFC 2387). */

export interface PartInit {
  /** Content-Type of the part. */
  readonly contentType: string;
  /** A string is written as UTF-8. */
  readonly content: Buffer | string;
  /** With or without its brackets. */
  readonly contentId?: string | undefined;
  /** Content-Disposition of the part. */
  readonly disposition?: string | undefined;
  /** `binary` unless given, as SIP carries any byte. */
  readonly encoding?: TransferEncoding | undefined;
  /** Further headers. */
  readonly headers?: HeaderInit | undefined;
}

/** A multipart body to be written. */
export interface MultipartInit {
  /** `mixed`, `related`, `alternative` or another. */
  readonly subtype: 'mixed' | 'related' | 'alternative' | (string & {});
  /** At least one. Of `related` the first is the root. */
  readonly parts: readonly PartInit[];
  /** Made of the content when absent. */
  readonly boundary?: string | undefined;
}

/**
 * A multipart body with its Content-Type. Of `related` that has `type` and, where the root has a Content-ID, `start`. To
 * put a multipart into another one, give it as a part. Throws SipSyntaxError on what may not be written, and on a given
 * boundary that is none or occurs in a part.
 */
export function formatMultipart(init: MultipartInit): {
  readonly contentType: string;
  readonly body: Buffer;
} {
  const { subtype, parts } = init;
  const [root] = parts;
  if (root === undefined) throw new SipSyntaxError('body', 'a multipart without parts');
  if (!allOf(TOKEN, subtype)) throw new SipSyntaxError('Content-Type', `"${subtype}" is no subtype`);
  const pieces = parts.map(
    (part) => [Buffer.from(`${partHead(part)}\r\n`, 'latin1'), contentOf(part)] as const,
  );
  const boundary = init.boundary ?? freeBoundary(pieces.flat());
  if (!/^[A-Za-z0-9'()+_,\-./:=? ]{0,69}[A-Za-z0-9'()+_,\-./:=?]$/.test(boundary))
    throw new SipSyntaxError('Content-Type', 'the boundary is none');
  if (occurs(boundary, pieces.flat())) throw new SipSyntaxError('body', 'the boundary occurs in a part');
  const related: Record<string, string> =
    subtype.toLowerCase() !== 'related'
      ? {}
      : {
          type: `"${parseContentType(root.contentType).essence}"`,
          ...(root.contentId === undefined ? {} : { start: `"${bracketed(root.contentId)}"` }),
        };
  return {
    contentType: `multipart/${subtype}${formatParams({ ...related, boundary: `"${boundary}"` })}`,
    body: Buffer.concat([
      ...pieces.flatMap(([head, content], i) => [
        Buffer.from(`${i === 0 ? '' : '\r\n'}--${boundary}\r\n`),
        head,
        content,
      ]),
      Buffer.from(`\r\n--${boundary}--\r\n`),
    ]),
  };
}

function partHead(part: PartInit): string {
  parseContentType(part.contentType);
  const encoding = part.encoding ?? 'binary';
  let head = line('Content-Type', part.contentType);
  head += line('Content-Transfer-Encoding', encoding);
  if (part.contentId !== undefined) head += line('Content-ID', bracketed(part.contentId));
  if (part.disposition !== undefined) head += line('Content-Disposition', part.disposition);
  for (const [name, value] of Object.entries(part.headers ?? {})) {
    if (value === undefined) continue;
    for (const one of typeof value === 'object' ? value : [String(value)]) head += line(name, one);
  }
  return head;
}

function line(name: string, value: string): string {
  if (!allOf(TOKEN, name)) throw new SipSyntaxError('header name', `"${name}" is no token`);
  refuseBreaks(name, value);
  return `${name}: ${toWire(value)}\r\n`;
}

function contentOf(part: PartInit): Buffer {
  const content = typeof part.content === 'string' ? Buffer.from(part.content, 'utf8') : part.content;
  return encodeTransfer(part.encoding ?? 'binary', content);
}

function bracketed(contentId: string): string {
  const bare = contentId.startsWith('<') && contentId.endsWith('>') ? contentId.slice(1, -1) : contentId;
  if (!/^[!#-;=?-~]+$/.test(bare)) throw new SipSyntaxError('Content-ID', 'a character that it cannot have');
  return `<${bare}>`;
}

/** A boundary that occurs nowhere: of the hash of all content, so that nobody who writes some can foresee it. */
function freeBoundary(pieces: readonly Buffer[]): string {
  const hash = createHash('sha256');
  for (const piece of pieces) hash.update(piece);
  const seed = hash.digest();
  for (let round = 0; ; round += 1) {
    const boundary = createHash('sha256').update(seed).update(String(round)).digest('base64url').slice(0, 24);
    if (!occurs(boundary, pieces)) return boundary;
  }
}

function occurs(boundary: string, pieces: readonly Buffer[]): boolean {
  return pieces.some((piece) => piece.includes(`--${boundary}`, 0, 'latin1'));
}
