import type { SipResponse } from '../message/message.ts';

/** `Retry-After` in seconds; comment and parameters are passed over (RFC 3261 §20.33). */
export function retryAfter(response: SipResponse): number | undefined {
  const value = /^\s*(\d{1,9})/.exec(response.get('Retry-After') ?? '')?.[1];
  return value === undefined ? undefined : Number(value);
}
