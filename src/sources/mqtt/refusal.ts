import { asError, type CodedError } from '../../base/errors.ts';
import { sourceErrors } from '../errors.ts';

/** What the errors speak of. */
export interface Broker {
  /** `host:port`. */
  readonly name: string;
  readonly clientId: string;
  readonly protocolVersion: 4 | 5;
}

/** Reason codes of CONNACK and DISCONNECT, MQTT 5 §2.4, and of CONNACK of MQTT 3.1.1 §3.2.2.3. */
const REASONS: Readonly<Record<number, string>> = {
  2: 'client id rejected',
  3: 'server unavailable',
  128: 'unspecified error',
  129: 'malformed packet',
  130: 'protocol error',
  131: 'implementation specific error',
  135: 'not authorised',
  136: 'server unavailable',
  137: 'server busy',
  138: 'banned',
  139: 'server shutting down',
  140: 'bad authentication method',
  141: 'keep-alive timeout',
  147: 'receive maximum exceeded',
  149: 'packet too large',
  150: 'message rate too high',
  151: 'quota exceeded',
  152: 'administrative action',
  153: 'payload format invalid',
  155: 'QoS not supported',
  156: 'use another server',
  157: 'server moved',
  159: 'connection rate exceeded',
  160: 'maximum connect time',
};

/** The named error for a reason code. */
export function reasonError(broker: Broker, code: number): CodedError {
  const cause = REASONS[code] ?? `reason ${code}`;
  const { name, clientId } = broker;
  switch (code) {
    case 1:
    case 132:
      return sourceErrors.BROKER_VERSION({
        broker: name,
        version: broker.protocolVersion === 5 ? '5' : '3.1.1',
      });
    case 2:
    case 133:
      return sourceErrors.BROKER_CLIENT_ID({ broker: name, clientId });
    case 3:
    case 136:
    case 137:
    case 139:
    case 151:
    case 159:
      return sourceErrors.BROKER_BUSY({ broker: name, cause });
    case 4:
    case 134:
      return sourceErrors.BROKER_LOGIN({ broker: name });
    case 5:
    case 135:
    case 138:
    case 140:
      return sourceErrors.BROKER_DENIED({ broker: name, cause: code === 5 ? 'not authorised' : cause });
    case 142:
      return sourceErrors.BROKER_TAKEOVER({ broker: name, clientId });
    default:
      return sourceErrors.BROKER_REFUSED({ broker: name, cause });
  }
}

/** Names of OpenSSL's verdicts on a certificate, as Node gives them as codes. */
const CERTIFICATE = /^(ERR_TLS_CERT|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|INVALID_CA|HOSTNAME_MISMATCH)/;

/** The named error for what a socket says. `reached` tells whether the broker had let us in before. */
export function socketError(broker: Broker, thrown: unknown, reached: boolean): CodedError {
  const error = asError(thrown);
  const code = 'code' in error ? String(error.code) : '';
  const cause = describe(error);
  if (CERTIFICATE.test(code)) return sourceErrors.BROKER_CERTIFICATE({ broker: broker.name, cause }, error);
  return reached
    ? sourceErrors.BROKER_LOST({ broker: broker.name, cause }, error)
    : sourceErrors.BROKER_UNREACHABLE({ broker: broker.name, cause }, error);
}

/** What people call the usual errors. */
const SPOKEN: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  ETIMEDOUT: 'timed out',
  EHOSTUNREACH: 'no route to host',
  ENETUNREACH: 'no network',
  ENOTFOUND: 'name not found',
  EAI_AGAIN: 'name not found for now',
  EPIPE: 'connection closed',
};

function describe(error: Error): string {
  // An address with several candidates gives one error for all of them, without a message of its own.
  const inner = error instanceof AggregateError ? asError(error.errors[0] ?? error) : error;
  const code = 'code' in inner ? String(inner.code) : '';
  // OpenSSL's own message begins with numbers and the path of its source.
  if (code.startsWith('ERR_SSL_') && 'reason' in inner) return `TLS: ${String(inner.reason)}`;
  return SPOKEN[code] ?? (inner.message || code || 'unknown error');
}

/** Whether trying again soon is pointless: only people can mend it. */
export function isPermanent(error: CodedError): boolean {
  return PERMANENT.some((one) => one.is(error));
}

const PERMANENT = [
  sourceErrors.BROKER_LOGIN,
  sourceErrors.BROKER_DENIED,
  sourceErrors.BROKER_VERSION,
  sourceErrors.BROKER_CLIENT_ID,
  sourceErrors.BROKER_CERTIFICATE,
  sourceErrors.BROKER_TAKEOVER,
];
