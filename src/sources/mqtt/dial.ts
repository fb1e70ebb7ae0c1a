import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { sourceErrors } from '../errors.ts';
import type { MqttTls } from './options.ts';

/** Where a broker is. */
export interface Target {
  readonly host: string;
  readonly port: number;
  /** Present: TLS. */
  readonly tls?: MqttTls | undefined;
}

/** Opens a connection; what goes wrong with it comes as its `error` and `close`. */
export type Dial = (target: Target) => Promise<Duplex>;

const PLAIN_PORT = 1883;
const TLS_PORT = 8883;

/**
 * Reads the URL of a broker. User and password in it are taken too, though a file is a better place for a password.
 * @throws CodedError SRC_BAD_URL
 */
export function readBrokerUrl(
  url: string,
  tls: MqttTls | undefined,
): { target: Target; username?: string; password?: string } {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    throw sourceErrors.BAD_URL({ url: hidePassword(url) });
  }
  const { protocol, hostname, port, username, password } = parsed;
  const secure = protocol === 'mqtts:';
  if ((!secure && protocol !== 'mqtt:') || hostname === '')
    throw sourceErrors.BAD_URL({ url: hidePassword(url) });
  return {
    target: {
      host: hostname.replace(/^\[(.*)\]$/, '$1'),
      port: port === '' ? (secure ? TLS_PORT : PLAIN_PORT) : Number(port),
      ...(secure && { tls: tls ?? {} }),
    },
    ...(username !== '' && { username: decodeURIComponent(username) }),
    ...(password !== '' && { password: decodeURIComponent(password) }),
  };
}

function hidePassword(url: string): string {
  return url.replace(/\/\/[^/@]*@/, '//***@');
}

/** The network of the machine. TLS is loaded when a broker wants it. */
export const systemDial: Dial = async ({ host, port, tls }) => {
  if (!tls) {
    const socket = connect({ host, port });
    socket.setNoDelay(true);
    return socket;
  }
  const { connect: connectTls } = await import('node:tls');
  const { isIP } = await import('node:net');
  const servername = tls.servername ?? (isIP(host) === 0 ? host : undefined);
  const socket = connectTls({
    host,
    port,
    ...(servername !== undefined && { servername }),
    ...(tls.ca !== undefined && { ca: tls.ca }),
    ...(tls.cert !== undefined && { cert: tls.cert }),
    ...(tls.key !== undefined && { key: tls.key }),
  });
  socket.setNoDelay(true);
  return socket;
};
