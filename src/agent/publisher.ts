import {
  type BodyKind,
  createLane,
  type DigestClient,
  type PublicationBody,
  type PublicationState,
  type Way,
} from 'tiny-sip';
import { createPresenceDocument, type PresenceDocument } from '../presence/document.ts';
import type { Detail, DevicePresence } from '../presence/model.ts';
import { PIDF_DIFF_TYPE, PIDF_TYPE } from '../presence/namespaces.ts';
import { type Changes, createChanges, type Sent } from './changes.ts';
import { readBack } from './read-back.ts';
import { createSlot, type Slot, type SlotDeps } from './slot.ts';
import type { Strategy } from './state.ts';
import { judge, type Verdict } from './verdict.ts';

/** A body that the server will not take. */
export interface Unsuitable {
  readonly status: 413 | 415;
  readonly contentType: string;
  readonly accept: readonly string[];
}

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
  readonly onBadDiff: () => void;
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
export const COVER_SUFFIX = '.c';
/** Seconds that a cover lives when it is lost sight of: no longer than most servers allow. */
const COVER_EXPIRES = 60;
/** A body that the server would not take is offered again after this many milliseconds: servers are mended too. */
const UNSUITABLE_REST = 1_800_000;

export function createPublisher(deps: SlotDeps, options: PublisherOptions): Publisher {
  const { aor, own } = options;
  let detail = options.detail;
  let document = createPresenceDocument({ entity: aor, detail, own });
  let changes: Changes = createChanges(document);
  let covering: PresenceDocument | undefined;
  let strategy: Strategy = 'full';
  let ended = false;
  /** The server takes application/pidf+xml. */
  let plain = true;
  /** RFC 3903 §4: one PUBLISH at a time for one Request-URI, whatever it is for. */
  const lane = createLane();
  const slots = new Map<string, Slot>();
  /** The content that the server has, by segment. */
  const contents = new Map<string, string>();
  const acceptedAt = new Map<string, number>();
  /** Devices that changed while a read-back is under way. */
  const watches = new Set<Set<string>>();

  const storeKey = (key: string): string => `${aor} ${key}`;
  const stored = (key: string): boolean => deps.state.tag(storeKey(key)) !== undefined;

  const make = (
    key: string,
    body: (kind: BodyKind, force: boolean) => PublicationBody | undefined,
    accepted: (token: unknown) => void,
  ): Slot => {
    const slot = createSlot(deps, {
      aor,
      storeKey: storeKey(key),
      expires: key === COVER ? Math.min(options.expires, COVER_EXPIRES) : options.expires,
      way: options.way,
      credentials: options.credentials,
      lane,
      body,
      accepted,
      onState: (state) => changedState(key, state),
    });
    slots.set(key, slot);
    return slot;
  };

  const changedState = (key: string, state: PublicationState): void => {
    options.onState(state);
    if (state.kind === 'unsuitable') refusedBody(key, state);
    // RFC 5264 §4.3.2: 400 to a diff means that it does not fit what the server has; a whole document does.
    if (state.kind === 'refused' && state.cause.status === 400 && key === WHOLE && changes.wasDiff) {
      slots.get(WHOLE)?.anew();
      options.onBadDiff();
    }
  };

  const refusedBody = (key: string, what: Unsuitable): void => {
    deps.stack.after(UNSUITABLE_REST, () => slots.get(key)?.changed());
    // RFC 5264 §4.2 has it the other way round, but a server may know partial documents only.
    if (
      what.status === 415 &&
      plain &&
      what.contentType === PIDF_TYPE &&
      what.accept.includes(PIDF_DIFF_TYPE)
    ) {
      plain = false;
      slots.get(key)?.changed();
    } else options.onUnsuitable(what);
  };

  const wholeBody = (kind: BodyKind, force: boolean): PublicationBody | undefined => {
    const partial = strategy === 'diff' && kind === 'modify' && !force;
    if (kind === 'modify' && !force && !changes.any) return undefined;
    if (document.size === 0 && kind === 'initial') return undefined;
    const difference = partial ? changes.difference() : undefined;
    if (partial && !difference && !changes.any) return undefined;
    // Whole documents go as plain PIDF, which every server takes; a diff may follow on it all the same.
    // Asked last, since whoever may send the first diff of all holds up the others until it has.
    const body =
      difference?.kind === 'diff' && options.mayDiff()
        ? difference
        : plain
          ? document.full()
          : document.pidfFull();
    return { contentType: body.contentType, content: body.content, token: changes.leave(body) };
  };
  const wholeAccepted = (token: unknown): void => {
    const sent = token as Sent;
    for (const id of changes.accepted(sent)) acceptedAt.set(id, deps.clock.now());
    options.onAccepted(sent.kind);
  };
  const whole = (): Slot => slots.get(WHOLE) ?? make(WHOLE, wholeBody, wholeAccepted);

  const segment = (id: string): Slot =>
    slots.get(id) ??
    make(
      id,
      (kind, force) => {
        const body = document.segment(id);
        if (!body || (kind === 'modify' && !force && contents.get(id) === body.content)) return undefined;
        return { contentType: body.contentType, content: body.content, token: body.content };
      },
      (token) => {
        contents.set(id, token as string);
        acceptedAt.set(id, deps.clock.now());
        options.onAccepted('segment');
      },
    );

  const coverSlot = (): Slot =>
    slots.get(COVER) ??
    make(
      COVER,
      () => {
        if (!covering || covering.size === 0) return undefined;
        const { contentType, content } = covering.full();
        return { contentType, content, token: undefined };
      },
      () => undefined,
    );

  const withdrawSegment = (id: string): Promise<void> => {
    contents.delete(id);
    return segment(id).withdraw();
  };

  const coverDevice = (id: string): void => {
    const device = document.get(id);
    if (device) covering?.set({ ...device, id: `${id}${COVER_SUFFIX}` });
    else covering?.remove(`${id}${COVER_SUFFIX}`);
  };
  const putCover = async (): Promise<boolean> => {
    if (!covering) {
      covering = createPresenceDocument({ entity: aor, detail: 'lean' });
      for (const id of document.ids()) coverDevice(id);
    }
    return coverSlot().publish();
  };
  /**
   * To be called after one of several publications was taken back. Kamailio then notifies the first tuple of what was
   * removed as closed, or nothing at all where that tuple has no basic status; a refresh of any other publication makes
   * it notify what is really there.
   */
  const retell = async (): Promise<void> => {
    await live()
      .find((slot) => slot.tag !== undefined)
      ?.refresh();
  };
  const dropCover = async (): Promise<void> => {
    covering = undefined;
    if (!slots.has(COVER) && !stored(COVER)) return;
    await coverSlot().withdraw();
    await retell();
  };

  /** What an earlier process left of devices that are no more. */
  const dropStrays = (): void => {
    for (const name of deps.state.tags(storeKey(''))) {
      const key = name.slice(storeKey('').length);
      if (key === WHOLE || key === COVER || document.get(key) || slots.has(key)) continue;
      const slot = segment(key);
      slots.delete(key);
      void slot.remove();
    }
  };

  const useWhole = async (next: 'full' | 'diff'): Promise<boolean> => {
    const ids = document.ids();
    const divided = ids.some((id) => slots.get(id)?.live || stored(id));
    if (divided) {
      if (ids.length > 1) await putCover();
      await Promise.all(ids.map(withdrawSegment));
      await retell();
    }
    strategy = next;
    const done = await whole().publish();
    if (divided && done) await dropCover();
    return done;
  };

  const useSegments = async (): Promise<boolean> => {
    const ids = document.ids();
    const united = slots.get(WHOLE)?.live || stored(WHOLE);
    if (ids.length > 1 && (united || !ids.every(stored))) await putCover();
    // Ids of a whole document and of segments clash, and a server may then drop one of the documents.
    if (united) {
      await whole().withdraw();
      await retell();
    }
    strategy = 'segments';
    const done = await Promise.all(ids.map((id) => segment(id).publish()));
    return done.every(Boolean);
  };

  /** Whether the server has accepted what is said about a device now. */
  const isCurrent = (id: string): boolean =>
    strategy === 'segments' ? contents.get(id) === document.segment(id)?.content : changes.has(id);

  const touch = (id: string): void => {
    changes.touch(id);
    for (const watch of watches) watch.add(id);
    if (covering) {
      coverDevice(id);
      slots.get(COVER)?.changed();
    }
    slots.get(WHOLE)?.changed();
  };

  const live = (): Slot[] => [...slots.values()].filter((slot) => slot.live);

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
      if (strategy !== 'segments') return;
      const slot = segment(device.id);
      // While the server is away nobody would be there to answer each change.
      if (slot.live) slot.changed();
      else void slot.publish();
    },
    remove(id) {
      if (ended || !document.remove(id)) return;
      touch(id);
      const slot = slots.get(id);
      slots.delete(id);
      contents.delete(id);
      if (slot) void slot.remove().then(retell);
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
      const result = await readBack(deps, options);
      watches.delete(changed);
      if (result.kind !== 'seen') return result;
      const devices = document.ids().flatMap((id) => document.get(id) ?? []);
      return judge(
        devices,
        changed,
        result.presence,
        what === 'devices and cover' ? COVER_SUFFIX : undefined,
      );
    },
    lean() {
      if (detail === 'lean') return;
      detail = 'lean';
      const before = document;
      document = createPresenceDocument({ entity: aor, detail, own });
      changes = createChanges(document);
      for (const id of before.ids()) {
        const device = before.get(id);
        if (device) document.set(device);
        changes.touch(id);
      }
      for (const slot of live()) slot.changed();
    },
    wake() {
      for (const slot of slots.values()) slot.wake();
    },
    async refresh() {
      const kept = live().filter(({ tag }) => tag !== undefined);
      const done = await Promise.all(kept.map((slot) => slot.refresh()));
      return done.every(Boolean);
    },
    republish() {
      const all = [...slots].filter(([key, slot]) => slot.live && key !== COVER);
      for (const [, slot] of all) slot.again();
      return all.length;
    },
    async withdraw() {
      ended = true;
      await Promise.all([...slots.values()].map((slot) => slot.remove()));
    },
    stop() {
      ended = true;
      for (const slot of slots.values()) slot.stop();
    },
    states: () => new Map([...slots].flatMap(([key, slot]) => (slot.live ? [[key, slot.state]] : []))),
    acceptedAt: (id) => acceptedAt.get(id),
  };
}
