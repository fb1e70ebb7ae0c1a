import type { HeaderValue } from './header-lines.ts';
import type { NameAddr } from './name-addr.ts';
import type { ContentType, CSeq, EventValue } from './values.ts';
import type { Via } from './via.ts';

export type { HeaderValue } from './header-lines.ts';
export type { ContentType, CSeq, EventValue } from './values.ts';

/** Headers to write, by name in any case; a list gives several values, undefined none. */
export type HeaderInit = Readonly<Record<string, HeaderValue | undefined>>;

/**
 * What requests and responses have in common.
 *
 * Header values are *wire text*: each char is one byte of the message, so UTF-8 shows as its bytes
 * and every byte survives. Text for people is decoded where it is read (`NameAddr.display`,
 * `SipResponse.reason`, `text()`), or with `fromWire`. Setters take wire text or plain Unicode text alike.
 *
 * Typed values (`from`, `cseq`, …) are decoded when first asked for and kept. They throw `SipSyntaxError`
 * when the value breaks its grammar and are undefined when the header is absent.
 */
export interface SipHeaders {
  /** Names in any case, long or compact, here and below. */
  has(name: string): boolean;
  /** The first value, unfolded and trimmed; of a comma list its first element. */
  get(name: string): string | undefined;
  /** Every value; comma lists are split where the grammar makes the header a list. */
  all(name: string): readonly string[];
  /** The header lines of that name as they are, unfolded and trimmed, not split. */
  lines(name: string): readonly string[];
  /** Replaces all values. Throws SipSyntaxError on CR, LF or NUL, and on a name that is no token. */
  set(name: string, value: HeaderValue): this;
  /** Appends after the last header of that name, else at the end. */
  add(name: string, value: HeaderValue): this;
  /** Puts before the first header of that name, else at the top: for Via, Route and Record-Route. */
  prepend(name: string, value: HeaderValue): this;
  /** Removes all headers of that name. */
  remove(name: string): this;
  /** Removes the first value only, also out of a comma list: the own Via or Route. Answers what it was. */
  removeFirst(name: string): string | undefined;
  /** Long names of the headers in order of first appearance, each once. */
  headerNames(): Iterable<string>;

  /** The exact bytes. Shares memory with the datagram or chunk that it came in. */
  body: Buffer;
  /** The body as UTF-8. */
  text(): string;

  /** Empty when there is none. */
  readonly vias: readonly Via[];
  /** The first of `vias`. */
  readonly topVia: Via | undefined;
  /** From, whole. */
  readonly from: NameAddr | undefined;
  /** To, whole. */
  readonly to: NameAddr | undefined;
  /** Tag of From. */
  readonly fromTag: string | undefined;
  /** Tag of To. */
  readonly toTag: string | undefined;
  /** Call-ID; case matters (RFC 3261 §20.8). */
  readonly callId: string | undefined;
  /** Number and method of CSeq. */
  readonly cseq: CSeq | undefined;
  /** Empty when there is none. */
  readonly contacts: readonly NameAddr[] | '*';
  /** Seconds; a value above 2**32-1 reads as that (RFC 3261 §20.19). */
  readonly expires: number | undefined;
  /** Package and parameters of Event (RFC 6665 §8.2.1). */
  readonly event: EventValue | undefined;
  /** Content-Type, taken apart. */
  readonly contentType: ContentType | undefined;
  /** As the header says; undefined when there is none. */
  readonly contentLength: number | undefined;
  /** 0 to 255. */
  readonly maxForwards: number | undefined;
  /** Empty when there is none. */
  readonly routes: readonly NameAddr[];
  /** Empty when there is none. */
  readonly recordRoutes: readonly NameAddr[];
}

/** A request (RFC 3261 §7.1). */
export interface SipRequest extends SipHeaders {
  /** Tells it from a response. */
  readonly kind: 'request';
  /** Case matters. */
  readonly method: string;
  /** The Request-URI as on the wire. Setting it checks for white space and control characters only. */
  uri: string;
  /** An independent copy: changing one leaves the other alone. The body's bytes are shared. */
  copy(): SipRequest;
}

/** A response (RFC 3261 §7.2). */
export interface SipResponse extends SipHeaders {
  /** Tells it from a request. */
  readonly kind: 'response';
  /** 100 to 699. */
  readonly status: number;
  /** Reason phrase, as Unicode. */
  readonly reason: string;
  /** An independent copy: changing one leaves the other alone. The body's bytes are shared. */
  copy(): SipResponse;
}

/** Either; `kind` tells which. */
export type SipMessage = SipRequest | SipResponse;
