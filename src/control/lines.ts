/** Cuts a byte stream into lines. */
export interface LineReader {
  /** The lines that are complete now, without their ends; `undefined` when one is too long: then the peer is lost. */
  push(chunk: Buffer): string[] | undefined;
}

/** @param limit longest line in bytes; never holds more than that */
export function createLineReader(limit: number): LineReader {
  let parts: Buffer[] = [];
  let held = 0;
  return {
    push(chunk) {
      const lines: string[] = [];
      let from = 0;
      for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
        if (held + end - from > limit) return undefined;
        lines.push(Buffer.concat([...parts, chunk.subarray(from, end)]).toString('utf8'));
        parts = [];
        held = 0;
        from = end + 1;
      }
      if (from < chunk.length) {
        held += chunk.length - from;
        if (held > limit) return undefined;
        parts.push(chunk.subarray(from));
      }
      return lines;
    },
  };
}
