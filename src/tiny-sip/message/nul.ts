import type { HeaderLines } from './header-lines.ts';

/**
 * NUL in header values. The grammar has it in a quoted pair only (RFC 3261 §25.1, RFC 4475 §3.1.1.2); anywhere else
 * others may take it for the end of the value, or of the message.
 */

/** Whether a value holds a NUL that is no quoted pair. */
export function bareNul(value: string): boolean {
  let quoted = false;
  for (let i = 0; i < value.length; i += 1) {
    const code = value.charCodeAt(i);
    if (code === 0) return true;
    if (code === 34) quoted = !quoted;
    // A quoted pair is two characters, whichever the second is.
    else if (code === 92 && quoted) i += 1;
  }
  return false;
}

/** Whether the start line or any header line of a message does. Looks at values only when there is a NUL in the head. */
export function holdsBareNul(lines: HeaderLines): boolean {
  const { head } = lines;
  if (head === '') return lines.values.some((value) => value.includes('\0') && bareNul(value));
  const nul = head.indexOf('\0');
  // Where the text goes on into the body, that may hold any byte.
  if (nul < 0 || nul > head.indexOf('\r\n\r\n')) return false;
  if (nul < head.indexOf('\n')) return true;
  const copy = lines.copy();
  copy.toLists();
  return copy.values.some(bareNul);
}
