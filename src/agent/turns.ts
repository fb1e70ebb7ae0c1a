/** Lets only so many do something at a time. */
export interface Turns<Who> {
  /** All of them want a turn, in this order; whoever waited before does not any more. */
  queue(all: Iterable<Who>): void;
  /** This one's turn is over, if it had one. */
  over(who: Who): void;
  /** Nobody waits any more; turns under way go on. */
  clear(): void;
}

/** @param begin starts a turn; `over` is to be called when it has ended, in whichever way */
export function createTurns<Who>(most: number, begin: (who: Who) => void): Turns<Who> {
  let waiting: Who[] = [];
  const under = new Set<Who>();

  const next = (): void => {
    while (under.size < most) {
      const who = waiting.shift();
      if (who === undefined) return;
      under.add(who);
      begin(who);
    }
  };

  return {
    queue(all) {
      waiting = [...all];
      next();
    },
    over(who) {
      if (under.delete(who)) next();
    },
    clear() {
      waiting = [];
    },
  };
}
