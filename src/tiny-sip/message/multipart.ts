import { SipSyntaxError } from '../errors.ts';
import { passClass, skipSpace, TOKEN } from './chars.ts';
import { unfold } from './header-lines.ts';
import { type ParamValue, parseParamValue } from './params.ts';
import { decodeTransfer } from './transfer-encoding.ts';
import { type ContentType, parseContentType } from './values.ts';

/** Reading multipart bodies (RFC 2046 §5.1, RFC 2387, RFC 5621). */

/** What a multipart body may cost, those within it included. */
export interface MultipartLimits {
  /** Parts in all. */
  readonly parts: number;
  /** Multiparts within multiparts; 1 is a flat one. */
  readonly depth: number;
  /** Bytes of the headers of one part. */
  readonly headBytes: number;
  /** Header lines of one part. */
  readonly headers: number;
  /** Characters of a boundary. */
  readonly boundary: number;
}

/** Wide enough for the list of a resource list server within a body of a mebibyte. RFC 2046 has the boundary's. */
export const multipartLimits: MultipartLimits = {
  parts: 4_096,
  depth: 4,
  headBytes: 8_192,
  headers: 32,
  boundary: 70,
};

/** A multipart body, taken apart. */
export interface Multipart {
  /** `mixed`, `related`, `alternative`, … in lower case. */
  readonly subtype: string;
  /** What stands between the parts. */
  readonly boundary: string;
  /** The parts, in order. */
  readonly parts: readonly BodyPart[];
  /**
   * Of `multipart/related` the part that the others belong to (RFC 2387 §3.2): that with the Content-ID of `start`, and
   * where there is none, the first of the type that `type` names; the first part when there is no `start`, and of others.
   */
  readonly root: BodyPart | undefined;
  /** The part with that Content-ID, with or without its brackets or `cid:`. */
  part(contentId: string): BodyPart | undefined;
  /** Of `multipart/alternative` the last, and so the best, part whose type is among those given (RFC 2046 §5.1.4). */
  best(types: readonly string[]): BodyPart | undefined;
  /** In what the body departs from the grammar without leaving a doubt about its parts. */
  readonly defects: readonly string[];
}

/** One part of a multipart body. */
export interface BodyPart {
  /** The headers as they are, unfolded. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** The first value of a header, in any case. */
  get(name: string): string | undefined;
  /** `text/plain` when the part names none (`message/rfc822` in a digest). Throws when it is malformed. */
  readonly contentType: ContentType;
  /** Without its brackets. */
  readonly contentId: string | undefined;
  /** Content-Disposition without its parameters, lower case. */
  readonly disposition: ParamValue | undefined;
  /** Lower case; `7bit` when the part names none. */
  readonly encoding: string;
  /** The bytes as they are in the body, whose memory they share. */
  readonly raw: Buffer;
  /** Decoded; see `decodeTransfer`, also for what it throws. Kept. Content-Encoding is left as it is. */
  content(): Buffer;
  /** The content as text: UTF-8, or latin1 where the type says so. */
  text(): string;
  /** The multipart that the part is; undefined when it is none. Throws as `parseMultipart`. */
  multipart(): Multipart | undefined;
}

/** What is shared by a multipart and all within it. */
interface Budget {
  readonly limits: MultipartLimits;
  parts: number;
}

/**
 * Takes a multipart body apart. `type` is its Content-Type. Each byte is looked at a bounded number of times, and nothing
 * is copied. Throws SipSyntaxError: when the type is no multipart, without a boundary, a delimiter or the closing one,
 * and beyond a limit (413).
 *
 * Delimiters may end with an LF alone, and a part may go without the empty line after its headers where the next line
 * cannot be one: servers send such. These are `defects`.
 */
export function parseMultipart(
  type: ContentType | string,
  body: Buffer,
  limits: Partial<MultipartLimits> = {},
): Multipart {
  const parsed = typeof type === 'string' ? parseContentType(type) : type;
  if (parsed.type !== 'multipart') throw new SipSyntaxError('Content-Type', 'it is no multipart');
  return read(parsed, body, { limits: { ...multipartLimits, ...limits }, parts: 0 }, 1);
}

/** The multipart body of a message or of anything with a Content-Type; undefined when it has another one. */
export function multipartOf(
  message: { readonly contentType: ContentType | undefined; readonly body: Buffer },
  limits?: Partial<MultipartLimits>,
): Multipart | undefined {
  const { contentType } = message;
  return contentType?.type === 'multipart' ? parseMultipart(contentType, message.body, limits) : undefined;
}

function read(type: ContentType, body: Buffer, budget: Budget, depth: number): Multipart {
  const { limits } = budget;
  if (depth > limits.depth)
    throw new SipSyntaxError('body', `more than ${limits.depth} multiparts in each other`, 413);
  const boundary = boundaryOf(type, limits);
  const defects = new Set<string>();
  const parts: BodyPart[] = [];
  const delimiter = Buffer.from(`--${boundary}`, 'latin1');
  let found = findDelimiter(body, delimiter, 0, defects);
  if (found === undefined) throw new SipSyntaxError('body', 'its boundary does not occur in it');
  while (!found.closing) {
    const from: number = found.next;
    // The line end before a delimiter may be that of the delimiter before it: then the part is empty.
    found = findDelimiter(body, delimiter, from - 1, defects);
    if (found === undefined) throw new SipSyntaxError('body', 'its last delimiter is missing');
    budget.parts += 1;
    if (budget.parts > limits.parts) throw new SipSyntaxError('body', `more than ${limits.parts} parts`, 413);
    parts.push(readPart(body.subarray(from, Math.max(from, found.at)), type, budget, depth, defects));
  }
  return new ReadMultipart(type, boundary, parts, [...defects]);
}

function boundaryOf(type: ContentType, limits: MultipartLimits): string {
  const boundary = type.param('boundary') ?? '';
  if (boundary === '') throw new SipSyntaxError('Content-Type', 'a multipart without boundary');
  if (boundary.length > limits.boundary) throw new SipSyntaxError('Content-Type', 'the boundary is too long');
  // The grammar has fewer characters; these are they that cannot be misread.
  if (!/^[ -~]*[!-~]$/.test(boundary)) throw new SipSyntaxError('Content-Type', 'the boundary is none');
  return boundary;
}

interface Delimiter {
  /** Where the part before it ends. */
  readonly at: number;
  /** After the delimiter's line. */
  readonly next: number;
  readonly closing: boolean;
}

/** The next line that is `--boundary`, perhaps with `--` behind it, and blanks. */
function findDelimiter(
  body: Buffer,
  delimiter: Buffer,
  from: number,
  defects: Set<string>,
): Delimiter | undefined {
  for (let at = body.indexOf(delimiter, Math.max(0, from)); at >= 0; at = body.indexOf(delimiter, at + 1)) {
    if (at > 0 && body[at - 1] !== 10) continue;
    let i = at + delimiter.length;
    const closing = body[i] === 45 && body[i + 1] === 45;
    if (closing) i += 2;
    while (body[i] === 32 || body[i] === 9) i += 1;
    const crlf = body[i] === 13 && body[i + 1] === 10;
    // What follows the closing delimiter on its line is epilogue.
    if (!crlf && body[i] !== 10 && i < body.length && !closing) continue;
    const bare = at > 0 && body[at - 2] !== 13;
    if (bare || (!crlf && body[i] === 10)) defects.add('a delimiter line that does not end with CRLF');
    // The CRLF before the delimiter belongs to it (RFC 2046 §5.1.1).
    return { at: at === 0 ? 0 : at - (bare ? 1 : 2), next: i + (crlf ? 2 : 1), closing };
  }
  return undefined;
}

/** A part from after its delimiter's line up to before the next one's CRLF. */
function readPart(
  bytes: Buffer,
  within: ContentType,
  budget: Budget,
  depth: number,
  defects: Set<string>,
): BodyPart {
  const { limits } = budget;
  const headers: (readonly [string, string])[] = [];
  let at = 0;
  for (;;) {
    if (at >= bytes.length) break;
    const end = lineEnd(bytes, at, limits);
    if (end === at || (end === at + 1 && bytes[at] === 13)) {
      at = end + 1;
      break;
    }
    // Folded lines belong to it.
    let last = end;
    while (last < bytes.length && (bytes[last + 1] === 32 || bytes[last + 1] === 9))
      last = lineEnd(bytes, last + 1, limits);
    const text = bytes.toString('latin1', at, last);
    const name = passClass(text, 0, text.length, TOKEN);
    const colon = skipSpace(text, name, text.length);
    if (name === 0 || text.charCodeAt(colon) !== 58) {
      defects.add('no empty line after the headers of a part');
      break;
    }
    if (bytes[last - 1] !== 13 && last < bytes.length) defects.add('a header line of a part without CRLF');
    headers.push([text.slice(0, name), unfold(text.slice(colon + 1).replace(/\r?\n/g, '\r\n'))]);
    if (headers.length > limits.headers)
      throw new SipSyntaxError('body', 'a part with too many headers', 413);
    at = last + 1;
  }
  const part = new ReadPart(headers, bytes.subarray(Math.min(at, bytes.length)), within, budget, depth);
  const length = part.get('Content-Length');
  // The delimiters have the say.
  if (length !== undefined && length !== String(part.raw.length))
    defects.add('a part of another length than it says');
  return part;
}

/** The place of the LF of the line that begins at `at`, or the end. */
function lineEnd(bytes: Buffer, at: number, limits: MultipartLimits): number {
  // No further than the limit, so that long content without line ends is not searched for nothing.
  const found = bytes.subarray(0, limits.headBytes).indexOf(10, at);
  if (found >= 0) return found;
  if (bytes.length > limits.headBytes)
    throw new SipSyntaxError('body', 'the headers of a part are too long', 413);
  return bytes.length;
}

class ReadMultipart implements Multipart {
  readonly subtype: string;
  readonly boundary: string;
  readonly parts: readonly BodyPart[];
  readonly defects: readonly string[];
  private readonly type: ContentType;

  constructor(type: ContentType, boundary: string, parts: readonly BodyPart[], defects: readonly string[]) {
    this.type = type;
    this.subtype = type.subtype;
    this.boundary = boundary;
    this.parts = parts;
    this.defects = defects;
  }

  get root(): BodyPart | undefined {
    const start = this.type.param('start');
    if (this.subtype !== 'related' || start === undefined) return this.parts[0];
    const named = this.part(start);
    if (named !== undefined) return named;
    const type = this.type.param('type')?.toLowerCase();
    return this.parts.find((part) => essenceOf(part) === type) ?? this.parts[0];
  }

  part(contentId: string): BodyPart | undefined {
    const wanted = bare(contentId.replace(/^cid:/i, ''));
    return this.parts.find((part) => part.contentId === wanted);
  }

  best(types: readonly string[]): BodyPart | undefined {
    const wanted = new Set(types.map((one) => one.toLowerCase()));
    return this.parts.findLast((part) => wanted.has(essenceOf(part) ?? ''));
  }
}

class ReadPart implements BodyPart {
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly raw: Buffer;
  private readonly within: ContentType;
  private readonly budget: Budget;
  private readonly depth: number;
  private kept: Buffer | undefined;
  private inner: Multipart | undefined;

  constructor(
    headers: readonly (readonly [string, string])[],
    raw: Buffer,
    within: ContentType,
    budget: Budget,
    depth: number,
  ) {
    this.headers = headers;
    this.raw = raw;
    this.within = within;
    this.budget = budget;
    this.depth = depth;
    this.kept = undefined;
    this.inner = undefined;
  }

  get(name: string): string | undefined {
    const lower = name.toLowerCase();
    return this.headers.find(([one]) => one.toLowerCase() === lower)?.[1];
  }

  get contentType(): ContentType {
    const value = this.get('Content-Type') ?? this.get('c');
    if (value !== undefined) return parseContentType(value);
    return parseContentType(
      this.within.subtype === 'digest' ? 'message/rfc822' : 'text/plain;charset=us-ascii',
    );
  }

  get contentId(): string | undefined {
    const value = this.get('Content-ID');
    return value === undefined ? undefined : bare(value);
  }

  get disposition(): ParamValue | undefined {
    const value = this.get('Content-Disposition');
    return value === undefined ? undefined : parseParamValue(value, 'Content-Disposition');
  }

  get encoding(): string {
    return (this.get('Content-Transfer-Encoding') ?? '7bit').toLowerCase();
  }

  content(): Buffer {
    this.kept ??= decodeTransfer(this.encoding, this.raw);
    return this.kept;
  }

  text(): string {
    const charset = this.contentType.param('charset')?.toLowerCase();
    return this.content().toString(charset === 'iso-8859-1' ? 'latin1' : 'utf8');
  }

  multipart(): Multipart | undefined {
    const type = this.contentType;
    if (type.type !== 'multipart') return undefined;
    // RFC 2045 §6.4: only the identity encodings are allowed for it, but what can be decoded is not refused.
    this.inner ??= read(type, this.content(), this.budget, this.depth + 1);
    return this.inner;
  }
}

/** Undefined when the part's type is malformed. */
function essenceOf(part: BodyPart): string | undefined {
  try {
    return part.contentType.essence;
  } catch {
    return undefined;
  }
}

/** A Content-ID without its brackets. */
function bare(contentId: string): string {
  const text = contentId.trim();
  return text.startsWith('<') && text.endsWith('>') ? text.slice(1, -1) : text;
}
