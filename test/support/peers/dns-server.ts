/**
 * A name server that knows what a test tells it: NAPTR, SRV, A, AAAA, CNAME and SOA records over UDP and TCP on one
 * port (RFC 1035, 2782, 3403, 3596). It can cut its answers short, fail, be silent, or send what a test made up.
 */
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { createServer, type Server } from 'node:net';

export type DnsRecord = { readonly name: string; readonly ttl?: number } & (
  | { readonly type: 'A'; readonly address: string }
  | { readonly type: 'AAAA'; readonly address: string }
  | { readonly type: 'CNAME'; readonly target: string }
  | { readonly type: 'SOA'; readonly minimum: number }
  | {
      readonly type: 'SRV';
      readonly priority: number;
      readonly weight: number;
      readonly port: number;
      readonly target: string;
    }
  | {
      readonly type: 'NAPTR';
      readonly order: number;
      readonly preference: number;
      readonly flags: string;
      readonly service: string;
      readonly replacement: string;
    }
);

/** What becomes of a question. `truncate`: the answer by UDP carries the TC bit and no record. */
export type DnsMode = 'answer' | 'truncate' | 'servfail' | 'silent';

export interface DnsServerOptions {
  readonly port?: number;
  readonly mode?: (question: string, by: 'udp' | 'tcp') => DnsMode;
  /** Further bytes in place of the answer section, and how many records they are. */
  readonly forge?: (question: string) => { readonly count: number; readonly bytes: Buffer } | undefined;
}

export interface DnsServer {
  readonly port: number;
  /** Questions so far, as `TYPE name`. */
  readonly asked: readonly string[];
  /** Those that came by TCP. */
  readonly askedByTcp: readonly string[];
  close(): Promise<void>;
}

const NUMBERS = { A: 1, CNAME: 5, SOA: 6, AAAA: 28, SRV: 33, NAPTR: 35 } as const;
const TYPES: Readonly<Record<number, string>> = Object.fromEntries(
  Object.entries(NUMBERS).map(([type, number]) => [number, type]),
);
/** Aliases that one answer follows. */
const MOST_ALIASES = 16;

const NOERROR = 0;
const SERVFAIL = 2;
const NXDOMAIN = 3;
/** A response, authoritative, recursion wanted and available. */
const FLAGS = 0x8580;
const TC = 0x0200;

export async function startDnsServer(
  records: readonly DnsRecord[],
  options: DnsServerOptions | number = {},
): Promise<DnsServer> {
  const { port = 0, mode, forge } = typeof options === 'number' ? { port: options } : options;
  const asked: string[] = [];
  const askedByTcp: string[] = [];

  const answer = (question: Buffer, by: 'udp' | 'tcp'): Buffer | undefined => {
    const { name, end } = readName(question, 12);
    const type = TYPES[question.readUInt16BE(end)] ?? String(question.readUInt16BE(end));
    const shown = `${type} ${name}`;
    asked.push(shown);
    if (by === 'tcp') askedByTcp.push(shown);
    const how = mode?.(shown, by) ?? 'answer';
    if (how === 'silent') return undefined;
    const cut = how === 'truncate' && by === 'udp';
    const { found, exists } =
      how === 'servfail' || cut ? { found: [], exists: true } : look(records, type, name);
    const forged = cut ? undefined : forge?.(shown);
    const head = Buffer.from(question.subarray(0, 12));
    const code = how === 'servfail' ? SERVFAIL : exists || forged !== undefined ? NOERROR : NXDOMAIN;
    head.writeUInt16BE(FLAGS | (cut ? TC : 0) | code, 2);
    head.writeUInt16BE(1, 4);
    head.writeUInt16BE(forged?.count ?? found.length, 6);
    head.writeUInt32BE(0, 8);
    return Buffer.concat([
      head,
      question.subarray(12, end + 4),
      ...(forged === undefined ? found.map(writeRecord) : [forged.bytes]),
    ]);
  };

  const server = await listen(answer, port);
  return { port: server.port, asked, askedByTcp, close: server.close };
}

/** The records of a name, and those that its aliases lead to. */
function look(
  records: readonly DnsRecord[],
  type: string,
  name: string,
): { readonly found: readonly DnsRecord[]; readonly exists: boolean } {
  const found: DnsRecord[] = [];
  let at = name.toLowerCase();
  for (let steps = 0; steps < MOST_ALIASES; steps += 1) {
    const known = records.filter((one) => one.name.toLowerCase() === at);
    found.push(...known.filter((one) => one.type === type));
    const alias = known.find((one) => one.type === 'CNAME');
    if (alias?.type !== 'CNAME' || type === 'CNAME') return { found, exists: known.length > 0 || steps > 0 };
    found.push(alias);
    at = alias.target.toLowerCase();
  }
  return { found, exists: true };
}

interface Listening {
  readonly port: number;
  close(): Promise<void>;
}

/** Both protocols on one port; another one where TCP has that of UDP taken. */
async function listen(
  answer: (question: Buffer, by: 'udp' | 'tcp') => Buffer | undefined,
  port: number,
): Promise<Listening> {
  for (let tries = port === 0 ? 20 : 1; ; tries -= 1) {
    const udp = createSocket('udp4');
    udp.on('message', (question, from) => {
      const reply = answer(question, 'udp');
      if (reply !== undefined) udp.send(reply, from.port, from.address);
    });
    const tcp = createServer((socket) => {
      let held = Buffer.alloc(0);
      socket.on('error', () => undefined);
      socket.on('data', (chunk) => {
        held = Buffer.concat([held, chunk]);
        for (; held.length >= 2 && held.length >= 2 + held.readUInt16BE(0); ) {
          const length = held.readUInt16BE(0);
          const reply = answer(held.subarray(2, 2 + length), 'tcp');
          held = held.subarray(2 + length);
          if (reply !== undefined) socket.write(Buffer.concat([numbers(reply.length), reply]));
        }
      });
    });
    try {
      await bound(udp, port);
      await new Promise<void>((resolve, reject) => {
        tcp.once('error', reject);
        tcp.listen(udp.address().port, '127.0.0.1', resolve);
      });
      return { port: udp.address().port, close: () => closeBoth(udp, tcp) };
    } catch (error) {
      await new Promise<void>((resolve) => udp.close(() => resolve()));
      if (tries <= 1) throw error;
    }
  }
}

function bound(socket: UdpSocket, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.bind(port, '127.0.0.1', resolve);
  });
}

async function closeBoth(udp: UdpSocket, tcp: Server): Promise<void> {
  await new Promise<void>((resolve) => udp.close(() => resolve()));
  await new Promise<void>((resolve) => tcp.close(() => resolve()));
}

/** One resource record as it stands in an answer. */
export function writeRecord(record: DnsRecord): Buffer {
  const data = dataOf(record);
  const head = Buffer.alloc(10);
  head.writeUInt16BE(NUMBERS[record.type], 0);
  head.writeUInt16BE(1, 2);
  head.writeUInt32BE(record.ttl ?? 1, 4);
  head.writeUInt16BE(data.length, 8);
  return Buffer.concat([writeName(record.name), head, data]);
}

function dataOf(record: DnsRecord): Buffer {
  switch (record.type) {
    case 'A':
      return Buffer.from(record.address.split('.').map(Number));
    case 'AAAA':
      return numbers(...groupsOf(record.address));
    case 'CNAME':
      return writeName(record.target);
    case 'SOA':
      return Buffer.concat([
        writeName(`ns.${record.name}`),
        writeName(`root.${record.name}`),
        numbers(0, 1, 0, 3600, 0, 600, 1, 0, record.minimum >>> 16, record.minimum & 0xffff),
      ]);
    case 'SRV':
      return Buffer.concat([numbers(record.priority, record.weight, record.port), writeName(record.target)]);
    case 'NAPTR':
      return Buffer.concat([
        numbers(record.order, record.preference),
        writeString(record.flags),
        writeString(record.service),
        writeString(''),
        writeName(record.replacement),
      ]);
  }
}

/** The eight groups of an IPv6 address, `::` filled up. */
function groupsOf(address: string): number[] {
  const [left = '', right] = address.split('::');
  const parts = (text: string): number[] =>
    text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16));
  const first = parts(left);
  const last = right === undefined ? [] : parts(right);
  return [...first, ...Array.from({ length: 8 - first.length - last.length }, () => 0), ...last];
}

function numbers(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 2);
  for (const [index, value] of values.entries()) bytes.writeUInt16BE(value, index * 2);
  return bytes;
}

function writeString(text: string): Buffer {
  return Buffer.concat([Buffer.from([text.length]), Buffer.from(text, 'latin1')]);
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
