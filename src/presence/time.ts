import { isoTime } from '../base/iso.ts';

/** A timestamp of RFC 3339 in UTC, with as many decimals as there are. `ms` is milliseconds since 1970. */
export function formatTime(ms: number): string {
  const text = isoTime(ms);
  return ms % 1000 === 0 ? `${text.slice(0, 19)}Z` : `${text.slice(0, 23).replace(/0+$/, '')}Z`;
}

const DATE_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(Z|[+-]\d\d:\d\d)?$/i;

/** Milliseconds since 1970 of an xs:dateTime, one without a zone taken as UTC; undefined for anything else. */
export function parseTime(text: string): number | undefined {
  const match = DATE_TIME.exec(text.trim());
  if (match === null) return undefined;
  const ms = Date.parse(match[1] === undefined ? `${text.trim()}Z` : text.trim());
  return Number.isNaN(ms) ? undefined : ms;
}
