/**
 * One signal: from what a source reads to what the device shows. Its state is plain data and its rules are functions,
 * since there may be tens of thousands of them.
 *
 * It keeps two views: `latest`, what the newest reading says, and `shown`, what the device shows. `shown` follows
 * `latest` when the difference counts (dead-band), and not before its time (minimum interval).
 */
import type { CodedError } from '../base/errors.ts';
import { deviceErrors } from './errors.ts';
import type { SignalOptions } from './options.ts';
import type { Reading, SourceState, Value } from './reading.ts';
import { type Interval, learnInterval, newInterval, staleLimit } from './staleness.ts';
import type { Cause, SignalState } from './state.ts';
import { formatSpan } from './template.ts';
import { inRange, readValue } from './values.ts';

/** What is to be seen of a signal at one time. */
export interface Glance {
  readonly known: boolean;
  /** The last valid value, whether or not it is known to be fresh. */
  readonly value: Value | undefined;
  readonly cause: Cause | undefined;
}

export interface Signal {
  readonly name: string;
  readonly options: SignalOptions;
  shown: Glance;
  latest: Glance;
  /** When a reading changed `shown` last, monotonic. */
  shownAt: number | undefined;
  /** When the value of `latest` was measured, monotonic, as far as known. */
  at: number | undefined;
  /** The time that the last accepted reading carried, in milliseconds since 1970. */
  time: number | undefined;
  readonly interval: Interval;
  /** Whether its source is down. */
  down: boolean;
  /** Made when somebody asks, dropped when it is out of date. */
  snapshot: SignalState | undefined;
}

/** What became of a reading. `shown`: the device shows something new. `kept`: it does not, or not yet. */
export type Taken = 'shown' | 'kept' | 'late' | 'bad';

/** A time of measurement more than this ahead of the wall clock is not believed, in milliseconds. */
const AHEAD = 60_000;

export function newSignal(name: string, options: SignalOptions): Signal {
  const nothing = unknown(undefined, deviceErrors.NEVER_READ({ signal: name }));
  return {
    name,
    options,
    shown: nothing,
    latest: nothing,
    shownAt: undefined,
    at: undefined,
    time: undefined,
    interval: newInterval(),
    down: false,
    snapshot: undefined,
  };
}

/** Takes a reading at monotonic `now` and wall time `wall`. */
export function takeReading(signal: Signal, reading: Reading, now: number, wall: number | undefined): Taken {
  const { options, name, latest } = signal;
  // Whoever speaks is not down, even when the news that it is up comes after its first words.
  signal.down = false;
  const limit = staleLimit(options, signal.interval);
  const time = believable(reading.time, wall);
  const age = time === undefined || wall === undefined ? undefined : Math.max(0, wall - time);

  // Order is that of the source's own time. A sensor whose clock fell back would be late for ever, so once its signal
  // is unknown, a reading that is fresh by its own time is taken all the same.
  const last = believable(signal.time, wall);
  const late = time !== undefined && last !== undefined && time < last;
  if (late && (latest.known || (age !== undefined && age > limit))) return 'late';

  const result = readValue(reading.value, options);
  if (!result.ok) {
    show(
      signal,
      unknown(latest.value, deviceErrors.BAD_VALUE({ signal: name, problem: result.problem })),
      now,
    );
    return 'bad';
  }
  const { value } = result;
  if (typeof value === 'number' && !inRange(value, options)) {
    show(signal, unknown(latest.value, deviceErrors.OUT_OF_RANGE({ signal: name, value })), now);
    return 'bad';
  }

  const remembered = reading.age === 'unknown' && options.retained !== 'trust';
  if (remembered && age === undefined) {
    // What came live says more than what the broker remembers of it.
    if (latest.known) return 'kept';
    signal.at = undefined;
    return show(signal, unknown(value, deviceErrors.AGE_UNKNOWN({ signal: name })), now) ? 'shown' : 'kept';
  }

  signal.time = time;
  signal.at = now - (age ?? 0);
  signal.snapshot = undefined;
  if (age !== undefined && age > limit) {
    const old = deviceErrors.OLD({ signal: name, age: formatSpan(age) });
    return show(signal, unknown(value, old), now) ? 'shown' : 'kept';
  }
  if (reading.age === 'fresh') learnInterval(signal.interval, now, limit);
  return show(signal, { known: true, value, cause: undefined }, now) ? 'shown' : 'kept';
}

/** Takes what the signal's source says about itself. @returns whether the device shows something new */
export function takeSource(signal: Signal, state: SourceState): boolean {
  const { name } = signal;
  const { value } = signal.latest;
  switch (state.state) {
    case 'starting':
      return false;
    case 'down': {
      const down = deviceErrors.SOURCE_DOWN({
        signal: name,
        cause: state.cause ?? `${state.source} is down`,
      });
      signal.down = true;
      // A gap in the stream says nothing about how often the sensor sends.
      signal.interval.last = undefined;
      return showNow(signal, {
        known: false,
        value,
        cause: { code: state.code ?? down.code, text: down.message },
      });
    }
    case 'up': {
      if (!signal.down) return false;
      signal.down = false;
      if (signal.latest.known) return false;
      const waiting =
        value === undefined
          ? deviceErrors.NEVER_READ({ signal: name })
          : deviceErrors.WAITING({ signal: name, source: state.source });
      return showNow(signal, unknown(value, waiting));
    }
  }
}

/** Does what is due at `now`. @returns whether the device shows something new */
export function takeTime(signal: Signal, now: number): boolean {
  const staleAt = staleDeadline(signal);
  if (staleAt !== undefined && now >= staleAt) {
    const limit = formatSpan(staleLimit(signal.options, signal.interval));
    return showNow(signal, unknown(signal.latest.value, deviceErrors.STALE({ signal: signal.name, limit })));
  }
  return release(signal, now);
}

/** When `takeTime` has something to do next. */
export function dueAt(signal: Signal): number | undefined {
  const staleAt = staleDeadline(signal);
  const heldUntil = differs(signal) ? releaseAt(signal) : undefined;
  if (staleAt === undefined || heldUntil === undefined) return staleAt ?? heldUntil;
  return Math.min(staleAt, heldUntil);
}

/** The signal as it is shown. */
export function snapshotOf(signal: Signal): SignalState {
  const { name, options, shown } = signal;
  signal.snapshot ??= {
    name,
    known: shown.known,
    value: shown.value,
    at: signal.at,
    time: signal.time,
    unit: options.unit,
    writable: options.writable === true,
    cause: shown.cause,
  };
  return signal.snapshot;
}

function show(signal: Signal, glance: Glance, now: number): boolean {
  signal.latest = glance;
  return release(signal, now);
}

/** Shows at once what cannot wait: that nothing more is known. */
function showNow(signal: Signal, glance: Glance): boolean {
  signal.latest = glance;
  if (!differs(signal)) return false;
  signal.shown = glance;
  signal.snapshot = undefined;
  return true;
}

function release(signal: Signal, now: number): boolean {
  if (!differs(signal) || now < releaseAt(signal)) return false;
  signal.shown = signal.latest;
  signal.shownAt = now;
  signal.snapshot = undefined;
  return true;
}

function releaseAt(signal: Signal): number {
  return signal.shownAt === undefined
    ? Number.NEGATIVE_INFINITY
    : signal.shownAt + (signal.options.minInterval ?? 0);
}

function staleDeadline(signal: Signal): number | undefined {
  if (!signal.latest.known || signal.at === undefined) return undefined;
  return signal.at + staleLimit(signal.options, signal.interval);
}

/** Whether `latest` differs from `shown` by enough to be shown. */
function differs({ shown, latest, options }: Signal): boolean {
  if (shown === latest) return false;
  if (shown.known !== latest.known) return true;
  // Of two unknowns the cause matters, not its wording: a sensor that talks nonsense is to be told once.
  if (!latest.known && shown.cause?.code !== latest.cause?.code) return true;
  if (shown.value === latest.value) return false;
  if (!latest.known || options.deadband === undefined) return true;
  if (typeof shown.value !== 'number' || typeof latest.value !== 'number') return true;
  return Math.abs(latest.value - shown.value) >= options.deadband - ROUNDING * options.deadband;
}

/** 20.2 - 20 is a little less than 0.2: a difference of the dead-band itself is to count. */
const ROUNDING = 1e-9;

function unknown(value: Value | undefined, error: CodedError): Glance {
  return { known: false, value, cause: { code: error.code, text: error.message } };
}

function believable(time: number | undefined, wall: number | undefined): number | undefined {
  return time === undefined || (wall !== undefined && time > wall + AHEAD) ? undefined : time;
}
