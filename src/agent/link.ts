import type { Flow, Random, Stack, Target } from 'tiny-sip';
import { createBackoff } from '../base/backoff.ts';
import type { Clock, Timer } from '../base/clock.ts';
import { asError, type CodedError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { agentErrors } from './errors.ts';

/** The one path to an account's server. */
export type LinkState =
  | { readonly kind: 'idle' }
  | { readonly kind: 'connecting'; readonly server?: string }
  | { readonly kind: 'up'; readonly flow: Flow; readonly target: Target }
  /** `retryAt`: monotonic milliseconds. */
  | { readonly kind: 'waiting'; readonly retryAt: number; readonly cause: CodedError };

export interface LinkOptions {
  /** URI of the server: looked up for each round of tries (RFC 3263). */
  readonly uri: string;
  /** The server itself instead of one that is looked up. */
  readonly target?: Target | undefined;
  /** A flow is there; it may not lead anywhere yet: only an answer shows that. */
  readonly onUp: (flow: Flow, target: Target) => void;
  readonly onDown: (cause: CodedError) => void;
}

/** Keeps one flow to one of the servers open. */
export interface Link {
  readonly state: LinkState;
  start(): void;
  /** Whether the name leads to more servers than this one. */
  readonly alternatives: boolean;
  /**
   * The server at the other end is of no use: on to the next one, and once all were tried, after a wait.
   *
   * @param floor milliseconds that this wait has at least
   */
  reject(cause: CodedError, floor?: number): void;
  /** It works: an answer came. */
  proven(): void;
  stop(): void;
}

/** How long a connection may take to be made, in milliseconds. */
const CONNECT = 10_000;

/** `tcp 192.0.2.7:5060` */
export function sayTarget(target: Target): string {
  const host = target.host.includes(':') ? `[${target.host}]` : target.host;
  return `${target.protocol} ${host}:${target.port}`;
}

export function createLink(
  deps: { readonly stack: Stack; readonly clock: Clock; readonly random: Random; readonly log: Log },
  options: LinkOptions,
): Link {
  const { stack, clock, log } = deps;
  const backoff = createBackoff(deps);
  let state: LinkState = { kind: 'idle' };
  /** Servers of this round that were not tried yet. */
  let candidates: Target[] = [];
  let known = 0;
  let last: CodedError | undefined;
  let timer: Timer | undefined;
  let leave: (() => void) | undefined;
  let deaf: (() => void) | undefined;
  let troubled = false;
  /** Whether a server told how long to wait. */
  let told = false;
  /** Rises whenever what is under way is void. */
  let round = 0;

  const connect = async (): Promise<void> => {
    round += 1;
    const mine = round;
    if (candidates.length === 0) {
      state = { kind: 'connecting' };
      const found = options.target ? [options.target] : await locate();
      if (mine !== round) return;
      candidates = [...found];
      known = found.length;
    }
    for (let target = candidates.shift(); target; target = candidates.shift()) {
      state = { kind: 'connecting', server: sayTarget(target) };
      try {
        const flow = stack.flow(target);
        await open(flow);
        if (mine !== round) return;
        return up(flow, target);
      } catch (error) {
        if (mine !== round) return;
        last = agentErrors.UNREACHABLE({ server: sayTarget(target), cause: asError(error) }, error);
      }
    }
    wait(last ?? agentErrors.NO_SERVER({ uri: options.uri, cause: 'it has no address' }));
  };

  const locate = async (): Promise<readonly Target[]> => {
    const found = await stack.locate(options.uri);
    if (found.length === 0)
      last = agentErrors.NO_SERVER({ uri: options.uri, cause: 'the name has no address' });
    return found;
  };

  const open = async (flow: Flow): Promise<void> => {
    let late: Timer | undefined;
    try {
      await Promise.race([
        flow.ready(),
        new Promise<never>((_resolve, reject) => {
          late = clock.after(CONNECT, () => {
            const error = new Error(`no connection within ${CONNECT / 1_000} s`);
            flow.close(error);
            reject(error);
          });
        }),
      ]);
    } finally {
      late?.cancel();
    }
  };

  const up = (flow: Flow, target: Target): void => {
    state = { kind: 'up', flow, target };
    leave = flow.onClose((cause) => {
      if (state.kind !== 'up' || state.flow !== flow) return;
      down(
        agentErrors.UNREACHABLE({ server: sayTarget(target), cause: cause ?? 'the server closed it' }, cause),
      );
      // The same server first: a closed connection is most often an idle limit or a restart.
      wait(last ?? agentErrors.UNREACHABLE({ server: sayTarget(target), cause: 'closed' }));
    });
    options.onUp(flow, target);
  };

  const down = (cause: CodedError): void => {
    round += 1;
    leave?.();
    leave = undefined;
    last = cause;
    backoff.down();
    options.onDown(cause);
  };

  const wait = (cause: CodedError, floor = 0): void => {
    const ms = Math.max(floor, backoff.next());
    told = floor > 0;
    state = { kind: 'waiting', retryAt: clock.now() + ms, cause };
    if (!troubled) log.warn('server is gone', { code: cause.code, cause });
    troubled = true;
    timer?.cancel();
    timer = clock.after(ms, () => void connect());
  };

  return {
    get state() {
      return state;
    },
    start() {
      if (state.kind !== 'idle') return;
      // S29: a network that comes is not waited for by the back-off, which may have grown to minutes.
      deaf = stack.onAddress(() => {
        if (state.kind !== 'waiting' || told) return;
        timer?.cancel();
        void connect();
      });
      void connect();
    },
    get alternatives() {
      return known > 1;
    },
    reject(cause, floor) {
      if (state.kind !== 'up') return;
      const { flow } = state;
      down(cause);
      flow.close(cause);
      if (candidates.length > 0) void connect();
      else wait(cause, floor);
    },
    proven() {
      backoff.up();
      // A later failure asks the DNS anew and begins with the best server.
      candidates = [];
      if (troubled) log.info('server is back');
      troubled = false;
    },
    stop() {
      round += 1;
      timer?.cancel();
      leave?.();
      deaf?.();
      leave = deaf = undefined;
      state = { kind: 'idle' };
    },
  };
}
