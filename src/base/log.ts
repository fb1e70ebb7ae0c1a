import type { Clock } from './clock.ts';

export type Level = 'debug' | 'info' | 'warn' | 'error';
export type Fields = Readonly<Record<string, unknown>>;

/** Where a part says what happened. Texts are short and lower case; what varies goes into the fields. */
export interface Log {
  debug(text: string, fields?: Fields): void;
  info(text: string, fields?: Fields): void;
  warn(text: string, fields?: Fields): void;
  error(text: string, fields?: Fields): void;
  /** A log whose lines carry `part` in front, as `outer/part`. */
  child(part: string): Log;
}

export interface LogRecord {
  level: Level;
  part: string;
  text: string;
  fields: Fields;
  /** How many identical lines were held back since the last one that was written. */
  repeated: number;
}

export interface LogOptions {
  level: Level;
  /** How long an identical line is held back, in milliseconds; 0 writes every line. */
  quiet?: number;
}

const RANK: Record<Level, number> = { debug: 0, info: 1, warn: 2, error: 3 };

/** How many different lines are remembered to recognise repeats; the oldest is forgotten first. */
const REMEMBERED = 256;

/**
 * A log that hands finished records to `write`. A line that repeats (same part, level and text, same fields) within
 * `quiet` is counted instead of written, and the count goes out with the next one that is written.
 */
export function createLog(
  deps: { clock: Clock; write: (record: LogRecord) => void },
  options: LogOptions,
): Log & { setLevel(level: Level): void } {
  const quiet = options.quiet ?? 60_000;
  let least = RANK[options.level];
  const seen = new Map<string, { until: number; repeated: number }>();

  const put = (part: string, level: Level, text: string, fields: Fields = {}): void => {
    if (RANK[level] < least) return;
    if (quiet === 0) {
      deps.write({ level, part, text, fields, repeated: 0 });
      return;
    }
    const key = `${part}\0${level}\0${text}\0${safeJson(fields)}`;
    const now = deps.clock.now();
    const known = seen.get(key);
    if (known && now < known.until) {
      known.repeated += 1;
      return;
    }
    seen.delete(key);
    seen.set(key, { until: now + quiet, repeated: 0 });
    if (seen.size > REMEMBERED) {
      const [oldest] = seen.keys();
      if (oldest !== undefined) seen.delete(oldest);
    }
    deps.write({ level, part, text, fields, repeated: known?.repeated ?? 0 });
  };

  const face = (part: string): Log => ({
    debug: (text, fields) => put(part, 'debug', text, fields),
    info: (text, fields) => put(part, 'info', text, fields),
    warn: (text, fields) => put(part, 'warn', text, fields),
    error: (text, fields) => put(part, 'error', text, fields),
    child: (inner) => face(part ? `${part}/${inner}` : inner),
  });

  return {
    ...face(''),
    setLevel(level) {
      least = RANK[level];
    },
  };
}

/** A log that says nothing. */
export const silentLog: Log = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silentLog,
};

/** journald reads `<N>` in front of a line as its priority (sd-daemon(3)). */
const PRIORITY: Record<Level, string> = { debug: '<7>', info: '<6>', warn: '<4>', error: '<3>' };

/** One line of text for a record; with `journal` the priority that journald understands comes first. */
export function formatRecord(record: LogRecord, journal: boolean): string {
  const parts = [journal ? PRIORITY[record.level] : `${record.level.padEnd(5)} `];
  if (record.part) parts.push(record.part, ': ');
  parts.push(record.text);
  for (const [name, value] of Object.entries(record.fields)) {
    if (value !== undefined) parts.push(' ', name, '=', formatField(value));
  }
  if (record.repeated > 0) parts.push(` (${record.repeated} more like this since)`);
  return parts.join('');
}

function formatField(value: unknown): string {
  if (value instanceof Error) return JSON.stringify(value.message);
  if (typeof value === 'string') return /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value);
  if (typeof value === 'object' && value !== null) return safeJson(value);
  return String(value);
}

function safeJson(value: unknown): string {
  try {
    return JSON.stringify(value, (_key, inner: unknown) =>
      inner instanceof Error ? inner.message : typeof inner === 'bigint' ? String(inner) : inner,
    );
  } catch {
    // A cycle: the line matters more than this field.
    return '"[unprintable]"';
  }
}
