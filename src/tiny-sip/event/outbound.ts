import type { EventDeps, Way } from '../dialog/user-agent.ts';
import { createRegistration } from './registration.ts';
import type { Registration, RegistrationOptions, RegistrationState } from './registration-options.ts';

/** How several flows of one instance are registered (RFC 5626 §4.2). */
export interface OutboundOptions extends Omit<RegistrationOptions, 'way' | 'regId' | 'instance' | 'onState'> {
  /** URN for `+sip.instance`; the same after every restart, as the order of `ways` must be (RFC 5626 §4.2.1). */
  readonly instance: string;
  /**
   * One flow for each: reg-id 1 goes by the first, and so on. Usually one outbound proxy each; two that lead to the same
   * address and port are one flow, which is of no use.
   */
  readonly ways: readonly (() => Way | undefined)[];
  /** One of the flows changed its state. */
  readonly onState?: (regId: number, state: RegistrationState) => void;
}

/** Several flows of one user agent instance to one registrar, so that it is reached while any of them stands. */
export interface Outbound {
  /** By reg-id, from 1. */
  readonly flows: readonly Registration[];
  /** The first flow that stands, for requests of our own; undefined: none does. */
  readonly best: Extract<RegistrationState, { kind: 'registered' }> | undefined;
  /** Registers every flow. */
  start(): void;
  /** Tries again at once what waits for a way. */
  wake(): void;
  /** Registers every flow anew now. */
  refresh(): void;
  /** De-registers all flows. Final. */
  remove(): Promise<void>;
  /** Stops without a word. Final. */
  stop(): void;
}

/**
 * Registers one instance over several flows (RFC 5626 §4.2): each has a reg-id, a Call-ID and a back-off of its own, and
 * one that fails does not touch the others.
 */
export function createOutbound(deps: EventDeps, options: OutboundOptions): Outbound {
  const { ways, onState, ...common } = options;
  const flows = ways.map((way, index) =>
    createRegistration(deps, {
      ...common,
      way,
      regId: index + 1,
      ...(onState && { onState: (state: RegistrationState) => onState(index + 1, state) }),
    }),
  );
  return {
    flows,
    get best() {
      for (const { state } of flows) if (state.kind === 'registered') return state;
      return undefined;
    },
    start() {
      for (const flow of flows) flow.start();
    },
    wake() {
      for (const flow of flows) flow.wake();
    },
    refresh() {
      for (const flow of flows) flow.refresh();
    },
    async remove() {
      await Promise.all(flows.map((flow) => flow.remove()));
    },
    stop() {
      for (const flow of flows) flow.stop();
    },
  };
}
