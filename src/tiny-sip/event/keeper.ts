import type { Flow, KeepAlive } from '../transport/transport.ts';
import type { RegistrationKeepAlive } from './registration-options.ts';

/**
 * How often a flow is pinged where nothing else is known, and how long a pong may take, ms. RFC 5626 §4.4: many NATs
 * forget a datagram's mapping after 30 s; for streams two minutes would do.
 */
export const keepAliveDefaults: RegistrationKeepAlive = { datagram: 25_000, stream: 90_000, pong: 10_000 };

/** Holds on to one flow at a time. */
export interface Keeper {
  /** Holds this flow, and lets go of the one before; `wish`: pings it so. */
  keep(flow: Flow, wish: KeepAlive | undefined): void;
  /** Lets go, and hears nothing more. */
  release(): void;
}

/** @param lost the flow that is held was closed */
export function createKeeper(lost: (flow: Flow, cause: Error | undefined) => void): Keeper {
  let held: Flow | undefined;
  let unwatch: (() => void) | undefined;
  let unkeep: (() => void) | undefined;

  const release = (): void => {
    unwatch?.();
    unkeep?.();
    held = unwatch = unkeep = undefined;
  };

  return {
    keep(flow, wish) {
      if (held !== flow) {
        release();
        held = flow;
        unwatch = flow.onClose((cause) => {
          if (held !== flow) return;
          release();
          lost(flow, cause);
        });
      }
      // The new wish first, so that the flow is never without one and its timer goes on.
      const before = unkeep;
      unkeep = wish && flow.keepAlive(wish);
      before?.();
    },
    release,
  };
}
