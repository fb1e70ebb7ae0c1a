import { defineErrors } from '../base/errors.ts';

/** What can be wrong with the body of a message. */
export const imErrors = defineErrors('IM', {
  CPIM: {
    text: 'message/cpim is malformed: {why}',
    remedy: 'Correct the sender, or have it send text/plain.',
    sip: 400,
  },
  TOO_LONG: {
    text: 'the body is longer than {most} bytes',
    remedy: 'Send less; a command is one line.',
    sip: 413,
  },
  ENCODING: {
    text: 'the body cannot be decoded as {encoding}: {cause}',
    remedy: 'Send it without Content-Encoding.',
    sip: 400,
  },
});
