import { defineErrors } from '../base/errors.ts';

/** EX_UNAVAILABLE, EX_NOPERM, EX_CONFIG of sysexits(3). */
const PEER = 69;
const PERMISSION = 77;
const CONFIGURATION = 78;

/** What can go wrong between a source and the world. The texts stand in notes, after the name of the signal. */
export const sourceErrors = defineErrors('SRC', {
  BROKER_UNREACHABLE: {
    text: 'broker {broker} cannot be reached: {cause}',
    remedy: 'Check that the broker runs and listens there; it is tried again by itself.',
    exit: PEER,
  },
  BROKER_LOST: {
    text: 'broker {broker} is gone: {cause}',
    remedy: 'Nothing, when it comes back; it is tried again by itself.',
    exit: PEER,
  },
  BROKER_SILENT: {
    text: 'broker {broker} did not answer within {limit}',
    remedy:
      'Check that it is an MQTT broker, with TLS where the URL says mqtts and without where it says mqtt.',
    exit: PEER,
  },
  BROKER_LOGIN: {
    text: 'broker {broker} refuses user name or password',
    remedy: 'Check `username` and `password_file` of the source against the password file of the broker.',
    exit: PERMISSION,
  },
  BROKER_DENIED: {
    text: 'broker {broker} does not let this client in: {cause}',
    remedy: 'Check `username` and `password_file` of the source, and the access list of the broker.',
    exit: PERMISSION,
  },
  BROKER_VERSION: {
    text: 'broker {broker} does not speak MQTT {version}',
    remedy: 'Set `protocol` of the source to the one that it speaks.',
    exit: CONFIGURATION,
  },
  BROKER_CLIENT_ID: {
    text: 'broker {broker} refuses the client id {clientId}',
    remedy: 'Give the source another `client_id`: some brokers take 23 letters and digits at most.',
    exit: CONFIGURATION,
  },
  BROKER_BUSY: {
    text: 'broker {broker} has no room now: {cause}',
    remedy: 'Nothing, when it has room again; it is tried again by itself.',
    exit: PEER,
  },
  BROKER_REFUSED: {
    text: 'broker {broker} refuses: {cause}',
    remedy: 'See the log of the broker.',
    exit: PEER,
  },
  BROKER_CERTIFICATE: {
    text: 'certificate of broker {broker} is not accepted: {cause}',
    remedy: 'Check `tls: ca` and `servername` of the source, the dates of the certificate, and the clock.',
    exit: PEER,
  },
  BROKER_TAKEOVER: {
    text: 'another client of broker {broker} seems to use the client id {clientId}',
    remedy:
      'Give each client of the broker a `client_id` of its own: two of one id throw each other out for ever.',
    exit: CONFIGURATION,
  },
  BROKER_PACKET: {
    text: 'broker {broker} sent a packet of {bytes} bytes',
    remedy: 'Subscribe to fewer topics, or raise `max_payload` of the source.',
    exit: PEER,
  },
  SUBSCRIPTION_REFUSED: {
    text: 'broker {broker} refuses the subscription of {topics}',
    remedy: 'Let the user of this source read these topics in the access list of the broker.',
    exit: PERMISSION,
  },
  BAD_URL: {
    text: '{url} is no address of a broker',
    remedy: 'Write mqtt://HOST:PORT, or mqtts://HOST:PORT for TLS.',
    exit: CONFIGURATION,
  },
  BAD_TOPIC: {
    text: 'topic {topic}: {problem}',
    remedy: 'Write levels joined by /, with + for one level and a last # for all below.',
    exit: CONFIGURATION,
  },
  BAD_PATH: {
    text: 'path {path}, column {column}: {problem}',
    remedy: 'Write names joined by dots, indexes in brackets: `status.temperatures[0].value`.',
    exit: CONFIGURATION,
  },
  PORT_MISSING: {
    text: 'port {port} is not there',
    remedy: '{present}',
    exit: PEER,
  },
  PORT_DENIED: {
    text: 'no permission for port {port}: it belongs to {owner}, group {group}, mode {mode}; this process is {user}, groups {groups}',
    remedy: '{help}',
    exit: PERMISSION,
  },
  PORT_BUSY: {
    text: 'port {port} is in use by another program',
    remedy: 'Find it with `fuser {port}` and stop it; ModemManager and getty are usual suspects.',
    exit: PEER,
  },
  PORT_FAILED: {
    text: 'port {port} cannot be opened: {cause}',
    remedy: 'Check that it is a serial port, and that it can do this speed; it is tried again by itself.',
    exit: PEER,
  },
  PORT_GONE: {
    text: 'port {port} is gone: {cause}',
    remedy: 'Plug it in again; it is opened by itself.',
    exit: PEER,
  },
  PORT_SILENT: {
    text: 'port {port} was silent for {limit}',
    remedy: 'Check the board behind it; the port is closed and opened again by itself.',
    exit: PEER,
  },
  PORT_STUCK: {
    text: 'port {port} took no more bytes for {limit}',
    remedy:
      'Check flow control (`rtscts`) and the board behind it; the port is closed and opened again by itself.',
    exit: PEER,
  },
  BAD_PATTERN: {
    text: 'match {pattern}: {problem}',
    remedy: 'Write a regular expression as JavaScript has it, the value in its first group.',
    exit: CONFIGURATION,
  },
  PATTERN_SLOW: {
    text: 'match {pattern} took more than {limit} on one line and rests for {pause}',
    remedy: 'Nest no repeats, as in `(a+)+`; put what cannot vary between those that follow each other.',
    exit: CONFIGURATION,
  },
  NOT_WRITABLE: {
    text: '{signal} of {device} cannot be written',
    remedy: 'Give the signal a `write:`.',
    sip: 403,
  },
  NOT_UP: {
    text: '{source} is down: {cause}',
    remedy: 'See the state of the source.',
    exit: PEER,
    sip: 480,
  },
  WRITE_TIMEOUT: {
    text: 'writing {signal} of {device} took more than {limit}',
    remedy: 'It may have been written or not; read the signal back.',
    exit: PEER,
    sip: 504,
  },
  WRITE_FAILED: {
    text: 'writing {signal} of {device} failed: {cause}',
    remedy: 'See the state of the source.',
    exit: PEER,
    sip: 500,
  },
  WRITE_REFUSED: {
    text: '{signal} of {device} cannot be set to that: {problem}',
    remedy: 'Give the signal `values:`, and set one of them.',
    sip: 400,
  },
  WRITES_FULL: {
    text: '{source} has {count} writes waiting',
    remedy: 'Wait until they are done.',
    exit: 75,
    sip: 503,
  },
});
