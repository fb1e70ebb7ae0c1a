import type { Value } from '../../device/reading.ts';
import { type Path, readPath } from './path.ts';

/** What a payload holds for one binding. */
export type Extract =
  | { kind: 'value'; value: Value; time: number | undefined }
  /** Nothing for this binding: an empty payload, or a report that leaves this value out. No fault. */
  | { kind: 'absent' }
  | { kind: 'bad'; problem: string };

/** A message's payload, looked at by any number of bindings; JSON is read once, when the first asks for it. */
export interface Payload {
  extract(path: Path | undefined, time: Path | undefined): Extract;
}

export function createPayload(bytes: Buffer): Payload {
  let text: string | undefined;
  let json: { value: unknown } | { problem: string } | undefined;

  const asText = (): string => {
    text ??= bytes.toString('utf8');
    return text;
  };
  const asJson = (): { value: unknown } | { problem: string } => {
    if (json) return json;
    try {
      json = { value: JSON.parse(asText()) as unknown };
    } catch {
      json = { problem: 'is no JSON' };
    }
    return json;
  };

  return {
    extract(path, time) {
      // An empty payload is how a retained message is taken away.
      if (bytes.length === 0) return { kind: 'absent' };
      if (!path && !time) return { kind: 'value', value: asText(), time: undefined };
      const document = asJson();
      if ('problem' in document) return { kind: 'bad', problem: document.problem };
      const found = path ? readPath(document.value, path) : document.value;
      if (found === undefined || found === null) return { kind: 'absent' };
      if (typeof found === 'object')
        return { kind: 'bad', problem: `holds ${Array.isArray(found) ? 'a list' : 'an object'} there` };
      return { kind: 'value', value: found as Value, time: time && readTime(readPath(document.value, time)) };
    },
  };
}

/** Numbers below this are seconds since 1970 (to the year 5138), others milliseconds (from 1973 on). */
const SECONDS_BELOW = 1e11;

/** A time of a payload as milliseconds since 1970; undefined when it is none. */
export function readTime(value: unknown): number | undefined {
  const number = typeof value === 'string' && /^\d+(\.\d+)?$/.test(value) ? Number(value) : value;
  if (typeof number === 'number')
    return number > 0 && Number.isFinite(number)
      ? number < SECONDS_BELOW
        ? number * 1_000
        : number
      : undefined;
  if (typeof value !== 'string' || !/^\d{4}-\d\d-\d\d[T ]\d\d:\d\d/.test(value)) return undefined;
  // Without a zone it is local time, which is what devices mean that leave the zone out.
  const parsed = Date.parse(value.replace(' ', 'T'));
  return Number.isNaN(parsed) ? undefined : parsed;
}
