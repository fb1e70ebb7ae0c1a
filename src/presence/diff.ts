/**
 * Differences between two states of a document as pidf-diff (RFC 5262). The selectors name no element: a tuple, device
 * or person is found by its id, which stays right when others come and go, and a part of it by its place inside, which
 * the schema fixes and the state before tells. So a diff needs no namespace but its own, and works whatever prefixes
 * the server keeps the document with. Its operations go through each tuple from the last child to the first, so that
 * none moves what a later one selects.
 */
import { escapeAttribute, escapeText } from '../xml/write.ts';
import { deviceElementId, personElementId } from './ids.ts';
import { type DevicePresence, type SenmlRecord, sameRecord } from './model.ts';
import { PIDF_DIFF_NS, PIDF_NS } from './namespaces.ts';
import {
  DIFF_PREFIX,
  declareDevice,
  declareSenml,
  type Rendered,
  recordAttributes,
  render,
  renderActivity,
  renderDevice,
  renderPerson,
  renderRecord,
  renderStatus,
  renderText,
  renderTuple,
} from './render.ts';
import { formatTime } from './time.ts';

/** A device in two states of a document. Absent before: added; absent after: removed. */
export interface DeviceChange {
  readonly before?: DevicePresence | undefined;
  readonly after?: DevicePresence | undefined;
  /** The device was removed and added again: its tuple is in another place now. */
  readonly moved?: boolean;
  /** The elements of `after` as rendered before, so that they need not be rendered again. */
  readonly rendered?: (() => Rendered) | undefined;
}

/** Namespaces that the content of an operation takes from the root of the diff. */
interface Needs {
  pidf?: boolean;
  device?: boolean;
  senml?: boolean;
}

interface Operation {
  readonly name: 'add' | 'replace' | 'remove';
  readonly sel: string;
  readonly pos?: 'after' | 'prepend';
  /** XML: escaped text or elements. */
  readonly content: string;
  readonly needs?: Needs;
}

/**
 * The diff that makes the old state into the new one, in the order of a `PresenceDocument`: what is new stands before
 * the tuples and after the device elements that were there.
 * @param changes the devices that differ; new ones in the order in which they were added
 * @param version for partial notification only: publication has entity-tags instead (RFC 5264 §3.2)
 * @returns the document, or undefined when nothing differs
 */
export function writeDiff(
  entity: string,
  changes: Iterable<DeviceChange>,
  version?: number,
): string | undefined {
  const operations: Operation[] = [];
  let tuples = '';
  let rest = '';
  const needs: Needs = {};
  for (const { before, after, moved, rendered } of changes) {
    if (before !== undefined && after !== undefined && moved !== true) {
      operations.push(...changed(before, after, rendered));
      continue;
    }
    if (before !== undefined) operations.push(...removed(before));
    if (after !== undefined) {
      const made = rendered?.() ?? render(after);
      tuples = made.tuple + tuples;
      rest += made.rest;
      needs.device = needs.device === true || after.deviceId !== undefined;
      needs.senml = needs.senml === true || after.values !== undefined;
    }
  }
  // Prepended, a tuple stands before the notes, devices and persons of any document, as the schema wants it.
  if (tuples !== '') {
    operations.push({
      name: 'add',
      sel: '*',
      pos: 'prepend',
      content: tuples,
      needs: { ...needs, pidf: true },
    });
  }
  if (rest !== '') operations.push({ name: 'add', sel: '*', content: rest, needs });
  return operations.length === 0 ? undefined : frame(entity, operations, version);
}

function frame(entity: string, operations: readonly Operation[], version: number | undefined): string {
  const needs = (key: keyof Needs): boolean => operations.some((one) => one.needs?.[key] === true);
  // Where content is in PIDF's namespace that one is the default, else the diff's own: whichever saves bytes.
  const prefix = needs('pidf') ? `${DIFF_PREFIX}:` : '';
  let text = `<${prefix}pidf-diff `;
  text += needs('pidf')
    ? `xmlns="${PIDF_NS}" xmlns:${DIFF_PREFIX}="${PIDF_DIFF_NS}"`
    : `xmlns="${PIDF_DIFF_NS}"`;
  if (needs('device')) text += declareDevice();
  if (needs('senml')) text += declareSenml();
  text += ` entity="${escapeAttribute(entity)}"`;
  if (version !== undefined) text += ` version="${version}"`;
  text += '>';
  for (const operation of operations) text += write(operation, prefix);
  return `${text}</${prefix}pidf-diff>`;
}

/** By hand: it is one string around content that was rendered already. Ids are NCNames and need no escaping. */
function write({ name, sel, pos, content }: Operation, prefix = ''): string {
  const start = `<${prefix}${name} sel="${sel}"${pos === undefined ? '' : ` pos="${pos}"`}`;
  return content === '' ? `${start}/>` : `${start}>${content}</${prefix}${name}>`;
}

const byId = (id: string): string => `*/*[@id='${id}']`;

function removed(before: DevicePresence): Operation[] {
  const ids = [before.id];
  if (before.deviceId !== undefined) ids.push(deviceElementId(before.id));
  if (before.activity !== undefined) ids.push(personElementId(before.id));
  return ids.map((id): Operation => ({ name: 'remove', sel: byId(id), content: '' }));
}

function changed(
  before: DevicePresence,
  after: DevicePresence,
  rendered: (() => Rendered) | undefined,
): Operation[] {
  const tuple = shorter(tupleOperations(before, after), () => ({
    name: 'replace',
    sel: byId(after.id),
    content: rendered?.().tuple ?? renderTuple(after),
    needs: { pidf: true, device: after.deviceId !== undefined },
  }));
  return [...tuple, ...deviceOperations(before, after), ...personOperations(before, after)];
}

/**
 * Several small operations, or the one that replaces the whole, whichever is shorter. As long as they bring no elements
 * the small ones practically always are, and the whole need not be rendered.
 */
function shorter(small: Operation[], whole: () => Operation): Operation[] {
  if (small.every((one) => one.needs === undefined)) return small;
  const other = whole();
  const length = small.reduce((sum, one) => sum + write(one).length, 0);
  return length <= write(other).length ? small : [other];
}

const PARTS = ['deviceID', 'contact', 'note', 'timestamp'] as const;
type Part = (typeof PARTS)[number];

function textPart(device: DevicePresence, part: Part): string | undefined {
  switch (part) {
    case 'deviceID':
      return device.deviceId;
    case 'contact':
      return device.contact;
    case 'note':
      return device.note;
    case 'timestamp':
      return device.timestamp === undefined ? undefined : formatTime(device.timestamp);
  }
}

function tupleOperations(before: DevicePresence, after: DevicePresence): Operation[] {
  const operations: Operation[] = [];
  const tuple = byId(before.id);
  const there = PARTS.filter((part) => textPart(before, part) !== undefined);
  const wanted = PARTS.filter((part) => textPart(after, part) !== undefined);
  /** Place of a part among the tuple's elements, or of the last one before it; the status is the first. */
  const place = (part: Part): number =>
    1 + there.filter((one) => PARTS.indexOf(one) <= PARTS.indexOf(part)).length;

  for (const part of PARTS.toReversed()) {
    const old = textPart(before, part);
    const now = textPart(after, part);
    if (old === now) continue;
    if (now === undefined) {
      operations.push({ name: 'remove', sel: `${tuple}/*[${place(part)}]`, content: '' });
    } else if (old !== undefined) {
      operations.push({
        name: 'replace',
        sel: `${tuple}/*[${place(part)}]/text()`,
        content: escapeText(now),
      });
    } else {
      const content = renderText(part, now);
      const needs: Needs = part === 'deviceID' ? { device: true } : { pidf: true };
      const last = there.every((one) => PARTS.indexOf(one) < PARTS.indexOf(part)) && wanted.at(-1) === part;
      operations.push(
        last
          ? { name: 'add', sel: tuple, content, needs }
          : { name: 'add', sel: `${tuple}/*[${place(part)}]`, pos: 'after', content, needs },
      );
    }
  }

  if (before.basic === after.basic) return operations;
  // Of a tuple's grandchildren only the child of its status is an element: every other child holds text.
  if (before.basic !== undefined && after.basic !== undefined) {
    operations.push({ name: 'replace', sel: `${tuple}/*/*/text()`, content: after.basic });
  } else {
    const needs = after.basic === undefined ? {} : { needs: { pidf: true } };
    operations.push({ name: 'replace', sel: `${tuple}/*/*`, content: renderStatus(after), ...needs });
  }
  return operations;
}

function deviceOperations(before: DevicePresence, after: DevicePresence): Operation[] {
  const element = byId(deviceElementId(after.id));
  if (before.deviceId === undefined || after.deviceId === undefined) return [];
  const whole = (): Operation => ({
    name: 'replace',
    sel: element,
    content: renderDevice(after),
    needs: { device: true, senml: after.values !== undefined },
  });
  const old = before.values ?? [];
  const now = after.values ?? [];
  if (before.deviceId !== after.deviceId || before.name !== after.name || old.length !== now.length) {
    return [whole()];
  }
  const operations = now.flatMap((record, n) => {
    const was = old[n];
    if (was === undefined || sameRecord(record, was)) return [];
    // The records come first in the element; of what follows, deviceID and note, none has attributes of that name.
    return recordOperations(was, record, element, now.length === 1 ? '*' : `*[${n + 1}]`, n + 1);
  });
  return shorter(operations, whole);
}

/** `one` selects the record among the device's children as far as its attributes go, `place` is its place. */
function recordOperations(
  before: SenmlRecord,
  after: SenmlRecord,
  device: string,
  one: string,
  place: number,
): Operation[] {
  const old = recordAttributes(before);
  const now = recordAttributes(after);
  const names = Object.keys(now);
  if (Object.keys(old).join() !== names.join() || before.n !== after.n) {
    const needs: Needs = { senml: true };
    return [{ name: 'replace', sel: `${device}/*[${place}]`, content: renderRecord(after), needs }];
  }
  return names
    .filter((name) => old[name] !== now[name])
    .map(
      (name): Operation => ({
        name: 'replace',
        sel: `${device}/${one}/@${name}`,
        content: escapeText(now[name] ?? ''),
      }),
    );
}

function personOperations(before: DevicePresence, after: DevicePresence): Operation[] {
  if (before.activity === after.activity) return [];
  const person = byId(personElementId(after.id));
  if (after.activity === undefined) return [{ name: 'remove', sel: person, content: '' }];
  if (before.activity === undefined) return [{ name: 'add', sel: '*', content: renderPerson(after) }];
  return [{ name: 'replace', sel: `${person}/*/*`, content: renderActivity(after.activity) }];
}
