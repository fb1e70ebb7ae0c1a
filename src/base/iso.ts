/**
 * A moment as RFC 3339 in UTC with milliseconds, such as `2026-06-01T12:00:00.250Z`; years 0000 to 9999.
 *
 * Not by `Date.prototype.toISOString`, which writes the same: its first call loads the time zone data, 0.8 MiB that
 * stay resident in a process that never shows local time.
 *
 * @param ms milliseconds since 1970
 */
export function isoTime(ms: number): string {
  const at = new Date(ms);
  const date = `${digits(at.getUTCFullYear(), 4)}-${digits(at.getUTCMonth() + 1, 2)}-${digits(at.getUTCDate(), 2)}`;
  const time = `${digits(at.getUTCHours(), 2)}:${digits(at.getUTCMinutes(), 2)}:${digits(at.getUTCSeconds(), 2)}`;
  return `${date}T${time}.${digits(at.getUTCMilliseconds(), 3)}Z`;
}

function digits(value: number, count: number): string {
  return String(value).padStart(count, '0');
}
