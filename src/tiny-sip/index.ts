// The whole public face of tiny-sip.

export type { Algorithm } from './auth/algorithm.ts';
export { hashPassword } from './auth/algorithm.ts';
export type { DigestClient, DigestCredentials, PasswordHashes } from './auth/client.ts';
export { createDigestClient } from './auth/client.ts';
export type { DigestServer, DigestServerOptions, DigestVerdict, UserSecret } from './auth/server.ts';
export { createDigestServer } from './auth/server.ts';
export * from './deps.ts';
export type { DialogRecord } from './dialog/dialog.ts';
export type * from './dialog/user-agent.ts';
export * from './event/lane.ts';
export * from './event/notifier.ts';
export * from './event/publication.ts';
export * from './event/publication-server.ts';
export * from './event/registration.ts';
export * from './event/retry.ts';
export * from './event/subscription.ts';
export * from './message/message.ts';
export * from './resolve/resolve.ts';
export { createStack } from './stack.ts';
export type { TimerValues } from './transaction/timers.ts';
export { timerDefaults } from './transaction/timers.ts';
export * from './transport/transport.ts';
export * from './wheel.ts';
