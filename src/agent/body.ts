import { fromWire, type SipRequest } from 'tiny-sip';
import { type CodedError, isCoded } from '../base/errors.ts';
import { ACCEPT_ENCODING } from '../im/codings.ts';
import { IMDN_NAMESPACE, parseCpim } from '../im/cpim.ts';
import { isTelling } from '../im/disposition.ts';
import { imErrors } from '../im/errors.ts';
import type { Later } from './later.ts';

/** What a MESSAGE holds. */
export type Body =
  | { readonly kind: 'text'; readonly text: string; readonly messageId?: string | undefined }
  /** It tells about another message (delivered, being typed): never a command, never answered. */
  | { readonly kind: 'telling' }
  | {
      readonly kind: 'refused';
      readonly status: number;
      readonly reason?: string | undefined;
      readonly headers?: Readonly<Record<string, string>> | undefined;
    };

/** Content types that are understood, for Accept. */
export const ACCEPT = 'text/plain, message/cpim, message/imdn+xml, application/im-iscomposing+xml';

/** A body may have this many bytes once decoded: a command is one line. */
const MOST = 8_192;

/** Reads the body of a MESSAGE: undoes its encoding, unwraps message/cpim. Never rejects. */
export async function readBody(request: SipRequest, decoder: Later['decoder']): Promise<Body> {
  try {
    const decoded = await bare(request, decoder);
    if (!decoded) return { kind: 'refused', status: 415, headers: { 'Accept-Encoding': ACCEPT_ENCODING } };
    const type = request.contentType;
    // RFC 3261 §20.15: a body has a type. Without one it is taken for what every MESSAGE client must send.
    const essence = type?.essence ?? 'text/plain';
    if (essence === 'message/cpim') return readCpim(decoded);
    return readContent(essence, type?.params.get('charset'), decoded);
  } catch (error) {
    return refusal(error);
  }
}

/** What the body is without its encodings; undefined when one is not known. */
async function bare(request: SipRequest, decoder: Later['decoder']): Promise<Buffer | undefined> {
  if (request.has('Content-Encoding')) {
    const { decode } = await decoder();
    return decode(request.body, request.all('Content-Encoding'), MOST);
  }
  if (request.body.length > MOST) throw imErrors.TOO_LONG({ most: MOST });
  return request.body;
}

function readCpim(bytes: Buffer): Body {
  const cpim = parseCpim(bytes);
  const disposition = cpim.contentHeaders.get('content-disposition') ?? '';
  // RFC 5438 §7.2.1.1: a notification travels in a wrapper of its own.
  if (/^\s*notification\b/i.test(disposition)) return { kind: 'telling' };
  const transfer = (cpim.contentHeaders.get('content-transfer-encoding') ?? '').trim().toLowerCase();
  const content =
    transfer === 'base64' ? Buffer.from(cpim.content.toString('latin1'), 'base64') : cpim.content;
  const charset = /;\s*charset="?([^";\s]+)/i.exec(cpim.contentHeaders.get('content-type') ?? '')?.[1];
  const body = readContent(cpim.contentType, charset, content);
  if (body.kind !== 'text') return body;
  const messageId = cpim.get('Message-ID', IMDN_NAMESPACE);
  return messageId === undefined || messageId === '' ? body : { ...body, messageId: messageId.slice(0, 256) };
}

function readContent(essence: string, charset: string | undefined, bytes: Buffer): Body {
  if (isTelling(essence)) return { kind: 'telling' };
  if (essence !== 'text/plain') return { kind: 'refused', status: 415, headers: { Accept: ACCEPT } };
  const name = (charset ?? 'utf-8').replaceAll('"', '').toLowerCase();
  switch (name) {
    case 'utf-8':
    case 'utf8':
    case 'us-ascii':
      return { kind: 'text', text: bytes.toString('utf8') };
    case 'iso-8859-1':
    case 'latin1':
      return { kind: 'text', text: bytes.toString('latin1') };
    default:
      return { kind: 'refused', status: 415, reason: 'Unsupported Charset', headers: { Accept: ACCEPT } };
  }
}

function refusal(error: unknown): Body {
  const coded: CodedError | undefined = isCoded(error) ? error : undefined;
  return { kind: 'refused', status: coded?.sip ?? 400, reason: coded ? reasonOf(coded) : undefined };
}

/** A reason phrase says little, so that nothing of the sender's goes back in a header. */
function reasonOf(error: CodedError): string | undefined {
  return error.sip === 413 ? undefined : 'Bad Message Body';
}

/** Text of a header for people. */
export function headerText(request: SipRequest, name: string): string | undefined {
  const value = request.get(name);
  return value === undefined ? undefined : fromWire(value);
}
