/** Reads the files of torture messages; rfc4475.txt explains their form. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface TortureMessage {
  readonly name: string;
  readonly section: string;
  /** Of the bytes as the RFC's archive has them. */
  readonly sha256: string;
  readonly bytes: Buffer;
}

export function readTorture(file: 'rfc4475.txt' | 'rfc5118.txt'): readonly TortureMessage[] {
  const text = readFileSync(join(import.meta.dirname, file), 'utf8');
  return text
    .split('\n=== ')
    .slice(1)
    .map((part) => {
      const head = part.indexOf('\n');
      const [name = '', section = '', sha256 = ''] = part.slice(0, head).split(' ');
      return { name, section, sha256, bytes: unmark(part.slice(head + 1)) };
    });
}

function unmark(text: string): Buffer {
  const wire = text
    .replace(/<allOneLine>\n([\s\S]*?)<\/allOneLine>/g, (_, lines: string) => lines.replaceAll('\n', ''))
    .replaceAll('\n', '\r\n')
    .replace(/<hex>([\s\S]*?)<\/hex>/g, (_, hex: string) =>
      Buffer.from(hex.replace(/\s/g, ''), 'hex').toString('latin1'),
    )
    .replace(/<repeat count=(\d+)>(.*?)<\/repeat>/g, (_, count: string, one: string) =>
      one.repeat(Number(count)),
    );
  return Buffer.from(wire, 'latin1');
}
