import type { SipRequest } from '../message/message.ts';
import { type Rates, readRates } from './rate.ts';

/** A Subscription-State value (RFC 6665 §8.2.3). */
export interface SubscriptionStateValue {
  /** `active`, `pending` and `terminated`; any other counts as active (RFC 6665 §4.1.3 leaves it open). */
  readonly state: 'active' | 'pending' | 'terminated';
  /** Lower case. */
  readonly reason: string | undefined;
  /** Seconds. */
  readonly expires: number | undefined;
  /** Seconds. */
  readonly retryAfter: number | undefined;
  /** What the notifier agreed to (RFC 6446). */
  readonly rates: Rates;
}

/** Reads the Subscription-State of a NOTIFY; undefined when it has none. */
export function readSubscriptionState(request: SipRequest): SubscriptionStateValue | undefined {
  const [first, ...rest] = (request.get('Subscription-State') ?? '').split(';').map((part) => part.trim());
  if (first === undefined || first === '') return undefined;
  const params = new Map(
    rest.map((part) => {
      const [name = '', value = ''] = part.split('=');
      return [name.trim().toLowerCase(), value.trim().replace(/^"(.*)"$/, '$1')];
    }),
  );
  const seconds = (name: string): number | undefined => {
    const value = params.get(name);
    return value !== undefined && /^\d{1,10}$/.test(value) ? Number(value) : undefined;
  };
  const state = first.toLowerCase();
  return {
    state: state === 'pending' || state === 'terminated' ? state : 'active',
    reason: params.get('reason')?.toLowerCase(),
    expires: seconds('expires'),
    retryAfter: seconds('retry-after'),
    rates: readRates(params),
  };
}
