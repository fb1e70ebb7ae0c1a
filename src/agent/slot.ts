import {
  type BodyKind,
  createPublication,
  type DigestClient,
  type EventDeps,
  type Lane,
  type Publication,
  type PublicationBody,
  type PublicationState,
  type Way,
} from 'tiny-sip';
import type { Later } from './later.ts';
import type { AgentState } from './state.ts';

export interface SlotDeps extends EventDeps {
  readonly state: Pick<AgentState, 'tag' | 'setTag' | 'tags'>;
  readonly reader: Later['reader'];
}

export interface SlotOptions {
  readonly aor: string;
  /** Under what its tag is kept. */
  readonly storeKey: string;
  /** Seconds. */
  readonly expires: number;
  readonly way: () => Way | undefined;
  readonly credentials?: DigestClient | undefined;
  /** Shared by all slots of one AOR (RFC 3903 §4). */
  readonly lane: Lane;
  /** `force`: the whole of it, changed or not. */
  readonly body: (kind: BodyKind, force: boolean) => PublicationBody | undefined;
  readonly accepted: (token: unknown) => void;
  readonly onState: (state: PublicationState) => void;
}

/** One of an AOR's publications: its tag outlives the process, and one can wait for the answer to what it says next. */
export interface Slot {
  /** Whether it is to be published; one that is not says nothing. */
  readonly live: boolean;
  readonly state: PublicationState;
  readonly tag: string | undefined;
  /** Publishes what there is to say, from now on; resolves to whether the server has it. */
  publish(): Promise<boolean>;
  /** Something may have changed. */
  changed(): void;
  /** Says all of it again, changed or not. */
  again(): void;
  /** The same, by a machine that does not wait for the mistake in the last request to be mended. */
  anew(): void;
  /** Renews it; resolves to whether the server has it. */
  refresh(): Promise<boolean>;
  wake(): void;
  /** Takes it back; it may be published again. */
  withdraw(): Promise<void>;
  /** Takes it back for good. */
  remove(): Promise<void>;
  stop(): void;
}

export function createSlot(deps: SlotDeps, options: SlotOptions): Slot {
  const { storeKey } = options;
  const { state: store } = deps;
  let waiting: ((ok: boolean) => void)[] = [];
  let live = false;
  let force = false;

  const settle = (ok: boolean): void => {
    const before = waiting;
    waiting = [];
    for (const done of before) done(ok);
  };

  const make = (): Publication => {
    const stored = store.tag(storeKey);
    const keep = ({ tag, expiresAt }: { tag: string; expiresAt: number }): void =>
      store.setTag(storeKey, { tag, expiresAt });
    return createPublication(deps, {
      aor: options.aor,
      expires: options.expires,
      way: options.way,
      ...(options.credentials && { credentials: options.credentials }),
      lane: options.lane,
      ...(stored && { stored }),
      body(kind) {
        const body = live ? options.body(kind, force) : undefined;
        // Nothing to say is as good as said.
        if (!body) settle(true);
        return body;
      },
      accepted(token, info) {
        keep(info);
        force = false;
        options.accepted(token);
        settle(true);
      },
      refreshed(info) {
        keep(info);
        settle(true);
      },
      forgotten: () => store.setTag(storeKey, undefined),
      onState(next) {
        switch (next.kind) {
          case 'blocked':
          case 'waiting':
          case 'refused':
          case 'unsuitable':
          case 'removed':
            settle(false);
            break;
          case 'idle':
          case 'publishing':
          case 'published':
            break;
        }
        options.onState(next);
      },
    });
  };
  let publication = make();

  const answered = (ask: () => void): Promise<boolean> =>
    new Promise((resolve) => {
      waiting.push(resolve);
      ask();
    });

  return {
    get live() {
      return live;
    },
    get state() {
      return publication.state;
    },
    get tag() {
      return publication.tag;
    },
    publish() {
      live = true;
      return answered(() => publication.changed());
    },
    changed() {
      if (live) publication.changed();
    },
    again() {
      if (!live) return;
      force = true;
      publication.changed();
    },
    anew() {
      publication.stop();
      publication = make();
      force = true;
      publication.changed();
    },
    refresh: () =>
      publication.tag === undefined ? Promise.resolve(false) : answered(() => publication.refresh()),
    wake: () => publication.wake(),
    withdraw() {
      live = false;
      return publication.withdraw();
    },
    remove() {
      live = false;
      return publication.remove();
    },
    stop() {
      live = false;
      publication.stop();
      settle(false);
    },
  };
}
