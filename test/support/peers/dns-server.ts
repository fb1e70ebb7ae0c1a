/** A name server that knows what a test tells it: NAPTR, SRV and A records over UDP (RFC 1035, 2782, 3403). */
import { createSocket } from 'node:dgram';

export type DnsRecord =
  | { type: 'A'; name: string; address: string }
  | { type: 'SRV'; name: string; priority: number; weight: number; port: number; target: string }
  | {
      type: 'NAPTR';
      name: string;
      order: number;
      preference: number;
      flags: string;
      service: string;
      replacement: string;
    };

export interface DnsServer {
  readonly port: number;
  /** Questions so far, as `TYPE name`. */
  readonly asked: readonly string[];
  close(): Promise<void>;
}

const TYPES: Readonly<Record<number, string>> = { 1: 'A', 28: 'AAAA', 33: 'SRV', 35: 'NAPTR' };

export async function startDnsServer(records: readonly DnsRecord[], port = 0): Promise<DnsServer> {
  const socket = createSocket('udp4');
  const asked: string[] = [];
  socket.on('message', (question, from) => {
    const { name, end } = readName(question, 12);
    const number = question.readUInt16BE(end);
    const type = TYPES[number] ?? String(number);
    asked.push(`${type} ${name}`);
    const known = records.filter((one) => one.name.toLowerCase() === name.toLowerCase());
    const found = known.filter((one) => one.type === type);
    const head = Buffer.from(question.subarray(0, 12));
    // Authoritative answer; NXDOMAIN only for a name of which nothing is known.
    head.writeUInt16BE(known.length === 0 ? 0x8583 : 0x8580, 2);
    head.writeUInt16BE(1, 4);
    head.writeUInt16BE(found.length, 6);
    head.writeUInt32BE(0, 8);
    const answer = Buffer.concat([head, question.subarray(12, end + 4), ...found.map(writeRecord)]);
    socket.send(answer, from.port, from.address);
  });
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.bind(port, '127.0.0.1', resolve);
  });
  return {
    port: socket.address().port,
    asked,
    close: () => new Promise((resolve) => socket.close(() => resolve())),
  };
}

function writeRecord(record: DnsRecord): Buffer {
  const data = dataOf(record);
  const head = Buffer.alloc(12);
  head.writeUInt16BE(0xc00c, 0);
  head.writeUInt16BE(record.type === 'A' ? 1 : record.type === 'SRV' ? 33 : 35, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt32BE(1, 6);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}

function dataOf(record: DnsRecord): Buffer {
  if (record.type === 'A') return Buffer.from(record.address.split('.').map(Number));
  const numbers = (...values: number[]): Buffer => {
    const bytes = Buffer.alloc(values.length * 2);
    for (const [index, value] of values.entries()) bytes.writeUInt16BE(value, index * 2);
    return bytes;
  };
  if (record.type === 'SRV')
    return Buffer.concat([numbers(record.priority, record.weight, record.port), writeName(record.target)]);
  return Buffer.concat([
    numbers(record.order, record.preference),
    writeString(record.flags),
    writeString(record.service),
    writeString(''),
    writeName(record.replacement),
  ]);
}

function writeString(text: string): Buffer {
  return Buffer.concat([Buffer.from([text.length]), Buffer.from(text)]);
}

function writeName(name: string): Buffer {
  const labels = name.split('.').filter(Boolean);
  return Buffer.concat([...labels.map(writeString), Buffer.from([0])]);
}

function readName(bytes: Buffer, start: number): { name: string; end: number } {
  const labels: string[] = [];
  let at = start;
  for (let length = bytes[at] ?? 0; length > 0; length = bytes[at] ?? 0) {
    labels.push(bytes.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join('.'), end: at + 1 };
}
