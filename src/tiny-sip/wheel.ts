import type { Clock, Timer } from './deps.ts';

/**
 * One timer for all the waits of a second and more: registrations, subscriptions, idle connections, keep-alive,
 * timers like F and J of transactions. Thousands of them cost one timer of the clock, and none when none waits.
 *
 * How exact: never early, and late by at most one tick (500 ms unless set otherwise), since all that falls due within
 * a tick runs at its end. What needs better (T1 and its doublings) uses the clock itself.
 *
 * Waiting timers stand in slots by the tick in which they fall due, as in Varghese and Lauck's hashed wheel; those
 * further away than one turn of the wheel stay in their slot for another turn. Start and cancel are O(1).
 */
export interface Wheel {
  /** Runs `run` once, not before `ms` milliseconds and at most one tick after. */
  after(ms: number, run: () => void): Timer;
  /** Timers that wait. */
  readonly size: number;
}

const DEFAULT_TICK = 500;
/** Slots of the wheel: about eight minutes a turn with the default tick. */
const SLOTS = 1024;

/** What the wheel does for its timers. */
interface Spokes {
  cancel(entry: Entry): void;
}

/** A class, since a stack may hold ten thousand of them: `cancel` is not made anew for each. */
class Entry implements Timer {
  private readonly wheel: Spokes;
  /** The tick at whose end it falls due. */
  readonly due: number;
  /** Undefined once it has run or was cancelled. */
  run: (() => void) | undefined;
  before: Entry | undefined = undefined;
  after: Entry | undefined = undefined;

  constructor(wheel: Spokes, due: number, run: () => void) {
    this.wheel = wheel;
    this.due = due;
    this.run = run;
  }

  cancel(): void {
    this.wheel.cancel(this);
  }
}

/** A wheel on that clock. `tick`: ms, default 500. */
export function createWheel(clock: Clock, options: { readonly tick?: number } = {}): Wheel {
  const tick = options.tick ?? DEFAULT_TICK;
  /** The first entry of each slot. */
  const slots: (Entry | undefined)[] = [];
  let size = 0;
  /** Ticks whose entries have run. */
  let done = 0;
  let ticking: Timer | undefined;
  /** The tick for which it is set. */
  let armedFor = 0;
  /** Whether `settle` will run before the program waits again. */
  let settling = false;

  const unlink = (entry: Entry): void => {
    if (entry.before) entry.before.after = entry.after;
    else slots[entry.due % SLOTS] = entry.after;
    if (entry.after) entry.after.before = entry.before;
    entry.before = undefined;
    entry.after = undefined;
    size -= 1;
  };

  /** The first tick from `from` on in whose slot anything stands: most ticks of a quiet wheel need no waking. */
  const nextTick = (from: number): number => {
    for (let n = from; n < from + SLOTS; n += 1) {
      if (slots[n % SLOTS] !== undefined) return n;
    }
    return from + SLOTS;
  };

  const arm = (): void => {
    if (size === 0) return;
    const next = nextTick(done + 1);
    if (ticking !== undefined) {
      if (next >= armedFor) return;
      ticking.cancel();
    }
    ticking = clock.after(Math.max(0, next * tick - clock.now()), turn);
    armedFor = next;
  };

  /**
   * Sets the clock's timer as the entries want it. Many timers are cancelled in the very turn in which they were
   * started (a transaction that is answered at once), and then the clock's is left alone.
   */
  const settle = (): void => {
    settling = false;
    arm();
  };

  const settleSoon = (): void => {
    if (settling) return;
    settling = true;
    queueMicrotask(settle);
  };

  const turn = (): void => {
    ticking = undefined;
    const now = Math.floor(clock.now() / tick);
    // After a long sleep of the machine one pass over all slots is enough.
    const first = Math.max(done + 1, now - SLOTS + 1);
    const due: Entry[] = [];
    for (let n = first; n <= now; n += 1) {
      for (let entry = slots[n % SLOTS]; entry !== undefined; ) {
        const following: Entry | undefined = entry.after;
        if (entry.due <= now) {
          unlink(entry);
          due.push(entry);
        }
        entry = following;
      }
    }
    done = Math.max(done, now);
    // In the order in which they fell due, whatever slot a long sleep left them in.
    due.sort((a, b) => a.due - b.due);
    try {
      runAll(due);
    } finally {
      arm();
    }
  };

  /** One that throws must not keep the others from running; the first error is thrown when all have run. */
  const runAll = (due: readonly Entry[]): void => {
    const errors: unknown[] = [];
    for (const entry of due) {
      const { run } = entry;
      entry.run = undefined;
      try {
        run?.();
      } catch (error) {
        if (errors.length === 0) errors.push(error);
      }
    }
    if (errors.length > 0) throw errors[0];
  };

  const spokes: Spokes = {
    cancel(entry) {
      if (entry.run === undefined) return;
      entry.run = undefined;
      // Already taken out when it is about to run in this very tick.
      if (entry.before !== undefined || slots[entry.due % SLOTS] === entry) unlink(entry);
      if (size === 0) {
        ticking?.cancel();
        ticking = undefined;
      }
    },
  };

  return {
    get size() {
      return size;
    },
    after(ms, run) {
      const now = clock.now();
      if (size === 0) done = Math.max(done, Math.floor(now / tick));
      const due = Math.max(done + 1, Math.ceil((now + ms) / tick));
      const slot = due % SLOTS;
      const entry = new Entry(spokes, due, run);
      entry.after = slots[slot];
      if (entry.after) entry.after.before = entry;
      slots[slot] = entry;
      size += 1;
      if (ticking === undefined || due < armedFor) settleSoon();
      return entry;
    },
  };
}
