import {
  type BodyKind,
  createLane,
  createPublication,
  type DigestClient,
  type EventDeps,
  type Publication,
  type PublicationBody,
  type PublicationState,
  type Way,
} from 'tiny-sip';
import { createPresenceDocument, type Mark, type PresenceDocument } from '../presence/document.ts';
import type { Detail, DevicePresence } from '../presence/model.ts';
import { PIDF_DIFF_TYPE } from '../presence/namespaces.ts';
import { type ReadBack, readBack } from './read-back.ts';
import type { AgentState, Strategy } from './state.ts';

/** A body that the server will not take. */
export interface Unsuitable {
  readonly status: 413 | 415;
  readonly contentType: string;
  readonly accept: readonly string[];
}

/** What a read-back shows of what was published. */
export type Verdict =
  | { readonly kind: 'same' }
  /** Every device that could be judged is right, but none could: all changed meanwhile. */
  | { readonly kind: 'unsure' }
  | { readonly kind: 'different'; readonly why: string }
  | Exclude<ReadBack, { kind: 'seen' }>;

export interface PublisherOptions {
  readonly aor: string;
  /** The AOR is one device's own. */
  readonly own: boolean;
  readonly detail: Detail;
  /** Seconds. */
  readonly expires: number;
  readonly way: () => Way | undefined;
  readonly credentials?: DigestClient | undefined;
  readonly contactUser: string;
  /** Whether a diff may be sent now, once the strategy is `diff`. */
  readonly mayDiff: () => boolean;
  readonly onAccepted: (kind: 'whole' | 'diff' | 'segment') => void;
  readonly onUnsuitable: (what: Unsuitable) => void;
  /** The server could not make sense of a diff. */
  readonly onBadDiff: (status: number) => void;
  readonly onState: (state: PublicationState) => void;
}

/** Publishes the devices of one AOR, in one document or in one for each. */
export interface Publisher {
  readonly aor: string;
  readonly size: number;
  readonly strategy: Strategy;
  readonly detail: Detail;
  /** Takes over what is said about a device, and publishes it when a watcher could see a difference. */
  set(device: DevicePresence): void;
  remove(id: string): void;
  /**
   * Publishes in this way from now on; between the two ways a cover with ids of its own shows every device, so that
   * none is ever missing. The cover stays until `uncover`. Resolves to whether all is published so.
   */
  use(strategy: Strategy): Promise<boolean>;
  /** Puts up the cover: a second publication with every device under another id. */
  cover(): Promise<boolean>;
  uncover(): Promise<void>;
  /** Reads back what a watcher sees and compares. */
  verify(what: 'devices' | 'devices and cover'): Promise<Verdict>;
  /** Leaves out all but state and note from now on, and publishes so. */
  lean(): void;
  /** The way may have changed: whatever waits is tried now. */
  wake(): void;
  /** Renews every publication now; what the server lost is published anew. Resolves to whether it has them all. */
  refresh(): Promise<boolean>;
  /** Publishes whole documents anew, changed or not; resolves to how many. */
  republish(): number;
  /** Removes all publications; resolves when answered or given up. Nothing is published afterwards. */
  withdraw(): Promise<void>;
  stop(): void;
  /** States of its publications, by the device's tuple id or `*` for a whole document. */
  states(): ReadonlyMap<string, PublicationState>;
  /** Monotonic milliseconds at which the server last accepted something about this device. */
  acceptedAt(id: string): number | undefined;
}

/** Key of the publication that holds the whole document. */
const WHOLE = '*';
/** Key of the cover, and what its tuple ids end in; no other id has a dot. */
const COVER = '+';
const COVER_SUFFIX = '.c';
/** Seconds that a cover lives when it is lost sight of: no longer than most servers allow. */
const COVER_EXPIRES = 60;

interface Entry {
  readonly key: string;
  publication: Publication;
  /** Waits for the answer to what is published next. */
  waiting: ((ok: boolean) => void)[];
  /** The content that the server has, of a segment. */
  sent?: string | undefined;
  live: boolean;
  force: boolean;
}

interface WholeToken {
  readonly kind: 'whole' | 'diff';
  readonly mark: Mark;
}

export function createPublisher(
  deps: EventDeps & { readonly state: Pick<AgentState, 'tag' | 'setTag' | 'tags'> },
  options: PublisherOptions,
): Publisher {
  const { aor, own } = options;
  let document = createPresenceDocument({ entity: aor, detail: options.detail, own });
  let detail = options.detail;
  let covering: PresenceDocument | undefined;
  let strategy: Strategy = 'full';
  let ended = false;
  /** RFC 3903 §4: one PUBLISH at a time for one Request-URI, whatever it is for. */
  const lane = createLane();
  const entries = new Map<string, Entry>();
  const acceptedAt = new Map<string, number>();

  /** The state that the server has of the whole document, and the one that is on its way. */
  let base: Mark | undefined;
  let pending: Mark | undefined;
  /** Devices that changed since the server last accepted them; those of them that are on their way. */
  let unsent = new Set<string>();
  let sending = new Set<string>();
  let lastKind: 'whole' | 'diff' = 'whole';
  /** Devices that changed while a read-back is under way. */
  const watches = new Set<Set<string>>();

  const storeKey = (key: string): string => `${aor} ${key}`;

  type MakeBody = (entry: Entry, kind: BodyKind) => PublicationBody | undefined;

  const make = (key: string, body: MakeBody): Entry => {
    const entry: Entry = {
      key,
      publication: machine(() => entry, key, body),
      waiting: [],
      live: false,
      force: false,
    };
    entries.set(key, entry);
    return entry;
  };

  const machine = (own: () => Entry, key: string, body: MakeBody): Publication => {
    const stored = deps.state.tag(storeKey(key));
    const keep = (info: { tag: string; expiresAt: number }): void =>
      deps.state.setTag(storeKey(key), { tag: info.tag, expiresAt: info.expiresAt });
    return createPublication(deps, {
      aor,
      expires: key === COVER ? Math.min(options.expires, COVER_EXPIRES) : options.expires,
      way: options.way,
      ...(options.credentials && { credentials: options.credentials }),
      lane,
      ...(stored && { stored }),
      body: (kind) => {
        const entry = own();
        const made = entry.live ? body(entry, kind) : undefined;
        // Nothing to say is as good as said.
        if (!made) settle(entry, true);
        return made;
      },
      accepted: (token, info) => {
        const entry = own();
        keep(info);
        entry.force = false;
        accepted(entry, token);
        settle(entry, true);
      },
      refreshed: (info) => {
        keep(info);
        settle(own(), true);
      },
      forgotten: () => deps.state.setTag(storeKey(key), undefined),
      onState: (state) => changedState(own(), state),
    });
  };

  const settle = (entry: Entry, ok: boolean): void => {
    const { waiting } = entry;
    entry.waiting = [];
    for (const done of waiting) done(ok);
  };

  const changedState = (entry: Entry, state: PublicationState): void => {
    options.onState(state);
    switch (state.kind) {
      case 'unsuitable':
        settle(entry, false);
        options.onUnsuitable(state);
        return;
      case 'refused':
        settle(entry, false);
        if (state.cause.status === 400 && lastKind === 'diff' && entry.key === WHOLE) beginWhole(entry);
        return;
      case 'blocked':
      case 'waiting':
      case 'removed':
        settle(entry, false);
        return;
      case 'idle':
      case 'publishing':
      case 'published':
        return;
    }
  };

  /**
   * RFC 5264 §4.3.2: 400 to a diff means that it does not fit what the server has. The same publication goes on with a
   * whole document; a machine of its own takes it over, since the old one waits for someone to mend the request.
   */
  const beginWhole = (entry: Entry): void => {
    entry.publication.stop();
    entry.publication = machine(() => entry, WHOLE, wholeBody);
    entry.force = true;
    entry.publication.changed();
    options.onBadDiff(400);
  };

  const accepted = (entry: Entry, token: unknown): void => {
    const now = deps.clock.now();
    if (entry.key === COVER) return;
    if (entry.key !== WHOLE) {
      entry.sent = token as string;
      acceptedAt.set(entry.key, now);
      options.onAccepted('segment');
      return;
    }
    const { kind, mark } = token as WholeToken;
    base?.release();
    base = mark;
    pending = undefined;
    for (const id of sending) acceptedAt.set(id, now);
    sending = new Set();
    options.onAccepted(kind);
  };

  const wholeBody = (entry: Entry, kind: BodyKind): PublicationBody | undefined => {
    // An earlier body that was not accepted is still to be said.
    pending?.release();
    pending = undefined;
    for (const id of sending) unsent.add(id);
    sending = new Set();
    const partial = strategy === 'diff' && kind === 'modify' && !entry.force && base && options.mayDiff();
    if (kind === 'modify' && !entry.force && unsent.size === 0) return undefined;
    if (document.size === 0 && kind === 'initial') return undefined;
    const body =
      partial && base ? document.since(base) : strategy === 'diff' ? document.pidfFull() : document.full();
    sending = unsent;
    unsent = new Set();
    // Changed and changed back.
    if (!body) return undefined;
    pending = document.mark();
    lastKind = body.kind === 'diff' ? 'diff' : 'whole';
    const token: WholeToken = { kind: lastKind, mark: pending };
    return { contentType: body.contentType, content: body.content, token };
  };

  const segmentBody = (entry: Entry, kind: BodyKind): PublicationBody | undefined => {
    const body = document.segment(entry.key);
    if (!body || (kind === 'modify' && !entry.force && entry.sent === body.content)) return undefined;
    return { contentType: body.contentType, content: body.content, token: body.content };
  };

  const coverBody = (): PublicationBody | undefined => {
    if (!covering || covering.size === 0) return undefined;
    const { contentType, content } = covering.full();
    return { contentType, content, token: undefined };
  };

  const whole = (): Entry => entries.get(WHOLE) ?? make(WHOLE, wholeBody);
  const segment = (id: string): Entry => entries.get(id) ?? make(id, segmentBody);
  const segments = (): Entry[] => [...entries.values()].filter(({ key }) => key !== WHOLE && key !== COVER);

  const publish = (entry: Entry): Promise<boolean> => {
    entry.live = true;
    return new Promise((resolve) => {
      entry.waiting.push(resolve);
      entry.publication.changed();
    });
  };

  const withdraw = async (entry: Entry | undefined): Promise<void> => {
    if (!entry) return;
    entry.live = false;
    entry.sent = undefined;
    await entry.publication.withdraw();
  };

  const putCover = async (): Promise<boolean> => {
    if (!covering) {
      covering = createPresenceDocument({ entity: aor, detail: 'lean' });
      for (const id of document.ids()) coverDevice(id);
    }
    return publish(entries.get(COVER) ?? make(COVER, coverBody));
  };
  const coverDevice = (id: string): void => {
    const device = document.get(id);
    if (device) covering?.set({ ...device, id: `${id}${COVER_SUFFIX}` });
    else covering?.remove(`${id}${COVER_SUFFIX}`);
  };
  const dropCover = async (): Promise<void> => {
    covering = undefined;
    const left = deps.state.tag(storeKey(COVER)) !== undefined;
    const entry = entries.get(COVER) ?? (left ? make(COVER, coverBody) : undefined);
    await withdraw(entry);
  };

  /** What an earlier process left of devices that are no more. */
  const dropStrays = (): void => {
    for (const stored of deps.state.tags(storeKey(''))) {
      const key = stored.slice(storeKey('').length);
      if (key === WHOLE || key === COVER || document.get(key) || entries.has(key)) continue;
      const entry = make(key, segmentBody);
      entries.delete(key);
      void entry.publication.remove();
    }
  };

  const useWhole = async (next: 'full' | 'diff'): Promise<boolean> => {
    const divided =
      segments().some(({ live }) => live) || document.ids().some((id) => deps.state.tag(storeKey(id)));
    if (divided) {
      if (document.size > 1) await putCover();
      await Promise.all(document.ids().map((id) => withdraw(segment(id))));
    }
    strategy = next;
    const done = await publish(whole());
    if (divided && done) await dropCover();
    return done;
  };

  const useSegments = async (): Promise<boolean> => {
    const ids = document.ids();
    const united = entries.get(WHOLE)?.live || deps.state.tag(storeKey(WHOLE)) !== undefined;
    const divided = ids.every((id) => deps.state.tag(storeKey(id)));
    if (ids.length > 1 && (united || !divided)) await putCover();
    // Ids of a whole document and of segments clash, and a server may then drop one of the documents.
    if (united) await withdraw(whole());
    strategy = 'segments';
    const done = await Promise.all(ids.map((id) => publish(segment(id))));
    return done.every(Boolean);
  };

  /** Whether the server has accepted what is said about a device now. */
  const isCurrent = (id: string): boolean =>
    strategy === 'segments'
      ? entries.get(id)?.sent === document.segment(id)?.content
      : !unsent.has(id) && !sending.has(id);

  const touch = (id: string): void => {
    unsent.add(id);
    for (const watch of watches) watch.add(id);
    coverDevice(id);
    if (covering) entries.get(COVER)?.publication.changed();
    const united = entries.get(WHOLE);
    if (united?.live) united.publication.changed();
  };

  return {
    aor,
    get size() {
      return document.size;
    },
    get strategy() {
      return strategy;
    },
    get detail() {
      return detail;
    },
    set(device) {
      if (ended || !document.set(device)) return;
      touch(device.id);
      if (strategy === 'segments') void publish(segment(device.id));
    },
    remove(id) {
      if (ended || !document.remove(id)) return;
      touch(id);
      const entry = segments().find(({ key }) => key === id);
      if (!entry) return;
      entries.delete(id);
      void entry.publication.remove();
    },
    async use(next) {
      if (ended) return false;
      dropStrays();
      return next === 'segments' ? useSegments() : useWhole(next);
    },
    cover: putCover,
    uncover: dropCover,
    async verify(what) {
      const changed = new Set(document.ids().filter((id) => !isCurrent(id)));
      watches.add(changed);
      const result = await readBack(deps, {
        aor,
        way: options.way,
        credentials: options.credentials,
        contactUser: options.contactUser,
      });
      watches.delete(changed);
      if (result.kind !== 'seen') return result;
      const seen = new Map(result.presence.devices.map((device) => [device.id, device]));
      let judged = 0;
      for (const id of document.ids()) {
        const wanted = document.get(id);
        const found = seen.get(id);
        if (!found) return { kind: 'different', why: `${id} is missing` };
        if (what === 'devices and cover' && !seen.has(`${id}${COVER_SUFFIX}`))
          return { kind: 'different', why: 'it shows one publication only' };
        if (changed.has(id)) continue;
        judged += 1;
        if (found.basic !== wanted?.basic || (found.note ?? '') !== (wanted?.note ?? ''))
          return { kind: 'different', why: `${id} is not as published` };
      }
      return judged > 0 ? { kind: 'same' } : { kind: 'unsure' };
    },
    lean() {
      if (detail === 'lean') return;
      detail = 'lean';
      const before = document;
      document = createPresenceDocument({ entity: aor, detail, own });
      base = undefined;
      pending = undefined;
      for (const id of before.ids()) {
        const device = before.get(id);
        if (device) document.set(device);
        unsent.add(id);
      }
      for (const entry of entries.values()) if (entry.live) entry.publication.changed();
    },
    wake() {
      for (const entry of entries.values()) entry.publication.wake();
    },
    async refresh() {
      const kept = [...entries.values()].filter(
        ({ live, publication }) => live && publication.tag !== undefined,
      );
      const done = await Promise.all(
        kept.map(
          (entry) =>
            new Promise<boolean>((resolve) => {
              entry.waiting.push(resolve);
              entry.publication.refresh();
            }),
        ),
      );
      return done.every(Boolean);
    },
    republish() {
      let count = 0;
      for (const entry of entries.values()) {
        if (!entry.live || entry.key === COVER) continue;
        count += 1;
        entry.force = true;
        entry.publication.changed();
      }
      return count;
    },
    async withdraw() {
      ended = true;
      await Promise.all([...entries.values()].map(({ publication }) => publication.remove()));
    },
    stop() {
      ended = true;
      for (const { publication } of entries.values()) publication.stop();
    },
    states: () =>
      new Map(
        [...entries.values()]
          .filter(({ live }) => live)
          .map(({ key, publication }) => [key, publication.state]),
      ),
    acceptedAt: (id) => acceptedAt.get(id),
  };
}

/** Whether a body was refused for being partial. */
export function isPartial(what: Unsuitable): boolean {
  return what.contentType === PIDF_DIFF_TYPE;
}
