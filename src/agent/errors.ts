import { defineErrors } from '../base/errors.ts';

/** What can be wrong with an account, as its state and the log tell it. */
export const agentErrors = defineErrors('AGT', {
  TOO_MANY_DEVICES: {
    text: '{aor} has {count} devices, and at most {most} may share one address of record',
    remedy: 'Give some of the devices an aor of their own, or another account.',
    exit: 78,
  },
  DUPLICATE_AOR: {
    text: '{aor} is used twice',
    remedy: 'Give each account and each device an address of record of its own.',
    exit: 78,
  },
  BAD_AOR: {
    text: '"{aor}" is no address of record: {cause}',
    remedy: 'Write it like sip:gateway7@example.com.',
    exit: 78,
  },
  NO_SERVER: {
    text: 'no server found for {uri}: {cause}',
    remedy: 'See that the name is in the DNS, or set outbound_proxy to an address.',
    exit: 69,
  },
  UNREACHABLE: {
    text: 'no connection to {server}: {cause}',
    remedy: 'See that the server runs and that nothing between drops the traffic; it is tried again.',
    exit: 69,
  },
  NO_ANSWER: {
    text: '{server} does not answer {method}',
    remedy: 'See that the server runs and serves this transport; it is tried again.',
    exit: 69,
  },
  NOT_REGISTERED: {
    text: '{aor} could not be registered: {status} {reason}',
    remedy: 'See that the server knows this user, and that user and password are right.',
    exit: 77,
  },
  NOT_PUBLISHED: {
    text: 'the state of {aor} could not be published: {status} {reason}',
    remedy: 'See that the server takes PUBLISH for the event package presence from this user.',
    exit: 69,
  },
  TYPE_REFUSED: {
    text: '{aor}: the server does not take {type}, only: {accept}',
    remedy: 'The server needs to take application/pidf+xml (RFC 3903); it is asked again in half an hour.',
    exit: 69,
  },
  TOO_LARGE: {
    text: '{aor}: the document is too large for the server, even lean',
    remedy: 'Give some of the devices an aor of their own, or set publish: segments.',
    exit: 69,
  },
  NAT: {
    text: 'requests to {aor} do not come back to this gateway: {cause}',
    remedy:
      'Commands will not arrive. Use TCP to the server, or have it send requests back on the flow (RFC 5626).',
  },
  READ_BACK: {
    text: 'what {aor} published does not read back as {strategy}: {cause}',
    remedy: 'Whole documents are published instead; set publish: full to stop trying.',
  },
});
