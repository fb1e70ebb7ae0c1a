/** Devices made by chance, for properties, and one that looks like those of a cold store. */
import * as fc from 'fast-check';
import { deviceUrn, tupleId } from '../../src/presence/ids.ts';
import type { DevicePresence, SenmlRecord } from '../../src/presence/model.ts';

export const AOR = 'sip:gateway7@example.com';

/** Names that people give to devices, and ones that break things. */
export const NAMES = [
  'freezer2',
  '2nd door',
  'тест',
  'Tür/Süd',
  'pump.1',
  'a&b<c>"d"\'e\'',
  '門',
  '-_-',
  '..',
  '\u{1F600}',
  'x'.repeat(200),
  ' ',
];

/** A freezer with one value. */
export function freezer(n: number, celsius: number, at = 1_795_230_000_000): DevicePresence {
  const device = `freezer${n}`;
  return {
    id: tupleId(AOR, device),
    deviceId: deviceUrn(AOR, device),
    basic: 'open',
    name: `Cold room ${n}`,
    note: `${celsius} °C`,
    contact: AOR,
    timestamp: at,
    values: [{ n: 'temperature', u: 'Cel', v: celsius }],
  };
}

const text = fc.oneof(
  fc.constantFrom(
    'on',
    'off',
    '-17.5 °C',
    '<&>"\']]>',
    ' padded ',
    'Ж',
    '\u{1F600}',
    'two\nlines',
    '\u0000\u001b',
  ),
  fc.string({ unit: 'binary', maxLength: 20 }),
);

const record: fc.Arbitrary<SenmlRecord> = fc
  .record(
    {
      n: fc.constantFrom('temperature', 'door', 'Füllstand', '_x', 'a/b:c'),
      u: fc.constantFrom('Cel', '%RH', 'V'),
      value: fc.oneof(
        fc.double({ min: -1e6, max: 1e6 }).map((v) => ({ v })),
        fc.constantFrom({ v: Number.NaN }, { v: Number.POSITIVE_INFINITY }, { v: -0 }, { v: 1e300 }),
        fc.boolean().map((vb) => ({ vb })),
        text.map((vs) => ({ vs })),
      ),
      t: fc.constantFrom(1_795_230_000, 1_795_230_000.25),
    },
    { requiredKeys: ['n', 'value'] },
  )
  .map(({ value, ...head }) => ({ ...head, ...value }));

/** Anything that can be said about the device with that id. */
export function anyDevice(id: string): fc.Arbitrary<DevicePresence> {
  return fc.record(
    {
      id: fc.constant(id),
      deviceId: fc.constantFrom(`urn:dev:ops:${id}`, `urn:uuid:${id}`),
      basic: fc.constantFrom('open' as const, 'closed' as const),
      note: text,
      name: fc.constantFrom('Freezer', 'Door <2>'),
      contact: fc.constantFrom(AOR, 'sip:a&b@example.com'),
      timestamp: fc.integer({ min: 1_700_000_000_000, max: 1_900_000_000_000 }),
      activity: fc.constantFrom('busy', 'away', 'unknown', 'on-the-phone', 'defrosting', ''),
      values: fc.array(record, { maxLength: 4 }),
    },
    { requiredKeys: ['id'] },
  );
}
