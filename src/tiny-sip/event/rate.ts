/**
 * How often a subscription is notified (RFC 6446): parameters of Event in SUBSCRIBE, and of Subscription-State in NOTIFY
 * as the notifier agreed to them. All in notifications per second; absent: no such wish.
 */
export interface Rates {
  /** Not more often than this. */
  readonly max?: number;
  /** At least this often, whether anything changed or not. */
  readonly min?: number;
  /** At least this often on average: after a burst it may be silent for longer. */
  readonly adaptive?: number;
}

const names = { max: 'max-rate', min: 'min-rate', adaptive: 'adaptive-min-rate' } as const;
const kinds = ['max', 'min', 'adaptive'] as const;

/** RFC 6446 §9.2. Zero is not allowed. */
const grammar = /^\d{1,2}(?:\.\d{1,10})?$/;
const smallest = 1e-10;
const largest = 99.9999999999;

/** Reads the rates among parameters; malformed ones are as if they were not there. */
export function readRates(params: ReadonlyMap<string, string>): Rates {
  const rates: { max?: number; min?: number; adaptive?: number } = {};
  for (const kind of kinds) {
    const text = params.get(names[kind]);
    const value = text !== undefined && grammar.test(text) ? Number(text) : 0;
    if (value > 0) rates[kind] = value;
  }
  return rates;
}

/** The parameters that say these rates, each with its leading semicolon. */
export function formatRates(rates: Rates): string {
  let text = '';
  for (const kind of kinds) {
    const value = rates[kind];
    if (value !== undefined) text += `;${names[kind]}=${formatRate(value)}`;
  }
  return text;
}

/** At most ten decimals, without zeros at the end. */
function formatRate(rate: number): string {
  const bounded = Math.min(largest, Math.max(smallest, rate));
  return bounded.toFixed(10).replace(/0+$/, '').replace(/\.$/, '');
}

/** Whether parameters hold a wish about rates. */
export function hasRates(params: ReadonlyMap<string, string>): boolean {
  return kinds.some((kind) => params.has(names[kind]));
}

/** Parameters without their rates, and with these. */
export function withRates(
  params: ReadonlyMap<string, string>,
  from: ReadonlyMap<string, string>,
): ReadonlyMap<string, string> {
  const next = new Map(params);
  for (const kind of kinds) {
    const value = from.get(names[kind]);
    if (value === undefined) next.delete(names[kind]);
    else next.set(names[kind], value);
  }
  return next;
}

/** What a notifier agrees to. */
export interface RatePolicy {
  /** Shortest time between two NOTIFYs that this side allows, ms. */
  readonly interval: number;
  /** Shortest time between two NOTIFYs that are sent although nothing changed, ms. */
  readonly beat: number;
  /** What is left of the subscription, s. */
  readonly left: number;
}

/** RFC 6446 §5.3, §6.3, §7.3 and §8: the wishes, adjusted. */
export function agreeRates(asked: Rates, policy: RatePolicy): Rates {
  const ceiling = policy.interval > 0 ? 1000 / policy.interval : Number.POSITIVE_INFINITY;
  // §5.3: at least one notification before the end.
  const floor = policy.left > 0 ? 1 / policy.left : 0;
  const max = asked.max === undefined ? undefined : Math.min(ceiling, Math.max(floor, asked.max));
  const most = Math.min(ceiling, 1000 / policy.beat, max ?? Number.POSITIVE_INFINITY);
  const adaptive = asked.adaptive === undefined ? undefined : Math.min(asked.adaptive, most);
  let min = asked.min === undefined ? undefined : Math.min(asked.min, most);
  // §8: a minimum that is not below the adaptive one is not considered.
  if (min !== undefined && adaptive !== undefined && min >= adaptive) min = undefined;
  return {
    ...(max !== undefined && { max }),
    ...(min !== undefined && { min }),
    ...(adaptive !== undefined && { adaptive }),
  };
}

/** How many periods of the adaptive rate its average is taken over (RFC 6446 §7.4 recommends several). */
const periods = 10;

/**
 * How many NOTIFYs were sent in the last period: this stretch of it and the one before, so that a subscription costs the
 * same however many there are.
 */
export interface RateHistory {
  /** Monotonic ms. */
  since: number;
  now: number;
  before: number;
}

/** RFC 6446 §7.2 step 1: it begins as if the agreed rate had been kept all along. */
export function startHistory(at: number): RateHistory {
  return { since: at, now: 0, before: periods };
}

/** Takes note of a NOTIFY. */
export function countNotify(history: RateHistory, adaptive: number, at: number): void {
  turn(history, adaptive, at);
  history.now += 1;
}

function turn(history: RateHistory, adaptive: number, at: number): number {
  const period = (periods / adaptive) * 1000;
  const passed = Math.floor((at - history.since) / period);
  if (passed > 0) {
    history.before = passed === 1 ? history.now : 0;
    history.now = 0;
    history.since += passed * period;
  }
  return period;
}

/** ms after the last NOTIFY at which the state is sent again, changed or not; undefined: never. */
export function beatOf(rates: Rates, history: RateHistory, at: number): number | undefined {
  const { min, adaptive, max } = rates;
  let wait = min === undefined ? Number.POSITIVE_INFINITY : 1 / min;
  if (adaptive !== undefined) {
    const period = turn(history, adaptive, at);
    const count = history.now + history.before * (1 - (at - history.since) / period);
    // §7.4 equation (2). At least the NOTIFY that it is counted from was sent.
    const timeout = Math.max(1, count) / (adaptive * adaptive * (period / 1000));
    wait = Math.min(wait, Math.max(timeout, max === undefined ? 0 : 1 / max));
  }
  return Number.isFinite(wait) ? wait * 1000 : undefined;
}
