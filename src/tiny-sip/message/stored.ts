import { SipSyntaxError } from '../errors.ts';
import type { HeaderLines, HeaderValue } from './header-lines.ts';
import type { SipMessage, SipRequest, SipResponse } from './message.ts';
import { type NameAddr, quickAddress, quickAddresses, readAddress, readAddresses } from './name-addr.ts';
import {
  CALL_ID,
  CONTACT,
  CONTENT_LENGTH,
  CONTENT_TYPE,
  CSEQ,
  EVENT,
  EXPIRES,
  FROM,
  idOf,
  isList,
  MAX_FORWARDS,
  RECORD_ROUTE,
  ROUTE,
  TO,
  VIA,
} from './names.ts';
import { splitList } from './params.ts';
import { fromWire, toWire } from './text.ts';
import {
  type ContentType,
  type CSeq,
  type EventValue,
  parseContentType,
  quickCallId,
  quickCSeq,
  quickEvent,
  quickNumber,
  quickType,
  readCallId,
  readCSeq,
  readEvent,
  readExpires,
  readHops,
  readLength,
} from './values.ts';
import { markVia, quickVia, readVia, readVias, type Via } from './via.ts';

const NO_BYTES = Buffer.alloc(0);
const NO_ADDRESSES: readonly NameAddr[] = [];

/**
 * A request or a response as it is kept: one class for both, so that code which meets both stays fast. Its public
 * types are `SipRequest` and `SipResponse`.
 */
export class Message {
  declare readonly kind: 'request' | 'response';
  /** '' in a response. */
  declare readonly method: string;
  /** 0 in a request. */
  declare readonly status: number;
  declare readonly headerLines: HeaderLines;
  /** Request-URI or reason phrase, as on the wire. */
  declare private wire: string;
  /** Whether the Request-URI is known to follow the grammar. */
  declare checked: boolean;

  declare private bytes: Buffer;
  declare private bodyAt: number;
  declare private bodyEnd: number;

  // Values that were asked for; undefined when they were not.
  declare private keptVia: Via | undefined;
  declare private keptVias: readonly Via[] | undefined;
  declare private keptFrom: NameAddr | undefined;
  declare private keptTo: NameAddr | undefined;
  declare private keptCallId: string | undefined;
  declare private keptCseq: CSeq | undefined;
  declare private keptContacts: readonly NameAddr[] | '*' | undefined;
  declare private keptEvent: EventValue | undefined;
  declare private keptType: ContentType | undefined;

  /** `wire` is the Request-URI, or the reason phrase when there is a status. */
  constructor(method: string, status: number, wire: string, lines: HeaderLines, checked: boolean) {
    this.kind = status === 0 ? 'request' : 'response';
    this.method = method;
    this.status = status;
    this.headerLines = lines;
    this.wire = wire;
    this.checked = checked;
    this.bytes = NO_BYTES;
    this.bodyAt = 0;
    this.bodyEnd = 0;
    this.keptVia = undefined;
    this.keptVias = undefined;
    this.keptFrom = undefined;
    this.keptTo = undefined;
    this.keptCallId = undefined;
    this.keptCseq = undefined;
    this.keptContacts = undefined;
    this.keptEvent = undefined;
    this.keptType = undefined;
  }

  /** The same object by its public type. */
  face(): SipMessage {
    return this as unknown as SipMessage;
  }

  copy(): SipRequest & SipResponse {
    const twin = new Message(this.method, this.status, this.wire, this.headerLines.copy(), this.checked);
    twin.holdBody(this.bytes, this.bodyAt, this.bodyEnd);
    return twin as unknown as SipRequest & SipResponse;
  }

  get uri(): string {
    return this.kind === 'request' ? this.wire : '';
  }

  set uri(text: string) {
    // Written as it is, so nothing that ends the start line or splits it differently may be in it.
    if (text === '' || /[\s\0-\x1f\x7f]/.test(text))
      throw new SipSyntaxError('uri', 'white space, or nothing at all');
    this.wire = toWire(text);
    this.checked = false;
  }

  get reason(): string {
    return this.kind === 'response' ? fromWire(this.wire) : '';
  }

  /** The start line, without its end. */
  get startLine(): string {
    return this.status === 0 ? `${this.method} ${this.wire} SIP/2.0` : `SIP/2.0 ${this.status} ${this.wire}`;
  }

  get body(): Buffer {
    if (this.bodyAt === this.bodyEnd) return NO_BYTES;
    if (this.bodyAt !== 0 || this.bodyEnd !== this.bytes.length)
      this.body = this.bytes.subarray(this.bodyAt, this.bodyEnd);
    return this.bytes;
  }

  set body(bytes: Buffer) {
    this.holdBody(bytes, 0, bytes.length);
  }

  /** The body is a piece of what was received; the view of it is made when somebody asks. */
  holdBody(bytes: Buffer, at: number, end: number): void {
    this.bytes = bytes;
    this.bodyAt = at;
    this.bodyEnd = end;
  }

  text(): string {
    return this.bytes.toString('utf8', this.bodyAt, this.bodyEnd);
  }

  // Header lines by name.

  has(name: string): boolean {
    return this.headerLines.find(idOf(name), name, 0) >= 0;
  }

  get(name: string): string | undefined {
    const id = idOf(name);
    const at = this.headerLines.find(id, name, 0);
    if (at < 0) return undefined;
    const line = this.headerLines.lineAt(at);
    return isList(id) ? (splitList(line)[0] ?? '') : line;
  }

  all(name: string): readonly string[] {
    const id = idOf(name);
    const lines = this.headerLines.lines(id, name);
    return isList(id) ? lines.flatMap(splitList) : lines;
  }

  lines(name: string): readonly string[] {
    return this.headerLines.lines(idOf(name), name);
  }

  headerNames(): Iterable<string> {
    this.headerLines.toLists();
    const names = new Map<string, string>();
    for (const name of this.headerLines.names) {
      if (!names.has(name.toLowerCase())) names.set(name.toLowerCase(), name);
    }
    return names.values();
  }

  set(name: string, value: HeaderValue): this {
    const id = idOf(name);
    this.headerLines.set(id, name, value);
    this.forget(id);
    return this;
  }

  add(name: string, value: HeaderValue): this {
    const id = idOf(name);
    this.headerLines.add(id, name, value);
    this.forget(id);
    return this;
  }

  prepend(name: string, value: HeaderValue): this {
    const id = idOf(name);
    this.headerLines.prepend(id, name, value);
    this.forget(id);
    return this;
  }

  remove(name: string): this {
    const id = idOf(name);
    this.headerLines.drop(id, name);
    this.forget(id);
    return this;
  }

  removeFirst(name: string): string | undefined {
    const id = idOf(name);
    const at = this.headerLines.find(id, name, 0);
    if (at < 0) return undefined;
    const line = this.headerLines.lineAt(at);
    const parts = isList(id) ? splitList(line) : [line];
    this.headerLines.replace(at, parts.length > 1 ? parts.slice(1).join(', ') : undefined);
    this.forget(id);
    return parts[0] ?? '';
  }

  /** Writes `received`, and `rport` where it is given, into the top Via. Throws SipSyntaxError where that is malformed. */
  markVia(received: string, rport: number | undefined): void {
    const { headerLines } = this;
    const via = this.topVia;
    if (via === undefined) return;
    const line = (): string => headerLines.first(VIA) ?? '';
    const marked = markVia(via, headerLines.head, headerLines.place(VIA), line, received, rport);
    headerLines.rewriteVia(marked.line);
    this.keptVia = marked.via;
    this.keptVias = undefined;
  }

  /** A value was changed: what was decoded from it is worth nothing any more. */
  private forget(id: number): void {
    switch (id) {
      case VIA:
        this.keptVia = undefined;
        this.keptVias = undefined;
        break;
      case FROM:
        this.keptFrom = undefined;
        break;
      case TO:
        this.keptTo = undefined;
        break;
      case CALL_ID:
        this.keptCallId = undefined;
        break;
      case CSEQ:
        this.keptCseq = undefined;
        break;
      case CONTACT:
        this.keptContacts = undefined;
        break;
      case EVENT:
        this.keptEvent = undefined;
        break;
      case CONTENT_TYPE:
        this.keptType = undefined;
        break;
    }
  }

  // Typed values: by their usual shape where they stand in the head, else with care.

  get topVia(): Via | undefined {
    if (this.keptVia === undefined) {
      const { bytes, head } = this.headerLines;
      const at = this.headerLines.place(VIA);
      this.keptVia = (at > 0 ? quickVia(bytes, head, at) : undefined) ?? this.careful(VIA, readVia);
    }
    return this.keptVia;
  }

  get vias(): readonly Via[] {
    if (this.keptVias === undefined) {
      const found: Via[] = [];
      for (const line of this.headerLines.known(VIA)) readVias(line, found);
      this.keptVias = found;
    }
    return this.keptVias;
  }

  get from(): NameAddr | undefined {
    if (this.keptFrom === undefined) {
      const { bytes, head } = this.headerLines;
      const at = this.headerLines.place(FROM);
      this.keptFrom = (at > 0 ? quickAddress(bytes, head, at) : undefined) ?? this.careful(FROM, readFrom);
    }
    return this.keptFrom;
  }

  get to(): NameAddr | undefined {
    if (this.keptTo === undefined) {
      const { bytes, head } = this.headerLines;
      const at = this.headerLines.place(TO);
      this.keptTo = (at > 0 ? quickAddress(bytes, head, at) : undefined) ?? this.careful(TO, readTo);
    }
    return this.keptTo;
  }

  get fromTag(): string | undefined {
    return this.from?.tag;
  }

  get toTag(): string | undefined {
    return this.to?.tag;
  }

  get callId(): string | undefined {
    if (this.keptCallId === undefined) {
      const { bytes, head } = this.headerLines;
      const at = this.headerLines.place(CALL_ID);
      this.keptCallId =
        (at > 0 ? quickCallId(bytes, head, at) : undefined) ?? this.careful(CALL_ID, readCallId);
    }
    return this.keptCallId;
  }

  get cseq(): CSeq | undefined {
    if (this.keptCseq === undefined) {
      const { bytes, head } = this.headerLines;
      const at = this.headerLines.place(CSEQ);
      this.keptCseq = (at > 0 ? quickCSeq(bytes, head, at) : undefined) ?? this.careful(CSEQ, readCSeq);
    }
    return this.keptCseq;
  }

  get contacts(): readonly NameAddr[] | '*' {
    if (this.keptContacts === undefined) {
      const at = this.headerLines.onlyPlace(CONTACT);
      const quick = at > 0 ? quickAddresses(this.headerLines.bytes, this.headerLines.head, at) : undefined;
      this.keptContacts = quick ?? this.carefulContacts();
    }
    return this.keptContacts;
  }

  get expires(): number | undefined {
    const at = this.headerLines.place(EXPIRES);
    const quick = at > 0 ? quickNumber(this.headerLines.bytes, this.headerLines.head, at) : -1;
    return quick < 0 ? this.careful(EXPIRES, readExpires) : quick;
  }

  get event(): EventValue | undefined {
    if (this.keptEvent === undefined) {
      const { bytes, head } = this.headerLines;
      const at = this.headerLines.place(EVENT);
      this.keptEvent = (at > 0 ? quickEvent(bytes, head, at) : undefined) ?? this.careful(EVENT, readEvent);
    }
    return this.keptEvent;
  }

  get contentType(): ContentType | undefined {
    if (this.keptType === undefined) {
      const at = this.headerLines.place(CONTENT_TYPE);
      const quick = at > 0 ? quickType(this.headerLines.bytes, this.headerLines.head, at) : undefined;
      this.keptType = quick ?? this.careful(CONTENT_TYPE, parseContentType);
    }
    return this.keptType;
  }

  get contentLength(): number | undefined {
    const at = this.headerLines.place(CONTENT_LENGTH);
    const quick = at > 0 ? quickNumber(this.headerLines.bytes, this.headerLines.head, at) : -1;
    return quick < 0 ? this.careful(CONTENT_LENGTH, readLength) : quick;
  }

  get maxForwards(): number | undefined {
    const at = this.headerLines.place(MAX_FORWARDS);
    const quick = at > 0 ? quickNumber(this.headerLines.bytes, this.headerLines.head, at) : -1;
    return quick < 0 || quick > 255 ? this.careful(MAX_FORWARDS, readHops) : quick;
  }

  get routes(): readonly NameAddr[] {
    return this.addresses(ROUTE, 'Route');
  }

  get recordRoutes(): readonly NameAddr[] {
    return this.addresses(RECORD_ROUTE, 'Record-Route');
  }

  private careful<T>(id: number, read: (line: string) => T): T | undefined {
    const line = this.headerLines.first(id);
    return line === undefined ? undefined : read(line);
  }

  private carefulContacts(): readonly NameAddr[] | '*' {
    if (this.headerLines.first(CONTACT) === undefined) return NO_ADDRESSES;
    const lines = this.headerLines.known(CONTACT);
    return lines.length === 1 && lines[0] === '*' ? '*' : this.addresses(CONTACT, 'Contact');
  }

  /** All addresses of a header, of all its lines. */
  private addresses(id: number, what: string): readonly NameAddr[] {
    const found: NameAddr[] = [];
    for (const line of this.headerLines.known(id)) readAddresses(line, what, found);
    return found;
  }
}

/** The stored form of a message that this stack made or read. */
export function stored(message: SipMessage): Message {
  if (!(message instanceof Message)) throw new TypeError('not a message of this stack');
  return message;
}

function readFrom(line: string): NameAddr {
  return readAddress(line, 'From');
}

function readTo(line: string): NameAddr {
  return readAddress(line, 'To');
}
