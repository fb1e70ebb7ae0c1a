const LF = 0x0a;
const CR = 0x0d;

export interface Lines {
  /** Takes bytes as they come; lines come out through `line`, without their end, empty ones left out. */
  push(chunk: Buffer): void;
  /** Lines dropped for their length. */
  readonly overlong: number;
}

/**
 * Cuts a stream of bytes into lines that end with CR, LF or CRLF. It never holds more than `max` bytes: a longer line
 * is dropped whole. What comes before the first line end is dropped too, since a port is opened in the middle of a line.
 */
export function createLines(max: number, line: (text: string) => void): Lines {
  const held = Buffer.allocUnsafe(max);
  let length = 0;
  let skipping = true;
  let overlong = 0;

  const keep = (piece: Buffer): void => {
    if (skipping || piece.length === 0) return;
    if (length + piece.length > max) {
      skipping = true;
      length = 0;
      overlong += 1;
      return;
    }
    piece.copy(held, length);
    length += piece.length;
  };

  const end = (): void => {
    if (!skipping && length > 0) line(held.toString('utf8', 0, length));
    length = 0;
    skipping = false;
  };

  return {
    push(chunk) {
      let start = 0;
      for (let at = 0; at < chunk.length; at += 1) {
        const byte = chunk[at];
        if (byte !== LF && byte !== CR) continue;
        keep(chunk.subarray(start, at));
        end();
        start = at + 1;
      }
      keep(chunk.subarray(start));
    },
    get overlong() {
      return overlong;
    },
  };
}
