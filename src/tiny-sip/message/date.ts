const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** SIP-date: `Sat, 13 Nov 2010 23:29:00 GMT` (RFC 3261 §20.17). */
const FORM = /^(\w{3}),[ \t]+(\d{1,2})[ \t]+(\w{3})[ \t]+(\d{4})[ \t]+(\d\d):(\d\d):(\d\d)[ \t]+GMT$/i;

/** A SIP-date to milliseconds since 1970; undefined when it is none, or not GMT (RFC 4475 §3.1.2.12). */
export function parseDate(text: string): number | undefined {
  const match = FORM.exec(text.trim());
  if (!match) return undefined;
  const month = MONTHS.findIndex((name) => name.toLowerCase() === match[3]?.toLowerCase());
  const [day, year, hour, minute, second] = [match[2], match[4], match[5], match[6], match[7]].map(Number);
  if (month < 0 || day === undefined || year === undefined) return undefined;
  if (hour === undefined || minute === undefined || second === undefined) return undefined;
  if (hour > 23 || minute > 59 || second > 60) return undefined;
  const time = Date.UTC(year, month, day, hour, minute, second);
  // A day that the month has not would have moved into the next one.
  return new Date(time).getUTCMonth() === month || second === 60 ? time : undefined;
}

/** Milliseconds since 1970 as a SIP-date. */
export function formatDate(wall: number): string {
  const date = new Date(wall);
  const two = (value: number): string => String(value).padStart(2, '0');
  const day = `${DAYS[date.getUTCDay()]}, ${two(date.getUTCDate())} ${MONTHS[date.getUTCMonth()]} ${date.getUTCFullYear()}`;
  return `${day} ${two(date.getUTCHours())}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())} GMT`;
}
