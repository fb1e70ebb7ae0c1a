import type { KeepAlive } from './transport.ts';

/**
 * Who wants a flow kept open: several registrations and subscriptions may share one. Takes no memory until somebody does.
 */
export class Keepers {
  /** What their wishes come to; the same object for as long as it says the same. Undefined: nobody has any. */
  merged: KeepAlive | undefined = undefined;
  private wishes: Set<KeepAlive> | undefined = undefined;

  /** @param changed called whenever `merged` is another. Answers how to leave. */
  add(wish: KeepAlive, changed: () => void): () => void {
    const mine = { ...wish };
    this.wishes ??= new Set();
    this.wishes.add(mine);
    if (this.merge()) changed();
    return () => {
      if (!this.wishes?.delete(mine)) return;
      if (this.wishes.size === 0) this.wishes = undefined;
      if (this.merge()) changed();
    };
  }

  private merge(): boolean {
    const before = this.merged;
    const next = this.wishes && strictest(this.wishes);
    if (
      next?.interval === before?.interval &&
      next?.pong === before?.pong &&
      (next?.stun ?? false) === (before?.stun ?? false)
    )
      return false;
    this.merged = next;
    return true;
  }
}

/** The shortest times, and STUN where anybody knows that it is answered. */
function strictest(wishes: Iterable<KeepAlive>): KeepAlive {
  let interval = Number.POSITIVE_INFINITY;
  let pong: number | undefined;
  let stun = false;
  for (const wish of wishes) {
    interval = Math.min(interval, wish.interval);
    if (wish.pong !== undefined) pong = Math.min(pong ?? wish.pong, wish.pong);
    stun ||= wish.stun ?? false;
  }
  return { interval, pong, stun };
}
