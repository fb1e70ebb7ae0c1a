import * as v from 'valibot';
import { choice, defaulted, flag, optional, required, section, text, whole } from './field.ts';
import { durationWithin, mqttUrl, path, sizeWithin, topicName } from './scalars.ts';
import { passwordOf, pem, pemFile } from './secret.ts';

const tlsSchema = section({
  ca: optional(pem, 'Certificates that are trusted instead of those of the system.'),
  ca_file: optional(pemFile, 'A file with the certificates that are trusted instead of those of the system.'),
  cert: optional(pem, 'The certificate that the gateway shows.'),
  cert_file: optional(pemFile, 'A file with the certificate that the gateway shows.'),
  key: optional(pem, 'The key of that certificate.'),
  key_file: optional(pemFile, 'A file with the key of that certificate.'),
  servername: optional(
    text,
    'The name that the certificate of the broker must carry. Default: the host of the URL.',
  ),
});

const protocolVersion = v.pipe(
  v.picklist(['3.1.1', '5', 5]),
  v.transform((version): 4 | 5 => (version === '3.1.1' ? 4 : 5)),
  v.metadata({ expects: '3.1.1 or 5' }),
);

export const mqttSchema = section({
  type: required(v.literal('mqtt'), 'An MQTT broker.'),
  url: required(mqttUrl, 'Where the broker is: mqtt:// for TCP, mqtts:// for TLS.'),
  protocol: defaulted(protocolVersion, '3.1.1', 'The version of MQTT to speak.'),
  client_id: optional(
    text,
    'Must be unique on the broker: two clients of one id throw each other out for ever. Default: made from the machine id and the name of the source.',
  ),
  username: optional(text, 'The user name at the broker.'),
  ...passwordOf('the user at the broker'),
  tls: optional(tlsSchema, 'Certificates, where those of the system do not do.'),
  keepalive: defaulted(
    durationWithin('5s', '1h'),
    '30s',
    'Without an answer for 1.5 times this long the broker is gone.',
  ),
  connect_timeout: defaulted(durationWithin('1s', '5m'), '15s', 'How long the broker may take to accept.'),
  status_topic: optional(
    topicName,
    'Where the gateway itself says online and offline (retained; offline is its last will). Default: nowhere.',
  ),
  max_payload: defaulted(sizeWithin('1kB', '1MiB'), '64KiB', 'Larger messages are counted and dropped.'),
  write_timeout: defaulted(
    durationWithin('100ms', '5m'),
    '5s',
    'How long a command may take to reach the broker.',
  ),
});

export const serialSchema = section({
  type: required(v.literal('serial'), 'A serial port with one text line per report.'),
  port: required(
    path,
    'The device node; best one of /dev/serial/by-id/, which stays when others are plugged in. See `presentity ports`.',
  ),
  baud: defaulted(whole(50, 4_000_000), 115_200, 'Bits per second.'),
  data_bits: optional(
    v.pipe(v.picklist([5, 6, 7, 8]), v.metadata({ expects: '5, 6, 7 or 8' })),
    'Data bits. Default: 8.',
  ),
  parity: optional(choice(['none', 'even', 'odd']), 'Parity. Default: none.'),
  stop_bits: optional(
    v.pipe(v.picklist([1, 1.5, 2]), v.metadata({ expects: '1, 1.5 or 2' })),
    'Stop bits. Default: 1.',
  ),
  rtscts: optional(flag, 'Hardware flow control. Default: false.'),
  hupcl: optional(
    flag,
    'Whether closing the port drops DTR, which resets most Arduinos at the next opening. Default: as the system does, true.',
  ),
  max_line: optional(
    whole(16, 65_536),
    'Longer lines are counted and dropped, in characters. Default: 1024.',
  ),
  silence: optional(
    durationWithin('1s', '7d'),
    'Without any byte for this long the port is closed and opened again. Default: never.',
  ),
  write_timeout: defaulted(
    durationWithin('100ms', '5m'),
    '5s',
    'How long a command may take to leave the port.',
  ),
});

export const sourceSchema = v.variant('type', [mqttSchema, serialSchema]);
