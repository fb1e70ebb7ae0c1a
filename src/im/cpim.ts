import { imErrors } from './errors.ts';

export interface CpimHeader {
  /** As written, with its namespace prefix. Case matters (RFC 3862 §2.2). */
  readonly name: string;
  /** URN of the namespace that the prefix stands for; '' without a prefix. */
  readonly namespace: string;
  /** The name without its prefix. */
  readonly local: string;
  /** Escapes resolved; parameters such as `;lang=fr` cut off. */
  readonly value: string;
  readonly language?: string | undefined;
}

/** A message/cpim object (RFC 3862), read. */
export interface Cpim {
  readonly headers: readonly CpimHeader[];
  /** Headers of the content inside, names in lower case, values as written. */
  readonly contentHeaders: ReadonlyMap<string, string>;
  /** `type/subtype` in lower case; `text/plain` where the content names none. */
  readonly contentType: string;
  readonly content: Buffer;
  /** The first header of that name in that namespace. */
  get(local: string, namespace?: string): string | undefined;
}

/** Namespace of the headers of RFC 5438. */
export const IMDN_NAMESPACE = 'urn:ietf:params:imdn';

const MOST_HEADERS = 100;
const LONGEST_LINE = 4_096;

/**
 * Reads a message/cpim body. Lines may end in LF alone, and the empty line between message headers and content headers
 * may be missing before `Content-type` (as RFC 5438 itself prints it); everything else is taken by the letter.
 *
 * @throws CodedError `IM_CPIM`
 */
export function parseCpim(bytes: Buffer): Cpim {
  const lines = createLines(bytes);
  let head = readHead(lines);
  // Some put the MIME header of the whole object into the body (RFC 3862 §5.1 draws it so).
  if (
    head.length === 1 &&
    /^content-type$/i.test(head[0]?.name ?? '') &&
    /^message\/cpim\b/i.test(head[0]?.value ?? '')
  )
    head = readHead(lines);
  const firstMime = head.findIndex(({ name }) => /^content-/i.test(name));
  const mime = firstMime >= 0 ? head.splice(firstMime) : readHead(lines);

  const namespaces = new Map<string, string>();
  const headers: CpimHeader[] = [];
  for (const { name, value } of head) {
    const dot = name.indexOf('.');
    const prefix = dot < 0 ? '' : name.slice(0, dot);
    // RFC 3862 §3.4: a prefix holds from its NS header on; without a prefix NS sets the default.
    const declared = name === 'NS' ? /^\s*([^\s<]*)\s*<([^>]*)>$/.exec(value) : undefined;
    if (declared) namespaces.set(declared[1] ?? '', declared[2] ?? '');
    const language = /^;lang=(\S+) /.exec(value);
    headers.push({
      name,
      namespace: namespaces.get(prefix) ?? '',
      local: dot < 0 ? name : name.slice(dot + 1),
      value: decodeValue(language ? value.slice(language[0].length) : value),
      ...(language?.[1] !== undefined && { language: language[1] }),
    });
  }
  const contentHeaders = new Map(mime.map(({ name, value }) => [name.toLowerCase(), value]));
  const type = /^[^;\s]+/.exec(contentHeaders.get('content-type') ?? 'text/plain')?.[0] ?? 'text/plain';
  return {
    headers,
    contentHeaders,
    contentType: type.toLowerCase(),
    content: lines.rest(),
    get: (local, namespace = '') =>
      headers.find((header) => header.local === local && header.namespace === namespace)?.value,
  };
}

/** What a message/cpim object is made of; `imdn` headers get their namespace. */
export interface CpimInit {
  readonly from: string;
  readonly to: string;
  /** Further headers by full name, such as `DateTime` or `imdn.Message-ID`. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly contentType: string;
  readonly content: string;
}

/** Writes a message/cpim body. */
export function formatCpim(init: CpimInit): string {
  const { from, to, headers = {}, contentType, content } = init;
  const names = Object.keys(headers);
  const lines = [`From: <${from}>`, `To: <${to}>`];
  if (names.some((name) => name.startsWith('imdn.'))) lines.push(`NS: imdn <${IMDN_NAMESPACE}>`);
  for (const name of names) lines.push(`${name}: ${encodeValue(headers[name] ?? '')}`);
  return [...lines, '', `Content-Type: ${contentType}`, '', content].join('\r\n');
}

interface Lines {
  next(): string | undefined;
  rest(): Buffer;
}

function createLines(bytes: Buffer): Lines {
  let at = 0;
  return {
    next() {
      if (at >= bytes.length) return undefined;
      const found = bytes.indexOf(0x0a, at);
      const end = found < 0 ? bytes.length : found;
      if (end - at > LONGEST_LINE) throw imErrors.CPIM({ why: 'a header is too long' });
      const line = bytes.toString('utf8', at, end);
      at = Math.min(end + 1, bytes.length);
      return line.endsWith('\r') ? line.slice(0, -1) : line;
    },
    rest: () => bytes.subarray(at),
  };
}

/** Headers up to an empty line, or to the end. */
function readHead(lines: Lines): { name: string; value: string }[] {
  const head: { name: string; value: string }[] = [];
  for (let line = lines.next(); line !== undefined && line !== ''; line = lines.next()) {
    const colon = line.indexOf(':');
    const name = line.slice(0, colon);
    if (colon < 1 || !/^[!#$%&'*+\-.0-9A-Z^_`a-z|~]+$/.test(name))
      throw imErrors.CPIM({ why: 'a line of its head is no header' });
    if (head.length >= MOST_HEADERS) throw imErrors.CPIM({ why: 'too many headers' });
    head.push({ name, value: line.slice(colon + 1).replace(/^ /, '') });
  }
  return head;
}

const ESCAPES: Readonly<Record<string, string>> = { b: '\b', t: '\t', n: '\n', r: '\r' };

function decodeValue(value: string): string {
  return value.replace(/\\(?:u([0-9a-fA-F]{4})|(.))/g, (_whole, code?: string, char?: string) =>
    code === undefined ? (ESCAPES[char ?? ''] ?? char ?? '') : String.fromCharCode(Number.parseInt(code, 16)),
  );
}

function encodeValue(value: string): string {
  return value.replace(/[\\\u0000-\u001f\u007f]/g, (char) => {
    if (char === '\\') return '\\\\';
    const short = Object.entries(ESCAPES).find(([, meant]) => meant === char);
    return short ? `\\${short[0]}` : `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}
