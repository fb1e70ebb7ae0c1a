import { parseXml, type XmlLimits } from '../xml/read.ts';
import {
  attributeOf,
  childOf,
  childrenOf,
  elementsOf,
  textOf,
  type XmlDocument,
  type XmlElement,
} from '../xml/tree.ts';
import { presenceErrors } from './errors.ts';
import type { DevicePresence, Presence, SenmlRecord } from './model.ts';
import { DATA_MODEL_NS, PIDF_DIFF_NS, PIDF_NS, RPID_NS, SENML_NS } from './namespaces.ts';
import { parseTime } from './time.ts';

/**
 * Reads a PIDF or pidf-full document. It goes by namespaces and names only: any prefixes, any order of the children (a
 * presence server that composes documents appends them as they come), and whatever it does not know is passed over.
 * @throws CodedError one of `xmlErrors`, or `PRES_NOT_PRESENCE` when it is some other document
 */
export function readPresence(
  input: string | Uint8Array | XmlDocument,
  limits?: Partial<XmlLimits>,
): Presence {
  const { root } = typeof input === 'string' || input instanceof Uint8Array ? parseXml(input, limits) : input;
  if (!isPresenceRoot(root)) throw presenceErrors.NOT_PRESENCE({ why: `its root is <${root.local}>` });

  const elements = elementsOf(root);
  const persons = elements.filter((one) => one.ns === DATA_MODEL_NS && one.local === 'person');
  const activities = [...new Set(persons.flatMap(readActivities))];
  const byDeviceId = new Map<string, XmlElement>();
  for (const element of elements) {
    if (element.ns !== DATA_MODEL_NS || element.local !== 'device') continue;
    const id = trimmed(childOf(element, DATA_MODEL_NS, 'deviceID'));
    if (id !== undefined && !byDeviceId.has(id)) byDeviceId.set(id, element);
  }
  const tuples = childrenOf(root, PIDF_NS, 'tuple');
  const devices = tuples.map((tuple) => readTuple(tuple, byDeviceId));
  const [only] = devices;
  const [activity] = activities;
  // Activities are the presentity's. Where it has one tuple, as a device with its own AOR has, they are that one's.
  if (only !== undefined && devices.length === 1 && activity !== undefined)
    devices[0] = { ...only, activity };
  return {
    entity: attributeOf(root, 'entity') ?? '',
    devices,
    notes: childrenOf(root, PIDF_NS, 'note').map(textOf),
    activities,
  };
}

/** Whether an element is the root of a whole presence document. */
export function isPresenceRoot(root: XmlElement): boolean {
  if (root.ns === PIDF_NS) return root.local === 'presence';
  return root.ns === PIDF_DIFF_NS && root.local === 'pidf-full';
}

function readTuple(tuple: XmlElement, byDeviceId: ReadonlyMap<string, XmlElement>): DevicePresence {
  const read: { -readonly [Key in keyof DevicePresence]: DevicePresence[Key] } = {
    id: attributeOf(tuple, 'id') ?? '',
  };
  const status = childOf(tuple, PIDF_NS, 'status');
  const basic = trimmed(status && childOf(status, PIDF_NS, 'basic'));
  if (basic === 'open' || basic === 'closed') read.basic = basic;
  const note = childOf(tuple, PIDF_NS, 'note');
  if (note !== undefined && note.children.length > 0) read.note = textOf(note);
  const contact = trimmed(childOf(tuple, PIDF_NS, 'contact'));
  if (contact !== undefined) read.contact = contact;
  const timestamp = childOf(tuple, PIDF_NS, 'timestamp');
  const time = timestamp && parseTime(textOf(timestamp));
  if (time !== undefined) read.timestamp = time;
  const deviceId = trimmed(childOf(tuple, DATA_MODEL_NS, 'deviceID'));
  if (deviceId === undefined) return read;
  read.deviceId = deviceId;
  const device = byDeviceId.get(deviceId);
  if (device === undefined) return read;
  const name = childOf(device, DATA_MODEL_NS, 'note');
  if (name !== undefined && name.children.length > 0) read.name = textOf(name);
  // Records stand in the device element as they are, or as somebody else's SenML pack.
  const values = [device, ...childrenOf(device, SENML_NS, 'sensml')].flatMap(readRecords);
  if (values.length > 0) read.values = values;
  return read;
}

/** SenML records with the base fields of their pack resolved (RFC 8428 §4.6). */
function readRecords(pack: XmlElement): SenmlRecord[] {
  const base = { n: '', t: 0, u: '', v: 0 };
  return childrenOf(pack, SENML_NS, 'senml').flatMap((element) => {
    base.n = attributeOf(element, 'bn') ?? base.n;
    base.u = attributeOf(element, 'bu') ?? base.u;
    base.t = decimal(attributeOf(element, 'bt')) ?? base.t;
    base.v = decimal(attributeOf(element, 'bv')) ?? base.v;
    return readRecord(element, base);
  });
}

function readRecord(
  element: XmlElement,
  base: { n: string; t: number; u: string; v: number },
): SenmlRecord[] {
  const u = attributeOf(element, 'u') ?? base.u;
  const t = (decimal(attributeOf(element, 't')) ?? 0) + base.t;
  const head = { n: base.n + (attributeOf(element, 'n') ?? ''), ...(u === '' ? {} : { u }) };
  const time = t === 0 ? {} : { t };
  const v = decimal(attributeOf(element, 'v'));
  if (v !== undefined) return [{ ...head, v: v + base.v, ...time }];
  const vb = attributeOf(element, 'vb')?.trim();
  if (vb !== undefined) return [{ ...head, vb: vb === 'true' || vb === '1', ...time }];
  const vs = attributeOf(element, 'vs');
  return vs === undefined ? [] : [{ ...head, vs, ...time }];
}

function readActivities(person: XmlElement): string[] {
  return childrenOf(person, RPID_NS, 'activities').flatMap((activities) =>
    elementsOf(activities)
      .filter(({ ns, local }) => ns === RPID_NS && local !== 'note')
      .map((one) => (one.local === 'other' ? textOf(one).trim() : one.local))
      .filter((name) => name !== ''),
  );
}

function trimmed(element: XmlElement | undefined): string | undefined {
  const text = element === undefined ? '' : textOf(element).trim();
  return text === '' ? undefined : text;
}

function decimal(text: string | undefined): number | undefined {
  if (text === undefined || text.trim() === '') return undefined;
  const value = Number(text);
  return Number.isFinite(value) ? value : undefined;
}
