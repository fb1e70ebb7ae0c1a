import {
  formatSdp,
  type MediaDescription,
  type SdpAttribute,
  type SdpLine,
  type SdpOrigin,
  type SessionDescription,
} from '../message/sdp.ts';

/** What a user says of its side in an offer; `o=`, `t=` and the version are kept here. */
export interface OfferedMedia {
  /** Address or name of this host: for `o=` and `c=`. */
  readonly address: string;
  /** The stream. */
  readonly media: readonly MediaDescription[];
  /** `s=`; default `-`. */
  readonly name?: string | undefined;
  /** Its attributes. */
  readonly attributes?: readonly SdpAttribute[] | undefined;
}

/** The same in an answer: one entry for each `m=` of the offer, undefined where that medium is refused. */
export interface AnsweredMedia extends Omit<OfferedMedia, 'media'> {
  /** The stream. */
  readonly media: readonly (MediaDescription | undefined)[];
}

/** What both sides have agreed on. Plain, and never changed: a new agreement is a new object. */
export interface SessionParameters {
  /** What this side described. */
  readonly local: SessionDescription;
  /** What the peer described. */
  readonly remote: SessionDescription;
}

/** Offers and answers of one dialog (RFC 3264); one exchange at a time. */
export interface Negotiation {
  /** What holds now; undefined before the first agreement. */
  readonly agreed: SessionParameters | undefined;
  /** Whose offer waits for its answer. */
  readonly pending: 'none' | 'ours' | 'theirs';
  /** An offer of ours; without `media` the same again. Throws SipSyntaxError on values that cannot be written. */
  offer(media?: OfferedMedia): SessionDescription;
  /** The answer to it. Undefined when that holds from now on, else why it is none; then nothing has changed. */
  answered(answer: SessionDescription): string | undefined;
  /** An offer of the peer's. Undefined when it can be answered, else why not. */
  offered(offer: SessionDescription): string | undefined;
  /** The peer's offer is the one that holds already (RFC 3264 §8). */
  readonly unchanged: boolean;
  /** Our answer, which holds from now on. A medium that is not answered, or was offered with port 0, gets port 0. */
  answer(media: AnsweredMedia): SessionDescription;
  /** The exchange came to nothing; what held before holds on. */
  abandon(): void;
}

type Exchange =
  | { readonly kind: 'none' }
  | { readonly kind: 'ours'; readonly offer: SessionDescription }
  | { readonly kind: 'theirs'; readonly offer: SessionDescription };

const nowhen: readonly SdpLine[] = [{ type: 't', value: '0 0' }];

/** `id`: the number of the session in our `o=`, as text. */
export function createNegotiation(id: string): Negotiation {
  let agreed: SessionParameters | undefined;
  let exchange: Exchange = { kind: 'none' };
  /** The last description that we gave, agreed on or not: versions count on from it. */
  let last: SessionDescription | undefined;
  let versions = 0n;

  const theirOffer = (): SessionDescription => {
    if (exchange.kind !== 'theirs') throw new Error('no offer to answer');
    return exchange.offer;
  };

  /** RFC 3264 §8: the version rises by one where anything differs from our last description, else it stays. */
  const describe = (
    media: Omit<OfferedMedia, 'media'>,
    lines: readonly MediaDescription[],
    times: readonly SdpLine[],
  ): SessionDescription => {
    const origin: SdpOrigin = { user: '-', id, version: last?.origin.version ?? '0', address: media.address };
    const draft: SessionDescription = {
      origin,
      name: media.name ?? '-',
      connection: { address: media.address },
      times,
      attributes: media.attributes ?? [],
      other: [],
      media: lines,
    };
    if (last !== undefined && formatSdp(last).equals(formatSdp(draft))) return last;
    const next = { ...draft, origin: { ...origin, version: String(versions + 1n) } };
    // Throws on what cannot be written, before anything depends on it.
    formatSdp(next);
    versions += 1n;
    last = next;
    return next;
  };

  return {
    get agreed() {
      return agreed;
    },
    get pending() {
      return exchange.kind;
    },
    offer(media) {
      if (exchange.kind !== 'none') throw new Error('an exchange is under way');
      const held = agreed?.local;
      if (media === undefined) {
        if (held === undefined) throw new Error('nothing was offered yet');
        last = held;
        exchange = { kind: 'ours', offer: held };
        return held;
      }
      // RFC 3264 §8: the number of m= lines never falls; what is gone stays with port 0.
      const gone = (held?.media.slice(media.media.length) ?? []).map(refused);
      const offer = describe(media, [...media.media, ...gone], held?.times ?? nowhen);
      exchange = { kind: 'ours', offer };
      return offer;
    },
    answered(answer) {
      if (exchange.kind !== 'ours') return 'there was no offer';
      const { offer } = exchange;
      if (answer.media.length !== offer.media.length)
        return `${answer.media.length} media answer ${offer.media.length}`;
      for (const [index, one] of answer.media.entries()) {
        const asked = offer.media[index];
        if (one.port === 0 || asked === undefined) continue;
        if (one.media !== asked.media || one.protocol.toLowerCase() !== asked.protocol.toLowerCase())
          return `${one.media} over ${one.protocol} answers ${asked.media} over ${asked.protocol}`;
        if (asked.port === 0) return 'a medium is taken that was not offered';
      }
      exchange = { kind: 'none' };
      agreed = Object.freeze({ local: offer, remote: answer });
      return undefined;
    },
    offered(offer) {
      if (exchange.kind !== 'none') return 'an exchange is under way';
      if (agreed !== undefined && offer.media.length < agreed.remote.media.length)
        return 'media were left out that were there before';
      exchange = { kind: 'theirs', offer };
      return undefined;
    },
    get unchanged() {
      const { origin } = theirOffer();
      const before = agreed?.remote.origin;
      return before !== undefined && before.id === origin.id && before.version === origin.version;
    },
    answer(media) {
      const offer = theirOffer();
      const lines = offer.media.map((one, index) => {
        const ours = media.media[index];
        return ours === undefined || one.port === 0 ? refused(one) : ours;
      });
      const local = describe(media, lines, offer.times);
      exchange = { kind: 'none' };
      agreed = Object.freeze({ local, remote: offer });
      return local;
    },
    abandon() {
      exchange = { kind: 'none' };
    },
  };
}

/** RFC 3264 §6: refused with port 0, as short as it may be. */
function refused(media: MediaDescription): MediaDescription {
  return { media: media.media, port: 0, protocol: media.protocol, formats: media.formats.slice(0, 1) };
}

/** An answer that refuses every medium. */
export function refuseAll(address: string): AnsweredMedia {
  return { address, media: [] };
}

/**
 * The answer that keeps what is agreed: our medium again where the same kind is offered in its place, no new ones.
 * Undefined when nothing is left.
 */
export function keepAgreed(
  agreed: SessionParameters | undefined,
  offer: SessionDescription,
): AnsweredMedia | undefined {
  if (agreed === undefined) return undefined;
  const { local } = agreed;
  const media = offer.media.map((one, index) => {
    const ours = local.media[index];
    const fits =
      ours !== undefined && ours.port !== 0 && ours.media === one.media && ours.protocol === one.protocol;
    return fits && one.port !== 0 ? ours : undefined;
  });
  // All with port 0 is an end of all media, which is no reason to refuse.
  const asked = offer.media.some((one) => one.port !== 0);
  if (asked && media.every((one) => one === undefined)) return undefined;
  return { address: local.origin.address, media, name: local.name, attributes: local.attributes };
}
