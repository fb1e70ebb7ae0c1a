import type { Clock, Random, Timer } from '../deps.ts';
import { sameHost } from './address.ts';
import { formatBindingRequest, type StunMessage } from './stun.ts';
import type { Address } from './transport.ts';

/** What became of a binding request. */
export type StunResult =
  | { readonly kind: 'mapped'; readonly address: Address }
  /** An error response, or one that cannot be used. */
  | { readonly kind: 'refused'; readonly code: number }
  | { readonly kind: 'silent' };

export interface StunClient {
  /**
   * Asks until it is answered, or `patience` (ms) is over; undefined: as long as RFC 5389 §7.2.1 does, 39.5 s. `done` is
   * called once. Answers how to give up, after which it is not called.
   */
  ask(remote: Address, patience: number | undefined, done: (result: StunResult) => void): () => void;
  /** Whether it was the answer to something that was asked. */
  receive(message: StunMessage, from: Address): boolean;
  readonly size: number;
}

/** RFC 5389 §7.2.1: the first repetition after RTO, then doubled; 7 requests in all; 16 RTO after the last it is over. */
const RTO = 500;
const REQUESTS = 7;
const LAST_WAIT = 16;

export function createStunClient(deps: {
  readonly clock: Clock;
  readonly random: Pick<Random, 'bytes'>;
  send(remote: Address, bytes: Buffer): Promise<void>;
}): StunClient {
  const { clock, random } = deps;
  const pending = new Map<string, { readonly remote: Address; settle(result: StunResult): void }>();

  return {
    ask(remote, patience, done) {
      const transaction = Buffer.from(random.bytes(12));
      const key = transaction.toString('hex');
      const bytes = formatBindingRequest(transaction);
      const began = clock.now();
      let sent = 0;
      let timer: Timer | undefined;

      const stop = (): void => {
        timer?.cancel();
        pending.delete(key);
      };
      const settle = (result: StunResult): void => {
        stop();
        done(result);
      };
      const left = (): number => (patience ?? Number.POSITIVE_INFINITY) - (clock.now() - began);
      const send = (): void => {
        if (left() <= 0 || sent === REQUESTS) {
          settle({ kind: 'silent' });
          return;
        }
        sent += 1;
        // An error of the socket is as good as a lost datagram: the next one may get through.
        deps.send(remote, bytes).catch(() => undefined);
        const wait = sent === REQUESTS ? RTO * LAST_WAIT : RTO * 2 ** (sent - 1);
        timer = clock.after(Math.max(1, Math.min(wait, left())), send);
      };
      pending.set(key, { remote, settle });
      send();
      return stop;
    },
    receive(message, from) {
      if (message.kind !== 'success' && message.kind !== 'error') return false;
      const asked = pending.get(message.transaction.toString('hex'));
      // What somebody else answers is a guess, however good.
      if (asked === undefined || from.port !== asked.remote.port || !sameHost(from.host, asked.remote.host))
        return false;
      // RFC 5389 §7.3.3: what must be understood and is not makes the request a failed one.
      if (message.kind === 'success' && message.mapped !== undefined && message.unknown.length === 0)
        asked.settle({ kind: 'mapped', address: message.mapped });
      else asked.settle({ kind: 'refused', code: message.code });
      return true;
    },
    get size() {
      return pending.size;
    },
  };
}
