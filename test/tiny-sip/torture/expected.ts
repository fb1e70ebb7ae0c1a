/** What the texts of RFC 4475 and RFC 5118 allow as the answer to each of their messages, by UDP and by TCP. */

export type Expected =
  /**
   * One of these statuses, once; the first is what this stack gives. `closes`: then the connection is closed. `behind`:
   * what the bytes after the message get, where they are messages of their own.
   */
  | {
      readonly kind: 'answer';
      readonly statuses: readonly number[];
      readonly closes?: true;
      readonly behind?: readonly number[];
    }
  /** Nothing: responses that nobody waits for, and those that are dropped. */
  | { readonly kind: 'silence' }
  /** On a stream the rest is waited for, and when it does not come the connection is closed without a word. */
  | { readonly kind: 'waits' };

export interface Verdict {
  readonly udp: Expected;
  readonly tcp: Expected;
  /** Changes that the RFC's bytes need to be the message that its text describes. */
  readonly mend?: readonly (readonly [from: string, to: string])[];
  /** What the unmended bytes get by RFC 3261 §18.3. */
  readonly raw?: { readonly udp: Expected; readonly tcp?: Expected };
}

const answer = (...statuses: number[]): Expected => ({ kind: 'answer', statuses });
const closes = (...statuses: number[]) => ({ kind: 'answer', statuses, closes: true }) as const;
const silence: Expected = { kind: 'silence' };
const waits: Expected = { kind: 'waits' };
const same = (expected: Expected): Verdict => ({ udp: expected, tcp: expected });

/** Well-formed and meant for a user agent that takes calls, messages and OPTIONS. */
const accepted = same(answer(200));
/** A REGISTER: a user agent refuses it, a registrar takes it. */
const registration = same(answer(405, 200));
/** "It is reasonable to reject … liberal elements may …". */
const refused = same(answer(400, 200));
const malformed = same(answer(400));

/** A datagram that ends too soon is refused, on a stream the rest is waited for (RFC 3261 §18.3). */
const short = { udp: answer(400), tcp: waits };

export const rfc4475: Readonly<Record<string, Verdict>> = {
  // §3.1.1: valid messages.
  wsinv: accepted,
  intmeth: same(answer(501)),
  esc01: accepted,
  escnull: registration,
  esc02: same(answer(501)),
  lwsdisp: accepted,
  longreq: accepted,
  // "Extra octets" are noise in a datagram; on a stream they are a message of their own, and what is left after its
  // 150 bytes of body is none.
  dblreq: { udp: answer(405, 200), tcp: { ...closes(405, 200), behind: [200, 400] } },
  semiuri: accepted,
  transports: accepted,
  mpart01: same(answer(200, 415)),
  unreason: same(silence),
  noreason: same(silence),

  // §3.1.2: invalid ones.
  badinv01: malformed,
  clerr: short,
  ncl: { udp: answer(400), tcp: closes(400) },
  scalar02: malformed,
  scalarlg: same(silence),
  quotbal: refused,
  ltgtruri: refused,
  lwsruri: refused,
  lwsstart: refused,
  trws: refused,
  escruri: refused,
  // "An element shouldn't [reject it] unless the contents of the Date header field were actually important".
  baddate: same(answer(200, 400)),
  regbadct: same(answer(400, 405, 200)),
  badaspec: refused,
  baddn: { ...refused, mend: [['l: 0\r\n', 'l: 0\r\n\r\n']], raw: short },
  badvers: same(answer(505)),
  mismatch01: malformed,
  mismatch02: same(answer(501, 400)),
  bigcode: same(silence),

  // §3.2: transaction layer.
  badbranch: refused,

  // §3.3: application layer.
  insuf: malformed,
  unkscm: same(answer(416)),
  novelsc: same(answer(416, 404)),
  unksm2: same(answer(405, 400)),
  bext01: same(answer(420)),
  invut: same(answer(415)),
  regaut01: registration,
  multi01: malformed,
  mcl01: { udp: answer(400), tcp: closes(400) },
  bcast: same(silence),
  zeromf: accepted,
  cparam01: registration,
  cparam02: registration,
  regescrt: registration,
  sdp01: same(answer(406, 400)),

  // §3.4: RFC 2543. Without Content-Length a body has no end on a stream (RFC 3261 §18.3).
  inv2543: { udp: answer(200), tcp: closes(400) },
};

export const rfc5118: Readonly<Record<string, Verdict>> = {
  'ipv6-good': registration,
  'ipv6-bad': malformed,
  'port-ambiguous': registration,
  'port-unambiguous': registration,
  // A BYE outside of every dialog (RFC 3261 §15.1.2).
  'via-received-param-with-delim': same(answer(481)),
  'via-received-param-no-delim': accepted,
  'ipv6-in-sdp': { ...accepted, mend: [['Content-Length: 268', 'Content-Length: 251']], raw: short },
  'mult-ip-in-header': same(answer(481)),
  // The body goes on after its Content-Length. In a datagram that is noise.
  'mult-ip-in-sdp': {
    ...accepted,
    mend: [['Content-Length: 181', 'Content-Length: 189']],
    raw: { udp: answer(200) },
  },
  'ipv4-mapped-ipv6': {
    ...accepted,
    mend: [['Content-Length: 236', 'Content-Length: 245']],
    raw: { udp: answer(200) },
  },
  // "An implementation must tolerate both of the above constructs."
  'ipv6-bug-abnf-3-colons': { ...same(answer(200, 400)), mend: [['h: 0\r\n', 'h: 0\r\n\r\n']], raw: short },
  'ipv6-correct-abnf-2-colons': { ...accepted, mend: [['h: 0\r\n', 'h: 0\r\n\r\n']], raw: short },
};

/** A message as its RFC means it. */
export function mended(bytes: Buffer, verdict: Verdict): Buffer {
  let wire = bytes.toString('latin1');
  for (const [from, to] of verdict.mend ?? []) wire = wire.replace(from, to);
  return Buffer.from(wire, 'latin1');
}
