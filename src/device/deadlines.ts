import type { Clock, Timer } from '../base/clock.ts';

/** What waits for a deadline. These fields live in the thing itself, so that ten thousand cost no closures. */
export interface Waiting {
  /** When it is due, monotonic milliseconds. */
  due: number;
  /** Under which time it stands in the heap, never later than `due`. */
  filed: number;
  /** Its place in the heap; -1 when it waits for nothing. */
  place: number;
}

/** The fields of something that does not wait yet. */
export function notWaiting(): Waiting {
  return { due: Number.POSITIVE_INFINITY, filed: Number.POSITIVE_INFINITY, place: -1 };
}

/** Many deadlines on one timer. */
export interface Deadlines<Entry extends Waiting> {
  /** Moves it; undefined takes it out. Moving it to a later time, what each reading does, costs nothing. */
  set(entry: Entry, due: number | undefined): void;
  stop(): void;
}

/** Runs `expire` for each deadline when it is due: a binary heap in front of one timer of the clock. */
export function createDeadlines<Entry extends Waiting>(
  clock: Clock,
  expire: (entry: Entry, now: number) => void,
): Deadlines<Entry> {
  const heap: Entry[] = [];
  let timer: Timer | undefined;
  let armed = Number.POSITIVE_INFINITY;

  const put = (entry: Entry, place: number): void => {
    heap[place] = entry;
    entry.place = place;
  };

  const rise = (entry: Entry): void => {
    let place = entry.place;
    while (place > 0) {
      const above = (place - 1) >> 1;
      const parent = heap[above];
      if (!parent || parent.filed <= entry.filed) break;
      put(parent, place);
      place = above;
    }
    put(entry, place);
  };

  const sink = (entry: Entry): void => {
    let place = entry.place;
    for (;;) {
      const left = heap[2 * place + 1];
      const right = heap[2 * place + 2];
      const child = right && left && right.filed < left.filed ? right : left;
      if (!child || child.filed >= entry.filed) break;
      const below = child.place;
      put(child, place);
      place = below;
    }
    put(entry, place);
  };

  const remove = (entry: Entry): void => {
    const { place } = entry;
    entry.place = -1;
    const last = heap.pop();
    if (!last || last === entry) return;
    put(last, place);
    rise(last);
    sink(last);
  };

  const arm = (): void => {
    const first = heap[0];
    if (!first) {
      timer?.cancel();
      timer = undefined;
      armed = Number.POSITIVE_INFINITY;
      return;
    }
    if (first.filed >= armed) return;
    timer?.cancel();
    armed = first.filed;
    timer = clock.after(Math.max(0, armed - clock.now()), run);
  };

  const run = (): void => {
    timer = undefined;
    armed = Number.POSITIVE_INFINITY;
    const now = clock.now();
    for (let first = heap[0]; first && first.filed <= now; first = heap[0]) {
      if (first.due > now) {
        // It was put off while it waited; only now is it worth finding its new place.
        first.filed = first.due;
        sink(first);
        continue;
      }
      remove(first);
      expire(first, now);
    }
    arm();
  };

  return {
    set(entry, due) {
      if (due === undefined || due === Number.POSITIVE_INFINITY) {
        // The timer is left as it is: when it finds nothing due it arms itself anew.
        if (entry.place >= 0) remove(entry);
        return;
      }
      entry.due = due;
      if (entry.place >= 0 && due >= entry.filed) return;
      entry.filed = due;
      if (entry.place < 0) {
        entry.place = heap.length;
        heap.push(entry);
      }
      rise(entry);
      arm();
    },
    stop() {
      timer?.cancel();
      timer = undefined;
      armed = Number.POSITIVE_INFINITY;
      for (const entry of heap) entry.place = -1;
      heap.length = 0;
    },
  };
}
