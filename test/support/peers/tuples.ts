/** What a presence document says of each tuple, read by a few regular expressions: apart from the product's own reader. */
export interface Tuple {
  id: string;
  /** open, closed, or unknown when there is no basic status. */
  basic: 'open' | 'closed' | 'unknown';
  note: string;
}

/**
 * By the readable part of the tuple id (`freezer-2m6k9` is under `freezer`), or the whole id when it has none. A cover
 * (`freezer-2m6k9.c`), which stands in while publications change over, counts where the tuple itself is absent.
 */
export function tuplesOf(document: string): Map<string, Tuple> {
  const tuples = new Map<string, Tuple>();
  const covers: [label: string, tuple: Tuple][] = [];
  for (const [, attributes = '', content = ''] of document.matchAll(
    /<(?:\w+:)?tuple\b([^>]*)>(.*?)<\/(?:\w+:)?tuple>/gs,
  )) {
    const id = /\bid="([^"]*)"/.exec(attributes)?.[1] ?? '';
    const basic = /<(?:\w+:)?basic>\s*(\w+)/.exec(content)?.[1];
    const tuple: Tuple = {
      id,
      basic: basic === 'open' || basic === 'closed' ? basic : 'unknown',
      note: decodeReferences(/<(?:\w+:)?note\b[^>]*>([^<]*)/.exec(content)?.[1]?.trim() ?? ''),
    };
    const label = id.replace(/-[0-9a-z]{5}(\.c)?$/, '');
    if (id.endsWith('.c')) covers.push([label, tuple]);
    else tuples.set(label, tuple);
  }
  for (const [label, tuple] of covers) if (!tuples.has(label)) tuples.set(label, tuple);
  return tuples;
}

/** Ids that more than one tuple of a document has; a watcher cannot tell which of them is true. */
export function repeatedIds(document: string): string[] {
  const ids = [...document.matchAll(/<(?:\w+:)?tuple\b[^>]*\bid="([^"]*)"/g)].map(([, id = '']) => id);
  return ids.filter((id, index) => ids.indexOf(id) !== index);
}

const NAMED: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };

/** Kamailio writes what is beyond ASCII as character references. */
function decodeReferences(text: string): string {
  return text.replace(
    /&(?:#x([0-9a-f]+)|#(\d+)|(\w+));/gi,
    (whole, hex?: string, decimal?: string, name?: string) =>
      name === undefined
        ? String.fromCodePoint(hex === undefined ? Number(decimal) : Number.parseInt(hex, 16))
        : (NAMED[name] ?? whole),
  );
}
