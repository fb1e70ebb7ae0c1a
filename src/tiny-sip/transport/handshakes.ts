import type { Socket } from 'node:net';
import type { Clock, Timer } from '../deps.ts';
import { addressOf, showAddress, sourceOf } from './address.ts';

/** Connections that were accepted and whose handshake is under way: bounded in time, in number, and for each source. */
export interface Handshakes {
  /** Whether it may begin; otherwise it was destroyed. */
  begin(socket: Socket): boolean;
  /** It came to its end. False when its time was over before. */
  end(remote: {
    readonly remoteAddress?: string | undefined;
    readonly remotePort?: number | undefined;
  }): boolean;
  stop(): void;
  readonly counts: { handshakes: number; crowdedHandshakes: number; lateHandshakes: number };
}

export function createHandshakes(
  clock: Clock,
  limits: { readonly most: number; readonly perSource: number; readonly timeout: number },
): Handshakes {
  const pending = new Map<
    string,
    { readonly socket: Socket; readonly source: string; readonly timer: Timer }
  >();
  const sources = new Map<string, number>();
  const counts = { crowdedHandshakes: 0, lateHandshakes: 0 };

  const forget = (key: string, socket?: Socket): boolean => {
    const found = pending.get(key);
    // A port may be used again before the old connection is told that it is gone.
    if (found === undefined || (socket !== undefined && found.socket !== socket)) return false;
    pending.delete(key);
    found.timer.cancel();
    const left = (sources.get(found.source) ?? 1) - 1;
    if (left <= 0) sources.delete(found.source);
    else sources.set(found.source, left);
    return true;
  };

  return {
    begin(socket) {
      const remote = addressOf(socket.remoteAddress, socket.remotePort);
      const source = sourceOf(remote.host);
      const mine = sources.get(source) ?? 0;
      const key = showAddress(remote);
      if (remote.host === '' || pending.size >= limits.most || mine >= limits.perSource || pending.has(key)) {
        counts.crowdedHandshakes += 1;
        socket.on('error', () => undefined);
        socket.destroy();
        return false;
      }
      const timer = clock.after(limits.timeout, () => {
        counts.lateHandshakes += 1;
        socket.destroy();
      });
      pending.set(key, { socket, source, timer });
      sources.set(source, mine + 1);
      socket.once('close', () => forget(key, socket));
      return true;
    },
    end: ({ remoteAddress, remotePort }) => forget(showAddress(addressOf(remoteAddress, remotePort))),
    stop() {
      for (const { socket } of [...pending.values()]) socket.destroy();
      for (const key of [...pending.keys()]) forget(key);
    },
    get counts() {
      return { ...counts, handshakes: pending.size };
    },
  };
}
