// The whole public face of tiny-sip: messages, transports, locating, the stack, digest, and the event machines.

export { type Algorithm, type AlgorithmName, algorithms, hashPassword } from './auth/algorithm.ts';
export {
  createDigestClient,
  type DigestClient,
  type DigestCredentials,
  type DigestRound,
  type PasswordHashes,
} from './auth/client.ts';
export {
  createDigestServer,
  type DigestRefusal,
  type DigestServer,
  type DigestServerOptions,
  type DigestVerdict,
  type UserSecret,
} from './auth/server.ts';
export * from './deps.ts';
export {
  acceptDialog,
  contactOf,
  type Dialog,
  type DialogRecord,
  establishDialog,
  restoreDialog,
} from './dialog/dialog.ts';
export { createInviteServer } from './dialog/invite-server.ts';
export { createInviteSession } from './dialog/invite-session.ts';
export {
  type AnsweredMedia,
  keepAgreed,
  type OfferedMedia,
  type SessionParameters,
} from './dialog/offer-answer.ts';
export { retryAfter } from './dialog/retry-after.ts';
export type * from './dialog/session-options.ts';
export type * from './dialog/user-agent.ts';
export { contactUri, contactValue, sendByWay } from './dialog/way.ts';
export * from './errors.ts';
export { acceptable } from './event/accept.ts';
export { createGruuMint, type Gruu, type GruuMint } from './event/gruu.ts';
export { createLane, type Lane, type LaneRank } from './event/lane.ts';
export { type Binding, type BindingRecord, createLocation, type Location } from './event/location.ts';
export { createNotifier } from './event/notifier.ts';
export type * from './event/notifier-options.ts';
export { createOutbound, type Outbound, type OutboundOptions } from './event/outbound.ts';
export { createPublication } from './event/publication.ts';
export type * from './event/publication-options.ts';
export {
  createPublicationServer,
  type PublicationServer,
  type PublicationServerOptions,
  type PublicationStore,
  type PublishedDocument,
  type PublishedEntry,
  type PublishVerdict,
  type StoreAnswer,
} from './event/publication-server.ts';
export type { Rates } from './event/rate.ts';
export { createRegistration } from './event/registration.ts';
export type * from './event/registration-options.ts';
export { createRegistrationServer } from './event/registration-server.ts';
export type * from './event/registration-server-options.ts';
export { acceptOf, type Failure, minExpires } from './event/retry.ts';
export { createSubscription } from './event/subscription.ts';
export type * from './event/subscription-options.ts';
export { readSubscriptionState, type SubscriptionStateValue } from './event/subscription-state.ts';
export {
  type Challenge,
  formatChallenge,
  parseAuthInfo,
  parseChallenge,
  parseChallenges,
} from './message/challenge.ts';
export { checkRequest, checkResponse, type Refusal } from './message/check.ts';
export { createRequest, createResponse, type RequestInit, type ResponseInit } from './message/create.ts';
export { formatDate, parseDate } from './message/date.ts';
export { defaultLimits, type Limits } from './message/limits.ts';
export type * from './message/message.ts';
export * from './message/message-media.ts';
export {
  type BodyPart,
  type Multipart,
  type MultipartLimits,
  multipartLimits,
  multipartOf,
  parseMultipart,
} from './message/multipart.ts';
export { formatMultipart, type MultipartInit, type PartInit } from './message/multipart-write.ts';
export {
  formatNameAddr,
  type NameAddr,
  type NameAddrInit,
  parseNameAddr,
  parseNameAddrs,
} from './message/name-addr.ts';
export { type ParamsInit, type ParamValue, parseParamValue, splitList } from './message/params.ts';
export {
  type FailureCode,
  type ParsedMessage,
  type ParseFailure,
  type ParseResult,
  parseMessage,
} from './message/parse.ts';
export { reasonOf } from './message/reasons.ts';
export * from './message/sdp.ts';
export { type SerialiseOptions, serialise } from './message/serialise.ts';
export { detach, fromWire, quote, toWire, unquote } from './message/text.ts';
export { decodeTransfer, encodeTransfer, type TransferEncoding } from './message/transfer-encoding.ts';
export {
  escapeHeader,
  escapeParam,
  escapeUser,
  formatUri,
  parseUri,
  type SipUri,
  type UriInit,
  unescapeUri,
} from './message/uri.ts';
export { aorOf, equalUri } from './message/uri-compare.ts';
export { parseContentType, parseExpires } from './message/values.ts';
export { formatVia, parseVia, type Via, type ViaInit } from './message/via.ts';
export type { DnsCacheOptions } from './resolve/cache.ts';
export * from './resolve/dns.ts';
export type { Verdict } from './resolve/health.ts';
export {
  createLocator,
  type LocateOptions,
  type Locator,
  type LocatorOptions,
  type SentBy,
  type Target,
} from './resolve/resolve.ts';
export { createStack } from './stack.ts';
export { type TimerValues, timerDefaults } from './transaction/timers.ts';
export {
  createMemoryNetwork,
  type Fate,
  type MemoryNetwork,
  type MemoryOptions,
} from './transport/memory.ts';
export type { StreamDeps, StreamOptions } from './transport/stream.ts';
export { createTcpTransport, type Net, type TcpOptions } from './transport/tcp.ts';
export { createTlsTransport, type Tls, type TlsOptions, type TlsTransport } from './transport/tls.ts';
export type { Pem, TlsCredentials, TlsIdentity, TlsRules } from './transport/tls-context.ts';
export type * from './transport/transport.ts';
export { createUdpTransport, type Datagrams, type UdpDeps, type UdpOptions } from './transport/udp.ts';
export { createWheel, type Wheel } from './wheel.ts';
