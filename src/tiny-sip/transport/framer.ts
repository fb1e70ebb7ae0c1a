import { type Head, readHead } from '../message/head.ts';
import type { Limits } from '../message/limits.ts';
import {
  type FailureCode,
  failure,
  finish,
  framingLost,
  type ParseResult,
  withDefaults,
} from '../message/parse.ts';

/** What a framer finds in a stream, in order. */
export interface FrameSink {
  /** A message, or what was meant as one; `parsed` is what `parseMessage(bytes)` says of it. */
  frame(bytes: Buffer, parsed: ParseResult): void;
  /** A CRLF between messages: half a ping, or a pong (RFC 5626 §4.4.1). */
  crlf(): void;
  /** No further message can be found. Nothing comes after it. */
  lost(why: string): void;
}

export interface Framer {
  push(chunk: Buffer): void;
  /** Whether the beginning of a message waits for its rest. */
  readonly partial: boolean;
  /** Bytes of memory that this takes. */
  readonly held: number;
  /** Takes no more, whatever is pushed. */
  stop(): void;
}

/**
 * Cuts a stream into messages (RFC 3261 §18.3: by Content-Length). However the stream is split into chunks, the same
 * messages come out; each byte is copied a bounded number of times and looked at a bounded number of times.
 */
export function createFramer(sink: FrameSink, limits?: Partial<Limits>): Framer {
  return new StreamFramer(sink, withDefaults(limits));
}

/** The smallest buffer for the beginning of a message; it doubles, so bytes are copied twice at most. */
const FIRST_HOLD = 1_024;

/** A class, since a stack may hold ten thousand of them. */
class StreamFramer implements Framer {
  declare private readonly sink: FrameSink;
  declare private readonly limits: Limits;
  /** The beginning of a message whose rest has not come: the first `used` bytes. */
  declare private buffer: Buffer | undefined;
  declare private used: number;
  /** Bytes of the beginning in which no end of a head is. */
  declare private searched: number;
  /** The head of the message whose body has not come. */
  declare private head: Head | undefined;
  declare private stopped: boolean;

  constructor(sink: FrameSink, limits: Limits) {
    this.sink = sink;
    this.limits = limits;
    this.buffer = undefined;
    this.used = 0;
    this.searched = 0;
    this.head = undefined;
    this.stopped = false;
  }

  get partial(): boolean {
    return this.used > 0;
  }

  get held(): number {
    return this.buffer?.length ?? 0;
  }

  stop(): void {
    this.stopped = true;
    this.buffer = undefined;
    this.used = 0;
    this.head = undefined;
  }

  push(chunk: Buffer): void {
    if (this.stopped) return;
    let data = chunk;
    if (this.buffer !== undefined) {
      this.hold(chunk);
      data = this.buffer.subarray(0, this.used);
    }
    const consumed = this.cut(data);
    if (this.stopped) return;
    if (consumed === 0 && this.buffer !== undefined) return;
    // Messages that were handed out lie in the old buffer; the rest moves to one of its own.
    this.buffer = undefined;
    this.used = 0;
    if (consumed < data.length) this.hold(data.subarray(consumed));
  }

  private hold(bytes: Buffer): void {
    const size = this.used + bytes.length;
    if (this.buffer === undefined || this.buffer.length < size) {
      const larger = Buffer.allocUnsafeSlow(Math.max(FIRST_HOLD, size, this.used * 2));
      this.buffer?.copy(larger, 0, 0, this.used);
      this.buffer = larger;
    }
    bytes.copy(this.buffer, this.used);
    this.used = size;
  }

  /** Hands out what is whole; answers how many bytes that took. */
  private cut(data: Buffer): number {
    let at = 0;
    while (!this.stopped) {
      if (this.head === undefined) {
        if (this.searched === 0) at = this.passCrlf(data, at);
        if (at >= data.length || (data[at] === 13 && at + 1 === data.length)) break;
        if (!this.findHead(data, at)) break;
      }
      const head = this.head as Head | undefined;
      if (head === undefined) break;
      const size = head.bodyAt + head.declared;
      if (data.length - at < size) break;
      // Mostly a chunk is one message, and needs no view of its own.
      const bytes = size === data.length ? data : data.subarray(at, at + size);
      this.head = undefined;
      at += size;
      this.sink.frame(bytes, finish(head, bytes, 0, head.declared, head.declared, this.limits));
    }
    return at;
  }

  private passCrlf(data: Buffer, from: number): number {
    let at = from;
    while (!this.stopped && data[at] === 13 && data[at + 1] === 10) {
      at += 2;
      this.sink.crlf();
    }
    return at;
  }

  /** Whether a head whose message can be cut was found at `at`. */
  private findHead(data: Buffer, at: number): boolean {
    const end = data.indexOf('\r\n\r\n', at + Math.max(0, this.searched - 3), 'latin1');
    const most = this.limits.headBytes;
    if (end < 0) {
      // A line that ends by LF alone ends the matter at once: no head will ever be found after it.
      if (hasBareLf(data, at + this.searched, at)) this.lose('LINE_END', undefined, data.subarray(at));
      else if (data.length - at >= most) this.lose('HEAD_TOO_LONG', undefined, data.subarray(at, at + most));
      else this.searched = data.length - at;
      return false;
    }
    this.searched = 0;
    const size = end + 4 - at;
    if (size > most) {
      this.lose('HEAD_TOO_LONG', undefined, data.subarray(at, at + most));
      return false;
    }
    const bytes = at === 0 ? data : data.subarray(at);
    const head = readHead(data.toString('latin1', at, at + size), bytes, this.limits);
    const fault = cause(head, this.limits);
    if (fault !== undefined) {
      this.lose(fault, head, bytes.subarray(0, size));
      return false;
    }
    this.head = head;
    return true;
  }

  private lose(code: FailureCode, head: Head | undefined, bytes: Buffer): void {
    const result = failure(code, head?.message, bytes.length);
    this.stop();
    this.sink.frame(bytes, result);
    this.sink.lost(result.reason);
  }
}

/** Why a stream cannot be cut after this head. */
function cause(head: Head, limits: Limits): FailureCode | undefined {
  if (head.fault !== undefined && (head.bodyAt < 0 || framingLost(head.fault))) return head.fault;
  // RFC 3261 §18.3: on a stream Content-Length is a must.
  if (head.declared < 0) return 'CONTENT_LENGTH';
  return head.declared > limits.body ? 'BODY_TOO_LONG' : undefined;
}

function hasBareLf(data: Buffer, from: number, start: number): boolean {
  for (let lf = data.indexOf(10, from); lf >= 0; lf = data.indexOf(10, lf + 1)) {
    if (lf === start || data[lf - 1] !== 13) return true;
  }
  return false;
}
