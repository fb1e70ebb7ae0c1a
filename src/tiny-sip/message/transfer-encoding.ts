import { SipSyntaxError } from '../errors.ts';

/** Content-Transfer-Encoding (RFC 2045 §6): how the bytes of a body part are written. */
export type TransferEncoding = '7bit' | '8bit' | 'binary' | 'base64' | 'quoted-printable';

/** Characters of a line of base64 and of quoted-printable at most (RFC 2045 §6.7, §6.8). */
const LINE = 76;

/**
 * The content behind an encoding, named in any case. Never longer than what goes in; where nothing is encoded it is the
 * same memory. Throws SipSyntaxError on an encoding that is not known and on content that breaks its rules.
 */
export function decodeTransfer(encoding: string, bytes: Buffer): Buffer {
  switch (encoding.toLowerCase()) {
    case '7bit':
    case '8bit':
    case 'binary':
      return bytes;
    case 'base64':
      return fromBase64(bytes);
    case 'quoted-printable':
      return fromQuotedPrintable(bytes);
    default:
      throw new SipSyntaxError('Content-Transfer-Encoding', `"${encoding}" is not known`, 415);
  }
}

/** The other way round. Content that an identity encoding may not carry (RFC 2045 §2.7, §2.8) is refused. */
export function encodeTransfer(encoding: TransferEncoding, content: Buffer): Buffer {
  switch (encoding) {
    case 'binary':
      return content;
    case '8bit':
      if (content.includes(0)) throw new SipSyntaxError('body', '8bit cannot carry NUL');
      return content;
    case '7bit':
      if (content.some((byte) => byte === 0 || byte > 127))
        throw new SipSyntaxError('body', '7bit cannot carry this');
      return content;
    case 'base64':
      return Buffer.from(content.toString('base64').replace(/.{76}(?=.)/g, '$&\r\n'), 'latin1');
    case 'quoted-printable':
      return toQuotedPrintable(content);
  }
}

function fromBase64(bytes: Buffer): Buffer {
  const text = bytes.toString('latin1').replace(/[\r\n\t ]+/g, '');
  if (
    !/^[A-Za-z0-9+/]*={0,2}$/.test(text) ||
    text.length % 4 === 1 ||
    (text.endsWith('=') && text.length % 4 !== 0)
  )
    throw new SipSyntaxError('body', 'it is no base64');
  return Buffer.from(text, 'base64');
}

function fromQuotedPrintable(bytes: Buffer): Buffer {
  const out = Buffer.allocUnsafe(bytes.length);
  let used = 0;
  /** Where `out` ends when blanks at the end of the line are left away (RFC 2045 §6.7 rule 3). */
  let solid = 0;
  for (let i = 0; i < bytes.length; i += 1) {
    const byte = bytes[i] as number;
    if (byte === 10 || (byte === 13 && bytes[i + 1] === 10)) {
      used = solid;
      out[used++] = byte;
      if (byte === 13) {
        out[used++] = 10;
        i += 1;
      }
      solid = used;
    } else if (byte === 61) {
      const end = softBreak(bytes, i + 1);
      if (end > 0) {
        i = end;
        solid = used;
        continue;
      }
      const value = Number.parseInt(bytes.toString('latin1', i + 1, i + 3), 16);
      if (!isHex(bytes[i + 1]) || !isHex(bytes[i + 2]))
        throw new SipSyntaxError('body', '= without two hex digits');
      out[used++] = value;
      solid = used;
      i += 2;
    } else {
      out[used++] = byte;
      if (byte !== 32 && byte !== 9) solid = used;
    }
  }
  return out.subarray(0, solid);
}

/** The place of the LF of `=` at the end of a line, which stands for nothing; -1 when it is no such. */
function softBreak(bytes: Buffer, from: number): number {
  let i = from;
  while (bytes[i] === 32 || bytes[i] === 9) i += 1;
  if (i === bytes.length) return i;
  if (bytes[i] === 13) i += 1;
  return bytes[i] === 10 ? i : -1;
}

function isHex(byte: number | undefined): boolean {
  return byte !== undefined && /[0-9A-Fa-f]/.test(String.fromCharCode(byte));
}

function toQuotedPrintable(content: Buffer): Buffer {
  const lines: string[] = [];
  let line = '';
  for (let i = 0; i < content.length; i += 1) {
    const byte = content[i] as number;
    if (byte === 13 && content[i + 1] === 10) {
      lines.push(line);
      line = '';
      i += 1;
      continue;
    }
    const next = content[i + 1];
    const last = next === undefined || (next === 13 && content[i + 2] === 10);
    const blank = byte === 32 || byte === 9;
    const plain = byte >= 33 && byte <= 126 && byte !== 61;
    const piece = plain || (blank && !last) ? String.fromCharCode(byte) : `=${hex(byte)}`;
    if (line.length + piece.length > LINE - 1) {
      lines.push(`${line}=`);
      line = '';
    }
    line += piece;
  }
  return Buffer.from([...lines, line].join('\r\n'), 'latin1');
}

function hex(byte: number): string {
  return byte.toString(16).toUpperCase().padStart(2, '0');
}
