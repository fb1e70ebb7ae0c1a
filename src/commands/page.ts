/** How a long answer is cut. */
export interface PageOptions {
  /** Bytes of UTF-8 that one page may have, its number included. */
  readonly bytes: number;
  /** Pages at most; what does not fit is counted on the last one. Default 10. */
  readonly pages?: number | undefined;
}

/** `(10/10) `: what a page number takes at most, in bytes, up to 99 pages. */
const NUMBER_BYTES = 8;
/** Room on the last page for how much is missing. */
const REST_BYTES = 24;

/**
 * Cuts an answer into pages, at line ends where it can, else at spaces, never inside a character. More than one page
 * is numbered `(1/3) `.
 */
export function paginate(text: string, options: PageOptions): string[] {
  const { bytes, pages: most = 10 } = options;
  if (size(text) <= bytes) return [text];
  const room = Math.max(bytes - NUMBER_BYTES, 16);
  const pages: string[] = [];
  let page = '';
  for (const piece of text.split('\n').flatMap((line) => cut(line, room))) {
    if (page !== '' && size(page) + 1 + size(piece) > room) {
      pages.push(page);
      page = piece;
    } else page = page === '' ? piece : `${page}\n${piece}`;
  }
  if (page !== '') pages.push(page);
  if (pages.length > most) {
    const lost = pages.splice(most).join('\n').split('\n').length;
    const last = cut(pages[most - 1] ?? '', Math.max(room - REST_BYTES, 8))[0] ?? '';
    pages[most - 1] = `${last}\n… ${lost} more lines`;
  }
  return pages.length === 1 ? pages : pages.map((one, n) => `(${n + 1}/${pages.length}) ${one}`);
}

function cut(line: string, room: number): string[] {
  const pieces: string[] = [];
  let rest = line;
  while (size(rest) > room) {
    let end = 0;
    let space = 0;
    let used = 0;
    for (const char of rest) {
      used += size(char);
      if (used > room) break;
      end += char.length;
      if (char === ' ') space = end;
    }
    // A space in the first half would leave a page mostly empty.
    const at = space > end / 2 ? space : end;
    pieces.push(rest.slice(0, at).trimEnd());
    rest = rest.slice(at);
  }
  pieces.push(rest);
  return pieces;
}

const size = (text: string): number => Buffer.byteLength(text);
