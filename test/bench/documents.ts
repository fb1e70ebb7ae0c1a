/**
 * How fast presence documents are written, compared and read, each beside what the libraries do when they are used the
 * plain way. Rates are per second of CPU time. `documentFigures` is for the runner; run alone it prints one JSON object.
 */
import { pathToFileURL } from 'node:url';
import { convert, create } from 'xmlbuilder2';
import { applyPresence } from '../../src/presence/apply.ts';
import { createComposition } from '../../src/presence/compose.ts';
import { createPresenceDocument, type PresenceBody } from '../../src/presence/document.ts';
import { deviceUrn, tupleId } from '../../src/presence/ids.ts';
import type { Detail, DevicePresence } from '../../src/presence/model.ts';
import { DATA_MODEL_NS, PIDF_NS, SENML_NS } from '../../src/presence/namespaces.ts';
import { readPresence } from '../../src/presence/read.ts';
import type { Figure } from './figure.ts';

const AOR = 'sip:gateway7@example.com';
const START = 1_795_230_000_000;
/** CPU milliseconds that one rate is measured for, after a quarter of that to warm up. */
const SPAN = 600;

/** Rounds per second of CPU time; `run` gets the number of the round. */
function rate(run: (round: number) => void): number {
  let round = 0;
  const burn = (span: number): number => {
    const before = round;
    const start = process.cpuUsage();
    let used = 0;
    while (used < span * 1000) {
      for (let n = 0; n < 16; n += 1) run(round++);
      const { user, system } = process.cpuUsage(start);
      used = user + system;
    }
    return ((round - before) * 1_000_000) / used;
  };
  burn(SPAN / 4);
  return burn(SPAN);
}

function device(n: number, celsius: number, at: number): DevicePresence {
  const name = `freezer${n}`;
  return {
    id: tupleId(AOR, name),
    deviceId: deviceUrn(AOR, name),
    basic: 'open',
    note: `${celsius} °C`,
    contact: AOR,
    timestamp: START + at,
    values: [{ n: 'temperature', u: 'Cel', v: celsius }],
  };
}

function documentOf(count: number, detail: Detail) {
  const document = createPresenceDocument({ entity: AOR, detail });
  const devices = Array.from({ length: count }, (_none, n) => device(n, -17, 0));
  for (const one of devices) document.set(one);
  document.full();
  /** One device says something new in each round. */
  const change = (round: number): DevicePresence => {
    const one = devices[round % count] as DevicePresence;
    const celsius = -17 + (round % 97) / 10;
    const next = {
      ...one,
      note: `${celsius} °C`,
      timestamp: START + round,
      values: [{ n: 'temperature', u: 'Cel', v: celsius }],
    };
    document.set(next);
    return next;
  };
  return { document, devices, change };
}

/** The same document as people write it with xmlbuilder2: a tree for each. */
function plain(devices: readonly DevicePresence[]): string {
  const root = create().ele(PIDF_NS, 'presence', {
    'xmlns:d': DATA_MODEL_NS,
    'xmlns:s': SENML_NS,
    entity: AOR,
  });
  for (const one of devices) {
    const tuple = root.ele(PIDF_NS, 'tuple', { id: one.id });
    tuple
      .ele(PIDF_NS, 'status')
      .ele(PIDF_NS, 'basic')
      .txt(one.basic ?? '');
    tuple.ele(DATA_MODEL_NS, 'd:deviceID').txt(one.deviceId ?? '');
    tuple.ele(PIDF_NS, 'contact').txt(one.contact ?? '');
    tuple.ele(PIDF_NS, 'note').txt(one.note ?? '');
    tuple.ele(PIDF_NS, 'timestamp').txt(String(one.timestamp));
  }
  for (const one of devices) {
    const element = root.ele(DATA_MODEL_NS, 'd:device', { id: `${one.id}.d` });
    for (const { n, u, v } of one.values ?? []) {
      element.ele(SENML_NS, 's:senml', { n, u: u ?? '', v: String(v) });
    }
    element.ele(DATA_MODEL_NS, 'd:deviceID').txt(one.deviceId ?? '');
  }
  return root.end();
}

export interface DocumentRates {
  /** Whole documents of 20 devices, one of which changed. */
  readonly whole: number;
  /** The same written by xmlbuilder2's `create()`. */
  readonly plain: number;
  /** Segments of one device that changed. */
  readonly segment: number;
  /** Diffs of one changed device among 20, and among 128. */
  readonly diff20: number;
  readonly diff128: number;
  /** Whole documents of 20 devices read into what they say. */
  readonly read: number;
  /** The same read into objects by xmlbuilder2's `convert()`. */
  readonly convert: number;
  /** Diffs applied to a stored document of 20 devices. */
  readonly apply: number;
  /** One of 128 segments replaced, and all of them composed. */
  readonly compose: number;
  /** Bytes of the whole document, of a segment, and of a diff, in full and lean detail. */
  readonly bytes: Readonly<Record<Detail, { whole: number; segment: number; diff: number }>>;
}

export function documentRates(): DocumentRates {
  const twenty = documentOf(20, 'full');
  const whole = rate((round) => {
    twenty.change(round);
    void twenty.document.full();
  });
  const segment = rate((round) => void twenty.document.segment(twenty.change(round).id));
  const text = twenty.document.full().content;
  return {
    whole,
    plain: rate(() => void plain(twenty.devices)),
    segment,
    diff20: diffRate(20),
    diff128: diffRate(128),
    read: rate(() => void readPresence(text)),
    convert: rate(() => void convert(text, { format: 'object' })),
    apply: applyRate(),
    compose: composeRate(),
    bytes: { lean: sizes('lean'), full: sizes('full') },
  };
}

function diffRate(count: number): number {
  const { document, change } = documentOf(count, 'full');
  let mark = document.mark();
  return rate((round) => {
    change(round);
    void document.since(mark);
    mark.release();
    mark = document.mark();
  });
}

function applyRate(): number {
  const { document, change } = documentOf(20, 'full');
  let stored = applyPresence(undefined, incoming(document.full()));
  let mark = document.mark();
  return rate((round) => {
    change(round);
    const diff = document.since(mark);
    if (diff === undefined) return;
    stored = applyPresence(stored, incoming(diff));
    mark.release();
    mark = document.mark();
  });
}

function composeRate(): number {
  const { document, devices, change } = documentOf(128, 'full');
  const composition = createComposition({ entity: AOR });
  const put = (id: string): void => {
    const body = document.segment(id);
    if (body !== undefined) composition.put(id, applyPresence(undefined, incoming(body)));
  };
  for (const { id } of devices) put(id);
  return rate((round) => {
    put(change(round).id);
    void composition.text();
  });
}

const incoming = (body: PresenceBody) => ({ contentType: body.contentType, body: body.content });

function sizes(detail: Detail): { whole: number; segment: number; diff: number } {
  const { document, change } = documentOf(20, detail);
  const mark = document.mark();
  const { id } = change(7);
  const bytes = (body: PresenceBody | undefined): number => Buffer.byteLength(body?.content ?? '');
  return {
    whole: bytes(document.full()),
    segment: bytes(document.segment(id)),
    diff: bytes(document.since(mark)),
  };
}

/** The rates as rows of the bench's table. */
export function documentFigures(rates: DocumentRates = documentRates()): Figure[] {
  const { bytes } = rates;
  const size = (detail: Detail): string =>
    `${detail}: whole ${bytes[detail].whole}, segment ${bytes[detail].segment}, diff ${bytes[detail].diff} bytes`;
  return [
    {
      name: 'documents of 20 written a CPU second, one changed',
      unit: '',
      ours: rates.whole,
      base: { value: rates.plain, of: 'xmlbuilder2 create()' },
      as: 'ratio',
      goal: { atLeast: 1 },
      note: `${size('lean')}; ${size('full')}`,
    },
    {
      name: 'diffs written a CPU second, one of 128 changed',
      unit: '',
      ours: rates.diff128,
      base: { value: rates.diff20, of: 'one of 20' },
      as: 'ratio',
      goal: { atLeast: 0.8 },
    },
    {
      name: 'documents of 20 read a CPU second',
      unit: '',
      ours: rates.read,
      base: { value: rates.convert, of: 'xmlbuilder2 convert()' },
      as: 'ratio',
      goal: { atLeast: 1 },
    },
    { name: 'segments written a CPU second', unit: '', ours: rates.segment, as: 'alone' },
    { name: 'diffs made and applied to 20 a CPU second', unit: '', ours: rates.apply, as: 'alone' },
    {
      name: 'one of 128 segments replaced, all composed, a CPU second',
      unit: '',
      ours: rates.compose,
      as: 'alone',
    },
  ];
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  console.log(JSON.stringify(documentRates()));
}
