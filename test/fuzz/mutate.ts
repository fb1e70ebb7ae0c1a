/**
 * Mutations of SIP messages. Everything is drawn from one source of randomness, so a seed gives the same messages again.
 * A message is latin1 text here: one char for each byte.
 */
import type { Random } from '../../src/base/random.ts';
import { corpus } from '../bench/corpus.ts';
import { readTorture } from '../tiny-sip/torture/read.ts';

/** What mutations begin with: the torture messages of RFC 4475 and 5118, messages of every day, and some bodies. */
export function seedMessages(): readonly string[] {
  return [
    ...readTorture('rfc4475.txt').map(({ bytes }) => bytes),
    ...readTorture('rfc5118.txt').map(({ bytes }) => bytes),
    ...corpus.slice(0, 32),
  ]
    .map((bytes) => bytes.toString('latin1'))
    .concat(ODD);
}

const ODD: readonly string[] = [
  'NOTIFY sip:a@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;rport;branch=z9hG4bKn\r\nFrom: <sip:r@a>;tag=1\r\nTo: <sip:a@a>;tag=2\r\nCall-ID: n\r\nCSeq: 1 NOTIFY\r\nEvent: presence\r\nSubscription-State: active;expires=60\r\nContent-Type: multipart/related;type="application/rlmi+xml";start="<1>";boundary=b\r\nContent-Length: 137\r\n\r\n--b\r\nContent-ID: <1>\r\nContent-Type: application/rlmi+xml\r\n\r\n<list/>\r\n--b\r\nContent-Transfer-Encoding: base64\r\nContent-ID: <2>\r\n\r\naGFsbG8=\r\n--b--\r\n',
  'CANCEL sip:bob@biloxi.example.com SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;rport;branch=z9hG4bKc\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:b@b>\r\nCall-ID: c\r\nCSeq: 1 CANCEL\r\nContent-Length: 0\r\n\r\n',
  'ACK sip:bob@biloxi.example.com SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;rport;branch=z9hG4bKc\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:b@b>;tag=x\r\nCall-ID: c\r\nCSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n',
  'MESSAGE tel:7042;phone-context=example.com SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1;rport;branch=z9hG4bKt\r\nFrom: <tel:+1-201;ext=1>;tag=1\r\nTo: <pres:a@b>\r\nCall-ID: t\r\nCSeq: 1 MESSAGE\r\nContact: *\r\nRoute: <sip:[::1]:5060;lr>, "a,b" <sip:x?y=z>\r\nAuthorization: Digest realm="a", nonce="b", uri="sip:c", response="d", qop=auth, nc=00000001, cnonce="e"\r\nContent-Length: 2\r\n\r\nhi',
];

/** What is put in, or in the place of something else. */
const PIECES: readonly string[] = [
  ...['\r\n', '\n', '\r', '\0', '\t', ' ', '\r\n ', '\r\n\r\n', '\n\n', '\r\n\t\r\n'],
  ...[
    '"',
    '\\',
    '\\"',
    '<',
    '>',
    '<>',
    '(',
    ')',
    '[',
    ']',
    '{',
    '}',
    ',',
    ';',
    ':',
    '=',
    '?',
    '&',
    '@',
    '%',
    '*',
    '/',
  ],
  ...[
    '%00',
    '%',
    '%zz',
    '%0d%0a',
    ';;',
    ',,',
    '::',
    ':::',
    '[::1]',
    '[::ffff:1.2.3.4',
    '1.2.3.4',
    '256.1.1.1',
  ],
  ...['0', '-1', '00', '4294967296', '9999999999999999999', '2147483648', '65536', '1e9', '0x10', 'NaN'],
  ...[
    'sip:',
    'sips:a@b',
    'tel:+1',
    'tel:;',
    'SIP/2.0',
    'SIP/2.0 200 OK',
    'z9hG4bK',
    ';branch=',
    ';tag=',
    ';rport=',
    ';lr',
  ],
  ...['\xff\xfe', '\xc3\xa9', '\xe2\x80\xa8', '\xc0\x80', '\xf0\x9f\x98\x80', '\x7f', '\x80'],
  ...[
    '--b',
    '--b--',
    'Content-Length: 5\r\n',
    'l: 0\r\n',
    'Via: x\r\n',
    'Contact: *\r\n',
    'Require: x\r\n',
    'Expires: 0\r\n',
  ],
  ...['__proto__', 'constructor', 'hasOwnProperty'],
  // Quoted pairs may hold anything, and so may tags where they are quoted.
  ...['"\\\0"', ';tag="\\\0"', '"\\\r"', '"\\"'],
];

const NAMES: readonly string[] = [
  ...[
    'Via',
    'v',
    'From',
    'f',
    'To',
    't',
    'Call-ID',
    'i',
    'CSeq',
    'Contact',
    'm',
    'Content-Length',
    'l',
    'Content-Type',
    'c',
  ],
  ...[
    'Expires',
    'Event',
    'o',
    'Max-Forwards',
    'Route',
    'Record-Route',
    'Require',
    'Proxy-Require',
    'Supported',
    'k',
  ],
  ...[
    'Authorization',
    'Subscription-State',
    'SIP-If-Match',
    'Accept',
    'Date',
    'Replaces',
    'X-Unknown',
    '__proto__',
    'x',
  ],
];

const METHODS: readonly string[] = [
  ...[
    'INVITE',
    'ACK',
    'BYE',
    'CANCEL',
    'OPTIONS',
    'REGISTER',
    'MESSAGE',
    'SUBSCRIBE',
    'NOTIFY',
    'PUBLISH',
    'REFER',
    'FOO',
  ],
];

/** No message grows beyond this. */
const MOST = 60_000;

export interface Mutator {
  /** The next mutated message. */
  next(): Buffer;
  /** The same of a message of the caller's. */
  of(message: Buffer): Buffer;
  /** In [0, below). */
  pick(below: number): number;
}

export function createMutator(random: Random, seeds: readonly string[] = seedMessages()): Mutator {
  let count = 0;
  const pick = (below: number): number => Math.floor(random.float() * below);
  const chance = (share: number): boolean => random.float() < share;
  const one = <T>(list: readonly T[], otherwise: T): T => list[pick(list.length)] ?? otherwise;
  const place = (text: string): number => pick(text.length + 1);

  const bytes: ((text: string) => string)[] = [
    (text) => {
      const at = place(text);
      return text.slice(0, at) + String.fromCharCode(pick(256)) + text.slice(at + 1);
    },
    (text) => {
      const at = place(text);
      return text.slice(0, at) + one(PIECES, '') + text.slice(at);
    },
    (text) => {
      const at = place(text);
      return text.slice(0, at) + one(PIECES, '') + text.slice(at + pick(6));
    },
    (text) => {
      const at = place(text);
      return text.slice(0, at) + text.slice(at + pick(30));
    },
    (text) => {
      const at = place(text);
      const piece = text.slice(at, at + pick(40));
      return text.slice(0, at) + piece.repeat(1 + pick(chance(0.02) ? 1_000 : 4)) + text.slice(at);
    },
    (text) => text.slice(0, place(text)),
  ];

  /** Runs a change on the lines of the head; the body stays. */
  const lines =
    (change: (head: string[]) => string[]) =>
    (text: string): string => {
      const end = text.indexOf('\r\n\r\n');
      if (end < 0) return text;
      return change(text.slice(0, end).split('\r\n')).join('\r\n') + text.slice(end);
    };

  const other = (): string => one(seeds, '');
  const otherLine = (): string => one(other().split('\r\n'), 'X: 1');

  const heads: ((text: string) => string)[] = [
    lines((head) => head.filter((_, i) => i !== 1 + pick(head.length))),
    lines((head) => {
      const at = 1 + pick(head.length);
      return [...head.slice(0, at), head[at] ?? '', ...head.slice(at)];
    }),
    lines((head) => {
      const [a, b] = [pick(head.length), pick(head.length)];
      return head.map((line, i) => (i === a ? (head[b] ?? '') : i === b ? (head[a] ?? '') : line));
    }),
    lines((head) => {
      const at = 1 + pick(head.length);
      return [...head.slice(0, at), otherLine(), ...head.slice(at)];
    }),
    // Another name for a value, another value for a name.
    lines((head) => {
      const at = 1 + pick(head.length - 1);
      return head.map((line, i) => (i === at ? line.replace(/^[^:]*/, one(NAMES, 'X')) : line));
    }),
    lines((head) => {
      const at = 1 + pick(head.length - 1);
      const value = chance(0.2) ? '' : otherLine().replace(/^[^:]*:?/, '');
      return head.map((line, i) => (i === at ? line.replace(/:.*$/, `:${value}`) : line));
    }),
    // Folds, blanks and case.
    lines((head) => {
      const at = 1 + pick(head.length - 1);
      return head.map((line, i) =>
        i === at ? line.replace(/ /g, () => (chance(0.5) ? '\r\n ' : '  ')) : line,
      );
    }),
    lines((head) => {
      const at = 1 + pick(head.length - 1);
      const upper = chance(0.5);
      return head.map((line, i) =>
        i === at
          ? line.replace(/^[^:]*/, (name) => `${upper ? name.toUpperCase() : name.toLowerCase()} `)
          : line,
      );
    }),
    lines((head) => {
      const from = METHODS[pick(METHODS.length)] ?? 'FOO';
      const [start = '', ...rest] = head;
      return [
        start.replace(/^\S+/, from),
        ...rest.map((line) => (chance(0.9) ? line.replace(/^(CSeq:\s*\d+\s+)\S+/i, `$1${from}`) : line)),
      ];
    }),
    // Numbers at their ends.
    (text) => {
      const numbers = [...text.matchAll(/\d+/g)];
      const found = numbers[pick(numbers.length)];
      if (found === undefined) return text;
      const value = one(
        ['0', '-1', '1', '255', '256', '65535', '65536', '2147483648', '4294967296', '9'.repeat(40)],
        '0',
      );
      return text.slice(0, found.index) + value + text.slice(found.index + found[0].length);
    },
    // A long list of one header.
    lines((head) => {
      const at = 1 + pick(head.length - 1);
      const [name = '', value = ''] = (head[at] ?? '').split(/:(.*)/s);
      const long = `${name}:${Array.from({ length: 1 + pick(chance(0.05) ? 200 : 8) }, () => value).join(',')}`;
      return head.map((line, i) => (i === at ? long : line));
    }),
    // The head of one with the tail of another.
    (text) => {
      const tail = other();
      return text.slice(0, place(text)) + tail.slice(place(tail));
    },
    // A body of another, or none.
    (text) => {
      const end = text.indexOf('\r\n\r\n');
      const tail = other();
      return end < 0 ? text : text.slice(0, end + 4) + tail.slice(tail.indexOf('\r\n\r\n') + 4);
    },
  ];

  /** Mostly each message is a transaction of its own, else the stack would only see retransmissions. */
  const unique = (text: string): string => {
    count += 1;
    if (chance(0.15)) return text;
    return text
      .replace(/branch=z9hG4bK/g, `branch=z9hG4bK${count}f`)
      .replace(/(Call-ID *: *|\r\ni *: *)/i, `$1${count}.`);
  };

  /** A Content-Length that fits, so that on a stream the next message is seen too. */
  const framed = (text: string): string => {
    const end = text.indexOf('\r\n\r\n');
    if (end < 0) return chance(0.5) ? `${text}\r\n\r\n` : text;
    const head = text.slice(0, end).replace(/\r\n(?:content-length|l)[ \t]*:[^\r\n]*/gi, '');
    return `${head}\r\nContent-Length: ${text.length - end - 4}${text.slice(end)}`;
  };

  const of = (text: string): Buffer => {
    let out = unique(text);
    const rounds = chance(0.05) ? 0 : 1 + pick(chance(0.1) ? 12 : 3);
    for (let round = 0; round < rounds; round += 1) {
      const change = chance(0.5) ? bytes[pick(bytes.length)] : heads[pick(heads.length)];
      out = (change?.(out) ?? out).slice(0, MOST);
    }
    return Buffer.from(chance(0.8) ? framed(out) : out, 'latin1');
  };

  return {
    next: () => of(other()),
    of: (message) => of(message.toString('latin1')),
    pick,
  };
}
