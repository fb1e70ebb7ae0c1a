import { checkRequest, checkResponse } from '../../src/tiny-sip/message/check.ts';
import { parseMessage } from '../../src/tiny-sip/message/parse.ts';

/** Reads one message as far as the comparison goes; answers something that depends on all of it. */
export function readOurs(bytes: Buffer): number {
  const result = parseMessage(bytes);
  if (!result.ok) throw new Error(result.code);
  const { message } = result;
  const refused = message.kind === 'request' ? checkRequest(message) : checkResponse(message);
  if (refused !== undefined) throw new Error(String(refused));
  const start = message.kind === 'request' ? message.uri.length + message.method.length : message.status;
  const contacts = message.contacts;
  return (
    start +
    (message.topVia?.branch?.length ?? 0) +
    (message.topVia?.host.length ?? 0) +
    (message.fromTag?.length ?? 0) +
    (message.from?.uri.length ?? 0) +
    (message.to?.uri.length ?? 0) +
    (message.toTag?.length ?? 0) +
    (message.callId?.length ?? 0) +
    (message.cseq?.number ?? 0) +
    (contacts === '*' ? 1 : (contacts[0]?.uri.length ?? 0) + contacts.length) +
    (message.expires ?? 0) +
    (message.event?.package.length ?? 0) +
    (message.maxForwards ?? 0) +
    (message.contentLength ?? 0)
  );
}
