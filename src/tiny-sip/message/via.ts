import { SipSyntaxError } from '../errors.ts';
import { allOf, HOST, IPV6, passClass, skipSpace, TOKEN, trimEnd } from './chars.ts';
import { formatParams, type ParamsInit, paramIn, passParams, readParams } from './params.ts';
import {
  endsLine,
  isWord,
  numberIn,
  passBlanks,
  passBytes,
  passPlainPort,
  passPlainValue,
  word,
} from './pass.ts';
import { compiled, matchAt, VIA_VALUE } from './patterns.ts';
import { unquote } from './text.ts';
import { isIpv6 } from './uri-grammar.ts';
import { readNumber } from './values.ts';

/** One Via value (RFC 3261 §20.42, RFC 3581). */
export interface Via {
  /** Upper case: `UDP`, `TCP`, `TLS`. */
  readonly transport: string;
  /** IPv6 without brackets. */
  readonly host: string;
  /** Undefined when the value has none: the default of the transport. */
  readonly port: number | undefined;
  /** Names the transaction; undefined from elements of RFC 2543. */
  readonly branch: string | undefined;
  /** Address that the message came from (RFC 3261 §18.2.1). */
  readonly received: string | undefined;
  /** Undefined: no rport; 0: asked for (`;rport`); else the value. */
  readonly rport: number | undefined;
  /** Where responses go in place of the sender's address (RFC 3261 §18.2.2). */
  readonly maddr: string | undefined;
  /** Names in lower case, values as on the wire, '' for a bare name. */
  readonly params: ReadonlyMap<string, string>;
  /** One parameter, unquoted; name in lower case. */
  param(name: string): string | undefined;
  /** `host:port` as sent, lower case: part of the transaction key (RFC 3261 §17.2.3). */
  readonly sentBy: string;
}

/** What a Via value is made of when written. */
export interface ViaInit {
  /** Upper case: `UDP`, `TCP`, `TLS`. */
  readonly transport: string;
  /** IPv6 with or without brackets. */
  readonly host: string;
  /** Left out unless given. */
  readonly port?: number | undefined;
  /** '' or `true` gives a bare name, undefined leaves it out. */
  readonly params?: ParamsInit | undefined;
}

class ReadVia implements Via {
  declare readonly transport: string;
  declare readonly host: string;
  declare readonly port: number | undefined;
  declare readonly branch: string | undefined;
  /** The text with the parameters, and their place. */
  declare private readonly text: string;
  declare private readonly paramsAt: number;
  declare private readonly end: number;
  /**
   * What was seen while the parameters were read: the place of the one `;rport` without a value, NO_RPORT when there is
   * neither it nor `received` nor `maddr`, UNSEEN when they have to be looked for.
   */
  declare private readonly rportAt: number;

  constructor(
    transport: string,
    host: string,
    port: number | undefined,
    branch: string | undefined,
    text: string,
    paramsAt: number,
    end: number,
    rportAt: number = UNSEEN,
  ) {
    this.transport = transport;
    this.host = host;
    this.port = port;
    this.branch = branch;
    this.text = text;
    this.paramsAt = paramsAt;
    this.end = end;
    this.rportAt = rportAt;
  }

  /** Whether it stands alone on its line of `head`, from whose bytes it was read. */
  isAlone(head: string): boolean {
    return this.text === head && head.charCodeAt(this.end) === 13;
  }

  /** The parameters without `received` and `rport`. */
  private unmarked(): string {
    const { text, paramsAt, end, rportAt } = this;
    if (rportAt >= 0) return text.slice(paramsAt, rportAt) + text.slice(rportAt + ';rport'.length, end);
    const params = text.slice(paramsAt, end);
    return rportAt === NO_RPORT ? params : params.replace(MARKS, '$1');
  }

  /** The same value, which begins at `at`, with `received` and, where it is given, `rport`; as a text of its own. */
  marked(at: number, received: string, rport: number | undefined): ReadVia {
    const sent = this.text.slice(at, this.paramsAt);
    const kept = this.unmarked();
    const params = kept.slice(0, trimEnd(kept, 0, kept.length));
    const more = rport === undefined ? `;received=${received}` : `;received=${received};rport=${rport}`;
    const text = sent + params + more;
    return new ReadVia(this.transport, this.host, this.port, this.branch, text, sent.length, text.length);
  }

  /** All of the text that it was read from. */
  get whole(): string {
    return this.text;
  }

  private find(name: string): string | undefined {
    return paramIn(this.text, this.paramsAt, this.end, name);
  }

  get received(): string | undefined {
    const value = this.find('received');
    // RFC 5118 §4.5: an IPv6 address comes with or without brackets.
    return value?.startsWith('[') ? value.slice(1, -1) : value;
  }

  get rport(): number | undefined {
    if (this.rportAt !== UNSEEN) return this.rportAt === NO_RPORT ? undefined : 0;
    const value = this.find('rport');
    if (value === undefined) return undefined;
    return /^\d{1,5}$/.test(value) ? Number(value) : 0;
  }

  get maddr(): string | undefined {
    if (this.rportAt !== UNSEEN) return undefined;
    return this.find('maddr');
  }

  get params(): ReadonlyMap<string, string> {
    return readParams(this.text, this.paramsAt, this.end);
  }

  param(name: string): string | undefined {
    const value = this.find(name);
    return value === undefined ? undefined : unquote(value);
  }

  get sentBy(): string {
    const host = this.host.includes(':') ? `[${this.host}]` : this.host;
    return (this.port === undefined ? host : `${host}:${this.port}`).toLowerCase();
  }
}

const UNSEEN = -2;
const NO_RPORT = -1;

/** `received` and `rport` among parameters that were checked; quoted strings, in which they mean nothing, as `$1`. */
const MARKS =
  /("(?:[^"\\]|\\[\s\S])*")|;[ \t]*(?:received|rport)[ \t]*(?:=[ \t]*(?:"(?:[^"\\]|\\[\s\S])*"[ \t]*|[^;"]*))?(?=;|$)/gi;

/** What `markVia` makes: the value that was marked, and the line that it is the first of. */
export interface MarkedVia {
  readonly via: Via;
  readonly line: string;
}

/**
 * Writes `received` and, where it is given, `rport` into the first value of a line (RFC 3261 §18.2.1, RFC 3581 §4); all
 * else stays as it was written. `via` is that value as it was read before, `head` and `at` where its line may stand,
 * `line` gives the line otherwise.
 */
export function markVia(
  via: Via,
  head: string,
  at: number,
  line: () => string,
  received: string,
  rport: number | undefined,
): MarkedVia {
  if (at > 0 && via instanceof ReadVia && via.isAlone(head)) {
    const marked = via.marked(skipSpace(head, at, head.length), received, rport);
    return { via: marked, line: marked.whole };
  }
  const text = line();
  const { via: first, stop } = read(text, 0);
  const marked = first.marked(0, received, rport);
  return { via: marked, line: marked.whole + text.slice(stop) };
}

/** Reads one value. Throws SipSyntaxError. */
export function parseVia(text: string): Via {
  const { via, stop } = read(text, 0);
  if (stop !== text.length) throw new SipSyntaxError('Via', 'one value is expected');
  return via;
}

/** Reads the first value of a list. */
export function readVia(text: string): Via {
  return read(text, 0).via;
}

/** Reads all values of a text into `found`. */
export function readVias(text: string, found: Via[]): void {
  for (let i = 0; ; i += 1) {
    const { via, stop } = read(text, i);
    found.push(via);
    if (stop >= text.length) return;
    i = stop;
  }
}

const PROTOCOL = word('SIP/2.0/');
const BRANCH = word('branch');
const RPORT = word('rport');

/** Reads the first value of the list that begins at `at` in a head, if it has the usual shape. */
export function quickVia(bytes: Uint8Array, text: string, at: number): Via | undefined {
  if (!compiled) return viaByPattern(text, at);
  const start = passBlanks(bytes, at);
  if (!isWord(bytes, start, PROTOCOL)) return undefined;
  const token = start + 8;
  let i = passBytes(bytes, token, TOKEN);
  const transport = usual(bytes, token, i) ?? upper(text.slice(token, i));
  if (i === token || bytes[i] !== 32) return undefined;
  let host = i + 1;
  let hostEnd: number;
  if (bytes[host] === 91) {
    host += 1;
    hostEnd = passBytes(bytes, host, IPV6);
    if (bytes[hostEnd] !== 93 || !isIpv6(text, host, hostEnd)) return undefined;
    i = hostEnd + 1;
  } else {
    hostEnd = passBytes(bytes, host, HOST);
    if (hostEnd === host) return undefined;
    i = hostEnd;
  }
  let port: number | undefined;
  if (bytes[i] === 58) {
    const digits = i + 1;
    i = passPlainPort(bytes, digits);
    if (i < 0) return undefined;
    port = numberIn(bytes, digits, i);
  }
  const params = i;
  let branch: string | undefined;
  let rport = NO_RPORT;
  while (bytes[i] === 59) {
    const name = i + 1;
    i = passBytes(bytes, name, TOKEN);
    if (i === name) return undefined;
    const letter = (bytes[name] as number) | 32;
    // received and rport, maddr, or what else begins so.
    if (letter === 114 || letter === 109)
      rport =
        rport === NO_RPORT && i - name === 5 && bytes[i] !== 61 && isWord(bytes, name, RPORT)
          ? name - 1
          : UNSEEN;
    const named = i - name === 6 && branch === undefined && letter === 98;
    // The first branch counts; one in another spelling, or without a value, is left to the careful reader.
    if (named && (bytes[i] !== 61 || !isWord(bytes, name, BRANCH))) return undefined;
    if (bytes[i] !== 61) continue;
    const value = i + 1;
    i = passPlainValue(bytes, value);
    if (i < 0) return undefined;
    if (named) branch = text.slice(value, i);
  }
  if (bytes[i] !== 44 && !endsLine(bytes, i)) return undefined;
  return new ReadVia(transport, text.slice(host, hostEnd), port, branch, text, params, i, rport);
}

/** The same by a pattern. */
export function viaByPattern(text: string, at: number): Via | undefined {
  const found = matchAt(VIA_VALUE, text, at);
  if (found === null) return undefined;
  const end = VIA_VALUE.lastIndex;
  const ipv6 = found[3];
  if (ipv6 !== undefined && !isIpv6(ipv6, 0, ipv6.length)) return undefined;
  const port = found[4] === undefined ? undefined : Number(found[4]);
  const params = found[5] as string;
  return new ReadVia(
    upper(found[1] as string),
    ipv6 ?? (found[2] as string),
    port,
    found[6],
    text,
    end - params.length,
    end,
  );
}

/** The usual transports as constants, without making a string of the bytes. */
function usual(bytes: Uint8Array, from: number, end: number): string | undefined {
  if (end - from !== 3) return undefined;
  if (bytes[from] === 85 && bytes[from + 1] === 68 && bytes[from + 2] === 80) return 'UDP';
  if (bytes[from] === 84 && bytes[from + 1] === 67 && bytes[from + 2] === 80) return 'TCP';
  if (bytes[from] === 84 && bytes[from + 1] === 76 && bytes[from + 2] === 83) return 'TLS';
  return undefined;
}

/** A value, and where the next one may begin: at a comma, or at the end. */
function read(text: string, from: number): { readonly via: ReadVia; readonly stop: number } {
  const end = text.length;
  const at = passProtocol(text, skipSpace(text, from, end), end);
  let i = passClass(text, at, end, TOKEN);
  if (i === at) throw new SipSyntaxError('Via', 'no transport');
  const transport = upper(text.slice(at, i));
  const space = i;
  i = skipSpace(text, i, end);
  if (i === space) throw new SipSyntaxError('Via', 'no space before the host');
  let host: string;
  if (text.charCodeAt(i) === 91) {
    const open = i + 1;
    i = passClass(text, open, end, IPV6);
    if (i >= end || text.charCodeAt(i) !== 93 || !isIpv6(text, open, i))
      throw new SipSyntaxError('Via', 'an IPv6 address that is none');
    host = text.slice(open, i);
    i += 1;
  } else {
    const open = i;
    i = passClass(text, open, end, HOST);
    if (i === open) throw new SipSyntaxError('Via', 'no host');
    host = text.slice(open, i);
  }
  let port: number | undefined;
  let after = skipSpace(text, i, end);
  if (after < end && text.charCodeAt(after) === 58) {
    i = skipSpace(text, after + 1, end);
    after = i;
    while (after < end && text.charCodeAt(after) >= 48 && text.charCodeAt(after) <= 57) after += 1;
    port = readNumber(text, i, after, 65_535);
    if (port < 0 || port > 65_535) throw new SipSyntaxError('Via', 'a port that is none');
  }
  const stop = passParams(text, after, end, 'Via');
  const branch = paramIn(text, after, stop, 'branch');
  return { via: new ReadVia(transport, host, port, branch, text, after, stop), stop };
}

/** Passes over `SIP / 2.0 /` with white space as it comes; any version, since the start line has the say. */
function passProtocol(text: string, from: number, end: number): number {
  if (text.startsWith('SIP/2.0/', from)) return from + 8;
  let i = from;
  for (let part = 0; part < 2; part += 1) {
    const token = i;
    i = passClass(text, i, end, TOKEN);
    if (i === token) throw new SipSyntaxError('Via', 'no protocol');
    i = skipSpace(text, i, end);
    if (i >= end || text.charCodeAt(i) !== 47) throw new SipSyntaxError('Via', 'no / in the protocol');
    i = skipSpace(text, i + 1, end);
  }
  return i;
}

/** The transport in upper case; the usual ones as constants, which compare fast. */
function upper(transport: string): string {
  switch (transport) {
    case 'UDP':
      return 'UDP';
    case 'TCP':
      return 'TCP';
    case 'TLS':
      return 'TLS';
    default:
      return transport.toUpperCase();
  }
}

/** Writes one value. Throws SipSyntaxError. */
export function formatVia(via: ViaInit): string {
  const host = via.host.includes(':') && !via.host.startsWith('[') ? `[${via.host}]` : via.host;
  if (!allOf(TOKEN, via.transport)) throw new SipSyntaxError('Via', 'the transport is no token');
  if (!/^[\w.\-[\]:]+$/.test(host)) throw new SipSyntaxError('Via', 'the host is none');
  const port = via.port === undefined ? '' : `:${via.port}`;
  return `SIP/2.0/${via.transport} ${host}${port}${formatParams(via.params)}`;
}
