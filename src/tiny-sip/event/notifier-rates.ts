import type { SipResponse } from '../message/message.ts';
import { detach } from '../message/text.ts';
import type { NotifierOptions } from './notifier-options.ts';
import type { Entry } from './notifier-table.ts';
import { agreeRates, type Rates, readRates, withRates } from './rate.ts';

/** ms between two NOTIFYs of one subscription (RFC 3856 §6.10), and between two that nothing but time brings about. */
const defaults = { interval: 5_000, beat: 5_000 };

/** Shortest time between two NOTIFYs, ms. */
export function intervalOf(options: NotifierOptions): number {
  return options.interval ?? defaults.interval;
}

/** RFC 6446 §4.2: what the watcher asks for, as far as it can be had. */
export function agreedRates(entry: Entry, options: NotifierOptions, now: number): Rates {
  const interval = intervalOf(options);
  return agreeRates(readRates(entry.eventParams), {
    interval,
    beat: Math.max(interval, options.beat ?? defaults.beat),
    left: (entry.expiresAt - now) / 1000,
  });
}

/**
 * RFC 6446 §9.3: the Event header of a 2xx to a NOTIFY says all rates anew, and nothing else. Answers the parameters of
 * the subscription with them; undefined: none were said.
 */
export function confirmedRates(
  entry: Entry,
  event: string,
  response: SipResponse,
): ReadonlyMap<string, string> | undefined {
  const [name = '', ...rest] = (response.get('Event') ?? '').split(';').map((part) => part.trim());
  if (name !== event) return undefined;
  const params = new Map<string, string>();
  for (const part of rest) {
    const [key = '', value = ''] = part.split('=');
    params.set(key.trim().toLowerCase(), detach(value.trim()));
  }
  return withRates(entry.eventParams, params);
}
