/**
 * Methods that SIP knows (IANA "SIP Parameters"), whether or not anybody here handles them: a known one without
 * handler gets 405, any other 501 (RFC 3261 §8.2.1, §21.5.2).
 */
export const knownMethods: ReadonlySet<string> = new Set([
  'ACK',
  'BYE',
  'CANCEL',
  'INFO',
  'INVITE',
  'MESSAGE',
  'NOTIFY',
  'OPTIONS',
  'PRACK',
  'PUBLISH',
  'REFER',
  'REGISTER',
  'SUBSCRIBE',
  'UPDATE',
]);
