import { SipSyntaxError } from '../errors.ts';
import { attributeOf, type MediaDescription, type SdpAttribute } from './sdp.ts';

/** A message session as one side describes it (RFC 4975 §8, RFC 6135): what stands in its `m=message` as data. */
export interface MessageMedia {
  /** `TCP/TLS/MSRP`, else `TCP/MSRP`. */
  readonly secure: boolean;
  /** MSRP URIs, each with a port: the first is where to connect, the last is the endpoint (§8.2). */
  readonly path: readonly string[];
  /** Media types, `type/*` or `*`. */
  readonly acceptTypes: readonly string[];
  /** Types that are taken inside a container only. */
  readonly acceptWrappedTypes?: readonly string[] | undefined;
  /** Largest message in bytes. */
  readonly maxSize?: number | undefined;
  /** Who connects (RFC 6135 §4.2). Absent: the offerer does. */
  readonly setup?: MessageSetup | undefined;
}

/** Who connects (RFC 6135 §4.2). */
export type MessageSetup = 'active' | 'passive' | 'actpass';

/** Whether it proposes MSRP at all, refused or not. */
export function isMessageMedia(media: MediaDescription): boolean {
  return media.media === 'message' && /^TCP\/(?:TLS\/)?MSRP$/i.test(media.protocol);
}

/** Reads an `m=message` over MSRP. Throws SipSyntaxError when it is none, or lacks what RFC 4975 demands. */
export function readMessageMedia(media: MediaDescription): MessageMedia {
  if (!isMessageMedia(media)) throw new SipSyntaxError('sdp', 'no message session over MSRP');
  const path = words(attributeOf(media, 'path'));
  const acceptTypes = words(attributeOf(media, 'accept-types'));
  if (path.length === 0) throw new SipSyntaxError('sdp', 'a message session without a path');
  if (acceptTypes.length === 0) throw new SipSyntaxError('sdp', 'a message session without accept-types');
  for (const uri of path) portOf(uri);
  const wrapped = words(attributeOf(media, 'accept-wrapped-types'));
  const size = attributeOf(media, 'max-size');
  const setup = attributeOf(media, 'setup');
  return {
    secure: media.protocol.length > 'TCP/MSRP'.length,
    path,
    acceptTypes,
    ...(wrapped.length > 0 && { acceptWrappedTypes: wrapped }),
    ...(size !== undefined && /^\d{1,15}$/.test(size) && { maxSize: Number(size) }),
    // RFC 6135 §4.2.1: holdconn counts as nothing said.
    ...(isSetup(setup) && { setup }),
  };
}

/**
 * An `m=message` line with its attributes. Its port is that of the endpoint's own URI (RFC 4975 §8.1), or 9 where this
 * side only connects (RFC 6135 §4.2.2). Throws SipSyntaxError on a path that is none.
 */
export function writeMessageMedia(media: MessageMedia): MediaDescription {
  const own = media.path.at(-1);
  if (own === undefined || media.acceptTypes.length === 0)
    throw new SipSyntaxError('sdp', 'a message session needs a path and accept-types');
  for (const uri of media.path) portOf(uri);
  const attributes: SdpAttribute[] = [
    { name: 'accept-types', value: media.acceptTypes.join(' ') },
    ...(media.acceptWrappedTypes?.length
      ? [{ name: 'accept-wrapped-types', value: media.acceptWrappedTypes.join(' ') }]
      : []),
    ...(media.maxSize === undefined ? [] : [{ name: 'max-size', value: String(media.maxSize) }]),
    ...(media.setup === undefined ? [] : [{ name: 'setup', value: media.setup }]),
    { name: 'path', value: media.path.join(' ') },
  ];
  return {
    media: 'message',
    port: media.setup === 'active' ? 9 : portOf(own),
    protocol: media.secure ? 'TCP/TLS/MSRP' : 'TCP/MSRP',
    formats: ['*'],
    attributes,
  };
}

/** What an answer says to that `setup` of an offer (RFC 6135 §4.2.2); `reachable`: others can connect to us. */
export function answerSetup(offered: MessageSetup | undefined, reachable = true): MessageSetup {
  switch (offered) {
    case 'passive':
      return 'active';
    case 'actpass':
      return reachable ? 'passive' : 'active';
    case 'active':
    case undefined:
      return 'passive';
  }
}

/** Who opens the MSRP connection: the offerer, unless the answer says that the answerer is active. */
export function connecting(answer: MessageMedia): 'offerer' | 'answerer' {
  return answer.setup === 'active' ? 'answerer' : 'offerer';
}

/** Whether a media type (`type/subtype`) is in a list of accept-types (RFC 4975 §8.6). */
export function acceptsType(list: readonly string[], type: string): boolean {
  const wanted = type.toLowerCase();
  const any = `${wanted.slice(0, wanted.indexOf('/'))}/*`;
  return list.some((one) => one === '*' || one.toLowerCase() === wanted || one.toLowerCase() === any);
}

function isSetup(text: string | undefined): text is MessageSetup {
  return text === 'active' || text === 'passive' || text === 'actpass';
}

function words(text: string | undefined): readonly string[] {
  return (text ?? '').split(' ').filter((word) => word !== '');
}

/** RFC 4975 §9: scheme, host, a port that §8.2 demands, session id (of relays there is none), transport. */
const MSRP =
  /^msrps?:\/\/(?:[^\s/@;]+@)?(?:\[[0-9a-f:.]+\]|[^\s/@:;[\]]+):(\d{1,5})(?:\/[\w\-.~+=/]+)?;[a-z0-9]+(?:;[^\s;]+)*$/i;

function portOf(uri: string): number {
  const port = Number(MSRP.exec(uri)?.[1] ?? Number.NaN);
  if (!(port >= 0 && port <= 65_535)) throw new SipSyntaxError('sdp', `"${uri}" is no MSRP URI with a port`);
  return port;
}
