import type { ContentType, SipMessage } from '../../../src/tiny-sip/message/message.ts';
import type { NameAddr } from '../../../src/tiny-sip/message/name-addr.ts';
import type { Via } from '../../../src/tiny-sip/message/via.ts';

/** Everything that the typed values of a message say, faults as their names. */
export function told(of: SipMessage): unknown {
  const tell = (ask: () => unknown): unknown => {
    try {
      return ask();
    } catch (error) {
      return error instanceof Error ? error.name : error;
    }
  };
  return [
    tell(() => toldVia(of.topVia)),
    tell(() => of.vias.map(toldVia)),
    tell(() => toldAddress(of.from)),
    tell(() => toldAddress(of.to)),
    tell(() => of.callId),
    tell(() => of.cseq && [of.cseq.number, of.cseq.method]),
    tell(() => (of.contacts === '*' ? '*' : of.contacts.map(toldAddress))),
    tell(() => of.routes.map(toldAddress)),
    tell(() => of.recordRoutes.map(toldAddress)),
    tell(() => of.expires),
    tell(() => of.maxForwards),
    tell(() => of.contentLength),
    tell(() => of.event && [of.event.package, [...of.event.params]]),
    tell(() => toldType(of.contentType)),
  ];
}

export const toldAddress = (one: NameAddr | undefined) =>
  one && [one.display, one.uri, one.tag, [...one.params]];
export const toldVia = (one: Via | undefined) =>
  one && [one.transport, one.host, one.port, one.branch, one.received, one.rport, [...one.params]];
export const toldType = (one: ContentType | undefined) => one && [one.essence, one.subtype, [...one.params]];
