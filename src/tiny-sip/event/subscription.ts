import type { Timer } from '../deps.ts';
import type { EventDeps, Outcome, Way } from '../dialog/user-agent.ts';
import { hopeless, hurried, patient, resetDelay, takeDelay } from './delay.ts';
import { formatRates, type Rates } from './rate.ts';
import { adviseForSubscribe, adviseForTermination, endsUsage, type Failure, failureOf } from './retry.ts';
import type { Subscription, SubscriptionOptions, SubscriptionState } from './subscription-options.ts';
import { createUsage, isConfused, type Usage, type UsageHooks, type UsageTerms } from './usage.ts';

/** A subscription that ended sooner than this is not begun anew at once, ms. */
const quick = 30_000;

/**
 * One subscription (RFC 6665 §4.1), kept up for as long as its owner wants it:
 *
 *     start --> SUBSCRIBE --> notify_wait --NOTIFY--> pending | active --refresh--> …
 *                  |              | Timer N               | terminated, 481, expired
 *                  V              V                       V
 *               waiting or refused, then a new Call-ID; or terminated for good
 */
export function createSubscription(deps: EventDeps, options: SubscriptionOptions): Subscription {
  const { stack, clock, random } = deps;
  const fetching = options.expires === 0;
  const patience = patient();
  const slowly = hopeless();

  let state: SubscriptionState = { kind: 'idle' };
  let expires = options.expires ?? 3600;
  let wanted = false;
  let ended = false;
  let usage: Usage | undefined;
  let pause: Timer | undefined;
  let mayAskLonger = true;
  let rates: Rates = options.rates ?? {};
  /** The notifier knows no rates: it answered 489 to an Event with them. */
  let unrated = false;
  let conditional = options.conditional ?? true;
  let quiet = false;
  let deaf: (() => void) | undefined;
  /** Who waits for the end of unsubscribing. */
  let leaving: (() => void) | undefined;

  const enter = (next: SubscriptionState): void => {
    if (ended) return;
    state = next;
    options.onState?.(next);
  };

  const abandon = (): void => {
    usage?.abandon();
    usage = undefined;
  };

  const unpause = (): void => {
    pause?.cancel();
    pause = undefined;
  };

  const finish = (reason: string, cause?: Failure): void => {
    abandon();
    unpause();
    deaf?.();
    deaf = undefined;
    wanted = false;
    enter({ kind: 'terminated', reason, ...(cause && { cause }) });
    const done = leaving;
    leaving = undefined;
    done?.();
  };

  const retry = (ms: number, cause: Failure, kind: 'waiting' | 'refused' = 'waiting'): void => {
    abandon();
    if (fetching || leaving !== undefined) {
      finish(leaving === undefined ? 'failed' : 'unsubscribed', cause);
      return;
    }
    unpause();
    pause = stack.after(ms, () => {
      pause = undefined;
      begin();
    });
    enter({ kind, retryAt: clock.now() + ms, cause });
  };

  /** S29: a network that comes is not waited for by the back-off, which may have grown to half an hour. */
  const reconnected = (): void => {
    usage?.wake(hurried(random));
    if (state.kind === 'waiting' && state.cause.kind !== 'response' && usage === undefined)
      retry(hurried(random), state.cause);
  };

  /** Anew with a fresh Call-ID: at once, unless the last one ended soon after it began. */
  const anew = (cause: Failure): void => {
    const lasted = usage === undefined ? 0 : clock.now() - usage.since;
    if (lasted < quick || fetching || leaving !== undefined) {
      retry(takeDelay(patience, random), cause);
      return;
    }
    abandon();
    begin();
  };

  const begin = (): void => {
    if (ended || !wanted || usage !== undefined) return;
    unpause();
    const way: Way | undefined = options.way === undefined ? {} : options.way();
    if (way === undefined) {
      enter({ kind: 'blocked' });
      return;
    }
    enter({ kind: 'subscribing' });
    const known = conditional ? options.known?.() : undefined;
    usage = createUsage(deps, options, { way, seconds: expires, known }, terms, hooks);
  };

  const terms: UsageTerms = {
    event: () => `${options.event ?? 'presence'}${unrated ? '' : formatRates(rates)}`,
    condition: (tag) => (!conditional || tag === undefined ? undefined : quiet ? '*' : tag),
  };

  const show = (kind: 'active' | 'pending'): void => {
    if (usage === undefined || leaving !== undefined || fetching) return;
    const { expiresAt, rates: agreed } = usage;
    if (
      state.kind === kind &&
      state.expiresAt === expiresAt &&
      formatRates(state.rates) === formatRates(agreed)
    )
      return;
    enter({ kind, expiresAt, rates: agreed });
  };

  const refused = (outcome: Outcome): void => {
    const cause = failureOf(outcome);
    // Some answer 489 to a package that they know, for the parameters that they do not.
    if (cause.status === 489 && !unrated && formatRates(rates) !== '') {
      unrated = true;
      abandon();
      begin();
      return;
    }
    if (conditional && options.known !== undefined && isConfused(outcome)) {
      conditional = false;
      abandon();
      begin();
      return;
    }
    const advice = adviseForSubscribe(outcome, { expires });
    switch (advice.kind) {
      case 'longer':
        if (mayAskLonger && !fetching) {
          mayAskLonger = false;
          expires = advice.expires;
          abandon();
          begin();
        } else retry(takeDelay(patience, random), cause);
        return;
      case 'refused':
        retry(takeDelay(slowly, random, advice.seconds), cause, 'refused');
        return;
      default:
        retry(takeDelay(patience, random, advice.kind === 'wait' ? advice.seconds : 0), cause);
    }
  };

  const hooks: UsageHooks = {
    accepted() {
      if (usage !== undefined && clock.now() - usage.since >= quick) resetDelay(patience);
      resetDelay(slowly);
      mayAskLonger = true;
    },
    shown(kind) {
      const now = kind ?? state.kind;
      if (now === 'active' || now === 'pending') show(now);
    },
    unconditional() {
      conditional = false;
    },
    delayed: () => takeDelay(patience, random),
    refused(outcome, how) {
      if (how === 'initial') refused(outcome);
      else if (leaving !== undefined) finish('unsubscribed');
      else if (outcome.kind === 'response' && endsUsage(outcome.response.status)) {
        if (outcome.response.status === 481) anew(failureOf(outcome));
        else refused(outcome);
      }
    },
    silent() {
      const cause: Failure = { kind: 'timeout', reason: 'no notification came' };
      if (leaving !== undefined) finish('unsubscribed', cause);
      else retry(takeDelay(patience, random), cause);
    },
    expired: () => anew({ kind: 'timeout', reason: 'the subscription expired' }),
    terminated(reason, after) {
      if (leaving !== undefined) {
        finish('unsubscribed');
        return;
      }
      if (fetching) {
        finish('fetched');
        return;
      }
      const cause: Failure = { kind: 'response', reason: `terminated: ${reason ?? 'no reason'}` };
      const advice = adviseForTermination(reason, after);
      if (advice.kind === 'wait') retry(takeDelay(patience, random, advice.seconds), cause);
      else if (advice.kind === 'anew') anew(cause);
      else finish(reason ?? 'terminated', cause);
    },
  };

  return {
    get state() {
      return state;
    },
    start() {
      if (ended || wanted) return;
      wanted = true;
      deaf = stack.onAddress(reconnected);
      begin();
    },
    wake() {
      usage?.wake(0);
      if (state.kind === 'blocked' || (state.kind === 'waiting' && state.cause.kind !== 'response')) begin();
    },
    refresh() {
      usage?.renew(expires, 'whole');
    },
    pace(next) {
      if (formatRates(next) === formatRates(rates)) return;
      rates = next;
      usage?.renew(expires);
    },
    quiet(on) {
      if (on === quiet) return;
      quiet = on;
      usage?.renew(expires);
    },
    unsubscribe() {
      const mine = usage;
      if (ended || mine === undefined || !mine.established) {
        if (!ended) finish('unsubscribed');
        return Promise.resolve();
      }
      return new Promise((resolve) => {
        const before = leaving;
        leaving = () => {
          before?.();
          resolve();
        };
        if (before === undefined) mine.renew(0);
      });
    },
    stop() {
      abandon();
      unpause();
      deaf?.();
      deaf = undefined;
      wanted = false;
      ended = true;
      leaving?.();
      leaving = undefined;
    },
  };
}
