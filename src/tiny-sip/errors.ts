/**
 * Every error of the stack has a code that is never reused. This folder stands alone, so it keeps its own
 * small registry; the shape (code, text, remedy, SIP status) is the one the rest of the house uses.
 */
export interface SipErrorKind {
  /** The message; `{name}` is replaced by the field of that name. */
  readonly text: string;
  /** What whoever reads it can do about it. */
  readonly remedy: string;
  /** The status an answer to a request that caused it would carry. */
  readonly sip?: number;
}

/** Every kind of error, by its code without `SIP_`. */
export const sipErrorKinds = {
  SYNTAX: {
    text: '{what} is malformed: {why}',
    remedy: 'Correct the value; the grammar is in RFC 3261 §25.',
    sip: 400,
  },
  FLOW_CLOSED: {
    text: 'the {protocol} flow to {remote} is closed',
    remedy: 'Open a new flow; the log names the cause.',
  },
  FLOW_REFUSED: {
    text: 'no {protocol} flow to {remote}: {cause}',
    remedy: 'See that the peer listens there, and that nothing between drops the traffic.',
  },
  FLOW_IDLE: {
    text: 'the {protocol} flow to {remote} was idle for {seconds} s',
    remedy: 'Nothing to do; flows in use are kept alive.',
  },
  FLOW_SILENT: {
    text: 'no pong from {remote} within {seconds} s',
    remedy: 'The path to the peer is gone; a new flow is opened when it is needed.',
  },
  FLOW_STALLED: {
    text: '{remote} took nothing of {bytes} bytes for {seconds} s',
    remedy: 'The peer or the path to it hangs; a new flow is opened when it is needed.',
  },
  FLOW_MOVED: {
    text: 'the {protocol} flow to {remote} moved: its own address was {was} and is {now}',
    remedy:
      'The network of this machine, or a NAT before it, changed; a new flow is opened when it is needed.',
  },
  CERTIFICATE_TIME: {
    text: 'the certificate of {remote} ({subject}, {notBefore} to {notAfter}) is {state}: the clock here is {now}',
    remedy: 'See whether the clock of this machine is right; if it is, the certificate must be renewed.',
  },
  CERTIFICATE_NAME: {
    text: 'the certificate of {remote} is not that of {name}, but of {names}',
    remedy:
      'The domain must stand in it as sip URI or DNS name; wildcards do not count in SIP (RFC 5922 §7.2).',
  },
  CERTIFICATE_UNTRUSTED: {
    text: 'the certificate of {remote} is not trusted: {why}',
    remedy: 'Give the certificate authority that issued it as `ca`.',
  },
  CERTIFICATE_UNUSABLE: {
    text: 'certificate, key or authorities cannot be used: {cause}',
    remedy: 'Give PEM text: the key must fit the certificate, whose chain comes behind it, leaf first.',
  },
  QUEUE_FULL: {
    text: '{remote} reads too slowly: {bytes} bytes wait to be written',
    remedy: 'Send less, or raise the bound of the write queue.',
  },
  TOO_MANY_FLOWS: {
    text: 'already {count} connections are open',
    remedy: 'Raise the bound on connections, or find out who opens them.',
  },
  FRAMING_LOST: {
    text: 'the stream from {remote} cannot be cut into messages any more: {why}',
    remedy: 'The peer sent a broken message; the connection was closed.',
    sip: 400,
  },
  CANNOT_LISTEN: {
    text: 'cannot listen on {protocol} {local}: {cause}',
    remedy: 'See whether another program holds the port, and whether the address is one of this machine.',
  },
  NOT_LOCATED: {
    text: 'no server found for {uri}: {why}',
    remedy: 'See that the name is in the DNS (NAPTR, SRV, A or AAAA), or give an address.',
  },
  NO_TRANSPORT: {
    text: 'no {protocol} transport to send by',
    remedy: 'Give the stack a transport of that protocol, or another target.',
  },
  STOPPED: {
    text: 'the stack is stopped',
    remedy: 'Nothing to do; it was asked to stop.',
  },
  TABLE_FULL: {
    text: 'already {count} {what} are alive',
    remedy: 'Send less at a time, or raise the bound in the limits of the stack.',
    sip: 503,
  },
  NOT_MUTUAL: {
    text: 'the answer from {remote} does not prove that it knows our password',
    remedy: 'Find out who answers there, or do without mutual authentication where the server cannot do it.',
  },
  ABANDONED: {
    text: 'the request was given up: {cause}',
    remedy: 'Nothing to do; its sender gave it up.',
  },
} as const satisfies Record<string, SipErrorKind>;

/** `SIP_` and the name of a kind, e.g. `SIP_FLOW_CLOSED`. */
export type SipErrorCode = `SIP_${keyof typeof sipErrorKinds}`;

const EX_USAGE = 64;
const EX_UNAVAILABLE = 69;

/** An error of the stack that is not about syntax. */
export class SipError extends Error {
  /** Which error it is; never used again for another. */
  readonly code: SipErrorCode;
  /** What whoever reads it can do about it. */
  readonly remedy: string;
  /** Exit status after sysexits(3) for a program that ends because of it. */
  readonly exit: number = EX_UNAVAILABLE;
  /** The status an answer to a request that caused it would carry, if there is a fitting one. */
  readonly sip: number | undefined;
  /** What the message was filled with. */
  readonly fields: Readonly<Record<string, unknown>>;

  constructor(kind: keyof typeof sipErrorKinds, fields: Readonly<Record<string, unknown>> = {}) {
    super(fill(sipErrorKinds[kind].text, fields), 'cause' in fields ? { cause: fields.cause } : undefined);
    this.name = 'SipError';
    this.code = `SIP_${kind}`;
    const described: SipErrorKind = sipErrorKinds[kind];
    this.remedy = described.remedy;
    this.sip = described.sip;
    this.fields = fields;
  }
}

/** A value does not follow its grammar, or may not go on the wire (CR, LF, NUL). */
export class SipSyntaxError extends Error {
  /** The same for all that breaks a grammar. */
  readonly code: SipErrorCode = 'SIP_SYNTAX';
  /** What whoever reads it can do about it. */
  readonly remedy: string = sipErrorKinds.SYNTAX.remedy;
  /** Exit status after sysexits(3) for a program that ends because of it. */
  readonly exit: number = EX_USAGE;
  /** `what` and `why`. */
  readonly fields: Readonly<Record<string, unknown>>;
  /** What is malformed: a header name, 'uri', 'body'. */
  readonly what: string;
  /** The status that answers a request with this fault. */
  readonly status: number;

  constructor(what: string, why: string, status = 400) {
    super(`${what} is malformed: ${why}`);
    this.name = 'SipSyntaxError';
    this.what = what;
    this.status = status;
    this.fields = { what, why };
  }

  /** The same as `status`, under the name that `SipError` has for it. */
  get sip(): number {
    return this.status;
  }
}

function fill(text: string, fields: Readonly<Record<string, unknown>>): string {
  return text.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = fields[name];
    return value instanceof Error ? value.message : String(value ?? '?');
  });
}
