import { SipSyntaxError } from '../errors.ts';
import { allOf, TOKEN } from './chars.ts';
import { emptyLines, type HeaderLines, setAll } from './header-lines.ts';
import type { HeaderInit, SipRequest, SipResponse } from './message.ts';
import { CALL_ID, CSEQ, FROM, TIMESTAMP, TO, VIA } from './names.ts';
import { reasonOf } from './reasons.ts';
import { Message, stored } from './stored.ts';
import { refuseBreaks, toWire } from './text.ts';

/** What a request is made of. */
export interface RequestInit {
  /** A token; case matters. */
  readonly method: string;
  /** Request-URI. */
  readonly uri: string;
  /** By name in any case; a list gives several values, undefined none. */
  readonly headers?: HeaderInit | undefined;
  /** A string is written as UTF-8. */
  readonly body?: Buffer | string | undefined;
}

/** What a response has besides its status and what it takes from the request. */
export interface ResponseInit {
  /** Unicode; default that of the status. */
  readonly reason?: string | undefined;
  /** By name in any case; a list gives several values, undefined none. */
  readonly headers?: HeaderInit | undefined;
  /** A string is written as UTF-8. */
  readonly body?: Buffer | string | undefined;
  /** Added to To when the request had none there. */
  readonly toTag?: string | undefined;
}

/** Throws SipSyntaxError on what may not be written. */
export function createRequest(init: RequestInit): SipRequest {
  if (!allOf(TOKEN, init.method)) throw new SipSyntaxError('method', `"${init.method}" is no token`);
  const message = new Message(init.method, 0, '', emptyLines(), false);
  message.uri = init.uri;
  setAll(message.headerLines, init.headers ?? {});
  hold(message, init.body);
  return message.face() as SipRequest;
}

/**
 * Copies Via, From, To, Call-ID and CSeq as they are (RFC 3261 §8.2.6.2), and Timestamp into a 100 (§8.2.6.1).
 * Throws SipSyntaxError on what may not be written.
 */
export function createResponse(request: SipRequest, status: number, init: ResponseInit = {}): SipResponse {
  if (!Number.isInteger(status) || status < 100 || status > 699)
    throw new SipSyntaxError('status', `${status} is none`);
  const from = stored(request);
  const reason = init.reason ?? reasonOf(status);
  refuseBreaks('reason', reason);
  const lines = emptyLines();
  for (const line of from.headerLines.known(VIA)) lines.push(VIA, line);
  copyLine(from, lines, FROM);
  const to = from.headerLines.first(TO);
  if (to !== undefined) lines.push(TO, init.toTag === undefined ? to : tagged(request, to, init.toTag));
  copyLine(from, lines, CALL_ID);
  copyLine(from, lines, CSEQ);
  if (status === 100) for (const line of from.headerLines.known(TIMESTAMP)) lines.push(TIMESTAMP, line);
  const message = new Message('', status, toWire(reason), lines, true);
  setAll(message.headerLines, init.headers ?? {});
  hold(message, init.body);
  return message.face() as SipResponse;
}

function copyLine(from: Message, to: HeaderLines, id: number): void {
  const line = from.headerLines.first(id);
  if (line !== undefined) to.push(id, line);
}

function tagged(request: SipRequest, line: string, tag: string): string {
  try {
    // A tag that the request brought stays as it is, even one that we would not write.
    if (request.toTag !== undefined) return line;
  } catch {
    // An answer to a request whose To cannot be read: it goes back as it came.
    return line;
  }
  if (!allOf(TOKEN, tag)) throw new SipSyntaxError('tag', `"${tag}" is no token`);
  return `${line};tag=${tag}`;
}

function hold(message: Message, body: Buffer | string | undefined): void {
  if (body !== undefined) message.body = typeof body === 'string' ? Buffer.from(body, 'utf8') : body;
}
