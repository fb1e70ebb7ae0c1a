/** What the fuzzer says back to the stack, by the rules; the mutator has its way with it afterwards. */
import { createRequest, createResponse, type SipRequest, type SipResponse, serialise } from 'tiny-sip';
import type { Mutator } from './mutate.ts';

export interface Script {
  /** Answers to a request of the stack's, and what a peer sends behind them. */
  answers(request: SipRequest): readonly Buffer[];
  /** What follows an answer of the stack's. */
  follows(response: SipResponse): readonly Buffer[];
}

const host = '127.0.0.1';
const SDP =
  'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=message 2855 TCP/MSRP *\r\n' +
  'a=accept-types:text/plain\r\na=path:msrp://127.0.0.1:2855/peer;tcp\r\n';

export function createScript(mutator: Mutator): Script {
  let count = 0;
  const via = (protocol: string): string => {
    count += 1;
    return `SIP/2.0/${protocol} ${host};branch=z9hG4bKscript${count};rport`;
  };
  const described = { 'Content-Type': 'application/sdp' };

  /** A request in the dialog that `response` made. */
  const inside = (response: SipResponse, method: string, seq: number, body: string): Buffer =>
    serialise(
      createRequest({
        method,
        uri: `sip:us@${host}`,
        headers: {
          Via: via(response.topVia?.transport ?? 'UDP'),
          'Max-Forwards': 70,
          From: response.lines('From'),
          To: response.lines('To'),
          'Call-ID': response.callId,
          CSeq: `${seq} ${method}`,
          Contact: `<sip:peer@${host}>`,
          ...(body === '' ? {} : described),
        },
        body,
      }),
    );

  /** RFC 6665 §4.1.2.4: the NOTIFY that a SUBSCRIBE waits for. */
  const notify = (subscribe: SipRequest): Buffer =>
    serialise(
      createRequest({
        method: 'NOTIFY',
        uri: subscribe.contacts === '*' ? `sip:us@${host}` : (subscribe.contacts[0]?.uri ?? `sip:us@${host}`),
        headers: {
          Via: via(subscribe.topVia?.transport ?? 'UDP'),
          'Max-Forwards': 70,
          From: `${subscribe.lines('To')[0]};tag=p`,
          To: subscribe.lines('From'),
          'Call-ID': subscribe.callId,
          CSeq: `${1 + mutator.pick(3)} NOTIFY`,
          Contact: `<sip:peer@${host}>`,
          Event: subscribe.lines('Event'),
          'Subscription-State': ['active;expires=60', 'pending', 'terminated;reason=timeout'][
            mutator.pick(3)
          ],
        },
      }),
    );

  const headersFor = (request: SipRequest): Record<string, string | readonly string[]> => {
    const contact = { Contact: `<sip:peer@${host}>` };
    switch (request.method) {
      case 'INVITE':
        return { ...contact, ...described };
      case 'SUBSCRIBE':
        return { ...contact, Expires: '60' };
      case 'REGISTER':
        return { Contact: `${request.lines('Contact')[0]};expires=60` };
      case 'PUBLISH':
        return { 'SIP-ETag': `t${mutator.pick(9)}`, Expires: '60' };
      default:
        return {};
    }
  };

  return {
    answers(request) {
      if (request.method === 'ACK') return [];
      const status = [200, 200, 200, 401, 481, 491, 503][mutator.pick(7)] ?? 200;
      const invite = request.method === 'INVITE';
      const answer = (of: number): Buffer =>
        serialise(
          createResponse(request, of, {
            toTag: 'p',
            headers: of === 200 ? headersFor(request) : {},
            ...(invite && of === 200 && { body: SDP }),
          }),
        );
      return [
        ...(invite && mutator.pick(2) === 0 ? [answer(180)] : []),
        answer(status),
        ...(request.method === 'SUBSCRIBE' && status === 200 ? [notify(request)] : []),
      ];
    },
    follows(response) {
      const { cseq, status } = response;
      if (cseq?.method !== 'INVITE' || status < 200 || status > 299) return [];
      const ack = inside(response, 'ACK', cseq.number, mutator.pick(2) === 0 ? SDP : '');
      const more = ['INVITE', 'BYE', 'INFO', 'UPDATE', 'OPTIONS'][mutator.pick(6)];
      if (more === undefined) return [ack];
      return [ack, inside(response, more, cseq.number + 1, more === 'INVITE' ? SDP : '')];
    },
  };
}
