import { SipSyntaxError } from '../errors.ts';
import { allOf, TOKEN } from './chars.ts';
import { refuseBreaks, toWire } from './text.ts';

/**
 * Session descriptions (RFC 4566) as plain data. All text is wire text, as in headers: each char is one byte of UTF-8;
 * `fromWire` makes it readable. Plain Unicode may be written, too.
 */
export interface SessionDescription {
  /** The `o=` line: who made it, and which version it is. */
  readonly origin: SdpOrigin;
  /** `s=`; `-` where nothing is meant. */
  readonly name: string;
  /** `c=` of the session; a medium may have its own. */
  readonly connection: SdpConnection | undefined;
  /** `t=`, `r=` and `z=` lines in their order; an answer repeats those of its offer. */
  readonly times: readonly SdpLine[];
  /** Attributes of the whole session, in order. */
  readonly attributes: readonly SdpAttribute[];
  /** Lines that are kept but not taken apart: `i`, `u`, `e`, `p`, `b`, `k`. */
  readonly other: readonly SdpLine[];
  /** The streams, in order: an answer keeps their number and order (RFC 3264 §6). */
  readonly media: readonly MediaDescription[];
}

/** `o=`. Numbers stay text: they may be longer than a number can hold. */
export interface SdpOrigin {
  /** User name, or `-`. */
  readonly user: string;
  /** Session id, digits. */
  readonly id: string;
  /** Rises with each new description of the session. */
  readonly version: string;
  /** Unicast address of the maker. */
  readonly address: string;
}

/** A `c=` line. */
export interface SdpConnection {
  /** An IPv4 or IPv6 address, or a name. */
  readonly address: string;
}

/** A line of a type that is not read here, kept as it came. */
export interface SdpLine {
  /** One letter. */
  readonly type: string;
  /** What follows the equals sign. */
  readonly value: string;
}

/** One `a=` line (RFC 4566 §5.13). */
export interface SdpAttribute {
  /** Before the colon. */
  readonly name: string;
  /** Absent: a flag, `a=name`. */
  readonly value?: string | undefined;
}

/** `m=` and what belongs to it. */
export interface MediaDescription {
  /** `message`, `audio`, … */
  readonly media: string;
  /** 0: this medium is refused, or ended. */
  readonly port: number;
  /** `m=audio 49170/2`: how many ports; absent: one. */
  readonly ports?: number | undefined;
  /** `TCP/MSRP`, `RTP/AVP`, … */
  readonly protocol: string;
  /** Formats of the `m=` line; `*` for message sessions (RFC 4975 §8.1). */
  readonly formats: readonly string[];
  /** Its own `c=` line; without one that of the session. */
  readonly connection?: SdpConnection | undefined;
  /** Attributes of this stream, in order. */
  readonly attributes?: readonly SdpAttribute[] | undefined;
  /** `i`, `b`, `k`, and further `c` lines. */
  readonly other?: readonly SdpLine[] | undefined;
}

/** Bounds of a session description. */
export interface SdpLimits {
  /** Bytes in all. */
  readonly bytes: number;
  /** Lines in all. */
  readonly lines: number;
  /** Streams. */
  readonly media: number;
}

/** The bounds where none are given. */
export const sdpLimits: SdpLimits = { bytes: 65_536, lines: 1_000, media: 32 };

/**
 * Reads a description. Throws SipSyntaxError with the number of the line at fault. Lines may end with LF alone
 * (RFC 4566 §5); a letter that SDP does not know makes the whole description worthless, as §5 says.
 */
export function parseSdp(body: Buffer | string, limits: Partial<SdpLimits> = {}): SessionDescription {
  const { bytes, lines: most, media: mostMedia } = { ...sdpLimits, ...limits };
  if (body.length > bytes) throw new SipSyntaxError('sdp', `more than ${bytes} bytes`);
  const lines = linesOf(typeof body === 'string' ? toWire(body) : body.toString('latin1'), most);
  const session: Section = { attributes: [], other: [], connection: undefined };
  const times: SdpLine[] = [];
  const media: (MediaInit & Section)[] = [];
  let origin: SdpOrigin | undefined;
  let name: string | undefined;

  for (const [index, { type, value }] of lines.entries()) {
    const at = (why: string): SipSyntaxError => new SipSyntaxError('sdp', `line ${index + 1}: ${why}`);
    const section = media.at(-1);
    if (index < 3 && type !== 'vos'[index]) throw at(`"${'vos'[index]}=" has to stand here`);
    switch (type) {
      case 'v':
        if (index > 0) throw at('a second version');
        if (value !== '0') throw at('the version is not 0');
        break;
      case 'o':
        if (index > 1) throw at('a second origin');
        origin = readOrigin(value, at);
        break;
      case 's':
        if (index > 2) throw at('a second session name');
        name = value === '' ? '-' : value;
        break;
      case 't':
      case 'r':
      case 'z':
        if (section !== undefined) throw at('a time inside a medium');
        if (type === 't' && !/^\d+ \d+$/.test(value)) throw at('the time is not two numbers');
        times.push({ type, value });
        break;
      case 'm':
        if (media.length === mostMedia) throw at(`more than ${mostMedia} media`);
        media.push({ ...readMedia(value, at), attributes: [], other: [], connection: undefined });
        break;
      case 'c': {
        const here = section ?? session;
        const connection = readConnection(value, at);
        if (here.connection === undefined) here.connection = connection;
        else if (section === undefined) throw at('a second connection of the session');
        else section.other.push({ type, value });
        break;
      }
      case 'a':
        (section ?? session).attributes.push(readAttribute(value, at));
        break;
      case 'u':
      case 'e':
      case 'p':
        if (section !== undefined) throw at(`"${type}=" inside a medium`);
        session.other.push({ type, value });
        break;
      case 'i':
      case 'b':
      case 'k':
        (section ?? session).other.push({ type, value });
        break;
      default:
        throw at(`the type "${type}" is not known`);
    }
  }
  if (origin === undefined || name === undefined) throw new SipSyntaxError('sdp', 'it ends too soon');
  if (!times.some(({ type }) => type === 't')) throw new SipSyntaxError('sdp', 'it has no time');
  return {
    origin,
    name,
    ...session,
    times,
    media: media.map(({ connection, other, ...one }) => ({
      ...one,
      ...(connection !== undefined && { connection }),
      ...(other.length > 0 && { other }),
    })),
  };
}

/** Writes a description. Throws SipSyntaxError on what would not be read back as it is meant. */
export function formatSdp(description: SessionDescription): Buffer {
  const { origin, name, connection, times, attributes, other, media } = description;
  const lines: string[] = [];
  const put = (type: string, value: string): void => {
    refuseBreaks('sdp', value);
    if (value === '') throw new SipSyntaxError('sdp', `"${type}=" without a value`);
    lines.push(`${type}=${toWire(value)}\r\n`);
  };
  const putOther = (kept: readonly SdpLine[], types: string): void => {
    for (const { type, value } of kept) if (types.includes(type)) put(type, value);
  };
  const words = (...all: readonly string[]): string => {
    for (const one of all)
      if (one === '' || /\s/.test(one)) throw new SipSyntaxError('sdp', `"${one}" is no word`);
    return all.join(' ');
  };
  const putAttributes = (all: readonly SdpAttribute[]): void => {
    for (const one of all) {
      if (!allOf(TOKEN, one.name)) throw new SipSyntaxError('sdp', `the attribute "${one.name}" is no token`);
      put('a', one.value === undefined ? one.name : `${one.name}:${one.value}`);
    }
  };
  for (const { type } of other)
    if (!'iuepbk'.includes(type) || type.length !== 1)
      throw new SipSyntaxError('sdp', `"${type}=" has no place`);

  put('v', '0');
  put(
    'o',
    words(
      origin.user,
      digits(origin.id),
      digits(origin.version),
      'IN',
      family(origin.address),
      origin.address,
    ),
  );
  put('s', name);
  for (const type of 'iuep') putOther(other, type);
  if (connection !== undefined) put('c', words('IN', family(connection.address), connection.address));
  putOther(other, 'b');
  for (const { type, value } of times) {
    if (!/^[trz]$/.test(type)) throw new SipSyntaxError('sdp', `"${type}=" is no time`);
    put(type, value);
  }
  putOther(other, 'k');
  putAttributes(attributes);
  for (const one of media) {
    const kept = one.other ?? [];
    const port = one.ports === undefined ? `${one.port}` : `${one.port}/${one.ports}`;
    if (!Number.isInteger(one.port) || one.port < 0 || one.port > 65_535)
      throw new SipSyntaxError('sdp', `the port ${one.port} is none`);
    if (one.formats.length === 0) throw new SipSyntaxError('sdp', 'a medium without a format');
    put('m', words(one.media, port, one.protocol, ...one.formats));
    putOther(kept, 'i');
    if (one.connection !== undefined)
      put('c', words('IN', family(one.connection.address), one.connection.address));
    putOther(kept, 'c');
    putOther(kept, 'b');
    putOther(kept, 'k');
    putAttributes(one.attributes ?? []);
  }
  return Buffer.from(lines.join(''), 'latin1');
}

/** The value of the first attribute of that name; '' for a flag, undefined when there is none. */
export function attributeOf(
  section: { readonly attributes?: readonly SdpAttribute[] | undefined },
  name: string,
): string | undefined {
  const found = section.attributes?.find((one) => one.name === name);
  return found === undefined ? undefined : (found.value ?? '');
}

type Fault = (why: string) => SipSyntaxError;

interface Section {
  attributes: SdpAttribute[];
  other: SdpLine[];
  connection: SdpConnection | undefined;
}

type MediaInit = Pick<MediaDescription, 'media' | 'port' | 'ports' | 'protocol' | 'formats'>;

/** Cuts into lines, counting before anything is kept. */
function linesOf(text: string, most: number): readonly SdpLine[] {
  const lines: SdpLine[] = [];
  for (let from = 0; from < text.length; ) {
    const newline = text.indexOf('\n', from);
    const end = newline < 0 ? text.length : newline;
    const line = text.slice(from, text[end - 1] === '\r' && end > from ? end - 1 : end);
    from = end + 1;
    // Some writers end with an empty line.
    if (line === '' && from >= text.length) break;
    const at = (why: string): SipSyntaxError => new SipSyntaxError('sdp', `line ${lines.length + 1}: ${why}`);
    if (lines.length === most) throw at(`more than ${most} lines`);
    if (/[\r\0]/.test(line)) throw at('CR or NUL inside a line');
    if (line[1] !== '=' || !/^[a-z]/.test(line)) throw at('it is not "type=value"');
    const value = line.slice(2);
    // Many write "s=" alone where the grammar wants a space at least.
    if (value === '' && line[0] !== 's') throw at('the value is empty');
    lines.push({ type: line.slice(0, 1), value });
  }
  return lines;
}

function readOrigin(value: string, at: Fault): SdpOrigin {
  const [user = '', id = '', version = '', network, kind, address = '', ...more] = value.split(' ');
  if (user === '' || address === '' || more.length > 0) throw at('the origin has not six fields');
  if (!/^\d{1,40}$/.test(id) || !/^\d{1,40}$/.test(version))
    throw at('session id and version are no numbers');
  checkNetwork(network, kind, at);
  return { user, id, version, address };
}

function readConnection(value: string, at: Fault): SdpConnection {
  const [network, kind, address = '', ...more] = value.split(' ');
  if (address === '' || more.length > 0) throw at('the connection has not three fields');
  checkNetwork(network, kind, at);
  return { address };
}

function checkNetwork(network: string | undefined, kind: string | undefined, at: Fault): void {
  if (network !== 'IN' || (kind !== 'IP4' && kind !== 'IP6')) throw at('the network is not IN IP4 or IN IP6');
}

function readAttribute(value: string, at: Fault): SdpAttribute {
  const colon = value.indexOf(':');
  const name = colon < 0 ? value : value.slice(0, colon);
  if (!allOf(TOKEN, name)) throw at('the name of the attribute is no token');
  return colon < 0 ? { name } : { name, value: value.slice(colon + 1) };
}

function readMedia(value: string, at: Fault): MediaInit {
  const [media = '', place = '', protocol = '', ...formats] = value.split(' ').filter((word) => word !== '');
  if (formats.length === 0) throw at('the medium has not four fields');
  const [, digitsOfPort = '', count] = /^(\d{1,5})(?:\/(\d{1,5}))?$/.exec(place) ?? [];
  const port = Number(digitsOfPort);
  if (digitsOfPort === '' || port > 65_535) throw at('the port is none');
  return { media, port, ...(count !== undefined && { ports: Number(count) }), protocol, formats };
}

function family(address: string): 'IP4' | 'IP6' {
  return address.includes(':') ? 'IP6' : 'IP4';
}

function digits(text: string): string {
  if (!/^\d{1,40}$/.test(text)) throw new SipSyntaxError('sdp', `"${text}" is no number`);
  return text;
}
