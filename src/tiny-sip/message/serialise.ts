import type { SipMessage } from './message.ts';
import { COMPACT, CONTENT_LENGTH } from './names.ts';
import { stored } from './stored.ts';

/** How a message is written. */
export interface SerialiseOptions {
  /** Registered one-letter header names, and no space after the colon. */
  readonly compact?: boolean | undefined;
}

/**
 * The bytes of a message, with Content-Length computed. No value can hold CR, LF or NUL here: setters throw on them,
 * and what was read was cut into lines first (a NUL that was read in a quoted pair goes out as it came).
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
  head += `${compact ? 'l:' : 'Content-Length: '}${body.length}\r\n\r\n`;
  const bytes = Buffer.allocUnsafe(head.length + body.length);
  bytes.write(head, 0, 'latin1');
  if (body.length > 0) body.copy(bytes, head.length);
  return bytes;
}
