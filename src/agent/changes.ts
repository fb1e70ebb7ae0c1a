import type { Mark, PresenceBody, PresenceDocument } from '../presence/document.ts';

/** Goes along with a whole document and comes back when the server has it. */
export interface Sent {
  readonly kind: 'whole' | 'diff';
  readonly mark: Mark;
  readonly ids: ReadonlySet<string>;
}

/** What the server has of one document, and what it does not have yet. */
export interface Changes {
  /** A device changed. */
  touch(id: string): void;
  /** Whether the server has what is said about a device now. */
  has(id: string): boolean;
  /** Whether there is anything to say. */
  readonly any: boolean;
  /** What is to be sent as the difference to what the server has; undefined when it has all, or its state is not known. */
  difference(): PresenceBody | undefined;
  /** This body leaves now. An earlier one that was not accepted is still to be said. */
  leave(body: PresenceBody): Sent;
  /** The server took it. Answers what it now has news of. */
  accepted(sent: Sent): ReadonlySet<string>;
  /** Whether the last body that left was a diff. */
  readonly wasDiff: boolean;
}

/** Follows one document on its way to the server; at most one body is on its way. */
export function createChanges(document: PresenceDocument): Changes {
  /** The state that the server has, and the one that is on its way. */
  let base: Mark | undefined;
  let pending: Sent | undefined;
  let unsent = new Set<string>();

  /** The body on its way did not arrive, as far as we know. */
  const takeBack = (): void => {
    pending?.mark.release();
    for (const id of pending?.ids ?? []) unsent.add(id);
    pending = undefined;
  };
  let wasDiff = false;

  return {
    touch: (id) => void unsent.add(id),
    has: (id) => !unsent.has(id) && !pending?.ids.has(id),
    get any() {
      return unsent.size > 0 || (pending?.ids.size ?? 0) > 0;
    },
    difference() {
      if (!base) return undefined;
      const body = document.since(base);
      if (body) return body;
      // Changed and changed back.
      takeBack();
      unsent = new Set();
      return undefined;
    },
    leave(body) {
      takeBack();
      wasDiff = body.kind === 'diff';
      pending = { kind: wasDiff ? 'diff' : 'whole', mark: document.mark(), ids: unsent };
      unsent = new Set();
      return pending;
    },
    accepted(sent) {
      base?.release();
      base = sent.mark;
      if (pending === sent) pending = undefined;
      return sent.ids;
    },
    get wasDiff() {
      return wasDiff;
    },
  };
}
