import type { Clock } from '../base/clock.ts';

/** Spreads writes over the day, so that a flash card lasts: credit grows evenly, and large writes wait for it. */
export interface Pace {
  /** Takes note that so many bytes were written. */
  spend(bytes: number): void;
  /** Milliseconds until the next write that can wait should be made. */
  wait(): number;
}

const DAY = 86_400_000;

/** An hour's share may be written in one go. */
const BURST = DAY / 24;

/** @param bytesPerDay undefined: no bound */
export function createPace(clock: Clock, bytesPerDay: number | undefined): Pace {
  if (bytesPerDay === undefined) return { spend: () => {}, wait: () => 0 };
  const rate = bytesPerDay / DAY;
  const most = rate * BURST;
  let credit = most;
  let at = clock.now();

  const grow = (): void => {
    const now = clock.now();
    credit = Math.min(most, credit + (now - at) * rate);
    at = now;
  };

  return {
    spend(bytes) {
      grow();
      credit -= bytes;
    },
    wait() {
      grow();
      return credit >= 0 ? 0 : -credit / rate;
    },
  };
}
