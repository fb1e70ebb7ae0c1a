import { fragment } from 'xmlbuilder2';
import { escapeAttribute } from '../xml/write.ts';
import { deviceElementId, personElementId } from './ids.ts';
import type { DevicePresence, SenmlRecord } from './model.ts';
import { DATA_MODEL_NS, PIDF_DIFF_NS, PIDF_NS, RPID_NS, SENML_NS, STATUS_NS } from './namespaces.ts';
import { formatTime } from './time.ts';

/** xmlbuilder2's builder. Texts given to it are normalised: it escapes markup, but neither checks nor escapes the rest. */
type Builder = ReturnType<typeof fragment>;

/**
 * The XML declaration, which RFC 3863 §4.1 demands of a PIDF document. It also asks for the encoding (SHOULD), which is
 * left out: a document that declares none is UTF-8 (XML 1.0 §4.3.3), and 17 bytes in each segment say nothing more.
 */
export const XML_DECLARATION = '<?xml version="1.0"?>';

/** Prefixes of our documents. The default namespace is PIDF's; the rest is one letter each. */
export const DEVICE_PREFIX = 'd';
export const SENML_PREFIX = 's';
export const DIFF_PREFIX = 'x';

/** Activities that RFC 4480 §3.2 has an element for; any other goes into `<other>`. */
const ACTIVITIES: ReadonlySet<string> = new Set(
  (
    'appointment away breakfast busy dinner holiday in-transit looking-for-work meal meeting on-the-phone ' +
    'performance permanent-absence playing presentation shopping sleeping spectator steering travel tv unknown ' +
    'vacation working worship'
  ).split(' '),
);

/** The elements of one device. */
export interface Rendered {
  readonly tuple: string;
  /** Device and person elements; they stand behind all tuples. */
  readonly rest: string;
}

/** All elements of a device, newly rendered. */
export function render(device: DevicePresence): Rendered {
  // One fragment for all of them: making it costs more than an element in it.
  const root = fragment();
  const tuple = addTuple(root, device).toString();
  const rest = device.deviceId === undefined ? '' : addDevice(root, device, device.deviceId).toString();
  return {
    tuple: flat(tuple),
    rest: flat(device.activity === undefined ? rest : rest + renderPerson(device)),
  };
}

/** The same text in one piece. What is put together bit by bit stays a tree of bits, and these are kept for long. */
function flat(text: string): string {
  return Buffer.from(text, 'utf8').toString('utf8');
}

/** Text of the one node that `add` adds. */
function alone(add: (parent: Builder) => Builder): string {
  return add(fragment()).toString();
}

/** The tuple of a device. */
export function renderTuple(device: DevicePresence): string {
  return alone((parent) => addTuple(parent, device));
}

/** The device element (RFC 4479): values, deviceID, the device's name as its note. Empty without a deviceID. */
export function renderDevice(device: DevicePresence): string {
  const { deviceId } = device;
  return deviceId === undefined ? '' : alone((parent) => addDevice(parent, device, deviceId));
}

/**
 * The person element of a device with its own AOR (RFC 4479, RFC 4480). Empty without an activity. There is one at
 * most, so its namespaces are declared where they are used.
 */
export function renderPerson(device: DevicePresence): string {
  const { activity } = device;
  if (activity === undefined) return '';
  return alone((parent) => {
    const person = parent.ele('person', { xmlns: DATA_MODEL_NS, id: personElementId(device.id) });
    addActivity(person.ele('activities', { xmlns: RPID_NS }), activity, {});
    return person;
  });
}

/** What stands in `<status>`. */
export function renderStatus(device: DevicePresence): string {
  return alone((parent) => addStatus(parent, device));
}

/** One child of a tuple that holds text. */
export function renderText(name: 'contact' | 'note' | 'timestamp' | 'deviceID', text: string): string {
  const qualified = name === 'deviceID' ? `${DEVICE_PREFIX}:deviceID` : name;
  return alone((parent) => parent.ele(qualified).txt(text).up());
}

/** One SenML record. */
export function renderRecord(record: SenmlRecord): string {
  return alone((parent) => parent.ele(`${SENML_PREFIX}:senml`, recordAttributes(record)));
}

/** One activity on its own, with its namespace. */
export function renderActivity(name: string): string {
  return alone((parent) => addActivity(parent, name, { xmlns: RPID_NS }));
}

/** The attributes of a SenML record, in the order in which they are written. */
export function recordAttributes(record: SenmlRecord): Record<string, string> {
  const attributes: Record<string, string> = { n: record.n };
  if (record.u !== undefined) attributes.u = record.u;
  if (record.v !== undefined) attributes.v = String(record.v);
  if (record.vb !== undefined) attributes.vb = String(record.vb);
  if (record.vs !== undefined) attributes.vs = record.vs;
  if (record.t !== undefined) attributes.t = String(record.t);
  return attributes;
}

/** The order of the children is the schema's (RFC 3863 §4.4): status, extensions, contact, note, timestamp. */
function addTuple(parent: Builder, device: DevicePresence): Builder {
  const tuple = parent.ele('tuple', { id: device.id });
  addStatus(tuple.ele('status'), device);
  if (device.deviceId !== undefined) tuple.ele(`${DEVICE_PREFIX}:deviceID`).txt(device.deviceId);
  if (device.contact !== undefined) tuple.ele('contact').txt(device.contact);
  if (device.note !== undefined) tuple.ele('note').txt(device.note);
  if (device.timestamp !== undefined) tuple.ele('timestamp').txt(formatTime(device.timestamp));
  return tuple;
}

function addStatus(parent: Builder, { basic }: DevicePresence): Builder {
  if (basic === undefined) return parent.ele('unknown', { xmlns: STATUS_NS });
  return parent.ele('basic').txt(basic).up();
}

function addDevice(parent: Builder, device: DevicePresence, deviceId: string): Builder {
  const element = parent.ele(`${DEVICE_PREFIX}:device`, { id: deviceElementId(device.id) });
  // Resolved SenML records (RFC 8428 §4.6), which need no pack around them. Their names are relative to the device: its
  // deviceID stands right behind them.
  for (const record of device.values ?? []) element.ele(`${SENML_PREFIX}:senml`, recordAttributes(record));
  element.ele(`${DEVICE_PREFIX}:deviceID`).txt(deviceId);
  if (device.name !== undefined) element.ele(`${DEVICE_PREFIX}:note`).txt(device.name);
  return element;
}

function addActivity(parent: Builder, name: string, attributes: Record<string, string>): Builder {
  if (ACTIVITIES.has(name)) return parent.ele(name, attributes);
  return parent.ele('other', attributes).txt(name).up();
}

/** Extensions that a document makes use of. */
export interface Extensions {
  readonly device: boolean;
  readonly senml: boolean;
}

/** Which extensions the elements of a device use. */
export function extensionsOf(device: DevicePresence): Extensions {
  return { device: device.deviceId !== undefined, senml: device.values !== undefined };
}

/** Start and end of a PIDF document around its tuples. */
export function pidfFrame(entity: string, used: Extensions): { start: string; end: string } {
  const start = `${XML_DECLARATION}<presence xmlns="${PIDF_NS}"${declare(used)} entity="${escapeAttribute(entity)}">`;
  return { start, end: '</presence>' };
}

/** Start and end of a pidf-full document (RFC 5262): the same, with another root. */
export function pidfFullFrame(
  entity: string,
  used: Extensions,
  version?: number,
): { start: string; end: string } {
  const name = `${DIFF_PREFIX}:pidf-full`;
  const counted = version === undefined ? '' : ` version="${version}"`;
  const start =
    `${XML_DECLARATION}<${name} xmlns="${PIDF_NS}" xmlns:${DIFF_PREFIX}="${PIDF_DIFF_NS}"${declare(used)}` +
    ` entity="${escapeAttribute(entity)}"${counted}>`;
  return { start, end: `</${name}>` };
}

function declare({ device, senml }: Extensions): string {
  return (device ? declareDevice() : '') + (senml ? declareSenml() : '');
}

export function declareDevice(): string {
  return ` xmlns:${DEVICE_PREFIX}="${DATA_MODEL_NS}"`;
}

export function declareSenml(): string {
  return ` xmlns:${SENML_PREFIX}="${SENML_NS}"`;
}
