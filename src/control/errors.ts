import { defineErrors } from '../base/errors.ts';

/** What goes wrong between the tools and the running process. */
export const controlErrors = defineErrors('CTL', {
  NOT_RUNNING: {
    text: 'no presentity answers at {path}',
    remedy: 'Start it with "presentity run -c FILE", or name its socket with --socket.',
    exit: 69,
  },
  FORBIDDEN: {
    text: 'the socket {path} may not be used by this user',
    remedy: 'Run the command as the user that runs presentity, or join its group.',
    exit: 77,
  },
  ALREADY_RUNNING: {
    text: 'another presentity answers at {path}',
    remedy: 'Stop it first, or give this one a run-time directory of its own.',
    exit: 75,
  },
  NOT_A_SOCKET: {
    text: '{path} is there and is no socket',
    remedy: 'Remove it, or choose another path for control.socket.',
    exit: 73,
  },
  PATH_TOO_LONG: {
    text: 'the path of the socket is {bytes} bytes long, and the system takes {limit}: {path}',
    remedy: 'Choose a shorter run-time directory or control.socket.',
    exit: 78,
  },
  CANNOT_LISTEN: {
    text: 'the socket {path} cannot be made: {cause}',
    remedy: 'See that the run-time directory exists and may be written by the user that runs presentity.',
    exit: 73,
  },
  BAD_REQUEST: {
    text: 'not a request: {why}',
    remedy: 'Send one JSON object a line, as the manual shows.',
    exit: 70,
  },
  BAD_ANSWER: {
    text: 'what answers at {path} does not speak as presentity does: {why}',
    remedy: 'See that the path is that of presentity.',
    exit: 76,
  },
  UNKNOWN_VERB: { text: 'unknown verb "{verb}"', remedy: 'One of {known}.', exit: 64 },
  VERSION: {
    text: 'the running presentity speaks version {theirs} of the control protocol, this one {ours}',
    remedy: 'Use the same version of the program for both; restart the service after an upgrade.',
    exit: 76,
  },
  TOO_MANY: {
    text: 'more than {limit} tools are connected',
    remedy: 'End one of them, and try again.',
    exit: 75,
  },
  LINE_TOO_LONG: { text: 'a line is longer than {limit} bytes', remedy: 'Send shorter requests.', exit: 70 },
  CLOSED: { text: 'presentity went away before it answered', remedy: 'See its log; try again.', exit: 75 },
  TIMEOUT: { text: 'no answer within {seconds} s', remedy: 'See its log; it may be overloaded.', exit: 75 },
  FAILED: { text: '{cause}', remedy: 'See the log of presentity.', exit: 70 },
});
