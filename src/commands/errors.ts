import { defineErrors } from '../base/errors.ts';

/** Why a command was not done. The texts are what the sender reads. */
export const commandErrors = defineErrors('CMD', {
  NOT_A_COMMAND: {
    text: 'not a command: {word}',
    remedy: 'Send "help" for what can be asked.',
  },
  MALFORMED: {
    text: 'not understood: {why}',
    remedy: 'Send "help" for how a command is written.',
  },
  NO_DEVICE: {
    text: 'no device or signal called {name}',
    remedy: '{hint}',
  },
  NO_SIGNAL: {
    text: '{device} has no signal called {name}',
    remedy: '{hint}',
  },
  AMBIGUOUS: {
    text: '{name} may mean {choices}',
    remedy: 'Say the device and the signal.',
  },
  NOT_ALLOWED: {
    text: 'not allowed: {what}',
    remedy: 'Add a rule for this sender to the commands section of the configuration.',
    exit: 77,
    sip: 403,
  },
  READ_ONLY: {
    text: '{device} {signal} cannot be written',
    remedy: 'Give the signal a write rule in the configuration.',
  },
  BAD_VALUE: {
    text: '{device} {signal} cannot be {value}: {cause}',
    remedy: 'Send a value that the signal can have.',
  },
  NO_SOURCE: {
    text: '{device} {signal} has no source that can write',
    remedy: 'See that its source is configured and can write.',
  },
  BUSY: {
    text: 'too many commands wait for an answer',
    remedy: 'Send it again in a few seconds.',
    exit: 75,
    sip: 503,
  },
  WRITE_FAILED: {
    text: '{device} {signal} was not written: {cause}',
    remedy: 'See "status" for the state of its source.',
  },
  NOT_CONFIRMED: {
    text: '{device} {signal}: no answer from its source within {seconds} s; whether it was done is not known',
    remedy: 'Look at the device, or ask with "get".',
  },
  STOPPED: {
    text: 'the gateway stops; whether it was done is not known',
    remedy: 'Ask with "get" when it is back.',
    exit: 75,
  },
  NOT_RECORDED: {
    text: 'not done, because it could not be recorded: {cause}',
    remedy:
      'Free space in the state directory: a command that is not recorded could be replayed after a restart.',
    exit: 73,
  },
  EXPIRED: {
    text: 'not done: the message expired {seconds} s ago',
    remedy: 'Send it again; if it was sent just now, set the clock of the sender or of the gateway.',
  },
  NO_CLOCK: {
    text: "not done: the message may have expired, and the gateway's clock is not set",
    remedy: 'Wait until the gateway has the time, or send it without an Expires header.',
  },
  REFRESH_FAILED: {
    text: 'could not publish anew: {cause}',
    remedy: 'See "status" for the state of the account.',
  },
});
