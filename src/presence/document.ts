import { type DeviceChange, writeDiff } from './diff.ts';
import { presenceErrors } from './errors.ts';
import { type Detail, type DevicePresence, normalise, sameDevice } from './model.ts';
import { PIDF_DIFF_TYPE, PIDF_TYPE } from './namespaces.ts';
import { type Extensions, extensionsOf, pidfFrame, pidfFullFrame, type Rendered, render } from './render.ts';

/** What a document is about. */
export interface DocumentOptions {
  /** URI of the presentity: the AOR under which it is published. */
  readonly entity: string;
  readonly detail: Detail;
  /** The AOR is one device's own: its activity is shown, and it is the only one here. Default false. */
  readonly own?: boolean;
}

/** A body with its type, ready for a PUBLISH. */
export interface PresenceBody {
  readonly kind: 'full' | 'diff' | 'segment';
  readonly contentType: string;
  readonly content: string;
}

/** A state of the document to which later states are compared. It costs one entry per device changed since. */
export interface Mark {
  /** Forgets the state. A mark that is not released is kept up to date with every change. */
  release(): void;
}

/**
 * The presence of one AOR: a set of devices, each rendered when it is asked for and then kept until the device changes.
 * Newest devices come first in the document, so that a diff can add one without knowing the rest.
 */
export interface PresenceDocument {
  readonly entity: string;
  readonly size: number;
  /** Takes over what is said about a device. Returns whether a watcher could see a difference. */
  set(device: DevicePresence): boolean;
  /** Returns whether the device was there. */
  remove(id: string): boolean;
  /** What is said about a device, as it is sent. */
  get(id: string): DevicePresence | undefined;
  /** The ids of all devices, oldest first. */
  ids(): string[];
  /** All devices as one PIDF document. */
  full(): PresenceBody;
  /** All devices as a pidf-full document, the start of partial publication (RFC 5264 §4.2). */
  pidfFull(version?: number): PresenceBody;
  /** One device as a PIDF document of its own; undefined when it is not there. */
  segment(id: string): PresenceBody | undefined;
  /** Remembers this state for `since`. */
  mark(): Mark;
  /**
   * What turns the marked state into this one: a pidf-diff, or pidf-full where that is not longer (RFC 5264 §4.2);
   * undefined when nothing differs. Its cost depends on what changed, not on how many devices there are.
   */
  since(mark: Mark, version?: number): PresenceBody | undefined;
}

interface Entry {
  readonly device: DevicePresence;
  /** Rises with each device added: the order of the document. */
  readonly added: number;
  rendered?: Rendered;
}

/** Diffs shorter than this are never compared with the whole document. */
const SHORT = 512;

export function createPresenceDocument(options: DocumentOptions): PresenceDocument {
  const { entity, detail, own = false } = options;
  const entries = new Map<string, Entry>();
  const marks = new Map<Mark, Map<string, Entry | undefined>>();
  // Later diffs bring in extensions that the first document had no use for; their namespaces are there then.
  const base: Extensions = { device: detail === 'full', senml: detail === 'full' };
  let count = 0;

  const remember = (id: string): void => {
    for (const changed of marks.values()) {
      if (!changed.has(id)) changed.set(id, entries.get(id));
    }
  };
  const rendered = (entry: Entry): Rendered => {
    entry.rendered ??= render(entry.device);
    return entry.rendered;
  };
  const used = (): Extensions => {
    let [device, senml] = [false, false];
    for (const entry of entries.values()) {
      const one = extensionsOf(entry.device);
      device ||= one.device;
      senml ||= one.senml;
    }
    return { device, senml };
  };
  const whole = ({ start, end }: { start: string; end: string }): string => {
    let tuples = '';
    let rest = '';
    for (const entry of entries.values()) {
      const parts = rendered(entry);
      tuples = parts.tuple + tuples;
      rest += parts.rest;
    }
    return start + tuples + rest + end;
  };

  const document: PresenceDocument = {
    entity,
    get size() {
      return entries.size;
    },

    set(given) {
      const device = normalise(given, detail, own);
      const { id } = device;
      const entry = entries.get(id);
      if (entry !== undefined && sameDevice(entry.device, device)) return false;
      if (own && entry === undefined && entries.size > 0) throw presenceErrors.ONE_DEVICE({ entity, id });
      remember(id);
      // With or without a device element it takes another place, as if it had been added anew.
      const stays =
        entry !== undefined && (entry.device.deviceId === undefined) === (device.deviceId === undefined);
      if (entry !== undefined && !stays) entries.delete(id);
      if (!stays) count += 1;
      entries.set(id, { device, added: stays ? entry.added : count });
      return true;
    },

    remove(id) {
      if (!entries.has(id)) return false;
      remember(id);
      return entries.delete(id);
    },

    get: (id) => entries.get(id)?.device,
    ids: () => [...entries.keys()],

    full: () => ({ kind: 'full', contentType: PIDF_TYPE, content: whole(pidfFrame(entity, used())) }),

    pidfFull: (version) => ({
      kind: 'full',
      contentType: PIDF_DIFF_TYPE,
      content: whole(pidfFullFrame(entity, base, version)),
    }),

    segment(id) {
      const entry = entries.get(id);
      if (entry === undefined) return undefined;
      const { tuple, rest } = rendered(entry);
      const frame = pidfFrame(entity, extensionsOf(entry.device));
      return { kind: 'segment', contentType: PIDF_TYPE, content: frame.start + tuple + rest + frame.end };
    },

    mark() {
      const mark: Mark = { release: () => void marks.delete(mark) };
      marks.set(mark, new Map());
      return mark;
    },

    since(mark, version) {
      const changed = marks.get(mark);
      if (changed === undefined) return document.pidfFull(version);
      const changes: (DeviceChange & { added: number })[] = [];
      for (const [id, before] of changed) {
        const after = entries.get(id);
        const moved = before !== undefined && after !== undefined && before.added !== after.added;
        if (before === after || (before && after && !moved && sameDevice(before.device, after.device)))
          continue;
        changes.push({
          before: before?.device,
          after: after?.device,
          moved,
          rendered: after && (() => rendered(after)),
          added: after?.added ?? 0,
        });
      }
      changes.sort((a, b) => a.added - b.added);
      const content = writeDiff(entity, changes, version);
      if (content === undefined) return undefined;
      // A diff of a few devices is shorter than the whole; only where most changed is it worth writing both.
      if (content.length > SHORT && changes.length * 3 > entries.size) {
        const full = document.pidfFull(version);
        if (full.content.length <= content.length) return full;
      }
      return { kind: 'diff', contentType: PIDF_DIFF_TYPE, content };
    },
  };
  return document;
}
