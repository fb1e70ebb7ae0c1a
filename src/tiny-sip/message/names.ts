/**
 * The header names that the stack knows: their spelling, their one-letter form, and whether the grammar makes them a
 * comma list. A known name is a small number; that is what a message's index holds.
 */

/** How values of one header go together. */
type Shape =
  /** One value; a comma is part of it. */
  | 'one'
  /** A comma list of values that are mostly long: written one on a line. */
  | 'values'
  /** A comma list of words: written on one line. */
  | 'words';

type Entry = readonly [name: string, shape: Shape, compact?: string];

// The order gives the numbers. 0 stands for every name that is not here.
const ENTRIES: readonly Entry[] = [
  ['', 'one'],
  ['Via', 'values', 'v'],
  ['From', 'one', 'f'],
  ['To', 'one', 't'],
  ['Call-ID', 'one', 'i'],
  ['CSeq', 'one'],
  ['Contact', 'values', 'm'],
  ['Content-Length', 'one', 'l'],
  ['Content-Type', 'one', 'c'],
  ['Expires', 'one'],
  ['Event', 'one', 'o'],
  ['Max-Forwards', 'one'],
  ['Require', 'words'],
  ['Route', 'values'],
  ['Record-Route', 'values'],
  ['Accept', 'words'],
  ['Accept-Contact', 'values', 'a'],
  ['Accept-Encoding', 'words'],
  ['Accept-Language', 'words'],
  ['Alert-Info', 'values'],
  ['Allow', 'words'],
  ['Allow-Events', 'words', 'u'],
  ['Authentication-Info', 'one'],
  ['Authorization', 'one'],
  ['Call-Info', 'values'],
  ['Content-Disposition', 'one'],
  ['Content-Encoding', 'words', 'e'],
  ['Content-Language', 'words'],
  ['Date', 'one'],
  ['Error-Info', 'values'],
  ['Flow-Timer', 'one'],
  ['Geolocation', 'values'],
  ['History-Info', 'values'],
  ['Identity', 'one', 'y'],
  ['Identity-Info', 'one', 'n'],
  ['In-Reply-To', 'words'],
  ['Join', 'one'],
  ['MIME-Version', 'one'],
  ['Min-Expires', 'one'],
  ['Organization', 'one'],
  ['P-Access-Network-Info', 'one'],
  ['P-Asserted-Identity', 'values'],
  ['P-Associated-URI', 'values'],
  ['P-Called-Party-ID', 'one'],
  ['P-Charging-Vector', 'one'],
  ['P-Preferred-Identity', 'values'],
  ['Path', 'values'],
  ['Permission-Missing', 'values'],
  ['Priority', 'one'],
  ['Privacy', 'one'],
  ['Proxy-Authenticate', 'one'],
  ['Proxy-Authentication-Info', 'one'],
  ['Proxy-Authorization', 'one'],
  ['Proxy-Require', 'words'],
  ['RAck', 'one'],
  ['Reason', 'values'],
  ['Recv-Info', 'words'],
  ['Refer-Sub', 'one'],
  ['Refer-To', 'one', 'r'],
  ['Referred-By', 'one', 'b'],
  ['Reject-Contact', 'values', 'j'],
  ['Replaces', 'one'],
  ['Reply-To', 'one'],
  ['Request-Disposition', 'words', 'd'],
  ['Resource-Priority', 'words'],
  ['Retry-After', 'one'],
  ['RSeq', 'one'],
  ['SIP-ETag', 'one'],
  ['SIP-If-Match', 'one'],
  ['Security-Client', 'values'],
  ['Security-Server', 'values'],
  ['Security-Verify', 'values'],
  ['Server', 'one'],
  ['Service-Route', 'values'],
  ['Session-Expires', 'one', 'x'],
  ['Session-ID', 'one'],
  ['Subject', 'one', 's'],
  ['Subscription-State', 'one'],
  ['Supported', 'words', 'k'],
  ['Suppress-If-Match', 'one'],
  ['Target-Dialog', 'one'],
  ['Timestamp', 'one'],
  ['Unsupported', 'words'],
  ['User-Agent', 'one'],
  ['WWW-Authenticate', 'one'],
  ['Warning', 'values'],
];

/** Numbers of the names that the stack itself reads. */
export const VIA = 1;
export const FROM = 2;
export const TO = 3;
export const CALL_ID = 4;
export const CSEQ = 5;
export const CONTACT = 6;
export const CONTENT_LENGTH = 7;
export const CONTENT_TYPE = 8;
export const EXPIRES = 9;
export const EVENT = 10;
export const MAX_FORWARDS = 11;
export const REQUIRE = 12;
export const ROUTE = 13;
export const RECORD_ROUTE = 14;
/** Names below this number are hot: their first place is found when the head is read. */
export const HOT = 15;
export const TIMESTAMP = ENTRIES.findIndex(([name]) => name === 'Timestamp');

/** Bits, by number, of the hot names that may be on several lines. */
export const severalOf: number =
  (1 << VIA) | (1 << CONTACT) | (1 << REQUIRE) | (1 << ROUTE) | (1 << RECORD_ROUTE);

/** Long names by number. */
export const LONG: readonly string[] = ENTRIES.map(([name]) => name);
/** Shortest names by number. */
export const COMPACT: readonly string[] = ENTRIES.map(([name, , compact]) => compact ?? name);
const SHAPES: readonly Shape[] = ENTRIES.map(([, shape]) => shape);
const LOWER: readonly string[] = LONG.map((name) => name.toLowerCase());

/** Whether values of the header may be joined by commas. */
export function isList(id: number): boolean {
  return SHAPES[id] !== 'one';
}

/** Whether a list of the header is written on one line. */
export function isWords(id: number): boolean {
  return SHAPES[id] === 'words';
}

/** Hot names by number, with their colon. */
export const HOT_NAMES: readonly string[] = LONG.slice(0, HOT).map((name) => `${name}:`);

/** One-letter names by their letter: index 0 is `a`. */
const LETTERS: Uint8Array = (() => {
  const table = new Uint8Array(26);
  for (const [id, [, , compact]] of ENTRIES.entries()) {
    if (compact !== undefined) table[compact.charCodeAt(0) - 97] = id;
  }
  return table;
})();

// Long names by a hash of length, first and last letter; what shares a slot is chained.
const SLOTS = 512;
const FIRST: Uint8Array = new Uint8Array(SLOTS);
const NEXT: Uint8Array = new Uint8Array(ENTRIES.length);
for (let id = ENTRIES.length - 1; id > 0; id -= 1) {
  const name = LOWER[id] as string;
  const slot = slotOf(name.length, name.charCodeAt(0), name.charCodeAt(name.length - 1));
  NEXT[id] = FIRST[slot] as number;
  FIRST[slot] = id;
}

function slotOf(length: number, first: number, last: number): number {
  return ((length * 41) ^ (first << 4) ^ last) & (SLOTS - 1);
}

/**
 * The number of the name in `text[from, end)`, any case, long or compact; 0 when it is not known.
 * The caller has seen to it that all of it is token.
 */
export function identify(text: string, from: number, end: number): number {
  const length = end - from;
  const first = text.charCodeAt(from) | 32;
  if (length === 1) return first >= 97 && first <= 122 ? (LETTERS[first - 97] as number) : 0;
  let id = FIRST[slotOf(length, first, text.charCodeAt(end - 1) | 32)] as number;
  while (id !== 0) {
    const lower = LOWER[id] as string;
    if (lower.length === length) {
      let i = 0;
      // `| 32` makes letters lower case and leaves `-` as it is; no other token maps onto a letter.
      while (i < length && (text.charCodeAt(from + i) | 32) === lower.charCodeAt(i)) i += 1;
      if (i === length) return id;
    }
    id = NEXT[id] as number;
  }
  return 0;
}

/** Long and one-letter names as they are written mostly. */
const SPELLINGS: ReadonlyMap<string, number> = new Map(
  ENTRIES.flatMap(([name, , compact], id) =>
    [name, name.toLowerCase(), ...(compact === undefined ? [] : [compact])].map((one) => [one, id] as const),
  ),
);

/** The number of a name given by a caller; 0 when it is not known, and when it is no name at all. */
export function idOf(name: string): number {
  return SPELLINGS.get(name) ?? (name.length === 0 ? 0 : identify(name, 0, name.length));
}
