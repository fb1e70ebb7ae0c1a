import { SipSyntaxError } from '../errors.ts';
import type { SipMessage } from './message.ts';
import { COMPACT, CONTENT_LENGTH } from './names.ts';
import { bareNul } from './nul.ts';
import { stored } from './stored.ts';

/** How a message is written. */
export interface SerialiseOptions {
  /** Registered one-letter header names, and no space after the colon. */
  readonly compact?: boolean | undefined;
}

/**
 * The bytes of a message, with Content-Length computed. No value can hold CR or LF here: setters throw on them, and
 * what was read was cut into lines first. Throws SipSyntaxError on a NUL, which may have been read, except in a quoted
 * pair, where it is allowed and goes out as it came.
 */
export function serialise(message: SipMessage, options?: SerialiseOptions): Buffer {
  const from = stored(message);
  const { body, headerLines } = from;
  headerLines.toLists();
  const { ids, names, values } = headerLines;
  const compact = options?.compact === true;
  // HCOLON needs no space; compact means the fewest bytes.
  const colon = compact ? ':' : ': ';
  let head = `${from.startLine}\r\n`;
  for (let i = 0; i < ids.length; i += 1) {
    const id = ids[i] as number;
    if (id === CONTENT_LENGTH) continue;
    const name = compact && id !== 0 ? COMPACT[id] : names[i];
    head += `${name}${colon}${values[i]}\r\n`;
  }
  if (head.includes('\0')) refuseNul(from.startLine, values);
  head += `${compact ? 'l:' : 'Content-Length: '}${body.length}\r\n\r\n`;
  const bytes = Buffer.allocUnsafe(head.length + body.length);
  bytes.write(head, 0, 'latin1');
  if (body.length > 0) body.copy(bytes, head.length);
  return bytes;
}

function refuseNul(startLine: string, values: readonly string[]): void {
  if (startLine.includes('\0')) throw new SipSyntaxError('start line', 'NUL may not be written');
  if (values.some(bareNul)) throw new SipSyntaxError('header', 'NUL may not be written');
}
