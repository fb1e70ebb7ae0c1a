import { SipSyntaxError } from '../errors.ts';
import { allOf, CHARS, HOST, IPV6, skipSpace, TOKEN } from './chars.ts';
import { passToken } from './names.ts';
import { formatParams, type ParamsInit, paramIn, passParams, readParams } from './params.ts';
import { unquote } from './text.ts';
import { isIpv6 } from './uri-grammar.ts';

/** One Via value (RFC 3261 §20.42, RFC 3581). */
export interface Via {
  /** Upper case: `UDP`, `TCP`, `TLS`. */
  readonly transport: string;
  /** IPv6 without brackets. */
  readonly host: string;
  readonly port: number | undefined;
  readonly branch: string | undefined;
  readonly received: string | undefined;
  /** Undefined: no rport; 0: asked for (`;rport`); else the value. */
  readonly rport: number | undefined;
  readonly maddr: string | undefined;
  /** Names in lower case, values as on the wire, '' for a bare name. */
  readonly params: ReadonlyMap<string, string>;
  /** One parameter, unquoted; name in lower case. */
  param(name: string): string | undefined;
  /** `host:port` as sent, lower case: part of the transaction key (RFC 3261 §17.2.3). */
  readonly sentBy: string;
}

export interface ViaInit {
  readonly transport: string;
  readonly host: string;
  readonly port?: number | undefined;
  /** '' or `true` gives a bare name, undefined leaves it out. */
  readonly params?: ParamsInit | undefined;
}

class ReadVia implements Via {
  declare readonly transport: string;
  declare readonly host: string;
  declare readonly port: number | undefined;
  /** Where in the text the next value of the list may begin: its comma, or the end. */
  declare readonly stop: number;
  declare private readonly text: string;
  declare private readonly paramsAt: number;

  constructor(
    text: string,
    transport: string,
    host: string,
    port: number | undefined,
    paramsAt: number,
    stop: number,
  ) {
    this.transport = transport;
    this.host = host;
    this.port = port;
    this.stop = stop;
    this.text = text;
    this.paramsAt = paramsAt;
  }

  get branch(): string | undefined {
    return paramIn(this.text, this.paramsAt, this.stop, 'branch');
  }

  get received(): string | undefined {
    const value = paramIn(this.text, this.paramsAt, this.stop, 'received');
    // RFC 5118 §4.5: an IPv6 address comes with or without brackets.
    return value?.startsWith('[') ? value.slice(1, -1) : value;
  }

  get rport(): number | undefined {
    const value = paramIn(this.text, this.paramsAt, this.stop, 'rport');
    if (value === undefined) return undefined;
    return /^\d{1,5}$/.test(value) ? Number(value) : 0;
  }

  get maddr(): string | undefined {
    return paramIn(this.text, this.paramsAt, this.stop, 'maddr');
  }

  get params(): ReadonlyMap<string, string> {
    return readParams(this.text, this.paramsAt, this.stop);
  }

  param(name: string): string | undefined {
    const value = paramIn(this.text, this.paramsAt, this.stop, name);
    return value === undefined ? undefined : unquote(value);
  }

  get sentBy(): string {
    const host = this.host.includes(':') ? `[${this.host}]` : this.host;
    return (this.port === undefined ? host : `${host}:${this.port}`).toLowerCase();
  }
}

/** Reads one value. Throws SipSyntaxError. */
export function parseVia(text: string): Via {
  const via = readVia(text, 0, text.length);
  if (via.stop !== text.length) throw new SipSyntaxError('Via', 'one value is expected');
  return via;
}

/** Reads all values of `text[from, end)` into `found`. */
export function readVias(text: string, from: number, end: number, found: Via[]): void {
  let i = from;
  for (;;) {
    const via = readVia(text, i, end);
    found.push(via);
    if (via.stop >= end) return;
    i = via.stop + 1;
  }
}

/** Reads the first value of `text[from, end)`. */
export function readVia(text: string, from: number, end: number): Via & { readonly stop: number } {
  const at = passProtocol(text, skipSpace(text, from, end), end);
  let i = passToken(text, at, end);
  if (i === at) throw new SipSyntaxError('Via', 'no transport');
  const transport = upper(text, at, i);
  const space = i;
  i = skipSpace(text, i, end);
  if (i === space) throw new SipSyntaxError('Via', 'no space before the host');
  let host: string;
  if (text.charCodeAt(i) === 91) {
    const open = i + 1;
    i = open;
    while (i < end && ((CHARS[text.charCodeAt(i)] as number) & IPV6) !== 0) i += 1;
    if (i >= end || text.charCodeAt(i) !== 93 || !isIpv6(text, open, i))
      throw new SipSyntaxError('Via', 'an IPv6 address that is none');
    host = text.slice(open, i);
    i += 1;
  } else {
    const open = i;
    while (i < end && ((CHARS[text.charCodeAt(i)] as number) & HOST) !== 0) i += 1;
    if (i === open) throw new SipSyntaxError('Via', 'no host');
    host = text.slice(open, i);
  }
  let port: number | undefined;
  let after = i < end ? text.charCodeAt(i) : 0;
  if (after === 32 || after === 9) {
    i = skipSpace(text, i, end);
    after = i < end ? text.charCodeAt(i) : 0;
  }
  if (after === 58) {
    i = skipSpace(text, i + 1, end);
    const digits = i;
    port = 0;
    while (i < end) {
      const digit = text.charCodeAt(i) - 48;
      if (digit < 0 || digit > 9 || port > 65_535) break;
      port = port * 10 + digit;
      i += 1;
    }
    if (i === digits || port > 65_535) throw new SipSyntaxError('Via', 'a port that is none');
  }
  const stop = passParams(text, i, end, 'Via');
  return new ReadVia(text, transport, host, port, i, stop);
}

/** Passes over `SIP / 2.0 /` with white space as it comes; any version, since the start line has the say. */
function passProtocol(text: string, from: number, end: number): number {
  if (text.startsWith('SIP/2.0/', from)) return from + 8;
  let i = from;
  for (let part = 0; part < 2; part += 1) {
    const token = i;
    i = passToken(text, i, end);
    if (i === token) throw new SipSyntaxError('Via', 'no protocol');
    i = skipSpace(text, i, end);
    if (i >= end || text.charCodeAt(i) !== 47) throw new SipSyntaxError('Via', 'no / in the protocol');
    i = skipSpace(text, i + 1, end);
  }
  return i;
}

/** The transport in upper case; the usual ones without making a string. */
function upper(text: string, from: number, end: number): string {
  if (end - from === 3) {
    if (text.startsWith('UDP', from)) return 'UDP';
    if (text.startsWith('TCP', from)) return 'TCP';
    if (text.startsWith('TLS', from)) return 'TLS';
  }
  return text.slice(from, end).toUpperCase();
}

/** Writes one value. Throws SipSyntaxError. */
export function formatVia(via: ViaInit): string {
  const host = via.host.includes(':') && !via.host.startsWith('[') ? `[${via.host}]` : via.host;
  if (!allOf(TOKEN, via.transport)) throw new SipSyntaxError('Via', 'the transport is no token');
  if (!/^[\w.\-[\]:]+$/.test(host)) throw new SipSyntaxError('Via', 'the host is none');
  const port = via.port === undefined ? '' : `:${via.port}`;
  return `SIP/2.0/${via.transport} ${host}${port}${formatParams(via.params)}`;
}
